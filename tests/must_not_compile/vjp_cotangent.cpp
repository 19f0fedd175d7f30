// SPDX-License-Identifier: MIT
// expect: vjp: the cotangent of float32 {3} has float32 {4} (vjp_cotangent.cpp:13)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto a = g.input<float>("a", {3});
#ifdef TWIN
    auto u = g.input<float>("u", {3});
#else
    auto u = g.input<float>("u", {4});
#endif
    auto y = exp(a);
    g.output("d", etch::vjp({y}, {a}, {u})[0]);
};
static_assert(etch::is_correct<model>);
