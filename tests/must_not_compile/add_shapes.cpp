// SPDX-License-Identifier: MIT
// expect: add: {N, 3} and {N, 4} do not broadcast: 3 is not 4 (add_shapes.cpp:13)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto N = g.dim("N");
    auto a = g.input<float>("a", {N, 3});
#ifdef TWIN
    auto b = g.input<float>("b", {N, 3});
#else
    auto b = g.input<float>("b", {N, 4});
#endif
    g.output("y", a + b);
};
static_assert(etch::is_correct<model>);
