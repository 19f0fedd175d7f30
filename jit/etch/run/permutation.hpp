// SPDX-License-Identifier: MIT
// The order in which examples are visited: the library's own random numbers, so that the same seed gives the same order.
#pragma once
#include <cstdint>
#include <utility>
#include <vector>

#include <etch/cpu/random.hpp>

namespace etch {

/// The numbers 0 ... n - 1 in an order that depends on seed and step (an epoch, say) alone: Fisher and Yates' shuffle,
/// drawing from Philox4x32-10.
inline std::vector<std::int32_t> permutation(std::int32_t n, std::uint64_t seed,
                                             std::uint64_t step) {
    constexpr std::uint32_t ordinal = 0xFFFFFFFFu;  // no draw of a model has it
    std::vector<std::int32_t> order(static_cast<std::size_t>(n));
    for (std::int32_t i = 0; i < n; ++i) order[static_cast<std::size_t>(i)] = i;
    for (std::int32_t i = n; i-- > 1;) {
        double u = cpu::uniform<double>(seed, step, ordinal, static_cast<std::uint64_t>(i));
        auto j = static_cast<std::size_t>(u * (i + 1));
        std::swap(order[static_cast<std::size_t>(i)], order[j]);
    }
    return order;
}

}  // namespace etch
