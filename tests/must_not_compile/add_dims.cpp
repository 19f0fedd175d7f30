// SPDX-License-Identifier: MIT
// expect: add: {N} and {M} do not broadcast: N is not M (add_dims.cpp:14)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto N = g.dim("N");
    auto M = g.dim("M");
    auto a = g.input<float>("a", {N});
#ifdef TWIN
    auto b = g.input<float>("b", {N});
#else
    auto b = g.input<float>("b", {M});
#endif
    g.output("y", a + b);
};
static_assert(etch::is_correct<model>);
