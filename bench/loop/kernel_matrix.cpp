// SPDX-License-Identifier: MIT
// The case `kernel_matrix` as plain loops; y is transposed first, so that a row's elements lie side by side.
#include "loop.hpp"

#include <cmath>

namespace {

void kernel_matrix(bench::job& j) {
    const float *x = j.in[0].data(), *y = j.in[1].data();
    float *k = j.out[0].data(), *sums = j.out[1].data();
    std::int64_t rows = j.in[0].extent(0), columns = j.in[1].extent(0);
    std::vector<float> coordinates(static_cast<std::size_t>(3 * columns));
    float *y0 = coordinates.data(), *y1 = y0 + columns, *y2 = y1 + columns;
    for (std::int64_t c = 0; c < columns; ++c)
        y0[c] = y[3 * c], y1[c] = y[3 * c + 1], y2[c] = y[3 * c + 2];
    bench::for_each_row(rows, columns, [=](std::int64_t i) {
        float x0 = x[3 * i], x1 = x[3 * i + 1], x2 = x[3 * i + 2], sum = 0;
        float* row = k + i * columns;
#pragma omp simd reduction(+ : sum)
        for (std::int64_t c = 0; c < columns; ++c) {
            float d0 = x0 - y0[c], d1 = x1 - y1[c], d2 = x2 - y2[c];
            sum += row[c] = std::exp(-(d0 * d0 + d1 * d1 + d2 * d2));
        }
        sums[i] = sum;
    });
}
bench::arrays matrix_and_sums(const bench::arrays& in) {
    std::int64_t rows = in[0].extent(0);
    return {bench::array::zeros({rows, in[1].extent(0)}), bench::array::zeros({rows})};
}

}  // namespace

int main() {
    return bench::serve({{"kernel_matrix", bench::pure(matrix_and_sums, kernel_matrix)}});
}
