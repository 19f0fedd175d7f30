// SPDX-License-Identifier: MIT
// expect: pad: a negative width on axis 1 (pad_negative.cpp:10)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto a = g.input<float>("a", {4, 5});
#ifdef TWIN
    g.output("y", pad(a, {{0, 1}, {1, 0}}));
#else
    g.output("y", pad(a, {{0, 1}, {-1, 0}}));
#endif
};
static_assert(etch::is_correct<model>);
