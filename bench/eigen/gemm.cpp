// SPDX-License-Identifier: MIT
// The case `gemm` with Eigen's product.
#include <Eigen/Core>

#include "../gemm.hpp"

int main() {
    return bench::serve(bench::products([](const bench::product& p) {
        using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
        Eigen::Map<const matrix> a(p.a, p.transpose_a ? p.k : p.m, p.lda()),
            b(p.b, p.transpose_b ? p.n : p.k, p.ldb());
        Eigen::Map<matrix> c(p.c, p.m, p.n);
        if (p.transpose_a)
            c.noalias() = a.transpose() * b;
        else if (p.transpose_b)
            c.noalias() = a * b.transpose();
        else
            c.noalias() = a * b;
    }));
}
