// SPDX-License-Identifier: MIT
// Where values lie. Before: a program in which every stored value has a storage of its own. After: elementwise results
// lie where an operand that nobody needs any more lay, updates are written where the parameter lies, products have the
// kernel that follows them as their epilogue, and each storage knows from which step to which it lives. Offsets in the
// arena depend on the dims: `arena_layout` chooses them, in a constant or when a call brings new dims.
#pragma once
#include <algorithm>

#include <etch/passes/layout.hpp>

namespace etch {

struct memory_options {
    bool in_place = true;  // false: operands stay intact, parameters change last of all (nan_guard)
};

namespace detail {

/// Whether part q may write what `to` holds over what `from` holds: every load of it is at the point that is stored.
template <class Program>
constexpr bool may_overwrite(const Program& p, const part& q, int from, int to) {
    auto root = [&](int s) {
        while (p.storages[at(s)].alias >= 0) s = p.storages[at(s)].alias;
        return s;
    };
    const body& b = p.bodies[at(q.body)];
    const slot* written = nullptr;
    const instruction* store = nullptr;
    for (int i = 0; i < b.instructions.count; ++i) {
        const instruction& k = p.instructions[at(b.instructions.first + i)];
        if (k.slot < 0 || p.slots[at(q.slots.first + k.slot)].storage != to) continue;
        if (k.what != code::store || store) return false;
        store = &k;
        written = &p.slots[at(q.slots.first + k.slot)];
    }
    if (!store) return false;
    for (int i = 0; i < b.instructions.count; ++i) {
        const instruction& k = p.instructions[at(b.instructions.first + i)];
        if (k.slot < 0) continue;
        const slot& s = p.slots[at(q.slots.first + k.slot)];
        if (s.storage < 0 || root(s.storage) != root(from)) continue;
        if (k.what != code::load || k.at != store->at || !(s.strides == written->strides) ||
            !(s.offset == written->offset) || (k.passes >> (store->pass + 1)) != 0)
            return false;
    }
    return true;
}

class memory_planner {
public:
    constexpr memory_planner(program& p, memory_options o) : out(p), options(o) {}

    constexpr void run() {
        list_accesses();
        epilogues();
        list_accesses();
        times();
        updates_in_place();
        list_accesses();
        times();
        if (options.in_place) reuse();
        list_accesses();
        times();
    }

private:
    program& out;
    memory_options options;
    int clock = 0;

    /// That a step reads or writes a storage; part is -1 where the step does it itself.
    struct access {
        int storage, step, part;
        bool writes;
    };
    flat_list<flat_list<access>> by_root;  // of each storage and of those that lie over it

    // ---- what a step reads and writes -------------------------------------------------------------------------
    template <class F> constexpr void part_storages(const part& p, F f) const {
        const body& b = out.bodies[p.body];
        for (int i = 0; i < b.instructions.count; ++i) {
            const instruction& k = out.instructions[b.instructions.first + i];
            if (k.slot < 0) continue;
            const slot& s = out.slots[p.slots.first + k.slot];
            if (s.storage >= 0) f(s.storage, k.what == code::store || k.what == code::store_add);
        }
    }
    template <class F> constexpr void step_storages(const step& s, F f) const {
        for (int i = 0; i < s.parts.count; ++i) part_storages(out.parts[s.parts.first + i], f);
        if (s.kind == step_kind::gemm) {
            const matrix_product& m = out.gemms[s.index];
            f(m.a, false);
            f(m.b, false);
            f(m.c, true);
            if (m.epilogue >= 0) part_storages(out.parts[m.epilogue], f);
        } else if (s.kind == step_kind::copy) {
            f(out.copies[s.index].from, false);
            f(out.copies[s.index].to, true);
        }
    }

