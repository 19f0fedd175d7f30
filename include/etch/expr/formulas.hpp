// SPDX-License-Identifier: MIT
// Functions that are formulas over the ops, so that their derivatives and their fusion need nothing of their own.
#pragma once
#include <etch/expr/model.hpp>

namespace etch {

/// log of the sum of exponentials along an axis, the last where none is named; the largest is taken out first, so that
/// nothing overflows.
constexpr expr logsumexp(const operand& x, int axis = -1) {
    located here(x);
    expr t = detail::tensor(x, "logsumexp");
    if (!t.valid()) return t;
    expr m = stop_gradient(max(t, axis, keepdims));
    return squeeze(m, axis) + log(sum(exp(t - m), axis));
}
/// exp(x) / sum(exp(x)) along an axis, the last where none is named.
constexpr expr softmax(const operand& x, int axis = -1) {
    located here(x);
    expr t = detail::tensor(x, "softmax");
    if (!t.valid()) return t;
    expr e = exp(t - stop_gradient(max(t, axis, keepdims)));
    return e / sum(e, axis, keepdims);
}
/// log(softmax(x)), accurate where softmax underflows.
constexpr expr log_softmax(const operand& x, int axis = -1) {
    located here(x);
    expr t = detail::tensor(x, "log_softmax");
    if (!t.valid()) return t;
    expr z = t - stop_gradient(max(t, axis, keepdims));
    return z - log(sum(exp(z), axis, keepdims));
}

/// -log softmax(logits) at the label, per example. Labels are integers {A...} in [0, classes), or distributions of the
/// logits' shape {A..., classes}; the result is {A...}. A label outside stops the call.
constexpr expr cross_entropy(const operand& logits, const operand& label) {
    located here(logits);
    expr z = detail::tensor(logits, "cross_entropy"),
         l = detail::tensor(label, "cross_entropy", logits.g);
    if (!z.valid() || !l.valid()) return detail::poison(z.g);
    graph& g = *z.g;
    if (z.rank() == 0) {
        g.fail(text{} << "cross_entropy: the logits have rank 0");
        return detail::poison(&g);
    }
    bool integers = is_integer(l.element());
    type expected = z.of(), of_numbers = z.of();
    of_numbers[--of_numbers.rank] = {};
    if (integers) expected = of_numbers;
    if (is_floating(l.element()) && of_numbers.same_shape(l.of())) {
        g.fail(text{} << "cross_entropy: labels of " << name_of(l.element()) << ' '
                      << shape_text(g, l.of())
                      << ": numbers of classes are integers: write cast<int>(label)");
        return detail::poison(&g);
    }
    bool fits = expected.rank == l.rank() && !is_boolean(l.element());
    for (int i = 0; fits && i < expected.rank; ++i)
        fits = g.agree("cross_entropy", "fit", z.of(), l.of(), expected[i], l.of()[i]);
    if (!fits) {
        g.fail(text{} << "cross_entropy: logits " << shape_text(g, z.of()) << " and labels "
                      << name_of(l.element()) << ' ' << shape_text(g, l.of())
                      << " do not fit: integer labels have the shape without the last "
                      << "axis, distributions the same");
        return detail::poison(&g);
    }
    expr p = log_softmax(z);
    return integers ? -sum(where(detail::is_index("cross_entropy", l, z.size(-1)), p, 0), -1)
                    : -sum(l * p, -1);
}
namespace detail {
/// Whether a prediction and a target have one shape, or one of them is a number. A loss does not broadcast: {N, 1} and {N}
/// would become {N, N}, and the loss a number that means nothing.
constexpr bool one_shape(std::string_view op, const operand& a, const operand& b) {
    graph& g = graph_among(op, {&a, &b});
    if (!a.is_tensor() || !b.is_tensor() || a.id < 0 || b.id < 0 || a.g != b.g) return true;
    const type s = g.type_of(a.id), t = g.type_of(b.id);
    if (s.same_shape(t) || s.rank == 0 || t.rank == 0) return true;
    bool agreed = s.rank == t.rank;
    for (int i = 0; agreed && i < s.rank; ++i) agreed = g.agree(op, "fit", s, t, s[i], t[i]);
    if (agreed) return true;
    text sentence;
    sentence << op << ": " << shape_text(g, s) << " and " << shape_text(g, t)
             << ": both must have one shape";
    for (const type* longer : {&s, &t}) {
        const type& other = longer == &s ? t : s;
        int last = longer->rank - 1;
        type shorter = *longer;
        if (last != other.rank || (*longer)[last].code != 1) continue;
        shorter[last] = {};
        shorter.rank = last;
        if (shorter.same_shape(other))
            sentence << ": write squeeze(" << (longer == &s ? "the first" : "the second")
                     << ", -1)";
    }
    g.fail(sentence);
    return false;
}
}  // namespace detail

/// -(y log s + (1 - y) log(1 - s)) with s = sigmoid(logits), elementwise, as softplus(x) - x y. Both have one shape.
constexpr expr binary_cross_entropy(const operand& logits, const operand& label) {
    located here(logits);
    if (!detail::one_shape("binary_cross_entropy", logits, label)) return detail::poison(logits.g);
    return softplus(logits) - logits * label;
}
/// The mean of (prediction - target)^2 over all elements; both have one shape, or the target is a number.
constexpr expr mean_squared_error(const operand& prediction, const operand& target) {
    located here(prediction);
    if (!detail::one_shape("mean_squared_error", prediction, target))
        return detail::poison(prediction.g);
    return mean(square(prediction - target));
}

/// x Phi(x) = x (1 + erf(x / sqrt 2)) / 2 (Hendrycks, Gimpel: Gaussian Error Linear Units, 2016).
constexpr expr gelu(const operand& x) {
    located here(x);
    return 0.5 * x * (1 + erf(0.7071067811865476 * x));
}
/// gelu's tanh form of the same paper: x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2.
constexpr expr gelu_tanh(const operand& x) {
    located here(x);
    return 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * (x * x * x))));
}
/// x sigmoid(x).
constexpr expr silu(const operand& x) {
    located here(x);
    return x * sigmoid(x);
}
/// x where it is > 0, else slope * x.
constexpr expr leaky_relu(const operand& x, double slope = 0.01) {
    located here(x);
    return where(x > 0, x, slope * x);
}
/// x held inside [low, high]; the derivative passes inside of the bounds and at them.
constexpr expr clip(const operand& x, const operand& low, const operand& high) {
    located here(x);
    return where(x < low, low, where(x > high, high, x));
}
/// The mean of (x - mean)^2 over axes (all, where none are named).
constexpr expr variance(const operand& x, const axes& which = {}) {
    located here(x);
    return mean(square(x - mean(x, which, keepdims)), which);
}
constexpr expr variance(const operand& x, const axes& which, keepdims_flag) {
    located here(x);
    return mean(square(x - mean(x, which, keepdims)), which, keepdims);
}
/// (x - mean) / sqrt(variance + epsilon) over axes (Ba, Kiros, Hinton: Layer Normalization, 2016).
constexpr expr normalize(const operand& x, const axes& which = -1, double epsilon = 1e-5) {
    located here(x);
    expr centred = x - mean(x, which, keepdims);
    return centred / sqrt(mean(square(centred), which, keepdims) + epsilon);
}

