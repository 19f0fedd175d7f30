// SPDX-License-Identifier: MIT
// A region of a graph: what is live outside of loops, or in one loop's body, and which of its values are computed by
// kernels, are views, or are steps of their own. fuse.hpp groups what is found here.
#pragma once
#include <etch/passes/index_map.hpp>

namespace etch::detail {

/// What a value is to kernels: a number in their text, in memory, shown through a view, made by a step of its own, or
/// computed by them, reductions apart.
enum class role : std::uint8_t { number, memory, view, opaque, made, reduced };

struct live_region {
    graph& g;
    int region;             // loop, -1 outside of all
    flat_list<role> roles;  // by value
    flat_list<int> order;   // live nodes of the region
    flat_list<int> uses;

    /// `around` is the region of the loop around this one: the views that are copies there are memory here.
    constexpr live_region(graph& graph_in, int loop, flat_view<const int> roots,
                          flat_view<const int> updates, const live_region* around = nullptr)
        : g(graph_in),
          region(loop),
          roles(g.values.size(), role::memory),
          uses(g.values.size(), 0) {
        find_roles();
        if (around)
            for (std::size_t v = 0; v < roles.size(); ++v)
                if (roles[v] == role::view && around->roles[v] != role::view)
                    roles[v] = role::memory;
        find_live(roots, updates);
        mark_solid(roots, updates);
    }

    constexpr const node& node_at(int i) const { return g.nodes[at_index(i)]; }
    constexpr bool own(int v) const { return g.node_of(v).loop == region; }
    constexpr op_class kind(int v) const { return row_of(g.node_of(v)).kind; }
    /// Whether kernels compute the value (rather than a step of its own, or nothing).
    constexpr bool computed(int v) const { return roles[at_index(v)] >= role::made; }
    constexpr bool is_reduction(int v) const { return roles[at_index(v)] == role::reduced; }
    constexpr bool is_view(int v) const { return roles[at_index(v)] == role::view; }
    constexpr bool opaque(int v) const { return roles[at_index(v)] == role::opaque; }

    /// What a view shows: the value behind it, and where.
    struct source {
        int value;
        index_map map;
    };
    constexpr source behind(int v, index_map m) const {
        while (is_view(v)) {
            const node& n = g.node_of(v);
            m = descend(g, n, m);
            v = g.operands(n)[0];
        }
        return {v, m};
    }
    constexpr int base(int v) const {
        while (is_view(v)) v = g.operands(g.node_of(v))[0];
        return v;
    }
    /// The operands of a computed value, each with the map from the value's axes (a reduction: its operand's) to its own.
    constexpr source operand_source(const node& n, int k) const {
        int u = g.operands(n)[at_index(k)];
        const type& t = g.type_of(u);
        op_class c = row_of(n).kind;
        if (c == op_class::view)
            return behind(u, descend(g, n, index_map::identity(g.type_of(n.results.first).rank)));
        index_map m = index_map::identity(t.rank);
        if (c == op_class::gather) {
            int axis = static_cast<int>(g.attributes(n)[0]);
            if (n.op == op_of<take_row>()) {
                int added = g.type_of(g.operands(n)[1]).rank;
                for (int i = 0; i < t.rank; ++i)
                    m[i].axis = k == 1 ? axis + i : i < axis ? i : i - 1 + added;
            }
            if (k == 0) m[axis] = {axis_source::dynamic, 1, {}};
        }
        if (c == op_class::counter) m = {};  // the key, read at fixed places
        return behind(u, m);
    }

    /// Of all values: views of other regions are seen through, too.
    constexpr void find_roles() {
        for (const node& n : g.nodes) {
            role r = role::memory;
            switch (row_of(n).kind) {
            case op_class::view: r = role::view; break;
            case op_class::leaf:
                if (n.op == op_of<extent_value_row>() ||
                    (n.op == op_of<constant_row>() && g.type_of(n.results.first).rank == 0))
                    r = role::number;
                break;
            case op_class::opaque:
                if (n.loop == region) r = role::opaque;
                break;
            case op_class::reduction:
                if (n.loop == region) r = role::reduced;
                break;
            default:
                if (n.loop == region) r = role::made;
            }
            if (r == role::memory) continue;
            for (int k = 0; k < n.results.count; ++k) roles[at_index(n.results.first + k)] = r;
        }
    }

