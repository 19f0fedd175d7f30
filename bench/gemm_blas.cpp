// SPDX-License-Identifier: MIT
// The case `gemm` with the CBLAS library that is linked.
#include <cblas.h>

#include "gemm.hpp"

int main() {
    return bench::serve(bench::gemm::all([](bench::gemm::problem& p) {
        cblas_sgemm(CblasRowMajor, p.transpose_a ? CblasTrans : CblasNoTrans,
                    p.transpose_b ? CblasTrans : CblasNoTrans, p.m, p.n, p.k, 1.f, p.a.data(),
                    p.lda(), p.b.data(), p.ldb(), 0.f, p.c.data(), p.n);
    }));
}
