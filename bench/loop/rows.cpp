// SPDX-License-Identifier: MIT
// The case `rows` as plain loops, three passes over a row while it is in cache.
#include "loop.hpp"

#include <algorithm>
#include <cmath>

namespace {

using bench::job;

/// y = exp(x - greatest); gives the sum, and the greatest.
float exponentials(const float* x, float* y, std::int64_t n, float& greatest) {
    greatest = x[0];
    for (std::int64_t j = 1; j < n; ++j) greatest = std::max(greatest, x[j]);
    float sum = 0, most = greatest;
    for (std::int64_t j = 0; j < n; ++j) sum += y[j] = std::exp(x[j] - most);
    return sum;
}
void softmax(const float* x, float* y, std::int64_t n) {
    float greatest, factor = 1 / exponentials(x, y, n, greatest);
    for (std::int64_t j = 0; j < n; ++j) y[j] *= factor;
}
void layer_norm(const float* x, const float* gain, const float* offset, float* y, std::int64_t n) {
    float sum = 0, squares = 0;
    for (std::int64_t j = 0; j < n; ++j) sum += x[j];
    float mean = sum / static_cast<float>(n);
    for (std::int64_t j = 0; j < n; ++j) squares += (x[j] - mean) * (x[j] - mean);
    float factor = 1 / std::sqrt(squares / static_cast<float>(n) + 1e-5f);
    for (std::int64_t j = 0; j < n; ++j) y[j] = (x[j] - mean) * factor * gain[j] + offset[j];
}
float cross_entropy(const float* x, int label, float* y, std::int64_t n, float share) {
    float greatest, sum = exponentials(x, y, n, greatest), factor = share / sum;
    for (std::int64_t j = 0; j < n; ++j) y[j] *= factor;
    y[label] -= share;
    return (std::log(sum) + greatest - x[label]) * share;
}

void all_softmax(job& j) {
    const float* x = j.in[0].data();
    float* y = j.out[0].data();
    std::int64_t n = j.in[0].extent(1);
    bench::for_each_row(j.in[0].extent(0), n,
                        [=](std::int64_t i) { softmax(x + i * n, y + i * n, n); });
}
void all_layer_norm(job& j) {
    const float *x = j.in[0].data(), *gain = j.in[1].data(), *offset = j.in[2].data();
    float* y = j.out[0].data();
    std::int64_t n = j.in[0].extent(1);
    bench::for_each_row(j.in[0].extent(0), n,
                        [=](std::int64_t i) { layer_norm(x + i * n, gain, offset, y + i * n, n); });
}
void all_cross_entropy(job& j) {
    const float* x = j.in[0].data();
    const int* label = j.in[1].data<int>();
    float* y = j.out[0].data();
    std::int64_t rows = j.in[0].extent(0), n = j.in[0].extent(1);
    float loss = 0, share = 1 / static_cast<float>(rows);
    [[maybe_unused]] bool large = rows * n > bench::worth_threads;
#pragma omp parallel for reduction(+ : loss) if (large)
    for (std::int64_t i = 0; i < rows; ++i)
        loss += cross_entropy(x + i * n, label[i], y + i * n, n, share);
    j.out[1].data()[0] = loss;
}
bench::arrays gradient_and_loss(const bench::arrays& in) {
    return {bench::array::zeros(in[0].shape), bench::array::zeros({1})};
}

}  // namespace

int main() {
    return bench::serve({{"softmax", bench::pure(bench::like_first, all_softmax)},
                         {"layer_norm", bench::pure(bench::like_first, all_layer_norm)},
                         {"cross_entropy", bench::pure(gradient_and_loss, all_cross_entropy)}});
}
