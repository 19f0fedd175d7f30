// SPDX-License-Identifier: MIT
// expect: output: takes no value of the body of a scan (scan_body_as_output.cpp:14)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto T = g.dim("T");
    auto xs = g.input<float>("xs", {T, 3});
    auto h = g.input<float>("h", {3});
    etch::expr inside;
    auto steps = scan([&](etch::expr x, etch::expr c) { return inside = x + c; }, xs, h);
#ifdef TWIN
    g.output("y", steps.last);
#else
    g.output("y", inside);
#endif
};
static_assert(etch::is_correct<model>);
