// SPDX-License-Identifier: MIT
// The case `elementwise` as expressions of xtensor.
#include "xtensor.hpp"

#include "../adam.hpp"

namespace {

using bench::adapted;

/// y = f(x, z), or f(x).
template <class F> auto formula(F f) {
    return bench::pure(bench::like_first, [f](bench::job& j) {
        auto x = adapted<1>(j.in[0]), y = adapted<1>(j.out[0]);
        if constexpr (std::is_invocable_v<F, decltype(x)&>)
            xt::noalias(y) = f(x);
        else {
            auto z = adapted<1>(j.in[1]);
            xt::noalias(y) = f(x, z);
        }
    });
}

void adam(bench::adam_state& s) {
    auto [size, spread] = s.next();
    auto x = adapted<1>(s.gradient), p = adapted<1>(s.p), m = adapted<1>(s.m), v = adapted<1>(s.v);
    xt::noalias(m) = 0.9f * m + 0.1f * x;
    xt::noalias(v) = 0.999f * v + 0.001f * x * x;
    xt::noalias(p) = p - size * m / (xt::sqrt(v) * spread + 1e-8f);
}

}  // namespace

int main() {
    return bench::serve(
        {{"affine", formula([](auto& x, auto& z) { return 1.5f * x - 0.5f * z + 0.25f; })},
         {"tanh", formula([](auto& x) { return xt::tanh(1.5f * x - 0.5f); })},
         {"gelu", formula([](auto& x) {
              return 0.5f * x * (1.f + xt::tanh(0.7978845608f * (x + 0.044715f * x * x * x)));
          })},
         {"wave", formula([](auto& x, auto& z) {
              return xt::sqrt(x * x + z * z) * xt::exp(-(x * x)) + z;
          })},
         {"adam", bench::adam_task(adam)}});
}
