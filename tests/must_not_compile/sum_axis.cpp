// SPDX-License-Identifier: MIT
// expect: sum: axis 2 of a tensor of rank 2 (sum_axis.cpp:10)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto a = g.input<float>("a", {2, 3});
#ifdef TWIN
    g.output("y", sum(a, 1));
#else
    g.output("y", sum(a, 2));
#endif
};
static_assert(etch::is_correct<model>);
