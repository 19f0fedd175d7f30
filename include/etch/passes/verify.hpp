// SPDX-License-Identifier: MIT
// The law of the graph, checked after every pass in tests: operands come before users, types are what the rows' shape
// rules say, attributes make sense, the interface names what it should, and a loop's body is seen by its scan alone.
#pragma once
#include <etch/passes/dead_code.hpp>

namespace etch {

namespace detail {

/// Checks one graph and remembers the first complaint.
class verifier {
public:
    constexpr verifier(const graph& graph_in, text& complaint_in)
        : g(graph_in), complaint(complaint_in) {}

    constexpr bool run() {
        copy_of_g();
        bool good = pools();
        for (int i = 0; good && i < std::ssize(g.nodes); ++i) good = check_node(i);
        return good && interface() && placeholders();
    }

private:
    const graph& g;
    text& complaint;
    graph scratch;  // shape rules may intern extents

    static constexpr std::size_t at(int i) { return static_cast<std::size_t>(i); }
    constexpr void copy_of_g() {
        g.share_tables(scratch);
        scratch.nodes = g.nodes;
        scratch.values = g.values;
        scratch.operand_pool = g.operand_pool;
        scratch.attribute_pool = g.attribute_pool;
        scratch.depth = 1;
    }
    constexpr bool refuse(const text& sentence) {
        complaint << sentence.view();
        return false;
    }
    constexpr bool refuse(int i, std::string_view what) {
        text t;
        t << "node " << i;
        if (g.nodes[i].op < op_count) t << ", " << row_of(g.nodes[i]).name;
        return refuse(t << ": " << what);
    }
    static constexpr bool lies_in(range_of r, std::size_t size) {
        return r.first >= 0 && r.count >= 0 && static_cast<std::size_t>(r.first + r.count) <= size;
    }
    constexpr bool is_value(int v) const { return v >= 0 && v < std::ssize(g.values); }
    constexpr bool is_extent(extent e) const {
        return e.is_static() || e.polynomial() < std::ssize(g.polynomials);
    }

    constexpr bool pools() {
        int next = 0;
        for (int i = 0; i < std::ssize(g.nodes); ++i) {
            const node& n = g.nodes[i];
            if (n.op >= op_count) return refuse(i, "no such op");
            if (!lies_in(n.operands, g.operand_pool.size()) ||
                !lies_in(n.attributes, g.attribute_pool.size()))
                return refuse(i, "its pools do not hold its operands and attributes");
            if (n.results.first != next || n.results.count < 1)
                return refuse(i, "its results are not the next values");
            next += n.results.count;
            if (next > std::ssize(g.values)) return refuse(i, "its results are not there");
            for (int r = 0; r < n.results.count; ++r) {
                const value& v = g.values[n.results.first + r];
                if (v.node != i) return refuse(i, "a result names another node");
                if (v.type < 0 || v.type >= std::ssize(g.types))
                    return refuse(i, "a result has no type");
            }
            if (n.file >= std::ssize(g.files)) return refuse(i, "its file has no name");
            if (n.loop >= std::ssize(g.loop_parents)) return refuse(i, "no such loop");
        }
        if (next != std::ssize(g.values)) return refuse(text{} << "values without a node");
        for (const type& t : g.types)
            for (int axis = 0; axis < max_rank; ++axis) {
                if (t.rank < 0 || t.rank > max_rank || !is_extent(t[axis]))
                    return refuse(text{} << "a type is broken");
                if (axis >= t.rank && t[axis].code != 0)
                    return refuse(text{} << "a type has extents beyond its rank");
            }
        return true;
    }

