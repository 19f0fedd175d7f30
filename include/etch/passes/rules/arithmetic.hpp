// SPDX-License-Identifier: MIT
// Rules of arithmetic and logic: neutral elements, signs that cancel, conversions that cancel.
#pragma once
#include <etch/passes/rules/match.hpp>

namespace etch::rules {

constexpr bool is_positive_zero(const graph& g, int v) {
    double c = 0;
    return detail::constant_number(g, v, c) && std::bit_cast<std::uint64_t>(c) == 0;
}

// identity(x) and stop_gradient(x) mean something to derivatives only.
constexpr expr remove_marker(graph& g, int v) { return at(g, operand_of(g, v)); }

// x + 0 -> x: -0 + 0 is 0
constexpr expr add_zero(graph& g, int v) {
    int x = -1;
    return has_number(g, v, 0, x) ? at(g, x) : refuse(g);
}
// x - 0 -> x
constexpr expr subtract_zero(graph& g, int v) {
    return is_positive_zero(g, operand_of(g, v, 1)) ? at(g, operand_of(g, v)) : refuse(g);
}
// 0 - x -> -x: 0 - 0 is 0
constexpr expr subtract_from_zero(graph& g, int v) {
    return is_number(g, operand_of(g, v), 0) ? make<negative_row>(g, operand_of(g, v, 1))
                                             : refuse(g);
}
// x * 1 -> x, x * -1 -> -x
constexpr expr multiply_by_one(graph& g, int v) {
    int x = -1;
    if (has_number(g, v, 1, x)) return at(g, x);
    return has_number(g, v, -1, x) ? make<negative_row>(g, x) : refuse(g);
}
// x / 1 -> x, x / -1 -> -x
constexpr expr divide_by_one(graph& g, int v) {
    int x = operand_of(g, v), y = operand_of(g, v, 1);
    if (is_number(g, y, 1)) return at(g, x);
    return is_number(g, y, -1) ? make<negative_row>(g, x) : refuse(g);
}
// 1 / x -> reciprocal(x)
constexpr expr divide_into_one(graph& g, int v) {
    return is_number(g, operand_of(g, v), 1) ? make<reciprocal_row>(g, operand_of(g, v, 1))
                                             : refuse(g);
}
// x / 2^k -> x * 2^-k, where the inverse is a normal number of the dtype
constexpr expr divide_by_power_of_two(graph& g, int v) {
    double c = 0;
    if (!detail::constant_number(g, operand_of(g, v, 1), c)) return refuse(g);
    auto bits = std::bit_cast<std::uint64_t>(c);
    auto e = static_cast<int>((bits >> 52) & 0x7ff) - 1023;
    if ((bits << 12) != 0 || e < -100 || e > 100) return refuse(g);
    return make<multiply_row>(at(g, operand_of(g, v)), filled(g, v, 1 / c));
}
// power(x, 1) -> x, power(x, 0) -> 1
constexpr expr power_trivial(graph& g, int v) {
    int x = operand_of(g, v), y = operand_of(g, v, 1);
    if (is_number(g, y, 1)) return at(g, x);
    return is_number(g, y, 0) ? filled(g, v, 1) : refuse(g);
}
// power(x, 2) -> x * x, power(x, -1) -> 1 / x: rounded once, where power is a few units off
constexpr expr power_small(graph& g, int v) {
    int x = operand_of(g, v), y = operand_of(g, v, 1);
    if (is_number(g, y, 2)) return make<square_row>(g, x);
    return is_number(g, y, -1) ? make<reciprocal_row>(g, x) : refuse(g);
}
// -(-x) -> x
constexpr expr negative_twice(graph& g, int v) {
    int x = -1;
    return is<negative_row>(g, operand_of(g, v), x) ? at(g, x) : refuse(g);
}
// a + -b -> a - b, -a + b -> b - a
constexpr expr add_negative(graph& g, int v) {
    int a = operand_of(g, v), b = operand_of(g, v, 1), x = -1;
    if (is<negative_row>(g, b, x)) return make<subtract_row>(g, a, x);
    return is<negative_row>(g, a, x) ? make<subtract_row>(g, b, x) : refuse(g);
}
// a - -b -> a + b
constexpr expr subtract_negative(graph& g, int v) {
    int x = -1;
    return is<negative_row>(g, operand_of(g, v, 1), x) ? make<add_row>(g, operand_of(g, v), x)
                                                       : refuse(g);
}
// -a * -b -> a * b, -a / -b -> a / b
constexpr expr negatives_cancel(graph& g, int v) {
    int a = -1, b = -1;
    if (!is<negative_row>(g, operand_of(g, v), a) || !is<negative_row>(g, operand_of(g, v, 1), b))
        return refuse(g);
    return is<multiply_row>(g, v) ? make<multiply_row>(g, a, b) : make<divide_row>(g, a, b);
}
// x * x -> square(x)
constexpr expr multiply_by_itself(graph& g, int v) {
    int x = operand_of(g, v);
    return x == operand_of(g, v, 1) ? make<square_row>(g, x) : refuse(g);
}
// maximum(x, x) -> x, minimum(x, x) -> x, x && x -> x, x || x -> x
constexpr expr same_operands(graph& g, int v) {
    int x = operand_of(g, v);
    return x == operand_of(g, v, 1) ? at(g, x) : refuse(g);
}

// ---- logic --------------------------------------------------------------------------------------------------------

// !!x -> x
constexpr expr not_twice(graph& g, int v) {
    int x = -1;
    return is<logical_not_row>(g, operand_of(g, v), x) ? at(g, x) : refuse(g);
}
// x && true -> x, x && false -> false, x || false -> x, x || true -> true
constexpr expr logic_with_constant(graph& g, int v) {
    int x = -1, neutral = is<logical_and_row>(g, v) ? 1 : 0;
    if (has_number(g, v, neutral, x)) return at(g, x);
    return has_number(g, v, 1 - neutral, x) ? filled(g, v, 1 - neutral) : refuse(g);
}
// n == n -> true, n < n -> false, for integers: nan is not equal to itself
constexpr expr compare_with_itself(graph& g, int v) {
    int x = operand_of(g, v);
    if (x != operand_of(g, v, 1) || floating(g, x)) return refuse(g);
    bool holds = is<equal_row>(g, v) || is<less_equal_row>(g, v) || is<greater_equal_row>(g, v);
    return filled(g, v, holds);
}
// where(true, a, b) -> a, where(false, a, b) -> b
constexpr expr where_constant(graph& g, int v) {
    double c = 0;
    if (!detail::constant_number(g, operand_of(g, v), c)) return refuse(g);
    return at(g, operand_of(g, v, c != 0 ? 1 : 2));
}
// where(c, a, a) -> a. Equal constants are one value: where(c, 0, 0) too.
constexpr expr where_same(graph& g, int v) {
    int a = operand_of(g, v, 1);
    return a == operand_of(g, v, 2) ? at(g, a) : refuse(g);
}
// where(!c, a, b) -> where(c, b, a)
constexpr expr where_not(graph& g, int v) {
    int c = -1;
    if (!is<logical_not_row>(g, operand_of(g, v), c)) return refuse(g);
    int ids[] = {c, operand_of(g, v, 2), operand_of(g, v, 1)};
    return apply<where_row>(g, ids);
}
/// Whether each value of dtype a is one of dtype b.
constexpr bool widens(dtype a, dtype b) {
    if (is_boolean(a)) return true;
    if (a == dtype::float32) return b == dtype::float64;
    return a == dtype::int32 && (b == dtype::int64 || b == dtype::float64);
}
// cast(cast(x, wider), d) -> cast(x, d), and x itself where it has dtype d
constexpr expr cast_twice(graph& g, int v) {
    int u = operand_of(g, v), x = -1;
    if (!is<cast_row>(g, u, x) || !widens(g.type_of(x).element, g.type_of(u).element))
        return refuse(g);
    dtype d = g.type_of(v).element;
    return d == g.type_of(x).element ? at(g, x) : cast(at(g, x), d);
}

// ---- for finite values --------------------------------------------------------------------------------------------

// x - x -> 0; for integers always
constexpr expr subtract_itself(graph& g, int v) {
    return operand_of(g, v) == operand_of(g, v, 1) ? filled(g, v, 0) : refuse(g);
}
constexpr expr subtract_itself_integer(graph& g, int v) {
    return floating(g, v) ? refuse(g) : subtract_itself(g, v);
}
// x * 0 -> 0; for integers always
constexpr expr multiply_by_zero(graph& g, int v) {
    int x = -1;
    return has_number(g, v, 0, x) ? filled(g, v, 0) : refuse(g);
}
constexpr expr multiply_by_zero_integer(graph& g, int v) {
    return floating(g, v) ? refuse(g) : multiply_by_zero(g, v);
}
// x / x -> 1
constexpr expr divide_by_itself(graph& g, int v) {
    return operand_of(g, v) == operand_of(g, v, 1) ? filled(g, v, 1) : refuse(g);
}
// 0 / x -> 0
constexpr expr divide_zero(graph& g, int v) {
    return is_number(g, operand_of(g, v), 0) ? filled(g, v, 0) : refuse(g);
}

}  // namespace etch::rules
