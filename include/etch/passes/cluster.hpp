// SPDX-License-Identifier: MIT
// Clusters, the kernels to be: values over one iteration space. Each member's axes are mapped to the space's, which says
// whether it exists at every point, once a row, or once. fuse.hpp decides what becomes a member of what.
#pragma once
#include <etch/passes/region.hpp>

namespace etch::detail {

/// For each axis of a value the axis of a cluster, -1 for none.
using axis_list = fixed_list<signed char, max_rank>;

/// A kernel to be: values over one space, some of its axes reduced.
struct cluster {
    type space;
    unsigned reduced = 0;  // axes of a row
    int stage = 0;
    int merged = -1;  // into this other cluster
    flat_list<int> members;
};

struct clustering : live_region {
    flat_list<int> cluster_of;  // by value, -1: of none
    flat_list<axis_list> maps;  // of a member's axes (a reduction: its operand's) to the cluster's
    flat_list<cluster> clusters;

    constexpr clustering(graph& graph_in, int loop, flat_view<const int> roots,
                         flat_view<const int> updates, const live_region* around)
        : live_region(graph_in, loop, roots, updates, around),
          cluster_of(g.values.size(), -1),
          maps(g.values.size(), axis_list{}) {}

    constexpr int root(int c) const {
        while (clusters[at_index(c)].merged >= 0) c = clusters[at_index(c)].merged;
        return c;
    }
    constexpr int home(int v) const {
        return cluster_of[at_index(v)] < 0 ? -1 : root(cluster_of[at_index(v)]);
    }

    /// A reduction's own map, given its operand's.
    constexpr axis_list without(const axis_list& map, const node& n, const type& operand) const {
        axis_list result{};
        for (auto& r : result) r = -1;
        std::size_t next = 0;
        int to = 0;
        auto a = g.attributes(n);
        for (int i = 0; i < operand.rank; ++i)
            if (next < a.size() && a[next] == i)
                ++next;
            else
                result[at_index(to++)] = map[at_index(i)];
        return result;
    }
    static constexpr unsigned significant(const type& t) {
        unsigned mask = 0;
        for (int i = 0; i < t.rank; ++i)
            if (t[i].code != 1) mask |= 1u << i;
        return mask;
    }
    constexpr unsigned mask_of(const type& t, const axis_list& map) const {
        unsigned mask = 0;
        for (int i = 0; i < t.rank; ++i)
            if (t[i].code != 1 && map[at_index(i)] >= 0) mask |= 1u << map[at_index(i)];
        return mask;
    }
    /// The cluster's axes of a member's own axes.
    constexpr axis_list own_map(int v) const {
        const node& n = g.node_of(v);
        if (row_of(n).kind != op_class::reduction) return maps[at_index(v)];
        return without(maps[at_index(v)], n, g.type_of(g.operands(n)[0]));
    }
    /// Whether values over these axes of the cluster can be members.
    static constexpr bool fits(const cluster& c, unsigned mask) {
        unsigned full = significant(c.space);
        return mask == full || mask == 0 || (c.reduced != 0 && mask == (full & ~c.reduced));
    }
    /// The map of a value of type t, one of whose operands is member q of cluster c. False where it cannot be.
    constexpr bool map_from(const cluster& c, const type& t, const source& q,
                            axis_list& map) const {
        const type& qt = g.type_of(q.value);
        const auto qm = own_map(q.value);
        for (auto& m : map) m = -1;
        unsigned used = 0;
        fixed_list<bool, max_rank> known{};
        for (int i = 0; i < qt.rank; ++i) {
            const auto& s = q.map[i];
            if (qt[i].code == 1) continue;
            if (s.axis < 0 || s.step != 1 || s.offset.code != 0 || !(t[s.axis] == qt[i]))
                return false;
            map[at_index(s.axis)] = qm[at_index(i)];
            known[at_index(s.axis)] = true;
            used |= 1u << qm[at_index(i)];
        }
        for (int i = 0; i < t.rank; ++i) {
            if (t[i].code == 1 || known[at_index(i)]) continue;
            int found = -1;
            for (int a = 0; a < c.space.rank && found < 0; ++a)
                if (!(used >> a & 1) && c.space[a] == t[i]) found = a;
            if (found < 0) return false;
            map[at_index(i)] = static_cast<signed char>(found);
            used |= 1u << found;
        }
        return true;
    }
    /// Whether an operand that is a member of the same cluster is read at the point that is being computed.
    constexpr bool aligned(const axis_list& map, const source& q) const {
        const type& qt = g.type_of(q.value);
        const auto qm = own_map(q.value);
        for (int i = 0; i < qt.rank; ++i) {
            const auto& s = q.map[i];
            if (qt[i].code == 1) continue;
            if (s.axis < 0 || s.step != 1 || s.offset.code != 0) return false;
            if (map[at_index(s.axis)] != qm[at_index(i)]) return false;
        }
        return true;
    }
    /// A value known only when the whole space was visited.
    constexpr bool after(const cluster& c, int v) const {
        unsigned full = significant(c.space);
        return full != 0 && c.reduced != full && mask_of(g.type_of(v), own_map(v)) == 0;
    }
};

}  // namespace etch::detail