    constexpr bool check_node(int i) {
        const node& n = g.nodes[i];
        const op_row& row = row_of(n);
        if (row.arity >= 0 && n.operands.count != row.arity)
            return refuse(i, "a wrong number of operands");
        int loop = -1;
        for (int u : g.operands(n)) {
            if (u < 0 || u >= n.results.first)
                return refuse(i, "an operand is not an earlier value");
            int l = g.node_of(u).loop;
            if (!inside(g, n.loop, l) && l >= 0)
                return refuse(i, "it reads a value of a loop's body from outside");
            if (loop < 0 || inside(g, l, loop)) loop = l;
        }
        if (n.op != op_of<scan_row>() && n.operands.count > 0 && n.loop != loop)
            return refuse(i, "it is in a loop on which no operand depends");
        if (!attributes(i)) return refuse(i, "its attributes make no sense");
        if (n.op == op_of<scan_row>()) return check_scan(i);
        if (n.results.count != 1) return refuse(i, "more than one result");
        inference rule{scratch, g.operands(n), g.attributes(n)};
        type expected = row.infer(rule);
        if (rule.failed || scratch.failed() || !(expected == g.type_of(n.results.first)))
            return refuse(i, "its type is not what its shape rule says");
        return row.kind != op_class::elementwise || check_elementwise(i);
    }
    constexpr bool check_elementwise(int i) {
        const node& n = g.nodes[i];
        auto operands = g.operands(n);
        const type& t = g.type_of(n.results.first);
        std::size_t first = n.op == op_of<where_row>() ? 1 : 0;
        if (first == 1 && !is_boolean(g.type_of(operands[0]).element))
            return refuse(i, "its condition is not bool");
        dtype d = g.type_of(operands[first]).element;
        for (std::size_t k = 0; k < operands.size(); ++k) {
            if (!g.type_of(operands[k]).same_shape(t))
                return refuse(i, "its operands differ in shape");
            if (k >= first && g.type_of(operands[k]).element != d)
                return refuse(i, "its operands differ in dtype");
        }
        bool taken = true;
        switch (row_of(n).takes) {
        case accepts::floating: taken = is_floating(d); break;
        case accepts::number: taken = !is_boolean(d); break;
        case accepts::boolean: taken = is_boolean(d); break;
        case accepts::integer: taken = is_integer(d); break;
        case accepts::any: break;
        }
        return taken || refuse(i, "it does not take operands of that dtype");
    }

