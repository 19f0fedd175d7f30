// SPDX-License-Identifier: MIT
// expect: constant: 3 elements for the shape {2, 2} (constant_count.cpp:10)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto a = g.input<float>("a", {2, 2});
#ifdef TWIN
    g.output("y", a * etch::constant<float>(g, {2, 2}, {0, 1, 1, 0}));
#else
    g.output("y", a * etch::constant<float>(g, {2, 2}, {0, 1, 1}));
#endif
};
static_assert(etch::is_correct<model>);
