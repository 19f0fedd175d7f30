// SPDX-License-Identifier: MIT
// expect: grad: takes a floating scalar, not float32 {3}: write grad(sum(y), x) (grad_of_tensor.cpp:12)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto a = g.input<float>("a", {3});
#ifdef TWIN
    auto y = sum(a * a);
#else
    auto y = a * a;
#endif
    g.output("d", grad(y, a));
};
static_assert(etch::is_correct<model>);
