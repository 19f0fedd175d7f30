// SPDX-License-Identifier: MIT
// Rules of sums and products over axes: what moves out of them, and which of them are products of matrices.
#pragma once
#include <etch/passes/rules/movement.hpp>

namespace etch::rules {

// ---- factors ------------------------------------------------------------------------------------------------------

/// Whether x, broadcast, is the same along each of the axes.
constexpr bool repeated_along(const graph& g, int x, const detail::words& axes_list) {
    if (scalar_under(g, x) >= 0) return true;
    if (!is<broadcast_to_row>(g, x)) return false;
    const type& from = g.type_of(operand_of(g, x));
    for (auto a : axes_list)
        if (from[static_cast<int>(a)].code != 1) return false;
    return true;
}
/// x, the same along the axes, without them.
constexpr expr along_one(graph& g, int x, const detail::words& axes_list) {
    type t = without(g.type_of(x), axes_list);
    if (int s = scalar_under(g, x); s >= 0) return detail::broadcast(at(g, s), t);
    return detail::broadcast(make<squeeze_row>(g, operand_of(g, x), axes_list), t);
}
/// sum(c * x) -> c * sum(x), where c suits.
template <class Suits> constexpr expr factor_out(graph& g, int v, Suits suits) {
    int u = operand_of(g, v);
    bool product = is<multiply_row>(g, u);
    if (!product && !is<divide_row>(g, u)) return refuse(g);
    auto a = attributes_of(g, v);
    for (int k = product ? 0 : 1; k < 2; ++k) {
        int c = operand_of(g, u, k), x = operand_of(g, u, 1 - k);
        if (!repeated_along(g, c, a) || !suits(c)) continue;
        expr factor = along_one(g, c, a), total = make<sum_row>(g, x, a);
        return product ? make<multiply_row>(factor, total) : make<divide_row>(total, factor);
    }
    return refuse(g);
}
// sum(c * n) -> c * sum(n), for integers
constexpr expr sum_of_scaled_integers(graph& g, int v) {
    return floating(g, v) ? refuse(g) : factor_out(g, v, [](int) { return true; });
}
// sum(2^k * x) -> 2^k * sum(x), k > 0: exact, and overflows only with the result
constexpr expr sum_of_doubled(graph& g, int v) {
    if (!floating(g, v) || !is<multiply_row>(g, operand_of(g, v))) return refuse(g);
    return factor_out(g, v, [&](int c) {
        double number = 0;
        if (!detail::constant_number(g, c, number)) return false;
        for (double p = 2; p <= 1024; p *= 2)
            if (number == p || number == -p) return true;
        return false;
    });
}
// sum(c * x) -> c * sum(x), sum(x / c) -> sum(x) / c, c the same along the axes
constexpr expr sum_of_scaled(graph& g, int v) {
    return floating(g, v) ? factor_out(g, v, [](int) { return true; }) : refuse(g);
}
// max(-x) -> -min(x): of 0 and -0 either may be the result
constexpr expr extremum_of_negative(graph& g, int v) {
    int x = -1;
    if (!floating(g, v) || !is<negative_row>(g, operand_of(g, v), x)) return refuse(g);
    auto a = attributes_of(g, v);
    return make<negative_row>(is<max_row>(g, v) ? make<min_row>(g, x, a) : make<max_row>(g, x, a));
}

// ---- views under reductions ---------------------------------------------------------------------------------------

// sum(transpose(x)) -> transpose(sum(x)): fewer elements are moved, and x is read in its own order
constexpr expr reduce_of_transpose(graph& g, int v) {
    int u = operand_of(g, v), x = -1;
    if (!is<transpose_row>(g, u, x)) return refuse(g);
    auto order = attributes_of(g, u);  // axis i of u is axis order[i] of x
    bool gone[max_rank]{};
    for (auto a : g.attributes(g.node_of(v))) gone[order[static_cast<std::size_t>(a)]] = true;
    detail::words reduced_axes, kept;  // of x; what is kept in the order in which u has it
    for (int a = 0; a < g.type_of(x).rank; ++a)
        if (gone[a]) reduced_axes.push_back(a);
    for (auto a : order)
        if (!gone[a]) kept.push_back(a);
    op_id op = g.node_of(v).op;
    expr y = detail::append(g, op, flat_view<const int>(&x, 1), reduced_axes);
    kept = renumbered(kept, reduced_axes);
    for (std::size_t i = 0; i < kept.size(); ++i)
        if (kept[i] != static_cast<std::int64_t>(i)) return make<transpose_row>(g, y.id, kept);
    return y;
}
// sum(reshape(x)) -> sum(x) over all axes
constexpr expr reduce_of_reshape(graph& g, int v) {
    int u = operand_of(g, v), x = -1;
    if (g.type_of(v).rank != 0 || !is<reshape_row>(g, u, x)) return refuse(g);
    detail::words all;
    for (int a = 0; a < g.type_of(x).rank; ++a) all.push_back(a);
    return reduced(g, g.node_of(v).op, x, all);
}

// ---- products of matrices -----------------------------------------------------------------------------------------

/// One factor of a product that a sum joins: without the axes along which it is only repeated.
struct factor_axes {
    int x = -1;          // below the broadcast
    detail::words gone;  // axes along which x is repeated
    unsigned has = 0;    // bit a: it varies along axis a
};
constexpr bool factor_of(const graph& g, int v, factor_axes& f) {
    const type& t = g.type_of(v);
    f.x = is<broadcast_to_row>(g, v) ? operand_of(g, v) : v;
    const type& from = g.type_of(f.x);
    for (int a = 0; a < t.rank; ++a)
        if (from[a] == t[a])
            f.has |= 1u << a;
        else
            f.gone.push_back(a);
    return f.has != 0;
}
/// The factor with its axes in the order {batch..., first, second}.
constexpr expr as_matrix(graph& g, const factor_axes& f, int rank, int first, int second) {
    expr y = make<squeeze_row>(g, f.x, f.gone);
    detail::words places(static_cast<std::size_t>(rank), -1), order;
    std::int64_t next = 0;
    for (int a = 0; a < rank; ++a)
        if (f.has >> a & 1) places[static_cast<std::size_t>(a)] = next++;
    for (int a = 0; a < rank; ++a)
        if ((f.has >> a & 1) && a != first && a != second)
            order.push_back(places[static_cast<std::size_t>(a)]);
    order.push_back(places[static_cast<std::size_t>(first)]);
    order.push_back(places[static_cast<std::size_t>(second)]);
    for (std::size_t i = 0; i < order.size(); ++i)
        if (order[i] != static_cast<std::int64_t>(i)) return make<transpose_row>(g, y.id, order);
    return y;
}
// sum(x * y) over one axis k -> dot, where x has an axis that y is repeated along, and y one that x is
constexpr expr sum_of_products(graph& g, int v) {
    int u = operand_of(g, v);
    auto a = attributes_of(g, v);
    if (!floating(g, v) || a.size() != 1 || !is<multiply_row>(g, u)) return refuse(g);
    type t = g.type_of(u);
    factor_axes p, q;
    if (!factor_of(g, operand_of(g, u), p) || !factor_of(g, operand_of(g, u, 1), q))
        return refuse(g);
    int k = static_cast<int>(a[0]), m = -1, n = -1;
    for (int i = 0; i < t.rank; ++i) {
        bool x = p.has >> i & 1, y = q.has >> i & 1;
        if (t[i].code == 1 || (!x && !y) || (i == k && !(x && y))) return refuse(g);
        if (x && y) continue;  // k, or one of the batch
        // A product of few rows or columns is done sooner by the kernel that it is part of.
        if ((x ? m : n) >= 0 || (t[i].is_static() && t[i].code < 8)) return refuse(g);
        (x ? m : n) = i;
    }
    if (m < 0 || n < 0 || (t[k].is_static() && t[k].code < 8)) return refuse(g);
    expr y = make<dot_row>(as_matrix(g, p, t.rank, m, k), as_matrix(g, q, t.rank, k, n));
    detail::words in_dot, order;  // the axes of the product, and where v has them
    for (int i = 0; i < t.rank; ++i)
        if (i != k && i != m && i != n) in_dot.push_back(i);
    in_dot.push_back(m);
    in_dot.push_back(n);
    bool same = true;
    for (int i = 0; i < t.rank; ++i) {
        if (i == k) continue;
        for (std::size_t j = 0; j < in_dot.size(); ++j)
            if (in_dot[j] == i) {
                same = same && j == order.size();
                order.push_back(static_cast<std::int64_t>(j));
                break;
            }
    }
    return same ? y : make<transpose_row>(g, y.id, order);
}
// dot of a column and a row -> their product, elementwise: a sum of one number
constexpr expr dot_of_outer(graph& g, int v) {
    int x = operand_of(g, v), y = operand_of(g, v, 1);
    type t = g.type_of(v), s = g.type_of(x);
    if (s[s.rank - 1].code != 1) return refuse(g);
    return make<multiply_row>(detail::broadcast(at(g, x), t), detail::broadcast(at(g, y), t));
}

}  // namespace etch::rules
