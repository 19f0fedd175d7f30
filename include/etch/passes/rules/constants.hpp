// SPDX-License-Identifier: MIT
// Constant folding: elementwise ops on constants of rank 0, in the dtype's own arithmetic. What would not be finite
// is left to run time: constant evaluation refuses it. Broadcast constants arrive here once their broadcast has
// moved out.
#pragma once
#include <etch/passes/rules/match.hpp>

namespace etch::rules {

constexpr int exponent(double x) {
    return static_cast<int>((std::bit_cast<std::uint64_t>(x) >> 52) & 0x7ff);
}
constexpr bool is_finite(double x) { return exponent(x) != 0x7ff; }
constexpr bool is_nan(double x) {
    return !is_finite(x) && (std::bit_cast<std::uint64_t>(x) << 12) != 0;
}

/// r as a constant of dtype d, where it fits.
constexpr expr folded(graph& g, dtype d, double r) {
    constexpr double largest = 3.4028234663852886e38;  // of float32
    if (!is_finite(r) || (d == dtype::float32 && (r > largest || r < -largest))) return refuse(g);
    return scalar(g, d, r);
}

/// Sums, products and quotients of two float32, rounded to double and then to float32, are rounded as if once: a
/// double has more than 2 * 24 + 2 digits (Figueroa, When is double rounding innocuous?, 1995).
constexpr expr fold_real(graph& g, op_id op, dtype d, double a, double b) {
    if (!is_finite(a) || !is_finite(b)) return refuse(g);
    int ea = exponent(a), eb = exponent(b);
    bool adds = ea < 2046 && eb < 2046, multiplies = ea + eb < 3060,
         divides = b != 0 && ea - eb < 1015;
    bool squares = 2 * ea < 3060, inverts = a != 0 && ea > 10;
    if (op == op_of<add_row>() && adds) return folded(g, d, a + b);
    if (op == op_of<subtract_row>() && adds) return folded(g, d, a - b);
    if (op == op_of<multiply_row>() && multiplies) return folded(g, d, a * b);
    if (op == op_of<divide_row>() && divides) return folded(g, d, a / b);
    if (op == op_of<negative_row>()) return folded(g, d, -a);
    if (op == op_of<abs_row>()) return folded(g, d, a < 0 ? -a : a == 0 ? 0.0 : a);
    if (op == op_of<square_row>() && squares) return folded(g, d, a * a);
    if (op == op_of<reciprocal_row>() && inverts) return folded(g, d, 1 / a);
    if (op == op_of<maximum_row>()) return folded(g, d, a > b ? a : b);
    if (op == op_of<minimum_row>()) return folded(g, d, a < b ? a : b);
    if (op == op_of<relu_row>()) return folded(g, d, a <= 0 ? 0.0 : a);
    if (op == op_of<sign_row>()) return folded(g, d, a > 0 ? 1.0 : a < 0 ? -1.0 : a);
    if (op == op_of<floor_row>() && a > -1e15 && a < 1e15) {
        auto n = static_cast<double>(static_cast<std::int64_t>(a));  // towards 0
        return n == 0 && a >= 0 ? folded(g, d, a == 0 ? a : 0.0) : folded(g, d, n > a ? n - 1 : n);
    }
    return refuse(g);
}
/// floor(a / b); by 0 it is 0, and the least integer by -1 wraps.
constexpr std::int64_t floor_quotient(std::int64_t a, std::int64_t b) {
    if (b == 0) return 0;
    if (b == -1) return static_cast<std::int64_t>(0 - static_cast<std::uint64_t>(a));
    std::int64_t q = a / b;
    return a % b != 0 && (a < 0) != (b < 0) ? q - 1 : q;
}
/// Integers wrap around.
constexpr expr fold_integer(graph& g, op_id op, dtype d, std::int64_t a, std::int64_t b) {
    auto u = static_cast<std::uint64_t>(a), v = static_cast<std::uint64_t>(b), r = std::uint64_t{0};
    if (op == op_of<add_row>())
        r = u + v;
    else if (op == op_of<subtract_row>())
        r = u - v;
    else if (op == op_of<multiply_row>())
        r = u * v;
    else if (op == op_of<negative_row>())
        r = 0 - u;
    else if (op == op_of<abs_row>())
        r = a < 0 ? 0 - u : u;
    else if (op == op_of<square_row>())
        r = u * u;
    else if (op == op_of<maximum_row>())
        r = a > b ? u : v;
    else if (op == op_of<minimum_row>())
        r = a < b ? u : v;
    else if (op == op_of<relu_row>())
        r = a <= 0 ? 0 : u;
    else if (op == op_of<sign_row>())
        r = a > 0 ? 1 : a < 0 ? 0 - std::uint64_t{1} : 0;
    else if (op == op_of<floor_divide_row>())
        r = static_cast<std::uint64_t>(floor_quotient(a, b));
    else if (op == op_of<remainder_row>())
        r = u - v * static_cast<std::uint64_t>(floor_quotient(a, b));
    else
        return refuse(g);
    if (op == op_of<remainder_row>() && b == 0) r = 0;
    auto wrapped =
        d == dtype::int32
            ? static_cast<std::int64_t>(static_cast<std::int32_t>(static_cast<std::uint32_t>(r)))
            : static_cast<std::int64_t>(r);
    return detail::constant_word(g, d, wrapped);
}
template <class T> constexpr int compared(op_id op, T a, T b) {
    if (op == op_of<less_row>()) return a < b;
    if (op == op_of<less_equal_row>()) return a <= b;
    if (op == op_of<greater_row>()) return a > b;
    if (op == op_of<greater_equal_row>()) return a >= b;
    if (op == op_of<equal_row>()) return a == b;
    if (op == op_of<not_equal_row>()) return a != b;
    return -1;
}
constexpr expr fold_cast(graph& g, dtype from, dtype to, std::int64_t word) {
    if (is_floating(from)) {
        double x = std::bit_cast<double>(word);
        if (is_boolean(to)) return detail::constant_word(g, to, is_nan(x) || x != 0);
        if (is_floating(to)) return folded(g, to, x);
        double limit = to == dtype::int32 ? 2147483648.0 : 9223372036854775808.0;
        if (!(x > -limit && x < limit)) return refuse(g);
        return detail::constant_word(g, to, static_cast<std::int64_t>(x));
    }
    if (is_boolean(to)) return detail::constant_word(g, to, word != 0);
    if (to == dtype::float64) return scalar(g, to, static_cast<double>(word));
    if (to == dtype::float32) return scalar(g, to, static_cast<double>(static_cast<float>(word)));
    if (to == dtype::int32)
        return detail::constant_word(g, to,
                                     static_cast<std::int32_t>(static_cast<std::uint32_t>(word)));
    return detail::constant_word(g, to, word);
}

constexpr expr constant_folding(graph& g, int v) {
    if (g.type_of(v).rank != 0) return refuse(g);
    const node n = g.node_of(v);
    std::int64_t word[3]{};
    dtype d{};
    for (int k = 0; k < n.operands.count; ++k) {
        int u = operand_of(g, v, k);
        if (!is<constant_row>(g, u)) return refuse(g);
        word[k] = g.attributes(g.node_of(u))[2];
        d = g.type_of(u).element;
    }
    if (n.op == op_of<cast_row>()) return fold_cast(g, d, g.type_of(v).element, word[0]);
    if (n.op == op_of<logical_and_row>()) return detail::constant_word(g, d, word[0] && word[1]);
    if (n.op == op_of<logical_or_row>()) return detail::constant_word(g, d, word[0] || word[1]);
    if (n.op == op_of<logical_not_row>()) return detail::constant_word(g, d, !word[0]);
    if (n.op == op_of<where_row>()) return at(g, operand_of(g, v, word[0] ? 1 : 2));
    if (row_of(n).result == gives::boolean) {
        int r = -1;
        if (is_floating(d)) {
            double a = std::bit_cast<double>(word[0]), b = std::bit_cast<double>(word[1]);
            r = is_nan(a) || is_nan(b) ? n.op == op_of<not_equal_row>() : compared(n.op, a, b);
        } else {
            r = compared(n.op, word[0], word[1]);
        }
        return r < 0 ? refuse(g) : detail::constant_word(g, dtype::boolean, r);
    }
    if (is_floating(d))
        return fold_real(g, n.op, d, std::bit_cast<double>(word[0]),
                         std::bit_cast<double>(word[1]));
    return is_integer(d) ? fold_integer(g, n.op, d, word[0], word[1]) : refuse(g);
}

}  // namespace etch::rules
