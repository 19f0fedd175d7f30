// SPDX-License-Identifier: MIT
// Which storage holds which value of a region, while it is lowered. That a storage is asked for makes its value stored.
#pragma once
#include <etch/passes/fuse.hpp>
#include <etch/passes/program.hpp>

namespace etch::detail {

/// A region while it is lowered: its fusion, and the storage of each of its values.
struct region_storages {
    graph& g;
    program& out;
    fusion f;
    region_storages* parent;
    flat_list<int> storage_of;  // by value
    flat_list<int> line_of;     // by value: the instruction that makes it in its cluster's body

    constexpr region_storages(graph& graph_in, program& program_out, region_storages* around,
                              int loop, flat_view<const int> roots, flat_view<const int> updates)
        : g(graph_in),
          out(program_out),
          f(graph_in, loop, roots, updates, around ? &around->f : nullptr),
          parent(around),
          storage_of(graph_in.values.size(), -1),
          line_of(graph_in.values.size(), -1) {}

    constexpr int new_storage(const type& t, place where, int index, int node) {
        storage s;
        s.element = t.element;
        s.where = where;
        s.index = index;
        s.size = g.size_of(t);
        s.node = node;
        out.storages.push_back(s);
        return static_cast<int>(out.storages.size()) - 1;
    }
    /// Where a value lies; that it is asked for makes it stored.
    constexpr int storage_for(int v) {
        int b = f.base(v);
        const node n = g.node_of(b);
        if (n.op == op_of<reshape_row>() && f.own(b)) return storage_for(g.operands(n)[0]);
        if (!f.own(b) && parent && row_of(n).kind != op_class::leaf) return parent->storage_for(b);
        if (int& s = storage_of[b]; s >= 0) return s;
        f.stored[b] = 1;
        auto a = g.attributes(n);
        int s = -1, index = a.empty() ? 0 : static_cast<int>(a.back());
        if (n.op == op_of<input_row>() || n.op == op_of<parameter_row>() ||
            n.op == op_of<constant_row>()) {
            if (parent) return parent->storage_for(b);
            if (n.op == op_of<constant_row>()) {
                index = static_cast<int>(out.words.size());
                for (auto i = at(2 + static_cast<int>(a[1])); i < a.size(); ++i)
                    out.words.push_back(a[i]);
            }
            place where = n.op == op_of<input_row>()       ? place::input
                          : n.op == op_of<parameter_row>() ? place::state
                                                           : place::constant;
            s = new_storage(g.type_of(b), where, index, line_index(b));
        } else {
            if (row_of(n).kind == op_class::leaf && parent) return parent->storage_for(b);
            s = new_storage(g.type_of(b), place::arena, 0, line_index(b));
        }
        storage_of[b] = s;
        return s;
    }
    constexpr int line_index(int v) {
        const node& n = g.node_of(v);
        out.nodes.push_back({n.file, n.line, n.op});
        return static_cast<int>(out.nodes.size()) - 1;
    }
};

}  // namespace etch::detail
