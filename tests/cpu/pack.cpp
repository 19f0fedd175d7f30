// SPDX-License-Identifier: MIT
// Packs: arithmetic, memory, conversions, functions against the C library in double, random numbers, and the rows of the
// op table on packs of every dtype that they take.
// also: clang sanitize
#include "catch.hpp"

#include <cmath>
#include <vector>

#include <etch/cpu/random.hpp>
#include <etch/expr/model.hpp>
#include <etch/ops/table.hpp>

using namespace etch::cpu;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity(),
                not_a_number = std::numeric_limits<float>::quiet_NaN();

template <class T> bool same(T a, T b) {
    if constexpr (std::is_floating_point_v<T>) {
        if (a != a || b != b) return a != a && b != b;
        return a == b && std::signbit(a) == std::signbit(b);
    } else {
        return a == b;
    }
}

/// Distance in units of the last place of the rounded reference; both infinite or nan is 0.
template <class T> double ulps(T got, long double want) {
    T rounded = static_cast<T>(want);
    if (want != want || got != got) return (want != want) == (got != got) ? 0 : 1e30;
    if (std::isinf(got) || std::isinf(rounded)) return got == rounded ? 0 : 1e30;
    T magnitude = std::max(std::abs(rounded),
                           std::numeric_limits<T>::min());  // below it: in ulps of the least normal
    int exponent = std::ilogb(magnitude);
    long double unit = std::ldexp(1.0L, exponent - std::numeric_limits<T>::digits + 1);
    return static_cast<double>(std::abs(static_cast<long double>(got) - want) / unit);
}

struct bits_of_float {
    std::uint32_t step;
    template <class F> void operator()(F f) const {
        float x[lanes];
        int n = 0;
        for (std::uint64_t b = 0; b < (1ull << 32); b += step) {
            auto u = static_cast<std::uint32_t>(b);
            std::memcpy(&x[n++], &u, sizeof u);
            if (n == lanes) f(x), n = 0;
        }
    }
};
/// Largest error of f against g over all floats in steps, and over points dense around 0 and 1.
template <class F, class G> double worst_float(F f, G g) {
    double worst = 0;
    float at = 0;
    auto look = [&](const float* x) {
        float y[lanes];
        store(f(load(x)), y);
        for (int i = 0; i < lanes; ++i) {
            double e = ulps(y[i], g(static_cast<double>(x[i])));
            if (e > worst) worst = e, at = x[i];
        }
    };
    bits_of_float{100003}(look);
    float x[lanes];
    for (float scale : {1.f, 4.f, 30.f, 110.f})
        for (int k = -20000; k < 20000; k += lanes) {
            for (int i = 0; i < lanes; ++i) x[i] = scale * static_cast<float>(k + i) / 20000.f;
            look(x);
        }
    INFO("worst at " << at);
    CHECK(worst < 1e9);
    return worst;
}
template <class F, class G> double worst_double(F f, G g, double scale) {
    double worst = 0;
    for (int k = -40000; k < 40000; k += lanes) {
        double x[lanes], y[lanes];
        for (int i = 0; i < lanes; ++i) x[i] = scale * (k + i) / 40000.;
        store(f(load(x)), y);
        for (int i = 0; i < lanes; ++i)
            worst = std::max(worst, ulps(y[i], g(static_cast<long double>(x[i]))));
    }
    return worst;
}

template <class T> std::vector<T> numbers(int n) {
    std::vector<T> v;
    std::uint32_t s = 12345;
    for (int i = 0; i < n; ++i) {
        s = s * 1664525u + 1013904223u;
        if constexpr (std::is_same_v<T, bool>)
            v.push_back((s >> 20 & 1) != 0);
        else
            v.push_back(static_cast<T>(static_cast<int>(s >> 20) % 41 - 20));
    }
    return v;
}
}  // namespace

