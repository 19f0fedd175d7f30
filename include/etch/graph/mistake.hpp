// SPDX-License-Identifier: MIT
// A user's mistake in a graph built at run time, or in a call. In a constexpr model the same sentence is a compile error.
#pragma once
#include <stdexcept>
#include <string>
#include <string_view>

namespace etch {

struct mistake : std::invalid_argument {
    explicit mistake(std::string_view sentence) : std::invalid_argument(std::string(sentence)) {}
};

namespace detail {
// Mistakes that no graph can keep, because none is at hand. These are no constant expressions on purpose: the compiler's
// error names the function that a constexpr model would call.
[[noreturn]] inline void none_of_the_operands_is_a_tensor(std::string_view sentence) {
    throw mistake(sentence);
}
[[noreturn]] inline void the_list_of_tensors_is_empty(std::string_view sentence) {
    throw mistake(sentence);
}
[[noreturn]] inline void more_axes_than_a_tensor_can_have(std::string_view sentence) {
    throw mistake(sentence);
}
}  // namespace detail

}  // namespace etch
