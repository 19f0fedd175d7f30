// SPDX-License-Identifier: MIT
// expect: update: takes a parameter, not input a (update_input.cpp:12)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto a = g.input<float>("a", {3});
    auto w = g.param<float>("w", {3}, etch::nn::zeros{});
    g.output("y", a + w);
#ifdef TWIN
    g.update(w, a + 1);
#else
    g.update(a, a + 1);
#endif
};
static_assert(etch::is_correct<model>);
