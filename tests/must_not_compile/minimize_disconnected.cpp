// SPDX-License-Identifier: MIT
// expect: minimize: no path leads to parameter unused (minimize_disconnected.cpp:12)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto a = g.input<float>("a", {3});
    auto w = g.param<float>("w", {3}, etch::nn::zeros{});
    auto unused = g.param<float>("unused", {3}, etch::nn::zeros{});
#ifdef TWIN
    g.minimize(sum(square(w - a + unused)), etch::nn::adam{});
#else
    g.minimize(sum(square(w - a)), etch::nn::adam{});
#endif
};
static_assert(etch::is_correct<model>);
