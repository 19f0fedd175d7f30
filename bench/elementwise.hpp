// SPDX-License-Identifier: MIT
// The case `elementwise`: four formulas and Adam's update, from sizes that fit the first cache to sizes that fit none.
// A program gives a function that makes the task FORMULA with n elements.
#pragma once
#include <string_view>

#include "worker.hpp"

namespace bench::elementwise {

inline constexpr float a = 1.5f, b = -0.5f, c = 0.25f;
inline constexpr float rate = 1e-3f, beta1 = 0.9f, beta2 = 0.999f, epsilon = 1e-8f;
inline constexpr int checked_steps = 3;

inline std::vector<float> x(std::size_t n) { return numbers(n, 1, -2, 2); }
inline std::vector<float> z(std::size_t n) { return numbers(n, 2, -2, 2); }

/// The tasks "formula_2^10" ...: make(formula, n).
template <class Make> tasks all(Make make) {
    tasks list;
    for (std::string_view formula : {"affine", "tanh", "gelu", "wave", "adam"})
        for (int power : {10, 14, 20, 24})
            list.emplace(std::string(formula) + "_2^" + std::to_string(power),
                         [=] { return make(formula, std::size_t{1} << power); });
    return list;
}

}  // namespace bench::elementwise
