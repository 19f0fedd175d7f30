// SPDX-License-Identifier: MIT
// Rewriting by rules. Before: a graph with its derivatives and updates. After: an equal program in which no rule of
// passes/rules.hpp applies, without identities and without dead code. It stands after derivation, which needs
// identities and the forms as the user wrote them, and before fusion, which should see the fewest and plainest nodes.
#pragma once
#include <etch/passes/dead_code.hpp>
#include <etch/passes/rules.hpp>
#include <etch/passes/rules/products.hpp>

namespace etch {

struct simplify_options {
    bool assume_finite = false;  // also the rules that are exact for finite values only: x - x -> 0
    bool reassociate = false;    // also the rules that round otherwise: (x * a) * b -> x * (a * b)
};

namespace detail {

/// Brings values of a graph to their simplest form. Each value is looked at once its operands are in theirs; what a
/// rule returns is simplified in turn, with the nodes that the rule made.
class simplifier {
public:
    constexpr simplifier(graph& graph_in, simplify_options options_in)
        : g(graph_in), options(options_in) {}

    constexpr int settle(int root) {
        todo.push_back(root);
        grow();
        while (!todo.empty()) {
            int v = todo.back();
            if (done[v] >= 0) {
                todo.pop_back();
                continue;
            }
            if (follows[v] >= 0) {
                done[v] = done[follows[v]];
                todo.pop_back();
                continue;
            }
            const node n = g.node_of(v);
            bool ready = true, changed = false;
            if (n.op != op_of<scan_row>())
                for (int u : g.operands(n)) {
                    int w = done[u];
                    if (w < 0) todo.push_back(u);
                    ready = ready && w >= 0;
                    changed = changed || w != u;
                }
            if (!ready) continue;
            g.file = n.file;
            g.line = n.line;
            int w = changed ? with_settled_operands(n) : rewrite(v, n.op);
            grow();
            // A rule that leads back to what is being rewritten ends there.
            if (w == v || (follows[w] >= 0 && done[w] < 0)) {
                done[v] = v;
                continue;
            }
            follows[v] = w;
            todo.push_back(w);
        }
        return done[root];
    }

private:
    graph& g;
    simplify_options options;
    flat_list<int> done;     // by value: its simplest form, -1 where not known yet
    flat_list<int> follows;  // by value: what a rule made of it
    flat_list<int> todo, operands;

    static constexpr std::size_t at(int i) { return static_cast<std::size_t>(i); }
    constexpr void grow() {
        if (done.size() == g.values.size()) return;
        done.resize(g.values.size(), -1);
        follows.resize(g.values.size(), -1);
    }
    constexpr int with_settled_operands(const node& n) {
        operands.clear();
        for (int u : g.operands(n)) operands.push_back(done[u]);
        words a(g.attributes(n).begin(), g.attributes(n).end());
        type t = g.type_of(n.results.first);
        return g.append(n.op, operands, a, flat_view<const type>(&t, 1));
    }
    constexpr int rewrite(int v, op_id op) {
        bool number = false;
        for (int u : g.operands(g.node_of(v))) number = number || rules::is_constant_value(g, u);
        for (auto i : rules::index_of(op)) {
            const rule& r = rule_table[i];
            if (r.roots.number && !number) continue;
            if (r.when == rule_class::finite && !options.assume_finite) continue;
            if (r.when == rule_class::rounding && !options.reassociate) continue;
            expr w = r.rewrite(g, v);
            if (!w.valid() || w.id == v) continue;
            if (g.values[w.id].type != g.values[v].type)
                g.fail(text{} << "simplify: the rule " << r.name << " changed a type");
            return w.id;
        }
        return v;
    }
};
}  // namespace detail

/// `from`, simplified, written into the empty graph `to`.
constexpr void simplify(const graph& from, graph& to, simplify_options options = {}) {
    graph work;
    from.share_tables(work);
    work.depth = 1;  // nodes belong to the line of what they replace
    detail::copier c(from, work);
    detail::simplifier s(work, options);
    for (const node& n : from.nodes) {
        if (!c.needs(n)) continue;
        c.copy(n);
        for (int r = 0; r < n.results.count; ++r) {
            int& v = c.now[static_cast<std::size_t>(n.results.first + r)];
            if (v >= 0) v = s.settle(v);
        }
    }
    c.copy_interface();
    work.first_mistake << from.first_mistake.view();
    bool turned = false;
    for (const node& n : work.nodes) turned = turned || rules::turns_product(work, n);
    if (turned) {
        graph clean, products;
        remove_dead_code(work, clean);
        rules::turn_products(clean, products);
        remove_dead_code(products, to);
    } else {
        remove_dead_code(work, to);
    }
    to.first_mistake << work.first_mistake.view();
}

}  // namespace etch
