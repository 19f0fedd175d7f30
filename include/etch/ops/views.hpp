// SPDX-License-Identifier: MIT
// Views of a tensor with other axes: transpose, expand_dims, squeeze, broadcast_to. They are affine index maps and cost
// nothing inside a kernel.
#pragma once
#include <etch/ops/leaf.hpp>

namespace etch {

namespace detail {
using words = flat_list<std::int64_t>;

constexpr int normalize_axis(graph& g, std::string_view op, int axis, int rank) {
    int a = axis < 0 ? axis + rank : axis;
    if (a >= 0 && a < rank) return a;
    g.fail(text{} << op << ": axis " << axis << " of a tensor of rank " << rank);
    return -1;
}
/// The axes as a sorted list of numbers >= 0; empty with g.failed() on a mistake.
constexpr flat_list<int> normalize_axes(graph& g, std::string_view op, const axes& which,
                                        int rank) {
    bool used[max_rank]{};
    for (int axis : which) {
        int a = normalize_axis(g, op, axis, rank);
        if (a < 0) return {};
        if (used[a]) {
            g.fail(text{} << op << ": axis " << axis << " is named twice");
            return {};
        }
        used[a] = true;
    }
    flat_list<int> sorted;
    for (int a = 0; a < rank; ++a)
        if (which.all || used[a]) sorted.push_back(a);
    return sorted;
}
template <class Row> constexpr expr view(expr x, const words& a) {
    int id[] = {x.id};
    return apply<Row>(*x.g, id, a);
}
}  // namespace detail

struct any_view : any_row {
    static constexpr int arity = 1;
    static constexpr op_class kind = op_class::view;
    static constexpr int cost = 0;
    static constexpr std::string_view cuda = "";  // becomes part of the index
};

struct transpose_row : any_view {  // {the operand's axis for each axis of the result}
    static constexpr std::string_view name = "transpose";
    static constexpr type infer(inference& i) {
        type t = i.operand(0), r = t;
        for (int axis = 0; axis < t.rank; ++axis) r[axis] = t[static_cast<int>(i.attribute(axis))];
        return r;
    }
    template <class E> static constexpr E derivative(const pullback<E>& p) {
        detail::words inverse(static_cast<std::size_t>(p.attribute_count()), 0);
        for (int axis = 0; axis < p.attribute_count(); ++axis)
            inverse[static_cast<std::size_t>(p.attribute(axis))] = axis;
        return detail::view<transpose_row>(p.dy(), inverse);
    }
};
/// Axes in another order; without a list, reversed. x {a, b, c}, {1, 2, 0} -> {b, c, a}.
constexpr expr transpose(const operand& x, const axes& order = {}) {
    located here(x);
    if (!detail::usable(x, "transpose")) return detail::poison(x.g);
    graph& g = *x.g;
    int rank = g.type_of(x.id).rank;
    detail::words a;
    bool same = true;
    if (order.all)
        for (int i = rank; i-- > 0;) a.push_back(i);
    else {
        if (order.count != rank) {
            g.fail(text{} << "transpose: " << order.count << " axes for a tensor of rank " << rank);
            return detail::poison(&g);
        }
        if (detail::normalize_axes(g, "transpose", order, rank).empty() && rank > 0)
            return detail::poison(&g);
        for (int axis : order) a.push_back(axis < 0 ? axis + rank : axis);
    }
    for (int i = 0; i < rank; ++i) same = same && a[static_cast<std::size_t>(i)] == i;
    if (same) return {&g, x.id};
    return detail::view<transpose_row>({&g, x.id}, a);
}
/// The last two axes exchanged.
constexpr expr matrix_transpose(const operand& x) {
    located here(x);
    if (!detail::usable(x, "matrix_transpose")) return detail::poison(x.g);
    flat_list<int> order;
    int rank = x.g->type_of(x.id).rank;
    if (rank < 2) {
        x.g->fail(text{} << "matrix_transpose: a tensor of rank " << rank);
        return detail::poison(x.g);
    }
    for (int i = 0; i < rank; ++i) order.push_back(i < rank - 2 ? i : rank - 2 + (rank - 1 - i));
    return transpose(x, axes(order));
}

struct expand_dims_row : any_view {  // {axes of the result that are new, sorted}
    static constexpr std::string_view name = "expand_dims";
    static constexpr type infer(inference& i) {
        type t = i.operand(0), r{t.element, 0, {}};
        int next = 0, from = 0, added = static_cast<int>(i.attributes.size());
        for (int axis = 0; axis < t.rank + added; ++axis)
            if (next < added && i.attribute(next) == axis) {
                r.push({1});
                ++next;
            } else {
                r.push(t[from++]);
            }
        return r;
    }
    template <class E> static constexpr E derivative(const pullback<E>& p);
};
struct squeeze_row : any_view {  // {axes of the operand that go, sorted}
    static constexpr std::string_view name = "squeeze";
    static constexpr type infer(inference& i) {
        type t = i.operand(0), r{t.element, 0, {}};
        int next = 0, gone = static_cast<int>(i.attributes.size());
        for (int axis = 0; axis < t.rank; ++axis)
            if (next < gone && i.attribute(next) == axis)
                ++next;
            else
                r.push(t[axis]);
        return r;
    }
    template <class E> static constexpr E derivative(const pullback<E>& p) {
        detail::words a;
        for (int i = 0; i < p.attribute_count(); ++i) a.push_back(p.attribute(i));
        return detail::view<expand_dims_row>(p.dy(), a);
    }
};
template <class E> constexpr E expand_dims_row::derivative(const pullback<E>& p) {
    detail::words a;
    for (int i = 0; i < p.attribute_count(); ++i) a.push_back(p.attribute(i));
    return detail::view<squeeze_row>(p.dy(), a);
}
/// Axes of extent 1 put in; the numbers are those of the result. x {a, b}, 1 -> {a, 1, b}.
constexpr expr expand_dims(const operand& x, const axes& which) {
    located here(x);
    if (!detail::usable(x, "expand_dims")) return detail::poison(x.g);
    graph& g = *x.g;
    int rank = g.type_of(x.id).rank + which.count;
    if (which.all) {
        g.fail(text{} << "expand_dims: no axis is named");
        return detail::poison(&g);
    }
    if (rank > max_rank) {
        g.fail(text{} << "expand_dims: a tensor of rank " << rank << "; the most is " << max_rank);
        return detail::poison(&g);
    }
    auto sorted = detail::normalize_axes(g, "expand_dims", which, rank);
    if (sorted.empty()) return g.failed() ? detail::poison(&g) : expr{&g, x.id};
    return detail::view<expand_dims_row>({&g, x.id}, detail::words(sorted.begin(), sorted.end()));
}
/// Axes of extent 1 taken out; without a list, all of them.
constexpr expr squeeze(const operand& x, const axes& which = {}) {
    located here(x);
    if (!detail::usable(x, "squeeze")) return detail::poison(x.g);
    graph& g = *x.g;
    type t = g.type_of(x.id);
    detail::words a;
    for (int axis : detail::normalize_axes(g, "squeeze", which, t.rank)) {
        if (t[axis].code == 1) {
            a.push_back(axis);
        } else if (!which.all) {
            g.fail(text{} << "squeeze: axis " << axis << " of " << shape_text(g, t) << " is not 1");
            return detail::poison(&g);
        }
    }
    if (a.empty()) return g.failed() ? detail::poison(&g) : expr{&g, x.id};
    return detail::view<squeeze_row>({&g, x.id}, a);
}

struct broadcast_to_row
    : any_view {  // {extents}; the operand has the same rank and 1 where they differ
    static constexpr std::string_view name = "broadcast_to";
    static constexpr type infer(inference& i) {
        type t = i.operand(0);
        for (int axis = 0; axis < t.rank; ++axis) t[axis] = {i.attribute(axis)};
        return t;
    }
    template <class E> static constexpr E derivative(const pullback<E>& p) {
        flat_list<int> summed;
        type from = p.operand(0).of(), to = p.result().of();
        for (int axis = 0; axis < to.rank; ++axis)
            if (!(from[axis] == to[axis])) summed.push_back(axis);
        return expand_dims(sum(p.dy(), axes(summed)), axes(summed));
    }
};
namespace detail {
/// A list of dims as a type; the dims of another graph, or a negative size, are mistakes.
constexpr type shape_from(graph& g, std::string_view op, dtype d, flat_view<const dim> shape) {
    type t;
    t.element = d;
    if (shape.size() > max_rank) {
        g.fail(text{} << op << ": a tensor of rank " << shape.size() << "; the most is "
                      << max_rank);
        return t;
    }
    for (const auto& e : shape) {
        if (!e.g && e.size.code < 0) g.fail(text{} << op << ": an extent of " << e.size.code);
        if (e.g && e.g != &g) g.fail(text{} << op << ": a dim of another graph");
        t.push(e.g || e.size.code >= 0 ? e.size : extent{1});
    }
    return t;
}
}  // namespace detail
/// x repeated along axes of extent 1, and along new leading axes, by NumPy's rules.
constexpr expr broadcast_to(const operand& x, flat_view<const dim> shape) {
    located here(x);
    if (!detail::usable(x, "broadcast_to")) return detail::poison(x.g);
    graph& g = *x.g;
    type from = g.type_of(x.id), to = detail::shape_from(g, "broadcast_to", from.element, shape);
    if (g.failed()) return detail::poison(&g);
    for (int i = 1; i <= from.rank; ++i)
        if (i > to.rank ||
            (!(from[from.rank - i] == to[to.rank - i]) && from[from.rank - i].code != 1)) {
            g.fail(text{} << "broadcast_to: " << shape_text(g, from) << " does not broadcast to "
                          << shape_text(g, to));
            return detail::poison(&g);
        }
    return detail::broadcast({&g, x.id}, to);
}
constexpr expr broadcast_to(const operand& x, std::initializer_list<dim> shape) {
    return broadcast_to(x, flat_view<const dim>(shape.begin(), shape.size()));
}

}  // namespace etch
