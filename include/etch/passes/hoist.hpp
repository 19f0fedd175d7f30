// SPDX-License-Identifier: MIT
// Products out of loops. Before: a simplified graph. After: an equal program in which a product that does not wait for
// what its loop carries is one product for all steps, before the loop or after it (Theano: scan's push-out rewrites):
//   before  what only slices and outer values lead to, matmul(x_t, w): a product of the whole sequence, sliced
//   after   what is stacked and no later step reads, matmul(h_t, v): a product of the stack
//   sums    a carried value that only grows by what a step adds, as weights' gradients do: one product whose inner axis
//           runs over the steps too
// It stands after simplify, which shows what is dead and what is equal, and before fusion, for which the loop's body
// is kernels of every step.
#pragma once
#include <algorithm>

#include <etch/passes/dead_code.hpp>
#include <etch/passes/substitute.hpp>

namespace etch {

namespace detail {

/// Values of a loop's body for all of its steps at once, along a new first axis.
class all_steps {
public:
    constexpr all_steps(graph& graph_in, int loop_in, extent steps_in)
        : g(graph_in), loop(loop_in), steps(steps_in) {}

    /// From now on `all` stands for body value v.
    constexpr void know(int v, expr all) {
        if (known.size() <= at(v)) known.resize(std::max(at(v) + 1, g.values.size()), -1);
        known[at(v)] = all.id;
    }
    constexpr bool knows(int v) const { return at(v) < known.size() && known[at(v)] >= 0; }
    /// What is known, to come back to.
    constexpr const flat_list<int>& state() const { return known; }
    constexpr void restore(const flat_list<int>& state) { known = state; }
    constexpr bool varies(int v) const { return inside(g, g.node_of(v).loop, loop); }
    constexpr type over_steps(const type& t) const {
        type r{t.element, 0, {}};
        r.push(steps);
        for (int i = 0; i < t.rank; ++i) r.push(t[i]);
        return r;
    }

    /// {steps, shape of v}; not valid where an op on the way has no form for all steps.
    constexpr expr of(int v) {
        if (knows(v)) return {&g, known[at(v)]};
        if (g.type_of(v).rank == max_rank) return poison(&g);
        if (!varies(v)) return broadcast({&g, v}, over_steps(g.type_of(v)));
        const node n = g.node_of(v);
        if (n.loop != loop) return poison(&g);
        expr all = computed(n);
        if (all.valid()) know(v, all);
        return all;
    }
    /// The sum of v over the steps, in v's shape.
    constexpr expr sum_of(int v) {
        if (!varies(v)) return poison(&g);
        const node n = g.node_of(v);
        const flat_list<int> x(g.operands(n).begin(), g.operands(n).end());
        if (!knows(v) && n.op == op_of<add_row>() && varies(x[0]) && varies(x[1])) {
            expr a = sum_of(x[0]), b = sum_of(x[1]);
            return a.valid() && b.valid() ? apply<add_row>({a, b}) : poison(&g);
        }
        if (n.op == op_of<dot_row>() && g.type_of(v).rank == 2 && varies(x[0]) && varies(x[1]))
            return joined_product(x[0], x[1]);
        if (!knows(v) && n.op == op_of<scatter_add_row>() && g.attributes(n)[0] == 0) {
            expr added = of(x[0]), index = of(x[1]);
            if (!added.valid() || !index.valid()) return poison(&g);
            const words a(g.attributes(n).begin(), g.attributes(n).end());
            int ids[] = {added.id, index.id};
            return apply<scatter_add_row>(g, ids, a);
        }
        words axes_of_all{0};
        int from = v;
        if (!knows(v) && n.op == op_of<sum_row>()) {
            for (auto a : g.attributes(n)) axes_of_all.push_back(a + 1);
            from = x[0];
        }
        expr all = of(from);
        return all.valid() ? view<sum_row>(all, axes_of_all) : all;
    }

private:
    graph& g;
    int loop;
    extent steps;
    flat_list<int> known;  // by body value, -1: not known yet

    static constexpr std::size_t at(int i) { return static_cast<std::size_t>(i); }

