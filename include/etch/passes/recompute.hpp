// SPDX-License-Identifier: MIT
// Values that a derivative computes again instead of keeping them. Before: a graph with values that `checkpoint` marked.
// After, for one of them and its cotangent: the same graph with a copy of what led to the mark appended, which begins
// when the cotangent is known. The derivative is taken through the copy, so that the values between two marks
// need not live until then.
#pragma once
#include <algorithm>

#include <etch/ops/table.hpp>

namespace etch::detail {

// The second attribute of an identity, the first being its ordinal.
inline constexpr std::int64_t recomputed_mark = 1;  // the result of checkpoint
inline constexpr std::int64_t kept_mark = 2;  // one of the values that a recomputation begins with

constexpr bool is_marked(const graph& g, int v, std::int64_t mark) {
    const node& n = g.node_of(v);
    auto a = g.attributes(n);
    return n.op == op_of<identity_row>() && a.size() == 2 && a[1] == mark;
}
constexpr expr marked(expr x, std::int64_t mark) {
    std::int64_t a[] = {x.g->ordinal++, mark};
    int id[] = {x.id};
    return apply<identity_row>(*x.g, id, a);
}
/// Whether v is more than constants and extents: then it is not known before the forward values are.
constexpr bool is_computed_from_something(const graph& g, int v) {
    flat_list<int> todo{v};
    flat_list<char> seen(g.nodes.size(), 0);
    while (!todo.empty()) {
        int u = todo.back();
        todo.pop_back();
        const node& n = g.node_of(u);
        auto i = static_cast<std::size_t>(g.values[static_cast<std::size_t>(u)].node);
        if (seen[i]) continue;
        seen[i] = 1;
        if (n.op == op_of<input_row>() || n.op == op_of<parameter_row>() ||
            n.op == op_of<placeholder_row>())
            return true;
        for (int w : g.operands(n)) todo.push_back(w);
    }
    return false;
}

/// What lies between a marked value and what a recomputation begins with.
struct recomputed_region {
    flat_list<int> nodes;   // in order
    flat_list<int> begins;  // values that the copy reads late
    flat_list<int> leaves;  // values that it reads as they are: parameters, constants, draws
};
constexpr recomputed_region region_beneath(const graph& g, int v) {
    recomputed_region r;
    flat_list<char> seen(g.values.size(), 0), taken(g.nodes.size(), 0);
    flat_list<int> todo{v};
    while (!todo.empty()) {
        int u = todo.back();
        todo.pop_back();
        if (seen[static_cast<std::size_t>(u)]) continue;
        seen[static_cast<std::size_t>(u)] = 1;
        const node& n = g.node_of(u);
        bool begin = is_marked(g, u, recomputed_mark) || is_marked(g, u, kept_mark) ||
                     n.op == op_of<input_row>() || n.op == op_of<placeholder_row>() ||
                     n.op == op_of<scan_row>();  // a loop is not run again
        if (begin) {
            r.begins.push_back(u);
        } else if (n.operands.count == 0) {
            r.leaves.push_back(u);
        } else {
            int i = g.values[static_cast<std::size_t>(u)].node;
            if (!taken[static_cast<std::size_t>(i)]) r.nodes.push_back(i);
            taken[static_cast<std::size_t>(i)] = 1;
            for (int w : g.operands(n)) todo.push_back(w);
        }
    }
    std::sort(r.nodes.begin(), r.nodes.end());
    return r;
}

/// A bool of rank 0 that is false, and that nothing but the value of dy tells: no rule knows the sign of |x|. A named axis
/// may be empty: it is summed, of the others the first element is read.
constexpr expr never(graph& g, expr dy) {
    type t = dy.of();
    words first, ones, named;
    for (int axis = 0; axis < t.rank; ++axis) {
        bool one = t[axis].is_static() && t[axis].code > 0;
        first.append(words{0, 1, one ? 1 : t[axis].code});
        (one ? ones : named).push_back(axis);
    }
    expr x = t.rank > 0 ? view<slice_row>(dy, first) : dy;
    words rest;  // the named axes, once the others are gone
    for (auto axis : named) {
        auto before = std::int64_t{0};
        for (auto a : ones) before += a < axis;
        rest.push_back(axis - before);
    }
    if (!ones.empty()) x = view<squeeze_row>(x, ones);
    if (!rest.empty()) x = view<sum_row>(x, rest);
    expr size = apply<abs_row>({x});
    return apply<less_row>({size, scalar(g, t.element, 0)});
}
/// x, but not before dy is known: where(never, 0, x). The formula has x's derivative, to any order.
constexpr expr after(graph& g, expr x, expr never_true) {
    type t = x.of(), condition = t;
    condition.element = dtype::boolean;
    return apply<where_row>(
        {broadcast(never_true, condition), broadcast(constant_word(g, t.element, 0), t), x});
}

/// The copy of a region: for each of its values, which value of the copy it is, and the copied nodes in order.
struct recomputed_copy {
    flat_list<int> nodes;
    flat_list<int> now;
    constexpr int of(int v) const { return now[static_cast<std::size_t>(v)]; }
};
constexpr recomputed_copy copy_region(graph& g, const recomputed_region& r, expr dy) {
    recomputed_copy c;
    c.now.assign(g.values.size(), -1);
    expr never_true = never(g, dy);
    for (int v : r.leaves) c.now[static_cast<std::size_t>(v)] = v;
    for (int v : r.begins) c.now[static_cast<std::size_t>(v)] = after(g, {&g, v}, never_true).id;
    for (int i : r.nodes) {
        const node n = g.nodes[static_cast<std::size_t>(i)];
        flat_list<int> operands;
        flat_list<type> results;
        for (int u : g.operands(n)) operands.push_back(c.of(u));
        for (int k = 0; k < n.results.count; ++k) results.push_back(g.type_of(n.results.first + k));
        words a(g.attributes(n).begin(), g.attributes(n).end());
        int fresh = g.append(n.op, operands, a, results);
        for (int k = 0; k < n.results.count; ++k)
            c.now[static_cast<std::size_t>(n.results.first + k)] = fresh + k;
        c.nodes.push_back(g.values[static_cast<std::size_t>(fresh)].node);
    }
    std::sort(c.nodes.begin(),
              c.nodes.end());  // what does not depend on the beginning is not copied
    return c;
}

/// How a derivative is taken: in the body of a loop, of whose nodes alone; over some of the nodes alone, in order; with
/// marked values computed again, or as if they were none.
struct propagation {
    int loop = -1;
    flat_view<const int> only{};
    bool recompute = true;
};
/// Part of the cotangent of value `to`.
struct summand {
    int to, cotangent;
};

}  // namespace etch::detail
