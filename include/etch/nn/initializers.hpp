// SPDX-License-Identifier: MIT
// What a new parameter is filled with. An initializer is any type with `initial(shape)`, which says how the first
// value is drawn; the numbers themselves are drawn when a function first makes its state, from the seed and the name.
#pragma once
#include <bit>
#include <concepts>
#include <cstdint>

#include <etch/expr/formulas.hpp>

namespace etch::nn {

namespace detail {

/// sqrt(x) in constant evaluation: Newton's y <- (y + x / y) / 2 on x scaled into [1, 4) by a power of 4, and a last
/// step whose residual x - y * y is exact (Dekker: A floating-point technique for extending the available precision,
/// 1971). 0 for what is not positive and finite: shapes and numbers in use never are.
constexpr double square_root(double x) {
    if (!(x > 0) || x > 1.7976931348623157e308) return 0;
    double scale = 1;
    for (; x >= 4; x /= 4) scale *= 2;
    for (; x < 1; x *= 4) scale /= 2;
    double y = 1.5;
    for (int i = 0; i < 6; ++i) y = 0.5 * (y + x / y);
    double high = std::bit_cast<double>(std::bit_cast<std::uint64_t>(y) >> 27 << 27),
           low = y - high;
    double residual = ((x - high * high) - 2 * (high * low)) - low * low;
    return scale * (y + residual / (2 * y));
}

/// How many numbers meet in one output of a weight, and how many outputs one input reaches. The last axis is what
/// comes out, the one before it what goes in, and axes before those are a window that both see: {in, out},
/// {height, width, in, out}. A vector counts as both.
struct fans {
    double in = 1, out = 1;
};
constexpr fans fans_of(flat_view<const std::int64_t> shape) {
    fans f;
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
        auto n = static_cast<double>(shape[axis]);
        if (axis + 1 < shape.size() || shape.size() == 1) f.in *= n;
        if (axis + 2 != shape.size()) f.out *= n;
    }
    return f;
}

}  // namespace detail

/// What `param` and the layers take.
template <class T>
concept initializer = requires(const T& t, flat_view<const std::int64_t> shape) {
    { t.initial(shape) } -> std::same_as<initial_value>;
};

/// 0 everywhere.
struct zeros {
    constexpr initial_value initial(flat_view<const std::int64_t>) const { return {}; }
};

/// One number everywhere: constant{1}.
struct constant {
    double value = 0;
    constexpr initial_value initial(flat_view<const std::int64_t>) const {
        return {initial_value::kind::constant, value, 0};
    }
};

/// Uniform numbers in [low, high).
struct uniform {
    double low = 0, high = 1;
    constexpr initial_value initial(flat_view<const std::int64_t>) const {
        return {initial_value::kind::uniform, low, high};
    }
};

/// Normal numbers of this mean and standard deviation.
struct normal {
    double mean = 0, deviation = 1;
    constexpr initial_value initial(flat_view<const std::int64_t>) const {
        return {initial_value::kind::normal, mean, deviation};
    }
};

/// Uniform in [-a, a), a = sqrt(6 / (fan_in + fan_out)), which keeps the variance of values and of gradients through
/// layers like tanh (Glorot, Bengio: Understanding the difficulty of training deep feedforward neural networks, 2010,
/// equation 16).
struct glorot {
    constexpr initial_value initial(flat_view<const std::int64_t> shape) const {
        auto [in, out] = detail::fans_of(shape);
        double limit = in + out > 0 ? detail::square_root(6 / (in + out)) : 0;
        return {initial_value::kind::uniform, -limit, limit};
    }
};

/// Normal of deviation sqrt(2 / fan_in), which keeps the variance of values through relu (He, Zhang, Ren, Sun:
/// Delving deep into rectifiers, 2015, equation 10).
struct he {
    constexpr initial_value initial(flat_view<const std::int64_t> shape) const {
        auto [in, out] = detail::fans_of(shape);
        return {initial_value::kind::normal, 0, in > 0 ? detail::square_root(2 / in) : 0};
    }
};

}  // namespace etch::nn
