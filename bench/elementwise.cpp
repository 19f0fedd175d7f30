// SPDX-License-Identifier: MIT
// The case `elementwise` with etch.
#include <etch.hpp>
#include <memory>

#include "elementwise.hpp"

namespace {

namespace elementwise = bench::elementwise;

constexpr auto affine = [](etch::graph& g) {
    auto x = g.input<float>("x", {g.dim("N")}), z = g.input<float>("z", {g.dim("N")});
    g.output("y", 1.5 * x - 0.5 * z + 0.25);
};
constexpr auto tangent = [](etch::graph& g) {
    auto x = g.input<float>("x", {g.dim("N")});
    g.output("y", tanh(1.5 * x - 0.5));
};
constexpr auto gelu_of = [](etch::graph& g) {
    g.output("y", gelu_tanh(g.input<float>("x", {g.dim("N")})));
};
constexpr auto wave = [](etch::graph& g) {
    auto x = g.input<float>("x", {g.dim("N")}), z = g.input<float>("z", {g.dim("N")});
    g.output("y", sqrt(x * x + z * z) * exp(-x * x) + z);
};
struct adam {  // parameters have static shapes
    std::int64_t n;
    constexpr void operator()(etch::graph& g) const {
        etch::expr p[] = {g.param<float>("p", {n}, etch::nn::zeros{})},
                   gradient[] = {g.input<float>("gradient", {n})};
        etch::nn::adam{.rate = 1e-3}(g, p, gradient);
    }
};

template <auto model> bench::task make_formula(std::size_t n) {
    struct held {
        etch::function<model> f;
        std::vector<float> x, z;
        etch::tensor run() {
            if constexpr (etch::plan<model>.view().inputs.size() == 2)
                return f(x, z);
            else
                return f(x);
        }
    };
    auto all = std::make_shared<held>();
    all->x = elementwise::x(n), all->z = elementwise::z(n);
    return {[all] { all->run(); },
            [all] {
                std::vector<double> elements;
                etch::tensor y = all->run();
                bench::sample_elements(elements, y.data<float>(),
                                       static_cast<std::size_t>(y.size()));
                return elements;
            }};
}
template <std::int64_t n> bench::task make_adam() {
    struct held {
        etch::function<adam{n}> f;
        std::vector<float> gradient = elementwise::x(static_cast<std::size_t>(n));
        void reset() {
            etch::state s = f.state();
            for (const auto& name : s.names()) {
                etch::tensor t = s[name];
                std::memset(t.bytes_data(), 0, t.bytes());
            }
            s.set("p", elementwise::z(static_cast<std::size_t>(n)));
        }
    };
    auto all = std::make_shared<held>();
    return {[all] { all->f(all->gradient); },
            [all] {
                for (int i = 0; i < elementwise::checked_steps; ++i) all->f(all->gradient);
                std::vector<double> elements;
                bench::sample_elements(elements, all->f.state()["p"].template data<float>(),
                                       static_cast<std::size_t>(n));
                return elements;
            },
            [all] { all->reset(); }};
}

}  // namespace

int main() {
    return bench::serve(elementwise::all([](std::string_view formula, std::size_t n) {
        if (formula == "affine") return make_formula<affine>(n);
        if (formula == "tanh") return make_formula<tangent>(n);
        if (formula == "gelu") return make_formula<gelu_of>(n);
        if (formula == "wave") return make_formula<wave>(n);
        if (n == 1 << 10) return make_adam<1 << 10>();
        if (n == 1 << 14) return make_adam<1 << 14>();
        if (n == 1 << 20) return make_adam<1 << 20>();
        return make_adam<1 << 24>();
    }));
}