    constexpr expr reshaped(expr x, std::initializer_list<extent> shape) {
        flat_list<dim> dims;
        for (extent e : shape) dims.push_back({&g, e});
        return reshape(x, flat_view<const dim>(dims));
    }
    constexpr expr computed(const node& n) {
        const words a(g.attributes(n).begin(), g.attributes(n).end());
        const flat_list<int> operands(g.operands(n).begin(), g.operands(n).end());
        const type t = g.type_of(n.results.first);
        op_class kind = row_of(n).kind;
        if (n.op == op_of<dot_row>()) return product(operands[0], operands[1], t);
        if (n.op == op_of<take_row>()) {
            if (a[0] != 0 || varies(operands[0])) return poison(&g);
            expr index = of(operands[1]);
            int ids[] = {operands[0], index.id};
            return index.valid() ? apply<take_row>(g, ids, a) : index;
        }
        words b;
        if (n.op == op_of<transpose_row>())
            b.push_back(0);
        else if (n.op == op_of<broadcast_to_row>())
            b.push_back(steps.code);
        bool extents = n.op == op_of<broadcast_to_row>() || kind == op_class::elementwise;
        if (!extents && kind != op_class::reduction && n.op != op_of<transpose_row>() &&
            n.op != op_of<expand_dims_row>() && n.op != op_of<squeeze_row>())
            return poison(&g);
        for (auto word : a) b.push_back(extents ? word : word + 1);
        flat_list<int> ids;
        for (int u : operands) {
            expr x = of(u);
            if (!x.valid()) return x;
            ids.push_back(x.id);
        }
        type result = over_steps(t);
        return {&g, g.append(n.op, ids, b, flat_view<const type>(&result, 1))};
    }
    /// Of matrices only. Where one factor is the same in all steps, their rows are those of one matrix.
    constexpr expr product(int x, int y, const type& t) {
        if (t.rank != 2) return poison(&g);
        extent m = t[0], n = t[1], k = g.type_of(x)[1];
        expr a = of(x), b = of(y);
        if (!a.valid() || !b.valid()) return poison(&g);
        if (varies(y)) return apply<dot_row>({a, b});
        expr rows = apply<dot_row>({reshaped(a, {g.multiply(steps, m), k}), expr{&g, y}});
        return reshaped(rows, {steps, m, n});
    }
    /// The sum over steps of x_t y_t, as one product whose inner axis is (step, inner axis).
    constexpr expr joined_product(int x, int y) {
        extent m = g.type_of(x)[0], k = g.type_of(x)[1], n = g.type_of(y)[1];
        extent inner = g.multiply(steps, k);
        const node left = g.node_of(x);
        expr a;
        if (left.op == op_of<transpose_row>()) {
            a = of(g.operands(left)[0]);
            if (a.valid()) a = matrix_transpose(reshaped(a, {inner, m}));
        } else {
            a = of(x);
            if (a.valid()) a = reshaped(transpose(a, {1, 0, 2}), {m, inner});
        }
        expr b = of(y);
        if (!a.valid() || !b.valid()) return poison(&g);
        return apply<dot_row>({a, reshaped(b, {inner, n})});
    }
};

/// One loop of a graph, taken apart and made anew.
class loop_hoister {
public:
    constexpr loop_hoister(graph& graph_in, int node_in)
        : g(graph_in),
          scan(g.nodes[at(node_in)]),
          attributes(g.attributes(scan).begin(), g.attributes(scan).end()),
          operands(g.operands(scan).begin(), g.operands(scan).end()),
          l{attributes},
          live(live_values(g)),
          all(g, l.loop(), l.steps()) {}

    /// What stands for the scan's results afterwards; empty where nothing can leave the loop.
    constexpr flat_list<replacement> run() {
        find_body();
        for (int s = 0; s < l.sequences(); ++s) all.know(l.slice(s), {&g, operands[at(s)]});
        for (int v : body_roots()) take_out_before(v);
        take_out_sums();
        take_out_stacks();
        if (before.empty() && after.empty()) return {};
        return rebuild();
    }

private:
    graph& g;
    const node scan;
    const words attributes;
    const flat_list<int> operands;
    loop_view l;
    flat_list<char> live;
    all_steps all;
    flat_list<int> uses;         // by value: in the body
    flat_list<char> waits;       // by value: for what is carried
    flat_list<char> multiplies;  // by value: a product leads to it
    flat_list<char> tried;
    flat_list<char> in_loop;        // by value: computed in every step all the same
    flat_list<replacement> before;  // body value -> slice of what stands before the loop
    flat_list<int> new_sequences;   // for each of them
    struct leaving {
        int result;  // of the scan
        expr value;
    };
    flat_list<leaving> after;
    flat_list<char> summed;     // carries that leave
    flat_list<int> stacked;     // body values that the loop stacks
    flat_list<expr> stand_ins;  // for their stacks, until there are some

