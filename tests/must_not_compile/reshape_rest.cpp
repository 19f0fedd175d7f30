// SPDX-License-Identifier: MIT
// expect: reshape: {N, 6} has 6*N elements, which 4 does not divide (reshape_rest.cpp:11)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto N = g.dim("N");
    auto a = g.input<float>("a", {N, 6});
#ifdef TWIN
    g.output("y", reshape(a, {-1, 3}));
#else
    g.output("y", reshape(a, {-1, 4}));
#endif
};
static_assert(etch::is_correct<model>);
