// SPDX-License-Identifier: MIT
// expect: transpose: 2 axes for a tensor of rank 3 (transpose_list.cpp:10)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto a = g.input<float>("a", {2, 3, 4});
#ifdef TWIN
    g.output("y", transpose(a, {1, 0, 2}));
#else
    g.output("y", transpose(a, {1, 0}));
#endif
};
static_assert(etch::is_correct<model>);
