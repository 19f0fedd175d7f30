// SPDX-License-Identifier: MIT
// What a grouping costs, in bytes. A group is a cluster, or a step of its own such as a product; what it reads is found by
// walking from the values that it must store down to what lies in memory. fuse.hpp looks for the grouping that costs
// least.
//   cost = bytes read by each group + bytes stored + scalar operations / operations_per_byte + bytes_per_kernel * kernels
#pragma once
#include <algorithm>

#include <etch/passes/sweep.hpp>

namespace etch::detail {

// A named dim counts as this many. Any other number ranks the same groupings first unless a tensor of named dims is as
// small as one without them.
inline constexpr std::int64_t nominal_extent = 1024;
// While a byte comes from memory, a processor makes about four operations on float32: two cores with AVX-512 100 at 25
// GB/s and 1 ns, an H100 20, of which a transcendental function takes its `cost` of rows too.
inline constexpr std::int64_t operations_per_byte = 4;
// To start a kernel, or to wake the threads: about a microsecond at the CPU's bandwidth.
inline constexpr std::int64_t bytes_per_kernel = 1 << 14;

struct grouping : sweep {
    struct group {
        int cluster = -1, node = -1, stage = 0;
        flat_list<int> reads;   // values in memory
        std::int64_t cost = 0;  // of what it reads and computes
        bool kernel = false;    // it stores something
    };

    flat_list<char> stored;   // values that must lie in memory
    flat_list<char> must_be;  // stored, in every grouping
    flat_list<group> groups;
    flat_list<int> group_of;      // by value: what makes it
    flat_list<int> lies_in;       // by value: of a reshaped one, whose memory it is
    flat_list<int> first_reader;  // by value: in `links`, -1 for none
    struct link {
        int group, next;
    };
    flat_list<link> links;

    constexpr grouping(graph& graph_in, int loop, flat_view<const int> roots,
                       flat_view<const int> updates, const live_region* around = nullptr,
                       bool alone = false)
        : sweep(graph_in, loop, roots, updates, around, alone),
          stored(g.values.size(), 0),
          must_be(g.values.size(), 0),
          group_of(g.values.size(), -1),
          lies_in(g.values.size(), -1),
          first_reader(g.values.size(), -1),
          sizes(g.values.size(), -1),
          seen(g.values.size(), 0) {
        find_must(roots, updates);
        find_groups();
        choose_first();
    }

    // ---- sizes ------------------------------------------------------------------------------------------------------
    constexpr std::int64_t nominal(extent e) const {
        if (e.is_static()) return e.code;
        const polynomial& p = g.polynomials[at_index(e.polynomial())];
        std::int64_t sum = 0;
        for (int i = 0; i < p.count; ++i) {
            const auto& t = p.terms[at_index(i)];
            std::int64_t product = 1;
            for (auto powers = t.powers; powers != 0; powers >>= 4)
                for (auto k = powers & 15; k > 0 && product < most_elements; --k)
                    product *= nominal_extent;
            sum += t.coefficient * product;
        }
        return sum < 0 ? 0 : sum < most_elements ? sum : most_elements;
    }
    constexpr std::int64_t elements(const type& t) const {
        std::int64_t n = 1;
        for (int i = 0; i < t.rank; ++i) {
            if (t[i].code == 1) continue;
            n *= nominal(t[i]);
            if (n > most_elements) n = most_elements;
        }
        return n;
    }
    constexpr std::int64_t elements(int v) {
        if (sizes[at_index(v)] < 0) sizes[at_index(v)] = elements(g.type_of(v));
        return sizes[at_index(v)];
    }
    constexpr std::int64_t bytes(int v) { return elements(v) * row_of(g.type_of(v).element).bytes; }
    /// Operations to compute the value, as bytes.
    constexpr std::int64_t work(int v) {
        const node& n = g.node_of(v);
        const op_row& row = row_of(n);
        std::int64_t each =
            row.kind == op_class::reduction ? elements(g.operands(n)[0]) : elements(v);
        return each * row.cost / operations_per_byte;
    }

    struct space_size {
        std::int64_t points = -1, rows = 0;  // found where they are asked for
    };
    /// How often group k computes value v at each of its elements: what is no member, and has fewer elements than there
    /// are rows, once a row, else at every point of the space.
    constexpr std::int64_t repeats(int v, int k, space_size& s) {
        if (group_of[at_index(v)] == k || !is_cluster(k) || elements(v) <= 1) return 1;
        if (s.points < 0) {
            const cluster& c = cluster_at(k);
            type outer = c.space;
            for (int a = 0; a < outer.rank; ++a)
                if (c.reduced >> a & 1) outer[a] = {1};
            s.points = elements(c.space);
            s.rows = c.reduced ? elements(outer) : 0;
        }
        return elements(v) <= s.rows ? 1 : std::max<std::int64_t>(1, s.points / elements(v));
    }

