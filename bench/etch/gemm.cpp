// SPDX-License-Identifier: MIT
// The case `gemm` with etch.
#include <etch/cpu/gemm.hpp>

#include "../gemm.hpp"

int main() {
    return bench::serve(bench::products([](const bench::product& p) {
        etch::cpu::gemm(etch::cpu::gemm_call<float>{p.a, p.b, p.c, p.m, p.n, p.k, p.lda(), p.ldb(),
                                                    p.n, p.transpose_a, p.transpose_b});
    }));
}
