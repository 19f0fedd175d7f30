// SPDX-License-Identifier: MIT
// expect: input: a tensor of rank 9; the most is 8 (rank_nine.cpp:9)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
#ifdef TWIN
    auto a = g.input<float>("a", {1, 2, 3, 4, 5, 6, 7, 8});
#else
    auto a = g.input<float>("a", {1, 2, 3, 4, 5, 6, 7, 8, 9});
#endif
    g.output("y", a + 1);
};
static_assert(etch::is_correct<model>);
