// SPDX-License-Identifier: MIT
// expect: minimize: no path leads to parameter w, since equal has no derivative (minimize_cut.cpp:12)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto x = g.input<float>("x", {4, 3});
    auto label = g.input<int>("label", {4});
    auto w = g.param<float>("w", {3, 5}, etch::nn::zeros{});
#ifdef TWIN
    g.minimize(mean(cross_entropy(matmul(x, w), label)), etch::nn::adam{});
#else
    g.minimize(mean(equal(argmax(matmul(x, w)), label)), etch::nn::adam{});
#endif
};
static_assert(etch::is_correct<model>);
