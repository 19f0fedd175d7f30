// SPDX-License-Identifier: MIT
// The largest errors of functions of packs, in units of the last place: float against the C library in double, on every
// 1,009th float, or with ETCH_LONG in the environment on all of them; double against long double, on samples of all sizes.
// also: clang
#include "catch.hpp"

#include <cmath>
#include <cstdio>
#include <cstdlib>

#include <etch/cpu/pack.hpp>

using namespace etch::cpu;

namespace {

/// Distance from the exact value, in units of the last place of T there; below the normal numbers in units of the least
/// one. Both nan, and both infinite after rounding, is 0.
template <class T, class Exact> double error_in_ulp(T got, Exact want) {
    using limits = std::numeric_limits<T>;
    if (want != want || got != got) return (want != want) == (got != got) ? 0 : HUGE_VAL;
    T rounded = static_cast<T>(want);
    if (std::isinf(got) || std::isinf(rounded)) return got == rounded ? 0 : HUGE_VAL;
    Exact size = std::max(std::abs(want), static_cast<Exact>(limits::min()));
    Exact unit = std::ldexp(Exact(1), std::ilogb(size) - limits::digits + 1);
    return static_cast<double>(std::abs(static_cast<Exact>(got) - want) / unit);
}

struct worst_case {
    double error = 0, at = 0;
    template <class T, class Exact> void see(T x, T got, Exact want) {
        double e = error_in_ulp(got, want);
        if (e > error) error = e, at = static_cast<double>(x);
    }
};

std::uint64_t step_of_floats() { return std::getenv("ETCH_LONG") ? 1 : 1009; }

/// f against g over the floats. Each lane is looked at, so that no lane may differ from the others.
template <class F, class G> worst_case over_floats(F f, G g) {
    worst_case worst;
    float x[lanes], y[lanes];
    int n = 0;
    for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << 32); bits += step_of_floats()) {
        auto word = static_cast<std::uint32_t>(bits);
        std::memcpy(&x[n++], &word, sizeof word);
        if (n < lanes) continue;
        n = 0;
        store(f(load(static_cast<const float*>(x))), y);
        for (int i = 0; i < lanes; ++i) worst.see(x[i], y[i], g(static_cast<double>(x[i])));
    }
    return worst;
}
/// Numbers of both signs and of all sizes from 2^low to 2^high.
template <class F, class G> worst_case over_doubles(F f, G g, int low, int high) {
    worst_case worst;
    std::uint64_t state = 12345;
    double x[lanes], y[lanes];
    for (int round = 0; round < 20000; ++round) {
        for (double& u : x) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            double fraction = 1 + static_cast<double>(state >> 12) * 0x1p-52;
            int exponent = low + static_cast<int>((state >> 3) % static_cast<unsigned>(high - low));
            u = std::ldexp(state & 4 ? fraction : -fraction, exponent);
        }
        store(f(load(static_cast<const double*>(x))), y);
        for (int i = 0; i < lanes; ++i) worst.see(x[i], y[i], g(static_cast<long double>(x[i])));
    }
    return worst;
}

#if defined(__FMA__) || defined(__AVX512F__)
constexpr double without_fma = 0;
#else
constexpr double without_fma = 1;
#endif

void require(const char* name, const worst_case& w, double most) {
    INFO(name << ": " << w.error << " ulp at " << w.at);
    CHECK(w.error <= most);
    if (std::getenv("ETCH_LONG")) std::printf("%s: %.3f ulp at %a\n", name, w.error, w.at);
}

}  // namespace

#define ETCH_BOTH(f) #f, [](auto x) { return f(x); }, [](auto x) { return std::f(x); }

TEST_CASE("functions of float are within their stated errors") {
    auto check = [](const char* name, auto f, auto g, double most) {
        require(name, over_floats(f, g), most);
    };
    check(ETCH_BOTH(floor), 0);
    check(ETCH_BOTH(sqrt), 0.5);
    check(ETCH_BOTH(exp), 1 + without_fma);
    check(ETCH_BOTH(expm1), 1.6 + without_fma);
    check(ETCH_BOTH(log), 0.9 + without_fma);
    check(ETCH_BOTH(log1p), 1.6 + without_fma);
    check(ETCH_BOTH(sin), 1.5 + without_fma);
    check(ETCH_BOTH(cos), 1.5 + without_fma);
    check(ETCH_BOTH(tanh), 2 + without_fma);
    check(ETCH_BOTH(erf), 1.1 + without_fma);
}

TEST_CASE("powers of float are rounded as the exact ones") {
    for (float b : {-1.5f, 0.5f, 3.f})
        require("power(x, b)",
                over_floats([b](auto x) { return power(x, pack<float>(b)); },
                            [b](double x) { return std::pow(x, static_cast<double>(b)); }),
                0.501);
    for (float a : {0.7f, 2.f, 10.f})
        require("power(a, x)",
                over_floats([a](auto x) { return power(pack<float>(a), x); },
                            [a](double x) { return std::pow(static_cast<double>(a), x); }),
                0.501);
}

TEST_CASE("functions of double are within their stated errors") {
    auto check = [](const char* name, auto f, auto g, double most, int low, int high) {
        require(name, over_doubles(f, g, low, high), most);
    };
    check(ETCH_BOTH(exp), 2, -60, 11);
    check(ETCH_BOTH(expm1), 2, -60, 11);
    check(ETCH_BOTH(log), 2, -1022, 1023);
    check(ETCH_BOTH(log), 2, -3, 2);
    check(ETCH_BOTH(log1p), 4, -60, 1023);
    check(ETCH_BOTH(sin), 1, -60, 40);
    check(ETCH_BOTH(cos), 1, -60, 40);
    check(ETCH_BOTH(tanh), 4, -60, 6);
    check(ETCH_BOTH(erf), 1.1, -60, 4);
    require("power",
            over_doubles([](auto x) { return power(x, pack<double>(2.5)); },
                         [](long double x) { return std::pow(x, 2.5L); }, -300, 300),
            1);
}

TEST_CASE("an error of more than a unit is seen") {
    auto off = [](auto x) { return exp(x) * pack<float>(1 + 0x1p-22f); };
    CHECK(over_floats(off, [](double x) { return std::exp(x); }).error > 1.5);
    CHECK(error_in_ulp(1.f, 1.0 + 0x1p-23) == 1);
    CHECK(error_in_ulp(1.f, std::nan("")) == HUGE_VAL);
    CHECK(error_in_ulp(std::numeric_limits<float>::infinity(), 1e40) == 0);
    CHECK(error_in_ulp(1.f, 1e40) == HUGE_VAL);
}