namespace detail {
/// Whether a path on which derivatives flow leads from v to a floating input, parameter or placeholder.
constexpr bool has_gradient(const graph& g, int v) {
    flat_list<int> todo{v};
    flat_list<char> seen(g.values.size(), 0);
    while (!todo.empty()) {
        int u = todo.back();
        todo.pop_back();
        if (seen[static_cast<std::size_t>(u)] || !is_floating(g.type_of(u).element)) continue;
        seen[static_cast<std::size_t>(u)] = 1;
        const node& n = g.node_of(u);
        if (n.op == op_of<input_row>() || n.op == op_of<parameter_row>() ||
            n.op == op_of<placeholder_row>())
            return true;
        if (row_of(n).cuts) continue;
        for (int w : g.operands(n)) todo.push_back(w);
    }
    return false;
}
}  // namespace detail

/// x, to be used in its place: derivatives compute again what lies between this and the checkpoints beneath it (or the
/// inputs), so that those values need not live until the backward pass (JAX: checkpoint, remat). Same numbers.
[[nodiscard]] constexpr expr checkpoint(const operand& x) {
    located here(x);
    expr t = detail::tensor(x, "checkpoint");
    if (!t.valid()) return t;
    if (!detail::has_gradient(*t.g, t.id)) {
        t.g->fail(text{} << "checkpoint: no gradient flows through " << name_of(t.element()) << ' '
                         << shape_text(*t.g, t.of()));
        return detail::poison(t.g);
    }
    return detail::marked(t, detail::recomputed_mark);
}
/// The same, computed again from these values, which are kept. Each must be one that x was computed from.
[[nodiscard]] constexpr expr checkpoint(const operand& x, const expr_list& from) {
    located here(x);
    expr t = detail::tensor(x, "checkpoint");
    if (!t.valid()) return t;
    graph& g = *t.g;
    for (std::size_t k = 0; k < from.size(); ++k) {
        if (!from[k].valid()) return detail::poison(&g);
        expr y = substitute(t, {{from[k], detail::marked(from[k], detail::kept_mark)}});
        if (y.id == t.id) {
            g.fail(text{} << "checkpoint: the value was not computed from number " << k
                          << " of the list");
            return detail::poison(&g);
        }
        t = y;
    }
    return checkpoint(t);
}

/// The matrix of derivatives of each element of y, of static size, by x: {y..., x...}.
constexpr expr jacobian(const operand& y, expr x) {
    located here(y);
    expr t = detail::tensor(y, "jacobian");
    if (!t.valid() || !x.valid()) return detail::poison(t.g);
    graph& g = *t.g;
    extent n = g.size_of(t.of());
    if (!n.is_static()) {
        g.fail(text{} << "jacobian: " << shape_text(g, t.of()) << " is not of static size");
        return detail::poison(&g);
    }
    expr flat = reshape(t, {dim(&g, n)});
    expr_list rows_of;
    for (std::int64_t i = 0; i < n.code; ++i)
        rows_of.push_back(
            detail::gradient(slice(flat, {i}), flat_view<const expr>(&x, 1), true)[0]);
    flat_list<dim> shape;
    for (int axis = 0; axis < t.rank(); ++axis) shape.push_back(t.size(axis));
    for (int axis = 0; axis < x.rank(); ++axis) shape.push_back(x.size(axis));
    if (rows_of.empty())
        return broadcast_to(scalar(g, x.element(), 0), flat_view<const dim>(shape));
    return reshape(stack(rows_of, 0), flat_view<const dim>(shape));
}
/// Second derivatives of a scalar, in blocks: hessian(y, {a, b})[i][j] is {x_i..., x_j...}.
constexpr flat_list<expr_list> hessian(const operand& y, const expr_list& xs) {
    located here(y);
    flat_list<expr_list> blocks;
    for (expr d : detail::gradient(y, xs, true)) {
        blocks.push_back({});
        for (expr x : xs) blocks.back().push_back(jacobian(d, x));
    }
    return blocks;
}
constexpr expr hessian(const operand& y, expr x) { return hessian(y, expr_list{x})[0][0]; }

}  // namespace etch
