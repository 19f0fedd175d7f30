// SPDX-License-Identifier: MIT
// The case `movement` with etch.
#include "functions.hpp"

namespace {

constexpr auto transposed_sum = [](etch::graph& g) {
    auto x = g.input<float>("x", {g.dim("C"), g.dim("R")});
    g.output("y", transpose(x) + g.input<float>("z", {g.dim("R"), g.dim("C")}));
};
constexpr auto outer = [](etch::graph& g) {
    auto a = g.input<float>("a", {g.dim("R")});
    auto b = g.input<float>("b", {g.dim("C")}), c = g.input<float>("c", {g.dim("C")});
    g.output("y", expand_dims(a, 1) * b + c);
};
constexpr auto standardize = [](etch::graph& g) {
    auto x = g.input<float>("x", {g.dim("R"), g.dim("C")});
    auto m = g.input<float>("m", {g.dim("C")}), s = g.input<float>("s", {g.dim("C")});
    g.output("y", (x - m) * s);
};
constexpr auto heads = [](etch::graph& g) {
    auto x = g.input<float>("x", {g.dim("B"), g.dim("T"), g.dim("H"), g.dim("F")});
    auto bias = expand_dims(g.input<float>("bias", {g.dim("H"), g.dim("F")}), 1);
    g.output("y", transpose(x, {0, 2, 1, 3}) * 0.125 + bias);
};

}  // namespace

int main() {
    return bench::serve({{"transposed_sum", bench::etch_function<transposed_sum>::make},
                         {"outer", bench::etch_function<outer>::make},
                         {"standardize", bench::etch_function<standardize>::make},
                         {"heads", bench::etch_function<heads>::make}});
}
