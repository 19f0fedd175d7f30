// SPDX-License-Identifier: MIT
// expect: take: indices are integers, not float32 (take_indices.cpp:12)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto table = g.input<float>("table", {100, 8});
#ifdef TWIN
    auto word = g.input<int>("word", {12});
#else
    auto word = g.input<float>("word", {12});
#endif
    g.output("y", take(table, word));
};
static_assert(etch::is_correct<model>);
