// SPDX-License-Identifier: MIT
// A copy of some values over other leaves. Before: any graph. After: the same graph with the copy appended; what does not
// depend on a replaced value is not copied.
#pragma once
#include <etch/ops/table.hpp>

namespace etch {

namespace detail {
constexpr expr_list poisons(graph& g, std::size_t n) { return expr_list(n, poison(&g)); }
}  // namespace detail

/// The same values with others in place of some: every use of a pair's first is a use of its second (Theano:
/// clone(replace=)). A replacement has the type of what it replaces. Random draws stay the draws that they are.
struct replacement {
    expr old, fresh;
};
constexpr expr_list substitute(const expr_list& ys, flat_view<const replacement> pairs,
                               std::source_location where = std::source_location::current()) {
    if (ys.empty()) return {};
    graph& g = detail::graph_of("substitute", ys);
    located here(&g, where);
    int top = -1;
    for (expr y : ys) {
        if (!y.valid()) return detail::poisons(g, ys.size());
        top = y.id > top ? y.id : top;
    }
    flat_list<int> now(static_cast<std::size_t>(top + 1), 0);
    for (int v = 0; v <= top; ++v) now[static_cast<std::size_t>(v)] = v;
    for (const auto& [old, fresh] : pairs) {
        if (!old.valid() || !fresh.valid()) return detail::poisons(g, ys.size());
        if (!(old.of() == fresh.of())) {
            g.fail(text{} << "substitute: " << name_of(old.element()) << ' '
                          << shape_text(g, old.of()) << " is replaced by "
                          << name_of(fresh.element()) << ' ' << shape_text(g, fresh.of()));
            return detail::poisons(g, ys.size());
        }
        if (old.id <= top) now[static_cast<std::size_t>(old.id)] = fresh.id;
    }
    int last = g.values[static_cast<std::size_t>(top)].node;
    for (int i = 0; i <= last; ++i) {
        const node n = g.nodes[static_cast<std::size_t>(i)];
        auto moved = [&](int v) { return v <= top && now[static_cast<std::size_t>(v)] != v; };
        bool changed = false, replaced = false;
        for (int u : g.operands(n)) changed = changed || moved(u);
        detail::words attributes(g.attributes(n).begin(), g.attributes(n).end());
        if (n.op == op_of<scan_row>()) {
            loop_view l{attributes};
            for (int k = l.sequences() + l.carries();
                 k < static_cast<int>(attributes.size()) - loop_view::header; ++k) {
                auto& word = attributes[static_cast<std::size_t>(loop_view::header + k)];
                changed = changed || moved(static_cast<int>(word));
                word = now[static_cast<std::size_t>(word)];
            }
        }
        for (int r = 0; r < n.results.count; ++r) replaced = replaced || moved(n.results.first + r);
        if (!changed || replaced) continue;
        flat_list<int> operands;
        for (int u : g.operands(n)) operands.push_back(now[static_cast<std::size_t>(u)]);
        if (n.op ==
            op_of<scan_row>()) {  // what the body reads from outside may be other values now
            loop_view l{attributes};
            flat_list<int> body;
            for (int k = 0; k < l.carries(); ++k) body.push_back(l.next(k));
            for (int k = 0; k < l.stacks(); ++k) body.push_back(l.stacked(k));
            auto captured = detail::captured_values(g, l.loop(), body);
            operands.resize(static_cast<std::size_t>(l.sequences() + l.carries()));
            operands.append(captured);
            attributes[6] = std::ssize(captured);
        }
        flat_list<type> results;
        for (int r = 0; r < n.results.count; ++r) results.push_back(g.type_of(n.results.first + r));
        int fresh = g.append(n.op, operands, attributes, results, n.loop);
        for (int r = 0; r < n.results.count; ++r)
            if (n.results.first + r <= top)
                now[static_cast<std::size_t>(n.results.first + r)] = fresh + r;
    }
    expr_list result;
    for (expr y : ys) result.push_back({&g, now[static_cast<std::size_t>(y.id)]});
    return result;
}
constexpr expr substitute(const operand& y, flat_view<const replacement> pairs) {
    expr_list ys{detail::tensor(y, "substitute", pairs.empty() ? nullptr : pairs[0].old.g)};
    return substitute(ys, pairs, y.where)[0];
}
constexpr expr substitute(const operand& y, std::initializer_list<replacement> pairs) {
    return substitute(y, flat_view<const replacement>(pairs.begin(), pairs.size()));
}
constexpr expr_list substitute(const expr_list& ys, std::initializer_list<replacement> pairs,
                               std::source_location where = std::source_location::current()) {
    return substitute(ys, flat_view<const replacement>(pairs.begin(), pairs.size()), where);
}

}  // namespace etch
