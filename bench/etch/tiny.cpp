// SPDX-License-Identifier: MIT
// The case `tiny` with etch: a net of 2 inputs, twice 64 tanh units and 1 output, where a call costs more than the work.
#include "training.hpp"

namespace {

constexpr auto tiny = [](etch::graph& g) {
    auto x = g.input<float>("x", {g.dim("N"), 2}), y = g.input<float>("y", {g.dim("N"), 1});
    auto h = tanh(etch::nn::dense(x, 64, "1"));
    h = tanh(etch::nn::dense(h, 64, "2"));
    auto loss = mean_squared_error(etch::nn::dense(h, 1, "3"), y);
    g.output("loss", loss);
    g.minimize(loss, etch::nn::sgd{.rate = 0.01});
};

}  // namespace

int main() { return bench::serve({{"tiny_sgd", bench::trained<tiny, float>}}); }
