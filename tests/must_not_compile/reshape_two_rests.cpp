// SPDX-License-Identifier: MIT
// expect: reshape: an extent of -1; only one may be -1 (reshape_two_rests.cpp:10)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto a = g.input<float>("a", {4, 6});
#ifdef TWIN
    g.output("y", reshape(a, {-1, 8}));
#else
    g.output("y", reshape(a, {-1, -1}));
#endif
};
static_assert(etch::is_correct<model>);
