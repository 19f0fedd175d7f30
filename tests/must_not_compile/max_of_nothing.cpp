// SPDX-License-Identifier: MIT
// expect: max: axis 0 of {0, 3} is empty (max_of_nothing.cpp:10)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto a = g.input<float>("a", {0, 3});
#ifdef TWIN
    g.output("y", max(a, 1));
#else
    g.output("y", max(a, 0));
#endif
};
static_assert(etch::is_correct<model>);
