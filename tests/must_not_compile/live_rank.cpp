// SPDX-License-Identifier: MIT
// expect: sum: axis 2 of a tensor of rank 2
#include <etch/run/array.hpp>

#ifdef TWIN
constexpr int axis = 1;
#else
constexpr int axis = 2;
#endif
void assign(etch::array<float, 1>& y, const etch::array<float, 2>& x) {
    y = sum(exp(x), etch::along<axis>);
}
