// SPDX-License-Identifier: MIT
// What each elementwise op does to scalars, and Philox: written from the definitions, once more and independently of the
// rows of the op table, so that a slip in a row shows as a difference.
#pragma once
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <string_view>

#include <etch/graph/dtype.hpp>

namespace reference {

using real_function = double (*)(double, double);
using integer_function = std::int64_t (*)(std::int64_t, std::int64_t);
using real_question = bool (*)(double, double);

/// An integer as its dtype holds it: int32 wraps around.
inline std::int64_t wrapped(etch::dtype d, std::int64_t x) {
    if (d == etch::dtype::int32) return static_cast<std::int32_t>(static_cast<std::uint32_t>(x));
    if (d == etch::dtype::boolean) return x != 0;
    return x;
}
inline std::int64_t wrapped_sum(std::int64_t a, std::int64_t b) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}
inline std::int64_t wrapped_product(std::int64_t a, std::int64_t b) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));
}
/// A floating number as an integer: truncated; what does not fit is the nearest that does, nan is 0.
inline std::int64_t truncated(etch::dtype d, double x) {
    if (std::isnan(x)) return 0;
    double limit = d == etch::dtype::int32 ? 2147483648.0 : 9223372036854775808.0;
    if (x >= limit) return d == etch::dtype::int32 ? INT32_MAX : INT64_MAX;
    if (x <= -limit) return d == etch::dtype::int32 ? INT32_MIN : INT64_MIN;
    return static_cast<std::int64_t>(x);
}

inline const std::map<std::string_view, real_function>& real_functions() {
    static const std::map<std::string_view, real_function> all{
        {"identity", [](double x, double) { return x; }},
        {"stop_gradient", [](double x, double) { return x; }},
        {"negative", [](double x, double) { return -x; }},
        {"abs", [](double x, double) { return std::fabs(x); }},
        {"sign", [](double x, double) { return x > 0   ? 1.0
                                               : x < 0 ? -1.0
                                                       : x; }},
        {"floor", [](double x, double) { return std::floor(x); }},
        {"reciprocal", [](double x, double) { return 1 / x; }},
        {"square", [](double x, double) { return x * x; }},
        {"sqrt", [](double x, double) { return std::sqrt(x); }},
        {"add", [](double a, double b) { return a + b; }},
        {"subtract", [](double a, double b) { return a - b; }},
        {"multiply", [](double a, double b) { return a * b; }},
        {"divide", [](double a, double b) { return a / b; }},
        {"floor_divide", [](double a, double b) { return std::floor(a / b); }},
        {"remainder",
         [](double a, double b) {
             double r = std::fmod(a, b);
             return r != 0 && (r < 0) != (b < 0) ? r + b : r;
         }},
        {"power", [](double a, double b) { return std::pow(a, b); }},
        {"maximum", [](double a, double b) { return std::isnan(a) || a > b ? a : b; }},
        {"minimum", [](double a, double b) { return std::isnan(a) || a < b ? a : b; }},
        {"exp", [](double x, double) { return std::exp(x); }},
        {"expm1", [](double x, double) { return std::expm1(x); }},
        {"log", [](double x, double) { return std::log(x); }},
        {"log1p", [](double x, double) { return std::log1p(x); }},
        {"sin", [](double x, double) { return std::sin(x); }},
        {"cos", [](double x, double) { return std::cos(x); }},
        {"tanh", [](double x, double) { return std::tanh(x); }},
        {"sigmoid",
         [](double x, double) {
             return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x));
         }},
        {"softplus", [](double x, double) { return x > 30 ? x : std::log1p(std::exp(x)); }},
        {"relu", [](double x, double) { return x <= 0 ? 0 : x; }},
        {"erf", [](double x, double) { return std::erf(x); }},
    };
    return all;
}

