// SPDX-License-Identifier: MIT
// The case `gemm`: products of float matrices as they lie in memory, row by row.
#pragma once
#include "worker.hpp"

namespace bench {

/// c{m, n} = op(a) op(b); op is the transpose where that is said.
struct product {
    const float *a, *b;
    float* c;
    int m, n, k;
    bool transpose_a, transpose_b;
    int lda() const { return transpose_a ? m : k; }
    int ldb() const { return transpose_b ? k : n; }
};

inline functions products(void (*multiply)(const product&)) {
    auto one = [multiply](bool ta, bool tb) {
        auto shape_of = [=](const array& a, const array& b) {
            product p{a.data(), b.data(), nullptr, 0, 0, 0, ta, tb};
            p.m = static_cast<int>(a.extent(ta ? 1 : 0));
            p.k = static_cast<int>(a.extent(ta ? 0 : 1));
            p.n = static_cast<int>(b.extent(tb ? 0 : 1));
            return p;
        };
        return pure(
            [=](const arrays& in) {
                product p = shape_of(in[0], in[1]);
                return arrays{array::zeros({p.m, p.n})};
            },
            [=](job& j) {
                product p = shape_of(j.in[0], j.in[1]);
                p.c = j.out[0].data();
                multiply(p);
            });
    };
    return {
        {"gemm", one(false, false)}, {"gemm_ta", one(true, false)}, {"gemm_tb", one(false, true)}};
}

}  // namespace bench
