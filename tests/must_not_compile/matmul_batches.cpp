// SPDX-License-Identifier: MIT
// expect: matmul: {2} and {3} do not broadcast: 2 is not 3 (matmul_batches.cpp:12)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto a = g.input<float>("a", {2, 4, 5});
#ifdef TWIN
    auto b = g.input<float>("b", {2, 5, 6});
#else
    auto b = g.input<float>("b", {3, 5, 6});
#endif
    g.output("y", matmul(a, b));
};
static_assert(etch::is_correct<model>);
