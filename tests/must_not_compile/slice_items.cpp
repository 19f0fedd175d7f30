// SPDX-License-Identifier: MIT
// expect: slice: 3 items for a tensor of rank 2 (slice_items.cpp:10)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto a = g.input<float>("a", {2, 3});
#ifdef TWIN
    g.output("y", slice(a, {etch::all, 1}));
#else
    g.output("y", slice(a, {etch::all, 1, 0}));
#endif
};
static_assert(etch::is_correct<model>);
