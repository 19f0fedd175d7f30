// SPDX-License-Identifier: MIT
// A first grouping, which fuse.hpp improves: one sweep over the values in their order. Each joins the cluster of an
// operand where that is legal. Every live computed value of a region (the program outside of loops, or one loop's body) then belongs to a cluster with an iteration space. A cluster
// has a stage: it reads stored values of earlier stages only, so that no cycle can arise.
#pragma once
#include <etch/passes/cluster.hpp>

namespace etch::detail {

inline constexpr int last_stage = 1 << 20;  // of parameters' updates: all in one kernel at the end
inline constexpr int cheap =
    8;  // scalar operations that the sweep rather computes twice than stores
inline constexpr int most_passes = 16;  // over a row: as many as instruction::passes has bits

struct sweep : clustering {
    flat_list<char> final;  // only updates use them
    flat_list<int> stage_of, inline_cost, ready;
    flat_list<int> pass_of;  // reductions of the own stage that must have been made before

    bool apart;  // each value stays alone

    constexpr sweep(graph& graph_in, int loop, flat_view<const int> roots,
                    flat_view<const int> updates, const live_region* around = nullptr,
                    bool alone = false)
        : clustering(graph_in, loop, roots, updates, around),
          final(g.values.size(), 0),
          stage_of(g.values.size(), 0),
          inline_cost(g.values.size(), 0),
          ready(g.values.size(), 1),
          pass_of(g.values.size(), 0),
          apart(alone) {
        mark_final(roots, updates);
        clusters.reserve(16 + order.size() / 4);  // constant evaluation is slow at growing vectors
        for (int n : order) place_node(n);
    }

    constexpr void mark_final(flat_view<const int> roots, flat_view<const int> updates) {
        flat_list<char> elsewhere(g.values.size(), 0);
        for (int v : roots) elsewhere[at_index(v)] = 1;
        for (int v : updates)
            if (roles[at_index(v)] == role::made && kind(v) == op_class::elementwise)
                final[at_index(v)] = 1;
        for (auto i = order.size(); i-- > 0;) {
            const node& n = node_at(order[i]);
            bool all_final = n.results.count == 1 && final[at_index(n.results.first)] &&
                             !elsewhere[at_index(n.results.first)];
            if (n.results.count == 1) final[at_index(n.results.first)] = all_final;
            for (int u : g.operands(n)) {
                if (!all_final)
                    elsewhere[at_index(u)] = 1;
                else if (own(u) && (is_view(u) || kind(u) == op_class::elementwise))
                    final[at_index(u)] = 1;
            }
        }
    }

    /// Whether q may be computed again inside of a kernel at this stage.
    constexpr bool can_inline(int q, int stage, const type& user) const {
        if (!computed(q) || is_reduction(q) || ready[at_index(q)] > stage) return false;
        const type& t = g.type_of(q);
        if (t.rank == 0 || inline_cost[at_index(q)] <= cheap) return true;
        return uses[at_index(q)] == 1 && significant(t) != 0 && g.type_of(q).rank == user.rank &&
               t.same_shape(user);
    }