TEMPLATE_TEST_CASE("packs in memory", "", float, double, std::int32_t, std::int64_t) {
    using T = TestType;
    auto v = numbers<T>(4 * lanes);
    for (int n = 0; n <= lanes; ++n) {
        std::vector<T> exact(v.begin(), v.begin() + n), out(static_cast<std::size_t>(n) + 1, T(99));
        auto x = load(exact.data(), n);
        for (int i = 0; i < lanes; ++i)
            CHECK(x.get(i) == (i < n ? v[static_cast<std::size_t>(i)] : T(0)));
        store(load(v.data()), out.data(), n);
        for (int i = 0; i < n; ++i)
            CHECK(out[static_cast<std::size_t>(i)] == v[static_cast<std::size_t>(i)]);
        CHECK(out.back() == T(99));
    }
    auto strided = load_strided(v.data() + 3 * lanes, -2, lanes);
    for (int i = 0; i < lanes; ++i)
        CHECK(strided.get(i) == v[static_cast<std::size_t>(3 * lanes - 2 * i)]);
    auto check_every = [&]<int every>(std::integral_constant<int, every>) {
        auto many = numbers<T>(every * (lanes - 1) + 1);  // nothing behind the last is read
        auto x = load_every<every>(many.data());
        for (int i = 0; i < lanes; ++i)
            CHECK(x.get(i) == many[static_cast<std::size_t>(every * i)]);
    };
    check_every(std::integral_constant<int, 2>{});
    check_every(std::integral_constant<int, 3>{});
    check_every(std::integral_constant<int, 4>{});
    check_every(std::integral_constant<int, 5>{});
    check_every(std::integral_constant<int, 7>{});
    check_every(std::integral_constant<int, 8>{});
    std::vector<T> out(2 * lanes, T(7));
    store_strided(load(v.data()), out.data(), 2, lanes - 1);
    for (int i = 0; i < lanes - 1; ++i) {
        CHECK(out[static_cast<std::size_t>(2 * i)] == v[static_cast<std::size_t>(i)]);
        CHECK(out[static_cast<std::size_t>(2 * i + 1)] == T(7));
    }
    auto offsets = iota<std::int64_t>(2 * lanes, -1);
    CHECK(gather(v.data(), offsets, lanes).get(lanes - 1) == v[lanes + 1]);
    CHECK(gather(v.data(), offsets, 1).get(1) == T(0));
    alignas(register_bytes) T streamed[lanes];
    store_stream(load(v.data()), streamed);
    stream_fence();
    for (int i = 0; i < lanes; ++i) CHECK(streamed[i] == v[static_cast<std::size_t>(i)]);
    CHECK(iota(T(3), T(2)).get(lanes - 1) == T(3 + 2 * (lanes - 1)));
    CHECK(fold(load(v.data()), [](auto a, auto b) { return a + b; }) == [&] {
        T s(0);
        for (std::size_t i = 0; i < lanes; ++i) s = static_cast<T>(s + v[i]);
        return s;
    }());
    // The tree is by halves, low lane first.
    auto first = fold(iota(T(0), T(1)), [](auto a, auto) { return a; });
    auto last = fold(iota(T(0), T(1)), [](auto, auto b) { return b; });
    CHECK(first == T(0));
    CHECK(last == T(lanes - 1));
}

TEST_CASE("bool in memory is a byte") {
    bool v[lanes + 1], out[lanes + 1];
    for (int i = 0; i <= lanes; ++i) v[i] = i % 3 == 1;
    for (int n = 0; n <= lanes; ++n) {
        std::vector<char> heap(
            static_cast<std::size_t>(n));  // exactly n bytes, for the address sanitizer
        auto* exact = reinterpret_cast<bool*>(heap.data());
        for (int i = 0; i < n; ++i) exact[i] = v[i];
        auto x = load(static_cast<const bool*>(exact), n);
        for (int i = 0; i < lanes; ++i) CHECK(x.get(i) == (i < n && v[i]));
        std::memset(out, 1, sizeof out);
        store(!load(v), out, n);
        for (int i = 0; i <= lanes; ++i) CHECK(out[i] == (i < n ? !v[i] : true));
    }
    auto x = load(v);
    x.set(0, true);
    CHECK(x.get(0));
    store(x, out);
    unsigned char bytes[lanes];
    std::memcpy(bytes, out, lanes);
    for (int i = 0; i < lanes; ++i) CHECK(bytes[i] == (i == 0 || v[i] ? 1 : 0));
    CHECK(pack<bool>(1).get(lanes - 1));
    CHECK_FALSE(pack<bool>(0).get(0));
}

