// SPDX-License-Identifier: MIT
// expect: assign: the formula gives float32 with 2 axes, the array has float32 with 1 axis
#include <etch/run/array.hpp>

void assign(etch::array<float, 1>& y, const etch::array<float, 2>& x) {
#ifdef TWIN
    y = sum(exp(x), etch::along<0>);
#else
    y = exp(x);
#endif
}
