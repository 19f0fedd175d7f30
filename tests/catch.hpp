// SPDX-License-Identifier: MIT
// Catch2, version 2 or 3: what every test includes.
#pragma once
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#endif
#include <cstdio>

namespace etch_test {

/// For CHECK_THAT: a text that has this part.
inline auto contains(const std::string& part) {
#if __has_include(<catch2/catch_all.hpp>)
    return Catch::Matchers::ContainsSubstring(part);
#else
    return Catch::Matchers::Contains(part);
#endif
}

// Says that the running test case cannot be run here; the case returns right after.
// ctest counts it as skipped, whatever it did before.
inline void skip(const char* why) { std::printf("etch: skipped: %s\n", why); }

}  // namespace etch_test
