// SPDX-License-Identifier: MIT
// expect: plan: kernels() is 1, and less than 1 is required
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    g.output("y", exp(g.input<float>("x", {g.dim("N")})));
};
#ifdef TWIN
static_assert(etch::require<etch::plan<model>.kernels() <= 1>);
#else
static_assert(etch::require<etch::plan<model>.kernels() < 1>);
#endif
