// SPDX-License-Identifier: MIT
// Losses beyond those of expr/formulas.hpp: cross_entropy, binary_cross_entropy and mean_squared_error.
#pragma once
#include <etch/expr/formulas.hpp>

namespace etch::nn {

/// The mean of |prediction - target| over all elements, a scalar; both have one shape, or the target is a number.
constexpr expr mean_absolute_error(const operand& prediction, const operand& target) {
    located here(prediction);
    if (!etch::detail::one_shape("mean_absolute_error", prediction, target))
        return etch::detail::poison(prediction.g);
    return mean(abs(prediction - target));
}

/// With e = prediction - target, elementwise: e^2 / 2 where |e| <= delta, else delta (|e| - delta / 2) (Huber: Robust
/// estimation of a location parameter, 1964). Both have one shape, or the target is a number.
constexpr expr huber(const operand& prediction, const operand& target, double delta = 1) {
    located here(prediction);
    if (!etch::detail::one_shape("huber", prediction, target))
        return etch::detail::poison(prediction.g);
    expr size = abs(prediction - target), inner = minimum(size, delta);
    return inner *
           (size - 0.5 * inner);  // both branches at once: the derivative is clip(e, -delta, delta)
}

/// maximum(0, 1 - score * sign), elementwise, for signs -1 and 1 of the scores' shape (Cortes, Vapnik: Support-vector
/// networks, 1995).
constexpr expr hinge(const operand& score, const operand& sign) {
    located here(score);
    if (!etch::detail::one_shape("hinge", score, sign)) return etch::detail::poison(score.g);
    return relu(1 - score * sign);
}

}  // namespace etch::nn
