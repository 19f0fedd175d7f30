// SPDX-License-Identifier: MIT
// expect: substitute: float32 {3} is replaced by float32 {4} (substitute_type.cpp:13)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto a = g.input<float>("a", {3});
#ifdef TWIN
    auto b = g.input<float>("b", {3});
#else
    auto b = g.input<float>("b", {4});
#endif
    auto y = sum(a * a);
    g.output("z", substitute(y, {{a, b}}));
};
static_assert(etch::is_correct<model>);
