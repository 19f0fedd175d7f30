// SPDX-License-Identifier: MIT
// Rules that keep numbers finite and digits significant (Theano's stabilize rules): log of exponentials, the logistic
// function however it is spelled, softmax and the sums of one-hot rows that its gradient is made of.
#pragma once
#include <etch/passes/rules/match.hpp>

namespace etch::rules {

/// Whether v is 1 + x, in either order.
constexpr bool is_one_plus(const graph& g, int v, int& x) {
    return is<add_row>(g, v) && has_number(g, v, 1, x);
}
/// Whether v repeats the sum of exp(x) along some axes; then also which sum.
constexpr bool is_sum_of_exp(const graph& g, int v, int& sum, int& x) {
    sum = below_views(g, v);
    int e = -1;
    return is<sum_row>(g, sum, e) && is<exp_row>(g, e, x);
}
/// Whether x is t - max(t) already, as `less_maximum` or a model writes it.
constexpr bool is_shifted(const graph& g, int x) {
    if (!is<subtract_row>(g, x)) return false;
    int m = below_views(g, operand_of(g, x, 1));
    if (is<where_row>(g, m)) m = below_views(g, operand_of(g, m, 2));
    return is<max_row>(g, m);
}
/// x less its maximum along the axes, and that maximum. An infinite maximum is taken for 0: the exponentials are then
/// what they are, where inf - inf would be nan.
struct shifted {
    expr x, maximum;
};
constexpr shifted less_maximum(graph& g, int x, const detail::words& axes_list) {
    expr m = make<max_row>(g, x, axes_list);
    constexpr double infinity = std::numeric_limits<double>::infinity();
    expr infinite = make<equal_row>(make<abs_row>(m), filled(g, m.id, infinity));
    expr finite = apply<where_row>({infinite, filled(g, m.id, 0), m});
    expr spread = detail::broadcast(make<expand_dims_row>(g, finite.id, axes_list), type_at(g, x));
    return {make<subtract_row>(at(g, x), spread), finite};
}

// ---- log and exp --------------------------------------------------------------------------------------------------

// log(exp(x)) -> x
constexpr expr log_of_exp(graph& g, int v) {
    int x = -1;
    return is<exp_row>(g, operand_of(g, v), x) ? at(g, x) : refuse(g);
}
// log(1 + x) -> log1p(x)
constexpr expr log_one_plus(graph& g, int v) {
    int x = -1;
    return is_one_plus(g, operand_of(g, v), x) ? make<log1p_row>(g, x) : refuse(g);
}
// log1p(exp(x)) -> softplus(x)
constexpr expr log1p_of_exp(graph& g, int v) {
    int x = -1;
    return is<exp_row>(g, operand_of(g, v), x) ? make<softplus_row>(g, x) : refuse(g);
}
// exp(x) - 1 -> expm1(x)
constexpr expr exp_less_one(graph& g, int v) {
    int e = -1, x = -1;
    if (is<add_row>(g, v)) {
        if (!has_number(g, v, -1, e)) return refuse(g);
    } else {
        e = operand_of(g, v);
        if (!is_number(g, operand_of(g, v, 1), 1)) return refuse(g);
    }
    return is<exp_row>(g, e, x) ? make<expm1_row>(g, x) : refuse(g);
}

// ---- the logistic function ----------------------------------------------------------------------------------------

// log(sigmoid(x)) -> -softplus(-x)
constexpr expr log_of_sigmoid(graph& g, int v) {
    int x = -1;
    if (!is<sigmoid_row>(g, operand_of(g, v), x)) return refuse(g);
    return make<negative_row>(make<softplus_row>(make<negative_row>(g, x)));
}
// 1 - sigmoid(x) -> sigmoid(-x)
constexpr expr one_less_sigmoid(graph& g, int v) {
    int x = -1;
    if (!is_number(g, operand_of(g, v), 1) || !is<sigmoid_row>(g, operand_of(g, v, 1), x))
        return refuse(g);
    return make<sigmoid_row>(make<negative_row>(g, x));
}
// 1 / (1 + exp(x)) -> sigmoid(-x)
constexpr expr reciprocal_of_one_plus_exp(graph& g, int v) {
    int e = -1, x = -1;
    if (!is_one_plus(g, operand_of(g, v), e) || !is<exp_row>(g, e, x)) return refuse(g);
    return make<sigmoid_row>(make<negative_row>(g, x));
}
// exp(x) / (1 + exp(x)) -> sigmoid(x)
constexpr expr exp_over_one_plus_exp(graph& g, int v) {
    int e = -1, x = -1, y = operand_of(g, v);
    if (!is_one_plus(g, operand_of(g, v, 1), e) || e != y || !is<exp_row>(g, y, x))
        return refuse(g);
    return make<sigmoid_row>(g, x);
}

// ---- softmax ------------------------------------------------------------------------------------------------------

// log(sum(exp(x))) -> m + log(sum(exp(x - m))), m = max(x)
constexpr expr log_of_sum_of_exp(graph& g, int v) {
    int u = operand_of(g, v), s = -1, x = -1;
    if (!is_sum_of_exp(g, u, s, x) || is_shifted(g, x)) return refuse(g);
    auto axes_list = attributes_of(g, s);
    shifted z = less_maximum(g, x, axes_list);
    expr total = make<sum_row>(g, make<exp_row>(z.x).id, axes_list);
    expr y = make<add_row>(z.maximum, make<log_row>(total));
    return with_views(g, u, s, y.id);
}
// log(exp(x) / s) -> x - log(s), s a sum of exponentials
constexpr expr log_of_softmax(graph& g, int v) {
    int u = operand_of(g, v), x = -1, s = -1, y = -1;
    if (!is<divide_row>(g, u) || !is<exp_row>(g, operand_of(g, u), x)) return refuse(g);
    int total = operand_of(g, u, 1);
    if (!is_sum_of_exp(g, total, s, y)) return refuse(g);
    return make<subtract_row>(at(g, x), make<log_row>(g, total));
}
// exp(x) / sum(exp(x)) -> the same of x - max(x)
constexpr expr softmax_of_large(graph& g, int v) {
    int e = operand_of(g, v), u = operand_of(g, v, 1), x = -1, s = -1, y = -1;
    if (!is<exp_row>(g, e, x) || !is_sum_of_exp(g, u, s, y) || x != y || is_shifted(g, x))
        return refuse(g);
    auto axes_list = attributes_of(g, s);
    expr f = make<exp_row>(less_maximum(g, x, axes_list).x);
    expr total = make<sum_row>(g, f.id, axes_list);
    return make<divide_row>(f, with_views(g, u, s, total.id));
}
/// w with x - max(x) for x in the sum of exp(x) that it is divided by, beneath views, signs and factors.
constexpr expr over_shifted_total(graph& g, int w, int x) {
    const node n = g.node_of(w);
    bool inverse = is<reciprocal_row>(g, w);
    if (inverse || is<divide_row>(g, w)) {
        int u = operand_of(g, w, inverse ? 0 : 1), s = -1, y = -1;
        if (!is_sum_of_exp(g, u, s, y) || x != y) return refuse(g);
        auto axes_list = attributes_of(g, s);
        expr f = make<exp_row>(less_maximum(g, x, axes_list).x);
        expr total = with_views(g, u, s, make<sum_row>(g, f.id, axes_list).id);
        return inverse ? make<reciprocal_row>(total)
                       : make<divide_row>(at(g, operand_of(g, w)), total);
    }
    bool view = is<broadcast_to_row>(g, w) || is<expand_dims_row>(g, w) || is<squeeze_row>(g, w);
    if (view || is<negative_row>(g, w)) {
        expr y = over_shifted_total(g, operand_of(g, w), x);
        auto a = attributes_of(g, w);
        return y.valid() ? detail::append(g, n.op, flat_view<const int>(&y.id, 1), a) : y;
    }
    if (!is<multiply_row>(g, w)) return refuse(g);
    for (int k = 0; k < 2; ++k) {
        expr y = over_shifted_total(g, operand_of(g, w, k), x);
        if (y.valid()) return make<multiply_row>(y, at(g, operand_of(g, w, 1 - k)));
    }
    return refuse(g);
}
// exp(x) * (c / sum(exp(x))) -> the same of x - max(x): the gradient of log(sum(exp(x)))
constexpr expr softmax_gradient_of_large(graph& g, int v) {
    for (int k = 0; k < 2; ++k) {
        int e = operand_of(g, v, k), x = -1;
        if (!is<exp_row>(g, e, x) || is_shifted(g, x)) continue;
        expr w = over_shifted_total(g, operand_of(g, v, 1 - k), x);
        if (!w.valid()) continue;
        int q = w.id, sum = -1, less = -1;  // first operands lead to the quotient
        while (!is<divide_row>(g, q) && !is<reciprocal_row>(g, q)) q = operand_of(g, q);
        if (!is_sum_of_exp(g, operand_of(g, q, is<divide_row>(g, q) ? 1 : 0), sum, less)) continue;
        return make<multiply_row>(make<exp_row>(g, less), w);
    }
    return refuse(g);
}

/// Whether `mask` holds at exactly one place along the axis: where a counter equals an index that is checked.
constexpr bool marks_one(const graph& g, int mask, int axis) {
    extent n = g.type_of(mask)[axis];
    while (is<broadcast_to_row>(g, mask)) mask = operand_of(g, mask);
    if (!is<equal_row>(g, mask) || !(g.type_of(mask)[axis] == n)) return false;
    for (int k = 0; k < 2; ++k) {
        int i = operand_of(g, mask, k), j = operand_of(g, mask, 1 - k);
        while (is<broadcast_to_row>(g, i)) i = operand_of(g, i);
        while (is<broadcast_to_row>(g, j)) j = operand_of(g, j);
        if (!is<iota_row>(g, i) || g.attributes(g.node_of(i)).back() != axis ||
            !(g.type_of(i)[axis] == n))
            continue;
        if (g.type_of(j)[axis].code != 1) continue;
        int index = below_views(g, j);
        if (!is<checked_index_row>(g, index)) continue;
        int bound = operand_of(g, index, 1), size = scalar_under(g, bound);
        if (n.is_static() ? is_number(g, bound, static_cast<double>(n.code))
                          : size >= 0 && is<extent_value_row>(g, size) &&
                                g.attributes(g.node_of(size))[1] == n.code)
            return true;
    }
    return false;
}
// sum(where(one-hot mask, c, 0)) -> c, for c the same along the axis: in the gradient of cross_entropy.
constexpr expr one_hot_sum(graph& g, int v) {
    int w = operand_of(g, v);
    if (!is<where_row>(g, w) || !is_number(g, operand_of(g, w, 2), 0)) return refuse(g);
    int mask = operand_of(g, w), c = operand_of(g, w, 1);
    auto all_axes = attributes_of(g, v);
    for (auto axis : all_axes) {
        int a = static_cast<int>(axis), s = scalar_under(g, c);
        bool repeated = is<broadcast_to_row>(g, c) && g.type_of(operand_of(g, c))[a].code == 1;
        if ((s < 0 && !repeated) || !marks_one(g, mask, a)) continue;
        detail::words gone{axis}, rest;
        for (auto other : all_axes)
            if (other != axis) rest.push_back(other);
        type t = without(g.type_of(c), gone);
        expr y = s >= 0 ? detail::broadcast(at(g, s), t)
                        : detail::broadcast(make<squeeze_row>(g, operand_of(g, c), gone), t);
        return make<sum_row>(g, y.id, renumbered(rest, gone));
    }
    return refuse(g);
}

}  // namespace etch::rules
