// SPDX-License-Identifier: MIT
// How the axes of a value follow the axes of an iteration space: the form in which views disappear into kernels.
#pragma once
#include <etch/ops/table.hpp>

namespace etch {

/// index along one axis of a value = offset + step * index along `axis` of the space.
struct axis_source {
    static constexpr int fixed = -1;    // the offset alone
    static constexpr int dynamic = -2;  // a gather's index takes the axis' place
    int axis = fixed;
    std::int64_t step = 1;
    extent offset{};
    constexpr bool operator==(const axis_source&) const = default;
};
struct index_map {
    fixed_list<axis_source, max_rank> at;
    // Each written out: after some constant evaluations g++ 12 takes `at{}` for steps of 0, at run time as well.
    constexpr index_map() {
        for (auto& source : at) source = {axis_source::fixed, 1, {}};
    }
    constexpr axis_source& operator[](int i) { return at[static_cast<std::size_t>(i)]; }
    constexpr const axis_source& operator[](int i) const { return at[static_cast<std::size_t>(i)]; }
    constexpr bool operator==(const index_map&) const = default;
    static constexpr index_map identity(int rank) {
        index_map m;
        for (int i = 0; i < rank; ++i) m[i].axis = i;
        return m;
    }
};

namespace detail {
constexpr std::size_t at_index(int i) { return static_cast<std::size_t>(i); }

/// offset * factor, where the factor may be negative.
constexpr extent scale(graph& g, extent e, std::int64_t factor) {
    if (factor == 1) return e;
    return g.intern(g.polynomial_of(e) * polynomial::of_number(factor));
}

/// The map of a view's operand, given the map of its result.
constexpr index_map descend(graph& g, const node& n, const index_map& result) {
    auto a = g.attributes(n);
    const type& from = g.type_of(g.operands(n)[0]);
    index_map m;
    if (n.op == op_of<transpose_row>()) {
        for (int i = 0; i < from.rank; ++i) m[static_cast<int>(a[i])] = result[i];
    } else if (n.op == op_of<expand_dims_row>()) {
        std::size_t next = 0;
        int to = 0;
        for (int i = 0; i < from.rank + static_cast<int>(a.size()); ++i)
            if (next < a.size() && a[next] == i)
                ++next;
            else
                m[to++] = result[i];
    } else if (n.op == op_of<squeeze_row>()) {
        std::size_t next = 0;
        int source = 0;
        for (int i = 0; i < from.rank; ++i)
            if (next < a.size() && a[next] == i)
                ++next;
            else
                m[i] = result[source++];
    } else if (n.op == op_of<broadcast_to_row>()) {
        for (int i = 0; i < from.rank; ++i)
            if (from[i].code == a[i]) m[i] = result[i];
    } else {  // slice
        for (int i = 0; i < from.rank; ++i) {
            std::int64_t step = a[3 * i + 1];
            m[i] = result[i];
            m[i].step *= step;
            extent start{a[3 * i]};
            extent moved = scale(g, result[i].offset, step);
            m[i].offset = start.code == 0 ? moved : moved.code == 0 ? start : g.add(start, moved);
        }
    }
    return m;
}

}  // namespace detail
}  // namespace etch
