// SPDX-License-Identifier: MIT
// expect: mean_squared_error: {N, 1} and {N}: both must have one shape: write squeeze(the first, -1) (loss_shapes.cpp:13)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto N = g.dim("N");
    auto y = g.input<float>("y", {N, 1});
#ifdef TWIN
    auto target = g.input<float>("target", {N, 1});
#else
    auto target = g.input<float>("target", {N});
#endif
    g.output("loss", mean_squared_error(y, target));
};
static_assert(etch::is_correct<model>);
