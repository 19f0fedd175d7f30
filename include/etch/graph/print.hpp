// SPDX-License-Identifier: MIT
// Types as people write them: float32 {N, 784}.
#pragma once
#include <etch/graph/graph.hpp>

namespace etch {

constexpr void print(text& t, const graph& g, extent e) {
    if (e.is_static()) {
        t << e.code;
        return;
    }
    const polynomial& p = g.polynomials[static_cast<std::size_t>(e.polynomial())];
    if (p.count == 0) t << 0;
    for (int i = 0; i < p.count; ++i) {
        auto [coefficient, powers] = p.terms[static_cast<std::size_t>(i)];
        if (i > 0)
            t << (coefficient < 0 ? " - " : " + ");
        else if (coefficient < 0)
            t << '-';
        auto size = coefficient < 0 ? -coefficient : coefficient;
        bool first = size == 1 && powers != 0;
        if (!first) t << size;
        for (std::size_t d = 0; powers != 0; ++d, powers >>= 4)
            for (auto n = powers & 15; n > 0; --n) {
                if (!first) t << '*';
                first = false;
                t << g.name(g.dims[d]);
            }
    }
}

/// {N, 784}
constexpr text shape_text(const graph& g, const type& t) {
    text s;
    s << '{';
    for (int i = 0; i < t.rank; ++i) {
        if (i > 0) s << ", ";
        print(s, g, t[i]);
    }
    s << '}';
    return s;
}
constexpr text extent_text(const graph& g, extent e) {
    text s;
    print(s, g, e);
    return s;
}
constexpr std::string_view name_of(dtype d) { return row_of(d).name; }

constexpr text& operator<<(text& t, const text& other) { return t << other.view(); }
constexpr text& operator<<(text&& t, const text& other) { return t << other.view(); }

}  // namespace etch
