// SPDX-License-Identifier: MIT
// One kernel of a thousand instructions: it compiles, and gives what a loop in double gives.
// also: clang
#include "catch.hpp"

#include <cmath>

#include <etch/language.hpp>
#include <etch/run/function.hpp>

namespace {

constexpr int rounds = 330;

constexpr auto big = [](etch::graph& g) {
    auto N = g.dim("N");
    auto x = g.input<float>("x", {N}), y = g.input<float>("y", {N});
    auto z = x;
    for (int i = 0; i < rounds; ++i) {
        auto step = z * (0.5 + 0.001 * i);  // each round a number of its own
        z = step - y;
        if (i % 10 == 0) z = etch::maximum(z, -step);
    }
    g.output("z", z);
    g.output("sum", sum(z));
};
static_assert(etch::plan<big>.kernels() == 1);
static_assert(etch::plan<big>.view().bodies[0].instructions.count >= 1000);

}  // namespace

TEST_CASE("a kernel of a thousand instructions") {
    etch::function<big> f;
    for (std::size_t n : {1u, 100u, 5000u}) {
        std::vector<float> x(n), y(n);
        for (std::size_t i = 0; i < n; ++i) {
            x[i] = static_cast<float>(std::sin(0.1 * static_cast<double>(i)));
            y[i] = static_cast<float>(0.25 * std::cos(0.3 * static_cast<double>(i)));
        }
        auto [z, sum] = f(x, y);
        auto values = z.to_vector<float>();
        double most = 0, total = 0;
        for (std::size_t k = 0; k < n; ++k) {
            double a = x[k];
            for (int i = 0; i < rounds; ++i) {
                double step = a * (0.5 + 0.001 * i);
                a = step - y[k];
                if (i % 10 == 0) a = std::max(a, -step);
            }
            most = std::max(most, std::fabs(values[k] - a) / (1 + std::fabs(a)));
            total += a;
        }
        CHECK(most < 1e-5);
        CHECK(sum == Approx(total).epsilon(1e-4).margin(1e-3));
    }
}
