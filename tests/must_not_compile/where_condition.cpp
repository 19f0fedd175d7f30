// SPDX-License-Identifier: MIT
// expect: where: the condition is bool, not float32 (where_condition.cpp:10)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto a = g.input<float>("a", {3});
#ifdef TWIN
    g.output("y", where(a > 0, a, 0));
#else
    g.output("y", where(a, a, 0));
#endif
};
static_assert(etch::is_correct<model>);
