// SPDX-License-Identifier: MIT
// The case `rows` as plain loops, three passes over a row while it is in cache; -O3 -ffast-math, with OpenMP's threads.
#include <algorithm>
#include <cmath>
#include <memory>

#include "rows.hpp"

namespace {

using namespace bench::rows;

struct arrays {
    std::vector<float> x, gain, offset, y;
    std::vector<int> label;
    int rows, columns;
    float loss = 0;
};

/// y = exp(x - greatest); gives the sum, and the greatest.
float exponentials(const float* x, float* y, int n, float& greatest) {
    greatest = x[0];
    for (int j = 1; j < n; ++j) greatest = std::max(greatest, x[j]);
    float sum = 0, most = greatest;
    for (int j = 0; j < n; ++j) sum += y[j] = std::exp(x[j] - most);
    return sum;
}
void softmax(const float* x, float* y, int n) {
    float greatest, factor = 1 / exponentials(x, y, n, greatest);
    for (int j = 0; j < n; ++j) y[j] *= factor;
}
void layer_norm(const float* x, const float* gain, const float* offset, float* y, int n) {
    float sum = 0, squares = 0;
    for (int j = 0; j < n; ++j) sum += x[j];
    float mean = sum / static_cast<float>(n);
    for (int j = 0; j < n; ++j) squares += (x[j] - mean) * (x[j] - mean);
    float factor = 1 / std::sqrt(squares / static_cast<float>(n) + epsilon);
    for (int j = 0; j < n; ++j) y[j] = (x[j] - mean) * factor * gain[j] + offset[j];
}
float cross_entropy(const float* x, int label, float* y, int n, float share) {
    float greatest, sum = exponentials(x, y, n, greatest), factor = share / sum;
    for (int j = 0; j < n; ++j) y[j] *= factor;
    y[label] -= share;
    return (std::log(sum) + greatest - x[label]) * share;
}

template <class F> void for_each_row(const arrays& all, F f) {
    [[maybe_unused]] bool large = all.rows * all.columns > (1 << 15);
#pragma omp parallel for if (large)
    for (int i = 0; i < all.rows; ++i)
        f(i, static_cast<std::size_t>(i) * static_cast<std::size_t>(all.columns));
}

enum class function { softmax, layer_norm, cross_entropy };

void run(function f, arrays& all) {
    const float* x = all.x.data();
    float* y = all.y.data();
    int n = all.columns;
    if (f == function::softmax) {
        for_each_row(all, [=](int, std::size_t at) { softmax(x + at, y + at, n); });
    } else if (f == function::layer_norm) {
        const float *gain = all.gain.data(), *offset = all.offset.data();
        for_each_row(all,
                     [=](int, std::size_t at) { layer_norm(x + at, gain, offset, y + at, n); });
    } else {
        float loss = 0, share = 1 / static_cast<float>(all.rows);
        [[maybe_unused]] bool large = all.rows * n > (1 << 15);
#pragma omp parallel for reduction(+ : loss) if (large)
        for (int i = 0; i < all.rows; ++i) {
            auto at = static_cast<std::size_t>(i) * static_cast<std::size_t>(n);
            loss += cross_entropy(x + at, all.label[static_cast<std::size_t>(i)], y + at, n, share);
        }
        all.loss = loss;
    }
}

bench::task make(function f, int rows, int columns) {
    auto all = std::make_shared<arrays>();
    all->x = x(rows, columns), all->gain = gain(columns), all->offset = offset(columns);
    all->label = label(rows, columns), all->rows = rows, all->columns = columns;
    all->y.resize(all->x.size());
    return {[=] { run(f, *all); },
            [=] {
                run(f, *all);
                std::vector<double> elements;
                bench::sample_elements(elements, all->y.data(), all->y.size());
                if (f == function::cross_entropy)
                    elements.push_back(static_cast<double>(all->loss));
                return elements;
            }};
}

}  // namespace

int main() {
    bench::tasks list;
    for (auto [name, f] : {std::pair{"softmax", function::softmax},
                           {"layer_norm", function::layer_norm},
                           {"cross_entropy", function::cross_entropy}})
        for (auto [rows, columns] : {std::pair{32, 10}, {4096, 1024}})
            list.emplace(
                std::string(name) + '_' + std::to_string(rows) + 'x' + std::to_string(columns),
                [f = f, rows = rows, columns = columns] { return make(f, rows, columns); });
    return bench::serve(list);
}
