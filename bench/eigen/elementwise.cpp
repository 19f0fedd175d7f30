// SPDX-License-Identifier: MIT
// The case `elementwise` as array expressions of Eigen.
#include "eigen.hpp"

#include "../adam.hpp"

namespace {

using bench::flat;

/// y = f(x, z), or f(x).
template <class F> auto formula(F f) {
    return bench::pure(bench::like_first, [f](bench::job& j) {
        bench::vector x = flat(j.in[0]), y = flat(j.out[0]);
        if constexpr (std::is_invocable_v<F, bench::vector&>)
            y = f(x);
        else {
            bench::vector z = flat(j.in[1]);
            y = f(x, z);
        }
    });
}

void adam(bench::adam_state& s) {
    auto [size, spread] = s.next();
    bench::vector x = flat(s.gradient), p = flat(s.p), m = flat(s.m), v = flat(s.v);
    m = 0.9f * m + 0.1f * x;
    v = 0.999f * v + 0.001f * x.square();
    p -= size * m / (v.sqrt() * spread + 1e-8f);
}

}  // namespace

int main() {
    return bench::serve(
        {{"affine", formula([](auto& x, auto& z) { return 1.5f * x - 0.5f * z + 0.25f; })},
         {"tanh", formula([](auto& x) { return (1.5f * x - 0.5f).tanh(); })},
         {"gelu", formula([](auto& x) {
              return 0.5f * x * (1 + (0.7978845608f * (x + 0.044715f * x.cube())).tanh());
          })},
         {"wave", formula([](auto& x, auto& z) {
              return (x.square() + z.square()).sqrt() * (-x.square()).exp() + z;
          })},
         {"adam", bench::adam_task(adam)}});
}
