// SPDX-License-Identifier: MIT
// expect: param: w has the shape {N, 3}: parameters have static shapes (param_named_dim.cpp:11)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto N = g.dim("N");
    auto a = g.input<float>("a", {N, 3});
#ifdef TWIN
    auto w = g.param<float>("w", {1, 3}, etch::nn::zeros{});
#else
    auto w = g.param<float>("w", {N, 3}, etch::nn::zeros{});
#endif
    g.output("y", a * w);
};
static_assert(etch::is_correct<model>);
