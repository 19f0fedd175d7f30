// SPDX-License-Identifier: MIT
// Two clusters become one, if that is legal: no third group has to run between them, a map relates their axes, their rows
// agree, and each member finds its operands at its own point and before itself.
#pragma once
#include <etch/passes/regroup.hpp>

namespace etch::detail {

struct joining : regrouping {
    using regrouping::regrouping;

    // ---- two clusters become one -------------------------------------------------------------------------------------
    /// Whether a third group has to run after group i and before group j.
    constexpr bool between(int i, int j) const {
        if (groups[at_index(i)].stage >= groups[at_index(j)].stage) return false;
        flat_list<int> queue{i}, known;
        while (!queue.empty()) {
            int m = queue.back();
            queue.pop_back();
            bool found = false;
            each_made(m, [&](int v) {
                each_reader(v, [&](int r) {
                    if (r == j) found = found || m != i;
                    if (r == j || groups[at_index(r)].stage >= groups[at_index(j)].stage ||
                        std::find(known.begin(), known.end(), r) != known.end())
                        return;
                    known.push_back(r);
                    queue.push_back(r);
                });
            });
            if (found) return true;
        }
        return false;
    }
    /// Where operand k of member v of a cluster is, for each of its axes the cluster's axis.
    constexpr bool straight(int v, const source& s, axis_list& to) const {
        const type& t = g.type_of(s.value);
        const type& over =
            kind(v) == op_class::reduction ? g.type_of(g.operands(g.node_of(v))[0]) : g.type_of(v);
        for (auto& a : to) a = -1;
        for (int i = 0; i < t.rank; ++i) {
            if (t[i].code == 1) continue;
            if (s.map[i].axis < 0 || s.map[i].step != 1 || s.map[i].offset.code != 0 ||
                !(over[s.map[i].axis] == t[i]))
                return false;
            to[at_index(i)] = maps[at_index(v)][at_index(s.map[i].axis)];
        }
        return true;
    }
    /// The axes of cluster d in those of cluster c: by a value of one that the other reads, or that both read.
    constexpr bool relate(int into, int from, axis_list& to) const {
        const cluster &c = clusters[at_index(into)], &d = clusters[at_index(from)];
        struct found {
            int value, axes;
            axis_list at;
        };
        flat_list<found> reads;
        axis_list map{};
        int best = 0;
        auto match = [&](int value, const axis_list& in_c, const axis_list& in_d) {
            const type& t = g.type_of(value);
            axis_list trial{};
            for (auto& a : trial) a = -1;
            int axes = 0;
            for (int i = 0; i < t.rank; ++i) {
                if (t[i].code == 1) continue;
                if (in_c[at_index(i)] < 0 || in_d[at_index(i)] < 0) return;
                trial[at_index(in_d[at_index(i)])] = in_c[at_index(i)];
                ++axes;
            }
            if (axes > best) {
                best = axes;
                to = trial;
            }
        };
        auto each = [&](const cluster& k, auto f) {
            for (int v : k.members) {
                const node& n = g.node_of(v);
                for (int o = 0; o < n.operands.count; ++o)
                    if (auto s = operand_source(n, o);
                        g.type_of(s.value).rank > 0 && straight(v, s, map))
                        f(s.value);
            }
        };
        for (auto& a : to) a = -1;
        each(c, [&](int x) {
            if (own(x) && home(x) == from) match(x, map, own_map(x));
            reads.push_back({x, 0, map});
        });
        each(d, [&](int x) {
            if (own(x) && home(x) == into) match(x, own_map(x), map);
            for (const auto& r : reads)
                if (r.value == x) match(x, r.at, map);
        });
        unsigned taken = 0;
        for (auto a : to)
            if (a >= 0) taken |= 1u << a;
        for (int a = 0; a < d.space.rank; ++a) {
            if (d.space[a].code == 1) continue;
            for (int b = 0; b < c.space.rank && to[at_index(a)] < 0; ++b)
                if (!(taken >> b & 1) && c.space[b] == d.space[a]) {
                    to[at_index(a)] = static_cast<signed char>(b);
                    taken |= 1u << b;
                }
            if (to[at_index(a)] < 0 || !(c.space[to[at_index(a)]] == d.space[a])) return false;
        }
        return true;
    }
    /// Whether two clusters may be one at all, before anything is looked at in detail.
    constexpr bool similar(int i, int j, bool always = false) const {
        if (i == j || !is_cluster(i) || !is_cluster(j)) return false;
        const group &a = groups[at_index(i)], &b = groups[at_index(j)];
        if (a.stage == last_stage || b.stage == last_stage || (!always && (!a.kernel || !b.kernel)))
            return false;
        const cluster &c = cluster_at(i), &d = cluster_at(j);
        unsigned mine = significant(c.space), other = significant(d.space);
        if (mine == 0 || other == 0) return false;
        // Rows of the one cannot be columns of the other.
        return count(mine) != count(other) || c.reduced == 0 || d.reduced == 0 ||
               count(c.reduced) == count(d.reduced);
    }
    /// Makes groups i and j one where that is legal and pays, or is legal alone.
    constexpr bool join(int i, int j, bool always = false) {
        if (!similar(i, j, always)) return false;
        if (groups[at_index(i)].stage > groups[at_index(j)].stage) std::swap(i, j);
        int into = j, from = i;
        if (count(significant(cluster_at(i).space)) > count(significant(cluster_at(j).space)))
            std::swap(into, from);
        const int c = groups[at_index(into)].cluster, d = groups[at_index(from)].cluster;
        axis_list to{};
        if (!relate(c, d, to) || between(i, j)) return false;
        const unsigned full = significant(clusters[at_index(c)].space),
                       rows = clusters[at_index(c)].reduced;
        unsigned others = 0;
        for (int a = 0; a < clusters[at_index(d)].space.rank; ++a)
            if (clusters[at_index(d)].reduced >> a & 1) others |= 1u << to[at_index(a)];
        if ((rows == full) != (others == full) && rows != others) return false;
        // From here on all is undone where the result is not legal or does not pay.
        begin();
        touch(groups[at_index(into)].reads);
        touch(groups[at_index(from)].reads);
        const flat_list<int> moved = clusters[at_index(d)].members;
        const auto had = clusters[at_index(c)].members.size();
        flat_list<axis_list> old_maps;
        for (int v : moved) old_maps.push_back(maps[at_index(v)]);
        if (!merge(c, d, to, 0)) return false;
        save(into);
        save(from);
        for (int v : moved) group_of[at_index(v)] = into;
        const int stage = std::max(groups[at_index(i)].stage, groups[at_index(j)].stage);
        if (groups[at_index(into)].stage < stage) groups[at_index(into)].stage = stage;
        groups[at_index(from)].cluster = -1;
        for (int v : clusters[at_index(c)].members) {
            if (!stored[at_index(v)] || must_be[at_index(v)]) continue;
            bool elsewhere = false;
            each_reader(v, [&](int r) { elsewhere = elsewhere || (r != into && r != from); });
            if (!elsewhere) set_stored(v, false);
        }
        int at_stage = groups[at_index(into)].stage;
        each_made(into, [&](int v) {
            each_reader(v, [&](int r) {
                if (r != into && r != from) delay(r, at_stage + 1);
            });
        });
        settle({into, from});
        legal = legal && groups[at_index(into)].stage == at_stage && in_order(into);
        if (always && legal) return true;
        if (pays()) return true;
        clusters[at_index(c)].members.resize(had);
        clusters[at_index(c)].reduced = rows;
        clusters[at_index(d)].merged = -1;
        clusters[at_index(d)].members = moved;
        for (std::size_t k = 0; k < moved.size(); ++k) {
            maps[at_index(moved[k])] = old_maps[k];
            group_of[at_index(moved[k])] = from;
        }
        return false;
    }
    /// Whether the members of group k can be computed as one kernel: each finds its operands at its own point and before
    /// itself, in at most most_passes visits of a row.
    constexpr bool in_order(int k) {
        const cluster& c = cluster_at(k);
        flat_list<int> members = c.members;
        std::sort(members.begin(), members.end());
        flat_list<source> queue;
        for (int v : members) {
            const node& n = g.node_of(v);
            const bool reduces = row_of(n).kind == op_class::reduction;
            const bool at_end = !reduces && mask_of(g.type_of(v), own_map(v)) == 0;
            int pass = 0;
            queue.clear();
            for (int o = 0; o < n.operands.count; ++o) {
                source s = operand_source(n, o);
                for (auto& a : s.map.at)
                    if (a.axis >= 0) a.axis = maps[at_index(v)][at_index(a.axis)];
                if (row_of(n).kind == op_class::gather && o == 0) {
                    if (group_of[at_index(s.value)] == k) return false;
                    continue;
                }
                queue.push_back(s);
            }
            while (!queue.empty()) {
                source s = queue.back();
                queue.pop_back();
                const int b = s.value;
                const role r = roles[at_index(b)];
                if (!computed(b)) continue;
                if (group_of[at_index(b)] == k) {
                    if (at_point(b, s.map)) {
                        if (after(c, b) && !at_end) return false;
                        pass = std::max(pass, pass_of[at_index(b)]);
                        continue;
                    }
                    if (r == role::reduced) return false;
                } else if (r == role::reduced || (stored[at_index(b)] && loadable(b, k))) {
                    continue;  // from memory
                }
                if (!operands_of(b, s.map, queue)) return false;
                if (queue.size() > 256) return false;
            }
            pass_of[at_index(v)] = pass + (reduces ? 1 : 0);
            if (pass_of[at_index(v)] >= most_passes) return false;
        }
        return true;
    }
    constexpr bool at_point(int v, const index_map& m) const {
        const auto map = own_map(v);
        const type& t = g.type_of(v);
        for (int i = 0; i < t.rank; ++i)
            if (t[i].code != 1 &&
                (m[i].axis != map[at_index(i)] || m[i].step != 1 || m[i].offset.code != 0))
                return false;
        return true;
    }
    /// The operands of a value that is computed again where its axes follow the space's by m.
    constexpr bool operands_of(int v, const index_map& m, flat_list<source>& queue) {
        const node& n = g.node_of(v);
        switch (row_of(n).kind) {
        case op_class::view:
            queue.push_back(behind(g.operands(n)[0], descend(g, n, m)));
            return true;
        case op_class::elementwise:
            for (int u : g.operands(n)) queue.push_back(behind(u, m));
            return true;
        case op_class::gather: {
            index_map of_index = m;
            int index = g.operands(n)[1];
            if (n.op == op_of<take_row>())
                for (int a = 0; a < g.type_of(index).rank; ++a)
                    of_index[a] = m[static_cast<int>(g.attributes(n)[0]) + a];
            queue.push_back(behind(index, of_index));
            return true;
        }
        default: return true;  // a counter's key lies in memory
        }
    }
};

}  // namespace etch::detail
