// SPDX-License-Identifier: MIT
// The case `kernel_matrix` as array expressions of Eigen, a row at a time.
#include "eigen.hpp"

namespace {

void kernel_matrix(bench::job& j) {
    bench::matrix x = bench::rows_of(j.in[0]), k = bench::rows_of(j.out[0]);
    bench::plain_matrix<float> y = bench::rows_of(j.in[1]).transpose();
    bench::vector sums = bench::flat(j.out[1]);
    for (Eigen::Index i = 0; i < x.rows(); ++i) {
        k.row(i) = (-((y.row(0) - x(i, 0)).square() + (y.row(1) - x(i, 1)).square() +
                      (y.row(2) - x(i, 2)).square()))
                       .exp();
        sums(i) = k.row(i).sum();
    }
}
bench::arrays matrix_and_sums(const bench::arrays& in) {
    std::int64_t rows = in[0].extent(0);
    return {bench::array::zeros({rows, in[1].extent(0)}), bench::array::zeros({rows})};
}

}  // namespace

int main() {
    return bench::serve({{"kernel_matrix", bench::pure(matrix_and_sums, kernel_matrix)}});
}
