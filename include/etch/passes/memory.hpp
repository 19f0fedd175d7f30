// SPDX-License-Identifier: MIT
// Where values lie. Before: a program in which every stored value has a storage of its own. After: elementwise results
// lie where an operand that nobody needs any more lay, updates are written where the parameter lies, products have the
// kernel that follows them as their epilogue, and each storage knows from which step to which it lives. Offsets in the
// arena depend on the dims: `arena_layout` chooses them, in a constant or when a call brings new dims.
#pragma once
#include <algorithm>

#include <etch/passes/program.hpp>

namespace etch {

struct memory_options {
    bool in_place = true;  // false: parameters change only when the whole call has succeeded (nan_guard)
};

namespace detail {

class memory_planner {
public:
    constexpr memory_planner(program& p, memory_options o) : out(p), options(o) {}

    constexpr void run() {
        epilogues();
        times();
        updates_in_place();
        times();
        reuse();
        times();
    }

private:
    program& out;
    memory_options options;
    int clock = 0;

    constexpr int root(int s) const {
        while (out.storages[at(s)].alias >= 0) s = out.storages[at(s)].alias;
        return s;
    }
    constexpr range_of all_steps() const { return {out.top[0], out.top[1]}; }

    // ---- what a step reads and writes -------------------------------------------------------------------------
    template <class F> constexpr void part_storages(const part& p, F f) const {
        const body& b = out.bodies[at(p.body)];
        for (int i = 0; i < b.instructions.count; ++i) {
            const instruction& k = out.instructions[at(b.instructions.first + i)];
            if (k.slot < 0) continue;
            const slot& s = out.slots[at(p.slots.first + k.slot)];
            if (s.storage >= 0) f(s.storage, k.what == code::store || k.what == code::store_add);
        }
    }
    template <class F> constexpr void step_storages(const step& s, F f) const {
        for (int i = 0; i < s.parts.count; ++i) part_storages(out.parts[at(s.parts.first + i)], f);
        if (s.kind == step_kind::gemm) {
            const matrix_product& m = out.gemms[at(s.index)];
            f(m.a, false);
            f(m.b, false);
            f(m.c, true);
            if (m.epilogue >= 0) part_storages(out.parts[at(m.epilogue)], f);
        } else if (s.kind == step_kind::copy) {
            f(out.copies[at(s.index)].from, false);
            f(out.copies[at(s.index)].to, true);
        }
    }

    // ---- lifetimes ----------------------------------------------------------------------------------------------
    constexpr void touch(int s, int first, int last) {
        if (out.storages[at(s)].where == place::slice) touch(out.storages[at(s)].index, first, last);
        storage& k = out.storages[at(root(s))];
        k.first = k.first < 0 ? first : std::min(k.first, first);
        k.last = std::max(k.last, last);
    }
    constexpr void times() {
        for (auto& s : out.storages) s.first = s.last = -1;
        clock = 0;
        walk(all_steps(), -1);
    }
    constexpr void walk(range_of r, int) {
        for (int i = 0; i < r.count; ++i) {
            const step s = out.steps[at(r.first + i)];
            int now = clock++;
            if (s.kind != step_kind::loop) {
                step_storages(s, [&](int k, bool) { touch(k, now, now); });
                continue;
            }
            const loop l = out.loops[at(s.index)];
            std::vector<int> first_before, last_before;
            for (const auto& k : out.storages) {
                first_before.push_back(k.first);
                last_before.push_back(k.last);
            }
            walk(l.body, now);
            int end = clock++;
            // What was there before, or is needed afterwards, must survive all rounds. A storage is private to one
            // round only if no round reads what the one before wrote: it is written first, and nothing outside knows it.
            for (std::size_t k = 0; k < out.storages.size(); ++k) {
                storage& t = out.storages[k];
                bool touched = t.last > now && t.last <= end && t.last != last_before[k];
                if (!touched) continue;
                if (first_before[k] >= 0 || used_outside(static_cast<int>(k), l.body)) {
                    t.first = first_before[k] >= 0 ? first_before[k] : now;
                    t.last = end;
                }
            }
        }
    }
    constexpr bool used_outside(int s, range_of body) const {
        for (std::size_t i = 0; i < out.steps.size(); ++i) {
            if (static_cast<int>(i) >= body.first && static_cast<int>(i) < body.first + body.count) continue;
            bool found = false;
            step_storages(out.steps[i], [&](int k, bool) {
                if (root(k) == s) found = true;
                if (out.storages[at(k)].where == place::slice && root(out.storages[at(k)].index) == s) found = true;
            });
            if (found) return true;
        }
        for (const auto& o : out.outputs)
            if (root(o.storage) == s) return true;
        return false;
    }