inline const std::map<std::string_view, integer_function>& integer_functions() {
    using i64 = std::int64_t;
    static const std::map<std::string_view, integer_function> all{
        {"identity", [](i64 x, i64) { return x; }},
        {"stop_gradient", [](i64 x, i64) { return x; }},
        {"negative", [](i64 x, i64) { return wrapped_product(x, -1); }},
        {"abs", [](i64 x, i64) { return x < 0 ? wrapped_product(x, -1) : x; }},
        {"sign", [](i64 x, i64) { return i64{x > 0} - i64{x < 0}; }},
        {"square", [](i64 x, i64) { return wrapped_product(x, x); }},
        {"relu", [](i64 x, i64) { return x < 0 ? 0 : x; }},
        {"add", [](i64 a, i64 b) { return wrapped_sum(a, b); }},
        {"subtract", [](i64 a, i64 b) { return wrapped_sum(a, wrapped_product(b, -1)); }},
        {"multiply", [](i64 a, i64 b) { return wrapped_product(a, b); }},
        {"floor_divide",
         [](i64 a, i64 b) {
             if (b == 0) return i64{0};
             if (b == -1) return wrapped_product(a, -1);
             return a / b - i64{a % b != 0 && (a < 0) != (b < 0)};
         }},
        {"remainder",
         [](i64 a, i64 b) {
             if (b == 0 || b == -1) return i64{0};
             i64 r = a % b;
             return r != 0 && (r < 0) != (b < 0) ? r + b : r;
         }},
        {"maximum", [](i64 a, i64 b) { return a > b ? a : b; }},
        {"minimum", [](i64 a, i64 b) { return a < b ? a : b; }},
        {"less", [](i64 a, i64 b) { return i64{a < b}; }},
        {"less_equal", [](i64 a, i64 b) { return i64{a <= b}; }},
        {"greater", [](i64 a, i64 b) { return i64{a > b}; }},
        {"greater_equal", [](i64 a, i64 b) { return i64{a >= b}; }},
        {"equal", [](i64 a, i64 b) { return i64{a == b}; }},
        {"not_equal", [](i64 a, i64 b) { return i64{a != b}; }},
        {"logical_and", [](i64 a, i64 b) { return i64{a != 0 && b != 0}; }},
        {"logical_or", [](i64 a, i64 b) { return i64{a != 0 || b != 0}; }},
        {"logical_not", [](i64 a, i64) { return i64{a == 0}; }},
    };
    return all;
}

inline const std::map<std::string_view, real_question>& real_questions() {
    static const std::map<std::string_view, real_question> all{
        {"less", [](double a, double b) { return a < b; }},
        {"less_equal", [](double a, double b) { return a <= b; }},
        {"greater", [](double a, double b) { return a > b; }},
        {"greater_equal", [](double a, double b) { return a >= b; }},
        {"equal", [](double a, double b) { return a == b; }},
        {"not_equal", [](double a, double b) { return a != b; }},
    };
    return all;
}

/// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2, 3, SC 2011, section 3.2): ten
/// rounds, each two 32 x 32 -> 64 bit products whose halves are crossed; the key moves by a Weyl sequence.
inline std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                           std::array<std::uint32_t, 2> key) {
    for (int round = 0; round < 10; ++round) {
        std::uint64_t left = std::uint64_t{0xD2511F53} * counter[0],
                      right = std::uint64_t{0xCD9E8D57} * counter[2];
        auto high = [](std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); };
        auto low = [](std::uint64_t x) { return static_cast<std::uint32_t>(x); };
        counter = {high(right) ^ counter[1] ^ key[0], low(right), high(left) ^ counter[3] ^ key[1],
                   low(left)};
        key[0] += 0x9E3779B9;  // the golden ratio
        key[1] += 0xBB67AE85;  // sqrt(3) - 1
    }
    return counter;
}

/// Element i of a draw in [0, 1): 24 bits of one word for float32, 53 of two words for float64.
inline double uniform(etch::dtype d, std::uint64_t i, std::uint64_t ordinal, std::uint64_t step,
                      std::uint64_t key) {
    auto low = [](std::uint64_t x) { return static_cast<std::uint32_t>(x); };
    std::uint64_t in_block = d == etch::dtype::float64 ? 2 : 4, block = i / in_block;
    auto words =
        philox({low(block), low(block >> 32), low(ordinal), low(step)}, {low(key), low(key >> 32)});
    auto at = static_cast<std::size_t>(i % in_block);
    if (in_block == 4) return std::ldexp(static_cast<double>(words[at] >> 8), -24);
    std::uint64_t both = std::uint64_t{words[2 * at]} << 32 | words[2 * at + 1];
    return std::ldexp(static_cast<double>(both >> 11), -53);
}

}  // namespace reference
