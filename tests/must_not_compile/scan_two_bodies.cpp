// SPDX-License-Identifier: MIT
// expect: scan: a value of one loop is used in the body of another (scan_two_bodies.cpp:15)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto T = g.dim("T");
    auto xs = g.input<float>("xs", {T, 3});
    auto h = g.input<float>("h", {3});
    etch::expr other = h;
#ifdef TWIN
    auto first = scan([&](etch::expr x, etch::expr c) { return x * c; }, xs, h);
#else
    auto first = scan([&](etch::expr x, etch::expr c) { return other = x * c; }, xs, h);
#endif
    auto second = scan([&](etch::expr x, etch::expr c) { return x + c * other; }, xs, h);
    g.output("y", first.last + second.last);
};
static_assert(etch::is_correct<model>);
