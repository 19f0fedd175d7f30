// SPDX-License-Identifier: MIT
// expect: param: the name w is taken (param_name_twice.cpp:10)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto a = g.param<float>("w", {3}, etch::nn::zeros{});
#ifdef TWIN
    auto b = g.param<float>("v", {3}, etch::nn::zeros{});
#else
    auto b = g.param<float>("w", {3}, etch::nn::zeros{});
#endif
    g.output("y", a + b);
};
static_assert(etch::is_correct<model>);
