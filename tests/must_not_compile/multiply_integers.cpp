// SPDX-License-Identifier: MIT
// expect: multiply: int32 and int64 do not mix: write cast<std::int64_t>(x) or cast<std::int32_t>(x) (multiply_integers.cpp:12)
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
    auto a = g.input<std::int32_t>("a", {3});
#ifdef TWIN
    auto b = g.input<std::int32_t>("b", {3});
#else
    auto b = g.input<std::int64_t>("b", {3});
#endif
    g.output("y", a * b);
};
static_assert(etch::is_correct<model>);
