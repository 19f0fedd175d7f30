// SPDX-License-Identifier: MIT
// expect: logical_and: takes bool, not float32 (logical_float.cpp:10)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto a = g.input<float>("a", {3});
#ifdef TWIN
    g.output("y", a > 0 && a > 1);
#else
    g.output("y", a && a);
#endif
};
static_assert(etch::is_correct<model>);
