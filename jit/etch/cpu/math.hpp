// SPDX-License-Identifier: MIT
// Functions of packs, under the names that rows of the op table call. float is computed in registers, in part by Eigen's
// packet math; so is double but for sin, cos, erf and power, which are the C library's, lane by lane. floor_divide and
// remainder go lane by lane for every dtype.
//
// Errors in units of the last place, largest over all floats in steps of 100,003 and dense points around 0: float floor
// and sqrt exact (sqrt as rounded), power 0.5, exp, log and erf 1, sin and cos 1.5, expm1 and log1p 2, tanh 4; double
// exp, expm1 and log 2, log1p and tanh 4. Without FMA they are up to 1 more. At 0, -0, 1, infinities, nan and
// beyond overflow values are the C library's. exp and power give denormal results and log takes denormal numbers;
// a denormal float may be read as 0 by sin, cos, tanh.
#pragma once
#include <cmath>

#include <etch/cpu/pack.hpp>

#include <Eigen/Core>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // g++ 12 warns of its own AVX-512 header
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

namespace etch::cpu {

namespace detail {
/// f on each register, as an Eigen array.
template <class T, class F, class... P>
[[gnu::always_inline]] inline pack<T> by_eigen(F f, const P&... x) {
    using A = Eigen::Array<T, pack<T>::width, 1>;
    return each<pack<T>>(
        [f](auto... v) __attribute__((always_inline)) {
            using V = typename pack<T>::vector;
            auto read = [](const V& u) __attribute__((always_inline)) {
                A a;
                std::memcpy(a.data(), &u, sizeof u);
                return a;
            };
            A r = f(read(v)...);
            V result;
            std::memcpy(&result, r.data(), sizeof result);
            return result;
        },
        x...);
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

template <class T> [[gnu::always_inline]] inline pack<T> floor(pack<T> x) {
    auto y = detail::by_eigen<T>(
        [](const auto& a) __attribute__((always_inline)) { return a.floor(); }, x);
#if defined(__SSE2__) && !defined(__SSE4_1__)
    y = detail::with_sign(y, x);  // there, Eigen's floor of -0 is 0
#endif
    return y;
}

/// Rounded correctly.
template <class T> [[gnu::always_inline]] inline pack<T> sqrt(pack<T> x) {
#if defined(__SSE2__)
    return detail::each<pack<T>>(
        [](auto v) __attribute__((always_inline)) {
            using V = typename pack<T>::vector;
#if defined(__AVX512F__)
            if constexpr (std::is_same_v<T, float>)
                return (V)_mm512_sqrt_ps((__m512)v);
            else
                return (V)_mm512_sqrt_pd((__m512d)v);
#elif defined(__AVX__)
            if constexpr (std::is_same_v<T, float>)
                return (V)_mm256_sqrt_ps((__m256)v);
            else
                return (V)_mm256_sqrt_pd((__m256d)v);
#else
            if constexpr (std::is_same_v<T, float>)
                return (V)_mm_sqrt_ps((__m128)v);
            else
                return (V)_mm_sqrt_pd((__m128d)v);
#endif
        },
        x);
#else
    return lanewise(x, [](T s) { return std::sqrt(s); });
#endif
}

namespace detail {
/// x 2^n for an integer n in [-2000, 2000], rounded once, to inf and to denormal numbers too. n is held as a T.
template <class T> [[gnu::always_inline]] inline pack<T> scale(pack<T> x, pack<T> n) {
#if defined(__AVX512F__)
    return each<pack<T>>(
        [](auto v, auto k) __attribute__((always_inline)) {
            using V = typename pack<T>::vector;
            if constexpr (sizeof(T) == 4)
                return (V)_mm512_scalef_ps((__m512)v, (__m512)k);
            else
                return (V)_mm512_scalef_pd((__m512d)v, (__m512d)k);
        },
        x, n);
#else
    using I = std::conditional_t<sizeof(T) == 8, std::int64_t, std::int32_t>;
    constexpr I bias = sizeof(T) == 8 ? 1023 : 127, digits = std::numeric_limits<T>::digits - 1;
    constexpr T magic =
        sizeof(T) == 8 ? T(0x1.8p52) : T(0x1.8p23);  // the lowest bits of magic + n are those of n
    return each<pack<T>>(
        [](auto v, auto k) __attribute__((always_inline)) {
            using V = typename pack<T>::vector;
            using U = typename pack<I>::vector;
            using W = typename pack<I>::wrapping;
            U i = (U)(W(U(k + magic)) - W(U(V{} + magic)));
            U halved = i >> 1;
            return v * (V)(W(halved + bias) << digits) * (V)(W(i - halved + bias) << digits);
        },
        x, n);
#endif
}
template <class T> struct reduced {
    pack<T> n, q;  // exp(x) = 2^n (1 + q)
};
/// x = n log 2 + r and q = exp(r) - 1. float: Cephes' polynomial (S. Moshier); double: the first terms of the series.
template <class T> [[gnu::always_inline]] inline reduced<T> reduce_exp(pack<T> x) {
    using P = pack<T>;
    P n, q, r;
    if constexpr (sizeof(T) == 4) {
        x = select(x > P(T(100)), P(T(100)), select(x < P(T(-120)), P(T(-120)), x));
        n = (x * P(1.44269504088896341f) + P(0x1.8p23f)) - P(0x1.8p23f);
        r = (x - n * P(0.693359375f)) - n * P(-2.12194440e-4f);
        q = P(1.9875691500e-4f) * r + P(1.3981999507e-3f);
        q = q * r + P(8.3334519073e-3f);
        q = q * r + P(4.1665795894e-2f);
        q = q * r + P(1.6666665459e-1f);
        q = q * r + P(5.0000001201e-1f);
    } else {
        x = select(x > P(T(800)), P(T(800)), select(x < P(T(-800)), P(T(-800)), x));
        n = (x * P(1.4426950408889634074) + P(0x1.8p52)) - P(0x1.8p52);
        r = (x - n * P(6.93145751953125e-1)) - n * P(1.42860682030941723212e-6);
        q = P(1.0 / 6227020800) * r + P(1.0 / 479001600);
        q = q * r + P(1.0 / 39916800);
        q = q * r + P(1.0 / 3628800);
        q = q * r + P(1.0 / 362880);
        q = q * r + P(1.0 / 40320);
        q = q * r + P(1.0 / 5040);
        q = q * r + P(1.0 / 720);
        q = q * r + P(1.0 / 120);
        q = q * r + P(1.0 / 24);
        q = q * r + P(1.0 / 6);
        q = q * r + P(0.5);
    }
    return {n, q * (r * r) + r};
}
}  // namespace detail

template <class T> [[gnu::always_inline]] inline pack<T> exp(pack<T> x) {
    auto e = detail::reduce_exp(x);
    return detail::scale(pack<T>(T(1)) + e.q, e.n);
}
template <class T> [[gnu::always_inline]] inline pack<T> expm1(pack<T> x) {
    using P = pack<T>;
    auto e = detail::reduce_exp(x);
    P halved = detail::scale(P(T(0.5)), e.n);  // half of 2^n, which may be too large itself
    P y = halved * e.q + (halved - P(T(0.5)));
    y = select(halved == P(std::numeric_limits<T>::infinity()) && x > P(T(0)), halved, y + y);
    return select(abs(x) < P(T(0x1p-60)), x, y);
}

/// Eigen's, extended to denormal numbers.
template <class T> [[gnu::always_inline]] inline pack<T> log(pack<T> x) {
    using P = pack<T>;
    auto tiny = x < P(std::numeric_limits<T>::min());
    P y = detail::by_eigen<T>(
        [](const auto& a) __attribute__((always_inline)) { return a.log(); },
        select(tiny, x * P(T(0x1p54)), x));
    return y - select(tiny, P(T(54 * 0.693147180559945309417)), P(T(0)));
}
/// log(u) x / (u - 1) with u = 1 + x rounded (W. Kahan): the error of u cancels.
template <class T> [[gnu::always_inline]] inline pack<T> log1p(pack<T> x) {
    using P = pack<T>;
    P u = P(T(1)) + x, y = log(u);
    auto plain = y == P(std::numeric_limits<T>::infinity());
    return select(u == P(T(1)), x, select(plain, y, x * (y / (u - P(T(1))))));
}
template <class T> [[gnu::always_inline]] inline pack<T> sin(pack<T> x) {
    if constexpr (std::is_same_v<T, float>)
        return detail::by_eigen<T>(
            [](const auto& a) __attribute__((always_inline)) { return a.sin(); }, x);
    else
        return lanewise(x, [](T s) { return std::sin(s); });
}
template <class T> [[gnu::always_inline]] inline pack<T> cos(pack<T> x) {
    if constexpr (std::is_same_v<T, float>)
        return detail::by_eigen<T>(
            [](const auto& a) __attribute__((always_inline)) { return a.cos(); }, x);
    else
        return lanewise(x, [](T s) { return std::cos(s); });
}
template <class T> [[gnu::always_inline]] inline pack<T> tanh(pack<T> x) {
    if constexpr (std::is_same_v<T, float>)
        return detail::by_eigen<T>(
            [](const auto& a) __attribute__((always_inline)) { return a.tanh(); }, x);
    pack<T> e = expm1(pack<T>(T(-2)) * abs(x));
    return detail::with_sign(e / (e + pack<T>(T(2))), x);
}

/// N. Juffa's single precision form: an odd polynomial below 475 / 512, and 1 - exp(polynomial) above.
template <class T> [[gnu::always_inline]] inline pack<T> erf(pack<T> x) {
    if constexpr (std::is_same_v<T, float>) {
        using P = pack<float>;
        P t = abs(x), s = x * x;
        P r = P(-1.72853470e-5f) * t + P(3.83197126e-4f);
        P u = P(-3.88396438e-3f) * t + P(2.42546219e-2f);
        r = r * s + u;
        r = r * t + P(-1.06777877e-1f);
        r = r * t + P(-6.34846687e-1f);
        r = r * t + P(-1.28717512e-1f);
        r = r * t - t;
        P far = detail::with_sign(P(1) - exp(r), x);
        P q = P(-5.96761703e-4f) * s + P(4.99119423e-3f);
        q = q * s + P(-2.67681349e-2f);
        q = q * s + P(1.12819925e-1f);
        q = q * s + P(-3.76125336e-1f);
        q = q * s + P(1.28379166e-1f);
        P near = q * x + x;
        return select(t > P(4), detail::with_sign(P(1), x), select(t > P(0.927734375f), far, near));
    } else {
        return lanewise(x, [](T s) { return std::erf(s); });
    }
}

/// As std::pow. float is computed in double, where exp(b log|a|) keeps all bits that it needs.
template <class T> [[gnu::always_inline]] inline pack<T> power(pack<T> a, pack<T> b) {
    if constexpr (std::is_same_v<T, float>) {
        using P = pack<float>;
        const P zero(0), one(1), infinite(std::numeric_limits<float>::infinity());
        P y = convert<float>(exp(convert<double>(b) * log(convert<double>(abs(a)))));
        P halved = b * P(0.5f);
        auto integral = floor(b) == b, odd = integral && floor(halved) != halved;
        P sign = select(odd, a, zero);
        y = detail::with_sign(y, sign);
        y = select(a < zero && !integral && a != -infinite && abs(b) != infinite,
                   P(std::numeric_limits<float>::quiet_NaN()), y);
        auto unit = b == zero || a == one || (a == -one && abs(b) == infinite);
        return select(unit, one, y);
    } else {
        return lanewise(a, b, [](T x, T y) { return std::pow(x, y); });
    }
}

namespace detail {
template <class T> inline T scalar_remainder(T a, T b) {
    if constexpr (std::is_floating_point_v<T>) {
        T r = std::fmod(a, b);
        if (r == 0) return std::copysign(T(0), b);
        return b == b && (r < 0) != (b < 0) ? r + b : r;
    } else {
        if (b == 0 || b == -1) return 0;
        T r = static_cast<T>(a % b);
        return r != 0 && (r < 0) != (b < 0) ? static_cast<T>(r + b) : r;
    }
}
template <class T> inline T scalar_floor_divide(T a, T b) {
    if constexpr (std::is_floating_point_v<T>) {
        if (b == 0) return a / b;
        T r = std::fmod(a, b), q = (a - r) / b;  // an integer but for rounding
        if (r != 0 && (r < 0) != (b < 0)) q -= 1;
        if (q == 0) return std::copysign(T(0), a / b);
        T f = std::floor(q);
        return q - f > T(0.5) ? f + 1 : f;
    } else {
        using U = std::make_unsigned_t<T>;
        if (b == 0) return 0;
        if (b == -1) return static_cast<T>(U(0) - static_cast<U>(a));
        T q = static_cast<T>(a / b);
        return a % b != 0 && (a < 0) != (b < 0) ? static_cast<T>(q - 1) : q;
    }
}
}  // namespace detail

/// NumPy's: the integer q with a = q b + remainder(a, b). By an integer 0 it is 0; the least integer by -1 wraps.
template <class T> [[gnu::always_inline]] inline pack<T> floor_divide(pack<T> a, pack<T> b) {
    return lanewise(a, b, [](T x, T y) { return detail::scalar_floor_divide(x, y); });
}
/// NumPy's: exact, with the sign of b. By an integer 0 it is 0.
template <class T> [[gnu::always_inline]] inline pack<T> remainder(pack<T> a, pack<T> b) {
    return lanewise(a, b, [](T x, T y) { return detail::scalar_remainder(x, y); });
}

}  // namespace etch::cpu

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
