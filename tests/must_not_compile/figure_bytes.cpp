// SPDX-License-Identifier: MIT
// expect: plan: bytes_moved() is 800, and at most 799 is required
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    g.output("y", exp(g.input<float>("x", {g.dim("N")})));
};
#ifdef TWIN
static_assert(etch::require<etch::plan<model>.bytes_moved(100) <= 800>);
#else
static_assert(etch::require<etch::plan<model>.bytes_moved(100) <= 799>);
#endif
