// SPDX-License-Identifier: MIT
// expect: matmul: float32 and float64 do not mix: write cast<double>(x) or cast<float>(x) (matmul_dtypes.cpp:12)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
#ifdef TWIN
    auto a = g.input<float>("a", {2, 3});
#else
    auto a = g.input<double>("a", {2, 3});
#endif
    auto b = g.input<float>("b", {3, 4});
    g.output("y", matmul(a, b));
};
static_assert(etch::is_correct<model>);
