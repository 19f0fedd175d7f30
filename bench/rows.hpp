// SPDX-License-Identifier: MIT
// The case `rows`: functions of each row of a matrix.
#pragma once
#include "worker.hpp"

namespace bench::rows {

inline constexpr float epsilon = 1e-5f;
inline std::vector<float> x(int rows, int columns) {
    return numbers(static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns), 1, -4, 4);
}
inline std::vector<float> gain(int columns) {
    return numbers(static_cast<std::size_t>(columns), 2, 0, 1);
}
inline std::vector<float> offset(int columns) {
    return numbers(static_cast<std::size_t>(columns), 3, -1, 1);
}
inline std::vector<int> label(int rows, int columns) {
    return labels(static_cast<std::size_t>(rows), 4, columns);
}

}  // namespace bench::rows
