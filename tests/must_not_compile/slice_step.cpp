// SPDX-License-Identifier: MIT
// expect: slice: a step of 0 (slice_step.cpp:10)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto a = g.input<float>("a", {5});
#ifdef TWIN
    g.output("y", slice(a, {etch::range(0, 4, 2)}));
#else
    g.output("y", slice(a, {etch::range(0, 4, 0)}));
#endif
};
static_assert(etch::is_correct<model>);