    // ---- attributes ---------------------------------------------------------------------------------------------
    static constexpr bool sorted_axes(flat_view<const std::int64_t> a, int rank) {
        for (std::size_t k = 0; k < a.size(); ++k)
            if (a[k] < 0 || a[k] >= rank || (k > 0 && a[k] <= a[k - 1])) return false;
        return !a.empty();
    }
    /// {dtype, rank, extents...} and `more` words.
    constexpr bool type_and(flat_view<const std::int64_t> a, std::size_t more) const {
        if (a.size() < 2 || a[0] < 0 || a[0] >= std::ssize(dtype_table) || a[1] < 0 ||
            a[1] > max_rank)
            return false;
        auto rank = static_cast<std::size_t>(a[1]);
        if (a.size() < 2 + rank) return false;
        for (std::size_t k = 0; k < rank; ++k)
            if (!is_extent({a[2 + k]})) return false;
        return a.size() == 2 + rank + more;
    }
    constexpr bool attributes(int i) {
        const node& n = g.nodes[i];
        auto a = g.attributes(n);
        op_id op = n.op;
        auto operands = g.operands(n);
        type t = operands.empty() ? type{} : g.type_of(operands[0]);
        if (row_of(n).kind == op_class::reduction || op == op_of<squeeze_row>()) {
            if (!sorted_axes(a, t.rank)) return false;
            for (auto axis : a)
                if (op == op_of<squeeze_row>() && t[static_cast<int>(axis)].code != 1) return false;
            return true;
        }
        if (op == op_of<expand_dims_row>())
            return t.rank + std::ssize(a) <= max_rank &&
                   sorted_axes(a, t.rank + static_cast<int>(a.size()));
        if (op == op_of<transpose_row>()) {
            bool used[max_rank]{};
            for (auto axis : a) {
                if (axis < 0 || axis >= t.rank || used[axis]) return false;
                used[axis] = true;
            }
            return std::ssize(a) == t.rank;
        }
        if (op == op_of<broadcast_to_row>()) {
            if (std::ssize(a) != t.rank) return false;
            for (int axis = 0; axis < t.rank; ++axis)
                if (!is_extent({a[axis]}) || (t[axis].code != 1 && t[axis].code != a[axis]))
                    return false;
            return true;
        }
        if (op == op_of<slice_row>() || op == op_of<pad_row>()) {
            if (std::ssize(a) != 3 * t.rank) return false;
            for (int axis = 0; axis < t.rank; ++axis)
                if (!steps_inside(a.subspan(3 * at(axis), 3), t[axis], op == op_of<pad_row>()))
                    return false;
            return true;
        }
        if (op == op_of<reshape_row>()) {
            type to{t.element, 0, {}};
            if (a.size() > max_rank) return false;
            for (auto e : a) {
                if (!is_extent({e})) return false;
                to.push({e});
            }
            return scratch.size_of(t) == scratch.size_of(to);
        }
        if (op == op_of<concatenate_row>() || op == op_of<take_row>() ||
            op == op_of<take_along_axis_row>())
            return a.size() == 1 && a[0] >= 0 && a[0] < t.rank;
        if (op == op_of<scatter_add_row>() || op == op_of<scatter_add_along_axis_row>())
            return a.size() == 2 && a[0] >= 0 && a[0] <= t.rank && is_extent({a[1]});
        if (op == op_of<cast_row>())
            return a.size() == 1 && a[0] >= 0 && a[0] < std::ssize(dtype_table);
        if (op == op_of<extent_value_row>()) return a.size() == 2 && is_extent({a[1]});
        if (op == op_of<input_row>() || op == op_of<parameter_row>() ||
            op == op_of<placeholder_row>() || op == op_of<random_row>())
            return type_and(a, 1);
        if (op == op_of<iota_row>()) return type_and(a, 1) && a.back() >= 0 && a.back() < a[1];
        if (op == op_of<constant_row>()) {
            std::size_t elements = 1;
            if (a.size() < 2 || a[1] < 0 || a[1] > max_rank ||
                a.size() < 2 + static_cast<std::size_t>(a[1]))
                return false;
            for (std::size_t k = 0; k < static_cast<std::size_t>(a[1]); ++k) {
                if (a[2 + k] < 0) return false;
                elements *= static_cast<std::size_t>(a[2 + k]);
            }
            return type_and(a, elements);
        }
        if (op == op_of<dot_row>()) {
            type u = g.type_of(operands[1]);
            if (t.rank < 2 || u.rank != t.rank || t.element != u.element ||
                !(t[t.rank - 1] == u[u.rank - 2]))
                return false;
            for (int axis = 0; axis < t.rank - 2; ++axis)
                if (!(t[axis] == u[axis])) return false;
            return a.empty();
        }
        return true;
    }
    /// start, step and length: of a slice inside of an axis, of a pad around one. Symbolic bounds are a call's to
    /// check.
    constexpr bool steps_inside(flat_view<const std::int64_t> s, extent axis, bool pads) const {
        for (extent e : {extent{s[0]}, extent{s[2]}})
            if (!is_extent(e)) return false;
        if (s[1] == 0) return false;
        extent inner = pads ? axis : extent{s[2]}, outer = pads ? extent{s[2]} : axis;
        if (s[0] < 0 || !inner.is_static() || !outer.is_static() || inner.code == 0) return true;
        auto last = s[0] + (inner.code - 1) * s[1];
        return s[0] < outer.code && last >= 0 && last < outer.code;
    }

