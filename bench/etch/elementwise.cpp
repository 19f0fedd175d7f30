// SPDX-License-Identifier: MIT
// The case `elementwise` with etch.
#include "functions.hpp"

namespace {

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

template <std::int64_t n> bench::task make_adam(bench::arrays in) {
    struct held {
        etch::function<adam{n}> f;
        bench::arrays in;
        void step() { f(etch::view(in[0].data(), {n})); }
        void reset() {
            bench::set_zero(f.state());
            f.state().set("p", etch::view(in[1].data(), {n}));
        }
    };
    auto all = std::make_shared<held>();
    all->in = std::move(in);
    return {[all] { all->step(); },
            [all] {
                for (int i = 0; i < 3; ++i) all->step();
                std::vector<double> sampled;
                bench::sample_elements(sampled, all->f.state()["p"].template data<float>(), n);
                return sampled;
            },
            [all] { all->reset(); }};
}

template <std::int64_t... n> bench::task adam_of(bench::arrays in) {
    bench::task made;
    if (!((in[0].size() == n && (made = make_adam<n>(in), true)) || ...))
        throw std::invalid_argument("adam: no such size is compiled");
    return made;
}

}  // namespace

int main() {
    return bench::serve({{"affine", bench::etch_function<affine>::make},
                         {"tanh", bench::etch_function<tangent>::make},
                         {"gelu", bench::etch_function<gelu_of>::make},
                         {"wave", bench::etch_function<wave>::make},
                         {"adam", adam_of<1 << 10, 1 << 14, 1 << 20, 1 << 24>}});
}
