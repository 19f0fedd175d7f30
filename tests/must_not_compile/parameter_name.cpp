// SPDX-License-Identifier: MIT
// expect: parameter: the model has none of the name layer/weights; there are layer/weight, layer/bias (parameter_name.cpp:11)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto x = g.input<float>("x", {4, 3});
    auto y = etch::nn::dense(x, 2, "layer");
#ifdef TWIN
    g.output("y", y + sum(square(g.parameter("layer/weight"))));
#else
    g.output("y", y + sum(square(g.parameter("layer/weights"))));
#endif
    for (etch::expr d : grad(sum(y), g.trainable()))
        g.output(etch::name("d", static_cast<int>(g.outputs.size())), d);
};
static_assert(etch::is_correct<model>);