    // ---- epilogues ----------------------------------------------------------------------------------------------
    /// A kernel that does nothing but go on with one product's result, point by point, becomes that product's epilogue.
    constexpr void epilogues() {
        std::vector<int> readers(out.storages.size(), 0);
        for (const auto& s : out.steps)
            step_storages(s, [&](int k, bool writes) { readers[at(k)] += writes ? 0 : 1; });
        for (const auto& o : out.outputs) ++readers[at(o.storage)];
        for (std::size_t i = 0; i < out.steps.size(); ++i) {
            if (out.steps[i].kind != step_kind::gemm) continue;
            matrix_product& m = out.gemms[at(out.steps[i].index)];
            if (out.storages[at(m.c)].where != place::arena || readers[at(m.c)] != 1) continue;
            for (auto j = i + 1; j < out.steps.size(); ++j) {
                step& s = out.steps[j];
                bool reads = false, ready = true;
                step_storages(s, [&](int k, bool writes) {
                    reads = reads || (k == m.c && !writes);
                    if (writes && out.storages[at(k)].where == place::state) ready = false;
                });
                if (!reads) continue;
                for (auto between = i; between < j && ready; ++between)  // all else that it reads was there before
                    step_storages(out.steps[between], [&](int w, bool writes) {
                        if (!writes || w == m.c) return;
                        step_storages(s, [&](int k, bool also) { ready = ready && (also || root(k) != root(w)); });
                    });
                if (ready && s.kind == step_kind::kernel && s.parts.count == 1 &&
                    follows(out.parts[at(s.parts.first)], m)) {
                    m.epilogue = s.parts.first;
                    s.parts.count = 0;
                }
                break;
            }
        }
        // Steps that became epilogues vanish.
        auto gone = [](const step& s) { return s.kind == step_kind::kernel && s.parts.count == 0; };
        std::vector<int> moved;
        std::vector<step> kept;
        for (const auto& s : out.steps) {
            moved.push_back(static_cast<int>(kept.size()));
            if (!gone(s)) kept.push_back(s);
        }
        moved.push_back(static_cast<int>(kept.size()));
        auto shift = [&](range_of r) {
            return range_of{moved[at(r.first)], moved[at(r.first + r.count)] - moved[at(r.first)]};
        };
        for (auto& l : out.loops) l.body = shift(l.body);
        range_of top = shift(all_steps());
        out.top = {top.first, top.count};
        out.steps = kept;
    }
    constexpr bool follows(const part& p, const matrix_product& m) const {
        const body& b = out.bodies[at(p.body)];
        if (b.kind != body_kind::pointwise || b.sequential || b.outer == 0) return false;
        int loads = 0;
        for (int i = 0; i < b.instructions.count; ++i) {
            const instruction& k = out.instructions[at(b.instructions.first + i)];
            if (k.what == code::reduce || k.what == code::gather) return false;
            if (k.slot < 0) continue;
            const slot& s = out.slots[at(p.slots.first + k.slot)];
            if (s.storage == m.c) {
                ++loads;
                if (!contiguous(p, b, s)) return false;
            }
            if (k.what == code::store && !contiguous(p, b, s)) return false;
        }
        return loads == 1;
    }
    /// Whether the slot walks its storage from the first element to the last.
    constexpr bool contiguous(const part& p, const body& b, const slot& s) const {
        if (s.offset.code != 0) return false;
        polynomial stride = polynomial::of_number(1);
        for (int a = b.outer + b.inner; a-- > 0;) {
            if (!(polynomial_of(s.strides[at(a)]) == stride)) return false;
            stride = stride * polynomial_of(p.extents[at(a)]);
        }
        return true;
    }
    constexpr polynomial polynomial_of(extent e) const {
        return e.is_static() ? polynomial::of_number(e.code) : out.polynomials[at(e.polynomial())];
    }