    constexpr void list_accesses() {
        by_root.assign(out.storages.size(), {});
        for (std::size_t i = 0; i < out.steps.size(); ++i) {
            const step s = out.steps[i];
            auto add = [&](int k, bool writes, int part) {
                by_root[root(k)].push_back({k, static_cast<int>(i), part, writes});
                if (out.storages[k].where == place::slice)
                    by_root[root(out.storages[k].index)].push_back(
                        {k, static_cast<int>(i), part, writes});
            };
            for (int p = s.parts.first; p < s.parts.first + s.parts.count; ++p)
                part_storages(out.parts[p], [&](int k, bool writes) { add(k, writes, p); });
            if (s.kind == step_kind::gemm) {
                const matrix_product& m = out.gemms[s.index];
                add(m.a, false, -1);
                add(m.b, false, -1);
                add(m.c, true, -1);
                if (m.epilogue >= 0)
                    part_storages(out.parts[m.epilogue],
                                  [&](int k, bool writes) { add(k, writes, m.epilogue); });
            } else if (s.kind == step_kind::copy) {
                add(out.copies[s.index].from, false, -1);
                add(out.copies[s.index].to, true, -1);
            }
        }
    }

    constexpr int root(int s) const {
        while (out.storages[s].alias >= 0) s = out.storages[s].alias;
        return s;
    }
    constexpr range_of all_steps() const { return {out.top[0], out.top[1]}; }

