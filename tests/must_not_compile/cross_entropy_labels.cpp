// SPDX-License-Identifier: MIT
// expect: cross_entropy: logits {N, 10} and labels int32 {N, 1} do not fit: integer labels have the shape without the last axis, distributions the same (cross_entropy_labels.cpp:13)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto N = g.dim("N");
    auto logits = g.input<float>("logits", {N, 10});
#ifdef TWIN
    auto label = g.input<int>("label", {N});
#else
    auto label = g.input<int>("label", {N, 1});
#endif
    g.output("loss", mean(cross_entropy(logits, label)));
};
static_assert(etch::is_correct<model>);
