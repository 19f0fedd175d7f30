// SPDX-License-Identifier: MIT
// expect: add: {examples, 3} and {examples_of_the_other_half_of_the_data_set, 3} do not broadcast: examples is not examples_of_the_other_half_of_the_data_set (long_names.cpp:14)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto N = g.dim("examples");
    auto M = g.dim("examples_of_the_other_half_of_the_data_set");
    auto a = g.input<float>("a", {N, 3});
#ifdef TWIN
    auto b = g.input<float>("b", {N, 3});
#else
    auto b = g.input<float>("b", {M, 3});
#endif
    g.output("y", a + b);
};
static_assert(etch::is_correct<model>);
