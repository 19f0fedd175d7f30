// SPDX-License-Identifier: MIT
// expect: output: takes an expr that was never given a value (output_unassigned.cpp:12)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto a = g.input<float>("a", {3});
#ifdef TWIN
    etch::expr y = a;
#else
    etch::expr y;
#endif
    g.output("y", y);
};
static_assert(etch::is_correct<model>);
