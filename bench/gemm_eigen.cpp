// SPDX-License-Identifier: MIT
// The case `gemm` with Eigen's product.
#include <Eigen/Core>

#include "gemm.hpp"

int main() {
    return bench::serve(bench::gemm::all([](bench::gemm::problem& p) {
        using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
        Eigen::Map<const matrix> a(p.a.data(), p.transpose_a ? p.k : p.m, p.lda()),
            b(p.b.data(), p.transpose_b ? p.n : p.k, p.ldb());
        Eigen::Map<matrix> c(p.c.data(), p.m, p.n);
        if (p.transpose_a)
            c.noalias() = a.transpose() * b;
        else if (p.transpose_b)
            c.noalias() = a * b.transpose();
        else
            c.noalias() = a * b;
    }));
}
