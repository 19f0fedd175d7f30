// SPDX-License-Identifier: MIT
// expect: matmul: takes a tensor, not a number (matmul_number.cpp:10)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto a = g.input<float>("a", {3});
#ifdef TWIN
    g.output("y", matmul(a, a));
#else
    g.output("y", matmul(2, a));
#endif
};
static_assert(etch::is_correct<model>);
