// SPDX-License-Identifier: MIT
// expect: concatenate: float32 {2, 3} and float32 {2, 4} do not join along axis 0 (concatenate_shapes.cpp:11)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto a = g.input<float>("a", {2, 3});
    auto b = g.input<float>("b", {2, 4});
#ifdef TWIN
    g.output("y", etch::concatenate({a, b}, 1));
#else
    g.output("y", etch::concatenate({a, b}, 0));
#endif
};
static_assert(etch::is_correct<model>);
