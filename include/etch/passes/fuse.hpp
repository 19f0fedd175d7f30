// SPDX-License-Identifier: MIT
// Which values are computed by which kernel. Before: a simplified graph. After: every live computed value of a region
// belongs to a cluster, and the values that must be stored are known. The sweep's grouping is improved, as long as it costs
// less (grouping.hpp), by three kinds of moves between legal groupings: two clusters become one; a stored value is
// computed again by those that need it; a value that several compute is stored. Which moves are tried follows from what
// groups share, and each value and each pair of groups is tried a fixed number of times at most: the work is linear in the
// model, and the same on every machine. It stands after simplify, which decides what there is to compute, and before
// lower, which writes the bodies.
#pragma once
#include <algorithm>

#include <etch/passes/grouping.hpp>

namespace etch::detail {

struct fusion : grouping {
    constexpr fusion(graph& graph_in, int loop, std::span<const int> roots,
                     std::span<const int> updates)
        : grouping(graph_in, loop, roots, updates) {
        search();
        settle_stages();
    }
    /// Each value in a cluster of its own: what is made one from here on is up to the caller.
    struct each_alone {};
    constexpr fusion(each_alone, graph& graph_in, int loop, std::span<const int> roots,
                     std::span<const int> updates)
        : grouping(graph_in, loop, roots, updates, true) {}

    /// How cluster c (-1: a step of its own at `stage`) gets value q: as a member, from memory, or by computing it again.
    enum class access : std::uint8_t { member, memory, again };
    constexpr access access_of(int q, int c, int stage) const {
        if (!own(q) || !computed(q)) return access::memory;
        if (c >= 0 && home(q) == c) return access::member;
        if (kind(q) == op_class::reduction) return access::memory;
        return stored[at_index(q)] && stage_of[at_index(q)] < stage ? access::memory
                                                                    : access::again;
    }

    // ---- a move, to be undone where it does not pay ------------------------------------------------------------------
    struct saved_group {
        int number;
        group before;
    };
    struct saved_flag {
        int value;
        char before;
    };
    struct saved_gain {
        int product;
        std::int64_t before;
    };
    std::vector<saved_group> groups_before;
    std::vector<saved_flag> flags_before;
    std::vector<saved_gain> gains_before;
    std::int64_t delta = 0;
    bool legal = true;

    constexpr void begin() {
        groups_before.clear();
        flags_before.clear();
        gains_before.clear();
        delta = 0;
        legal = true;
    }
    constexpr void save(int k) { groups_before.push_back({k, groups[at_index(k)]}); }
    constexpr void set_stored(int v, bool to) {
        flags_before.push_back({v, stored[at_index(v)]});
        stored[at_index(v)] = to;
        delta += to ? bytes(v) : -bytes(v);
    }
    constexpr void touch(std::span<const int> values) {
        for (int v : values) {
            if (!is_product(v)) continue;
            bool known = false;
            for (const auto& s : gains_before) known = known || s.product == v;
            if (!known) gains_before.push_back({v, epilogue_gain(v)});
        }
    }
    constexpr void undo() {
        for (auto i = groups_before.size(); i-- > 0;) {
            const auto& s = groups_before[i];
            set_reads(s.number, s.before.reads);
            groups[at_index(s.number)] = s.before;
        }
        for (auto i = flags_before.size(); i-- > 0;)
            stored[at_index(flags_before[i].value)] = flags_before[i].before;
    }
    /// Walks these groups anew, and those whose stored values change by that.
    constexpr void settle(std::vector<int> list) {
        walked w;
        for (int rounds = 0; !list.empty() && legal; ++rounds) {
            if (rounds == 64) {
                legal = false;
                return;
            }
            int k = list.back();
            list.pop_back();
            walk(k, w);
            legal = legal && w.legal;
            save(k);
            const std::vector<int> old = groups[at_index(k)].reads;
            touch(old);
            touch(w.reads);
            delta += w.cost - groups[at_index(k)].cost;
            set_reads(k, w.reads);
            groups[at_index(k)].cost = w.cost;
            groups[at_index(k)].kernel = w.kernel;
            auto made_by = [&](int v) {
                int m = group_of[at_index(v)];
                if (m != k && std::find(list.begin(), list.end(), m) == list.end())
                    list.push_back(m);
            };
            for (int v : w.reads)
                if (roles[at_index(v)] >= role::made && !stored[at_index(v)]) {
                    set_stored(v, true);
                    made_by(v);
                }
            for (int v : old)
                if (roles[at_index(v)] >= role::made && stored[at_index(v)] &&
                    !must_be[at_index(v)] && !is_read(v)) {
                    set_stored(v, false);
                    made_by(v);
                }
        }
    }
    /// Whether what was settled pays; undoes it where not.
    constexpr bool pays() {
        if (legal)
            for (const auto& s : gains_before) delta += s.before - epilogue_gain(s.product);
        if (legal && delta < 0) return true;
        undo();
        return false;
    }

    // ---- computed again, or stored -----------------------------------------------------------------------------------
    static constexpr std::size_t most_readers = 6;

