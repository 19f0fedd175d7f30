// SPDX-License-Identifier: MIT
// expect: output: the name y is taken (output_name_twice.cpp:11)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto a = g.input<float>("a", {3});
    g.output("y", a + 1);
#ifdef TWIN
    g.output("z", a + 2);
#else
    g.output("y", a + 2);
#endif
};
static_assert(etch::is_correct<model>);
