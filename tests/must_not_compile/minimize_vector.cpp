// SPDX-License-Identifier: MIT
// expect: minimize: takes a floating scalar, not float32 {4}: write mean(loss) (minimize_vector.cpp:12)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto x = g.input<float>("x", {4, 3});
    auto label = g.input<int>("label", {4});
    auto w = g.param<float>("w", {3, 5}, etch::nn::zeros{});
#ifdef TWIN
    g.minimize(mean(cross_entropy(matmul(x, w), label)), etch::nn::adam{});
#else
    g.minimize(cross_entropy(matmul(x, w), label), etch::nn::adam{});
#endif
};
static_assert(etch::is_correct<model>);
