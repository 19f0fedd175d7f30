// SPDX-License-Identifier: MIT
// Parts of a tensor, and what surrounds one: slice is a view, pad (its transpose) gives a buffer of its own.
#pragma once
#include <etch/ops/views.hpp>

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

struct slice_row : any_view {  // {start, step, length} for each axis; start and length are extents
    static constexpr std::string_view name = "slice";
    static constexpr type infer(inference& i) {
        type t = i.operand(0);
        for (int axis = 0; axis < t.rank; ++axis) t[axis] = {i.attribute(3 * axis + 2)};
        return t;
    }
    template <class E> static constexpr E derivative(const pullback<E>& p);
};
struct pad_row
    : any_row {  // operands x and the fill, of rank 0; {start, step, length of the result} for each axis
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
        auto clamp = [](std::int64_t x, std::int64_t lo, std::int64_t hi) {
            return x < lo ? lo : x > hi ? hi : x;
        };
        auto number = [&](const range::bound& b) {
            return b.negative ? n - b.at.size.code : b.at.size.code;
        };
        std::int64_t from = r.start.open ? (r.step > 0 ? 0 : n - 1)
                            : r.step > 0 ? clamp(number(r.start), 0, n)
                                         : clamp(number(r.start), -1, n - 1);
        std::int64_t to = r.stop.open  ? (r.step > 0 ? n : -1)
                          : r.step > 0 ? clamp(number(r.stop), 0, n)
                                       : clamp(number(r.stop), -1, n - 1);
        std::int64_t count =
            r.step > 0 ? (to - from + r.step - 1) / r.step : (from - to - r.step - 1) / -r.step;
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
constexpr expr slice(const operand& x, flat_view<const slice_item> items) {
    located here(x);
    if (!detail::usable(x, "slice")) return detail::poison(x.g);
    graph& g = *x.g;
    type t = g.type_of(x.id);
    if (static_cast<int>(items.size()) > t.rank) {
        g.fail(text{} << "slice: " << items.size() << " items for a tensor of rank " << t.rank);
        return detail::poison(&g);
    }
    detail::words a;
    flat_list<int> gone;
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
    return slice(x, flat_view<const slice_item>(items.begin(), items.size()));
}
/// The order along some axes reversed; without a list, along all.
constexpr expr flip(const operand& x, const axes& which = {}) {
    located here(x);
    if (!detail::usable(x, "flip")) return detail::poison(x.g);
    int rank = x.g->type_of(x.id).rank;
    flat_list<slice_item> items(static_cast<std::size_t>(rank), slice_item(all));
    for (int axis : detail::normalize_axes(*x.g, "flip", which, rank))
        items[static_cast<std::size_t>(axis)] = range(none, none, -1);
    return slice(x, flat_view<const slice_item>(items));
}
/// `fill` put around x: {before, after} for each axis.
constexpr expr pad(const operand& x, std::initializer_list<std::pair<dim, dim>> widths,
                   const operand& fill = 0) {
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

}  // namespace etch
