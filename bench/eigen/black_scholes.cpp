// SPDX-License-Identifier: MIT
// The case `black_scholes` as array expressions of Eigen.
#include "eigen.hpp"

#include <unsupported/Eigen/SpecialFunctions>

namespace {

void black_scholes(bench::job& j) {
    bench::vector price = bench::flat(j.in[0]), strike = bench::flat(j.in[1]),
                  years = bench::flat(j.in[2]), call = bench::flat(j.out[0]),
                  put = bench::flat(j.out[1]);
    auto normal = [](const auto& d) { return 0.5f + 0.5f * (d * 0.70710678f).erf(); };
    // A part at a time: what is used again stays in cache.
    constexpr Eigen::Index part = 1024;
    Eigen::Array<float, Eigen::Dynamic, 1, 0, part, 1> deviation, d1, d2, discounted;
    for (Eigen::Index at = 0; at < price.size(); at += part) {
        Eigen::Index n = std::min(part, price.size() - at);
        auto s = price.segment(at, n), k = strike.segment(at, n), t = years.segment(at, n);
        deviation = 0.30f * t.sqrt();
        d1 = ((s / k).log() + (0.02f + 0.5f * 0.30f * 0.30f) * t) / deviation;
        d2 = d1 - deviation;
        discounted = k * (-0.02f * t).exp();
        call.segment(at, n) = s * normal(d1) - discounted * normal(d2);
        put.segment(at, n) = call.segment(at, n) - s + discounted;
    }
}
bench::arrays calls_and_puts(const bench::arrays& in) {
    return {bench::array::zeros(in[0].shape), bench::array::zeros(in[0].shape)};
}

}  // namespace

int main() { return bench::serve({{"black_scholes", bench::pure(calls_and_puts, black_scholes)}}); }