    // ---- one node after the other ---------------------------------------------------------------------------------
    constexpr void place_node(int i) {
        const node n = node_at(i);
        int v = n.results.first;
        op_class k = row_of(n).kind;
        if (k == op_class::opaque) {
            int stage = 1;
            for (int u : g.operands(n)) {
                int b = base(u);
                if (n.op == op_of<reshape_row>())
                    stage = own(b) ? stage_of[at_index(b)] : 0;
                else if (computed(b) || opaque(b))
                    stage = std::max(stage, stage_of[at_index(b)] + 1);
            }
            for (int r = 0; r < n.results.count; ++r) {
                stage_of[at_index(v + r)] = stage;
                ready[at_index(v + r)] = stage + 1;
            }
            return;
        }
        if (!computed(v)) return;
        flat_list<source> operands;
        operands.reserve(at_index(n.operands.count));
        for (int o = 0; o < n.operands.count; ++o) operands.push_back(operand_source(n, o));
        int stage = 1, cost = row_of(n).cost, is_ready = 1;
        for (std::size_t o = 0; o < operands.size(); ++o) {
            int q = operands[o].value;
            if (opaque(q)) stage = std::max(stage, stage_of[at_index(q)] + 1);
            if (!computed(q)) {
                is_ready = std::max(is_ready, ready[at_index(q)]);
                continue;
            }
            bool table = k == op_class::gather && o == 0;  // a gather reads it from memory
            if (stage_of[at_index(q)] < last_stage)
                stage = std::max(stage, stage_of[at_index(q)] + (table || apart ? 1 : 0));
            if (is_reduction(q) || table) {
                is_ready = std::max(is_ready, stage_of[at_index(q)] + 1);
            } else {
                is_ready = std::max(is_ready, ready[at_index(q)]);
                cost += inline_cost[at_index(q)];
            }
        }
        inline_cost[at_index(v)] = std::min(cost, 1 << 20);
        ready[at_index(v)] = is_ready;
        if (final[at_index(v)]) stage = last_stage;
        const type space = k == op_class::reduction ? g.type_of(g.operands(n)[0]) : g.type_of(v);
        if (apart || !try_join(n, v, operands, stage, space)) {
            if (!final[at_index(v)] && blocked(operands, stage, space)) ++stage;
            start(n, v, stage, space);
        }
        pass_of[at_index(v)] = pass_in(n, operands, stage_of[at_index(v)]);
    }
    constexpr int pass_in(const node& n, flat_view<const source> operands, int stage) const {
        int pass = 0;
        for (const auto& o : operands)
            if (computed(o.value) && stage_of[at_index(o.value)] == stage)
                pass = std::max(pass, pass_of[at_index(o.value)]);
        return pass + (row_of(n).kind == op_class::reduction ? 1 : 0);
    }
    /// Whether some operand of the same stage can be neither a neighbour nor computed again.
    constexpr bool blocked(flat_view<const source> operands, int stage, const type& space) const {
        for (const auto& o : operands)
            if (computed(o.value) && stage_of[at_index(o.value)] == stage &&
                !can_inline(o.value, stage, space))
                return true;
        return false;
    }
    constexpr void enter(int c, int v, const axis_list& map) {
        cluster_of[at_index(v)] = c;
        stage_of[at_index(v)] = clusters[at_index(c)].stage;
        maps[at_index(v)] = map;
        clusters[at_index(c)].members.push_back(v);
    }
    constexpr void start(const node& n, int v, int stage, const type& space) {
        cluster c;
        c.space = space;
        c.stage = stage;
        clusters.push_back(c);
        axis_list map{};
        for (int i = 0; i < max_rank; ++i)
            map[at_index(i)] = i < space.rank ? static_cast<signed char>(i) : -1;
        int id = static_cast<int>(clusters.size()) - 1;
        if (row_of(n).kind == op_class::reduction) {
            unsigned gone = 0;
            for (auto a : g.attributes(n)) gone |= 1u << a;
            gone &= significant(space);
            if (gone != significant(space)) clusters.back().reduced = gone;
        }
        enter(id, v, map);
    }
    constexpr bool try_join(const node& n, int v, flat_view<const source> operands, int stage,
                            const type& space) {
        int best = -1;
        for (const auto& o : operands) {
            if (!computed(o.value) || stage_of[at_index(o.value)] != stage) continue;
            int c = home(o.value);
            if (c < 0) continue;
            auto weight = [&](int i) {
                const cluster& k = clusters[at_index(i)];
                return 2 * k.space.rank + (k.reduced ? 1 : 0);
            };
            if (best < 0 || weight(c) > weight(best)) best = c;
        }
        if (best < 0 || pass_in(n, operands, stage) >= most_passes) return false;
        axis_list map{};
        bool found = false;
        unsigned reduced = 0;
        for (const auto& o : operands) {
            if (home(o.value) != best || found) continue;
            found = map_from(clusters[at_index(best)], space, o, map) &&
                    accept(n, best, space, map, reduced);
        }
        if (!found) return false;
        for (std::size_t k = 0; k < operands.size(); ++k) {
            const auto& o = operands[k];
            if (!computed(o.value) || stage_of[at_index(o.value)] != stage) continue;
            if (row_of(n).kind == op_class::gather && k == 0) return false;
            int c = home(o.value);
            if (c == best) {
                if (aligned(map, o) && usable_here(n, best, o.value, space, map, reduced)) continue;
            } else {
                unsigned before = reduced;
                if (usable_there(n, best, c, o.value, space, map, reduced) &&
                    absorb(best, c, o, map, reduced))
                    continue;
                reduced = before;
            }
            if (!can_inline(o.value, stage, space)) return false;
        }
        if (reduced) clusters[at_index(best)].reduced = reduced;
        enter(best, v, map);
        return true;
    }
    /// Whether node n over `space` can be a member; sets the axes of a row where n decides them.
    constexpr bool accept(const node& n, int id, const type& space, const axis_list& map,
                          unsigned& reduced) const {
        const cluster& c = clusters[at_index(id)];
        unsigned mask = mask_of(space, map), full = significant(c.space);
        reduced = 0;
        if (!fits(c, mask)) return false;
        if (row_of(n).kind != op_class::reduction) return true;
        unsigned gone = 0;
        auto a = g.attributes(n);
        for (auto i : a)
            if (space[static_cast<int>(i)].code != 1)
                gone |= 1u << map[at_index(static_cast<int>(i))];
        if (mask == full) {
            if (gone == full || gone == c.reduced) return true;
            if (c.reduced != 0) return false;
            reduced = gone;
            return gone != 0;
        }
        return gone == mask;  // of rows, over all of them
    }
    /// A member that is known only at the end cannot be used before: unless the whole space is one row.
    constexpr bool usable_here(const node& n, int id, int q, const type& space,
                               const axis_list& map, unsigned& reduced) const {
        return usable_there(n, id, id, q, space, map, reduced);
    }
    /// The same where q is a member of cluster `from`, which is to be taken into cluster `id`.
    constexpr bool usable_there(const node& n, int id, int from, int q, const type& space,
                                const axis_list& map, unsigned& reduced) const {
        const cluster& c = clusters[at_index(id)];
        if (!after(clusters[at_index(from)], q)) return true;
        bool at_end = mask_of(space, map) == 0;
        if (at_end && row_of(n).kind != op_class::reduction) return true;
        unsigned full = significant(c.space);
        if (c.reduced != 0 || clusters[at_index(from)].reduced != 0 || reduced != 0) return false;
        std::int64_t points = 1;
        for (int i = 0; i < c.space.rank; ++i)
            points *= c.space[i].is_static() ? c.space[i].code : 1 << 20;
        if (points > 1 << 16) return false;
        reduced = full;
        return true;
    }
    /// Takes cluster `from` into `into`, where operand o, one of its members, is read.
    constexpr bool absorb(int into, int from, const source& o, const axis_list& map,
                          unsigned reduced_now) {
        cluster& c = clusters[at_index(into)];
        cluster& d = clusters[at_index(from)];
        if (c.stage != d.stage) return false;
        axis_list to{};
        for (auto& t : to) t = -1;
        const type& qt = g.type_of(o.value);
        const auto qm = own_map(o.value);
        unsigned covered = 0;
        for (int i = 0; i < qt.rank; ++i) {
            const auto& s = o.map[i];
            if (qt[i].code == 1) continue;
            if (s.axis < 0 || s.step != 1 || s.offset.code != 0) return false;
            int target = map[at_index(s.axis)];
            if (target < 0 || !(c.space[target] == qt[i])) return false;
            to[at_index(qm[at_index(i)])] = static_cast<signed char>(target);
            covered |= 1u << qm[at_index(i)];
        }
        // Axes that the operand does not have (it was reduced): the ones that are left, in order.
        unsigned taken = 0;
        for (auto t : to)
            if (t >= 0) taken |= 1u << t;
        unsigned missing = significant(d.space) & ~covered;
        for (int a = 0; a < d.space.rank; ++a) {
            if (!(missing >> a & 1)) continue;
            for (int b = 0; b < c.space.rank && to[at_index(a)] < 0; ++b)
                if (!(taken >> b & 1) && c.space[b] == d.space[a]) {
                    to[at_index(a)] = static_cast<signed char>(b);
                    taken |= 1u << b;
                }
            if (to[at_index(a)] < 0) return false;
        }
        return merge(into, from, to, reduced_now);
    }
    constexpr bool merge(int into, int from, const axis_list& to, unsigned reduced_now) {
        cluster& c = clusters[at_index(into)];
        cluster& d = clusters[at_index(from)];
        unsigned reduced = c.reduced | reduced_now, moved = 0, full = significant(c.space);
        if (significant(d.space) == 0 && full != 0)
            return false;  // a scalar is rather computed by each that needs it
        for (int a = 0; a < d.space.rank; ++a)
            if (d.reduced >> a & 1) moved |= 1u << to[at_index(a)];
        if (moved && reduced && moved != reduced) return false;
        if (reduced == full && moved != full && d.reduced != 0) return false;
        unsigned rows = reduced | moved;
        cluster trial = c;
        trial.reduced = rows;
        for (int v : d.members) {
            unsigned mask = 0;
            const auto vm = own_map(v);
            for (int i = 0; i < g.type_of(v).rank; ++i) {
                auto m = vm[at_index(i)];
                if (m >= 0 && g.type_of(v)[i].code != 1) mask |= 1u << to[at_index(m)];
            }
            if (!fits(trial, mask)) return false;
            // A value that was known at the end of its own cluster must still be that, or a row's.
            bool ended = after(d, v);
            if (ended && !(mask == 0)) return false;
            if (!ended && mask == 0 && rows != full && significant(d.space) != 0) return false;
            if (is_reduction(v)) {
                const type& x = g.type_of(g.operands(g.node_of(v))[0]);
                if (ended && significant(x) != 0 && significant(d.space) != full &&
                    count(significant(d.space)) != count(full))
                    return false;
            }
        }
        c.reduced = rows;
        for (int v : d.members) {
            for (auto& m : maps[at_index(v)])
                if (m >= 0) m = to[at_index(m)];
            c.members.push_back(v);
        }
        d.members.clear();
        d.merged = into;
        return true;
    }
    static constexpr int count(unsigned mask) {
        int n = 0;
        for (; mask; mask &= mask - 1) ++n;
        return n;
    }
};

}  // namespace etch::detail
