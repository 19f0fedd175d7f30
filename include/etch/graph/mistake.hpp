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

}  // namespace etch
