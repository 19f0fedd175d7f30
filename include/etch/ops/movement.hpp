// SPDX-License-Identifier: MIT
// Ops that only move elements. Views (transpose, expand_dims, squeeze, broadcast_to, slice) are affine index maps and
// cost nothing inside a kernel; reshape, concatenate and pad give a buffer of their own.
#pragma once
#include <etch/ops/leaf.hpp>

namespace etch {

struct all_type {};
/// Everything along an axis, in a slice.
inline constexpr all_type all{};
struct none_type {};
/// An open end of a range.
inline constexpr none_type none{};

/// start, stop and step of one axis of a slice, as in NumPy: negative bounds count from the end.
struct range {
    struct bound {
        bool open = false, negative = false;
        dim at{};
        constexpr bound(none_type) : open(true) {}
        constexpr bound(dim d) : at(d) {}
        template <std::integral I> constexpr bound(I n) : negative(n < 0), at(n < 0 ? -n : n) {}
    };
    bound start = none, stop = none;
    std::int64_t step = 1;
    constexpr range(bound from, bound to, std::int64_t by = 1) : start(from), stop(to), step(by) {}
};
/// One axis of a slice: a range, `all`, or an index, which removes the axis.
struct slice_item {
    enum class kind : std::uint8_t { between, whole, index } what = kind::whole;
    range between{none, none};
    constexpr slice_item(all_type) {}
    constexpr slice_item(range r) : what(kind::between), between(r) {}
    template <std::integral I> constexpr slice_item(I i) : what(kind::index), between(i, none) {}
    constexpr slice_item(dim d) : what(kind::index), between(d, none) {}
};

namespace detail {
using words = std::vector<std::int64_t>;

constexpr int normalize_axis(graph& g, std::string_view op, int axis, int rank) {
    int a = axis < 0 ? axis + rank : axis;
    if (a >= 0 && a < rank) return a;
    g.fail(text{} << op << ": axis " << axis << " of a tensor of rank " << rank);
    return -1;
}
/// The axes as a sorted list of numbers >= 0; empty with g.failed() on a mistake.
constexpr std::vector<int> normalize_axes(graph& g, std::string_view op, const axes& which, int rank) {
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
    std::vector<int> sorted;
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
    std::vector<int> order;
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
            if (next < gone && i.attribute(next) == axis) ++next;
            else r.push(t[axis]);
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

struct broadcast_to_row : any_view {  // {extents}; the operand has the same rank and 1 where they differ
    static constexpr std::string_view name = "broadcast_to";
    static constexpr type infer(inference& i) {
        type t = i.operand(0);
        for (int axis = 0; axis < t.rank; ++axis) t[axis] = {i.attribute(axis)};
        return t;
    }
    template <class E> static constexpr E derivative(const pullback<E>& p) {
        std::vector<int> summed;
        type from = p.operand(0).of(), to = p.result().of();
        for (int axis = 0; axis < to.rank; ++axis)
            if (!(from[axis] == to[axis])) summed.push_back(axis);
        return expand_dims(sum(p.dy(), axes(summed)), axes(summed));
    }
};
namespace detail {
/// A list of dims as a type; the dims of another graph, or a negative size, are mistakes.
constexpr type shape_from(graph& g, std::string_view op, dtype d, std::span<const dim> shape) {
    type t;
    t.element = d;
    if (shape.size() > max_rank) {
        g.fail(text{} << op << ": a tensor of rank " << shape.size() << "; the most is " << max_rank);
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
constexpr expr broadcast_to(const operand& x, std::span<const dim> shape) {
    located here(x);
    if (!detail::usable(x, "broadcast_to")) return detail::poison(x.g);
    graph& g = *x.g;
    type from = g.type_of(x.id), to = detail::shape_from(g, "broadcast_to", from.element, shape);
    if (g.failed()) return detail::poison(&g);
    for (int i = 1; i <= from.rank; ++i)
        if (i > to.rank || (!(from[from.rank - i] == to[to.rank - i]) && from[from.rank - i].code != 1)) {
            g.fail(text{} << "broadcast_to: " << shape_text(g, from) << " does not broadcast to "
                          << shape_text(g, to));
            return detail::poison(&g);
        }
    return detail::broadcast({&g, x.id}, to);
}
constexpr expr broadcast_to(const operand& x, std::initializer_list<dim> shape) {
    return broadcast_to(x, std::span<const dim>(shape.begin(), shape.size()));
}

struct slice_row : any_view {  // {start, step, length} for each axis; start and length are extents
    static constexpr std::string_view name = "slice";
    static constexpr type infer(inference& i) {
        type t = i.operand(0);
        for (int axis = 0; axis < t.rank; ++axis) t[axis] = {i.attribute(3 * axis + 2)};
        return t;
    }
    template <class E> static constexpr E derivative(const pullback<E>& p);
};
struct pad_row : any_row {  // operands x and the fill, of rank 0; {start, step, length of the result} for each axis
    static constexpr std::string_view name = "pad";
    static constexpr int arity = 2;
    static constexpr op_class kind = op_class::opaque;
    static constexpr std::string_view cuda = "";
    static constexpr type infer(inference& i) {
        type t = i.operand(0);
        for (int axis = 0; axis < t.rank; ++axis) t[axis] = {i.attribute(3 * axis + 2)};
        return t;
    }
    template <class E> static constexpr E derivative(const pullback<E>& p) {
        type t = p.operand(0).of();
        detail::words a;
        for (int axis = 0; axis < t.rank; ++axis) {
            a.push_back(p.attribute(3 * axis));
            a.push_back(p.attribute(3 * axis + 1));
            a.push_back(t[axis].code);
        }
        E inside = detail::view<slice_row>(p.dy(), a);
        return p.k == 0 ? inside : sum(p.dy()) - sum(inside);
    }
};
template <class E> constexpr E slice_row::derivative(const pullback<E>& p) {
    type t = p.operand(0).of();
    detail::words a;
    for (int axis = 0; axis < t.rank; ++axis) {
        a.push_back(p.attribute(3 * axis));
        a.push_back(p.attribute(3 * axis + 1));
        a.push_back(t[axis].code);
    }
    return apply<pad_row>({p.dy(), scalar(p.g, t.element, 0)}, a);
}

namespace detail {
/// One axis of a slice as {start, step, length}. A static extent clamps as NumPy does; over a named dim bounds are
/// exact and a call checks them.
struct axis_slice {
    extent start, length;
    std::int64_t step = 1;
};
constexpr axis_slice resolve_slice(graph& g, int axis, extent size, const slice_item& item) {
    if (item.what == slice_item::kind::whole) return {{0}, size, 1};
    const range& r = item.between;
    axis_slice s{{0}, {1}, r.step};
    auto sentence = [&] {
        text t;
        t << "slice: the bounds leave axis " << axis << " of extent " << extent_text(g, size);
        return t;
    };
    auto place = [&](const range::bound& b) {
        return b.negative ? g.subtract(size, b.at.size) : b.at.size;
    };
    if (item.what == slice_item::kind::index) {
        s.start = place(r.start);
        text t;
        t << "slice: index " << (r.start.negative ? "-" : "") << extent_text(g, r.start.at.size)
          << " is outside of axis " << axis << " of extent " << extent_text(g, size);
        g.require(s.start, 0, t.view());
        g.require(g.subtract(g.subtract(size, s.start), {1}), 0, t.view());
        return s;
    }
    if (r.step == 0) {
        g.fail(text{} << "slice: a step of 0");
        return s;
    }
    bool fixed = size.is_static() && (r.start.open || r.start.at.size.is_static()) &&
                 (r.stop.open || r.stop.at.size.is_static());
    if (fixed) {
        auto n = size.code;
        auto clamp = [](std::int64_t x, std::int64_t lo, std::int64_t hi) { return x < lo ? lo : x > hi ? hi : x; };
        auto number = [&](const range::bound& b) { return b.negative ? n - b.at.size.code : b.at.size.code; };
        std::int64_t from = r.start.open ? (r.step > 0 ? 0 : n - 1)
                            : r.step > 0 ? clamp(number(r.start), 0, n)
                                         : clamp(number(r.start), -1, n - 1);
        std::int64_t to = r.stop.open ? (r.step > 0 ? n : -1)
                          : r.step > 0 ? clamp(number(r.stop), 0, n)
                                       : clamp(number(r.stop), -1, n - 1);
        std::int64_t count = r.step > 0 ? (to - from + r.step - 1) / r.step : (from - to - r.step - 1) / -r.step;
        s.length = {count > 0 ? count : 0};
        s.start = {count > 0 ? from : 0};
        return s;
    }
    if (r.step != 1 && r.step != -1) {
        g.fail(text{} << "slice: a step of " << r.step << " needs an axis of static extent, not "
                      << extent_text(g, size));
        return s;
    }
    extent low, high;  // the half-open interval that is read
    if (r.step == 1) {
        low = r.start.open ? extent{0} : place(r.start);
        high = r.stop.open ? size : place(r.stop);
        s.start = low;
    } else {
        low = r.stop.open ? extent{0} : g.add(place(r.stop), {1});
        high = r.start.open ? size : g.add(place(r.start), {1});
        s.start = g.subtract(high, {1});
    }
    s.length = g.subtract(high, low);
    auto t = sentence();
    g.require(low, 0, t.view());
    g.require(g.subtract(size, high), 0, t.view());
    g.require(s.length, 0, t.view());
    return s;
}
}  // namespace detail
/// Part of x: one item an axis, the rest whole. An index removes its axis.
/// slice(x, {etch::range(1, etch::none), etch::all, 3})
constexpr expr slice(const operand& x, std::span<const slice_item> items) {
    located here(x);
    if (!detail::usable(x, "slice")) return detail::poison(x.g);
    graph& g = *x.g;
    type t = g.type_of(x.id);
    if (static_cast<int>(items.size()) > t.rank) {
        g.fail(text{} << "slice: " << items.size() << " items for a tensor of rank " << t.rank);
        return detail::poison(&g);
    }
    detail::words a;
    std::vector<int> gone;
    bool whole = true;
    for (int axis = 0; axis < t.rank; ++axis) {
        bool named = axis < static_cast<int>(items.size());
        const slice_item item = named ? items[static_cast<std::size_t>(axis)] : slice_item(all);
        auto s = detail::resolve_slice(g, axis, t[axis], item);
        if (g.failed()) return detail::poison(&g);
        whole = whole && s.start.code == 0 && s.step == 1 && s.length == t[axis];
        a.push_back(s.start.code);
        a.push_back(s.step);
        a.push_back(s.length.code);
        if (item.what == slice_item::kind::index) gone.push_back(axis);
    }
    expr r = whole ? expr{&g, x.id} : detail::view<slice_row>({&g, x.id}, a);
    return gone.empty() ? r : squeeze(r, axes(gone));
}
constexpr expr slice(const operand& x, std::initializer_list<slice_item> items) {
    return slice(x, std::span<const slice_item>(items.begin(), items.size()));
}
/// The order along some axes reversed; without a list, along all.
constexpr expr flip(const operand& x, const axes& which = {}) {
    located here(x);
    if (!detail::usable(x, "flip")) return detail::poison(x.g);
    int rank = x.g->type_of(x.id).rank;
    std::vector<slice_item> items(static_cast<std::size_t>(rank), slice_item(all));
    for (int axis : detail::normalize_axes(*x.g, "flip", which, rank))
        items[static_cast<std::size_t>(axis)] = range(none, none, -1);
    return slice(x, std::span<const slice_item>(items));
}
/// `fill` put around x: {before, after} for each axis.
constexpr expr pad(const operand& x, std::initializer_list<std::pair<dim, dim>> widths, const operand& fill = 0) {
    located here(x);
    if (!detail::usable(x, "pad")) return detail::poison(x.g);
    graph& g = *x.g;
    type t = g.type_of(x.id);
    if (static_cast<int>(widths.size()) != t.rank) {
        g.fail(text{} << "pad: " << widths.size() << " widths for a tensor of rank " << t.rank);
        return detail::poison(&g);
    }
    detail::words a;
    int axis = 0;
    for (const auto& [before, after] : widths) {
        if ((!before.g && before.size.code < 0) || (!after.g && after.size.code < 0)) {
            g.fail(text{} << "pad: a negative width on axis " << axis);
            return detail::poison(&g);
        }
        a.push_back(before.size.code);
        a.push_back(1);
        a.push_back(g.add(g.add(before.size, t[axis]), after.size).code);
        ++axis;
    }
    expr value = cast(detail::materialize(g, fill, t.element), t.element);
    if (value.rank() != 0) {
        g.fail(text{} << "pad: the fill has rank " << value.rank());
        return detail::poison(&g);
    }
    return apply<pad_row>({{&g, x.id}, value}, a);
}

struct reshape_row : any_row {  // {extents}
    static constexpr std::string_view name = "reshape";
    static constexpr int arity = 1;
    static constexpr op_class kind = op_class::opaque;
    static constexpr std::string_view cuda = "";
    static constexpr type infer(inference& i) {
        type t{i.operand(0).element, 0, {}};
        for (auto e : i.attributes) t.push({e});
        return t;
    }
    template <class E> static constexpr E derivative(const pullback<E>& p) {
        type t = p.operand(0).of();
        detail::words a;
        for (int axis = 0; axis < t.rank; ++axis) a.push_back(t[axis].code);
        return detail::view<reshape_row>(p.dy(), a);
    }
};
/// The same elements, row by row, in another shape. One extent may be -1: it is what is left.
constexpr expr reshape(const operand& x, std::span<const dim> shape) {
    located here(x);
    if (!detail::usable(x, "reshape")) return detail::poison(x.g);
    graph& g = *x.g;
    type from = g.type_of(x.id), to{from.element, 0, {}};
    extent known{1};
    int open = -1;
    if (shape.size() > max_rank) {
        g.fail(text{} << "reshape: a tensor of rank " << shape.size() << "; the most is " << max_rank);
        return detail::poison(&g);
    }
    for (const auto& e : shape) {
        if (!e.g && e.size.code == -1 && open < 0) {
            open = to.rank;
            to.push({1});
            continue;
        }
        if (!e.g && e.size.code < 0) {
            g.fail(text{} << "reshape: an extent of " << e.size.code
                          << (e.size.code == -1 ? "; only one may be -1" : ""));
            return detail::poison(&g);
        }
        if (e.g && e.g != &g) {
            g.fail(text{} << "reshape: a dim of another graph");
            return detail::poison(&g);
        }
        to.push(e.size);
        known = g.multiply(known, e.size);
    }
    extent total = g.size_of(from);
    if (open >= 0) {
        auto rest = divide(g.polynomial_of(total), g.polynomial_of(known));
        if (!rest) {
            g.fail(text{} << "reshape: " << shape_text(g, from) << " has " << extent_text(g, total)
                          << " elements, which " << extent_text(g, known) << " does not divide");
            return detail::poison(&g);
        }
        to[open] = g.intern(*rest);
    } else if (!(known == total)) {
        g.fail(text{} << "reshape: " << shape_text(g, from) << " has " << extent_text(g, total) << " elements, "
                      << shape_text(g, to) << " has " << extent_text(g, known));
        return detail::poison(&g);
    }
    if (from.same_shape(to)) return {&g, x.id};
    detail::words a;
    for (int axis = 0; axis < to.rank; ++axis) a.push_back(to[axis].code);
    return detail::view<reshape_row>({&g, x.id}, a);
}
constexpr expr reshape(const operand& x, std::initializer_list<dim> shape) {
    return reshape(x, std::span<const dim>(shape.begin(), shape.size()));
}

struct concatenate_row : any_row {  // {axis}
    static constexpr std::string_view name = "concatenate";
    static constexpr int arity = -1;
    static constexpr op_class kind = op_class::opaque;
    static constexpr std::string_view cuda = "";
    static constexpr type infer(inference& i) {
        type t = i.operand(0);
        auto axis = static_cast<int>(i.attribute(0));
        for (int k = 1; k < static_cast<int>(i.operands.size()); ++k)
            t[axis] = i.g.add(t[axis], i.operand(k)[axis]);
        return t;
    }
    template <class E> static constexpr E derivative(const pullback<E>& p) {
        type t = p.result().of();
        auto axis = static_cast<int>(p.attribute(0));
        extent start{0};
        for (int k = 0; k < p.k; ++k) start = p.g.add(start, p.operand(k).of()[axis]);
        detail::words a;
        for (int i = 0; i < t.rank; ++i) {
            a.push_back(i == axis ? start.code : 0);
            a.push_back(1);
            a.push_back(i == axis ? p.operand(p.k).of()[axis].code : t[i].code);
        }
        return detail::view<slice_row>(p.dy(), a);
    }
};
namespace detail {
constexpr graph& graph_of(std::string_view op, std::span<const expr> list) {
    if (list.empty()) the_list_of_tensors_is_empty((text{} << op << ": no tensors").view());
    for (expr x : list)
        if (x.g) return *x.g;
    none_of_the_operands_is_a_tensor((text{} << op << ": no expr has a value").view());
}
}  // namespace detail
/// Tensors joined along an axis: {a, n}, {b, n} along 0 -> {a + b, n}. One dtype; the other extents agree.
constexpr expr concatenate(const expr_list& list, int axis,
                           std::source_location where = std::source_location::current()) {
    graph& g = detail::graph_of("concatenate", list);
    located here(&g, where);
    std::vector<int> ids;
    for (expr x : list) {
        if (!detail::tensor(x, "concatenate", &g).valid()) return detail::poison(&g);
        if (x.g != &g) {
            g.fail(text{} << "concatenate: the tensors belong to two different graphs");
            return detail::poison(&g);
        }
        ids.push_back(x.id);
    }
    type first = list[0].of();
    int a = detail::normalize_axis(g, "concatenate", axis, first.rank);
    if (a < 0) return detail::poison(&g);
    for (expr x : list) {
        type t = x.of();
        bool same = t.rank == first.rank;
        for (int i = 0; same && i < t.rank; ++i) same = i == a || t[i] == first[i];
        if (!same || t.element != first.element) {
            g.fail(text{} << "concatenate: " << name_of(first.element) << ' ' << shape_text(g, first) << " and "
                          << name_of(t.element) << ' ' << shape_text(g, t) << " do not join along axis " << a);
            return detail::poison(&g);
        }
    }
    if (list.size() == 1) return list[0];
    std::int64_t attributes[] = {a};
    return apply<concatenate_row>(g, ids, attributes);
}
/// Tensors of one shape, joined along a new axis.
constexpr expr stack(const expr_list& list, int axis, std::source_location where = std::source_location::current()) {
    located here(&detail::graph_of("stack", list), where);
    expr_list expanded;
    for (expr x : list) expanded.push_back(x.valid() ? expand_dims(x, axis) : x);
    return concatenate(expanded, axis, where);
}

using movement_rows = rows<transpose_row, expand_dims_row, squeeze_row, broadcast_to_row, slice_row, pad_row,
                           reshape_row, concatenate_row>;

}  // namespace etch
