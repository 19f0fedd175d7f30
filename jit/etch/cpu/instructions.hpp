// SPDX-License-Identifier: MIT
// Single instructions that the compilers' vector extensions have no operator for, on registers of float and of double:
// square roots, rounding down, a b + c rounded once where there is an instruction for it, and the lower or upper one of two
// numbers, of which the second is the result where either is nan. Where no such instructions are known, plain code does the same.
#pragma once
#include <cmath>

#include <etch/cpu/pack.hpp>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // g++ 12 warns of its own AVX-512 header
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

namespace etch::cpu::detail {

using floats = pack<float>::vector;
using doubles = pack<double>::vector;

#if defined(__AVX512F__)
[[gnu::always_inline]] inline floats square_root(floats v) {
    return (floats)_mm512_sqrt_ps((__m512)v);
}
[[gnu::always_inline]] inline doubles square_root(doubles v) {
    return (doubles)_mm512_sqrt_pd((__m512d)v);
}
[[gnu::always_inline]] inline floats lower_of(floats a, floats v) {
    return (floats)_mm512_min_ps((__m512)a, (__m512)v);
}
[[gnu::always_inline]] inline doubles lower_of(doubles a, doubles v) {
    return (doubles)_mm512_min_pd((__m512d)a, (__m512d)v);
}
[[gnu::always_inline]] inline floats upper_of(floats a, floats v) {
    return (floats)_mm512_max_ps((__m512)a, (__m512)v);
}
[[gnu::always_inline]] inline doubles upper_of(doubles a, doubles v) {
    return (doubles)_mm512_max_pd((__m512d)a, (__m512d)v);
}
[[gnu::always_inline]] inline floats multiply_add(floats a, floats b, floats c) {
    return (floats)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
[[gnu::always_inline]] inline doubles multiply_add(doubles a, doubles b, doubles c) {
    return (doubles)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
}
#elif defined(__AVX__)
[[gnu::always_inline]] inline floats square_root(floats v) {
    return (floats)_mm256_sqrt_ps((__m256)v);
}
[[gnu::always_inline]] inline doubles square_root(doubles v) {
    return (doubles)_mm256_sqrt_pd((__m256d)v);
}
[[gnu::always_inline]] inline floats lower_of(floats a, floats v) {
    return (floats)_mm256_min_ps((__m256)a, (__m256)v);
}
[[gnu::always_inline]] inline doubles lower_of(doubles a, doubles v) {
    return (doubles)_mm256_min_pd((__m256d)a, (__m256d)v);
}
[[gnu::always_inline]] inline floats upper_of(floats a, floats v) {
    return (floats)_mm256_max_ps((__m256)a, (__m256)v);
}
[[gnu::always_inline]] inline doubles upper_of(doubles a, doubles v) {
    return (doubles)_mm256_max_pd((__m256d)a, (__m256d)v);
}
#elif defined(__SSE2__)
[[gnu::always_inline]] inline floats square_root(floats v) {
    return (floats)_mm_sqrt_ps((__m128)v);
}
[[gnu::always_inline]] inline doubles square_root(doubles v) {
    return (doubles)_mm_sqrt_pd((__m128d)v);
}
[[gnu::always_inline]] inline floats lower_of(floats a, floats v) {
    return (floats)_mm_min_ps((__m128)a, (__m128)v);
}
[[gnu::always_inline]] inline doubles lower_of(doubles a, doubles v) {
    return (doubles)_mm_min_pd((__m128d)a, (__m128d)v);
}
[[gnu::always_inline]] inline floats upper_of(floats a, floats v) {
    return (floats)_mm_max_ps((__m128)a, (__m128)v);
}
[[gnu::always_inline]] inline doubles upper_of(doubles a, doubles v) {
    return (doubles)_mm_max_pd((__m128d)a, (__m128d)v);
}
#else
template <class V> [[gnu::always_inline]] inline V square_root(V v) {
    for (std::size_t i = 0; i < sizeof v / sizeof v[0]; ++i) v[i] = std::sqrt(v[i]);
    return v;
}
template <class V> [[gnu::always_inline]] inline V lower_of(V a, V v) { return a < v ? a : v; }
template <class V> [[gnu::always_inline]] inline V upper_of(V a, V v) { return a > v ? a : v; }
#endif

#if defined(__AVX512F__)
[[gnu::always_inline]] inline floats round_down(floats v) {
    return (floats)_mm512_roundscale_ps((__m512)v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}
[[gnu::always_inline]] inline doubles round_down(doubles v) {
    return (doubles)_mm512_roundscale_pd((__m512d)v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}
[[gnu::always_inline]] inline bool any(pack<bool> m) {
    return _mm512_test_epi32_mask((__m512i)m.part[0], (__m512i)m.part[0]) != 0;
}
#elif defined(__AVX__)
[[gnu::always_inline]] inline floats round_down(floats v) {
    return (floats)_mm256_floor_ps((__m256)v);
}
[[gnu::always_inline]] inline doubles round_down(doubles v) {
    return (doubles)_mm256_floor_pd((__m256d)v);
}
[[gnu::always_inline]] inline bool any(pack<bool> m) {
    return _mm256_movemask_ps((__m256)m.part[0]) != 0;
}
#else
template <class I, class V> [[gnu::always_inline]] inline V round_down(V v, V integers) {
    I sign = (I)v & std::numeric_limits<std::remove_reference_t<decltype(I{}[0])>>::min();
    V size = (V)((I)v ^ sign), whole = (V)((I)((size + integers) - integers) | sign);
    whole -= (V)((I)(V{} + 1) & (whole > v));
    return size < integers ? whole : v;
}
// From these numbers on all are integers.
[[gnu::always_inline]] inline floats round_down(floats v) {
    return round_down<pack<std::int32_t>::vector>(v, floats{} + 0x1p23f);
}
[[gnu::always_inline]] inline doubles round_down(doubles v) {
    return round_down<pack<std::int64_t>::vector>(v, doubles{} + 0x1p52);
}
/// Whether the mask holds in any lane.
[[gnu::always_inline]] inline bool any(pack<bool> m) {
    bool found = false;
    for (int i = 0; i < lanes; ++i) found = found || m.get(i);
    return found;
}
#endif

#if defined(__AVX512F__)
#elif defined(__FMA__)
[[gnu::always_inline]] inline floats multiply_add(floats a, floats b, floats c) {
    return (floats)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
[[gnu::always_inline]] inline doubles multiply_add(doubles a, doubles b, doubles c) {
    return (doubles)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
}
#else
template <class V> [[gnu::always_inline]] inline V multiply_add(V a, V b, V c) { return a * b + c; }
#endif

}  // namespace etch::cpu::detail

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
