// SPDX-License-Identifier: MIT
// expect: scan: the step gives float32 {3, 1} for a carried float32 {3} (scan_step.cpp:14)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto T = g.dim("T");
    auto xs = g.input<float>("xs", {T, 3});
    auto h = g.input<float>("h", {3});
#ifdef TWIN
    auto step = [](etch::expr x, etch::expr carried) { return x + carried; };
#else
    auto step = [](etch::expr x, etch::expr carried) { return expand_dims(x + carried, 1); };
#endif
    g.output("y", scan(step, xs, h).last);
};
static_assert(etch::is_correct<model>);
