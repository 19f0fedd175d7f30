// SPDX-License-Identifier: MIT
// The case `sea_water` as plain loops, derivatives by hand.
#include "loop.hpp"

#include <cmath>

#include "../sea_water.hpp"

namespace {

namespace water = bench::sea_water;

template <bool derivatives> void density(bench::job& j) {
    const double *s = j.in[0].data<double>(), *t = j.in[1].data<double>(),
                 *p = j.in[2].data<double>();
    double* by[4];
    for (std::size_t i = 0; i < j.out.size(); ++i) by[i] = j.out[i].data<double>();
    double* rho = by[0];
    std::int64_t n = j.in[2].size();
    bench::for_each_row(j.in[0].size() / n, n, [=](std::int64_t row) {
#pragma omp simd
        for (std::int64_t k = 0; k < n; ++k) {
            std::int64_t i = row * n + k;
            double x = s[i], y = t[i], z = p[k], root = std::sqrt(x);
            double over = 1 / water::numerator(x, y, z, root),
                   density = water::denominator(x, y, z, root) * over;
            rho[i] = density;
            if constexpr (derivatives) {
                by[1][i] = (water::denominator_by_s(x, y, z, root) -
                            density * water::numerator_by_s(x, y, z, root)) *
                           over;
                by[2][i] = (water::denominator_by_t(x, y, z, root) -
                            density * water::numerator_by_t(x, y, z, root)) *
                           over;
                by[3][i] =
                    (water::denominator_by_p(x, y, z) - density * water::numerator_by_p(x, y, z)) *
                    over;
            }
        }
    });
}
template <int count> bench::arrays results(const bench::arrays& in) {
    return bench::arrays(count, bench::array::zeros<double>(in[0].shape));
}

}  // namespace

int main() {
    return bench::serve({{"density", bench::pure(results<1>, density<false>)},
                         {"density_derivatives", bench::pure(results<4>, density<true>)}});
}