TEMPLATE_TEST_CASE("arithmetic is that of the lanes", "", float, double, std::int32_t,
                   std::int64_t) {
    using T = TestType;
    auto a = numbers<T>(3 * lanes), b = numbers<T>(3 * lanes);
    for (std::size_t at = 0; at < lanes; ++at) {
        auto x = load(a.data() + at), y = load(b.data() + 2 * lanes - at);
        for (int i = 0; i < lanes; ++i) {
            T s = x.get(i), t = y.get(i);
            CHECK((x + y).get(i) == s + t);
            CHECK((x - y).get(i) == s - t);
            CHECK((x * y).get(i) == s * t);
            CHECK(same((-x).get(i), static_cast<T>(-s)));
            CHECK(abs(x).get(i) == std::abs(s));
            CHECK((x < y).get(i) == (s < t));
            CHECK((x <= y).get(i) == (s <= t));
            CHECK((x > y).get(i) == (s > t));
            CHECK((x >= y).get(i) == (s >= t));
            CHECK((x == y).get(i) == (s == t));
            CHECK((x != y).get(i) == (s != t));
            CHECK(select(x < y, x, y).get(i) == std::min(s, t));
            auto m = x<y, n = x> pack<T>(0);
            CHECK((m && n).get(i) == (s < t && s > 0));
            CHECK((m || n).get(i) == (s < t || s > 0));
            CHECK((!m).get(i) == !(s < t));
            CHECK((m == n).get(i) == ((s < t) == (s > 0)));
            CHECK((m != n).get(i) == ((s < t) != (s > 0)));
            CHECK(select(m, n, !n).get(i) == ((s < t) == (s > 0)));
            CHECK(lanewise(x, [](T u) { return static_cast<T>(u + 1); }).get(i) == s + 1);
            if (t != 0) {
                double q = std::floor(static_cast<double>(s) / static_cast<double>(t));
                CHECK(static_cast<double>(floor_divide(x, y).get(i)) == q);
                CHECK(static_cast<double>(remainder(x, y).get(i)) ==
                      static_cast<double>(s) - q * static_cast<double>(t));
            }
            if constexpr (std::is_floating_point_v<T>) CHECK(same((x / y).get(i), s / t));
        }
    }
}

TEMPLATE_TEST_CASE("integers wrap and never trap", "", std::int32_t, std::int64_t) {
    using T = TestType;
    using P = pack<T>;
    constexpr T least = std::numeric_limits<T>::min(), most = std::numeric_limits<T>::max();
    CHECK((P(most) + P(1)).get(0) == least);
    CHECK((P(least) - P(1)).get(1) == most);
    CHECK((P(most) * P(2)).get(2) == -2);
    CHECK((-P(least)).get(3) == least);
    CHECK(abs(P(least)).get(0) == least);
    CHECK(floor_divide(P(least), P(-1)).get(0) == least);
    CHECK(remainder(P(least), P(-1)).get(0) == 0);
    CHECK(floor_divide(P(5), P(0)).get(0) == 0);
    CHECK(remainder(P(5), P(0)).get(0) == 0);
}

TEMPLATE_TEST_CASE("floating floor_divide and remainder are NumPy's", "", float, double) {
    using T = TestType;
    using P = pack<T>;
    const T big = std::numeric_limits<T>::infinity();
    auto q = [](T a, T b) { return floor_divide(P(a), P(b)).get(lanes - 1); };
    auto r = [](T a, T b) { return remainder(P(a), P(b)).get(lanes - 1); };
    CHECK(q(T(-7.5), T(2)) == T(-4));
    CHECK(r(T(-7.5), T(2)) == T(0.5));
    CHECK(r(T(7.5), T(-2)) == T(-0.5));
    CHECK(same(r(T(-4), T(2)), T(0)));
    CHECK(same(r(T(4), T(-2)), T(-0.0)));
    CHECK(same(q(T(1), T(0)), big));
    CHECK(std::isnan(r(T(1), T(0))));
    CHECK(std::isnan(q(big, T(1))));
    CHECK(r(T(3), big) == T(3));
    CHECK(r(T(-3), big) == big);
}

