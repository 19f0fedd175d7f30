// SPDX-License-Identifier: MIT
// The case `digits` with etch: a net of 784 inputs, 256 hidden relu units and 10 classes.
#include "training.hpp"

namespace {

struct digits {
    bool adam;
    constexpr void operator()(etch::graph& g) const {
        auto image = g.input<float>("image", {g.dim("N"), 784});
        auto label = g.input<int>("label", {g.dim("N")});
        auto h = relu(etch::nn::dense(image, 256, "1"));
        auto loss = mean(cross_entropy(etch::nn::dense(h, 10, "2"), label));
        g.output("loss", loss);
        if (adam)
            g.minimize(loss, etch::nn::adam{.rate = 1e-3});
        else
            g.minimize(loss, etch::nn::sgd{.rate = 0.01});
    }
};

}  // namespace

int main() {
    return bench::serve({{"digits_sgd", bench::trained<digits{false}, int>},
                         {"digits_adam", bench::trained<digits{true}, int>}});
}
