// SPDX-License-Identifier: MIT
// The case `kernel_matrix` with etch: exp(-|x - y|^2) of all pairs of points, and the sums of its rows.
#include "functions.hpp"

namespace {

constexpr auto kernel_matrix = [](etch::graph& g) {
    auto x = g.input<float>("x", {g.dim("R"), 3}), y = g.input<float>("y", {g.dim("C"), 3});
    auto k = exp(-sum(square(expand_dims(x, 1) - expand_dims(y, 0)), -1));
    g.output("k", k);
    g.output("sums", sum(k, 1));
};

}  // namespace

int main() { return bench::serve({{"kernel_matrix", bench::etch_function<kernel_matrix>::make}}); }
