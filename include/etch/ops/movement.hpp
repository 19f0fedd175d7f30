// SPDX-License-Identifier: MIT
// Ops that move elements into plain memory: reshape reads the same memory in another shape, concatenate joins several.
#pragma once
#include <etch/ops/slice.hpp>

namespace etch {

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
constexpr expr reshape(const operand& x, flat_view<const dim> shape) {
    located here(x);
    if (!detail::usable(x, "reshape")) return detail::poison(x.g);
    graph& g = *x.g;
    type from = g.type_of(x.id), to{from.element, 0, {}};
    extent known{1};
    int open = -1;
    if (shape.size() > max_rank) {
        g.fail(text{} << "reshape: a tensor of rank " << shape.size() << "; the most is "
                      << max_rank);
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
        g.fail(text{} << "reshape: " << shape_text(g, from) << " has " << extent_text(g, total)
                      << " elements, " << shape_text(g, to) << " has " << extent_text(g, known));
        return detail::poison(&g);
    }
    if (from.same_shape(to)) return {&g, x.id};
    detail::words a;
    for (int axis = 0; axis < to.rank; ++axis) a.push_back(to[axis].code);
    return detail::view<reshape_row>({&g, x.id}, a);
}
constexpr expr reshape(const operand& x, std::initializer_list<dim> shape) {
    return reshape(x, flat_view<const dim>(shape.begin(), shape.size()));
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
constexpr graph& graph_of(std::string_view op, flat_view<const expr> tensors) {
    if (tensors.empty()) the_list_of_tensors_is_empty((text{} << op << ": no tensors").view());
    for (expr x : tensors)
        if (x.g) return *x.g;
    none_of_the_operands_is_a_tensor((text{} << op << ": no expr has a value").view());
}
}  // namespace detail
/// Tensors joined along an axis: {a, n}, {b, n} along 0 -> {a + b, n}. One dtype; the other extents agree.
constexpr expr concatenate(const expr_list& tensors, int axis,
                           std::source_location where = std::source_location::current()) {
    graph& g = detail::graph_of("concatenate", tensors);
    located here(&g, where);
    flat_list<int> ids;
    for (expr x : tensors) {
        if (!detail::tensor(x, "concatenate", &g).valid()) return detail::poison(&g);
        if (x.g != &g) {
            g.fail(text{} << "concatenate: the tensors belong to two different graphs");
            return detail::poison(&g);
        }
        ids.push_back(x.id);
    }
    type first = tensors[0].of();
    int a = detail::normalize_axis(g, "concatenate", axis, first.rank);
    if (a < 0) return detail::poison(&g);
    for (expr x : tensors) {
        type t = x.of();
        bool same = t.rank == first.rank;
        for (int i = 0; same && i < t.rank; ++i)
            same = i == a || g.agree("concatenate", "join", first, t, first[i], t[i]);
        if (!same || t.element != first.element) {
            g.fail(text{} << "concatenate: " << name_of(first.element) << ' '
                          << shape_text(g, first) << " and " << name_of(t.element) << ' '
                          << shape_text(g, t) << " do not join along axis " << a);
            return detail::poison(&g);
        }
    }
    if (tensors.size() == 1) return tensors[0];
    std::int64_t attributes[] = {a};
    return apply<concatenate_row>(g, ids, attributes);
}
/// Tensors of one shape, joined along a new axis.
constexpr expr stack(const expr_list& tensors, int axis,
                     std::source_location where = std::source_location::current()) {
    located here(&detail::graph_of("stack", tensors), where);
    expr_list expanded;
    for (expr x : tensors) expanded.push_back(x.valid() ? expand_dims(x, axis) : x);
    return concatenate(expanded, axis, where);
}

using movement_rows = rows<transpose_row, expand_dims_row, squeeze_row, broadcast_to_row, slice_row,
                           pad_row, reshape_row, concatenate_row>;

}  // namespace etch
