// SPDX-License-Identifier: MIT
// expect: concatenate: axis 2 of a tensor of rank 2 (concatenate_axis.cpp:10)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto a = g.input<float>("a", {2, 3});
#ifdef TWIN
    g.output("y", etch::concatenate({a, a}, -1));
#else
    g.output("y", etch::concatenate({a, a}, 2));
#endif
};
static_assert(etch::is_correct<model>);
