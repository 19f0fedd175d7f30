// SPDX-License-Identifier: MIT
// expect: grad: the derivative by a tensor of dtype int32: only floating tensors have one (grad_by_integers.cpp:12)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
#ifdef TWIN
    auto a = g.input<float>("a", {3});
#else
    auto a = g.input<int>("a", {3});
#endif
    auto w = g.param<float>("w", {3}, etch::nn::zeros{});
    g.output("d", grad(sum(a * w), a));
};
static_assert(etch::is_correct<model>);
