// SPDX-License-Identifier: MIT
// How a kernel body is walked: which pass over a row computes what, in which order the axes are nested, what is
// contiguous. With this a body is complete; equal bodies are found here and are one.
#pragma once
#include <etch/passes/lower.hpp>

namespace etch::detail {

constexpr void body_builder::choose_passes(body& b) {
    auto over = [&](const instruction& i) {
        return i.what == code::reduce ? static_cast<level>(i.word) : i.at;
    };
    for (auto k = code_.size(); k-- > 0;) {
        instruction& i = code_[k];
        unsigned wanted = i.passes;
        if ((i.what == code::reduce || i.what == code::store || i.what == code::store_add) &&
            over(i) == level::point) {
            unsigned pass = 0;
            for (int o : i.operands)
                if (o >= 0) pass = std::max<unsigned>(pass, code_[o].pass);
            wanted = 1u << pass;
            if (i.what == code::reduce && i.at == level::uniform)
                i.pass = static_cast<std::uint8_t>(pass);
            if (i.what != code::reduce) i.pass = static_cast<std::uint8_t>(pass);
            i.passes = static_cast<std::uint16_t>(wanted);
            b.passes = std::max(b.passes, static_cast<int>(pass) + 1);
        }
        if (over(i) != level::point) continue;
        for (int o : i.operands)
            if (o >= 0 && code_[o].at == level::point)
                code_[o].passes = static_cast<std::uint16_t>(code_[o].passes | wanted);
    }
}

/// Whether a pack whose elements lie so far apart is read as the packs that it is spread over.
constexpr bool is_even(extent stride) {
    return stride.is_static() && stride.code > 1 && stride.code <= most_even_stride;
}

constexpr void body_builder::order_axes(body& b, part& p) {
    flat_list<int> outer, inner;
    for (int a = 0; a < space_.rank; ++a) {
        if (space_[a].code == 1) continue;
        (rows >> a & 1 ? inner : outer).push_back(a);
    }
    auto stride = [&](const slot& s, int axis) { return s.strides[axis]; };
    if (!inner.empty()) {
        b.kind = body_kind::rows;
        int along = 0, across = 0;  // accesses that lie side by side, less those with gaps
        auto side_by_side = [&](const instruction& k, int axis) {
            extent n = stride(slots[at(k.slot)], axis);
            if (n.code == 0 || n.code == 1) return static_cast<int>(n.code);
            return k.what == code::load && is_even(n) ? 0 : -1;
        };
        for (const auto& i : code_) {
            if (i.slot < 0 || i.at != level::point ||
                (i.what != code::load && i.what != code::store))
                continue;
            along += side_by_side(i, inner.back());
            if (!outer.empty()) across += side_by_side(i, outer.back());
        }
        // Of a row that fills few lanes, each lane rather has a row of its own: what follows the sum is packs then, too.
        constexpr std::int64_t short_row = 3;
        std::int64_t length = 1;
        for (int a : inner)
            length = space_[a].is_static() && length <= short_row ? length * space_[a].code
                                                                  : short_row + 1;
        if (!outer.empty() && (across > along || length <= short_row)) b.kind = body_kind::columns;
    }
    // Neighbouring axes over which every buffer is walked evenly are one axis.
    flat_list<extent> sizes(max_rank, extent{});
    for (int a = 0; a < space_.rank; ++a) sizes[a] = space_[a];
    auto join = [&](flat_list<int>& group) {
        for (std::size_t k = group.size(); k-- > 1;) {
            int a = group[k - 1], c = group[k];
            bool even = true;
            for (const auto& s : slots)
                even = even && stride(s, a) == g.multiply(stride(s, c), sizes[c]);
            if (!even) continue;
            sizes[c] = g.multiply(sizes[a], sizes[c]);
            group.erase(group.begin() + static_cast<std::ptrdiff_t>(k - 1));
        }
    };
    join(outer);
    join(inner);
    b.outer = static_cast<int>(outer.size());
    b.inner = static_cast<int>(inner.size());
    flat_list<int> all(outer);
    all.append(inner);
    for (std::size_t k = 0; k < all.size(); ++k) p.extents[k] = sizes[all[k]];
    for (auto& s : slots) {
        slot moved = s;
        moved.strides = {};
        for (std::size_t k = 0; k < all.size(); ++k) moved.strides[k] = stride(s, all[k]);
        s = moved;
    }
    int vector_axis = b.kind == body_kind::columns ? b.outer - 1 : b.outer + b.inner - 1;
    for (auto& i : code_) {
        if (i.slot < 0) continue;
        extent along = vector_axis < 0 ? extent{} : slots[i.slot].strides[vector_axis];
        bool known = along.code == 0 || along.code == 1 || is_even(along);
        i.stride = known ? static_cast<std::int8_t>(along.code) : any_stride;
    }
}

constexpr int body_builder::finish(program& out) {
    body b;
    part p;
    choose_passes(b);
    order_axes(b, p);
    b.sequential = sequential;
    b.slots = static_cast<int>(slots.size());
    b.instructions = {static_cast<int>(out.instructions.size()), static_cast<int>(code_.size())};
    p.body = -1;
    for (std::size_t k = 0; k < out.bodies.size() && p.body < 0; ++k) {
        if (!out.bodies[k].same_shape(b)) continue;
        bool same = true;
        for (std::size_t i = 0; i < code_.size() && same; ++i)
            same = out.instructions[at(out.bodies[k].instructions.first) + i] == code_[i];
        if (same) p.body = static_cast<int>(k);
    }
    if (p.body < 0) {
        p.body = static_cast<int>(out.bodies.size());
        out.instructions.append(code_);
        out.bodies.push_back(b);
    }
    p.slots = {static_cast<int>(out.slots.size()), b.slots};
    out.slots.append(slots);
    p.first_line = static_cast<int>(out.lines.size());
    out.lines.append(lines);
    out.parts.push_back(p);
    return static_cast<int>(out.parts.size()) - 1;
}

}  // namespace etch::detail