TEST_CASE("conversions are defined for all values") {
    auto to_int = [](float x) { return convert<std::int32_t>(pack<float>(x)).get(lanes - 1); };
    CHECK(to_int(-1.9f) == -1);
    CHECK(to_int(1.9f) == 1);
    CHECK(to_int(not_a_number) == 0);
    CHECK(to_int(infinity) == std::numeric_limits<int>::max());
    CHECK(to_int(-infinity) == std::numeric_limits<int>::min());
    CHECK(to_int(2147483648.f) == std::numeric_limits<int>::max());
    CHECK(to_int(-2147483648.f) == std::numeric_limits<int>::min());
    CHECK(convert<std::int64_t>(pack<float>(1e30f)).get(0) ==
          std::numeric_limits<std::int64_t>::max());
    CHECK(convert<std::int64_t>(pack<double>(-1e300)).get(0) ==
          std::numeric_limits<std::int64_t>::min());
    CHECK(convert<std::int32_t>(pack<double>(-3e9)).get(0) == std::numeric_limits<int>::min());
    CHECK(convert<std::int32_t>(pack<double>(2147483647.5)).get(lanes - 1) == 2147483647);
    CHECK(convert<std::int32_t>(pack<std::int64_t>((std::int64_t{1} << 32) + 5)).get(lanes - 1) ==
          5);
    CHECK(convert<bool>(pack<float>(not_a_number)).get(0));
    CHECK_FALSE(convert<bool>(pack<float>(-0.f)).get(0));
    CHECK(convert<double>(pack<bool>(true)).get(lanes - 1) == 1);
    CHECK(same(pack<float>(-0.f).get(1), -0.f));
    auto f = iota(-3.f, 0.5f);
    for (int i = 0; i < lanes; ++i) {
        CHECK(convert<double>(f).get(i) == static_cast<double>(f.get(i)));
        CHECK(convert<float>(convert<double>(f)).get(i) == f.get(i));
        CHECK(convert<std::int64_t>(f).get(i) == static_cast<std::int64_t>(f.get(i)));
        CHECK(convert<std::int32_t>(f).get(i) == static_cast<std::int32_t>(f.get(i)));
        CHECK(convert<std::int32_t>(convert<double>(f)).get(i) ==
              static_cast<std::int32_t>(f.get(i)));
        CHECK(convert<float>(convert<std::int64_t>(f)).get(i) ==
              static_cast<float>(static_cast<int>(f.get(i))));
        CHECK(convert<bool>(convert<double>(f)).get(i) == (f.get(i) != 0));
    }
}

#define AGAINST(f) [](auto x) { return f(x); }, [](auto x) { return std::f(x); }

TEST_CASE("functions of float: errors in ulp") {
#if defined(__FMA__)
    const double one_more = 0;
#else
    const double one_more = 1;
#endif
    CHECK(worst_float(AGAINST(floor)) == 0);
    CHECK(worst_float(AGAINST(sqrt)) <= 0.5);
    CHECK(worst_float(AGAINST(exp)) <= 2 + one_more);
    CHECK(worst_float(AGAINST(expm1)) <= 2 + one_more);
    CHECK(worst_float(AGAINST(log)) <= 2 + one_more);
    CHECK(worst_float(AGAINST(log1p)) <= 2 + one_more);
    CHECK(worst_float(AGAINST(sin)) <= 2 + one_more);
    CHECK(worst_float(AGAINST(cos)) <= 2 + one_more);
    CHECK(worst_float(AGAINST(tanh)) <= 2 + one_more);
    CHECK(worst_float(AGAINST(erf)) <= 2 + one_more);
    for (float b : {-2.5f, -1.f, 0.f, 0.5f, 2.f, 3.f, 10.f, 33.25f})
        CHECK(worst_float([b](auto x) { return power(x, pack<float>(b)); },
                          [b](auto x) { return std::pow(x, static_cast<double>(b)); }) <= 2);
    for (float a : {-2.f, -0.3f, 0.f, 0.3f, 0.99f, 1.f, 1.01f, 2.f, 10.f})
        CHECK(worst_float([a](auto x) { return power(pack<float>(a), x); },
                          [a](auto x) { return std::pow(static_cast<double>(a), x); }) <= 2);
}

