// SPDX-License-Identifier: MIT
// expect: dot: {2, 3} and {5, 4, 7} do not join: 3 is not 4 (dot_shapes.cpp:12)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
#ifdef TWIN
    auto a = g.input<float>("a", {2, 4});
#else
    auto a = g.input<float>("a", {2, 3});
#endif
    auto b = g.input<float>("b", {5, 4, 7});
    g.output("y", dot(a, b));
};
static_assert(etch::is_correct<model>);
