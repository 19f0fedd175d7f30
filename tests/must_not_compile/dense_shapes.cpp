// SPDX-License-Identifier: MIT
// expect: matmul: {N, 28, 28} and {784, 10} do not join: 28 is not 784 (dense_shapes.cpp:15)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto N = g.dim("N");
    auto image = g.input<float>("image", {N, 28, 28});
    auto w = g.param<float>("w", {784, 10}, etch::nn::glorot{});
    auto b = g.param<float>("b", {10}, etch::nn::zeros{});
#ifdef TWIN
    auto flat = reshape(image, {N, 784});
#else
    auto flat = image;
#endif
    g.output("y", etch::nn::dense(flat, w, b));
};
static_assert(etch::is_correct<model>);
