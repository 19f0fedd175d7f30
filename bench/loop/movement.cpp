// SPDX-License-Identifier: MIT
// The case `movement` as plain loops; the transpose goes by blocks that stay in cache.
#include "loop.hpp"

#include <algorithm>

namespace {

using bench::job;

void transposed_sum(job& j) {
    const float *x = j.in[0].data(), *z = j.in[1].data();
    float* y = j.out[0].data();
    std::int64_t rows = j.in[1].extent(0), columns = j.in[1].extent(1);
    constexpr std::int64_t block = 32;
    bench::for_each_row((rows + block - 1) / block, block * columns, [=](std::int64_t b) {
        std::int64_t begin = b * block, end = std::min(rows, begin + block);
        for (std::int64_t c = 0; c < columns; c += block)
            for (std::int64_t i = begin; i < end; ++i)
                for (std::int64_t k = c; k < std::min(columns, c + block); ++k)
                    y[i * columns + k] = x[k * rows + i] + z[i * columns + k];
    });
}
void outer(job& j) {
    const float *a = j.in[0].data(), *b = j.in[1].data(), *c = j.in[2].data();
    float* y = j.out[0].data();
    std::int64_t n = j.in[1].size();
    bench::for_each_row(j.in[0].size(), n, [=](std::int64_t i) {
        for (std::int64_t k = 0; k < n; ++k) y[i * n + k] = a[i] * b[k] + c[k];
    });
}
void standardize(job& j) {
    const float *x = j.in[0].data(), *m = j.in[1].data(), *s = j.in[2].data();
    float* y = j.out[0].data();
    std::int64_t n = j.in[1].size();
    bench::for_each_row(j.in[0].extent(0), n, [=](std::int64_t i) {
        for (std::int64_t k = 0; k < n; ++k) y[i * n + k] = (x[i * n + k] - m[k]) * s[k];
    });
}
void heads(job& j) {
    const float *x = j.in[0].data(), *bias = j.in[1].data();
    float* y = j.out[0].data();
    const auto& shape = j.in[0].shape;
    std::int64_t batch = shape[0], length = shape[1], count = shape[2], features = shape[3];
    bench::for_each_row(batch * count, length * features, [=](std::int64_t i) {
        const float *from = x + i / count * length * count * features + i % count * features,
                    *added = bias + i % count * features;
        float* to = y + i * length * features;
        for (std::int64_t t = 0; t < length; ++t)
            for (std::int64_t k = 0; k < features; ++k)
                to[t * features + k] = from[t * count * features + k] * 0.125f + added[k];
    });
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
