// SPDX-License-Identifier: MIT
// The case `reductions` as expressions of xtensor.
#include "xtensor.hpp"

namespace {

using bench::adapted;
using bench::job;

void sum(job& j) {
    auto x = adapted<1>(j.in[0]);
    j.out[0].data()[0] = xt::sum(x, xt::evaluation_strategy::immediate)();
}
void mean_square(job& j) {
    auto x = adapted<1>(j.in[0]);
    j.out[0].data()[0] =
        xt::sum(x * x, xt::evaluation_strategy::immediate)() / static_cast<float>(j.in[0].size());
}
template <std::size_t axis> void axis_sums(job& j) {
    auto x = adapted<2>(j.in[0]);
    auto y = adapted<1>(j.out[0]);
    xt::noalias(y) = xt::sum(x, {axis}, xt::evaluation_strategy::immediate);
}
void row_argmax(job& j) {
    auto x = adapted<2>(j.in[0]);
    auto y = adapted<1, int>(j.out[0]);
    xt::noalias(y) = xt::cast<int>(xt::argmax(x, 1));
}
bench::arrays one_index_a_row(const bench::arrays& in) {
    return {bench::array::zeros<int>({in[0].extent(0)})};
}

}  // namespace

int main() {
    return bench::serve({{"sum", bench::pure(bench::scalar, sum)},
                         {"mean_square", bench::pure(bench::scalar, mean_square)},
                         {"row_sums", bench::pure(bench::one_a_row, axis_sums<1>)},
                         {"column_sums", bench::pure(bench::one_a_column, axis_sums<0>)},
                         {"row_argmax", bench::pure(one_index_a_row, row_argmax)}});
}
