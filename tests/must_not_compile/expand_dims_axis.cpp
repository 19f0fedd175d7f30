// SPDX-License-Identifier: MIT
// expect: expand_dims: axis 3 of a tensor of rank 3 (expand_dims_axis.cpp:10)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto a = g.input<float>("a", {2, 3});
#ifdef TWIN
    g.output("y", expand_dims(a, 2));
#else
    g.output("y", expand_dims(a, 3));
#endif
};
static_assert(etch::is_correct<model>);
