// SPDX-License-Identifier: MIT
// An LSTM cell written as mathematics, eight steps in a plain loop, trained.
#include <etch.hpp>

struct recurrent {
    constexpr void operator()(etch::graph& g) const {
        constexpr int steps = 8, features = 32, units = 64;
        auto x = g.input<float>("x", {g.dim("N"), steps, features});
        auto target = g.input<float>("target", {g.dim("N"), units});
        auto w = g.param<float>("w", {features, 4 * units}, etch::nn::glorot{});
        auto u = g.param<float>("u", {units, 4 * units}, etch::nn::glorot{});
        auto b = g.param<float>("b", {4 * units}, etch::nn::zeros{});
        etch::expr h{}, c{};
        for (int t = 0; t < steps; ++t) {
            auto gates = etch::nn::dense(slice(x, {etch::all, t, etch::all}), w, b);
            if (t > 0) gates = gates + matmul(h, u);
            auto gate = [&](int i) {
                return slice(gates, {etch::all, etch::range(i * units, (i + 1) * units)});
            };
            auto fresh = sigmoid(gate(0)) * tanh(gate(1));
            c = t > 0 ? sigmoid(gate(2)) * c + fresh : fresh;
            h = sigmoid(gate(3)) * tanh(c);
        }
        auto loss = mean(square(h - target));
        g.output("loss", loss);
        g.minimize(loss, etch::nn::adam{});
    }
};

static_assert(etch::plan<recurrent{}>.kernels() > 0);
template class etch::function<recurrent{}>;