    static constexpr std::size_t at(int i) { return static_cast<std::size_t>(i); }
    constexpr bool in_body(int v) const { return inside(g, g.node_of(v).loop, l.loop()); }
    constexpr bool is_live_stack(int s) const {
        return live[at(scan.results.first + l.carries() + s)] != 0;
    }
    constexpr flat_list<int> body_roots() const {
        flat_list<int> roots;
        for (int c = 0; c < l.carries(); ++c) roots.push_back(l.next(c));
        for (int s = 0; s < l.stacks(); ++s)
            if (is_live_stack(s)) roots.push_back(l.stacked(s));
        return roots;
    }
    constexpr void find_body() {
        std::size_t n = g.values.size();
        uses.assign(n, 0), waits.assign(n, 0), multiplies.assign(n, 0), tried.assign(n, 0);
        in_loop.assign(n, 0), summed.assign(at(l.carries()), 0);
        for (int c = 0; c < l.carries(); ++c) waits[at(l.carry(c))] = 1;
        for (const node& k : g.nodes) {
            if (!inside(g, k.loop, l.loop())) continue;
            for (int r = 0; r < k.results.count; ++r) {
                int v = k.results.first + r;
                if (!live[at(v)]) continue;
                if (k.op == op_of<dot_row>()) multiplies[at(v)] = 1;
                for (int u : g.operands(k)) {
                    if (r == 0) ++uses[at(u)];
                    if (waits[at(u)]) waits[at(v)] = 1;
                    if (in_body(u) && multiplies[at(u)]) multiplies[at(v)] = 1;
                }
            }
        }
        for (int v : body_roots()) ++uses[at(v)];
    }
    /// The largest values beneath v that do not wait, and that a product leads to.
    constexpr void take_out_before(int v) {
        if (tried[at(v)] || !in_body(v) || !multiplies[at(v)]) return;
        tried[at(v)] = 1;
        const node n = g.node_of(v);
        if (!waits[at(v)] && n.loop == l.loop()) {
            expr whole = all.of(v);
            if (whole.valid()) {
                before.push_back({{&g, v}, placeholder(g, g.type_of(v), l.loop())});
                new_sequences.push_back(whole.id);
                return;
            }
        }
        const flat_list<int> xs(g.operands(n).begin(), g.operands(n).end());
        for (int u : xs) take_out_before(u);
    }
    constexpr void stay(int v) {
        flat_list<int> todo{v};
        while (!todo.empty()) {
            int u = todo.back();
            todo.pop_back();
            if (!in_body(u) || in_loop[at(u)]) continue;
            in_loop[at(u)] = 1;
            for (int w : g.operands(g.node_of(u))) todo.push_back(w);
        }
    }
    /// What a step adds to carry c, where that is all that happens to it; else -1.
    constexpr int grows_by(int c) const {
        int carry = l.carry(c), next = l.next(c);
        const node n = g.node_of(next);
        if (n.op != op_of<add_row>() || uses[at(carry)] != 1 || uses[at(next)] != 1) return -1;
        auto x = g.operands(n);
        return x[0] == carry ? x[1] : x[1] == carry ? x[0] : -1;
    }
    /// First those that a product leads to; then others, of which all that they need is stacked by now.
    constexpr void take_out_sums() {
        flat_list<int> growing;
        for (int c = 0; c < l.carries(); ++c)
            if (grows_by(c) < 0)
                stay(l.next(c));
            else
                growing.push_back(c);
        auto left = at(l.carries());
        for (bool products : {true, false})
            for (int c : growing) {
                int added = grows_by(c);
                if (summed[at(c)] || left == 1 || multiplies[at(added)] != products) continue;
                if (products && in_loop[at(added)]) continue;
                expr sum = attempt(added, true, products);
                if (!sum.valid()) continue;
                --left;
                summed[at(c)] = 1;
                after.push_back({scan.results.first + c,
                                 apply<add_row>({{&g, operands[at(l.sequences() + c)]}, sum})});
            }
        for (int c : growing)
            if (!summed[at(c)]) stay(l.next(c));
    }
    constexpr void take_out_stacks() {
        for (int s = 0; s < l.stacks(); ++s) {
            int v = l.stacked(s);
            if (!is_live_stack(s)) continue;
            expr whole = poison(&g);
            if (in_body(v) && !in_loop[at(v)] && multiplies[at(v)]) whole = attempt(v, false, true);
            if (whole.valid())
                after.push_back({scan.results.first + l.carries() + s, whole});
            else
                stay(v);
        }
    }
    /// v for all steps, or the sum of that. Where it fails, nothing more is stacked than before.
    constexpr expr attempt(int v, bool summed_up, bool may_stack) {
        auto stacks = stacked.size();
        const flat_list<int> known = all.state();
        expr e = poison(&g);
        if (frontier(v) && (may_stack || stacked.size() == stacks))
            e = summed_up ? all.sum_of(v) : all.of(v);
        if (!e.valid()) {
            stacked.resize(stacks);
            stand_ins.resize(stacks);
            all.restore(known);
        }
        return e;
    }
    /// Makes known what a value after the loop begins with: stacks of what the loop computes all the same.
    constexpr bool frontier(int root) {
        flat_list<int> todo{root};
        flat_list<char> seen(g.values.size(), 0);
        while (!todo.empty()) {
            int v = todo.back();
            todo.pop_back();
            if (!in_body(v) || all.knows(v) || seen[at(v)]) continue;
            seen[at(v)] = 1;
            const node n = g.node_of(v);
            if (in_loop[at(v)] || n.op == op_of<placeholder_row>()) {
                if (g.type_of(v).rank == max_rank) return false;
                stack(v);
                continue;
            }
            if (n.loop != l.loop()) return false;
            for (int u : g.operands(n)) todo.push_back(u);
        }
        return true;
    }
    constexpr void stack(int v) {
        int outer = g.loop_parents[at(l.loop())];
        stacked.push_back(v);
        stand_ins.push_back(placeholder(g, all.over_steps(g.type_of(v)), outer));
        all.know(v, stand_ins.back());
    }

