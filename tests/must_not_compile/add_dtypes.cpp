// SPDX-License-Identifier: MIT
// expect: add: float32 and float64 do not mix: write cast<double>(x) or cast<float>(x) (add_dtypes.cpp:12)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto a = g.input<float>("a", {3});
#ifdef TWIN
    auto b = g.input<float>("b", {3});
#else
    auto b = g.input<double>("b", {3});
#endif
    g.output("y", a + b);
};
static_assert(etch::is_correct<model>);