TEST_CASE("functions of double: errors in ulp") {
    for (double scale : {1., 30., 700., 1e5}) {
        CHECK(worst_double(AGAINST(floor), scale) == 0);
        CHECK(worst_double(AGAINST(sqrt), scale) <= 0.51);
        CHECK(worst_double(AGAINST(exp), scale) <= 2);
        CHECK(worst_double(AGAINST(expm1), scale) <= 2);
        CHECK(worst_double(AGAINST(log), scale) <= 2);
        CHECK(worst_double(AGAINST(log1p), scale) <= 4);
        CHECK(worst_double(AGAINST(sin), scale) <= 2);
        CHECK(worst_double(AGAINST(cos), scale) <= 2);
        CHECK(worst_double(AGAINST(tanh), scale) <= 4);
        CHECK(worst_double(AGAINST(erf), scale) <= 2);
        CHECK(worst_double([](auto x) { return power(x, pack<double>(2.5)); },
                           [](auto x) { return std::pow(x, 2.5L); }, scale) <= 2);
        CHECK(worst_double([](auto x) { return power(pack<double>(1.5), x); },
                           [](auto x) { return std::pow(1.5L, x); }, scale) <= 2);
    }
}

TEMPLATE_TEST_CASE("edge values are those of the C library", "", float, double) {
    using T = TestType;
    using limits = std::numeric_limits<T>;
    const T edges[] = {T(0),
                       T(-0.0),
                       T(1),
                       T(-1),
                       T(2),
                       T(-2),
                       T(0.5),
                       T(-0.5),
                       T(3),
                       T(-3),
                       limits::infinity(),
                       -limits::infinity(),
                       limits::quiet_NaN(),
                       limits::max(),
                       limits::lowest(),
                       limits::min(),
                       -limits::min(),
                       limits::epsilon(),
                       T(90),
                       T(-90),
                       T(104),
                       T(-104),
                       T(710),
                       T(-710),
                       T(-746),
                       T(1e7),
                       T(16777217),
                       T(-16777215),
                       T(1e30)};
    auto check = [&](const char* name, auto f, auto g) {
        for (T x : edges) {
            T got = f(pack<T>(x)).get(lanes - 1), want = g(x);
            INFO(name << "(" << x << ") = " << got << ", not " << want);
            bool ok = same(got, want) || (got != 0 && ulps(got, want) <= 4 && !std::isnan(want));
            // A result below the least normal number may be flushed to a zero of its sign.
            ok = ok ||
                 (std::abs(want) < limits::min() && want != 0 && std::abs(got) < 2 * limits::min());
            CHECK(ok);
        }
    };
    check("floor", AGAINST(floor));
    check("sqrt", AGAINST(sqrt));
    check("exp", AGAINST(exp));
    check("expm1", AGAINST(expm1));
    check("log", AGAINST(log));
    check("log1p", AGAINST(log1p));
    check("sin", AGAINST(sin));
    check("cos", AGAINST(cos));
    check("tanh", AGAINST(tanh));
    check("erf", AGAINST(erf));
    for (T y : edges) {
        INFO("exponent " << y);
        check(
            "power", [y](auto x) { return power(x, pack<T>(y)); },
            [y](T x) { return std::pow(x, y); });
    }
}

// ---- the rows of the op table -------------------------------------------------------------------------------------

