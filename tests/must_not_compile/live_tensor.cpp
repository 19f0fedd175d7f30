// SPDX-License-Identifier: MIT
// expect: write etch::array<float, 2>(x)
#include <etch/run/array.hpp>

void assign(etch::array<float, 1>& y, const etch::array<float, 1>& x, const etch::tensor& b) {
#ifdef TWIN
    y = x + etch::array<float, 1>(b);
#else
    y = x + b;
#endif
}