    constexpr bool drop(int v) {
        std::vector<int> users;
        each_reader(v, [&](int k) { users.push_back(k); });
        if (users.size() > most_readers) return false;
        begin();
        set_stored(v, false);
        std::vector<int> list = users;
        list.push_back(group_of[at_index(v)]);
        settle(list);
        return pays();
    }
    constexpr bool keep(int v, std::span<const int> users) {
        begin();
        int home_group = group_of[at_index(v)];
        if (stored[at_index(v)] || users.size() > most_readers) return false;
        std::vector<int> list;
        for (int k : users) {
            if (groups[at_index(k)].stage < groups[at_index(home_group)].stage) continue;
            list.push_back(k);
        }
        if (list.empty()) return false;
        set_stored(v, true);
        for (int k : list)
            if (groups[at_index(k)].stage == groups[at_index(home_group)].stage)
                delay(k, groups[at_index(home_group)].stage + 1);
        list.push_back(home_group);
        settle(list);
        legal = legal && is_read(v);
        return pays();
    }
    /// Group k runs at this later stage, and what reads from it after that.
    constexpr void delay(int k, int stage) {
        if (groups[at_index(k)].stage >= stage) return;
        save(k);
        groups[at_index(k)].stage = stage;
        std::vector<int> late{k};
        while (!late.empty()) {
            int m = late.back();
            late.pop_back();
            each_made(m, [&](int v) {
                each_reader(v, [&](int r) {
                    int next = groups[at_index(m)].stage + 1;
                    if (groups[at_index(r)].stage >= next) return;
                    save(r);
                    groups[at_index(r)].stage = next;
                    late.push_back(r);
                });
            });
        }
    }

