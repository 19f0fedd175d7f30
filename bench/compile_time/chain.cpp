// SPDX-License-Identifier: MIT
// LAYERS dense layers of 64 tanh units that are trained: only planned, or with its kernels (WITH_FUNCTION).
#ifdef WITH_FUNCTION
#include <etch.hpp>
#else
#include <etch/language.hpp>
#endif

struct chain {
    int n;
    constexpr void operator()(etch::graph& g) const {
        auto h = g.input<float>("x", {g.dim("N"), 64});
        for (int i = 0; i < n; ++i) h = tanh(etch::nn::dense(h, 64, etch::name("layer", i)));
        auto loss = mean(square(h));
        g.output("loss", loss);
        g.minimize(loss, etch::nn::sgd{.rate = 0.01});
    }
};

static_assert(etch::plan<chain{LAYERS}>.kernels() > 0);
#ifdef WITH_FUNCTION
template class etch::function<chain{LAYERS}>;
#endif
