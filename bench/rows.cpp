// SPDX-License-Identifier: MIT
// The case `rows` with etch.
#include <etch.hpp>
#include <memory>

#include "rows.hpp"

namespace {

namespace rows = bench::rows;

constexpr auto softmax_of = [](etch::graph& g) {
    g.output("y", softmax(g.input<float>("x", {g.dim("R"), g.dim("C")})));
};
constexpr auto layer_norm_of = [](etch::graph& g) {
    auto x = g.input<float>("x", {g.dim("R"), g.dim("C")});
    auto gain = g.input<float>("gain", {g.dim("C")}),
         offset = g.input<float>("offset", {g.dim("C")});
    g.output("y", etch::nn::layer_norm(x, gain, offset));
};
constexpr auto cross_entropy_of = [](etch::graph& g) {
    auto x = g.input<float>("x", {g.dim("R"), g.dim("C")});
    auto loss = mean(cross_entropy(x, g.input<int>("label", {g.dim("R")})));
    g.output("gradient", grad(loss, x));
    g.output("loss", loss);
};

template <auto model> bench::task make(int height, int width) {
    struct held {
        etch::function<model> f;
        std::vector<float> x, gain, offset;
        std::vector<int> label;
        int rows, columns;
        auto run() {
            auto matrix = etch::view(x, {rows, columns});
            constexpr auto inputs = etch::plan<model>.view().inputs.size();
            if constexpr (inputs == 1)
                return f(matrix);
            else if constexpr (inputs == 2)
                return f(matrix, label);
            else
                return f(matrix, gain, offset);
        }
    };
    auto all = std::make_shared<held>();
    all->x = rows::x(height, width), all->gain = rows::gain(width),
    all->offset = rows::offset(width);
    all->label = rows::label(height, width), all->rows = height, all->columns = width;
    return {[all] { all->run(); },
            [all] {
                std::vector<double> elements;
                auto results = all->run();
                etch::tensor y = std::get<0>(results);
                bench::sample_elements(elements, y.data<float>(),
                                       static_cast<std::size_t>(y.size()));
                if constexpr (std::tuple_size_v < decltype(results) >> 1)
                    elements.push_back(static_cast<double>(std::get<1>(results)));
                return elements;
            }};
}

}  // namespace

int main() {
    return bench::serve(
        {{"softmax_32x10", [] { return make<softmax_of>(32, 10); }},
         {"softmax_4096x1024", [] { return make<softmax_of>(4096, 1024); }},
         {"layer_norm_32x10", [] { return make<layer_norm_of>(32, 10); }},
         {"layer_norm_4096x1024", [] { return make<layer_norm_of>(4096, 1024); }},
         {"cross_entropy_32x10", [] { return make<cross_entropy_of>(32, 10); }},
         {"cross_entropy_4096x1024", [] { return make<cross_entropy_of>(4096, 1024); }}});
}
