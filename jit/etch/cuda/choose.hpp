// SPDX-License-Identifier: MIT
// Which variant of a kernel's text runs a part of given extents, and on how many blocks. The figures here are estimates
// for devices of the years 2020 to 2025; results are correct whatever is chosen.
#pragma once
#include <algorithm>
#include <bit>
#include <cstdlib>

#include <etch/cuda/emit_body.hpp>

namespace etch::cuda {

/// A part whose extents and strides are known.
struct sized_part {
    const program_view& p;
    const part& q;
    const body& b;
    std::span<const instruction> lines;
    std::span<const std::int64_t> dims;
    std::int64_t extents[max_rank]{};

    sized_part(const program_view& program, int index, std::span<const std::int64_t> values)
        : p(program),
          q(program.parts[static_cast<std::size_t>(index)]),
          b(program.bodies[static_cast<std::size_t>(q.body)]),
          lines(program.code_of(b)),
          dims(values) {
        for (int a = 0; a < axes(); ++a) extents[a] = number(q.extents[at(a)]);
    }
    static std::size_t at(int i) { return static_cast<std::size_t>(i); }
    int axes() const { return b.outer + b.inner; }
    std::int64_t number(extent e) const { return p.value_of(e, dims); }
    const slot& slot_of(int s) const { return p.slots[at(q.slots.first + s)]; }
    std::int64_t stride(int s, int axis) const { return number(slot_of(s).strides[at(axis)]); }
    std::int64_t product(int first, int last) const {
        std::int64_t n = 1;
        for (int a = first; a < last; ++a) n *= extents[a];
        return n;
    }
    bool has_end() const { return body_emitter::has_end(b, lines); }
    bool writes_state() const {
        for (const auto& i : lines)
            if ((i.what == code::store || i.what == code::store_add) &&
                p.storages[at(p.root(slot_of(i.slot).storage))].where == place::state)
                return true;
        return false;
    }
    /// Whether `count` neighbours along the vectorised axis lie together and aligned, wherever the point. All storages
    /// begin at multiples of 16 bytes but for slices, which begin at multiples of their size.
    bool aligned(int count) const {
        int last = axes() - 1;
        if (last < 0 || (axes() > 1 && extents[last] % count != 0)) return false;
        for (const auto& i : lines) {
            if (i.slot < 0 || i.at != level::point || i.stride != 1 || !has_storage(i)) continue;
            const slot& s = slot_of(i.slot);
            if (number(s.offset) % count != 0) return false;
            const storage& k = p.storages[at(p.root(s.storage))];
            if (k.where == place::slice && number(k.size) % count != 0) return false;
            for (int a = 0; a < last; ++a)
                if (extents[a] > 1 && stride(i.slot, a) % count != 0) return false;
            if (i.what == code::gather) return false;
        }
        return true;
    }
    /// Whether indices need 64 bits.
    bool wide() const {
        constexpr std::int64_t limit = std::int64_t{1} << 30;  // grids step beyond the last point
        if (product(0, axes()) >= limit) return true;
        for (const auto& i : lines) {
            if (i.slot < 0 || !has_storage(i)) continue;
            std::int64_t reach =
                std::abs(number(slot_of(i.slot).step) * number(slot_of(i.slot).bound));
            for (int a = 0; a < axes(); ++a) reach += std::abs(stride(i.slot, a)) * extents[a];
            if (reach >= limit) return true;
        }
        return false;
    }
};

namespace detail {

inline std::uint16_t power_of_two(std::int64_t n, std::int64_t least, std::int64_t most) {
    auto up = std::bit_ceil(static_cast<std::uint64_t>(std::max<std::int64_t>(n, 1)));
    return static_cast<std::uint16_t>(
        std::clamp<std::int64_t>(static_cast<std::int64_t>(up), least, most));
}

/// Registers for what a thread keeps of a row, for each pack of one element.
inline int kept_registers(const sized_part& s) {
    variant v;
    v.items = 1;
    body_emitter e(s.p, s.q, v);
    int n = 0;
    for (int i = 0; i < e.count(); ++i)
        if (e.kept(i)) n += std::max(row_of(e.line(i).element).bytes / 4, 1);
    return n;
}

/// Scatter: along which axes elements may meet, and whether blocks own the places that are added to. A thread that adds
/// all that meets in some places is alone with a long list; blocks that own places each read the whole list of indices.
inline void choose_order(const sized_part& s, bool alone, variant& v) {
    const instruction* added = nullptr;
    int stores = 0;
    for (const auto& i : s.lines) {
        if (i.what == code::store_add) added = &i;
        stores += i.what == code::store || i.what == code::store_add ? 1 : 0;
    }
    std::int64_t meeting = 1, others = 1;
    for (int a = 0; a < s.axes(); ++a)
        if (s.slot_of(added->slot).strides[sized_part::at(a)].code == 0) {
            v.ordered = static_cast<std::uint8_t>(v.ordered | 1u << a);
            meeting *= s.extents[a];
        } else {
            others *= s.extents[a];
        }
    if (alone) v.threads = 64;
    if (stores != 1 || added->at != level::point || meeting < 32) return;
    // An index is one for all elements beside each other only if it does not move with them.
    std::vector<char> needed(s.lines.size(), 0);
    needed[sized_part::at(added->operands[1])] = 1;
    for (std::size_t i = s.lines.size(); i-- > 0;) {
        if (!needed[i]) continue;
        for (int o : s.lines[i].operands)
            if (o >= 0) needed[sized_part::at(o)] = 1;
        if (s.lines[i].slot < 0 || s.lines[i].at != level::point) continue;
        for (int a = 0; a < s.axes(); ++a)
            if ((v.ordered >> a & 1) == 0 && s.extents[a] > 1 && s.stride(s.lines[i].slot, a) != 0)
                return;
    }
    const std::int64_t places = s.number(s.slot_of(added->slot).bound), threads = 256;
    if (places * std::min(others, threads) <= 2 * others ||
        places * ((meeting + threads - 1) / threads) > 4096 * meeting)
        return;
    v.owned = true;
    v.threads = static_cast<std::uint16_t>(threads);
}

/// The axis along which strided loads lie together in memory; -1 where there is none.
inline void choose_tile(const sized_part& s, variant& v) {
    int last = s.axes() - 1;
    if (last < 1 || s.has_end() || s.extents[last] < 16) return;
    for (int a = 0; a < last; ++a) {
        if (s.extents[a] < 16) continue;
        std::uint32_t slots = 0;
        int bytes = 0;
        for (const auto& i : s.lines)
            if (i.what == code::load && i.at == level::point && i.stride > 1 && i.slot < 32 &&
                s.stride(i.slot, a) == 1) {
                slots |= 1u << i.slot;
                bytes += 32 * 33 * row_of(i.element).bytes;
            }
        if (slots == 0 || bytes > 40 * 1024) continue;
        v.tile = static_cast<std::int8_t>(a);
        v.tiled = slots;
        return;
    }
}

/// Rows: a warp or less for short ones, a block for long ones; what fits stays in registers between the passes.
inline void choose_rows(const sized_part& s, const device_limits& device, bool alone, variant& v) {
    std::int64_t length = s.product(s.b.outer, s.axes()), rows = s.product(0, s.b.outer);
    if (length >= 128 && s.aligned(4)) v.vector = 4;
    std::int64_t packs = (length + v.vector - 1) / v.vector;
    int registers = kept_registers(s) * v.vector;
    auto items_for = [&](int lanes) { return (packs + lanes - 1) / lanes; };
    auto fits = [&](int lanes) {  // a thread of a block of 1,024 has 64 registers in all
        return items_for(lanes) <= 16 && items_for(lanes) * registers <= (lanes > 512 ? 36 : 64);
    };
    int warp = power_of_two(packs, 1, 32);
    bool many = rows >= device.processors || packs <= 32;
    if (fits(warp) && (items_for(warp) <= 4 || (many && items_for(warp) <= 8))) {
        v.lanes = static_cast<std::uint16_t>(warp);
        v.items = static_cast<std::uint8_t>(std::max<std::int64_t>(items_for(warp), 1));
        return;
    }
    for (int threads = alone ? 128 : 256; threads <= (alone ? 1024 : 256); threads *= 2) {
        v.threads = v.lanes = static_cast<std::uint16_t>(threads);
        if (fits(threads) && items_for(threads) <= (threads < 512 ? 4 : 16)) {
            v.items = static_cast<std::uint8_t>(items_for(threads));
            return;
        }
    }
    v.threads = v.lanes = alone ? 512 : 256;
    v.items = 0;
}

}  // namespace detail

/// `alone`: the part has a launch of its own, and with it the choice of the block's size.
inline variant choose_variant(const sized_part& s, const device_limits& device, bool alone) {
    variant v;
    v.wide = s.wide();
    if (s.b.kind == body_kind::rows) {
        detail::choose_rows(s, device, alone, v);
    } else if (s.b.kind == body_kind::columns) {
        // A sector of memory is 32 bytes: with 8 columns side by side nothing is read in vain, and there are more blocks.
        std::int64_t length = s.product(s.b.outer, s.axes()), columns = s.product(0, s.b.outer);
        v.lanes = columns >= 32 * device.processors   ? 32
                  : columns >= 16 * device.processors ? 16
                                                      : 8;
        if (alone) v.threads = detail::power_of_two(length * v.lanes / 8, 64, 1024);
    } else if (s.b.sequential) {
        detail::choose_order(s, alone, v);
    } else if (s.axes() > 0) {
        detail::choose_tile(s, v);
        std::int64_t points = s.product(0, s.axes());
        if (v.tile < 0 && points >= 512 * device.processors && s.aligned(4)) v.vector = 4;
    }
    return v;
}

/// Blocks of a part. Few where partial results of blocks are joined in the end.
inline std::int64_t choose_blocks(const sized_part& s, const variant& v,
                                  const device_limits& device) {
    auto ceiling = [](std::int64_t a, std::int64_t b) { return (a + b - 1) / b; };
    std::int64_t units = 0, resident = std::max(2048 / v.threads, 1);
    bool scalars = etch::detail::scalar_reductions(s.lines) > 0;
    if (s.axes() > 0 && s.b.kind == body_kind::rows) {
        units = ceiling(s.product(0, s.b.outer), v.lanes > 32 ? 1 : v.threads / v.lanes);
    } else if (s.axes() > 0 && s.b.kind == body_kind::columns) {
        units = s.product(0, s.b.outer - 1) * ceiling(s.extents[s.b.outer - 1], v.lanes);
    } else if (s.axes() > 0 && s.b.sequential) {
        std::int64_t free = 1;
        for (int a = 0; a < s.axes(); ++a)
            if ((v.ordered >> a & 1) == 0) free *= s.extents[a];
        units = ceiling(free, v.threads);
        for (const auto& i : s.lines)
            if (i.what == code::store_add && v.owned) units = s.number(s.slot_of(i.slot).bound);
    } else if (s.axes() > 0 && v.tile >= 0) {
        units = s.product(0, s.axes()) == 0 ? 0 : 1;
        for (int a = 0; a < s.axes(); ++a)
            units *= a == v.tile || a == s.axes() - 1 ? ceiling(s.extents[a], 32) : s.extents[a];
    } else if (s.axes() > 0) {
        units = ceiling(ceiling(s.product(0, s.axes()), v.vector), v.threads);
    }
    std::int64_t most = device.processors * resident * (scalars ? 1 : 4);
    return std::clamp<std::int64_t>(units, s.has_end() ? 1 : 0, most);
}

}  // namespace etch::cuda
