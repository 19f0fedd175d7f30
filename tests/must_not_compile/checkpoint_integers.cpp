// SPDX-License-Identifier: MIT
// expect: checkpoint: no gradient flows through int32 {3} (checkpoint_integers.cpp:10)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto x = g.input<float>("x", {3});
#ifdef TWIN
    g.output("y", checkpoint(x * 2));
#else
    g.output("y", checkpoint(cast<int>(x)));
#endif
};
static_assert(etch::is_correct<model>);
