// SPDX-License-Identifier: MIT
// expect: size: axis 1 of a tensor of rank 1 (size_axis.cpp:10)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto a = g.input<float>("a", {3});
#ifdef TWIN
    auto n = a.size(0);
#else
    auto n = a.size(1);
#endif
    g.output("y", sum(a) / n);
};
static_assert(etch::is_correct<model>);
