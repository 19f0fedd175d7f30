// SPDX-License-Identifier: MIT
// The case `movement` as array expressions of Eigen.
#include "eigen.hpp"

namespace {

using bench::job;
using bench::rows_of;

void transposed_sum(job& j) { rows_of(j.out[0]) = rows_of(j.in[0]).transpose() + rows_of(j.in[1]); }
void outer(job& j) {
    bench::vector a = bench::flat(j.in[0]);
    bench::matrix b = rows_of(j.in[1]), c = rows_of(j.in[2]), y = rows_of(j.out[0]);
    for (Eigen::Index i = 0; i < y.rows(); ++i) y.row(i) = a(i) * b.row(0) + c.row(0);
}
void standardize(job& j) {
    bench::matrix x = rows_of(j.in[0]), m = rows_of(j.in[1]), s = rows_of(j.in[2]),
                  y = rows_of(j.out[0]);
    for (Eigen::Index i = 0; i < y.rows(); ++i) y.row(i) = (x.row(i) - m.row(0)) * s.row(0);
}
void heads(job& j) {
    const auto& shape = j.in[0].shape;
    std::int64_t batch = shape[0], length = shape[1], count = shape[2], features = shape[3];
    bench::matrix x = rows_of(j.in[0]), bias = rows_of(j.in[1]), y = rows_of(j.out[0]);
    for (std::int64_t b = 0; b < batch; ++b)
        for (std::int64_t h = 0; h < count; ++h)
            for (std::int64_t t = 0; t < length; ++t)
                y.row((b * count + h) * length + t).head(features) =
                    x.row((b * length + t) * count + h) * 0.125f + bias.row(h);
}
bench::arrays like_second(const bench::arrays& in) { return {bench::array::zeros(in[1].shape)}; }
bench::arrays of_pairs(const bench::arrays& in) {
    return {bench::array::zeros({in[0].size(), in[1].size()})};
}
bench::arrays transposed(const bench::arrays& in) {
    const auto& s = in[0].shape;
    return {bench::array::zeros({s[0], s[2], s[1], s[3]})};
}

}  // namespace

int main() {
    return bench::serve({{"transposed_sum", bench::pure(like_second, transposed_sum)},
                         {"outer", bench::pure(of_pairs, outer)},
                         {"standardize", bench::pure(bench::like_first, standardize)},
                         {"heads", bench::pure(transposed, heads)}});
}
