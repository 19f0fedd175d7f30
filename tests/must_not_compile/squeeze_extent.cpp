// SPDX-License-Identifier: MIT
// expect: squeeze: axis 1 of {1, 3} is not 1 (squeeze_extent.cpp:10)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto a = g.input<float>("a", {1, 3});
#ifdef TWIN
    g.output("y", squeeze(a, 0));
#else
    g.output("y", squeeze(a, 1));
#endif
};
static_assert(etch::is_correct<model>);
