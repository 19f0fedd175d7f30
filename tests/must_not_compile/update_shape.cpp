// SPDX-License-Identifier: MIT
// expect: update: parameter w is float32 {3}, its new value float32 {4} (update_shape.cpp:13)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
#ifdef TWIN
    auto a = g.input<float>("a", {3});
#else
    auto a = g.input<float>("a", {4});
#endif
    auto w = g.param<float>("w", {3}, etch::nn::zeros{});
    g.output("y", w + 1);
    g.update(w, a);
};
static_assert(etch::is_correct<model>);