    // ---- what lives ---------------------------------------------------------------------------------------------
    constexpr void find_live(flat_view<const int> roots, flat_view<const int> updates) {
        flat_list<int> todo(roots.begin(), roots.end());
        todo.append(updates);
        flat_list<char> seen(g.nodes.size(), 0);
        for (int v : todo) ++uses[at_index(v)];
        while (!todo.empty()) {
            int v = todo.back();
            todo.pop_back();
            int n = g.values[at_index(v)].node;
            if (seen[at_index(n)] || !own(v)) continue;
            seen[at_index(n)] = 1;
            for (int u : g.operands(node_at(n))) {
                ++uses[at_index(u)];
                todo.push_back(u);
            }
        }
        order.reserve(seen.size());
        for (std::size_t i = 0; i < seen.size(); ++i)
            if (seen[i]) order.push_back(static_cast<int>(i));
    }
    /// Views that are results, or operands of what reads plain memory, become copies.
    constexpr void mark_solid(flat_view<const int> roots, flat_view<const int> updates) {
        for (int v : roots) make_solid(v);
        for (int v : updates) make_solid(v);
        for (int i : order) {
            const node& n = node_at(i);
            mark_plain_operands(n);
            if (n.op == op_of<scan_row>()) {  // what the body captures, it reads through the view
                loop_view l{g.attributes(n)};
                for (int k = 0; k < l.sequences() + l.carries(); ++k) make_solid(g.operands(n)[k]);
                for (const node& inner : g.nodes)
                    if (inside(g, inner.loop, l.loop())) mark_plain_operands(inner);
            }
        }
    }
    constexpr void make_solid(int v) {
        if (own(v) && roles[v] == role::view) roles[v] = role::made;
    }
    /// The operands of which a node reads nothing but rows of plain memory.
    constexpr void mark_plain_operands(const node& n) {
        if (n.op == op_of<reshape_row>()) make_solid(g.operands(n)[0]);
        if (n.op == op_of<dot_row>())
            for (int u : g.operands(n))
                if (!matrix_view(u)) make_solid(u);
        if (row_of(n).kind == op_class::gather) {  // an extent is a number, and lies nowhere
            int table = g.operands(n)[0];
            if (g.node_of(base(table)).op == op_of<extent_value_row>()) make_solid(table);
        }
    }
    /// Whether a product can read the view as it is: the last two axes in either order, the batch in row-major order
    /// or repeated.
    constexpr bool matrix_view(int v) const {
        const type& t = g.type_of(v);
        auto [b, m] = behind(v, index_map::identity(t.rank));
        const type& from = g.type_of(b);
        int matrix = 0, previous = -1;
        bool repeated = false;
        for (int i = 0; i < from.rank; ++i) {
            if (m[i].step != 1 || m[i].offset.code != 0) return false;
            if (m[i].axis == axis_source::fixed) {
                if (from[i].code != 1) return false;
                continue;
            }
            if (m[i].axis >= t.rank - 2) {
                ++matrix;
            } else {
                if (matrix > 0 || m[i].axis < previous || !(from[i] == t[m[i].axis])) return false;
                previous = m[i].axis;
            }
        }
        if (matrix != 2) return false;
        int batch = 0, seen = 0;
        for (int i = 0; i + 2 < t.rank; ++i) batch += t[i].code != 1 ? 1 : 0;
        for (int i = 0; i < from.rank; ++i)
            if (m[i].axis >= 0 && m[i].axis < t.rank - 2 && from[i].code != 1) ++seen;
        repeated = seen == 0;
        return repeated || seen == batch;
    }
};

}  // namespace etch::detail
