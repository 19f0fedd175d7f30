// SPDX-License-Identifier: MIT
// The case `sea_water` as expressions of xtensor.
#include "xtensor.hpp"

#include "../sea_water.hpp"

namespace {

namespace water = bench::sea_water;

void density(bench::job& j) {
    auto s = bench::adapted<3, double>(j.in[0]), t = bench::adapted<3, double>(j.in[1]),
         rho = bench::adapted<3, double>(j.out[0]);
    auto p = bench::adapted<1, double>(j.in[2]);
    xt::xtensor<double, 3> root = xt::sqrt(s);
    xt::noalias(rho) = water::denominator(s, t, p, root) / water::numerator(s, t, p, root);
}
bench::arrays result(const bench::arrays& in) { return {bench::array::zeros<double>(in[0].shape)}; }

}  // namespace

int main() { return bench::serve({{"density", bench::pure(result, density)}}); }
