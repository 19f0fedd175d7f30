// SPDX-License-Identifier: MIT
// Loops as one writes them by hand, with OpenMP's threads where there is enough to do.
#pragma once
#include "../worker.hpp"

namespace bench {

inline constexpr std::int64_t worth_threads = 1 << 15;

template <class F> void loop(std::int64_t n, F f) {
    [[maybe_unused]] bool large = n > worth_threads;
#pragma omp parallel for simd if (parallel : large)
    for (std::int64_t i = 0; i < n; ++i) f(i);
}
/// f(row) for `rows` rows of `columns` elements each.
template <class F> void for_each_row(std::int64_t rows, std::int64_t columns, F f) {
    [[maybe_unused]] bool large = rows * columns > worth_threads;
#pragma omp parallel for if (large)
    for (std::int64_t i = 0; i < rows; ++i) f(i);
}

}  // namespace bench
