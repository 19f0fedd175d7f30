// SPDX-License-Identifier: MIT
// A program as people read it: an indented tree (Theano's debugprint), or a drawing for graphviz. A value that was
// shown before is shown by its number alone. A scan has the values of its body beneath it.
#pragma once
#include <string>

#include <etch/graph/print.hpp>
#include <etch/passes/dead_code.hpp>

namespace etch {

namespace detail {

/// Six digits: 0.1, 1e-05, -inf.
constexpr void print_number(text& t, double x) {
    if (x != x) {
        t << "nan";
        return;
    }
    if (x < 0) {
        t << '-';
        x = -x;
    }
    if (x > 1.7976931348623157e308) {
        t << "inf";
        return;
    }
    int power = 0;
    double m = x;
    for (; m >= 10; m /= 10) ++power;
    for (; m > 0 && m < 1; m *= 10) --power;
    auto digits = static_cast<std::int64_t>(m * 100000 + 0.5);
    if (digits >= 1000000) {
        digits /= 10;
        ++power;
    }
    if (digits == 0) {
        t << 0;
        return;
    }
    int places = 5;  // after the first digit
    for (; places > 0 && digits % 10 == 0; digits /= 10) --places;
    bool plain = power >= -4 && power < 10;
    int point = plain ? places - power : places;  // digits after the point
    for (; point < 0; ++point) digits *= 10;
    std::int64_t scale = 1;
    for (int i = 0; i < point; ++i) scale *= 10;
    t << digits / scale;
    if (point > 0) t << '.';
    for (auto rest = digits % scale; scale > 1; rest %= scale) {
        scale /= 10;
        t << rest / scale;
    }
    if (!plain) t << 'e' << power;
}

/// op, attributes, number, type: sum {1} %7 float32 {N}
class describer {
public:
    constexpr explicit describer(const graph& graph_in) : g(graph_in) {}

    constexpr void describe(text& t, int v) const {
        const node& n = g.node_of(v);
        t << row_of(n).name;
        if (n.results.count > 1) t << '.' << g.result_index(v);
        attributes(t, n);
        t << " %" << v << ' ' << name_of(g.type_of(v).element) << ' '
          << shape_text(g, g.type_of(v)).view();
    }
    constexpr void where(text& t, int v) const {
        const node& n = g.node_of(v);
        if (n.file >= 0 && n.file < std::ssize(g.files))
            t << " (" << g.name(g.files[static_cast<std::size_t>(n.file)]) << ':' << n.line << ')';
    }

private:
    const graph& g;

    constexpr void attributes(text& t, const node& n) const {
        auto a = g.attributes(n);
        auto last = a.empty() ? std::size_t{0} : static_cast<std::size_t>(a.back());
        op_class kind = row_of(n).kind;
        if (n.op == op_of<input_row>() && last < g.inputs.size())
            t << ' ' << g.name(g.inputs[last].name);
        if (n.op == op_of<parameter_row>() && last < g.parameters.size())
            t << ' ' << g.name(g.parameters[last].name);
        if (n.op == op_of<constant_row>()) elements(t, n);
        if (n.op == op_of<extent_value_row>()) {
            t << ' ';
            print(t, g, extent{a[1]});
        }
        if (n.op == op_of<random_row>()) t << " draw " << a.back();
        if (n.op == op_of<iota_row>()) t << " axis " << a.back();
        if (n.op == op_of<concatenate_row>() || n.op == op_of<take_row>() ||
            n.op == op_of<take_along_axis_row>() || n.op == op_of<scatter_add_row>() ||
            n.op == op_of<scatter_add_along_axis_row>())
            t << " axis " << a[0];
        if (kind == op_class::reduction || n.op == op_of<transpose_row>() ||
            n.op == op_of<expand_dims_row>() || n.op == op_of<squeeze_row>()) {
            t << " {";
            for (std::size_t i = 0; i < a.size(); ++i) t << (i > 0 ? ", " : "") << a[i];
            t << '}';
        }
        if (n.op == op_of<slice_row>() || n.op == op_of<pad_row>()) {  // start:step for each axis
            t << " {";
            for (std::size_t i = 0; i + 2 < a.size(); i += 3) {
                if (i > 0) t << ", ";
                print(t, g, extent{a[i]});
                t << ':' << a[i + 1];
            }
            t << '}';
        }
        if (n.op == op_of<scan_row>()) {
            loop_view l{a};
            t << (l.reverse() ? " backwards over " : " over ");
            print(t, g, l.steps());
        }
    }
    constexpr void elements(text& t, const node& n) const {
        auto a = g.attributes(n);
        auto first = static_cast<std::size_t>(2 + a[1]);
        auto d = static_cast<dtype>(a[0]);
        for (std::size_t i = first; i < a.size(); ++i) {
            if (i == first + 4 && a.size() > first + 5) {
                t << " ...";
                return;
            }
            t << ' ';
            if (is_floating(d))
                print_number(t, number_of(d, a[i]));
            else if (is_boolean(d))
                t << (a[i] != 0 ? "true" : "false");
            else
                t << a[i];
        }
    }
};

/// Writes trees; values shown once stay known from one root to the next.
class tree_printer {
public:
    constexpr tree_printer(const graph& graph_in, text& text_in)
        : g(graph_in), t(text_in), shown(graph_in.nodes.size(), 0) {}

