// SPDX-License-Identifier: MIT
// expect: etch has no dtype for this C++ type: use double, float, bool, std::int32_t or std::int64_t
#include <etch/language.hpp>

inline constexpr auto model = [](etch::graph& g) {
#ifdef TWIN
    auto a = g.input<int>("a", {3});
#else
    auto a = g.input<unsigned>("a", {3});
#endif
    g.output("y", a + 1);
};
static_assert(etch::is_correct<model>);
