// SPDX-License-Identifier: MIT
// expect: slice: index 5 is outside of axis 1 of extent 5 (slice_index.cpp:10)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto a = g.input<float>("a", {4, 5});
#ifdef TWIN
    g.output("y", slice(a, {0, 4}));
#else
    g.output("y", slice(a, {0, 5}));
#endif
};
static_assert(etch::is_correct<model>);
