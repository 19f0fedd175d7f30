// SPDX-License-Identifier: MIT
// The case `rows` with etch.
#include "functions.hpp"

namespace {

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

}  // namespace

int main() {
    return bench::serve({{"softmax", bench::etch_function<softmax_of>::make},
                         {"layer_norm", bench::etch_function<layer_norm_of>::make},
                         {"cross_entropy", bench::etch_function<cross_entropy_of>::make}});
}
