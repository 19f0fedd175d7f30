// SPDX-License-Identifier: MIT
// Reductions over a short axis, written out: sum(f(x[i], y[j]), k) -> f(x[i, 0], y[j, 0]) + f(x[i, 1], y[j, 1]) + ..., as
// for the distances of points from points. The terms are elementwise over what the reduction leaves, slices cost nothing,
// and so all that follows is one kernel, a reduction of its rows included, where the sum over k was a kernel of its own.
// Before: a simplified graph. After: an equal one. It is no rule: sums keep their form until no rule looks for one any
// more (log of a sum of exponentials, products of matrices), and it asks who else reads the terms.
//
// Terms are joined by pairs, neighbours first. So a sum may round otherwise than in one loop, by no more than that, and
// one of nothing but -0 is -0. Maxima and minima keep their value.
#pragma once
#include <algorithm>

#include <etch/passes/simplify.hpp>

namespace etch {

namespace detail {

inline constexpr int most_terms = 8;        // as packs are read with gaps: most_even_stride
inline constexpr int most_term_lines = 64;  // operations of all terms of a reduction
inline constexpr int most_followers = 256;  // values looked at to find out what becomes of a term

/// The elementwise op that joins the terms of a reduction; false where it is none of that kind.
constexpr bool joins_terms(op_id reduce, op_id& join) {
    constexpr op_id pairs[][2]{{op_of<sum_row>(), op_of<add_row>()},
                               {op_of<product_row>(), op_of<multiply_row>()},
                               {op_of<max_row>(), op_of<maximum_row>()},
                               {op_of<min_row>(), op_of<minimum_row>()}};
    for (const auto& p : pairs)
        if (p[0] == reduce) {
            join = p[1];
            return true;
        }
    return false;
}
constexpr bool is_elementwise(const graph& g, int v) {
    return row_of(g.node_of(v)).kind == op_class::elementwise;
}
/// The last axis of 2 to most_terms elements that n reduces, of an elementwise operand; -1 where there is none.
constexpr int short_axis(const graph& g, const node& n) {
    op_id join{};
    if (!joins_terms(n.op, join) || !is_elementwise(g, g.operands(n)[0])) return -1;
    const type& t = g.type_of(g.operands(n)[0]);
    auto a = g.attributes(n);
    for (auto i = a.size(); i-- > 0;) {
        extent e = t[static_cast<int>(a[i])];
        if (e.is_static() && e.code >= 2 && e.code <= most_terms) return static_cast<int>(a[i]);
    }
    return -1;
}

class unroller {
public:
    constexpr unroller(const graph& from_in, graph& to_in, simplify_options options)
        : from(from_in), to(to_in), c(from_in, to_in), s(to_in, options) {
        find_readers();
    }
    constexpr void run() {
        for (std::size_t i = 0; i < from.nodes.size(); ++i) {
            const node& n = from.nodes[i];
            if (!c.needs(n)) continue;
            int axis = short_axis(from, n);
            if (axis < 0 || !find_terms(n, axis) || !terms_go())
                c.copy(n);
            else
                c.now[at(n.results.first)] = written_out(n, axis);
        }
        c.copy_interface();
    }

private:
    const graph& from;
    graph& to;
    copier c;
    simplifier s;
    struct reader {
        int node, next;
    };
    flat_list<reader> readers;
    flat_list<int> first_reader;  // by value: in readers, -1 for none
    flat_list<char> outside;      // by value: a result, an update, or what a loop hands on
    flat_list<int> terms;         // elementwise values over the whole space, operands first
    flat_list<int> seen, piece;   // by value: of which reduction it is a term; what it became
    int epoch = 0;

    static constexpr std::size_t at(int i) { return static_cast<std::size_t>(i); }

    constexpr void find_readers() {
        first_reader.resize(from.values.size(), -1);
        outside.resize(from.values.size(), 0);
        seen.resize(from.values.size(), 0);
        piece.resize(from.values.size(), -1);
        for (std::size_t i = 0; i < from.nodes.size(); ++i) {
            const node& n = from.nodes[i];
            if (!c.needs(n)) continue;
            for (int u : from.operands(n)) {
                readers.push_back({static_cast<int>(i), first_reader[at(u)]});
                first_reader[at(u)] = static_cast<int>(readers.size()) - 1;
            }
        }
        each_handed_on(from, [&](int v) { outside[at(v)] = 1; });
    }

