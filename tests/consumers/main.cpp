// SPDX-License-Identifier: MIT
// A whole program: fits y = a x.
#include <etch.hpp>

#include <cstdio>
#include <vector>

constexpr auto line = [](etch::graph& g) {
    auto N = g.dim("N");
    auto x = g.input<float>("x", {N});
    auto y = g.input<float>("y", {N});
    auto a = g.param<float>("a", {}, etch::nn::zeros{});
    auto loss = mean(square(a * x - y));
    g.output("loss", loss);
    g.minimize(loss, etch::nn::sgd{.rate = 0.1});
};
static_assert(etch::plan<line>.kernels() <= 3);

int main() {
    etch::function<line> train;
    std::vector<float> x{1, 2, 3}, y{2, 4, 6};
    float loss = 1;
    for (int i = 0; i < 100; ++i) {
        auto [l] = train(x, y);
        loss = l;
    }
    std::printf("loss %g\n", static_cast<double>(loss));
    return loss < 1e-6f ? 0 : 1;
}
