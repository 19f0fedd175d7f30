// SPDX-License-Identifier: MIT
// expect: grad: takes a floating scalar, not float32 {3}: write grad(sum(y), x) (hessian_of_tensor.cpp:13)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto a = g.input<float>("a", {3});
    auto b = g.input<float>("b", {3});
#ifdef TWIN
    auto y = sum(a * b);
#else
    auto y = a * b;
#endif
    auto blocks = hessian(y, {a, b});
    g.output("h", blocks[0][1] + blocks[1][0]);
};
static_assert(etch::is_correct<model>);
