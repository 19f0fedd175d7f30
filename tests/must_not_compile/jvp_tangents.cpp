// SPDX-License-Identifier: MIT
// expect: jvp: 1 variables and 2 tangents (jvp_tangents.cpp:12)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto a = g.input<float>("a", {3});
    auto u = g.input<float>("u", {3});
    auto y = exp(a);
#ifdef TWIN
    g.output("d", etch::jvp({y}, {a}, {u})[0]);
#else
    g.output("d", etch::jvp({y}, {a}, {u, u})[0]);
#endif
};
static_assert(etch::is_correct<model>);
