// SPDX-License-Identifier: MIT
// expect: etch: the axes of a formula over arrays are part of its type: write sum(x, etch::along<0>)
#include <etch/run/array.hpp>

void assign(etch::array<float, 1>& y, const etch::array<float, 2>& x) {
#ifdef TWIN
    y = sum(x, etch::along<0>);
#else
    y = sum(x, 0);
#endif
}
