// SPDX-License-Identifier: MIT
// expect: update: parameter w is updated twice (update_twice.cpp:12)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto w = g.param<float>("w", {3}, etch::nn::zeros{});
    auto v = g.param<float>("v", {3}, etch::nn::zeros{});
    g.update(w, w + 1);
#ifdef TWIN
    g.update(v, w + 2);
#else
    g.update(w, w + 2);
#endif
};
static_assert(etch::is_correct<model>);
