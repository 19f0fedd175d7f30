// SPDX-License-Identifier: MIT
// expect: find: the plan has no "los", near is "loss"
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    g.output("loss", mean(exp(g.input<float>("x", {g.dim("N")}))));
};
#ifdef TWIN
constexpr auto found = etch::plan<model>.find<"loss">();
#else
constexpr auto found = etch::plan<model>.find<"los">();
#endif
static_assert(sizeof found > 0);
