// SPDX-License-Identifier: MIT
// Transposed products: transpose(dot(a, b)) -> dot(transpose(b), transpose(a)), where nothing else uses the product. A
// product reads transposed factors as they lie, but a transposed result would be copied. Before: a graph without dead
// code. It is no rule, since a rule does not know how often a value is used: a second product would cost more.
#pragma once
#include <etch/passes/dead_code.hpp>
#include <etch/passes/rules/match.hpp>

namespace etch::rules {

/// Whether v is a transposition that exchanges the last two axes.
constexpr bool turns_matrices(const graph& g, int v) {
    if (!is<transpose_row>(g, v)) return false;
    auto order = g.attributes(g.node_of(v));
    auto rank = std::ssize(order);
    for (std::int64_t i = 0; i < rank; ++i) {
        std::int64_t expected = i < rank - 2 ? i : 2 * rank - 3 - i;
        if (order[static_cast<std::size_t>(i)] != expected) return false;
    }
    return rank >= 2;
}
constexpr bool turns_product(const graph& g, const node& n) {
    return n.op == op_of<transpose_row>() && turns_matrices(g, n.results.first) &&
           is<dot_row>(g, g.operands(n)[0]);
}
/// How often each value is read, by nodes, by loops' bodies and from outside.
constexpr flat_list<int> count_uses(const graph& g) {
    flat_list<int> uses(g.values.size(), 0);
    auto use = [&](int v) { ++uses[static_cast<std::size_t>(v)]; };
    for (const node& n : g.nodes)
        for (int u : g.operands(n)) use(u);
    detail::each_handed_on(g, use);
    return uses;
}
/// v, transposed: what v transposes, or a transposition.
constexpr expr turned(graph& g, int v) {
    if (turns_matrices(g, v)) return at(g, operand_of(g, v));
    detail::words order;
    int rank = g.type_of(v).rank;
    for (int i = 0; i < rank - 2; ++i) order.push_back(i);
    order.push_back(rank - 1);
    order.push_back(rank - 2);
    return make<transpose_row>(g, v, order);
}

/// `from`, with its transposed products turned, written into the empty graph `to`.
constexpr void turn_products(const graph& from, graph& to) {
    from.share_tables(to);
    to.depth = 1;
    detail::copier c(from, to);
    auto uses = count_uses(from);
    auto once = [&](int v) { return uses[static_cast<std::size_t>(v)] == 1; };
    for (const node& n : from.nodes) {
        if (!c.needs(n)) continue;
        if (!turns_product(from, n) || !once(from.operands(n)[0])) {
            c.copy(n);
            continue;
        }
        to.file = n.file;
        to.line = n.line;
        int product = from.operands(n)[0];
        expr a = turned(to, c.moved(operand_of(from, product))),
             b = turned(to, c.moved(operand_of(from, product, 1)));
        c.now[static_cast<std::size_t>(n.results.first)] = make<dot_row>(b, a).id;
    }
    c.copy_interface();
}

}  // namespace etch::rules