    // ---- groups -----------------------------------------------------------------------------------------------------
    constexpr bool is_cluster(int k) const { return groups[at_index(k)].cluster >= 0; }
    constexpr const cluster& cluster_at(int k) const {
        return clusters[at_index(groups[at_index(k)].cluster)];
    }
    /// Whether group k can read value v from memory.
    constexpr bool loadable(int v, int k) const {
        int maker = group_of[at_index(v)];
        return maker < 0 || groups[at_index(maker)].stage < groups[at_index(k)].stage;
    }
    /// Whether the group reads all of its operands from memory and computes none of them.
    constexpr bool plain_reader(const node& n) const {
        return n.op == op_of<dot_row>() || n.op == op_of<scan_row>();
    }

    struct walked {
        flat_list<int> reads;
        std::int64_t cost = 0;
        bool kernel = false, legal = true, tables = false;
    };
    /// What group k reads and computes while values are stored as they are now. Not legal: it would need a value before
    /// that is there.
    constexpr void walk(int k, walked& w) {
        w.reads.clear();
        w.cost = 0;
        w.kernel = w.tables = false;
        w.legal = true;
        ++epoch;
        todo.clear();
        space_size size;
        const group& u = groups[at_index(k)];
        if (u.cluster >= 0) {
            for (int v : clusters[at_index(u.cluster)].members)
                if (stored[at_index(v)]) {
                    seen[at_index(v)] = epoch;
                    todo.push_back(v);
                }
            w.kernel = !todo.empty();
            if (w.kernel && u.stage < last_stage) w.cost = bytes_per_kernel;
        } else if (u.node >= 0) {
            const node& n = node_at(u.node);
            bool plain = plain_reader(n);
            for (int x : g.operands(n)) reach(k, base(x), plain, w);
        }
        while (!todo.empty()) {
            int v = todo.back();
            todo.pop_back();
            w.cost += work(v) * repeats(v, k, size);
            const node& n = g.node_of(v);
            bool table = row_of(n).kind == op_class::gather;
            for (int x : g.operands(n)) {
                reach(k, base(x), table, w);
                table = false;
            }
        }
    }
    /// Group k reads now these values.
    constexpr void set_reads(int k, const flat_list<int>& reads) {
        group& u = groups[at_index(k)];
        for (int v : u.reads)
            for (int* l = &first_reader[at_index(v)]; *l >= 0; l = &links[at_index(*l)].next)
                if (links[at_index(*l)].group == k) {
                    *l = links[at_index(*l)].next;
                    break;
                }
        for (int v : reads) {
            links.push_back({k, first_reader[at_index(v)]});
            first_reader[at_index(v)] = static_cast<int>(links.size()) - 1;
        }
        u.reads = reads;
    }
    template <class F> constexpr void each_reader(int v, F f) const {
        for (int l = first_reader[at_index(v)]; l >= 0;) {
            const link at = links[at_index(l)];
            f(at.group);
            l = at.next;
        }
    }
    constexpr bool is_read(int v) const { return first_reader[at_index(v)] >= 0; }
    /// What is saved because the one kernel that reads product v runs on each block of it, out of the cache: its own
    /// start, and that the product itself is written and read.
    constexpr std::int64_t epilogue_gain(int v) {
        if (!is_read(v) || must_be[at_index(v)]) return 0;
        const link reader = links[at_index(first_reader[at_index(v)])];
        if (reader.next >= 0 || !is_cluster(reader.group)) return 0;
        const group& u = groups[at_index(reader.group)];
        const cluster& c = cluster_at(reader.group);
        int stage = groups[at_index(group_of[at_index(v)])].stage;
        if (c.reduced != 0 || u.stage == last_stage || !c.space.same_shape(g.type_of(v))) return 0;
        for (int m : c.members)
            if (is_reduction(m) || kind(m) == op_class::gather) return 0;
        for (int x : u.reads)
            if (int maker = group_of[at_index(x)];
                x != v && maker >= 0 && groups[at_index(maker)].stage >= stage)
                return 0;
        return bytes_per_kernel + 2 * bytes(v);
    }
    constexpr bool is_product(int v) const {
        int maker = group_of[at_index(v)];
        return maker >= 0 && groups[at_index(maker)].node >= 0 &&
               node_at(groups[at_index(maker)].node).op == op_of<dot_row>();
    }
    template <class F> constexpr void each_made(int k, F f) const {
        const group& u = groups[at_index(k)];
        if (u.cluster >= 0) {
            for (int v : clusters[at_index(u.cluster)].members)
                if (stored[at_index(v)]) f(v);
        } else if (u.node >= 0) {
            const node& n = node_at(u.node);
            for (int r = 0; r < n.results.count; ++r) f(n.results.first + r);
        }
    }
    /// The cost of the whole grouping.
    constexpr std::int64_t total_cost() {
        std::int64_t sum = 0;
        for (const auto& u : groups) sum += u.cost;
        for (int n : order)
            for (int r = 0; r < node_at(n).results.count; ++r) {
                int v = node_at(n).results.first + r;
                if (stored[at_index(v)] && roles[at_index(v)] >= role::made) sum += bytes(v);
                if (is_product(v)) sum -= epilogue_gain(v);
            }
        return sum;
    }

public:
    static constexpr std::int64_t most_elements = std::int64_t{1} << 40;
    flat_list<std::int64_t> sizes;
    flat_list<int> seen;
    flat_list<int> todo;
    int epoch = 0;

