// SPDX-License-Identifier: MIT
// Removal of what no call needs. Before: any graph. After: an equal program whose nodes all lead to an output or to
// an update; inputs and parameters stay, with their numbers. Passes that rewrite leave what they replaced behind and
// end with this one. The copying of single nodes is here too, since every pass that rebuilds a program shares it.
#pragma once
#include <etch/ops/table.hpp>

namespace etch {

namespace detail {

/// use(v) for every reading of a value that is no operand: what loops hand on from step to step or stack, results, updates.
template <class F> constexpr void each_handed_on(const graph& g, F use) {
    auto read = [&](int v) {
        if (v >= 0) use(v);
    };
    for (const node& n : g.nodes) {
        if (n.op != op_of<scan_row>()) continue;
        loop_view l{g.attributes(n)};
        for (int c = 0; c < l.carries(); ++c) read(l.next(c));
        for (int s = 0; s < l.stacks(); ++s) read(l.stacked(s));
    }
    for (const auto& o : g.outputs) read(o.value);
    for (const auto& p : g.parameters) read(p.update);
}

/// For each value, whether a call needs it. A scan needs the body of its carries and of the stacks that are read; a
/// sequence of which no slice is read is not needed.
constexpr flat_list<char> live_values(const graph& g) {
    flat_list<char> live(g.values.size(), 0);
    flat_list<int> todo;
    struct slice_of {
        int slice, sequence;
    };
    flat_list<slice_of> sequences;
    flat_list<char> seen_scans(g.nodes.size(), 0);
    auto need = [&](int v) {
        if (v < 0 || live[static_cast<std::size_t>(v)]) return;
        live[static_cast<std::size_t>(v)] = 1;
        todo.push_back(v);
    };
    for (const auto& i : g.inputs) need(i.value);
    for (const auto& p : g.parameters) {
        need(p.value);
        need(p.update);
    }
    for (const auto& o : g.outputs) need(o.value);
    for (;;) {
        while (!todo.empty()) {
            int v = todo.back();
            todo.pop_back();
            const node& n = g.node_of(v);
            if (n.op != op_of<scan_row>()) {
                for (int u : g.operands(n)) need(u);
                continue;
            }
            loop_view l{g.attributes(n)};
            int r = v - n.results.first;
            if (r >= l.carries()) need(l.stacked(r - l.carries()));
            char& seen =
                seen_scans[static_cast<std::size_t>(g.values[static_cast<std::size_t>(v)].node)];
            if (seen) continue;
            seen = 1;
            auto operands = g.operands(n);
            for (int c = 0; c < l.carries(); ++c) {
                need(l.carry(c));
                need(l.next(c));
                need(operands[static_cast<std::size_t>(l.sequences() + c)]);
            }
            for (int s = 0; s < l.sequences(); ++s)
                sequences.push_back({l.slice(s), operands[static_cast<std::size_t>(s)]});
        }
        for (const auto& s : sequences)
            if (live[static_cast<std::size_t>(s.slice)]) need(s.sequence);
        if (todo.empty()) return live;
    }
}

/// Copies nodes of one graph into another that shares its tables. `now` says which value of `to` each value became.
struct copier {
    const graph& from;
    graph& to;
    flat_list<char> live;
    flat_list<int> now;
    flat_list<int> operands{};
    flat_list<type> results{};

    constexpr copier(const graph& from_in, graph& to_in)
        : from(from_in), to(to_in), live(live_values(from_in)), now(from_in.values.size(), -1) {
        to.nodes.reserve(from.nodes.size());
        to.values.reserve(from.values.size());
        to.operand_pool.reserve(from.operand_pool.size());
        to.attribute_pool.reserve(from.attribute_pool.size());
    }

    constexpr bool needs(const node& n) const {
        for (int r = 0; r < n.results.count; ++r)
            if (live[static_cast<std::size_t>(n.results.first + r)]) return true;
        return false;
    }
    constexpr int moved(int v) const { return now[static_cast<std::size_t>(v)]; }
    constexpr void copy(const node& n) {
        to.file = n.file;
        to.line = n.line;
        if (n.op == op_of<scan_row>()) return copy_scan(n);
        operands.clear();
        results.clear();
        for (int u : from.operands(n)) operands.push_back(moved(u));
        for (int r = 0; r < n.results.count; ++r)
            results.push_back(from.type_of(n.results.first + r));
        // Only a leaf can belong to a loop without an operand that does.
        int first = to.append(n.op, operands, from.attributes(n), results,
                              n.operands.count == 0 ? n.loop : -1);
        for (int r = 0; r < n.results.count; ++r)
            now[static_cast<std::size_t>(n.results.first + r)] = first + r;
    }
    /// Without the sequences and the stacks that nothing reads; what the body reads from outside is looked up anew.
    constexpr void copy_scan(const node& n) {
        loop_view l{from.attributes(n)};
        auto old = from.operands(n);
        words slices, carries;
        flat_list<int> body, kept;
        operands.clear();
        results.clear();
        for (int s = 0; s < l.sequences(); ++s)
            if (live[static_cast<std::size_t>(l.slice(s))]) {
                slices.push_back(moved(l.slice(s)));
                operands.push_back(moved(old[static_cast<std::size_t>(s)]));
            }
        for (int c = 0; c < l.carries(); ++c) {
            carries.push_back(moved(l.carry(c)));
            body.push_back(moved(l.next(c)));
            operands.push_back(moved(old[static_cast<std::size_t>(l.sequences() + c)]));
            kept.push_back(n.results.first + c);
        }
        for (int s = 0; s < l.stacks(); ++s) {
            int result = n.results.first + l.carries() + s;
            if (!live[static_cast<std::size_t>(result)]) continue;
            body.push_back(moved(l.stacked(s)));
            kept.push_back(result);
        }
        auto captured = captured_values(to, l.loop(), body);
        operands.append(captured);
        words a{l.loop(),
                l.reverse() ? 1 : 0,
                l.steps().code,
                std::ssize(slices),
                l.carries(),
                std::ssize(kept) - l.carries(),
                std::ssize(captured)};
        a.append(slices);
        a.append(carries);
        a.append(body);
        for (int v : kept) results.push_back(from.type_of(v));
        int first = to.append(n.op, operands, a, results, n.loop);
        for (std::size_t k = 0; k < kept.size(); ++k)
            now[static_cast<std::size_t>(kept[k])] = first + static_cast<int>(k);
    }
    /// Inputs, outputs, parameters and the key, as values of `to`.
    constexpr void copy_interface() {
        for (const auto& i : from.inputs) to.inputs.push_back({moved(i.value), i.name});
        for (const auto& o : from.outputs) to.outputs.push_back({moved(o.value), o.name});
        for (auto p : from.parameters) {
            p.value = moved(p.value);
            if (p.update >= 0) p.update = moved(p.update);
            to.parameters.push_back(p);
        }
        if (from.key >= 0) to.key = moved(from.key);
    }
};
}  // namespace detail

/// The part of `from` that a call needs, written into the empty graph `to`.
constexpr void remove_dead_code(const graph& from, graph& to) {
    from.share_tables(to);
    detail::copier c(from, to);
    for (const node& n : from.nodes)
        if (c.needs(n)) c.copy(n);
    c.copy_interface();
}

}  // namespace etch
