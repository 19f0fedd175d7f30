// SPDX-License-Identifier: MIT
// expect: cross_entropy: labels of float32 {N}: numbers of classes are integers: write cast<int>(label) (cross_entropy_floats.cpp:13)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto N = g.dim("N");
    auto logits = g.input<float>("logits", {N, 10});
#ifdef TWIN
    auto label = g.input<int>("label", {N});
#else
    auto label = g.input<float>("label", {N});
#endif
    g.output("loss", mean(cross_entropy(logits, label)));
};
static_assert(etch::is_correct<model>);
