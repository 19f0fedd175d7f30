// SPDX-License-Identifier: MIT
// expect: take_along_axis: {4, 5} and indices {3, 2} differ on an axis other than 1 (take_along_axis_shapes.cpp:12)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto a = g.input<float>("a", {4, 5});
#ifdef TWIN
    auto i = g.input<int>("i", {4, 2});
#else
    auto i = g.input<int>("i", {3, 2});
#endif
    g.output("y", take_along_axis(a, i, 1));
};
static_assert(etch::is_correct<model>);
