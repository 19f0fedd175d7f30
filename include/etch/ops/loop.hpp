// SPDX-License-Identifier: MIT
// scan: a loop over the first axis of sequences that carries values from step to step. It stays one node. Its body lies
// in the same arena, over placeholders of the loop; what the body reads from outside becomes an operand.
// Operands: sequences, first carries, captured values. Results: last carries, then one stack a stacked value.
// Attributes: {loop, reverse, steps, sequences, carries, stacks, captured}, the placeholders of the sequences' slices
// and of the carries, then the body's values: next carries and what is stacked.
#pragma once
#include <algorithm>

#include <etch/ops/random.hpp>

namespace etch {

/// scan's attributes, read.
struct loop_view {
    flat_view<const std::int64_t> words;
    constexpr int loop() const { return static_cast<int>(words[0]); }
    constexpr bool reverse() const { return words[1] != 0; }
    constexpr extent steps() const { return {words[2]}; }
    constexpr int sequences() const { return static_cast<int>(words[3]); }
    constexpr int carries() const { return static_cast<int>(words[4]); }
    constexpr int stacks() const { return static_cast<int>(words[5]); }
    constexpr int captured() const { return static_cast<int>(words[6]); }
    static constexpr int header = 7;
    constexpr int at(int i) const {
        return static_cast<int>(words[static_cast<std::size_t>(header + i)]);
    }
    constexpr int slice(int i) const { return at(i); }
    constexpr int carry(int i) const { return at(sequences() + i); }
    constexpr int next(int i) const { return at(sequences() + carries() + i); }
    constexpr int stacked(int i) const { return at(sequences() + 2 * carries() + i); }
};

struct scan_row : any_row {
    static constexpr std::string_view name = "scan";
    static constexpr int arity = -1;
    static constexpr op_class kind = op_class::opaque;
    static constexpr std::string_view cuda = "";
    static constexpr type infer(inference& i) {  // of the first result; detail::scan_types has all
        loop_view l{i.attributes};
        return l.carries() ? i.g.type_of(l.carry(0)) : type{};
    }
    template <class E> static constexpr E derivative(const pullback<E>& p) {
        return p
            .dy();  // never asked: passes/derivative.hpp has the rule, which answers for all operands at once
    }
};

namespace detail {

constexpr bool inside(const graph& g, int loop, int outer) {
    for (; loop >= 0; loop = g.loop_parents[static_cast<std::size_t>(loop)])
        if (loop == outer) return true;
    return false;
}

/// The values outside of the loop that its body reads, constants and extents excepted.
constexpr flat_list<int> captured_values(const graph& g, int loop, flat_view<const int> body) {
    flat_list<int> found, todo(body.begin(), body.end());
    flat_list<char> seen(g.values.size(), 0);
    while (!todo.empty()) {
        int v = todo.back();
        todo.pop_back();
        if (seen[static_cast<std::size_t>(v)]) continue;
        seen[static_cast<std::size_t>(v)] = 1;
        const node& n = g.node_of(v);
        if (inside(g, n.loop, loop)) {
            for (int u : g.operands(n)) todo.push_back(u);
            continue;
        }
        if (n.op == op_of_constant() || n.op == op_of_extent()) continue;
        auto place = found.begin();
        while (place != found.end() && *place < v) ++place;
        found.insert(place, v);
    }
    return found;
}

constexpr op_class kind_of(op_id op);  // in ops/table.hpp, which knows all rows

/// What the body computes at some cost, through a product, a reduction or the like: a derivative rather reads it from a
/// stack than computes it again. Stacks that nothing reads are dropped with other dead code.
constexpr flat_list<int> costly_values(const graph& g, int loop, flat_view<const int> body) {
    flat_list<int> todo(body.begin(), body.end()), costly;
    flat_list<char> live(g.values.size(), 0), cost(g.values.size(), 0);
    while (!todo.empty()) {
        int v = todo.back();
        todo.pop_back();
        const node& n = g.node_of(v);
        if (live[static_cast<std::size_t>(v)] || n.loop != loop) continue;
        live[static_cast<std::size_t>(v)] = 1;
        for (int u : g.operands(n)) todo.push_back(u);
    }
    for (int v = 0; v < static_cast<int>(g.values.size()); ++v) {
        if (!live[static_cast<std::size_t>(v)]) continue;
        const node& n = g.node_of(v);
        op_class kind = kind_of(n.op);
        bool is_costly = kind == op_class::opaque || kind == op_class::reduction;
        for (int u : g.operands(n)) is_costly = is_costly || cost[static_cast<std::size_t>(u)];
        cost[static_cast<std::size_t>(v)] = is_costly;
        if (is_costly && kind != op_class::view && g.type_of(v).rank < max_rank)
            costly.push_back(v);
    }
    return costly;
}

/// Appends a scan whose body is written already. `slices` and `carries` are placeholders of the loop.
constexpr expr make_scan(graph& g, int loop, bool reverse, extent steps,
                         flat_view<const int> sequences, flat_view<const int> first,
                         flat_view<const int> slices, flat_view<const int> carries,
                         flat_view<const int> next, flat_view<const int> stacked) {
    flat_list<int> body(next.begin(), next.end());
    body.append(stacked);
    auto captured = captured_values(g, loop, body);
    words a{loop,
            reverse ? 1 : 0,
            steps.code,
            std::ssize(sequences),
            std::ssize(first),
            std::ssize(stacked),
            std::ssize(captured)};
    for (int v : slices) a.push_back(v);
    for (int v : carries) a.push_back(v);
    for (int v : body) a.push_back(v);
    flat_list<int> operands(sequences.begin(), sequences.end());
    operands.append(first);
    operands.append(captured);
    flat_list<type> results;
    for (int v : carries) results.push_back(g.type_of(v));
    for (int v : stacked) {
        type t = g.type_of(v), s{t.element, 0, {}};
        s.push(steps);
        for (int i = 0; i < t.rank; ++i) s.push(t[i]);
        results.push_back(s);
    }
    if (results.empty()) {
        g.fail(text{} << "scan: nothing is carried");
        return poison(&g);
    }
    return {&g, g.append(op_of<scan_row>(), operands, a, results,
                         g.loop_parents[static_cast<std::size_t>(loop)])};
}
/// scan for lists. The first result of the node, or -1 after a mistake; its results are the last carried values, then
/// the stacks of the carried values after each step.
template <class Step>
constexpr int scan_lists(graph& g, Step step, const expr_list& xs, const expr_list& firsts) {
    if (xs.empty() || firsts.empty()) {
        g.fail(text{} << "scan: takes at least one sequence and one carried value");
        return -1;
    }
    for (const expr_list* list : {&xs, &firsts})
        for (expr e : *list)
            if (!tensor(e, "scan", &g).valid()) return -1;
    int outer = g.open_loop, loop = static_cast<int>(g.loop_parents.size());
    g.loop_parents.push_back(outer);
    expr_list slices, carried;
    for (expr x : xs) {
        type t = x.of(), s{t.element, 0, {}};
        if (t.rank == 0) {
            g.fail(text{} << "scan: the sequence has rank 0");
            return -1;
        }
        if (!(t[0] == xs[0].of()[0])) {
            g.fail(text{} << "scan: sequences " << shape_text(g, xs[0].of()) << " and "
                          << shape_text(g, t) << " have different numbers of steps");
            return -1;
        }
        for (int i = 1; i < t.rank; ++i) s.push(t[i]);
        slices.push_back(placeholder(g, s, loop));
    }
    for (expr c : firsts) carried.push_back(placeholder(g, c.of(), loop));
    g.open_loop = loop;
    expr_list results = step(slices, carried);
    g.open_loop = outer;
    if (results.size() != firsts.size()) {
        g.fail(text{} << "scan: the step gives " << results.size() << " values for "
                      << firsts.size() << " carried ones");
        return -1;
    }
    auto ids = [](const expr_list& values) {
        flat_list<int> v;
        for (expr e : values) v.push_back(e.id);
        return v;
    };
    for (std::size_t i = 0; i < firsts.size(); ++i) {
        expr next = results[i], c = firsts[i];
        if (!tensor(next, "scan", &g).valid()) return -1;
        if (next.of() == c.of()) continue;
        g.fail(text{} << "scan: the step gives " << name_of(next.element()) << ' '
                      << shape_text(g, next.of()) << " for a carried " << name_of(c.element())
                      << ' ' << shape_text(g, c.of()));
        return -1;
    }
    // The values before each step and in it are stacked for the derivative; where none reads them they are dropped.
    flat_list<int> next = ids(results), carries = ids(carried), stacked = next;
    stacked.append(carries);
    for (int v : costly_values(g, loop, next))
        if (std::find(next.begin(), next.end(), v) == next.end()) stacked.push_back(v);
    return make_scan(g, loop, false, xs[0].of()[0], ids(xs), ids(firsts), ids(slices), carries,
                     next, stacked)
        .id;
}
}  // namespace detail

/// What scan gives: the carried value after the last step, and its values after each step along a new first axis.
struct scan_result {
    expr last, all;
};
/// The same of several carried values, in their order.
struct scan_results {
    expr_list last, all;
};

/// carried = step(slice, carried) over the first axis of `sequence`: {T, A...} and {B...} -> {B...}, {T, B...}. The
/// step may use any expression of the model; it must give the carried value's shape and dtype back.
template <class Step>
constexpr scan_result scan(Step step, const operand& sequence, const operand& first,
                           std::source_location where = std::source_location::current()) {
    located here(sequence.g ? sequence.g : first.g, where);
    expr xs = detail::tensor(sequence, "scan", first.g),
         c0 = detail::tensor(first, "scan", sequence.g);
    graph& g = *xs.g;
    if (!xs.valid() || !c0.valid()) return {detail::poison(&g), detail::poison(&g)};
    int r = detail::scan_lists(g,
                               [&](const expr_list& slices, const expr_list& carried) {
                                   return expr_list{step(slices[0], carried[0])};
                               },
                               {xs}, {c0});
    return {{&g, r}, {&g, r < 0 ? r : r + 1}};
}
/// The same over several sequences of as many steps, with several carried values: `step(slices, carried)` takes two lists
/// and gives the list of the next carried values.
template <class Step>
constexpr scan_results scan(Step step, const expr_list& sequences, const expr_list& first,
                            std::source_location where = std::source_location::current()) {
    graph& g = detail::graph_of("scan", sequences.empty() ? first : sequences);
    located here(&g, where);
    int r = detail::scan_lists(g, step, sequences, first);
    scan_results result;
    for (int i = 0, n = static_cast<int>(first.size()); i < n; ++i) {
        result.last.push_back({&g, r < 0 ? r : r + i});
        result.all.push_back({&g, r < 0 ? r : r + n + i});
    }
    return result;
}

using loop_rows = rows<scan_row>;

}  // namespace etch
