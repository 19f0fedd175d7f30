// SPDX-License-Identifier: MIT
// expect: map: a formula over arrays keeps nothing between calls: parameters and random numbers are for etch::function
#include <etch/run/array.hpp>

void assign(etch::array<float, 2>& y, const etch::array<float, 2>& x) {
    y = etch::map<[](auto u) {
#ifdef TWIN
        return u * 2;
#else
        return u * etch::uniform(*u.g, {u.size(0), u.size(1)}, 0, 1);
#endif
    }>(x);
}
