// SPDX-License-Identifier: MIT
// expect: minimize: the model has no parameters (minimize_nothing.cpp:12)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto a = g.input<float>("a", {3});
#ifdef TWIN
    auto w = g.param<float>("w", {3}, etch::nn::zeros{});
#else
    auto w = g.input<float>("w", {3});
#endif
    g.minimize(sum(square(w - a)), etch::nn::sgd{.rate = 0.1});
};
static_assert(etch::is_correct<model>);
