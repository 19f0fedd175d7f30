// SPDX-License-Identifier: MIT
// Offsets in the arena: known where all extents are, in a constant or when a call brings new dims.
#pragma once
#include <algorithm>

#include <etch/passes/program.hpp>

namespace etch {

/// Offsets in bytes of the arena's storages for given dims (others have -1), and the bytes in all. Larger ones are
/// placed first, each at the lowest offset that is free while it lives.
struct layout {
    flat_list<std::int64_t> offsets;
    std::int64_t bytes = 0;
};
constexpr layout arena_layout(const program_view& p, flat_view<const std::int64_t> dims) {
    constexpr std::int64_t alignment = 64;
    struct piece {
        int storage;
        std::int64_t bytes, offset;
    };
    flat_list<piece> pieces;
    layout result;
    for (std::size_t i = 0; i < p.storages.size(); ++i) {
        const storage& s = p.storages[i];
        result.offsets.push_back(-1);
        if (s.where != place::arena || s.alias >= 0 || s.first < 0) continue;
        std::int64_t bytes = p.value_of(s.size, dims) * row_of(s.element).bytes;
        pieces.push_back({static_cast<int>(i), (bytes + alignment - 1) / alignment * alignment, 0});
    }
    std::sort(pieces.begin(), pieces.end(), [](const piece& a, const piece& b) {
        return a.bytes != b.bytes ? a.bytes > b.bytes : a.storage < b.storage;
    });
    flat_list<piece> near;
    for (std::size_t i = 0; i < pieces.size(); ++i) {
        const storage& s = p.storages[pieces[i].storage];
        near.clear();
        for (std::size_t j = 0; j < i; ++j) {
            const storage& t = p.storages[pieces[j].storage];
            if (s.first <= t.last && t.first <= s.last) near.push_back(pieces[j]);
        }
        std::sort(near.begin(), near.end(),
                  [](const piece& a, const piece& b) { return a.offset < b.offset; });
        std::int64_t at = 0;
        for (const auto& n : near) {
            if (at + pieces[i].bytes <= n.offset) break;
            at = std::max(at, n.offset + n.bytes);
        }
        pieces[i].offset = at;
        result.offsets[pieces[i].storage] = at;
        result.bytes = std::max(result.bytes, at + pieces[i].bytes);
    }
    return result;
}

}  // namespace etch
