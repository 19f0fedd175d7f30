// SPDX-License-Identifier: MIT
// What functions of packs are written with: polynomials, and the bits of floating numbers.
#pragma once
#include <etch/cpu/instructions.hpp>
#include <etch/cpu/pack.hpp>

namespace etch::cpu {

namespace detail {
/// a b + c, rounded once where the instruction set has that.
template <class T>
[[gnu::always_inline]] inline pack<T> multiply_add(pack<T> a, pack<T> b, pack<T> c) {
    return each<pack<T>>(
        [](auto x, auto y, auto z) __attribute__((always_inline)) { return multiply_add(x, y, z); },
        a, b, c);
}
template <class T, class... C>
pack<T> polynomial_from(pack<T> x, pack<T> s, pack<T> c0, T c1, C... others);
/// c0 + c1 x + c2 x^2 + ... with s = x^2: pairs of terms, so that half as many steps wait for one another.
template <class T, class... C>
[[gnu::always_inline]] inline pack<T> polynomial(pack<T> x, pack<T> s, T c0, C... others) {
    if constexpr (sizeof...(C) == 0)
        return pack<T>(c0);
    else
        return polynomial_from(x, s, pack<T>(c0), T(others)...);
}
template <class T, class... C>
[[gnu::always_inline]] inline pack<T> polynomial_from(pack<T> x, pack<T> s, pack<T> c0, T c1,
                                                      C... others) {
    pack<T> first = multiply_add(pack<T>(c1), x, c0);
    if constexpr (sizeof...(C) == 0)
        return first;
    else
        return multiply_add(polynomial(x, s, T(others)...), s, first);
}
/// The bits of a float or double as integers, and back.
template <class T>
using bits_of = pack<std::conditional_t<sizeof(T) == 8, std::int64_t, std::int32_t>>;
template <class To, class From> [[gnu::always_inline]] inline pack<To> same_bits(pack<From> x) {
    return each<pack<To>>(
        [](auto v) __attribute__((always_inline)) { return (typename pack<To>::vector)v; }, x);
}
template <class I> [[gnu::always_inline]] inline pack<I> mask_bits(pack<I> x, I mask) {
    return each<pack<I>>(
        [mask](auto v) __attribute__((always_inline)) { return v & mask; }, x);
}
[[gnu::always_inline]] inline pack<float> flip_bits(pack<float> x, pack<std::int32_t> mask) {
    return each<pack<float>>(
        [](auto v, auto m) __attribute__((always_inline)) {
            return (pack<float>::vector)((pack<std::int32_t>::vector)v ^ m);
        },
        x, mask);
}
/// x with those bits of y that the mask has.
[[gnu::always_inline]] inline pack<float> join_bits(pack<float> x, pack<float> y,
                                                    std::int32_t mask) {
    return each<pack<float>>(
        [mask](auto v, auto w) __attribute__((always_inline)) {
            using V = pack<std::int32_t>::vector;
            return (pack<float>::vector)((V)v | ((V)w & mask));
        },
        x, y);
}
template <int by, class I> [[gnu::always_inline]] inline pack<I> shift_left(pack<I> x) {
    return each<pack<I>>(
        [](auto v) __attribute__((always_inline)) {
            return (typename pack<I>::vector)((typename pack<I>::wrapping)v << by);
        },
        x);
}
/// Of the bits, the sign's among them; zeros come in.
template <int by, class I> [[gnu::always_inline]] inline pack<I> shift_right(pack<I> x) {
    return each<pack<I>>(
        [](auto v) __attribute__((always_inline)) {
            return (typename pack<I>::vector)((typename pack<I>::wrapping)v >> by);
        },
        x);
}
/// x in [low, high]; nan stays nan.
template <class T> [[gnu::always_inline]] inline pack<T> clamp(pack<T> x, T low, T high) {
    return each<pack<T>>(
        [](auto v, auto l, auto h)
            __attribute__((always_inline)) { return lower_of(h, upper_of(l, v)); },
        x, pack<T>(low), pack<T>(high));
}
template <class T> [[gnu::always_inline]] inline pack<T> at_most(pack<T> x, T most) {
    return each<pack<T>>(
        [](auto v, auto m) __attribute__((always_inline)) { return lower_of(m, v); }, x,
        pack<T>(most));
}
/// |x| with the sign of `sign`.
template <class T> [[gnu::always_inline]] inline pack<T> with_sign(pack<T> x, pack<T> sign) {
    using I = std::conditional_t<sizeof(T) == 8, std::int64_t, std::int32_t>;
    using V = typename pack<T>::vector;
    using U = typename pack<I>::vector;
    return each<pack<T>>(
        [](auto v, auto s) __attribute__((always_inline)) {
            return (V)(((U)v & std::numeric_limits<I>::max()) |
                       ((U)s & std::numeric_limits<I>::min()));
        },
        x, sign);
}
}  // namespace detail

template <class T> [[gnu::always_inline]] inline pack<T> abs(pack<T> x) {
    if constexpr (std::is_floating_point_v<T>)
        return detail::with_sign(x, pack<T>(T(0)));
    else
        return select(x < pack<T>(T(0)), -x, x);
}

}  // namespace etch::cpu
