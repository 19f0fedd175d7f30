// SPDX-License-Identifier: MIT
// a x + b z + c with stores that pass the caches, which is the limit for results that do not fit there.
#include "../loop/loop.hpp"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace {

#if defined(__AVX512F__)
constexpr int lanes = 16;
void store(float* y, const float* v) { _mm512_stream_ps(y, _mm512_load_ps(v)); }
#elif defined(__AVX__)
constexpr int lanes = 8;
void store(float* y, const float* v) { _mm256_stream_ps(y, _mm256_load_ps(v)); }
#elif defined(__SSE2__)
constexpr int lanes = 4;
void store(float* y, const float* v) { _mm_stream_ps(y, _mm_load_ps(v)); }
#else
constexpr int lanes = 0;
#endif

// Arrays are aligned, and the sizes of the case are multiples of the lanes.
void affine(bench::job& j) {
    if constexpr (lanes != 0) {
        const float *x = j.in[0].data(), *z = j.in[1].data();
        float* y = j.out[0].data();
        [[maybe_unused]] bool large = j.in[0].size() > bench::worth_threads;
        std::int64_t packs = j.in[0].size() / lanes;
#pragma omp parallel for if (large)
        for (std::int64_t p = 0; p < packs; ++p) {
            alignas(64) float pack[lanes];
            for (int i = 0; i < lanes; ++i)
                pack[i] = 1.5f * x[p * lanes + i] - 0.5f * z[p * lanes + i] + 0.25f;
            store(y + p * lanes, pack);
        }
#if defined(__SSE2__)
        _mm_sfence();
#endif
    }
}

}  // namespace

int main() {
    if (lanes == 0) return bench::serve({});
    return bench::serve({{"affine", bench::pure(bench::like_first, affine)}});
}