    // ---- in place -----------------------------------------------------------------------------------------------
    /// Whether part p may write what `to` holds over what `from` holds: every load of it is at the point that is stored.
    constexpr bool over(const part& p, int from, int to) const {
        const body& b = out.bodies[at(p.body)];
        const slot* written = nullptr;
        const instruction* store = nullptr;
        for (int i = 0; i < b.instructions.count; ++i) {
            const instruction& k = out.instructions[at(b.instructions.first + i)];
            if (k.slot < 0 || out.slots[at(p.slots.first + k.slot)].storage != to) continue;
            if (k.what != code::store || store) return false;
            store = &k;
            written = &out.slots[at(p.slots.first + k.slot)];
        }
        if (!store) return false;
        for (int i = 0; i < b.instructions.count; ++i) {
            const instruction& k = out.instructions[at(b.instructions.first + i)];
            if (k.slot < 0) continue;
            const slot& s = out.slots[at(p.slots.first + k.slot)];
            if (s.storage < 0 || root(s.storage) != root(from)) continue;
            if (k.what != code::load || k.at != store->at || !(s.strides == written->strides) ||
                !(s.offset == written->offset) || (k.passes >> (store->pass + 1)) != 0)
                return false;
        }
        return true;
    }
    /// The part of a step that writes s, if only one does.
    constexpr const part* writer(const step& k, int s) const {
        const part* found = nullptr;
        int count = 0;
        auto look = [&](int p) {
            bool writes = false;
            part_storages(out.parts[at(p)], [&](int t, bool w) { writes = writes || (w && t == s); });
            if (writes) {
                found = &out.parts[at(p)];
                ++count;
            }
        };
        for (int i = 0; i < k.parts.count; ++i) look(k.parts.first + i);
        if (k.kind == step_kind::gemm && out.gemms[at(k.index)].epilogue >= 0) look(out.gemms[at(k.index)].epilogue);
        return count == 1 ? found : nullptr;
    }
    /// Whether no other part of the step reads s.
    constexpr bool read_only_by(const step& k, const part& p, int s) const {
        bool others = false;
        for (int i = 0; i < k.parts.count; ++i) {
            const part& q = out.parts[at(k.parts.first + i)];
            if (&q == &p) continue;
            part_storages(q, [&](int t, bool) { others = others || root(t) == root(s); });
        }
        if (k.kind == step_kind::gemm) {
            const matrix_product& m = out.gemms[at(k.index)];
            others = others || root(m.a) == root(s) || root(m.b) == root(s);
        }
        return !others;
    }
    constexpr bool checks(const step& k) const {
        for (int i = 0; i < k.parts.count; ++i) {
            const body& b = out.bodies[at(out.parts[at(k.parts.first + i)].body)];
            for (int j = 0; j < b.instructions.count; ++j) {
                const instruction& c = out.instructions[at(b.instructions.first + j)];
                if (c.what == code::compute && c.op == op_of<checked_index_row>()) return true;
            }
        }
        return false;
    }
    /// An update's value is written where the parameter lies, if the old value is read at most where it is overwritten.
    constexpr void updates_in_place() {
        if (!options.in_place) return;
        for (int i = 0; i < out.top[1]; ++i) {
            step& k = out.steps[at(out.top[0] + i)];
            if (k.kind != step_kind::copy) continue;
            const copy c = out.copies[at(k.index)];
            if (out.storages[at(c.to)].where != place::state || out.storages[at(c.from)].where != place::arena ||
                out.storages[at(c.from)].alias >= 0)
                continue;
            int made = -1, writers = 0, last_read = -1;
            for (int j = 0; j < out.top[1]; ++j) {
                bool writes = false, reads = false;
                step_storages(out.steps[at(out.top[0] + j)], [&](int s, bool w) {
                    writes = writes || (w && root(s) == c.from);
                    reads = reads || (!w && root(s) == c.to);
                });
                if (writes) {
                    made = j;
                    ++writers;
                }
                if (reads) last_read = j;
            }
            if (made < 0 || writers != 1 || last_read > made || has_loops_after(made)) continue;
            const step& maker = out.steps[at(out.top[0] + made)];
            const part* p = writer(maker, c.from);
            if (maker.kind != step_kind::kernel || !p || checks(maker) || later_checks(made)) continue;
            if (last_read == made && (!over(*p, c.to, c.from) || !read_only_by(maker, *p, c.to))) continue;
            out.storages[at(c.from)].alias = c.to;
            k.parts.count = -1;  // marks the copy as done
        }
        std::vector<step> kept;
        for (int i = 0; i < out.top[1]; ++i) {
            const step& k = out.steps[at(out.top[0] + i)];
            if (k.parts.count >= 0) kept.push_back(k);
        }
        out.steps.resize(at(out.top[0]));  // the top steps are the last ones
        out.steps.insert(out.steps.end(), kept.begin(), kept.end());
        out.top[1] = static_cast<int>(kept.size());
    }
    constexpr bool has_loops_after(int made) const {
        for (int j = made; j < out.top[1]; ++j)
            if (out.steps[at(out.top[0] + j)].kind == step_kind::loop) return true;
        return false;
    }
    constexpr bool later_checks(int made) const {
        for (int j = made + 1; j < out.top[1]; ++j)
            if (checks(out.steps[at(out.top[0] + j)])) return true;
        return false;
    }
    /// A kernel's result takes the place of an operand that it is the last to read.
    constexpr void reuse() {
        clock = 0;
        reuse_in(all_steps());
    }
    constexpr void reuse_in(range_of r) {
        for (int i = 0; i < r.count; ++i) {
            const step k = out.steps[at(r.first + i)];
            int now = clock++;
            if (k.kind == step_kind::loop) {
                reuse_in(out.loops[at(k.index)].body);
                ++clock;
                continue;
            }
            std::vector<int> written, read;
            step_storages(k, [&](int s, bool w) { (w ? written : read).push_back(s); });
            for (int to : written) {
                storage& t = out.storages[at(to)];
                const part* p = writer(k, to);
                if (t.where != place::arena || t.alias >= 0 || t.first != now || !p) continue;
                for (int from : read) {
                    int f = root(from);
                    const storage& s = out.storages[at(f)];
                    bool free = s.where == place::arena && s.last == now && s.first < now && f != to;
                    if (k.kind == step_kind::gemm && f == root(out.gemms[at(k.index)].c))
                        free = s.where == place::arena && s.last == now && f != to;
                    if (!free || !(s.size == t.size) || row_of(s.element).bytes != row_of(t.element).bytes) continue;
                    if (!over(*p, from, to) || !read_only_by(k, *p, from)) continue;
                    t.alias = f;
                    out.storages[at(f)].last = t.last;
                    break;
                }
            }
        }
    }
};

}  // namespace detail

/// Offsets in bytes of the arena's storages for given dims (others have -1), and the bytes in all. Larger ones are
/// placed first, each at the lowest offset that is free while it lives.
struct layout {
    std::vector<std::int64_t> offsets;
    std::int64_t bytes = 0;
};
constexpr layout arena_layout(const program_view& p, std::span<const std::int64_t> dims) {
    constexpr std::int64_t alignment = 64;
    struct piece {
        int storage;
        std::int64_t bytes, offset;
    };
    std::vector<piece> pieces;
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
    std::vector<piece> near;
    for (std::size_t i = 0; i < pieces.size(); ++i) {
        const storage& s = p.storages[detail::at(pieces[i].storage)];
        near.clear();
        for (std::size_t j = 0; j < i; ++j) {
            const storage& t = p.storages[detail::at(pieces[j].storage)];
            if (s.first <= t.last && t.first <= s.last) near.push_back(pieces[j]);
        }
        std::sort(near.begin(), near.end(), [](const piece& a, const piece& b) { return a.offset < b.offset; });
        std::int64_t at = 0;
        for (const auto& n : near) {
            if (at + pieces[i].bytes <= n.offset) break;
            at = std::max(at, n.offset + n.bytes);
        }
        pieces[i].offset = at;
        result.offsets[detail::at(pieces[i].storage)] = at;
        result.bytes = std::max(result.bytes, at + pieces[i].bytes);
    }
    return result;
}

}  // namespace etch
