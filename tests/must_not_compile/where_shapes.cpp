// SPDX-License-Identifier: MIT
// expect: where: {3} and {4} do not broadcast: 3 is not 4 (where_shapes.cpp:12)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto a = g.input<float>("a", {3});
#ifdef TWIN
    auto b = g.input<float>("b", {3});
#else
    auto b = g.input<float>("b", {4});
#endif
    g.output("y", where(a > 0, a, b));
};
static_assert(etch::is_correct<model>);
