// SPDX-License-Identifier: MIT
// Values that a kernel keeps from one pass over a row to the next: those whose computing costs more than memory that is
// still in the first caches, exp for example. What only they need is then left out of the later passes.
#pragma once
#include <array>
#include <bit>
#include <cstddef>
#include <new>
#include <span>

#include <etch/ops/table.hpp>
#include <etch/passes/stages.hpp>

namespace etch::cpu::detail {

/// For each of `count` instructions: the passes that compute it or read it back, and where it is kept.
template <int count> struct kept_values {
    std::array<std::uint16_t, static_cast<std::size_t>(count)> passes{};
    std::array<std::int16_t, static_cast<std::size_t>(count)> place{};  // -1: computed in each pass
    int kept = 0;

    constexpr bool computes(int i, int pass) const { return passes[at(i)] >> pass & 1; }
    constexpr bool keeps(int i, int pass) const {
        return place[at(i)] >= 0 && std::countr_zero(passes[at(i)]) == pass;
    }
    constexpr bool restores(int i, int pass) const {
        return place[at(i)] >= 0 && std::countr_zero(passes[at(i)]) < pass;
    }
    static constexpr std::size_t at(int i) { return static_cast<std::size_t>(i); }
};

template <int count> constexpr kept_values<count> values_kept(std::span<const instruction> lines) {
    constexpr int dear = 10;
    kept_values<count> k;
    for (int i = 0; i < count; ++i) {
        const instruction& l = lines[k.at(i)];
        bool point = etch::detail::over(l) == level::point;
        bool wanted = point && l.what == code::compute && std::popcount(l.passes) > 1 &&
                      row_of(l.op).cost >= dear;
        k.place[k.at(i)] = static_cast<std::int16_t>(wanted ? k.kept++ : -1);
    }
    for (int pass = 0; pass < 16; ++pass)
        for (int i = count; i-- > 0;) {
            const instruction& l = lines[k.at(i)];
            if (!etch::detail::in_pass(l, pass)) continue;
            bool effect =
                l.what == code::reduce || l.what == code::store || l.what == code::store_add;
            // Without anything that is kept, the passes are those that the body names.
            if (effect || k.kept == 0) k.passes[k.at(i)] |= static_cast<std::uint16_t>(1 << pass);
            if (!k.computes(i, pass)) continue;
            bool earlier = k.place[k.at(i)] >= 0 && std::countr_zero(l.passes) < pass;
            if (earlier) continue;
            for (int o : l.operands)
                if (o >= 0 && etch::detail::in_pass(lines[k.at(o)], pass))
                    k.passes[k.at(o)] |= static_cast<std::uint16_t>(1 << pass);
        }
    return k;
}

/// Memory of the calling thread, aligned to 64 bytes; it grows and is kept. What runs on the thread next may write over
/// it.
inline std::byte* thread_memory(std::size_t bytes) {
    struct memory {
        std::byte* data = nullptr;
        std::size_t size = 0;
        ~memory() { release(); }
        void release() {
            if (data) ::operator delete (data, std::align_val_t{64});
        }
    };
    thread_local memory m;
    if (m.size < bytes) {
        m.release();
        m.data = nullptr;
        m.size = 0;
        m.data = static_cast<std::byte*>(::operator new (bytes, std::align_val_t{64}));
        m.size = bytes;
    }
    return m.data;
}

}  // namespace etch::cpu::detail
