// SPDX-License-Identifier: MIT
// The case `elementwise` as plain loops.
#include "loop.hpp"

#include <cmath>

#include "../adam.hpp"

namespace {

/// y[i] = f(x[i], z[i]), or f(x[i]).
template <class F> auto formula(F f) {
    return bench::pure(bench::like_first, [f](bench::job& j) {
        const float* x = j.in[0].data();
        float* y = j.out[0].data();
        if constexpr (std::is_invocable_v<F, float>) {
            bench::loop(j.in[0].size(), [=](std::int64_t i) { y[i] = f(x[i]); });
        } else {
            const float* z = j.in[1].data();
            bench::loop(j.in[0].size(), [=](std::int64_t i) { y[i] = f(x[i], z[i]); });
        }
    });
}

void adam(bench::adam_state& s) {
    auto [size, spread] = s.next();
    const float* x = s.gradient.data();
    float *p = s.p.data(), *m = s.m.data(), *v = s.v.data();
    bench::loop(s.p.size(), [=](std::int64_t i) {
        m[i] = 0.9f * m[i] + 0.1f * x[i];
        v[i] = 0.999f * v[i] + 0.001f * x[i] * x[i];
        p[i] -= size * m[i] / (std::sqrt(v[i]) * spread + 1e-8f);
    });
}

}  // namespace

int main() {
    return bench::serve(
        {{"affine", formula([](float x, float z) { return 1.5f * x - 0.5f * z + 0.25f; })},
         {"tanh", formula([](float x) { return std::tanh(1.5f * x - 0.5f); })},
         {"gelu", formula([](float x) {
              return 0.5f * x * (1 + std::tanh(0.7978845608f * (x + 0.044715f * x * x * x)));
          })},
         {"wave", formula([](float x, float z) {
              return std::sqrt(x * x + z * z) * std::exp(-x * x) + z;
          })},
         {"adam", bench::adam_task(adam)}});
}
