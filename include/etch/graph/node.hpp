// SPDX-License-Identifier: MIT
// The plain records that a graph is made of. Everything of variable length lies in pools of the graph.
#pragma once
#include <cstddef>
#include <cstdint>

#include <etch/graph/dtype.hpp>
#include <etch/graph/extent.hpp>

namespace etch {

inline constexpr int max_rank = 8;

/// dtype and shape of a value.
struct type {
    dtype element = dtype::float32;
    int rank = 0;
    fixed_list<extent, max_rank> extents{};

    constexpr bool operator==(const type& other) const {
        return element == other.element && same_shape(other);
    }
    constexpr extent operator[](int axis) const { return extents.elements[axis]; }
    constexpr extent& operator[](int axis) { return extents.elements[axis]; }
    constexpr void push(extent e) { extents.elements[rank++] = e; }
    constexpr bool same_shape(const type& other) const {
        if (rank != other.rank) return false;
        for (int i = 0; i < rank; ++i)
            if (extents.elements[i].code != other.extents.elements[i].code) return false;
        return true;
    }
};

/// Index of a row of the op table (ops/table.hpp).
using op_id = std::uint16_t;

/// first and count in one of the graph's pools.
struct range_of {
    int first = 0;
    int count = 0;
};

/// One application of an op. Operands are values; attributes are 64-bit words whose meaning the op's row knows.
struct node {
    op_id op = 0;
    range_of operands, attributes, results;
    int file = 0, line = 0;  // the user's line that made it
    int loop = -1;           // the scan whose body this node depends on, -1 outside of all
};

/// One result of a node.
struct value {
    int node = -1;
    int type = 0;  // index into the graph's types
};

constexpr std::uint64_t mix(std::uint64_t hash, std::uint64_t word) {
    hash ^= word + 0x9e3779b97f4a7c15ULL + (hash << 6) + (hash >> 2);
    return hash * 0xbf58476d1ce4e5b9ULL;
}

}  // namespace etch
