// SPDX-License-Identifier: MIT
// The case `elementwise` as plain loops; built once with -O3 and once with -O3 -ffast-math, with OpenMP's threads.
#include <cmath>
#include <memory>

#include "elementwise.hpp"

namespace {

using namespace bench::elementwise;

struct arrays {
    std::vector<float> x, z, y;
    // of Adam
    std::vector<float> p, m, v;
    float steps = 0;
};

template <class F> void loop(std::size_t n, F f) {
    [[maybe_unused]] bool large = n > (1 << 15);
#pragma omp parallel for simd if (parallel : large)
    for (std::size_t i = 0; i < n; ++i) f(i);
}

void run(std::string_view formula, arrays& all) {
    const float *x = all.x.data(), *z = all.z.data();
    float* y = all.y.data();
    std::size_t n = all.x.size();
    if (formula == "affine") {
        loop(n, [=](std::size_t i) { y[i] = a * x[i] + b * z[i] + c; });
    } else if (formula == "tanh") {
        loop(n, [=](std::size_t i) { y[i] = std::tanh(a * x[i] + b); });
    } else if (formula == "gelu") {
        loop(n, [=](std::size_t i) {
            y[i] = 0.5f * x[i] *
                   (1 + std::tanh(0.7978845608f * (x[i] + 0.044715f * x[i] * x[i] * x[i])));
        });
    } else if (formula == "wave") {
        loop(n, [=](std::size_t i) {
            y[i] = std::sqrt(x[i] * x[i] + z[i] * z[i]) * std::exp(-x[i] * x[i]) + z[i];
        });
    } else {
        ++all.steps;
        float size = rate / (1 - std::pow(beta1, all.steps)),
              spread = 1 / std::sqrt(1 - std::pow(beta2, all.steps));
        float *p = all.p.data(), *m = all.m.data(), *v = all.v.data();
        loop(n, [=](std::size_t i) {
            m[i] = beta1 * m[i] + (1 - beta1) * x[i];
            v[i] = beta2 * v[i] + (1 - beta2) * x[i] * x[i];
            p[i] -= size * m[i] / (std::sqrt(v[i]) * spread + epsilon);
        });
    }
}

bench::task make(std::string_view formula, std::size_t n) {
    bool adam = formula == "adam";
    auto all = std::make_shared<arrays>();
    all->x = x(n);
    if (!adam) all->z = z(n), all->y.resize(n);
    return {[=] { run(formula, *all); },
            [=] {
                std::vector<double> elements;
                for (int i = 0; i < (adam ? checked_steps : 1); ++i) run(formula, *all);
                bench::sample_elements(elements, adam ? all->p.data() : all->y.data(), n);
                return elements;
            },
            [=] {
                if (!adam) return;
                all->p = z(n);
                all->m.assign(n, 0), all->v.assign(n, 0);
                all->steps = 0;
            }};
}

}  // namespace

int main() { return bench::serve(all(make)); }
