// SPDX-License-Identifier: MIT
// KERNELS different kernels of twelve operations each: each has an extent of its own, so that none joins another.
#include <etch.hpp>

struct many {
    constexpr void operator()(etch::graph& g) const {
        for (int i = 0; i < KERNELS; ++i) {
            auto x = g.input<float>(etch::name("x", i), {i + 2}), y = x;
            for (int k = 0; k < 12; ++k) {
                switch ((static_cast<unsigned>(i + 1) * 2654435761u >> (2 * k + 4)) % 4) {
                case 0: y = x + y; break;
                case 1: y = x * y; break;
                case 2: y = maximum(x, y); break;
                default: y = x - 0.5 * y; ++k;
                }
            }
            g.output(etch::name("y", i), y + i);
        }
    }
};

static_assert(etch::plan<many{}>.distinct_kernels() == KERNELS);
template class etch::function<many{}>;
