// SPDX-License-Identifier: MIT
// expect: slice: a step of 2 needs an axis of static extent, not N (slice_named_step.cpp:11)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto N = g.dim("N");
    auto a = g.input<float>("a", {N});
#ifdef TWIN
    g.output("y", slice(a, {etch::range(0, N, 1)}));
#else
    g.output("y", slice(a, {etch::range(0, N, 2)}));
#endif
};
static_assert(etch::is_correct<model>);