    constexpr void print(int root, int indent = 0) {
        describer d(g);
        todo.push_back({root, indent, role::none, 0});
        while (!todo.empty()) {
            entry e = todo.back();
            todo.pop_back();
            for (int i = 0; i < e.indent; ++i) t << "  ";
            label(e);
            const node& n = g.node_of(e.value);
            char& seen =
                shown[static_cast<std::size_t>(g.values[static_cast<std::size_t>(e.value)].node)];
            if (seen && n.operands.count > 0) {
                t << row_of(n).name;
                if (n.results.count > 1) t << '.' << g.result_index(e.value);
                t << " %" << e.value << ", above\n";
                continue;
            }
            seen = 1;
            d.describe(t, e.value);
            d.where(t, e.value);
            t << '\n';
            push_children(n, e.indent + 1);
        }
    }

private:
    enum class role : std::uint8_t { none, slice, carry, captured, next, stacked };
    struct entry {
        int value, indent;
        role as;
        int number;
    };
    const graph& g;
    text& t;
    flat_list<char> shown;
    flat_list<entry> todo;

    constexpr void label(const entry& e) {
        switch (e.as) {
        case role::none: return;
        case role::slice: t << "%" << e.number << " in "; return;
        case role::carry: t << "%" << e.number << " from "; return;
        case role::captured: t << "reads "; return;
        case role::next: t << "%" << e.number << " becomes "; return;
        case role::stacked: t << "stacks "; return;
        }
    }
    constexpr void push_children(const node& n, int indent) {
        auto operands = g.operands(n);
        auto first = todo.size();
        if (n.op == op_of<scan_row>()) {
            loop_view l{g.attributes(n)};
            for (int k = 0; k < n.operands.count; ++k) {
                int u = operands[static_cast<std::size_t>(k)];
                if (k < l.sequences())
                    todo.push_back({u, indent, role::slice, l.slice(k)});
                else if (k < l.sequences() + l.carries())
                    todo.push_back({u, indent, role::carry, l.at(k)});
                else
                    todo.push_back({u, indent, role::captured, 0});
            }
            for (int c = 0; c < l.carries(); ++c)
                todo.push_back({l.next(c), indent, role::next, l.carry(c)});
            for (int s = 0; s < l.stacks(); ++s)
                todo.push_back({l.stacked(s), indent, role::stacked, 0});
        } else {
            for (int u : operands) todo.push_back({u, indent, role::none, 0});
        }
        for (auto last = todo.size(); first + 1 < last; ++first) {
            --last;
            entry e = todo[first];
            todo[first] = todo[last];
            todo[last] = e;
        }
    }
};

constexpr void escape(text& t, std::string_view s) {
    for (char c : s) {
        if (c == '"' || c == '\\') t << '\\';
        t << c;
    }
}
/// Nodes that `live` names and the edges between them.
constexpr void dot_text(text& t, const graph& g, flat_view<const char> live) {
    describer d(g);
    t << "digraph etch {\n  node [shape=box, fontname=monospace];\n";
    for (int i = 0; i < std::ssize(g.nodes); ++i) {
        const node& n = g.nodes[static_cast<std::size_t>(i)];
        bool any = false;
        for (int r = 0; r < n.results.count; ++r)
            any = any || live[static_cast<std::size_t>(n.results.first + r)];
        if (!any) continue;
        text label;
        d.describe(label, n.results.first);
        t << "  n" << i << " [label=\"";
        escape(t, label.view());
        t << '"';
        if (row_of(n).kind == op_class::leaf) t << ", style=rounded";
        if (row_of(n).kind == op_class::reduction || row_of(n).kind == op_class::opaque)
            t << ", style=bold";
        t << "];\n";
        for (int u : g.operands(n))
            if (live[static_cast<std::size_t>(u)])
                t << "  n" << g.values[static_cast<std::size_t>(u)].node << " -> n" << i << ";\n";
        if (n.op != op_of<scan_row>()) continue;
        loop_view l{g.attributes(n)};
        for (int k = l.sequences() + l.carries(); k < l.sequences() + 2 * l.carries() + l.stacks();
             ++k)
            if (live[static_cast<std::size_t>(l.at(k))])
                t << "  n" << g.values[static_cast<std::size_t>(l.at(k))].node << " -> n" << i
                  << " [style=dashed];\n";
    }
    for (const auto& o : g.outputs) {
        if (!live[static_cast<std::size_t>(o.value)]) continue;
        t << "  \"";
        escape(t, g.name(o.name));
        t << "\" [shape=plaintext];\n  n" << g.values[static_cast<std::size_t>(o.value)].node
          << " -> \"";
        escape(t, g.name(o.name));
        t << "\";\n";
    }
    t << "}\n";
}
/// The values that some need, those of loops' bodies too.
constexpr flat_list<char> needed_by(const graph& g, int root) {
    flat_list<char> live(g.values.size(), 0);
    flat_list<int> todo{root};
    while (!todo.empty()) {
        int v = todo.back();
        todo.pop_back();
        if (live[static_cast<std::size_t>(v)]) continue;
        live[static_cast<std::size_t>(v)] = 1;
        const node& n = g.node_of(v);
        for (int u : g.operands(n)) todo.push_back(u);
        if (n.op != op_of<scan_row>()) continue;
        loop_view l{g.attributes(n)};
        for (int k = 0; k < l.sequences() + 2 * l.carries() + l.stacks(); ++k)
            todo.push_back(l.at(k));
    }
    return live;
}
}  // namespace detail

/// The tree under a value, one line a node: op, attributes, %number, type and the user's line.
constexpr text debugprint_text(const graph& g, int value) {
    text t;
    detail::tree_printer(g, t).print(value);
    return t;
}
/// All outputs and updates of a program.
constexpr text debugprint_text(const graph& g) {
    text t;
    detail::tree_printer p(g, t);
    for (const auto& o : g.outputs) {
        t << "output " << g.name(o.name) << '\n';
        p.print(o.value, 1);
    }
    for (const auto& q : g.parameters)
        if (q.update >= 0) {
            t << "update " << g.name(q.name) << '\n';
            p.print(q.update, 1);
        }
    return t;
}
/// The values under one, or all that a call needs, as a drawing for graphviz.
constexpr text dot_text(const graph& g, int value) {
    text t;
    detail::dot_text(t, g, detail::needed_by(g, value));
    return t;
}
constexpr text dot_text(const graph& g) {
    text t;
    detail::dot_text(t, g, detail::live_values(g));
    return t;
}

inline std::string debugprint(expr x) {
    return x.valid() ? std::string(debugprint_text(*x.g, x.id).view())
                     : std::string("a value that a mistake made impossible\n");
}
inline std::string debugprint(const graph& g) { return std::string(debugprint_text(g).view()); }
inline std::string to_dot(expr x) {
    return x.valid() ? std::string(dot_text(*x.g, x.id).view())
                     : std::string("digraph etch {\n}\n");
}
inline std::string to_dot(const graph& g) { return std::string(dot_text(g).view()); }

}  // namespace etch
