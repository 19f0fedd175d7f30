// SPDX-License-Identifier: MIT
// The case `black_scholes` as a plain loop.
#include "loop.hpp"

#include <cmath>

namespace {

void black_scholes(bench::job& j) {
    const float *price = j.in[0].data(), *strike = j.in[1].data(), *years = j.in[2].data();
    float *calls = j.out[0].data(), *puts = j.out[1].data();
    bench::loop(j.in[0].size(), [=](std::int64_t i) {
        auto normal = [](float d) { return 0.5f + 0.5f * std::erf(d * 0.70710678f); };
        float deviation = 0.30f * std::sqrt(years[i]);
        float d1 = (std::log(price[i] / strike[i]) + (0.02f + 0.5f * 0.30f * 0.30f) * years[i]) /
                   deviation;
        float discounted = strike[i] * std::exp(-0.02f * years[i]);
        float call = price[i] * normal(d1) - discounted * normal(d1 - deviation);
        calls[i] = call;
        puts[i] = call - price[i] + discounted;
    });
}
bench::arrays calls_and_puts(const bench::arrays& in) {
    return {bench::array::zeros(in[0].shape), bench::array::zeros(in[0].shape)};
}

}  // namespace

int main() { return bench::serve({{"black_scholes", bench::pure(calls_and_puts, black_scholes)}}); }
