// SPDX-License-Identifier: MIT
// expect: reshape: {4, 6} has 24 elements, {5, 6} has 30 (reshape_count.cpp:10)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto a = g.input<float>("a", {4, 6});
#ifdef TWIN
    g.output("y", reshape(a, {4, 6}));
#else
    g.output("y", reshape(a, {5, 6}));
#endif
};
static_assert(etch::is_correct<model>);
