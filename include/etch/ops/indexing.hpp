// SPDX-License-Identifier: MIT
// Reading at indices that are data, and the adding that is its derivative. Indices are checked where they are used: one
// outside of its axis stops the call, which then has changed nothing.
#pragma once
#include <etch/ops/contraction.hpp>

namespace etch {

struct checked_index_row
    : binary {  // operands: index and extent; {1 where negative indices count from the end}
    static constexpr std::string_view name = "checked_index";
    static constexpr accepts takes = accepts::integer;
    static constexpr bool cuts = true;
    static constexpr auto cpu(auto i, auto n) {
        return select(i < decltype(i)(0), i + n, i);
    }  // and the check
    static constexpr std::string_view cuda = "etch_checked_index($0, $1, $e, $x)";
};

struct take_row : any_row {  // {axis}: the axis is replaced by the axes of the indices
    static constexpr std::string_view name = "take";
    static constexpr int arity = 2;
    static constexpr op_class kind = op_class::gather;
    static constexpr std::string_view cuda = "$0";
    static constexpr type infer(inference& i) {
        type t = i.operand(0), s = i.operand(1), r{t.element, 0, {}};
        auto axis = static_cast<int>(i.attribute(0));
        for (int a = 0; a < axis; ++a) r.push(t[a]);
        for (int a = 0; a < s.rank; ++a) r.push(s[a]);
        for (int a = axis + 1; a < t.rank; ++a) r.push(t[a]);
        return r;
    }
    template <class E> static constexpr E derivative(const pullback<E>& p);
};
struct take_along_axis_row : any_row {  // {axis}
    static constexpr std::string_view name = "take_along_axis";
    static constexpr int arity = 2;
    static constexpr op_class kind = op_class::gather;
    static constexpr std::string_view cuda = "$0";
    static constexpr type infer(inference& i) {
        type t = i.operand(1);
        t.element = i.operand(0).element;
        return t;
    }
    template <class E> static constexpr E derivative(const pullback<E>& p);
};
struct scatter_add_row
    : any_row {  // operands: updates, indices; {axis, extent}: the transpose of take
    static constexpr std::string_view name = "scatter_add";
    static constexpr int arity = 2;
    static constexpr op_class kind = op_class::opaque;
    static constexpr std::string_view cuda = "";
    static constexpr type infer(inference& i) {
        type t = i.operand(0), s = i.operand(1), r{t.element, 0, {}};
        auto axis = static_cast<int>(i.attribute(0));
        for (int a = 0; a < axis; ++a) r.push(t[a]);
        r.push({i.attribute(1)});
        for (int a = axis + s.rank; a < t.rank; ++a) r.push(t[a]);
        return r;
    }
    template <class E> static constexpr E derivative(const pullback<E>& p) {
        std::int64_t a[] = {p.attribute(0)};
        return apply<take_row>({p.dy(), p.operand(1)}, a);
    }
};
struct scatter_add_along_axis_row : any_row {  // operands: updates, indices; {axis, extent}
    static constexpr std::string_view name = "scatter_add_along_axis";
    static constexpr int arity = 2;
    static constexpr op_class kind = op_class::opaque;
    static constexpr std::string_view cuda = "";
    static constexpr type infer(inference& i) {
        type t = i.operand(0);
        t[static_cast<int>(i.attribute(0))] = {i.attribute(1)};
        return t;
    }
    template <class E> static constexpr E derivative(const pullback<E>& p) {
        std::int64_t a[] = {p.attribute(0)};
        return apply<take_along_axis_row>({p.dy(), p.operand(1)}, a);
    }
};
template <class E> constexpr E take_row::derivative(const pullback<E>& p) {
    std::int64_t a[] = {p.attribute(0), p.operand(0).of()[static_cast<int>(p.attribute(0))].code};
    return apply<scatter_add_row>({p.dy(), p.operand(1)}, a);
}
template <class E> constexpr E take_along_axis_row::derivative(const pullback<E>& p) {
    std::int64_t a[] = {p.attribute(0), p.operand(0).of()[static_cast<int>(p.attribute(0))].code};
    return apply<scatter_add_along_axis_row>({p.dy(), p.operand(1)}, a);
}

namespace detail {
constexpr expr checked(std::string_view op, expr i, dim size, bool wraps) {
    if (!i.valid()) return i;
    graph& g = *i.g;
    if (!is_integer(i.element())) {
        g.fail(text{} << op << ": indices are integers, not " << name_of(i.element()));
        return poison(&g);
    }
    expr n = broadcast(materialize(g, operand(dim(&g, size.size)), i.element()), i.of());
    std::int64_t a[] = {wraps ? 1 : 0};
    return apply<checked_index_row>({i, n}, a);
}
}  // namespace detail

/// x at indices along an axis, the first where none is named: {A..., n, B...} and indices {I...} -> {A..., I..., B...}.
/// Negative indices count from the end. The derivative adds into zeros.
constexpr expr take(const operand& x, const operand& indices, int axis = 0) {
    located here(x);
    expr t = detail::tensor(x, "take", indices.g), i = detail::tensor(indices, "take", x.g);
    if (!t.valid() || !i.valid()) return detail::poison(t.g);
    int a = detail::normalize_axis(*t.g, "take", axis, t.rank());
    if (a < 0) return detail::poison(t.g);
    if (t.rank() - 1 + i.rank() > max_rank) {
        t.g->fail(text{} << "take: a result of rank " << t.rank() - 1 + i.rank() << "; the most is "
                         << max_rank);
        return detail::poison(t.g);
    }
    std::int64_t attributes[] = {a};
    return apply<take_row>({t, detail::checked("take", i, t.size(a), true)}, attributes);
}
/// x[..., indices[..., j, ...], ...] along an axis: indices and x agree on every other axis.
constexpr expr take_along_axis(const operand& x, const operand& indices, int axis) {
    located here(x);
    expr t = detail::tensor(x, "take_along_axis", indices.g),
         i = detail::tensor(indices, "take_along_axis", x.g);
    if (!t.valid() || !i.valid()) return detail::poison(t.g);
    graph& g = *t.g;
    int a = detail::normalize_axis(g, "take_along_axis", axis, t.rank());
    if (a < 0) return detail::poison(&g);
    bool same = t.rank() == i.rank();
    for (int k = 0; same && k < t.rank(); ++k)
        same = k == a || g.agree("take_along_axis", "join", t.of(), i.of(), t.of()[k], i.of()[k]);
    if (!same) {
        g.fail(text{} << "take_along_axis: " << shape_text(g, t.of()) << " and indices "
                      << shape_text(g, i.of()) << " differ on an axis other than " << a);
        return detail::poison(&g);
    }
    std::int64_t attributes[] = {a};
    return apply<take_along_axis_row>({t, detail::checked("take_along_axis", i, t.size(a), true)},
                                      attributes);
}

/// 0, 1, 2 ... along an axis of the given shape.
constexpr expr iota(graph& g, flat_view<const dim> shape, int axis, dtype d = dtype::int32,
                    std::source_location where = std::source_location::current()) {
    located here(&g, where);
    type t = detail::shape_from(g, "iota", d, shape);
    int a = detail::normalize_axis(g, "iota", axis, t.rank);
    if (a < 0 || g.failed()) return detail::poison(&g);
    auto attributes = detail::type_words(t);
    attributes.push_back(a);
    return apply<iota_row>(g, flat_view<const int>{}, attributes);
}
constexpr expr iota(graph& g, std::initializer_list<dim> shape, int axis, dtype d = dtype::int32,
                    std::source_location where = std::source_location::current()) {
    return iota(g, flat_view<const dim>(shape.begin(), shape.size()), axis, d, where);
}

namespace detail {
/// Whether position k of a new last axis of `size` is the index: bool {I..., size}.
constexpr expr is_index(std::string_view op, expr i, dim size) {
    expr at = checked(op, i, size, false);
    if (!at.valid()) return at;
    graph& g = *i.g;
    type t = i.of();
    flat_list<dim> shape;
    for (int k = 0; k < t.rank; ++k) shape.push_back(1);
    shape.push_back({&g, size.size});
    return equal(expand_dims(at, -1), iota(g, shape, -1, t.element));
}
}  // namespace detail

/// 1 at the index and 0 elsewhere, along a new last axis: indices {I...} -> {I..., size}. An index outside of
/// [0, size) stops the call.
constexpr expr one_hot(const operand& indices, dim size, dtype d = dtype::float32) {
    located here(indices);
    return cast(detail::is_index("one_hot", detail::tensor(indices, "one_hot"), size), d);
}

using indexing_rows = rows<checked_index_row, take_row, take_along_axis_row, scatter_add_row,
                           scatter_add_along_axis_row>;

}  // namespace etch
