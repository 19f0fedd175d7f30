// SPDX-License-Identifier: MIT
// The table of a constant program's kernels, as the executor takes it.
#pragma once
#include <etch/cpu/kernel.hpp>

namespace etch::cpu {

namespace detail {
template <const auto& program, class Bodies> struct kernel_table;
template <const auto& program, int... id>
struct kernel_table<program, std::integer_sequence<int, id...>> {
    static constexpr std::array<kernel_entry, sizeof...(id)> entries{kernel<program, id>::entry...};
};
}  // namespace detail

/// One entry for each body of a constant program.
template <const auto& program> std::span<const kernel_entry> kernels_of() {
    using bodies = std::make_integer_sequence<int, static_cast<int>(program.bodies.size())>;
    return detail::kernel_table<program, bodies>::entries;
}

}  // namespace etch::cpu
