// SPDX-License-Identifier: MIT
// The case `reductions` as plain loops; columns are summed a block at a time, each thread has some of the columns.
#include "loop.hpp"

#include <algorithm>

namespace {

using bench::job;

/// In blocks: one sum of 2^24 numbers of float32 is wrong in the third digit.
template <class F> float total(std::int64_t n, F f) {
    constexpr std::int64_t block = 4096;
    double sum = 0;
    [[maybe_unused]] bool large = n > bench::worth_threads;
#pragma omp parallel for reduction(+ : sum) if (large)
    for (std::int64_t begin = 0; begin < n; begin += block) {
        float part = 0;
        std::int64_t end = std::min(n, begin + block);
#pragma omp simd reduction(+ : part)
        for (std::int64_t i = begin; i < end; ++i) part += f(i);
        sum += static_cast<double>(part);
    }
    return static_cast<float>(sum);
}
void sum(job& j) {
    const float* x = j.in[0].data();
    j.out[0].data()[0] = total(j.in[0].size(), [=](std::int64_t i) { return x[i]; });
}
void mean_square(job& j) {
    const float* x = j.in[0].data();
    j.out[0].data()[0] = total(j.in[0].size(), [=](std::int64_t i) { return x[i] * x[i]; }) /
                         static_cast<float>(j.in[0].size());
}
void row_sums(job& j) {
    const float* x = j.in[0].data();
    float* y = j.out[0].data();
    std::int64_t rows = j.in[0].extent(0), columns = j.in[0].extent(1);
    bench::for_each_row(rows, columns, [=](std::int64_t i) {
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (std::int64_t k = 0; k < columns; ++k) sum += x[i * columns + k];
        y[i] = sum;
    });
}
/// f(first column, last column) for blocks of columns.
template <class F> void for_column_blocks(const bench::array& x, F f) {
    constexpr std::int64_t block = 256;
    std::int64_t columns = x.extent(1);
    bench::for_each_row((columns + block - 1) / block, x.extent(0) * block,
                        [=](std::int64_t i) { f(i * block, std::min(columns, (i + 1) * block)); });
}
void sum_block(const float* x, float* y, std::int64_t rows, std::int64_t columns,
               std::int64_t begin, std::int64_t end) {
    std::fill(y + begin, y + end, 0.f);
    for (std::int64_t i = 0; i < rows; ++i)
        for (std::int64_t k = begin; k < end; ++k) y[k] += x[i * columns + k];
}
void column_sums(job& j) {
    const float* x = j.in[0].data();
    float* y = j.out[0].data();
    std::int64_t rows = j.in[0].extent(0), columns = j.in[0].extent(1);
    for_column_blocks(j.in[0], [=](std::int64_t begin, std::int64_t end) {
        sum_block(x, y, rows, columns, begin, end);
    });
}
void column_variance(job& j) {
    const float* x = j.in[0].data();
    float* y = j.out[0].data();
    std::int64_t rows = j.in[0].extent(0), columns = j.in[0].extent(1);
    float share = 1 / static_cast<float>(rows);
    for_column_blocks(j.in[0], [=](std::int64_t begin, std::int64_t end) {
        float means[256];
        sum_block(x, y, rows, columns, begin, end);
        for (std::int64_t k = begin; k < end; ++k) means[k - begin] = y[k] * share, y[k] = 0;
        for (std::int64_t i = 0; i < rows; ++i)
            for (std::int64_t k = begin; k < end; ++k) {
                float d = x[i * columns + k] - means[k - begin];
                y[k] += d * d;
            }
        for (std::int64_t k = begin; k < end; ++k) y[k] *= share;
    });
}
void row_argmax(job& j) {
    const float* x = j.in[0].data();
    int* y = j.out[0].data<int>();
    std::int64_t rows = j.in[0].extent(0), columns = j.in[0].extent(1);
    bench::for_each_row(rows, columns, [=](std::int64_t i) {
        const float* row = x + i * columns;
        float greatest = row[0];
#pragma omp simd reduction(max : greatest)
        for (std::int64_t k = 0; k < columns; ++k) greatest = std::max(greatest, row[k]);
        y[i] = static_cast<int>(std::find(row, row + columns, greatest) - row);
    });
}
bench::arrays one_index_a_row(const bench::arrays& in) {
    return {bench::array::zeros<int>({in[0].extent(0)})};
}

}  // namespace

int main() {
    return bench::serve({{"sum", bench::pure(bench::scalar, sum)},
                         {"mean_square", bench::pure(bench::scalar, mean_square)},
                         {"row_sums", bench::pure(bench::one_a_row, row_sums)},
                         {"column_sums", bench::pure(bench::one_a_column, column_sums)},
                         {"column_variance", bench::pure(bench::one_a_column, column_variance)},
                         {"row_argmax", bench::pure(one_index_a_row, row_argmax)}});
}