    /// The values over the space of n's operand, down to what is repeated along some axis. False where one lies in memory,
    /// or is too much: a row kernel reads each of its elements once, and side by side.
    constexpr bool find_terms(const node& n, int axis) {
        ++epoch;
        terms.clear();
        auto add = [&](int v) {
            if (seen[at(v)] == epoch) return;
            seen[at(v)] = epoch;
            terms.push_back(v);
        };
        const int root = from.operands(n)[0];
        const auto count = static_cast<std::size_t>(from.type_of(root)[axis].code);
        add(root);
        for (std::size_t i = 0; i < terms.size(); ++i) {
            const node& m = from.node_of(terms[i]);
            if (m.op == op_of<checked_index_row>()) return false;
            for (int x : from.operands(m)) {
                if (rules::scalar_under(from, x) >= 0 || rules::is<broadcast_to_row>(from, x))
                    continue;
                if (!is_elementwise(from, x)) return false;
                add(x);
            }
            if (terms.size() * count > most_term_lines) return false;
        }
        std::sort(terms.begin(), terms.end());
        return true;
    }
    /// Whether no kernel over the whole space is needed that could have made the reduction, too: what else comes of the
    /// terms, point by point, is reduced and nothing else.
    constexpr bool terms_go() {
        flat_list<int> todo(terms.begin(), terms.end());
        for (std::size_t i = 0; i < todo.size(); ++i) {
            if (outside[at(todo[i])] || i > most_followers) return false;
            for (int k = first_reader[at(todo[i])]; k >= 0; k = readers[at(k)].next) {
                const node& m = from.nodes[at(readers[at(k)].node)];
                op_id join{};
                if (joins_terms(m.op, join)) continue;
                if (row_of(m).kind != op_class::elementwise) return false;
                int v = m.results.first;
                if (seen[at(v)] == epoch) continue;
                seen[at(v)] = epoch;
                todo.push_back(v);
            }
        }
        return true;
    }

    constexpr type without_axis(int v, int axis) const {
        words gone{axis};
        return rules::without(from.type_of(v), gone);
    }
    /// Element k along the axis of an operand of a term.
    constexpr int element(int x, int axis, std::int64_t k) {
        const type t = without_axis(x, axis);
        if (int scalar = rules::scalar_under(from, x); scalar >= 0)
            return broadcast({&to, c.moved(scalar)}, t).id;
        if (!rules::is<broadcast_to_row>(from, x)) return piece[at(x)];
        int source = rules::operand_of(from, x), y = c.moved(source);
        const type of_source = from.type_of(source);
        if (of_source[axis].code != 1) {
            words cut;
            for (int a = 0; a < of_source.rank; ++a) {
                cut.push_back(a == axis ? k : 0);
                cut.push_back(1);
                cut.push_back(a == axis ? 1 : of_source[a].code);
            }
            y = rules::make<slice_row>(to, y, cut).id;
        }
        return broadcast(rules::make<squeeze_row>(to, y, words{axis}), t).id;
    }
    constexpr int written_out(const node& n, int axis) {
        to.file = n.file;
        to.line = n.line;
        const int root = from.operands(n)[0];
        op_id join{};
        joins_terms(n.op, join);
        flat_list<int> all;
        for (std::int64_t k = 0; k < from.type_of(root)[axis].code; ++k) {
            for (int v : terms) {
                const node& m = from.node_of(v);
                flat_list<int> operands;
                for (int x : from.operands(m)) operands.push_back(element(x, axis, k));
                type t = without_axis(v, axis);
                piece[at(v)] =
                    to.append(m.op, operands, from.attributes(m), flat_view<const type>(&t, 1));
            }
            all.push_back(piece[at(root)]);
        }
        while (all.size() > 1) {
            std::size_t last = 0;
            for (std::size_t k = 0; k < all.size(); k += 2, ++last)
                all[last] = k + 1 < all.size()
                                ? append(to, join, flat_view<const int>(&all[k], 2), {}).id
                                : all[k];
            all.resize(last);
        }
        words rest;
        for (auto a : from.attributes(n))
            if (a != axis) rest.push_back(a < axis ? a : a - 1);
        return s.settle(rules::reduced(to, n.op, all[0], rest).id);
    }
};
}  // namespace detail

/// Whether a graph has reductions that may be written out.
constexpr bool has_short_axes(const graph& g) {
    for (const node& n : g.nodes)
        if (detail::short_axis(g, n) >= 0) return true;
    return false;
}
/// `from` with its reductions over short axes written out, into the empty graph `to`.
constexpr void unroll(const graph& from, graph& to, simplify_options options = {}) {
    graph work;
    from.share_tables(work);
    work.depth = 1;  // nodes belong to the line of what they replace
    detail::unroller(from, work, options).run();
    work.first_mistake << from.first_mistake.view();
    remove_dead_code(work, to);
    to.first_mistake << work.first_mistake.view();
}

}  // namespace etch
