// SPDX-License-Identifier: MIT
// Models in a header that two translation units share: a constant, a function object with a parameter, and a class that
// owns a function whose code is only in regression.cpp.
#pragma once
#include <etch.hpp>

#include <span>

inline constexpr auto line = [](etch::graph& g) {
    auto N = g.dim("N");
    auto x = g.input<float>("x", {N});
    auto y = g.input<float>("y", {N});
    auto a = g.param<float>("a", {}, etch::nn::zeros{});
    auto loss = mean(square(a * x - y));
    g.output("loss", loss);
    g.minimize(loss, etch::nn::sgd{.rate = 0.1});
};

struct mlp {
    int depth;
    constexpr void operator()(etch::graph& g) const {
        auto N = g.dim("N");
        auto h = g.input<float>("x", {N, 4});
        for (int i = 0; i < depth; ++i) h = relu(etch::nn::dense(h, 4, etch::name("layer", i)));
        g.output("mean", mean(h));
    }
};

extern template class etch::function<line>;

class regression {
public:
    float step(std::span<const float> x, std::span<const float> y);

private:
    etch::function<line> train_;
};

float mean_of_mlp(std::span<const float> x);