    // ---- loops ----------------------------------------------------------------------------------------------------
    constexpr bool check_scan(int i) {
        const node& n = g.nodes[i];
        auto a = g.attributes(n);
        if (std::ssize(a) < loop_view::header) return refuse(i, "its attributes end early");
        loop_view l{a};
        if (l.loop() < 0 || l.loop() >= std::ssize(g.loop_parents))
            return refuse(i, "no such loop");
        if (std::ssize(a) != loop_view::header + l.sequences() + 2 * l.carries() + l.stacks() ||
            n.operands.count != l.sequences() + l.carries() + l.captured() ||
            n.results.count != l.carries() + l.stacks())
            return refuse(i, "its counts do not add up");
        if (n.loop == l.loop()) return refuse(i, "it is in its own body");
        flat_list<int> body;
        for (int k = 0; k < std::ssize(a) - loop_view::header; ++k) {
            int v = l.at(k);
            if (v < 0 || v >= n.results.first)
                return refuse(i, "a value of its body is not an earlier one");
            if (k >= l.sequences() + l.carries()) {
                body.push_back(v);
            } else if (g.node_of(v).op != op_of<placeholder_row>() ||
                       g.node_of(v).loop != l.loop()) {
                return refuse(i, "a slice or carry is not a placeholder of its loop");
            }
        }
        auto operands = g.operands(n);
        auto stacks = [&](int whole, int slice) {  // whether {steps, A...} and {A...}
            const type &t = g.type_of(whole), &s = g.type_of(slice);
            bool same = t.rank == s.rank + 1 && t.element == s.element && t[0] == l.steps();
            for (int axis = 0; same && axis < s.rank; ++axis) same = t[axis + 1] == s[axis];
            return same;
        };
        for (int s = 0; s < l.sequences(); ++s)
            if (!stacks(operands[s], l.slice(s)))
                return refuse(i, "a slice is not one of its sequence");
        for (int c = 0; c < l.carries(); ++c) {
            const type& t = g.type_of(l.carry(c));
            if (!(t == g.type_of(operands[l.sequences() + c])) || !(t == g.type_of(l.next(c))) ||
                !(t == g.type_of(n.results.first + c)))
                return refuse(i, "a carried value changes its type");
        }
        for (int s = 0; s < l.stacks(); ++s)
            if (!stacks(n.results.first + l.carries() + s, l.stacked(s)))
                return refuse(i, "a stack is not one of its body's values");
        auto captured = captured_values(g, l.loop(), body);
        bool same = std::ssize(captured) == l.captured();
        for (std::size_t k = 0; same && k < captured.size(); ++k)
            same = captured[k] == operands[at(l.sequences() + l.carries()) + k];
        return same || refuse(i, "it captures other values than its body reads");
    }
    /// A placeholder that a call needs is a slice or a carry of a scan.
    constexpr bool placeholders() {
        auto live = live_values(g);
        for (const node& n : g.nodes)
            if (n.op == op_of<scan_row>()) {
                loop_view l{g.attributes(n)};
                for (int k = 0; k < l.sequences() + l.carries(); ++k) live[l.at(k)] = 0;
            }
        for (int i = 0; i < std::ssize(g.nodes); ++i)
            if (g.nodes[i].op == op_of<placeholder_row>() && live[g.nodes[i].results.first])
                return refuse(i, "nothing gives it a value");
        return true;
    }

    // ---- the interface --------------------------------------------------------------------------------------------
    constexpr bool leaf_with(int v, op_id op, std::size_t index) const {
        return is_value(v) && g.node_of(v).op == op &&
               g.attributes(g.node_of(v)).back() == static_cast<std::int64_t>(index);
    }
    constexpr bool interface() {
        for (std::size_t k = 0; k < g.inputs.size(); ++k)
            if (!leaf_with(g.inputs[k].value, op_of<input_row>(), k))
                return refuse(text{} << "input " << k << " is not one");
        for (std::size_t k = 0; k < g.parameters.size(); ++k) {
            const auto& p = g.parameters[k];
            if (!leaf_with(p.value, op_of<parameter_row>(), k))
                return refuse(text{} << "parameter " << k << " is not one");
            if (p.update == -1) continue;
            if (!is_value(p.update) || g.node_of(p.update).loop >= 0 ||
                !(g.type_of(p.update) == g.type_of(p.value)))
                return refuse(text{} << "parameter " << g.name(p.name)
                                     << " cannot take its update");
        }
        for (const auto& o : g.outputs)
            if (!is_value(o.value) || g.node_of(o.value).loop >= 0)
                return refuse(text{} << "output " << g.name(o.name)
                                     << " is no value of the program");
        for (const auto& c : g.conditions)
            if (!is_extent(c.size)) return refuse(text{} << "a condition is on no extent");
        return true;
    }
};
}  // namespace detail

/// Whether the graph keeps its law; if not, `complaint` says where.
constexpr bool verify(const graph& g, text& complaint) {
    return detail::verifier(g, complaint).run();
}

}  // namespace etch
