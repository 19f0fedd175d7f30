// SPDX-License-Identifier: MIT
// expect: add: float32 and float64 do not mix: write cast<double>(x) or cast<float>(x)
#include <etch/run/array.hpp>

#ifdef TWIN
using element = double;
#else
using element = float;
#endif
void assign(etch::array<double, 1>& y, const etch::array<double, 1>& x,
            const etch::array<element, 1>& b) {
    y = tanh(2 * x + b);
}
