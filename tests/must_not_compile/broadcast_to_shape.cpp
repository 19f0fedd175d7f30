// SPDX-License-Identifier: MIT
// expect: broadcast_to: {3} does not broadcast to {3, 4} (broadcast_to_shape.cpp:10)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto a = g.input<float>("a", {3});
#ifdef TWIN
    g.output("y", broadcast_to(a, {3, 3}));
#else
    g.output("y", broadcast_to(a, {3, 4}));
#endif
};
static_assert(etch::is_correct<model>);
