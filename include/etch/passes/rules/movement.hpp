// SPDX-License-Identifier: MIT
// Rules of movement and reduction: views that cancel or join, broadcasts that move towards the results (work on few
// elements stays work on few), reshapes that move towards the operands (so that elementwise chains stay unbroken).
#pragma once
#include <etch/passes/rules/match.hpp>

namespace etch::rules {

// f(broadcast(x), broadcast(y)) -> broadcast(f(x, y)), for operands that were repeated from one shape, or from
// scalars. An index is checked where it is used: checked_index stays.
constexpr expr pull_broadcast(graph& g, int v) {
    const node n = g.node_of(v);
    type t = g.type_of(v), shape;
    if (t.rank == 0 || n.op == op_of<checked_index_row>()) return refuse(g);
    int source[3]{};
    bool wide = false, scalar_operand[3]{};
    for (int k = 0; k < n.operands.count; ++k) {
        int u = operand_of(g, v, k), s = scalar_under(g, u);
        scalar_operand[k] = s >= 0;
        source[k] = s;
        if (s >= 0) continue;
        if (!is<broadcast_to_row>(g, u, source[k])) return refuse(g);
        type from = g.type_of(source[k]);
        if (wide && !from.same_shape(shape)) return refuse(g);
        shape = from;
        wide = true;
    }
    if (wide)
        for (int k = 0; k < n.operands.count; ++k)
            if (scalar_operand[k]) {
                type to = shape;
                to.element = g.type_of(source[k]).element;
                source[k] = detail::broadcast(at(g, source[k]), to).id;
            }
    auto a = attributes_of(g, v);
    expr y = detail::append(g, n.op, {source, static_cast<std::size_t>(n.operands.count)}, a);
    return detail::broadcast(y, t);
}

// Any view or reshape of a repeated scalar is that scalar, repeated.
constexpr expr view_of_scalar(graph& g, int v) {
    int s = scalar_under(g, operand_of(g, v));
    return s < 0 ? refuse(g) : detail::broadcast(at(g, s), type_at(g, v));
}
// transpose(transpose(x)) -> transpose(x), or x
constexpr expr transpose_twice(graph& g, int v) {
    int u = operand_of(g, v), x = -1;
    if (!is<transpose_row>(g, u, x)) return refuse(g);
    auto outer = attributes_of(g, v), inner = attributes_of(g, u);
    bool same = true;
    for (std::size_t i = 0; i < outer.size(); ++i) {
        outer[i] = inner[static_cast<std::size_t>(outer[i])];
        same = same && outer[i] == static_cast<std::int64_t>(i);
    }
    return same ? at(g, x) : make<transpose_row>(g, x, outer);
}
/// x in a shape that differs by axes of extent 1 only, as expand_dims(squeeze(x)); false where it differs otherwise.
constexpr bool with_unit_axes(graph& g, int x, const type& to, expr& y) {
    type from = g.type_of(x);
    detail::words gone, added;
    for (int i = 0, j = 0; i < from.rank || j < to.rank;) {
        if (i < from.rank && j < to.rank && from[i] == to[j])
            ++i, ++j;
        else if (i < from.rank && from[i].code == 1)
            gone.push_back(i++);
        else if (j < to.rank && to[j].code == 1)
            added.push_back(j++);
        else
            return false;
    }
    y = make<squeeze_row>(g, x, gone);
    y = make<expand_dims_row>(g, y.id, added);
    return true;
}
// squeeze(expand_dims(x)) -> x and the like: of two of them as little remains as the shapes ask for.
constexpr expr unit_axes_twice(graph& g, int v) {
    int u = operand_of(g, v);
    expr y = refuse(g);
    if (is<expand_dims_row>(g, u) || is<squeeze_row>(g, u))
        with_unit_axes(g, operand_of(g, u), type_at(g, v), y);
    return y;
}
// broadcast(broadcast(x)) -> broadcast(x); broadcast(x) -> x where nothing is repeated
constexpr expr broadcast_twice(graph& g, int v) {
    int u = operand_of(g, v), x = -1;
    if (g.type_of(u) == g.type_of(v)) return at(g, u);
    return is<broadcast_to_row>(g, u, x) ? detail::broadcast(at(g, x), type_at(g, v)) : refuse(g);
}
// transpose, expand_dims and squeeze of a broadcast -> the broadcast of those
constexpr expr view_of_broadcast(graph& g, int v) {
    int u = operand_of(g, v), x = -1;
    if (!is<broadcast_to_row>(g, u, x)) return refuse(g);
    auto a = attributes_of(g, v);
    if (is<squeeze_row>(g, v))
        for (auto axis : a)
            if (g.type_of(x)[static_cast<int>(axis)].code != 1) return refuse(g);
    op_id op = g.node_of(v).op;
    return detail::broadcast(detail::append(g, op, flat_view<const int>(&x, 1), a), type_at(g, v));
}

// ---- reshape ------------------------------------------------------------------------------------------------------

constexpr expr reshaped(graph& g, int x, const type& to) {
    if (g.type_of(x).same_shape(to)) return at(g, x);
    detail::words a;
    for (int axis = 0; axis < to.rank; ++axis) a.push_back(to[axis].code);
    return detail::view<reshape_row>({&g, x}, a);  // with no attributes it gives rank 0
}
// reshape of reshape, expand_dims or squeeze -> reshape; reshape(x) -> x where the shape is x's own
constexpr expr reshape_twice(graph& g, int v) {
    int u = operand_of(g, v);
    if (g.type_of(u) == g.type_of(v)) return at(g, u);
    if (!is<reshape_row>(g, u) && !is<expand_dims_row>(g, u) && !is<squeeze_row>(g, u))
        return refuse(g);
    return reshaped(g, operand_of(g, u), type_at(g, v));
}
// reshape that only adds or removes axes of extent 1 -> expand_dims(squeeze(x))
constexpr expr reshape_unit_axes(graph& g, int v) {
    expr y = refuse(g);
    with_unit_axes(g, operand_of(g, v), type_at(g, v), y);
    return y;
}
/// The source of a broadcast u in such a shape that broadcasting it gives u reshaped to `to`: where the shapes
/// differ, all axes of the source are 1, or all are repeated nowhere. False where there is none.
constexpr bool reshape_source(graph& g, int u, const type& to, type& shape) {
    type from = g.type_of(u), x = g.type_of(operand_of(g, u));
    int head = 0, tail = 0, shorter = from.rank < to.rank ? from.rank : to.rank;
    while (head < shorter && from[head] == to[head]) ++head;
    while (tail < shorter - head && from[from.rank - 1 - tail] == to[to.rank - 1 - tail]) ++tail;
    bool ones = true, whole = true;
    for (int i = head; i < from.rank - tail; ++i) {
        ones = ones && x[i].code == 1;
        whole = whole && x[i] == from[i];
    }
    if (!ones && !whole) return false;
    shape = {from.element, 0, {}};
    for (int i = 0; i < head; ++i) shape.push(x[i]);
    for (int i = head; i < to.rank - tail; ++i) shape.push(whole ? to[i] : extent{1});
    for (int i = from.rank - tail; i < from.rank; ++i) shape.push(x[i]);
    return true;
}
// reshape(broadcast(x)) -> broadcast(reshape(x))
constexpr expr reshape_of_broadcast(graph& g, int v) {
    int u = operand_of(g, v);
    type shape;
    if (!is<broadcast_to_row>(g, u) || !reshape_source(g, u, g.type_of(v), shape)) return refuse(g);
    return detail::broadcast(reshaped(g, operand_of(g, u), shape), type_at(g, v));
}
// reshape(f(x, y)) -> f(reshape(x), reshape(y)), unless that would need a copy that is not needed now: of a view, or
// of a reduction, whose elementwise successor is computed with it.
constexpr expr reshape_of_elementwise(graph& g, int v) {
    int u = operand_of(g, v);
    const node n = g.node_of(u);
    if (row_of(n).kind != op_class::elementwise) return refuse(g);
    type to = g.type_of(v), shape;
    for (int k = 0; k < n.operands.count; ++k) {
        int x = operand_of(g, u, k);
        if (scalar_under(g, x) >= 0) continue;
        auto kind = row_of(g.node_of(x)).kind;
        bool resolved = is<broadcast_to_row>(g, x) && reshape_source(g, x, to, shape);
        bool joined = is<expand_dims_row>(g, x) || is<squeeze_row>(g, x);
        if (kind == op_class::reduction || kind == op_class::counter || kind == op_class::gather ||
            (kind == op_class::view && !resolved && !joined))
            return refuse(g);
    }
    int ids[3]{};
    for (int k = 0; k < n.operands.count; ++k) {
        int x = operand_of(g, u, k), s = scalar_under(g, x);
        type t = to;
        t.element = g.type_of(x).element;
        ids[k] = s >= 0 ? detail::broadcast(at(g, s), t).id : reshaped(g, x, t).id;
    }
    auto a = attributes_of(g, u);
    return detail::append(g, n.op, {ids, static_cast<std::size_t>(n.operands.count)}, a);
}

// ---- reductions ---------------------------------------------------------------------------------------------------

constexpr expr reduced(graph& g, op_id op, int x, const detail::words& a) {
    return a.empty() ? at(g, x) : detail::append(g, op, flat_view<const int>(&x, 1), a);
}
/// The axes of a reduction, in two: those for which `first` holds and the others.
struct split_axes {
    detail::words first, rest;
};
template <class Condition> constexpr split_axes split(const graph& g, int v, Condition condition) {
    split_axes s;
    for (auto a : g.attributes(g.node_of(v))) {
        if (condition(static_cast<int>(a)))
            s.first.push_back(a);
        else
            s.rest.push_back(a);
    }
    return s;
}
// A reduction over axes of extent 1 -> squeeze: 0 + -0 is 0
constexpr expr reduce_unit_axes(graph& g, int v) {
    int x = operand_of(g, v);
    type t = g.type_of(x);
    auto s = split(g, v, [&](int a) { return t[a].code == 1; });
    if (s.first.empty()) return refuse(g);
    op_id op = g.node_of(v).op;
    expr y = make<squeeze_row>(g, x, s.first);
    return reduced(g, op, y.id, renumbered(s.rest, s.first));
}
/// x, a broadcast, without some of the axes along which it is repeated.
constexpr expr unrepeated(graph& g, int x, const detail::words& gone) {
    type t = without(g.type_of(x), gone);
    return detail::broadcast(make<squeeze_row>(g, operand_of(g, x), gone), t);
}
// sum(broadcast(x)) -> x * extent: one rounding. Of nothing it is 0 for finite x.
constexpr expr sum_of_broadcast(graph& g, int v) {
    int x = operand_of(g, v);
    if (!is<broadcast_to_row>(g, x)) return refuse(g);
    type t = g.type_of(x), from = g.type_of(operand_of(g, x));
    auto s = split(
        g, v, [&](int a) { return from[a].code == 1 && !(from[a] == t[a]) && t[a].code != 0; });
    if (s.first.empty()) return refuse(g);
    extent n{1};
    for (auto a : s.first) n = g.multiply(n, t[static_cast<int>(a)]);
    expr y =
        reduced(g, op_of<sum_row>(), unrepeated(g, x, s.first).id, renumbered(s.rest, s.first));
    expr count = detail::materialize(g, operand(dim(&g, n)), t.element);
    return make<multiply_row>(y, detail::broadcast(count, y.of()));
}
// max(broadcast(x)) -> x; a call checks that the axes are not empty
constexpr expr extremum_of_broadcast(graph& g, int v) {
    int x = operand_of(g, v);
    if (!is<broadcast_to_row>(g, x)) return refuse(g);
    type t = g.type_of(x), from = g.type_of(operand_of(g, x));
    auto s = split(
        g, v, [&](int a) { return from[a].code == 1 && !(from[a] == t[a]) && t[a].code != 0; });
    if (s.first.empty()) return refuse(g);
    op_id op = g.node_of(v).op;
    return reduced(g, op, unrepeated(g, x, s.first).id, renumbered(s.rest, s.first));
}
// sum(sum(x)) -> sum(x), max(max(x)) -> max(x)
constexpr expr reduce_twice(graph& g, int v) {
    int u = operand_of(g, v);
    op_id op = g.node_of(v).op;
    if (g.node_of(u).op != op) return refuse(g);
    auto outer = attributes_of(g, v), inner = attributes_of(g, u);
    int x = operand_of(g, u);
    detail::words both;
    std::size_t next = 0, place = 0;
    std::int64_t axis_of_u = 0;
    for (int axis = 0; axis < g.type_of(x).rank; ++axis) {
        if (next < inner.size() && inner[next] == axis) {
            both.push_back(axis);
            ++next;
            continue;
        }
        if (place < outer.size() && outer[place] == axis_of_u) {
            both.push_back(axis);
            ++place;
        }
        ++axis_of_u;
    }
    return reduced(g, op, x, both);
}
// sum(-x) -> -sum(x): a sum of nothing but -0 is 0
constexpr expr sum_of_negative(graph& g, int v) {
    int x = -1;
    if (!is<negative_row>(g, operand_of(g, v), x)) return refuse(g);
    return make<negative_row>(reduced(g, op_of<sum_row>(), x, attributes_of(g, v)));
}

}  // namespace etch::rules
