// SPDX-License-Identifier: MIT
// Rules of logic and order: comparisons, conditions, the larger and the smaller of two values.
#pragma once
#include <etch/passes/rules/match.hpp>

namespace etch::rules {

/// The comparison that holds where `op` does not, for values that are ordered.
constexpr op_id opposite_of(op_id op) {
    if (op == op_of<less_row>()) return op_of<greater_equal_row>();
    if (op == op_of<greater_equal_row>()) return op_of<less_row>();
    if (op == op_of<greater_row>()) return op_of<less_equal_row>();
    if (op == op_of<less_equal_row>()) return op_of<greater_row>();
    if (op == op_of<equal_row>()) return op_of<not_equal_row>();
    if (op == op_of<not_equal_row>()) return op_of<equal_row>();
    return op;
}
// !(n < m) -> n >= m for integers: nan is neither; !(x == y) -> x != y for all
constexpr expr not_of_comparison(graph& g, int v) {
    int u = operand_of(g, v);
    op_id op = g.node_of(u).op, other = opposite_of(op);
    if (op == other) return refuse(g);
    int ids[] = {operand_of(g, u), operand_of(g, u, 1)};
    bool equality = op == op_of<equal_row>() || op == op_of<not_equal_row>();
    if (!equality && floating(g, ids[0])) return refuse(g);
    return detail::append(g, other, ids, {});
}
/// Whether a is !b or b is !a.
constexpr bool are_opposite(const graph& g, int a, int b) {
    int x = -1;
    return (is<logical_not_row>(g, a, x) && x == b) || (is<logical_not_row>(g, b, x) && x == a);
}
// a && !a -> false, a || !a -> true
constexpr expr logic_complement(graph& g, int v) {
    if (!are_opposite(g, operand_of(g, v), operand_of(g, v, 1))) return refuse(g);
    return filled(g, v, is<logical_or_row>(g, v));
}
// a && (a || b) -> a, a || (a && b) -> a, a && (a && b) -> a && b, a || (a || b) -> a || b
constexpr expr logic_absorb(graph& g, int v) {
    for (int k = 0; k < 2; ++k) {
        int a = operand_of(g, v, k), u = operand_of(g, v, 1 - k);
        if (!is<logical_and_row>(g, u) && !is<logical_or_row>(g, u)) continue;
        if (operand_of(g, u) != a && operand_of(g, u, 1) != a) continue;
        return at(g, g.node_of(u).op == g.node_of(v).op ? u : a);
    }
    return refuse(g);
}
/// Whether v is a bool, or a number that a bool became: then that bool.
constexpr bool from_boolean(const graph& g, int v, int& b) {
    b = v;
    if (is_boolean(g.type_of(v).element)) return true;
    return is<cast_row>(g, v, b) && is_boolean(g.type_of(b).element);
}
// b == true -> b, b != 1 -> !b, for a bool or a number that was one
constexpr expr compare_boolean(graph& g, int v) {
    for (int k = 0; k < 2; ++k) {
        int b = -1, c = operand_of(g, v, 1 - k);
        if (!from_boolean(g, operand_of(g, v, k), b)) continue;
        bool one = is_number(g, c, 1);
        if (!one && !is_number(g, c, 0)) continue;
        return one == is<equal_row>(g, v) ? at(g, b) : make<logical_not_row>(g, b);
    }
    return refuse(g);
}
// where(c, true, false) -> c, where(c, false, true) -> !c
constexpr expr where_of_booleans(graph& g, int v) {
    if (!is_boolean(g.type_of(v).element)) return refuse(g);
    int c = operand_of(g, v), a = operand_of(g, v, 1), b = operand_of(g, v, 2);
    if (is_number(g, a, 1) && is_number(g, b, 0)) return at(g, c);
    return is_number(g, a, 0) && is_number(g, b, 1) ? make<logical_not_row>(g, c) : refuse(g);
}
// where(c, where(c, a, b), d) -> where(c, a, d), where(c, a, where(c, b, d)) -> where(c, a, d)
constexpr expr where_twice(graph& g, int v) {
    int c = operand_of(g, v), a = operand_of(g, v, 1), b = operand_of(g, v, 2);
    auto inner = [&](int u) { return is<where_row>(g, u) && operand_of(g, u) == c; };
    int x = inner(a) ? operand_of(g, a, 1) : a, y = inner(b) ? operand_of(g, b, 2) : b;
    if (x == a && y == b) return refuse(g);
    int ids[] = {c, x, y};
    return apply<where_row>(g, ids);
}
// where(c, a, where(d, a, b)) -> where(c || d, a, b), where(c, where(d, a, b), b) -> where(c && d, a, b)
constexpr expr where_joined(graph& g, int v) {
    int c = operand_of(g, v), a = operand_of(g, v, 1), b = operand_of(g, v, 2);
    if (is<where_row>(g, b) && operand_of(g, b, 1) == a)
        return apply<where_row>(
            {make<logical_or_row>(g, c, operand_of(g, b)), at(g, a), at(g, operand_of(g, b, 2))});
    if (is<where_row>(g, a) && operand_of(g, a, 2) == b)
        return apply<where_row>(
            {make<logical_and_row>(g, c, operand_of(g, a)), at(g, operand_of(g, a, 1)), at(g, b)});
    return refuse(g);
}
// a * where(c, x, 0) -> where(c, a * x, 0), where(c, x, 0) / a -> where(c, x / a, 0): a may be nan where c does not hold
constexpr expr zero_of_where(graph& g, int v) {
    bool product = is<multiply_row>(g, v);
    for (int k = 0; k < (product ? 2 : 1); ++k) {
        int w = operand_of(g, v, k), a = operand_of(g, v, 1 - k);
        if (!is<where_row>(g, w)) continue;
        int c = operand_of(g, w), x = operand_of(g, w, 1), y = operand_of(g, w, 2);
        bool first = is_number(g, x, 0);
        if (!first && !is_number(g, y, 0)) continue;
        int kept = first ? y : x;
        expr z = product ? make<multiply_row>(g, a, kept) : make<divide_row>(g, kept, a);
        expr zero = filled(g, v, 0);
        return first ? apply<where_row>({at(g, c), zero, z})
                     : apply<where_row>({at(g, c), z, zero});
    }
    return refuse(g);
}
// maximum(a, maximum(a, b)) -> maximum(a, b), minimum in the same way: of 0 and -0 either may be the result
constexpr expr extremum_twice(graph& g, int v) {
    for (int k = 0; k < 2; ++k) {
        int a = operand_of(g, v, k), u = operand_of(g, v, 1 - k);
        if (g.node_of(u).op != g.node_of(v).op) continue;
        if (operand_of(g, u) == a || operand_of(g, u, 1) == a) return at(g, u);
    }
    return refuse(g);
}
// maximum(n, minimum(n, m)) -> n, for integers: m might be nan
constexpr expr extremum_absorb(graph& g, int v) {
    if (floating(g, v)) return refuse(g);
    op_id other = is<maximum_row>(g, v) ? op_of<minimum_row>() : op_of<maximum_row>();
    for (int k = 0; k < 2; ++k) {
        int a = operand_of(g, v, k), u = operand_of(g, v, 1 - k);
        if (g.node_of(u).op != other) continue;
        if (operand_of(g, u) == a || operand_of(g, u, 1) == a) return at(g, a);
    }
    return refuse(g);
}
// maximum(x, 0) -> relu(x): maximum(0, -0) is -0
constexpr expr maximum_with_zero(graph& g, int v) {
    int x = -1;
    return has_number(g, v, 0, x) ? make<relu_row>(g, x) : refuse(g);
}
// maximum(-a, -b) -> -minimum(a, b): of 0 and -0 either may be the result
constexpr expr extremum_of_negatives(graph& g, int v) {
    int a = -1, b = -1;
    if (!floating(g, v) || !is<negative_row>(g, operand_of(g, v), a) ||
        !is<negative_row>(g, operand_of(g, v, 1), b))
        return refuse(g);
    return make<negative_row>(is<maximum_row>(g, v) ? make<minimum_row>(g, a, b)
                                                    : make<maximum_row>(g, a, b));
}

}  // namespace etch::rules
