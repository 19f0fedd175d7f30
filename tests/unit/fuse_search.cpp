// SPDX-License-Identifier: MIT
// How good the search of passes/fuse.hpp is: on small programs every legal grouping is tried, with every choice of what is
// stored, and the cheapest is compared with what the search found.
#include "catch.hpp"

#include <iostream>
#include <limits>
#include <optional>

#include <etch/language.hpp>

#include "reference/random_program.hpp"

namespace {

using etch::graph;
using etch::detail::at_index;
using etch::detail::fusion;
using etch::detail::role;

struct region {
    graph g;
    std::vector<int> roots, updates;
    explicit region(const graph& model) {
        etch::simplify(model, g, {});
        for (const auto& o : g.outputs) roots.push_back(o.value);
        for (const auto& p : g.parameters)
            if (p.update >= 0) updates.push_back(p.update);
    }
};
std::vector<int> computed_values(const fusion& f) {
    std::vector<int> all;
    for (int n : f.order)
        if (int v = f.node_at(n).results.first; f.computed(v)) all.push_back(v);
    return all;
}

/// Groupings that are reached from a cluster for each value: it stays alone, or joins one before it.
class every_grouping {
public:
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    int groupings = 0;

    explicit every_grouping(region& r) {
        fusion f(fusion::each_alone{}, r.g, -1, r.roots, r.updates);
        values = computed_values(f);
        for (int v : values)
            if (f.roles[at_index(v)] == role::made && !f.must_be[at_index(v)]) free.push_back(v);
        visit(f, 0);
    }

private:
    std::vector<int> values, free;

    void visit(const fusion& f, std::size_t next) {
        if (next == values.size()) {
            ++groupings;
            for (unsigned choice = 0; choice < 1u << free.size(); ++choice)
                if (auto cost = cost_of(f, choice)) least = std::min(least, *cost);
            return;
        }
        visit(f, next + 1);
        std::vector<int> tried;
        for (std::size_t k = 0; k < next; ++k) {
            int i = f.group_of[at_index(values[k])], j = f.group_of[at_index(values[next])];
            if (std::find(tried.begin(), tried.end(), i) != tried.end()) continue;
            tried.push_back(i);
            fusion joined = f;
            if (joined.join(i, j, true)) visit(joined, next + 1);
        }
    }
    /// What the grouping costs where these of the free values are stored, the others computed by each that needs them.
    std::optional<std::int64_t> cost_of(fusion f, unsigned choice) const {
        for (int v : values) f.stored[at_index(v)] = f.must_be[at_index(v)];
        for (std::size_t k = 0; k < free.size(); ++k)
            if (choice >> k & 1) f.stored[at_index(free[k])] = 1;
        std::vector<int> late(f.groups.size());
        for (std::size_t k = 0; k < late.size(); ++k) late[k] = static_cast<int>(k);
        std::stable_sort(late.begin(), late.end(), [&](int a, int b) {
            return f.groups[at_index(a)].stage > f.groups[at_index(b)].stage;
        });
        fusion::walked w;
        for (int k : late) {
            f.walk(k, w);
            if (!w.legal) return {};
            f.set_reads(k, w.reads);
            f.groups[at_index(k)].cost = w.cost;
            for (int v : w.reads)
                if (f.computed(v)) f.stored[at_index(v)] = 1;
        }
        for (int k : late)
            if (f.is_cluster(k) && !f.in_order(k)) return {};
        return f.total_cost();
    }
};

struct comparison {
    std::int64_t found, least;
    int groupings;
};
std::optional<comparison> compared(const graph& model, std::size_t most) {
    region r(model);
    fusion f(r.g, -1, r.roots, r.updates);
    auto n = computed_values(f).size();
    if (n < 2 || n > most) return {};
    every_grouping all(r);
    return comparison{f.total_cost(), all.least, all.groupings};
}

}  // namespace

TEST_CASE("what the search of fuse finds is near the cheapest of all groupings") {
    int programs = 0, optimal = 0, groupings = 0;
    double worst = 1;
    for (std::uint64_t seed = 0; programs < 400; ++seed) {
        graph g;
        reference::random_program(
            g, 5'000'000 + seed,
            {.least_ops = 2, .most_ops = 6, .gradients = seed % 3 == 0, .scans = false});
        auto c = compared(g, 8);
        if (!c || c->groupings < 2) continue;
        ++programs;
        groupings += c->groupings;
        double ratio = static_cast<double>(c->found) / static_cast<double>(c->least);
        optimal += c->found <= c->least;
        if (ratio > 1) UNSCOPED_INFO("seed " << seed << ": " << ratio);
        worst = std::max(worst, ratio);
    }
    std::cout << programs << " programs, " << groupings << " groupings: " << optimal
              << " cheapest, worst " << worst << '\n';
    CHECK(groupings > 10'000);
    CHECK(optimal >= 396);
    CHECK(worst < 1.3);
}
