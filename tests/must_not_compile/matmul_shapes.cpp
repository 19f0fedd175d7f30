// SPDX-License-Identifier: MIT
// expect: matmul: {N, 784} and {256, 10} do not join: 784 is not 256 (matmul_shapes.cpp:13)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto N = g.dim("N");
    auto image = g.input<float>("image", {N, 784});
#ifdef TWIN
    auto w = g.param<float>("w", {784, 10}, etch::nn::glorot{});
#else
    auto w = g.param<float>("w", {256, 10}, etch::nn::glorot{});
#endif
    g.output("y", matmul(image, w));
};
static_assert(etch::is_correct<model>);
