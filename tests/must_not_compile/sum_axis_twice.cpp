// SPDX-License-Identifier: MIT
// expect: sum: axis -1 is named twice (sum_axis_twice.cpp:10)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto a = g.input<float>("a", {2, 3});
#ifdef TWIN
    g.output("y", sum(a, {0, -1}));
#else
    g.output("y", sum(a, {1, -1}));
#endif
};
static_assert(etch::is_correct<model>);
