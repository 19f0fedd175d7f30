// SPDX-License-Identifier: MIT
// More rules that keep digits: logs and exponentials of sums and differences, inverse functions, the hyperbolic tangent
// however it is spelled, the variance of numbers with a large mean.
#pragma once
#include <etch/passes/rules/stability.hpp>

namespace etch::rules {

// ---- log and exp --------------------------------------------------------------------------------------------------

// log(1 - x) -> log1p(-x)
constexpr expr log_one_less(graph& g, int v) {
    int u = operand_of(g, v);
    if (!is<subtract_row>(g, u) || !is_number(g, operand_of(g, u), 1)) return refuse(g);
    return make<log1p_row>(make<negative_row>(g, operand_of(g, u, 1)));
}
// 1 - exp(x) -> -expm1(x)
constexpr expr one_less_exp(graph& g, int v) {
    int x = -1;
    if (!is_number(g, operand_of(g, v), 1) || !is<exp_row>(g, operand_of(g, v, 1), x))
        return refuse(g);
    return make<negative_row>(make<expm1_row>(g, x));
}
// log1p(-sigmoid(x)) -> -softplus(x)
constexpr expr log1p_of_negative_sigmoid(graph& g, int v) {
    int u = -1, x = -1;
    if (!is<negative_row>(g, operand_of(g, v), u) || !is<sigmoid_row>(g, u, x)) return refuse(g);
    return make<negative_row>(make<softplus_row>(g, x));
}
// log1p(-exp(x)), log(-expm1(x)) -> the second where x > -log 2, else the first (Maechler: Accurately computing
// log(1 - exp(-|a|)), 2012)
constexpr expr log_one_less_exp(graph& g, int v) {
    int u = -1, x = -1;
    if (!is<negative_row>(g, operand_of(g, v), u)) return refuse(g);
    if (!(is<log1p_row>(g, v) ? is<exp_row>(g, u, x) : is<expm1_row>(g, u, x))) return refuse(g);
    expr near = make<greater_row>(at(g, x), filled(g, x, -0.6931471805599453));
    // Each side gets a harmless number where the other is chosen; and so the rule does not meet its own result.
    expr e = make<negative_row>(make<exp_row>(g, x)), m = make<negative_row>(make<expm1_row>(g, x));
    expr far = make<log1p_row>(apply<where_row>({near, filled(g, x, -0.5), e}));
    return apply<where_row>(
        {near, make<log_row>(apply<where_row>({near, m, filled(g, x, 1)})), far});
}
// log1p(expm1(x)) -> x
constexpr expr log1p_of_expm1(graph& g, int v) {
    int x = -1;
    return is<expm1_row>(g, operand_of(g, v), x) ? at(g, x) : refuse(g);
}
// exp(log(x)) -> x, expm1(log1p(x)) -> x: x < 0 gives nan
constexpr expr exp_of_log(graph& g, int v) {
    int u = operand_of(g, v), x = -1;
    bool inverse = is<exp_row>(g, v) ? is<log_row>(g, u, x) : is<log1p_row>(g, u, x);
    return inverse ? at(g, x) : refuse(g);
}
// square(sqrt(x)) -> x: x < 0 gives nan
constexpr expr square_of_sqrt(graph& g, int v) {
    int x = -1;
    return is<sqrt_row>(g, operand_of(g, v), x) ? at(g, x) : refuse(g);
}
// sqrt(square(x)) -> |x|
constexpr expr sqrt_of_square(graph& g, int v) {
    int x = -1;
    return is<square_row>(g, operand_of(g, v), x) ? make<abs_row>(g, x) : refuse(g);
}
// log(sqrt(x)) -> log(x) / 2, log(square(x)) -> 2 log|x|
constexpr expr log_of_root_or_square(graph& g, int v) {
    int u = operand_of(g, v), x = -1;
    if (is<sqrt_row>(g, u, x)) return make<multiply_row>(filled(g, v, 0.5), make<log_row>(g, x));
    if (!is<square_row>(g, u, x)) return refuse(g);
    return make<multiply_row>(filled(g, v, 2), make<log_row>(make<abs_row>(g, x)));
}
// 1 / exp(x) -> exp(-x)
constexpr expr reciprocal_of_exp(graph& g, int v) {
    int x = -1;
    return is<exp_row>(g, operand_of(g, v), x) ? make<exp_row>(make<negative_row>(g, x))
                                               : refuse(g);
}
// softplus(x) - x -> softplus(-x), x - softplus(x) -> -softplus(-x)
constexpr expr softplus_less_itself(graph& g, int v) {
    int a = operand_of(g, v), b = operand_of(g, v, 1), x = -1;
    bool first = is<softplus_row>(g, a, x) && x == b;
    if (!first && !(is<softplus_row>(g, b, x) && x == a)) return refuse(g);
    expr y = make<softplus_row>(make<negative_row>(g, x));
    return first ? y : make<negative_row>(y);
}
// log(exp(a) + exp(b)) -> max(a, b) + log1p(exp(-|a - b|)), equal infinities being at a distance of 0
constexpr expr log_of_added_exp(graph& g, int v) {
    int u = operand_of(g, v), a = -1, b = -1;
    if (!is<add_row>(g, u) || !is<exp_row>(g, operand_of(g, u), a) ||
        !is<exp_row>(g, operand_of(g, u, 1), b))
        return refuse(g);
    expr distance = apply<where_row>(
        {make<equal_row>(g, a, b), filled(g, a, 0), make<abs_row>(make<subtract_row>(g, a, b))});
    return make<add_row>(make<maximum_row>(g, a, b),
                         make<log1p_row>(make<exp_row>(make<negative_row>(distance))));
}
/// Whether v is the same positive number everywhere: a constant, or an extent.
constexpr bool is_positive_number(const graph& g, int v) {
    double c = 0;
    if (detail::constant_number(g, v, c)) return c > 0;
    int s = scalar_under(g, v);
    return s >= 0 && is<extent_value_row>(g, s);
}
// log(sum(exp(x)) / n) -> log(sum(exp(x))) - log(n), log(sum(exp(x)) * c) -> ... + log(c): the log of a mean
constexpr expr log_of_mean_of_exp(graph& g, int v) {
    int u = operand_of(g, v), s = -1, x = -1;
    if (is<divide_row>(g, u)) {
        int total = operand_of(g, u), n = operand_of(g, u, 1);
        if (!is_sum_of_exp(g, total, s, x) || !is_positive_number(g, n)) return refuse(g);
        return make<subtract_row>(make<log_row>(g, total), make<log_row>(g, n));
    }
    if (!is<multiply_row>(g, u)) return refuse(g);
    for (int k = 0; k < 2; ++k) {
        int total = operand_of(g, u, k), c = operand_of(g, u, 1 - k);
        if (is_sum_of_exp(g, total, s, x) && is_positive_number(g, c))
            return make<add_row>(make<log_row>(g, total), make<log_row>(g, c));
    }
    return refuse(g);
}
// log(take(exp(x) / sum(exp(x)), i)) -> take(log(...), i), slices and other views in the same way
constexpr expr log_of_picked_softmax(graph& g, int v) {
    int top = operand_of(g, v), u = top, s = -1, x = -1;
    while (row_of(g.node_of(u)).kind == op_class::view ||
           row_of(g.node_of(u)).kind == op_class::gather)
        u = operand_of(g, u);
    if (u == top || !is<divide_row>(g, u) || !is<exp_row>(g, operand_of(g, u)) ||
        !is_sum_of_exp(g, operand_of(g, u, 1), s, x))
        return refuse(g);
    flat_list<int> chain;
    for (int w = top; w != u; w = operand_of(g, w)) chain.push_back(w);
    expr y = make<log_row>(g, u);
    while (!chain.empty()) {
        const node n = g.node_of(chain.back());
        auto a = attributes_of(g, chain.back());
        int ids[] = {y.id, n.operands.count > 1 ? operand_of(g, chain.back(), 1) : -1};
        y = detail::append(g, n.op, {ids, static_cast<std::size_t>(n.operands.count)}, a);
        chain.pop_back();
    }
    return y;
}

// ---- the hyperbolic tangent ---------------------------------------------------------------------------------------

/// Whether a is -b or b is -a, or both are products with opposite constants.
constexpr bool is_negative_of(const graph& g, int a, int b) {
    int x = -1;
    if ((is<negative_row>(g, a, x) && x == b) || (is<negative_row>(g, b, x) && x == a)) return true;
    if (!is<multiply_row>(g, a) || !is<multiply_row>(g, b)) return false;
    for (int i = 0; i < 2; ++i)
        for (int j = 0; j < 2; ++j) {
            double c = 0, d = 0;
            if (operand_of(g, a, i) == operand_of(g, b, j) &&
                detail::constant_number(g, operand_of(g, a, 1 - i), c) &&
                detail::constant_number(g, operand_of(g, b, 1 - j), d) && c == -d)
                return true;
        }
    return false;
}
// (exp(x) - exp(-x)) / (exp(x) + exp(-x)) -> tanh(x), expm1(x) / (1 + exp(x)) -> tanh(x / 2)
constexpr expr tanh_of_exponentials(graph& g, int v) {
    int p = operand_of(g, v), q = operand_of(g, v, 1), x = -1, y = -1, e = -1;
    bool minus = is<negative_row>(g, p);
    if (minus) p = operand_of(g, p);
    if (is<expm1_row>(g, p, x)) {
        if (!is_one_plus(g, q, e) || !is<exp_row>(g, e, y) || x != y) return refuse(g);
        expr half = make<tanh_row>(make<multiply_row>(at(g, x), filled(g, v, 0.5)));
        return minus ? make<negative_row>(half) : half;
    }
    if (minus || !is<subtract_row>(g, p) || !is<add_row>(g, q)) return refuse(g);
    int a = operand_of(g, p), b = operand_of(g, p, 1), c = operand_of(g, q),
        d = operand_of(g, q, 1);
    if (!is<exp_row>(g, a, x) || !is<exp_row>(g, b, y) || !is_negative_of(g, x, y))
        return refuse(g);
    return (a == c && b == d) || (a == d && b == c) ? make<tanh_row>(g, x) : refuse(g);
}

// ---- variance -----------------------------------------------------------------------------------------------------

/// v as the mean of something: its sum, what is divided (the sum and views of it), and by what.
struct mean_of {
    int sum = -1, scaled = -1, count = -1;
    bool divided = false;
};
constexpr bool is_mean(graph& g, int v, mean_of& m) {
    if (!is<divide_row>(g, v) && !is<multiply_row>(g, v)) return false;
    m.divided = is<divide_row>(g, v);
    for (int k = 0; k < (m.divided ? 1 : 2); ++k) {
        m.scaled = operand_of(g, v, k);
        m.count = operand_of(g, v, 1 - k);
        m.sum = m.scaled;
        while (is<expand_dims_row>(g, m.sum)) m.sum = operand_of(g, m.sum);
        if (!is<sum_row>(g, m.sum)) continue;
        const type t = g.type_of(operand_of(g, m.sum));
        extent n{1};
        for (auto a : attributes_of(g, m.sum)) n = g.multiply(n, t[static_cast<int>(a)]);
        double c = 0, number = static_cast<double>(n.code);
        if (!n.is_static()) {
            int s = scalar_under(g, m.count);
            return m.divided && s >= 0 && is<extent_value_row>(g, s) &&
                   g.attributes(g.node_of(s))[1] == n.code;
        }
        return detail::constant_number(g, m.count, c) && n.code > 0 &&
               (m.divided ? c == number : c * number == 1);
    }
    return false;
}
// mean(square(x)) - square(mean(x)) -> mean(square(x - mean(x))): digits cancel where the mean is large
constexpr expr variance_of_large(graph& g, int v) {
    int p = operand_of(g, v), q = operand_of(g, v, 1), m = -1, squares = -1, x = -1;
    mean_of of_square, of_x;
    if (!is<square_row>(g, q, m) || !is_mean(g, p, of_square) || !is_mean(g, m, of_x) ||
        !is<square_row>(g, operand_of(g, of_square.sum), squares))
        return refuse(g);
    x = operand_of(g, of_x.sum);
    auto axes_list = attributes_of(g, of_x.sum);
    if (squares != x || attributes_of(g, of_square.sum) != axes_list) return refuse(g);
    auto scale = [&](const mean_of& f, expr total) {
        expr n = detail::broadcast(at(g, scalar_under(g, f.count)), type_at(g, total.id));
        return f.divided ? make<divide_row>(total, n) : make<multiply_row>(total, n);
    };
    if (scalar_under(g, of_square.count) < 0 || scalar_under(g, of_x.count) < 0) return refuse(g);
    expr mean = scale(of_x, at(g, of_x.sum));
    expr spread = detail::broadcast(make<expand_dims_row>(g, mean.id, axes_list), type_at(g, x));
    expr centred = make<square_row>(make<subtract_row>(at(g, x), spread));
    expr total = make<sum_row>(g, centred.id, axes_list);
    return scale(of_square, with_views(g, of_square.scaled, of_square.sum, total.id));
}

}  // namespace etch::rules
