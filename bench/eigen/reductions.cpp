// SPDX-License-Identifier: MIT
// The case `reductions` as array expressions of Eigen.
#include "eigen.hpp"

namespace {

using bench::flat;
using bench::job;
using bench::rows_of;

void sum(job& j) { flat(j.out[0])(0) = flat(j.in[0]).sum(); }
void mean_square(job& j) { flat(j.out[0])(0) = flat(j.in[0]).square().mean(); }
void row_sums(job& j) { flat(j.out[0]) = rows_of(j.in[0]).rowwise().sum(); }
void column_sums(job& j) { rows_of(j.out[0]) = rows_of(j.in[0]).colwise().sum(); }
void column_variance(job& j) {
    bench::matrix x = rows_of(j.in[0]);
    Eigen::Array<float, 1, Eigen::Dynamic> mean = x.colwise().mean();
    rows_of(j.out[0]) = (x.rowwise() - mean).square().colwise().mean();
}
void row_argmax(job& j) {
    bench::matrix x = rows_of(j.in[0]);
    int* y = j.out[0].data<int>();
    for (Eigen::Index i = 0; i < x.rows(); ++i) {
        Eigen::Index at = 0;
        x.row(i).maxCoeff(&at);
        y[i] = static_cast<int>(at);
    }
}
bench::arrays one_index_a_row(const bench::arrays& in) {
    return {bench::array::zeros<int>({in[0].extent(0)})};
}

}  // namespace

int main() {
    return bench::serve({{"sum", bench::pure(bench::scalar, sum)},
                         {"mean_square", bench::pure(bench::scalar, mean_square)},
                         {"row_sums", bench::pure(bench::one_a_row, row_sums)},
                         {"column_sums", bench::pure(bench::one_a_column, column_sums)},
                         {"column_variance", bench::pure(bench::one_a_column, column_variance)},
                         {"row_argmax", bench::pure(one_index_a_row, row_argmax)}});
}
