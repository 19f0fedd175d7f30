// SPDX-License-Identifier: MIT
// expect: grad: no path leads to parameter v: ask for etch::allow_disconnected to get zeros (grad_disconnected.cpp:14)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto a = g.input<float>("a", {3});
    auto w = g.param<float>("w", {3}, etch::nn::zeros{});
    auto v = g.param<float>("v", {3}, etch::nn::zeros{});
#ifdef TWIN
    auto loss = sum(a * w * v);
#else
    auto loss = sum(a * w);
#endif
    auto d = grad(loss, {w, v});
    g.output("d", d[0] + d[1]);
};
static_assert(etch::is_correct<model>);