    constexpr void find_must(flat_view<const int> roots, flat_view<const int> updates) {
        auto must = [&](int v) { must_be[at_index(base(v))] = 1; };
        for (int v : roots) must(v);
        for (int v : updates) must(v);
        for (int i : order) {
            const node& n = node_at(i);
            if (n.op == op_of<reshape_row>() || plain_reader(n))
                for (int u : g.operands(n)) must(u);
            if (row_of(n).kind == op_class::gather) must(g.operands(n)[0]);
        }
        for (std::size_t v = 0; v < must_be.size(); ++v)
            if (must_be[v]) stored[v] = 1;
    }
    constexpr void find_groups() {
        groups.reserve(clusters.size() + 16);
        links.reserve(256);
        todo.reserve(64);
        computed_again.reserve(64);
        for (std::size_t c = 0; c < clusters.size(); ++c) {
            if (clusters[c].merged >= 0) continue;
            groups.push_back({static_cast<int>(c), -1, clusters[c].stage, {}, 0, false});
            for (int v : clusters[c].members)
                group_of[at_index(v)] = static_cast<int>(groups.size()) - 1;
        }
        for (int i : order) {
            const node& n = node_at(i);
            if (row_of(n).kind != op_class::opaque) continue;
            int v = n.results.first, k = static_cast<int>(groups.size());
            if (n.op == op_of<reshape_row>()) {
                int b = base(g.operands(n)[0]);
                int& lies = lies_in[at_index(v)];
                lies = lies_in[at_index(b)] < 0 ? b : lies_in[at_index(b)];
                continue;
            }
            groups.push_back({-1, i, stage_of[at_index(v)], {}, 0, false});
            for (int r = 0; r < n.results.count; ++r) group_of[at_index(v + r)] = k;
        }
    }
    /// What is stored at first, and what each group then reads: from the last stage to the first.
    constexpr void choose_first() {
        flat_list<int> by_stage(groups.size());
        for (std::size_t i = 0; i < groups.size(); ++i) by_stage[i] = static_cast<int>(i);
        std::sort(by_stage.begin(), by_stage.end(), [&](int a, int b) {
            int s = groups[at_index(a)].stage, t = groups[at_index(b)].stage;
            return s != t ? s > t : a > b;
        });
        walked w;
        w.reads.reserve(16);
        choosing = true;
        for (int k : by_stage) {
            walk(k, w);
            set_reads(k, w.reads);
            groups[at_index(k)].cost = w.cost;
            groups[at_index(k)].kernel = w.kernel;
        }
        choosing = false;
    }

    bool choosing = false;  // what is not cheap becomes stored where it is reached
    flat_list<fixed_list<int, 2>> computed_again;  // in choose_first: a value, a group

    constexpr void reach(int k, int v, bool from_memory, walked& w) {
        if (seen[at_index(v)] == epoch && !from_memory) return;
        role r = roles[at_index(v)];
        if (r == role::number) return;
        if (r == role::opaque && lies_in[at_index(v)] >= 0) {
            v = lies_in[at_index(v)];
            r = roles[at_index(v)];
            from_memory = true;
        }
        if (!from_memory) seen[at_index(v)] = epoch;
        const bool computes = r >= role::made;
        if (computes && !from_memory && group_of[at_index(v)] == k) {
            todo.push_back(v);
            return;
        }
        const bool there = loadable(v, k);
        if (computes && !from_memory) {
            const group& u = groups[at_index(k)];
            if (r == role::made) {
                bool again = !there || !stored[at_index(v)];
                if (choosing && again && there)
                    again = ready[at_index(v)] <= u.stage &&
                            (inline_cost[at_index(v)] <= cheap || uses[at_index(v)] == 1 ||
                             (g.type_of(v).rank == 0 && kind(v) == op_class::elementwise));
                if (again) {
                    if (choosing) computed_again.push_back({v, k});
                    todo.push_back(v);
                    return;
                }
            }
        }
        // What is read from memory may be computed, too: of a table, a kernel reads other elements than its own.
        w.tables = w.tables || from_memory;
        if (w.tables && std::find(w.reads.begin(), w.reads.end(), v) != w.reads.end()) return;
        if (choosing && computes) stored[at_index(v)] = 1;
        w.legal = w.legal && there;
        w.reads.push_back(v);
        w.cost += bytes(v);
    }
};

}  // namespace etch::detail
