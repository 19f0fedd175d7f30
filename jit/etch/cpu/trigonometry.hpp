// SPDX-License-Identifier: MIT
// sin and cos of packs of float: x = n pi / 2 + r with |r| <= pi / 4, and N. Juffa's polynomials of r. Lanes too large for
// that are the C library's, in double, one by one. Packs of double are that for every argument.
#pragma once
#include <cmath>

#include <etch/cpu/polynomial.hpp>

namespace etch::cpu {
namespace detail {

template <bool cosine>
[[gnu::noinline, gnu::cold]] void large_angles(const float* x, float* y, float most) {
    for (int i = 0; i < lanes; ++i)
        if (!(std::fabs(x[i]) <= most)) {
            auto angle = static_cast<double>(x[i]);
            y[i] = static_cast<float>(cosine ? std::cos(angle) : std::sin(angle));
        }
}

template <bool cosine> [[gnu::always_inline]] inline pack<float> wave(pack<float> x) {
    using P = pack<float>;
    using I = pack<std::int32_t>;
    const P magic(0x1.8p23f);  // the lowest bits of magic + n are those of n
    // pi / 2 in parts (W. Cody and W. Waite): n times each but the last is exact for |x| up to `most`.
#if defined(__FMA__) || defined(__AVX512F__)
    constexpr float most = 71476, parts[]{0x1.921fb0p+0f, 0x1.5110b4p-22f, 0x1.846988p-48f};
#else
    constexpr float most = 12800, parts[]{0x1.92p+0f, 0x1.fb4p-12f, 0x1.444p-24f, 0x1.68c234p-39f};
#endif
    P shifted = multiply_add(x, P(0.636619772f), magic), n = shifted - magic, r = x;
    for (float part : parts) r = multiply_add(n, P(-part), r);
    I quarter = same_bits<std::int32_t>(shifted);
    if constexpr (cosine) quarter = quarter + I(1);
    P s = r * r;
    P sine = polynomial(s, s * s, -1.66666672e-1f, 8.33338592e-3f, -1.98559923e-4f, 2.86567956e-6f);
    sine = multiply_add(sine, multiply_add(s, r, P(0)), r);  // with + 0, -0 stays -0
    P other = polynomial(s, s * s, 4.16666567e-2f, -1.38877297e-3f, 2.44677067e-5f);
    other = multiply_add(multiply_add(other, s, P(-0.5f)), s, P(1));
    P y = select(mask_bits(quarter, 1) == I(0), sine, other);
    y = flip_bits(y, shift_left<30>(mask_bits(quarter, 2)));
    if (any(!(abs(x) <= P(most)))) [[unlikely]] {
        alignas(register_bytes) float from[lanes], to[lanes];
        std::memcpy(from, &x, sizeof from);
        std::memcpy(to, &y, sizeof to);
        large_angles<cosine>(from, to, most);
        std::memcpy(&y, to, sizeof to);
    }
    return y;
}
}  // namespace detail

template <class T> [[gnu::always_inline]] inline pack<T> sin(pack<T> x) {
    if constexpr (std::is_same_v<T, float>)
        return detail::wave<false>(x);
    else
        return lanewise(x, [](T s) { return std::sin(s); });
}
template <class T> [[gnu::always_inline]] inline pack<T> cos(pack<T> x) {
    if constexpr (std::is_same_v<T, float>)
        return detail::wave<true>(x);
    else
        return lanewise(x, [](T s) { return std::cos(s); });
}

}  // namespace etch::cpu
