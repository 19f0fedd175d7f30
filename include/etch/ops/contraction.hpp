// SPDX-License-Identifier: MIT
// Products of matrices. The op is batched and strict: {B..., M, K} and {B..., K, N} give {B..., M, N}; matmul and dot
// bring NumPy's other cases to it.
#pragma once
#include <etch/ops/reduction.hpp>

namespace etch {

struct dot_row : any_row {
    static constexpr std::string_view name = "dot";
    static constexpr int arity = 2;
    static constexpr op_class kind = op_class::opaque;
    static constexpr std::string_view cuda = "";
    static constexpr type infer(inference& i) {
        type t = i.operand(0);
        t[t.rank - 1] = i.operand(1)[t.rank - 1];
        return t;
    }
    template <class E> static constexpr E derivative(const pullback<E>& p) {
        return p.k == 0 ? apply<dot_row>({p.dy(), matrix_transpose(p.operand(1))})
                        : apply<dot_row>({matrix_transpose(p.operand(0)), p.dy()});
    }
};

namespace detail {
/// {A..., K} by {K, N...}: rows of a joined with columns of b.
constexpr expr contract(expr a, expr b) {
    graph& g = *a.g;
    type s = a.of(), t = b.of();
    extent k = t[0], m{1}, n{1};
    flat_list<dim> result;
    for (int i = 0; i + 1 < s.rank; ++i) {
        m = g.multiply(m, s[i]);
        result.push_back({&g, s[i]});
    }
    for (int i = 1; i < t.rank; ++i) {
        n = g.multiply(n, t[i]);
        result.push_back({&g, t[i]});
    }
    expr x = reshape(a, {dim(&g, m), dim(&g, k)}), y = reshape(b, {dim(&g, k), dim(&g, n)});
    if (is_floating(s.element))
        y = apply<dot_row>({x, y});
    else
        y = sum(expand_dims(x, -1) * y, -2);  // as in matmul
    return reshape(y, flat_view<const dim>(result));
}
constexpr expr no_join(graph& g, std::string_view op, const type& s, const type& t, extent k,
                       extent l) {
    g.fail(text{} << op << ": " << shape_text(g, s) << " and " << shape_text(g, t)
                  << " do not join: " << extent_text(g, k) << " is not " << extent_text(g, l));
    return poison(&g);
}
/// One dtype for both factors, shapes untouched.
constexpr bool join_dtypes(std::string_view op, const operand& a, const operand& b, expr& x,
                           expr& y) {
    x = tensor(a, op, b.g);
    y = tensor(b, op, a.g);
    if (!x.valid() || !y.valid()) return false;
    graph& g = *x.g;
    if (y.g != &g) {
        g.fail(text{} << op << ": the operands belong to two different graphs");
        return false;
    }
    if (x.element() != y.element()) {
        if (is_floating(x.element()) && is_floating(y.element())) {
            g.fail(text{}
                   << op
                   << ": float32 and float64 do not mix: write cast<double>(x) or cast<float>(x)");
            return false;
        }
        if (is_integer(x.element()) && is_integer(y.element())) {
            g.fail(text{} << op
                          << ": int32 and int64 do not mix: write cast<std::int64_t>(x) or "
                             "cast<std::int32_t>(x)");
            return false;
        }
        auto rank = [](dtype d) { return is_floating(d) ? 2 : is_integer(d) ? 1 : 0; };
        dtype d = rank(x.element()) > rank(y.element()) ? x.element() : y.element();
        x = cast(x, d);
        y = cast(y, d);
    }
    x = countable(x);
    y = countable(y);
    return true;
}
}  // namespace detail

/// NumPy's matmul: the last two axes are matrices, the others a batch that broadcasts; a vector on the left is a row,
/// on the right a column. {B..., M, K} and {B..., K, N} -> {B..., M, N}.
constexpr expr matmul(const operand& a, const operand& b) {
    located here(&detail::graph_among("matmul", {&a, &b}), a.where);
    expr x, y;
    if (!detail::join_dtypes("matmul", a, b, x, y)) return detail::poison(a.g ? a.g : b.g);
    graph& g = *x.g;
    type s = x.of(), t = y.of();
    if (s.rank == 0 || t.rank == 0) {
        g.fail(text{} << "matmul: takes no scalars: write a * b");
        return detail::poison(&g);
    }
    extent k = s[s.rank - 1], l = t.rank == 1 ? t[0] : t[t.rank - 2];
    if (!g.agree("matmul", "join", s, t, k, l)) return detail::no_join(g, "matmul", s, t, k, l);
    if (!is_floating(
            s.element)) {  // no library multiplies integer matrices: a sum of products, fused
        expr p = t.rank == 1   ? x * y
                 : s.rank == 1 ? expand_dims(x, -1) * y
                               : expand_dims(x, -1) * expand_dims(y, -3);
        return sum(p, t.rank == 1 ? -1 : -2);
    }
    if (s.rank == 1) return squeeze(matmul(expand_dims(x, 0), y), t.rank == 1 ? axes(0) : axes(-2));
    if (t.rank == 1) return squeeze(matmul(x, expand_dims(y, 1)), -1);
    if (t.rank == 2) return s.rank == 2 ? apply<dot_row>({x, y}) : detail::contract(x, y);
    type batch[] = {s, t};
    for (type& u : batch) u.rank -= 2;
    for (type& u : batch)
        for (int i = u.rank; i < max_rank; ++i) u[i] = {};
    bool failed = false;
    type common = detail::common_shape(g, "matmul", batch, failed);
    if (failed) return detail::poison(&g);
    type full_x = common, full_y = common;
    full_x.push(s[s.rank - 2]), full_x.push(k);
    full_y.push(k), full_y.push(t[t.rank - 1]);
    return apply<dot_row>({detail::broadcast(x, full_x), detail::broadcast(y, full_y)});
}

/// NumPy's dot: matmul of vectors and matrices; with a scalar it multiplies; of {A..., K} and {B..., K, N} it is
/// {A..., B..., N}.
constexpr expr dot(const operand& a, const operand& b) {
    graph& g = detail::graph_among("dot", {&a, &b});
    located here(&g, a.where);
    auto rank = [](const operand& x) {
        return x.is_tensor() && x.id >= 0 ? x.g->type_of(x.id).rank : 0;
    };
    if (rank(a) == 0 || rank(b) == 0) return multiply(a, b);
    if (rank(b) <= 2) {
        expr x{a.g, a.id}, y{b.g, b.id};
        extent k = x.of()[rank(a) - 1], l = y.of()[0];
        if (!g.agree("dot", "join", x.of(), y.of(), k, l))
            return detail::no_join(g, "dot", x.of(), y.of(), k, l);
        return matmul(a, b);
    }
    expr x, y;
    if (!detail::join_dtypes("dot", a, b, x, y)) return detail::poison(&g);
    type s = x.of(), t = y.of();
    extent k = s[s.rank - 1], l = t[t.rank - 2];
    if (!g.agree("dot", "join", s, t, k, l)) return detail::no_join(g, "dot", s, t, k, l);
    flat_list<int> order{t.rank - 2};
    for (int i = 0; i < t.rank; ++i)
        if (i != t.rank - 2) order.push_back(i);
    return detail::contract(x, transpose(y, axes(order)));
}

using contraction_rows = rows<dot_row>;

}  // namespace etch
