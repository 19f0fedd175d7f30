// SPDX-License-Identifier: MIT
// The case `gemm` with the CBLAS library that is linked.
#include <cblas.h>

#include "../gemm.hpp"

int main() {
    return bench::serve(bench::products([](const bench::product& p) {
        cblas_sgemm(CblasRowMajor, p.transpose_a ? CblasTrans : CblasNoTrans,
                    p.transpose_b ? CblasTrans : CblasNoTrans, p.m, p.n, p.k, 1.f, p.a, p.lda(),
                    p.b, p.ldb(), 0.f, p.c, p.n);
    }));
}
