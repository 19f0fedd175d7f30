// SPDX-License-Identifier: MIT
// Rules of factors that are positive in mathematics but may underflow to 0: exp, the logistic function, softmax. What is
// divided by one and multiplied by it again is nan there, and 0 / 0 is what the derivative of log(sigmoid(x)) and
// of log(softmax(x)) is made of: Theano has these as the gradients of its fused losses.
#pragma once
#include <etch/passes/rules/reductions.hpp>
#include <etch/passes/rules/stability.hpp>

namespace etch::rules {

constexpr bool is_total_of_exp(const graph& g, int v) {
    int sum = -1, x = -1;
    return is_sum_of_exp(g, v, sum, x);
}
/// Whether v is > 0 for all finite operands, though perhaps not in floating numbers.
constexpr bool is_positive(const graph& g, int v) {
    if (is<exp_row>(g, v) || is<sigmoid_row>(g, v) || is<softplus_row>(g, v)) return true;
    if (is<divide_row>(g, v))
        return is<exp_row>(g, operand_of(g, v)) && is_total_of_exp(g, operand_of(g, v, 1));
    return is_total_of_exp(g, v);
}
/// v as numerator / denominator, or less that; numerator -1 stands for 1.
struct quotient {
    int numerator = -1, denominator = -1;
    bool minus = false;
};
constexpr bool is_quotient(const graph& g, int v, quotient& q) {
    q.minus = is<negative_row>(g, v);
    if (q.minus) v = operand_of(g, v);
    if (is<reciprocal_row>(g, v)) {
        q.denominator = operand_of(g, v);
        return true;
    }
    if (!is<divide_row>(g, v)) return false;
    q.numerator = operand_of(g, v);
    q.denominator = operand_of(g, v, 1);
    return true;
}
/// Whether v is y, or a product with y; then `rest` is what remains, -1 for 1.
constexpr bool has_factor(const graph& g, int v, int y, int& rest) {
    rest = -1;
    if (v == y) return true;
    if (is<square_row>(g, v)) {
        rest = y;
        return operand_of(g, v) == y;
    }
    if (!is<multiply_row>(g, v)) return false;
    for (int k = 0; k < 2; ++k)
        if (operand_of(g, v, k) == y) {
            rest = operand_of(g, v, 1 - k);
            return true;
        }
    return false;
}
/// u * w without the positive factor that u is divided by and w has; not valid where there is none.
constexpr expr cancelled(graph& g, int u, int w) {
    quotient q;
    int rest = -1;
    if (!is_quotient(g, u, q) || !is_positive(g, q.denominator) ||
        !has_factor(g, w, q.denominator, rest))
        return refuse(g);
    expr y = q.numerator < 0 ? (rest < 0 ? filled(g, w, 1) : at(g, rest))
             : rest < 0      ? at(g, q.numerator)
                             : make<multiply_row>(g, q.numerator, rest);
    return q.minus ? make<negative_row>(y) : y;
}

// (a / y) * (y * b) -> a * b, for y > 0
constexpr expr cancel_positive_factor(graph& g, int v) {
    if (!floating(g, v)) return refuse(g);
    expr y = cancelled(g, operand_of(g, v), operand_of(g, v, 1));
    return y.valid() ? y : cancelled(g, operand_of(g, v, 1), operand_of(g, v));
}
// (a / y + b) * (y * c) -> a * c + b * (y * c), for y > 0, and differences in the same way
constexpr expr distribute_positive_factor(graph& g, int v) {
    if (!floating(g, v)) return refuse(g);
    for (int k = 0; k < 2; ++k) {
        int s = operand_of(g, v, k), w = operand_of(g, v, 1 - k);
        bool sum = is<add_row>(g, s);
        if (!sum && !is<subtract_row>(g, s)) continue;
        int a = operand_of(g, s), b = operand_of(g, s, 1);
        expr p = cancelled(g, a, w), q = cancelled(g, b, w);
        if (!p.valid() && !q.valid()) continue;
        if (!p.valid()) p = make<multiply_row>(g, a, w);
        if (!q.valid()) q = make<multiply_row>(g, b, w);
        return sum ? make<add_row>(p, q) : make<subtract_row>(p, q);
    }
    return refuse(g);
}
// (a / (e / s)) / s -> a / e, s the sum of e = exp(x); e / s may be of x - max(x) already, which is the same share
constexpr expr quotient_by_share(graph& g, int v) {
    int u = operand_of(g, v), s = operand_of(g, v, 1), sum = -1, x = -1, y = -1, inner = -1;
    quotient outer;
    if (!is_sum_of_exp(g, s, sum, x) || !is_quotient(g, u, outer)) return refuse(g);
    int share = outer.denominator;
    if (!is<divide_row>(g, share) || !is<exp_row>(g, operand_of(g, share), y)) return refuse(g);
    int total = operand_of(g, share, 1), z = -1;
    if (!is_sum_of_exp(g, total, inner, z) || z != y ||
        attributes_of(g, inner) != attributes_of(g, sum) || (y == x && total != s) ||
        (y != x && !(is_shifted(g, y) && operand_of(g, y) == x)))
        return refuse(g);
    expr e = make<exp_row>(g, x);
    expr a =
        outer.numerator < 0 ? make<reciprocal_row>(e) : make<divide_row>(at(g, outer.numerator), e);
    return outer.minus ? make<negative_row>(a) : a;
}
// sum(a / s) -> sum(a) / s, s a sum of exponentials that is the same along the axes
constexpr expr sum_over_total(graph& g, int v) {
    if (!floating(g, v) || !is<divide_row>(g, operand_of(g, v))) return refuse(g);
    return factor_out(g, v, [&](int c) { return is_total_of_exp(g, c); });
}

}  // namespace etch::rules
