// SPDX-License-Identifier: MIT
// Which values are computed by which kernel. Before: a simplified graph. After: every live computed value of a region
// belongs to a cluster, and the values that must be stored are known. The sweep's grouping is improved, as long as it costs
// less (grouping.hpp), by three kinds of moves between legal groupings: two clusters become one; a stored value is
// computed again by those that need it; a value that several compute is stored. Which moves are tried follows from what
// groups share, and each value and each pair of groups is tried a fixed number of times at most: the work is linear in the
// model, and the same on every machine. It stands after simplify, which decides what there is to compute, and before
// lower, which writes the bodies.
#pragma once
#include <etch/passes/join.hpp>

namespace etch::detail {

struct fusion : joining {
    constexpr fusion(graph& graph_in, int loop, flat_view<const int> roots,
                     flat_view<const int> updates, const live_region* around = nullptr)
        : joining(graph_in, loop, roots, updates, around) {
        search();
        settle_stages();
    }
    /// Each value in a cluster of its own: what is made one from here on is up to the caller.
    struct each_alone {};
    constexpr fusion(each_alone, graph& graph_in, int loop, flat_view<const int> roots,
                     flat_view<const int> updates)
        : joining(graph_in, loop, roots, updates, nullptr, true) {}

    /// How cluster c (-1: a step of its own at `stage`) gets value q: as a member, from memory, or by computing it again.
    enum class access : std::uint8_t { member, memory, again };
    constexpr access access_of(int q, int c, int stage) const {
        if (!computed(q)) return access::memory;
        if (c >= 0 && home(q) == c) return access::member;
        if (is_reduction(q)) return access::memory;
        return stored[at_index(q)] && stage_of[at_index(q)] < stage ? access::memory
                                                                    : access::again;
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
    constexpr void add_pair(flat_list<pair>& all, int i, int j, std::int64_t shared) const {
        if (i > j) std::swap(i, j);
        if (similar(i, j)) all.push_back({i, j, shared});
    }
    /// Clusters that read the same data, of which one reads what the other makes, or that are alike; most bytes first.
    constexpr flat_list<pair> pairs() {
        flat_list<pair> all;
        flat_list<int> queue;
        for (int v = 0; v < static_cast<int>(first_reader.size()); ++v) {
            if (!is_read(v) || significant(g.type_of(v)) == 0) continue;
            queue.clear();
            each_reader(v, [&](int k) { queue.push_back(k); });
            if (computed(v)) queue.push_back(group_of[at_index(v)]);
            for (std::size_t a = 0; a < queue.size(); ++a)
                for (std::size_t b = a + 1; b < queue.size() && b <= a + most_neighbours; ++b)
                    add_pair(all, queue[a], queue[b], bytes(v));
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
        flat_list<int> queue;
        for (int k = 0; k < static_cast<int>(groups.size()); ++k)
            each_made(k, [&](int v) {
                if (roles[at_index(v)] == role::made && !must_be[at_index(v)]) queue.push_back(v);
            });
        std::sort(queue.begin(), queue.end());
        for (auto i = queue.size(); i-- > 0;)
            if (stored[at_index(queue[i])]) any = drop(queue[i]) || any;
        return any;
    }
    constexpr bool keep_all() {
        bool any = false;
        auto& all = computed_again;
        std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
            return a[0] != b[0] ? a[0] < b[0] : a[1] < b[1];
        });
        flat_list<int> users;
        for (std::size_t i = all.size(); i > 0;) {
            int v = all[i - 1][0];
            users.clear();
            bool costly = false;
            for (; i > 0 && all[i - 1][0] == v; --i) {
                int k = all[i - 1][1];
                if (k == group_of[at_index(v)] || (!is_cluster(k) && groups[at_index(k)].node < 0))
                    continue;
                users.push_back(k);
                space_size size;
                costly = costly || (repeats(v, k, size) - 1) * work(v) > bytes(v);
            }
            if (!users.empty() && (costly || worth_storing(v))) any = keep(v, users) || any;
        }
        return any;
    }
    /// Whether v's operands are more bytes than v, or a product that only v needs: else it is not worth a trial. Masks
    /// are not stored, few bytes as they are: no library's product has an epilogue with such a second result.
    constexpr bool worth_storing(int v) {
        if (stored[at_index(v)] || significant(g.type_of(v)) == 0 ||
            g.type_of(v).element == dtype::boolean)
            return false;
        flat_list<int> queue{v};
        std::int64_t below = 0;
        for (std::size_t i = 0; i < queue.size() && i < 16; ++i)
            for (int u : g.operands(g.node_of(queue[i]))) {
                int b = base(u);
                if (roles[at_index(b)] == role::made && !stored[at_index(b)]) {
                    queue.push_back(b);
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
