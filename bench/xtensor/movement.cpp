// SPDX-License-Identifier: MIT
// The case `movement` as expressions of xtensor.
#include "xtensor.hpp"

namespace {

using bench::adapted;
using bench::job;

void transposed_sum(job& j) {
    auto x = adapted<2>(j.in[0]), z = adapted<2>(j.in[1]), y = adapted<2>(j.out[0]);
    xt::noalias(y) = xt::transpose(x) + z;
}
void outer(job& j) {
    auto a = adapted<1>(j.in[0]), b = adapted<1>(j.in[1]), c = adapted<1>(j.in[2]);
    auto y = adapted<2>(j.out[0]);
    xt::noalias(y) = xt::view(a, xt::all(), xt::newaxis()) * b + c;
}
void standardize(job& j) {
    auto x = adapted<2>(j.in[0]), y = adapted<2>(j.out[0]);
    auto m = adapted<1>(j.in[1]), s = adapted<1>(j.in[2]);
    xt::noalias(y) = (x - m) * s;
}
bench::arrays like_second(const bench::arrays& in) { return {bench::array::zeros(in[1].shape)}; }
bench::arrays of_pairs(const bench::arrays& in) {
    return {bench::array::zeros({in[0].size(), in[1].size()})};
}

}  // namespace

int main() {
    return bench::serve({{"transposed_sum", bench::pure(like_second, transposed_sum)},
                         {"outer", bench::pure(of_pairs, outer)},
                         {"standardize", bench::pure(bench::like_first, standardize)}});
}
