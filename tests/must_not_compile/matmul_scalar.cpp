// SPDX-License-Identifier: MIT
// expect: matmul: takes no scalars: write a * b (matmul_scalar.cpp:12)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
#ifdef TWIN
    auto a = g.input<float>("a", {3});
#else
    auto a = g.input<float>("a", {});
#endif
    auto b = g.input<float>("b", {3});
    g.output("y", matmul(a, b));
};
static_assert(etch::is_correct<model>);
