// SPDX-License-Identifier: MIT
// The case `reductions` with etch.
#include "functions.hpp"

namespace {

constexpr auto total = [](etch::graph& g) {
    g.output("y", sum(g.input<float>("x", {g.dim("N")})));
};
constexpr auto mean_square = [](etch::graph& g) {
    g.output("y", mean(square(g.input<float>("x", {g.dim("N")}))));
};

template <auto f> struct of_matrix {
    constexpr void operator()(etch::graph& g) const {
        g.output("y", f(g.input<float>("x", {g.dim("R"), g.dim("C")})));
    }
};
constexpr of_matrix<[](etch::expr x) { return sum(x, 1); }> row_sums;
constexpr of_matrix<[](etch::expr x) { return sum(x, 0); }> column_sums;
constexpr of_matrix<[](etch::expr x) { return variance(x, 0); }> column_variance;
constexpr of_matrix<[](etch::expr x) { return argmax(x, 1); }> row_argmax;

}  // namespace

int main() {
    return bench::serve({{"sum", bench::etch_function<total>::make},
                         {"mean_square", bench::etch_function<mean_square>::make},
                         {"row_sums", bench::etch_function<row_sums>::make},
                         {"column_sums", bench::etch_function<column_sums>::make},
                         {"column_variance", bench::etch_function<column_variance>::make},
                         {"row_argmax", bench::etch_function<row_argmax>::make}});
}
