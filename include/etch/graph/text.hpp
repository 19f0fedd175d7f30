// SPDX-License-Identifier: MIT
// A sink for characters that works in constant evaluation, where std::string is slow (g++) or fails (clang).
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include <etch/graph/flat_list.hpp>

namespace etch {

struct text {
    flat_list<char> characters;

    constexpr std::string_view view() const { return {characters.data(), characters.size()}; }
    constexpr bool empty() const { return characters.empty(); }

    constexpr text& operator<<(std::string_view s) {
        characters.append(s);
        return *this;
    }
    constexpr text& operator<<(const char* s) { return *this << std::string_view(s); }
    constexpr text& operator<<(char c) {
        characters.push_back(c);
        return *this;
    }
    template <class I>
    requires(std::is_integral_v<I> && !std::is_same_v<I, char> &&
             !std::is_same_v<I, bool>) constexpr text&
    operator<<(I number) {
        char digits[24]{};
        int n = 0;
        bool negative = number < I{};
        auto rest = static_cast<std::uint64_t>(number);
        if (negative) rest = 0 - rest;
        do digits[n++] = static_cast<char>('0' + rest % 10);
        while ((rest /= 10) != 0);
        if (negative) characters.push_back('-');
        while (n > 0) characters.push_back(digits[--n]);
        return *this;
    }
};

/// The last component of a path: messages name files as people do.
constexpr std::string_view base_name(std::string_view path) {
    auto slash = path.find_last_of("/\\");
    return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

}  // namespace etch
