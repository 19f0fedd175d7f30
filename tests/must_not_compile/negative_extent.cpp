// SPDX-License-Identifier: MIT
// expect: input: an extent of -1 (negative_extent.cpp:9)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
#ifdef TWIN
    auto a = g.input<float>("a", {3, 1});
#else
    auto a = g.input<float>("a", {3, -1});
#endif
    g.output("y", a + 1);
};
static_assert(etch::is_correct<model>);
