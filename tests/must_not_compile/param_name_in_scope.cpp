// SPDX-License-Identifier: MIT
// expect: param: the name block1/dense/w is taken (param_name_in_scope.cpp:14)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto h = g.input<float>("x", {3, 3});
    for (int i = 0; i < 3; ++i) {
#ifdef TWIN
        auto block = g.scope("block", i);
#else
        auto block = g.scope("block", 1);
#endif
        auto dense = g.scope("dense");
        h = matmul(h, g.param<float>("w", {3, 3}, etch::nn::glorot{}));
    }
    g.output("y", h);
};
static_assert(etch::is_correct<model>);
