// SPDX-License-Identifier: MIT
// expect: scan: the step gives 1 values for 2 carried ones (scan_lists.cpp:15)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto xs = g.input<float>("xs", {g.dim("T"), 3});
    auto h = g.input<float>("h", {3});
    auto step = [](const etch::expr_list& x, const etch::expr_list& carried) {
#ifdef TWIN
        return etch::expr_list{x[0] + carried[0], carried[1]};
#else
        return etch::expr_list{x[0] + carried[0] * carried[1]};
#endif
    };
    g.output("y", etch::scan(step, {xs}, {h, h}).last[0]);
};
static_assert(etch::is_correct<model>);
