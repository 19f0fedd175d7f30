// SPDX-License-Identifier: MIT
// The case `black_scholes` with etch.
#include "functions.hpp"

namespace {

constexpr auto black_scholes = [](etch::graph& g) {
    auto price = g.input<float>("price", {g.dim("N")}),
         strike = g.input<float>("strike", {g.dim("N")}),
         years = g.input<float>("years", {g.dim("N")});
    auto normal = [](etch::expr d) { return 0.5 + 0.5 * erf(d * 0.70710678118654752); };
    auto deviation = 0.30 * sqrt(years);
    auto d1 = (log(price / strike) + (0.02 + 0.5 * 0.30 * 0.30) * years) / deviation;
    auto discounted = strike * exp(-0.02 * years);
    auto call = price * normal(d1) - discounted * normal(d1 - deviation);
    g.output("call", call);
    g.output("put", call - price + discounted);
};

}  // namespace

int main() { return bench::serve({{"black_scholes", bench::etch_function<black_scholes>::make}}); }
