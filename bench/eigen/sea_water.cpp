// SPDX-License-Identifier: MIT
// The case `sea_water` as array expressions of Eigen, derivatives by hand; a part at a time, so that what is used again
// stays in cache.
#include "eigen.hpp"

#include "../sea_water.hpp"

namespace {

namespace water = bench::sea_water;

template <bool derivatives> void density(bench::job& j) {
    Eigen::Index all = bench::rows_of<double>(j.in[0]).rows();
    auto p_row = bench::rows_of<double>(j.in[2]);
    Eigen::Index columns = p_row.cols(), part = std::max<Eigen::Index>(1, 512 / columns);
    Eigen::ArrayXd p, root, top, bottom, rho;
    for (Eigen::Index at = 0; at < all; at += part) {
        Eigen::Index rows = std::min(part, all - at), n = rows * columns;
        auto flat = [=](bench::array& a) {
            return Eigen::Map<Eigen::ArrayXd>(a.data<double>() + at * columns, n);
        };
        auto s = flat(j.in[0]), t = flat(j.in[1]);
        if (p.size() != n) p = p_row.row(0).transpose().replicate(rows, 1);
        root = s.sqrt();
        bottom = water::numerator(s, t, p, root);
        top = water::denominator(s, t, p, root);
        rho = top / bottom;
        flat(j.out[0]) = rho;
        if constexpr (derivatives) {
            flat(j.out[1]) = (water::denominator_by_s(s, t, p, root) -
                              rho * water::numerator_by_s(s, t, p, root)) /
                             bottom;
            flat(j.out[2]) = (water::denominator_by_t(s, t, p, root) -
                              rho * water::numerator_by_t(s, t, p, root)) /
                             bottom;
            flat(j.out[3]) =
                (water::denominator_by_p(s, t, p) - rho * water::numerator_by_p(s, t, p)) / bottom;
        }
    }
}
template <int count> bench::arrays results(const bench::arrays& in) {
    return bench::arrays(count, bench::array::zeros<double>(in[0].shape));
}

}  // namespace

int main() {
    return bench::serve({{"density", bench::pure(results<1>, density<false>)},
                         {"density_derivatives", bench::pure(results<4>, density<true>)}});
}
