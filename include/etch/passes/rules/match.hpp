// SPDX-License-Identifier: MIT
// What rules are written with: looking at a value's node, looking through views, and making nodes. A rule gets a
// graph and a value; it returns an equal value, or `refuse`. Nodes are made by their rows directly: the operands of
// a rule have their dtypes and shapes already.
#pragma once
#include <etch/ops/table.hpp>

namespace etch {

/// When a rewriting is right. The first three classes are always on.
enum class rule_class : std::uint8_t {
    exact,        // bit by bit, for all values
    signed_zero,  // for all values, but a zero may change its sign
    stability,  // equal in mathematics, and rounded less or no worse (powers: within 2.5 units of the last place); may
                // be right where the original overflows, and a zero may change its sign
    finite,     // where all values are finite: only with assume_finite
    rounding    // where all values are finite, and rounded otherwise: only with reassociate
};

namespace rules {

constexpr expr refuse(graph& g) { return {&g, -1}; }

template <class Row> constexpr bool is(const graph& g, int v) {
    return g.node_of(v).op == op_of<Row>();
}
constexpr int operand_of(const graph& g, int v, int k = 0) {
    return g.operand_pool[static_cast<std::size_t>(g.node_of(v).operands.first + k)];
}
/// Whether v is Row's op; then its first operand is x.
template <class Row> constexpr bool is(const graph& g, int v, int& x) {
    if (!is<Row>(g, v)) return false;
    x = operand_of(g, v);
    return true;
}
/// Whether v is the same number everywhere, broadcast or not.
constexpr bool is_number(const graph& g, int v, double number) {
    double c = 0;
    return detail::constant_number(g, v, c) && c == number;
}
/// Whether one operand of v is that number everywhere; then x is the other.
constexpr bool has_number(const graph& g, int v, double number, int& x) {
    for (int k = 0; k < 2; ++k)
        if (is_number(g, operand_of(g, v, k), number)) {
            x = operand_of(g, v, 1 - k);
            return true;
        }
    return false;
}
constexpr bool floating(const graph& g, int v) { return is_floating(g.type_of(v).element); }

/// Below the expand_dims, squeeze and broadcast_to on top of v.
constexpr int below_views(const graph& g, int v) {
    while (is<broadcast_to_row>(g, v) || is<expand_dims_row>(g, v) || is<squeeze_row>(g, v))
        v = operand_of(g, v);
    return v;
}
/// The value of rank 0 that v repeats, or -1.
constexpr int scalar_under(const graph& g, int v) {
    while (g.type_of(v).rank > 0) {
        if (!is<broadcast_to_row>(g, v) && !is<expand_dims_row>(g, v)) return -1;
        v = operand_of(g, v);
    }
    return v;
}

constexpr detail::words attributes_of(const graph& g, int v) {
    auto a = g.attributes(g.node_of(v));
    return {a.begin(), a.end()};
}
/// A copy: a reference into the graph does not outlive the next node.
constexpr type type_at(const graph& g, int v) { return g.type_of(v); }
constexpr expr at(graph& g, int v) { return {&g, v}; }
template <class Row> constexpr expr make(graph& g, int x) {
    return apply<Row>(g, flat_view<const int>(&x, 1));
}
template <class Row> constexpr expr make(expr x) { return make<Row>(*x.g, x.id); }
template <class Row> constexpr expr make(graph& g, int a, int b) {
    int ids[] = {a, b};
    return apply<Row>(g, ids);
}
template <class Row> constexpr expr make(expr a, expr b) { return make<Row>(*a.g, a.id, b.id); }
/// Row's op with attributes; without any, views and reductions are x itself.
template <class Row> constexpr expr make(graph& g, int x, const detail::words& a) {
    return a.empty() ? at(g, x) : detail::view<Row>({&g, x}, a);
}
/// The number, in the type of v.
constexpr expr filled(graph& g, int v, double number) {
    type t = g.type_of(v);
    return detail::broadcast(scalar(g, t.element, number), t);
}
/// The views between `top` and `bottom`, which lies below them, put on `fresh`.
constexpr expr with_views(graph& g, int top, int bottom, int fresh) {
    flat_list<int> chain;
    for (int v = top; v != bottom; v = operand_of(g, v)) chain.push_back(v);
    expr x = at(g, fresh);
    while (!chain.empty()) {
        auto a = attributes_of(g, chain.back());
        op_id op = g.node_of(chain.back()).op;
        x = detail::append(g, op, flat_view<const int>(&x.id, 1), a);
        chain.pop_back();
    }
    return x;
}
/// t without the axes of a sorted list.
constexpr type without(const type& t, flat_view<const std::int64_t> gone) {
    type r{t.element, 0, {}};
    std::size_t next = 0;
    for (int axis = 0; axis < t.rank; ++axis)
        if (next < gone.size() && gone[next] == axis)
            ++next;
        else
            r.push(t[axis]);
    return r;
}
/// The numbers that the axes of `list` have once those of `gone` are taken out; both sorted, without common ones.
constexpr detail::words renumbered(flat_view<const std::int64_t> list,
                                   flat_view<const std::int64_t> gone) {
    detail::words r;
    for (auto axis : list) {
        auto before = std::int64_t{0};
        for (auto a : gone) before += a < axis;
        r.push_back(axis - before);
    }
    return r;
}

}  // namespace rules
}  // namespace etch