    // ---- two clusters become one -------------------------------------------------------------------------------------
    /// Whether a third group has to run after group i and before group j.
    constexpr bool between(int i, int j) const {
        if (groups[at_index(i)].stage >= groups[at_index(j)].stage) return false;
        std::vector<int> list{i}, known;
        while (!list.empty()) {
            int m = list.back();
            list.pop_back();
            bool found = false;
            each_made(m, [&](int v) {
                each_reader(v, [&](int r) {
                    if (r == j) found = found || m != i;
                    if (r == j || groups[at_index(r)].stage >= groups[at_index(j)].stage ||
                        std::find(known.begin(), known.end(), r) != known.end())
                        return;
                    known.push_back(r);
                    list.push_back(r);
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
        std::vector<found> reads;
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
        const std::vector<int> moved = clusters[at_index(d)].members;
        const auto had = clusters[at_index(c)].members.size();
        std::vector<axis_list> old_maps;
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
        std::vector<int> members = c.members;
        std::sort(members.begin(), members.end());
        std::vector<source> list;
        for (int v : members) {
            const node& n = g.node_of(v);
            const bool reduces = row_of(n).kind == op_class::reduction;
            const bool at_end = !reduces && mask_of(g.type_of(v), own_map(v)) == 0;
            int pass = 0;
            list.clear();
            for (int o = 0; o < n.operands.count; ++o) {
                source s = operand_source(n, o);
                for (auto& a : s.map.at)
                    if (a.axis >= 0) a.axis = maps[at_index(v)][at_index(a.axis)];
                if (row_of(n).kind == op_class::gather && o == 0) {
                    if (group_of[at_index(s.value)] == k) return false;
                    continue;
                }
                list.push_back(s);
            }
            while (!list.empty()) {
                source s = list.back();
                list.pop_back();
                const int b = s.value;
                const role r = roles[at_index(b)];
                if (r == role::number || r == role::memory) continue;
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
                if (!operands_of(b, s.map, list)) return false;
                if (list.size() > 256) return false;
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
    constexpr bool operands_of(int v, const index_map& m, std::vector<source>& list) {
        const node& n = g.node_of(v);
        switch (row_of(n).kind) {
        case op_class::view:
            list.push_back(behind(g.operands(n)[0], descend(g, n, m)));
            return true;
        case op_class::elementwise:
            for (int u : g.operands(n)) list.push_back(behind(u, m));
            return true;
        case op_class::gather: {
            index_map of_index = m;
            int index = g.operands(n)[1];
            if (n.op == op_of<take_row>())
                for (int a = 0; a < g.type_of(index).rank; ++a)
                    of_index[a] = m[static_cast<int>(g.attributes(n)[0]) + a];
            list.push_back(behind(index, of_index));
            return true;
        }
        default: return true;  // a counter's key lies in memory
        }
    }

    // ---- the search --------------------------------------------------------------------------------------------------
    static constexpr int most_rounds = 4;
    static constexpr std::size_t most_neighbours = 4;
    static constexpr int most_alike = 16;

    struct pair {
        int i, j;
        std::int64_t shared;
    };
    constexpr bool is_kernel(int k) const { return is_cluster(k) && groups[at_index(k)].kernel; }
    constexpr void add_pair(std::vector<pair>& all, int i, int j, std::int64_t shared) const {
        if (i > j) std::swap(i, j);
        if (similar(i, j)) all.push_back({i, j, shared});
    }
    /// Clusters that read the same data, of which one reads what the other makes, or that are alike; most bytes first.
    constexpr std::vector<pair> pairs() {
        std::vector<pair> all;
        std::vector<int> list;
        for (int v = 0; v < static_cast<int>(first_reader.size()); ++v) {
            if (!is_read(v) || significant(g.type_of(v)) == 0) continue;
            list.clear();
            each_reader(v, [&](int k) { list.push_back(k); });
            if (computed(v)) list.push_back(group_of[at_index(v)]);
            for (std::size_t a = 0; a < list.size(); ++a)
                for (std::size_t b = a + 1; b < list.size() && b <= a + most_neighbours; ++b)
                    add_pair(all, list[a], list[b], bytes(v));
        }
        // Kernels over as many elements that share nothing: to run them as one saves the start of a kernel.
        const int last = static_cast<int>(groups.size());
        for (int i = 0; i < last; ++i)
            for (int j = i + 1; j < last && j <= i + most_alike && is_kernel(i); ++j)
                if (is_kernel(j) && groups[at_index(i)].stage == groups[at_index(j)].stage &&
                    elements(cluster_at(i).space) == elements(cluster_at(j).space))
                    add_pair(all, i, j, 0);
        std::sort(all.begin(), all.end(),
                  [](const pair& a, const pair& b) { return a.i != b.i ? a.i < b.i : a.j < b.j; });
        std::size_t to = 0;
        for (std::size_t k = 0; k < all.size(); ++k)
            if (to > 0 && all[to - 1].i == all[k].i && all[to - 1].j == all[k].j)
                all[to - 1].shared += all[k].shared;
            else
                all[to++] = all[k];
        all.resize(to);
        std::sort(all.begin(), all.end(), [](const pair& a, const pair& b) {
            return a.shared != b.shared ? a.shared > b.shared : a.i != b.i ? a.i < b.i : a.j < b.j;
        });
        return all;
    }
    constexpr bool join_all() {
        bool any = false;
        for (const auto& p : pairs()) any = join(p.i, p.j) || any;
        return any;
    }
    constexpr bool drop_all() {
        bool any = false;
        std::vector<int> list;
        for (int k = 0; k < static_cast<int>(groups.size()); ++k)
            each_made(k, [&](int v) {
                if (roles[at_index(v)] == role::made && !must_be[at_index(v)]) list.push_back(v);
            });
        std::sort(list.begin(), list.end());
        for (auto i = list.size(); i-- > 0;)
            if (stored[at_index(list[i])]) any = drop(list[i]) || any;
        return any;
    }
    constexpr bool keep_all() {
        bool any = false;
        auto& all = computed_again;
        std::sort(all.begin(), all.end());
        std::vector<int> users;
        for (std::size_t i = all.size(); i > 0;) {
            int v = all[i - 1][0];
            users.clear();
            for (; i > 0 && all[i - 1][0] == v; --i) {
                int k = all[i - 1][1];
                if (k != group_of[at_index(v)] && (is_cluster(k) || groups[at_index(k)].node >= 0))
                    users.push_back(k);
            }
            if (!users.empty() && worth_storing(v)) any = keep(v, users) || any;
        }
        return any;
    }
    /// Whether v's operands are more bytes than v, or a product that only v needs: else it is not worth a trial. Masks
    /// are not stored, few bytes as they are: no library's product has an epilogue with such a second result.
    constexpr bool worth_storing(int v) {
        if (stored[at_index(v)] || significant(g.type_of(v)) == 0 ||
            g.type_of(v).element == dtype::boolean)
            return false;
        std::vector<int> list{v};
        std::int64_t below = 0;
        for (std::size_t i = 0; i < list.size() && i < 16; ++i)
            for (int u : g.operands(g.node_of(list[i]))) {
                int b = base(u);
                if (roles[at_index(b)] == role::made && !stored[at_index(b)]) {
                    list.push_back(b);
                    continue;
                }
                if (roles[at_index(b)] == role::number) continue;
                if (is_product(b) && g.type_of(b).same_shape(g.type_of(v))) return true;
                below += bytes(b);
            }
        return below >= 2 * bytes(v);
    }
    constexpr void search() {
        bool any = true;
        for (int round = 0; any && round < most_rounds; ++round) {
            any = join_all();
            any = drop_all() || any;
            if (round == 0) any = keep_all() || any;
        }
    }
    constexpr void settle_stages() {
        for (const auto& u : groups) {
            if (u.cluster >= 0) {
                clusters[at_index(u.cluster)].stage = u.stage;
                for (int v : clusters[at_index(u.cluster)].members) stage_of[at_index(v)] = u.stage;
            } else if (u.node >= 0) {
                const node& n = node_at(u.node);
                for (int r = 0; r < n.results.count; ++r)
                    stage_of[at_index(n.results.first + r)] = u.stage;
            }
        }
        for (int i : order) {
            const node& n = node_at(i);
            if (n.op != op_of<reshape_row>()) continue;
            int b = base(g.operands(n)[0]);
            stage_of[at_index(n.results.first)] = own(b) ? stage_of[at_index(b)] : 0;
        }
    }
};

}  // namespace etch::detail
