// SPDX-License-Identifier: MIT
// Rules of what is cut and joined: slices of slices, of broadcasts, of concatenations and of paddings, and what a
// concatenation needs not copy.
#pragma once
#include <etch/passes/rules/match.hpp>

namespace etch::rules {

constexpr extent start_of(const detail::words& a, int axis) {
    return {a[static_cast<std::size_t>(3 * axis)]};
}
constexpr std::int64_t step_of(const detail::words& a, int axis) {
    return a[static_cast<std::size_t>(3 * axis + 1)];
}
constexpr extent length_of(const detail::words& a, int axis) {
    return {a[static_cast<std::size_t>(3 * axis + 2)]};
}
/// Whether a slice takes all of an axis of extent n, in order.
constexpr bool whole_axis(const detail::words& a, int axis, extent n) {
    return start_of(a, axis).code == 0 && step_of(a, axis) == 1 && length_of(a, axis) == n;
}
// slice(slice(x)) -> slice(x), slice(x) -> x where it is all of x
constexpr expr slice_twice(graph& g, int v) {
    int u = operand_of(g, v), x = -1;
    auto a = attributes_of(g, v);
    int rank = g.type_of(v).rank;
    bool all = true;
    for (int i = 0; i < rank; ++i) all = all && whole_axis(a, i, g.type_of(u)[i]);
    if (all) return at(g, u);
    if (!is<slice_row>(g, u, x)) return refuse(g);
    auto b = attributes_of(g, u);
    for (int i = 0; i < rank; ++i) {
        std::int64_t step = step_of(b, i);
        extent moved = g.multiply(start_of(a, i), {step < 0 ? -step : step});
        auto k = static_cast<std::size_t>(3 * i);
        a[k] = (step < 0 ? g.subtract(start_of(b, i), moved) : g.add(start_of(b, i), moved)).code;
        a[k + 1] *= step;
    }
    return make<slice_row>(g, x, a);
}
// slice(broadcast(x)) -> broadcast(slice(x))
constexpr expr slice_of_broadcast(graph& g, int v) {
    int u = operand_of(g, v), x = -1;
    if (!is<broadcast_to_row>(g, u, x)) return refuse(g);
    auto a = attributes_of(g, v);
    type from = g.type_of(x), t = g.type_of(v);
    bool all = true;
    for (int i = 0; i < t.rank; ++i) {
        auto k = static_cast<std::size_t>(3 * i);
        if (from[i].code == 1) a[k] = 0, a[k + 1] = a[k + 2] = 1;
        all = all && whole_axis(a, i, from[i]);
    }
    return detail::broadcast(all ? at(g, x) : make<slice_row>(g, x, a), t);
}
// slice(concatenate(x, y)) -> slice(x), where it lies in x alone
constexpr expr slice_of_concatenate(graph& g, int v) {
    int u = operand_of(g, v);
    if (!is<concatenate_row>(g, u)) return refuse(g);
    auto a = attributes_of(g, v);
    const node n = g.node_of(u);
    auto axis = static_cast<int>(attributes_of(g, u)[0]);
    extent start = start_of(a, axis), length = length_of(a, axis);
    if (!start.is_static() || !length.is_static() || length.code == 0) return refuse(g);
    std::int64_t last = start.code + step_of(a, axis) * (length.code - 1), begin = 0;
    for (int k = 0; k < n.operands.count; ++k) {
        int x = operand_of(g, u, k);
        extent size = g.type_of(x)[axis];
        if (!size.is_static()) return refuse(g);
        std::int64_t end = begin + size.code;
        if (start.code >= begin && start.code < end && last >= begin && last < end) {
            a[static_cast<std::size_t>(3 * axis)] -= begin;
            return make<slice_row>(g, x, a);
        }
        begin = end;
    }
    return refuse(g);
}
// slice(pad(x)) -> slice(x), where it lies in x alone, and pad(x) -> x where nothing is added
constexpr expr slice_of_pad(graph& g, int v) {
    int u = operand_of(g, v);
    if (!is<pad_row>(g, u)) return refuse(g);
    int x = operand_of(g, u);
    auto a = attributes_of(g, v), p = attributes_of(g, u);
    type t = g.type_of(x), padded = g.type_of(u);
    for (int i = 0; i < t.rank; ++i) {
        auto k = static_cast<std::size_t>(3 * i);
        if (start_of(p, i) == start_of(a, i) && step_of(p, i) == step_of(a, i) &&
            length_of(a, i) == t[i]) {  // what was put there, element by element
            a[k] = 0, a[k + 1] = 1;
            continue;
        }
        if (padded[i] == t[i] && step_of(p, i) == 1 && start_of(p, i).code == 0) continue;
        extent start = start_of(a, i), length = length_of(a, i), first = start_of(p, i);
        if (!start.is_static() || !length.is_static() || !first.is_static() || !t[i].is_static() ||
            step_of(p, i) != 1 || length.code == 0)
            return refuse(g);
        std::int64_t last = start.code + step_of(a, i) * (length.code - 1),
                     end = first.code + t[i].code;
        if (start.code < first.code || last < first.code || start.code >= end || last >= end)
            return refuse(g);
        a[k] -= first.code;
    }
    bool all = true;
    for (int i = 0; i < t.rank; ++i) all = all && whole_axis(a, i, t[i]);
    return all ? at(g, x) : make<slice_row>(g, x, a);
}
constexpr expr pad_of_nothing(graph& g, int v) {
    int x = operand_of(g, v);
    auto a = attributes_of(g, v);
    for (int i = 0; i < g.type_of(v).rank; ++i)  // a step of -1 turns the order round
        if (start_of(a, i).code != 0 || step_of(a, i) != 1 || !(length_of(a, i) == g.type_of(x)[i]))
            return refuse(g);
    return at(g, x);
}
// concatenate(concatenate(x, y), z) -> concatenate(x, y, z), along one axis
constexpr expr concatenate_twice(graph& g, int v) {
    const node n = g.node_of(v);
    auto axis = attributes_of(g, v);
    flat_list<int> all;
    bool any = false;
    for (int k = 0; k < n.operands.count; ++k) {
        int u = operand_of(g, v, k);
        if (is<concatenate_row>(g, u) && attributes_of(g, u) == axis) {
            any = true;
            for (int j = 0; j < g.node_of(u).operands.count; ++j)
                all.push_back(operand_of(g, u, j));
        } else {
            all.push_back(u);
        }
    }
    return any ? detail::append(g, n.op, all, axis) : refuse(g);
}
// concatenate(x[:a], x[a:]) -> x: neighbouring slices of one value are one slice
constexpr expr concatenate_of_slices(graph& g, int v) {
    const node n = g.node_of(v);
    auto axis = static_cast<int>(attributes_of(g, v)[0]);
    int x = -1;
    detail::words joined;
    for (int k = 0; k < n.operands.count; ++k) {
        int u = operand_of(g, v, k), y = -1;
        if (!is<slice_row>(g, u, y) || (k > 0 && y != x)) return refuse(g);
        auto a = attributes_of(g, u);
        if (step_of(a, axis) != 1) return refuse(g);
        x = y;
        if (k == 0) {
            joined = a;
            continue;
        }
        auto i = static_cast<std::size_t>(3 * axis);
        extent end = g.add(start_of(joined, axis), length_of(joined, axis));
        if (!(end == start_of(a, axis))) return refuse(g);
        joined[i + 2] = g.add(length_of(joined, axis), length_of(a, axis)).code;
        a[i] = joined[i];
        a[i + 2] = joined[i + 2];
        if (a != joined) return refuse(g);
    }
    return make<slice_row>(g, x, joined);
}

}  // namespace etch::rules