    // ---- lifetimes ----------------------------------------------------------------------------------------------
    constexpr void touch(int s, int first, int last) {
        if (out.storages[s].where == place::slice) touch(out.storages[s].index, first, last);
        storage& k = out.storages[root(s)];
        k.first = k.first < 0 ? first : std::min(k.first, first);
        k.last = std::max(k.last, last);
    }
    constexpr void times() {
        for (auto& s : out.storages) s.first = s.last = -1;
        clock = 0;
        walk(all_steps());
    }
    constexpr void walk(range_of r) {
        for (int i = 0; i < r.count; ++i) {
            const step s = out.steps[r.first + i];
            int now = clock++;
            if (s.kind != step_kind::loop) {
                step_storages(s, [&](int k, bool) { touch(k, now, now); });
                continue;
            }
            const loop l = out.loops[s.index];
            flat_list<int> first_before, last_before;
            for (const auto& k : out.storages) {
                first_before.push_back(k.first);
                last_before.push_back(k.last);
            }
            walk(l.body);
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
        for (const auto& a : by_root[s])
            if (a.step < body.first || a.step >= body.first + body.count) return true;
        for (const auto& o : out.outputs)
            if (root(o.storage) == s) return true;
        return false;
    }

    // ---- epilogues ----------------------------------------------------------------------------------------------
    /// A kernel that does nothing but go on with one product's result, point by point, becomes that product's epilogue.
    constexpr void epilogues() {
        flat_list<char> is_output(out.storages.size(), 0);
        for (const auto& o : out.outputs) is_output[o.storage] = 1;
        for (std::size_t i = 0; i < out.steps.size(); ++i) {
            if (out.steps[i].kind != step_kind::gemm) continue;
            matrix_product& m = out.gemms[out.steps[i].index];
            if (out.storages[m.c].where != place::arena || is_output[m.c] ||
                by_root[m.c].size() != 2)
                continue;  // written by the product, read once
            const access reader = by_root[m.c][0].writes ? by_root[m.c][1] : by_root[m.c][0];
            step& s = out.steps[reader.step];
            if (reader.writes || s.kind != step_kind::kernel || s.parts.count != 1 ||
                !follows(out.parts[s.parts.first], m))
                continue;
            bool ready = reader.step > static_cast<int>(i);
            for (int between = static_cast<int>(i) + 1; between < reader.step;
                 ++between)  // its steps stand elsewhere
                ready = ready && out.steps[between].kind != step_kind::loop;
            part_storages(out.parts[s.parts.first], [&](int k, bool writes) {
                if (writes && out.storages[k].where == place::state) ready = false;
                // All else that it reads was there before, and nothing in between touches what it writes.
                for (const auto& w : by_root[root(k)])
                    if ((writes || w.writes) && k != m.c && w.step >= static_cast<int>(i) &&
                        w.step < reader.step)
                        ready = false;
            });
            if (!ready) continue;
            m.epilogue = s.parts.first;
            s.parts.count = 0;
        }
        // Steps that became epilogues vanish.
        auto gone = [](const step& s) { return s.kind == step_kind::kernel && s.parts.count == 0; };
        flat_list<int> moved;
        flat_list<step> kept;
        for (const auto& s : out.steps) {
            moved.push_back(static_cast<int>(kept.size()));
            if (!gone(s)) kept.push_back(s);
        }
        moved.push_back(static_cast<int>(kept.size()));
        auto shift = [&](range_of r) {
            return range_of{moved[r.first], moved[r.first + r.count] - moved[r.first]};
        };
        for (auto& l : out.loops) l.body = shift(l.body);
        range_of top = shift(all_steps());
        out.top = {top.first, top.count};
        out.steps = kept;
    }
    constexpr bool follows(const part& p, const matrix_product& m) const {
        const body& b = out.bodies[p.body];
        if (b.kind != body_kind::pointwise || b.sequential || !over_rows(p, b, m)) return false;
        int loads = 0;
        for (int i = 0; i < b.instructions.count; ++i) {
            const instruction& k = out.instructions[b.instructions.first + i];
            if (k.what == code::reduce || k.what == code::gather ||
                k.op == op_of<checked_index_row>())
                return false;
            if (k.slot < 0) continue;
            const slot& s = out.slots[p.slots.first + k.slot];
            if (s.storage == m.c) {
                ++loads;
                if (!contiguous(p, b, s)) return false;
            }
            if (k.what == code::store && !contiguous(p, b, s)) return false;
        }
        return loads == 1;
    }
    /// Whether the part's space is the product's whole result, as one axis or as {rows, columns}.
    constexpr bool over_rows(const part& p, const body& b, const matrix_product& m) const {
        polynomial size = polynomial_of(p.extents[0]);
        if (b.outer == 2) size = size * polynomial_of(p.extents[1]);
        if (!(size == polynomial_of(out.storages[m.c].size))) return false;
        return b.outer == 1 || (b.outer == 2 && p.extents[1] == m.n);
    }
    /// Whether the slot walks its storage from the first element to the last.
    constexpr bool contiguous(const part& p, const body& b, const slot& s) const {
        if (s.offset.code != 0) return false;
        polynomial stride = polynomial::of_number(1);
        for (int a = b.outer + b.inner; a-- > 0;) {
            if (!(polynomial_of(s.strides[a]) == stride)) return false;
            stride = stride * polynomial_of(p.extents[a]);
        }
        return true;
    }
    constexpr polynomial polynomial_of(extent e) const {
        return e.is_static() ? polynomial::of_number(e.code) : out.polynomials[e.polynomial()];
    }

    // ---- in place -----------------------------------------------------------------------------------------------
    /// Whether part p, and the step itself, are all of the step that touches s.
    constexpr bool touched_only_by(int step_index, int p, int s, bool step_too) const {
        for (const auto& a : by_root[root(s)])
            if (a.step == step_index && a.part != p && !(step_too && a.part < 0 && a.writes))
                return false;
        return true;
    }
    constexpr bool checks(const step& k) const {
        for (int i = 0; i < k.parts.count; ++i) {
            const body& b = out.bodies[out.parts[k.parts.first + i].body];
            for (int j = 0; j < b.instructions.count; ++j) {
                const instruction& c = out.instructions[b.instructions.first + j];
                if (c.what == code::compute && c.op == op_of<checked_index_row>()) return true;
            }
        }
        return false;
    }
    /// An update's value is written where the parameter lies, if the old value is read at most where it is overwritten.
    constexpr void updates_in_place() {
        if (!options.in_place) return;
        int last_check = -1,
            last_loop = -1;  // steps after which nothing can fail, and nothing is repeated
        for (int i = out.top[0]; i < out.top[0] + out.top[1]; ++i) {
            if (checks(out.steps[i])) last_check = i;
            if (out.steps[i].kind == step_kind::loop) last_loop = i;
        }
        for (int i = 0; i < out.top[1]; ++i) {
            step& k = out.steps[out.top[0] + i];
            if (k.kind != step_kind::copy) continue;
            const copy c = out.copies[k.index];
            if (out.storages[c.to].where != place::state ||
                out.storages[c.from].where != place::arena || out.storages[c.from].alias >= 0)
                continue;
            const access* made = nullptr;
            int writers = 0, last_read = -1;
            for (const auto& a : by_root[c.from])
                if (a.writes) {
                    made = &a;
                    ++writers;
                }
            for (const auto& a : by_root[c.to])
                if (!a.writes) last_read = std::max(last_read, a.step);
            if (writers != 1 || made->part < 0 || made->step < out.top[0] || last_read > made->step)
                continue;
            if (made->step <= last_check || made->step <= last_loop) continue;
            if (out.steps[at(made->step)].kind != step_kind::kernel) continue;
            if (last_read == made->step &&
                (!may_overwrite(out, out.parts[at(made->part)], c.to, c.from) ||
                 !touched_only_by(made->step, made->part, c.to, false)))
                continue;
            out.storages[c.from].alias = c.to;
            k.parts.count = -1;  // marks the copy as done
        }
        flat_list<step> kept;
        for (int i = 0; i < out.top[1]; ++i) {
            const step& k = out.steps[out.top[0] + i];
            if (k.parts.count >= 0) kept.push_back(k);
        }
        out.steps.resize(at(out.top[0]));  // the top steps are the last ones
        out.steps.append(kept);
        out.top[1] = static_cast<int>(kept.size());
    }
    /// A kernel's result takes the place of an operand that it is the last to read.
    constexpr void reuse() {
        clock = 0;
        reuse_in(all_steps());
    }
    constexpr void reuse_in(range_of r) {
        for (int i = 0; i < r.count; ++i) {
            const step k = out.steps[r.first + i];
            int now = clock++;
            if (k.kind == step_kind::loop) {
                reuse_in(out.loops[k.index].body);
                ++clock;
                continue;
            }
            const matrix_product* product =
                k.kind == step_kind::gemm ? &out.gemms[k.index] : nullptr;
            range_of parts =
                product ? range_of{product->epilogue, product->epilogue < 0 ? 0 : 1} : k.parts;
            for (int q = parts.first; q < parts.first + parts.count; ++q)
                reuse_in_part(r.first + i, q, now, product);
        }
    }
    constexpr void reuse_in_part(int step_index, int q, int now, const matrix_product* product) {
        const part& p = out.parts[q];
        flat_list<int> written, read;
        part_storages(p, [&](int s, bool w) { (w ? written : read).push_back(s); });
        for (int to : written) {
            storage& t = out.storages[to];
            if (t.where != place::arena || t.alias >= 0 || t.first != now) continue;
            if (!touched_only_by(step_index, q, to, false)) continue;
            for (int from : read) {
                int f = root(from);
                const storage& s = out.storages[f];
                bool result = product && f == root(product->c);
                bool free = s.where == place::arena && s.last == now && (s.first < now || result) &&
                            f != to;
                if (!free || !(s.size == t.size) ||
                    row_of(s.element).bytes != row_of(t.element).bytes)
                    continue;
                if (!may_overwrite(out, p, from, to) ||
                    !touched_only_by(step_index, q, from, result))
                    continue;
                t.alias = f;
                out.storages[f].last = t.last;
                by_root[f].append(by_root[to]);
                break;
            }
        }
    }
};

}  // namespace detail

}  // namespace etch
