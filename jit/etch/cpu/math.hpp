// SPDX-License-Identifier: MIT
// Functions of packs, under the names that rows of the op table call. float is computed in registers; so is
// double but for sin, cos, erf and power, which are the C library's, lane by lane. floor_divide and remainder go lane by
// lane for every dtype.
//
// Largest errors in units of the last place, over all floats, with FMA: floor 0, sqrt and power 0.5, exp 1, log 0.9, erf
// 1.1, sin and cos 1.5, expm1 and log1p 1.6, tanh 2; without FMA they are up to 1 more. So are those of sin and cos for
// arguments of any size. double, on samples: exp, expm1 and log 2, log1p and tanh 4, others 1.1. At 0, -0, 1, infinities,
// nan and beyond overflow values are the C library's. exp and power give denormal results, and denormal arguments are
// taken as they are.
#pragma once
#include <cmath>

#include <etch/cpu/polynomial.hpp>
#include <etch/cpu/trigonometry.hpp>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // g++ 12 warns of its own AVX-512 header
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

namespace etch::cpu {

template <class T> [[gnu::always_inline]] inline pack<T> floor(pack<T> x) {
    return detail::each<pack<T>>(
        [](auto v) __attribute__((always_inline)) { return detail::round_down(v); }, x);
}

/// Rounded correctly.
template <class T> [[gnu::always_inline]] inline pack<T> sqrt(pack<T> x) {
    return detail::each<pack<T>>(
        [](auto v) __attribute__((always_inline)) { return detail::square_root(v); }, x);
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
        x = clamp(x, T(-120), T(100));
        n = (x * P(1.44269504088896341f) + P(0x1.8p23f)) - P(0x1.8p23f);
        r = (x - n * P(0.693359375f)) - n * P(-2.12194440e-4f);
        q = polynomial(r, r * r, 5.0000001201e-1f, 1.6666665459e-1f, 4.1665795894e-2f,
                       8.3334519073e-3f, 1.3981999507e-3f, 1.9875691500e-4f);
    } else {
        x = clamp(x, T(-800), T(800));
        n = (x * P(1.4426950408889634074) + P(0x1.8p52)) - P(0x1.8p52);
        r = (x - n * P(6.93145751953125e-1)) - n * P(1.42860682030941723212e-6);
        q = polynomial(r, r * r, 0.5, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040,
                       1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600,
                       1.0 / 6227020800);
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

namespace detail {
/// n log 2 + log(1 + m) for m in [-1/3, 1/3]. N. Juffa's polynomial.
[[gnu::always_inline]] inline pack<float> join_log(pack<float> n, pack<float> m) {
    using P = pack<float>;
    P s = m * m;
    P r = polynomial(m, s, -0.5f, 0.333331972f, -0.249996200f, 0.200120345f, -0.166846052f,
                     0.139814854f, -0.121484190f, 0.140869141f, -0.130310059f);
    return multiply_add(n, P(0.693147182f), multiply_add(r, s, m));
}
}  // namespace detail

/// x = 2^n (1 + m).
template <class T> [[gnu::always_inline]] inline pack<T> log(pack<T> x) {
    using P = pack<T>;
    auto tiny = x < P(std::numeric_limits<T>::min());
    if constexpr (std::is_same_v<T, float>) {
        using I = pack<std::int32_t>;
        P scaled = select(tiny, x * P(0x1p23f), x);
        I at = detail::same_bits<std::int32_t>(scaled);
        I exponent = detail::mask_bits(at - I(0x3f2aaaab), -0x800000);  // of m + 1 in [2/3, 4/3)
        P n =
            detail::multiply_add(convert<float>(exponent), P(0x1p-23f), select(tiny, P(-23), P(0)));
        P y = detail::join_log(n, detail::same_bits<float>(at - exponent) - P(1));
        const P infinite(std::numeric_limits<float>::infinity());
        // Not a positive finite number: inf and nan as they are, 0 to -inf, less to nan.
        P other = select(x == P(0), -infinite,
                         select(x < P(0), P(std::numeric_limits<float>::quiet_NaN()), x));
        return select(x > P(0) && x < infinite, y, other);
    } else {
        // In the form of FreeBSD's log: with s = m / (2 + m), log(1 + m) = m - (m^2 / 2 - s (m^2 / 2 + R(s^2))).
        using I = pack<std::int64_t>;
        constexpr std::int64_t root = 0x3fe6a09e667f3bcd, one = 0x3ff0000000000000;  // sqrt(1 / 2)
        I at = detail::same_bits<std::int64_t>(select(tiny, x * P(0x1p54), x)) + I(one - root);
        I exponent = detail::shift_right<52>(at);
        P n = detail::same_bits<double>(exponent + I(0x4330000000000000)) -
              select(tiny, P(0x1p52 + 1023 + 54), P(0x1p52 + 1023));
        P m = detail::same_bits<double>(detail::mask_bits(at, (std::int64_t{1} << 52) - 1) +
                                        I(root)) -
              P(1);
        P s = m / (m + P(2)), z = s * s, halved = m * m * P(0.5);
        P r = z * detail::polynomial(z, z * z, 6.666666666666735130e-01, 3.999999999940941908e-01,
                                     2.857142874366239149e-01, 2.222219843214978396e-01,
                                     1.818357216161805012e-01, 1.531383769920937332e-01,
                                     1.479819860511658591e-01);
        P low = detail::multiply_add(n, P(1.90821492927058770002e-10), s * (halved + r));
        P y = detail::multiply_add(n, P(6.93147180369123816490e-01), m - (halved - low));
        const P infinite(std::numeric_limits<double>::infinity());
        P other = select(x == P(0), -infinite,
                         select(x < P(0), P(std::numeric_limits<double>::quiet_NaN()), x));
        return select(x > P(0) && x < infinite, y, other);
    }
}
/// float: 1 + x = 2^n (1 + m) with m = 2^-n x + (2^-n - 1), in which no bit of x is lost.
/// double: log(u) x / (u - 1) with u = 1 + x rounded (W. Kahan): the error of u cancels.
template <class T> [[gnu::always_inline]] inline pack<T> log1p(pack<T> x) {
    using P = pack<T>;
    P u = P(T(1)) + x;
    if constexpr (std::is_same_v<T, float>) {
        using I = pack<std::int32_t>;
        I exponent = detail::mask_bits(detail::same_bits<std::int32_t>(u) - I(0x3f2aaaab),
                                       -0x800000);                     // of m + 1 in [2/3, 4/3)
        P scale = detail::same_bits<float>(I(0x40800000) - exponent);  // 4 / 2^n, never denormal
        P m = detail::same_bits<float>(detail::same_bits<std::int32_t>(x) - exponent) +
              detail::multiply_add(scale, P(0.25f), P(-1));
        P y = detail::join_log(convert<float>(exponent) * P(0x1p-23f), m);
        const P infinite(std::numeric_limits<float>::infinity());
        P other = select(x == P(-1), -infinite,
                         select(x < P(-1), P(std::numeric_limits<float>::quiet_NaN()), x));
        return select(x > P(-1) && x < infinite && x != P(0), y, other);
    } else {
        P y = log(u);
        auto plain = y == P(std::numeric_limits<T>::infinity());
        return select(u == P(T(1)), x, select(plain, y, x * (y / (u - P(T(1))))));
    }
}
/// u / (u + 1) with u = (exp(2 |x|) - 1) / 2; double: by expm1(-2 |x|).
template <class T> [[gnu::always_inline]] inline pack<T> tanh(pack<T> x) {
    using P = pack<T>;
    P t = abs(x);
    if constexpr (std::is_same_v<T, float>) {
        t = detail::at_most(t, 10.f);
        // 2 t = n log 2 + 2 r; n + 127, the exponent of 2^n, lies in the lowest bits of `shifted`.
        P magic(0x1.8p23f + 127), shifted = detail::multiply_add(t, P(2.88539008f), magic);
        P r = detail::multiply_add(magic - shifted, P(0.346573591f), t), s = r * r;
        P q = detail::polynomial(r, s, 0.99999994f, 0.66666168f, 0.333337635f, 0.133867294f,
                                 0.0444239825f);
        q = detail::multiply_add(q, s, r);  // (exp(2 r) - 1) / 2
        P power = detail::same_bits<float>(
            detail::shift_left<23>(detail::same_bits<std::int32_t>(shifted)));
        P u = detail::multiply_add(power, q, detail::multiply_add(power, P(0.5f), P(-0.5f)));
        P y = u / (u + P(1));
        // Also y = u - u y, and near 0 that makes the error of y smaller.
        y = select(t < P(0.3f), u - u * y, y);
        return detail::join_bits(y, x, std::numeric_limits<std::int32_t>::min());
    } else {
        P e = expm1(P(T(-2)) * t);
        return detail::with_sign(e / (e + P(T(2))), x);
    }
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