namespace {
template <class Row, class T> constexpr bool taken() {
    using etch::accepts;
    constexpr accepts a = Row::takes;
    if constexpr (a == accepts::any)
        return true;
    else if constexpr (a == accepts::boolean)
        return std::is_same_v<T, bool>;
    else if constexpr (a == accepts::integer)
        return std::is_integral_v<T> && !std::is_same_v<T, bool>;
    else if constexpr (a == accepts::floating)
        return std::is_floating_point_v<T>;
    else
        return !std::is_same_v<T, bool>;
}
template <class Row, class T> [[gnu::noinline]] int instantiate() {
    pack<T> x(T(1));
    if constexpr (Row::kind != etch::op_class::elementwise) {
        if constexpr (requires { Row::template neutral<T>(); }) {
            if constexpr (!std::is_same_v<T, bool>) {
                pack<T> y = Row::combine(x, pack<T>(Row::template neutral<T>()));
                CHECK(y.get(0) == T(1));
                return 1;
            }
        }
        return 0;
    } else if constexpr (!taken<Row, T>()) {
        return 0;
    } else {
        if constexpr (std::is_same_v<Row, etch::where_row>)
            CHECK(Row::cpu(pack<bool>(true), x, x).get(0) == T(1));
        else if constexpr (Row::arity == 1)
            (void)Row::cpu(x).get(0);
        else
            (void)Row::cpu(x, x).get(0);
        if constexpr (Row::arity == 2 && Row::result == etch::gives::boolean)
            static_assert(std::is_same_v<decltype(Row::cpu(x, x)), pack<bool>>);
        return 1;
    }
}
template <class... Row> int instantiate_all(etch::rows<Row...>) {
    int n = 0;
    ((n += instantiate<Row, float>() + instantiate<Row, double>() +
           instantiate<Row, std::int32_t>() + instantiate<Row, std::int64_t>() +
           instantiate<Row, bool>()),
     ...);
    return n;
}
}  // namespace

TEST_CASE("every elementwise row runs on packs of the dtypes that it takes") {
    CHECK(instantiate_all(etch::all_rows{}) > 100);
    using P = pack<float>;
    CHECK(std::isnan(etch::maximum_row::cpu(P(not_a_number), P(1)).get(0)));
    CHECK(std::isnan(etch::maximum_row::cpu(P(1), P(not_a_number)).get(0)));
    CHECK(etch::sigmoid_row::cpu(P(-1000)).get(0) == 0);
    CHECK(etch::softplus_row::cpu(P(1000)).get(0) == 1000);
    CHECK(std::isnan(etch::relu_row::cpu(P(not_a_number)).get(0)));
    CHECK(same(etch::sign_row::cpu(P(-0.f)).get(0), -0.f));
}

// ---- random numbers -----------------------------------------------------------------------------------------------

TEST_CASE("philox has its published values") {
    std::uint64_t c[4] = {0, 0, 0, 0};
    detail::philox(c, 0);
    CHECK(c[0] == 0x6627e8d5u);
    CHECK(c[1] == 0xe169c58du);
    CHECK(c[2] == 0xbc57ac4cu);
    CHECK(c[3] == 0x9b00dbd8u);
    std::uint64_t d[4] = {0x243f6a88, 0x85a308d3, 0x13198a2e,
                          0x03707344};  // Random123's kat_vectors
    detail::philox(d, 0x299f31d0a4093822u);
    CHECK(d[0] == 0xd16cfe09u);
    CHECK(d[1] == 0x94fdccebu);
    CHECK(d[2] == 0x5001e420u);
    CHECK(d[3] == 0x24126ea1u);
    CHECK(uniform<float>(0, 0, 0, 0) == static_cast<float>(0x6627e8) * 0x1p-24f);
    CHECK(uniform<double>(0, 0, 0, 1) == static_cast<double>(0xbc57ac4c9b00dbd8u >> 11) * 0x1p-53);
}

TEMPLATE_TEST_CASE("a pack of random numbers has the elements of its indices", "", float, double) {
    using T = TestType;
    for (std::uint64_t first :
         {0ull, 1ull, 2ull, 3ull, 64ull, 1001ull, (1ull << 34) - 3, (1ull << 40) + 2}) {
        auto x = uniform_pack<T>(0x123456789abcdefu, 77, 3, first);
        for (int i = 0; i < lanes; ++i) {
            CHECK(x.get(i) ==
                  uniform<T>(0x123456789abcdefu, 77, 3, first + static_cast<std::uint64_t>(i)));
            CHECK(x.get(i) >= 0);
            CHECK(x.get(i) < 1);
        }
    }
    CHECK(uniform<T>(1, 0, 0, 0) != uniform<T>(2, 0, 0, 0));
    CHECK(uniform<T>(1, 0, 0, 0) != uniform<T>(1, 1, 0, 0));
    CHECK(uniform<T>(1, 0, 0, 0) != uniform<T>(1, 0, 1, 0));
}