    constexpr flat_list<replacement> rebuild() {
        flat_list<int> sequences(operands.begin(), operands.begin() + l.sequences());
        flat_list<int> slices, first, carries, kept_carries, kept_stacks;
        for (int s = 0; s < l.sequences(); ++s) slices.push_back(l.slice(s));
        for (std::size_t i = 0; i < before.size(); ++i) {
            sequences.push_back(new_sequences[i]);
            slices.push_back(before[i].fresh.id);
        }
        expr_list body;
        for (int c = 0; c < l.carries(); ++c) {
            if (summed[at(c)]) continue;
            kept_carries.push_back(c);
            carries.push_back(l.carry(c));
            first.push_back(operands[at(l.sequences() + c)]);
            body.push_back({&g, l.next(c)});
        }
        for (int s = 0; s < l.stacks(); ++s) {
            int result = scan.results.first + l.carries() + s;
            bool leaves = !is_live_stack(s);
            for (const auto& x : after) leaves = leaves || x.result == result;
            if (leaves) continue;
            kept_stacks.push_back(result);
            body.push_back({&g, l.stacked(s)});
        }
        for (int v : stacked) body.push_back({&g, v});
        body = substitute(body, before);
        flat_list<int> next, stacks;
        for (std::size_t i = 0; i < body.size(); ++i)
            (i < carries.size() ? next : stacks).push_back(body[i].id);
        expr fresh = make_scan(g, l.loop(), l.reverse(), l.steps(), sequences, first, slices,
                               carries, next, stacks);
        flat_list<replacement> stacks_now, result;
        int position = fresh.id;
        for (int c : kept_carries)
            result.push_back({{&g, scan.results.first + c}, {&g, position++}});
        for (int s : kept_stacks) result.push_back({{&g, s}, {&g, position++}});
        for (expr e : stand_ins) stacks_now.push_back({e, {&g, position++}});
        expr_list values;
        for (const auto& x : after) values.push_back(x.value);
        values = substitute(values, stacks_now);
        for (std::size_t i = 0; i < after.size(); ++i)
            result.push_back({{&g, after[i].result}, values[i]});
        return result;
    }
};

}  // namespace detail

/// Rewrites `g` itself; what it replaced stays behind as dead code. Says whether it found anything.
constexpr bool hoist(graph& g) {
    if (g.loop_parents.empty()) return false;
    bool any = false;
    g.depth = 1;  // nodes belong to the line of their loop
    for (std::size_t i = 0; i < g.nodes.size(); ++i) {
        const node n = g.nodes[i];
        if (n.op != op_of<scan_row>()) continue;
        auto live = detail::live_values(g);
        bool needed = false;
        for (int r = 0; r < n.results.count; ++r)
            needed = needed || live[static_cast<std::size_t>(n.results.first + r)];
        if (!needed) continue;
        g.file = n.file;
        g.line = n.line;
        auto pairs = detail::loop_hoister(g, static_cast<int>(i)).run();
        if (pairs.empty()) continue;
        any = true;
        expr_list roots;
        for (const auto& o : g.outputs) roots.push_back({&g, o.value});
        for (const auto& p : g.parameters)
            if (p.update >= 0) roots.push_back({&g, p.update});
        roots = substitute(roots, pairs);
        std::size_t k = 0;
        for (auto& o : g.outputs) o.value = roots[k++].id;
        for (auto& p : g.parameters)
            if (p.update >= 0) p.update = roots[k++].id;
    }
    return any;
}

}  // namespace etch
