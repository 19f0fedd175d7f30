// SPDX-License-Identifier: MIT
// The order of the steps. Before: a simplified graph. After: a program whose steps, run one after the other, compute the
// outputs, and then the updates. A region's kernels and steps of their own are lowered from the last stage to the first
// and stand in order of their stages; within a stage nothing depends on anything. Updates come last: what can fail
// (an index outside of its axis) has failed before a parameter changes.
#pragma once
#include <etch/passes/walk.hpp>

namespace etch::detail {

/// Something that becomes steps: a cluster, or a node that is a step of its own.
struct unit {
    int stage, key;
    int cluster = -1, node = -1;
    flat_list<step> steps;
};

class scheduler {
public:
    constexpr scheduler(graph& graph_in, program& program_out) : g(graph_in), out(program_out) {}

    /// Appends the program's steps; inputs, outputs, states and names are filled in by plan.hpp.
    constexpr void run() {
        flat_list<int> roots, updates;
        for (const auto& o : g.outputs) roots.push_back(o.value);
        for (const auto& p : g.parameters)
            if (p.update >= 0) updates.push_back(p.update);
        region_storages r(g, out, nullptr, -1, roots, updates);
        for (int v : roots) r.f.stored[r.f.base(v)] = 1;
        for (int v : updates) r.f.stored[r.f.base(v)] = 1;
        flat_list<unit> units = lower(r);
        flat_list<step> before, top, final, copies;
        for (const auto& o : g.outputs) {
            int s = plain(r, o.value, before);
            if (out.storages[s].where != place::arena) {
                int to = r.new_storage(g.type_of(o.value), place::output, 0, -1);
                before.push_back(copy_step(s, to));
                s = to;
            }
            out.storages[s].where = place::output;
            out.storages[s].index = static_cast<int>(out.outputs.size());
            out.outputs.push_back({o.name, g.type_of(o.value), s});
        }
        for (const auto& p : g.parameters) {
            if (p.update < 0 || p.update == p.value) continue;
            int from = plain(r, p.update, before);
            if (out.storages[from].where ==
                place::state) {  // another parameter, as it was before the call
                int old = r.new_storage(g.type_of(p.update), place::arena, 0, -1);
                before.push_back(copy_step(from, old));
                from = old;
            }
            copies.push_back(copy_step(from, r.storage_for(p.value)));
        }
        for (auto& u : units) {
            auto& to = u.stage == last_stage ? final : top;
            for (const auto& s : u.steps) to.push_back(s);
        }
        if (final.size() >
            1) {  // all updates are one kernel: their parts were lowered one after the other
            step all = final[0];
            for (const auto& s : final) {
                all.parts.first = std::min(all.parts.first, s.parts.first);
                if (&s != &final[0]) all.parts.count += s.parts.count;
            }
            final.assign(1, all);
        }
        for (auto* list : {&before, &final, &copies})
            for (const auto& s : *list) top.push_back(s);
        out.top = {static_cast<int>(out.steps.size()), static_cast<int>(top.size())};
        out.steps.append(top);
    }

private:
    graph& g;
    program& out;

    constexpr step copy_step(int from, int to) {
        out.copies.push_back({from, to});
        return {step_kind::copy, {}, static_cast<int>(out.copies.size()) - 1};
    }
    static constexpr step kernel_step(int part) { return {step_kind::kernel, {part, 1}, -1}; }

    /// A storage that holds v row by row; views that no kernel wrote get a kernel here.
    constexpr int plain(region_storages& r, int v, flat_list<step>& steps) {
        op_id op = g.node_of(v).op;
        double number = 0;
        bool scalar_constant =
            op == op_of<constant_row>() && g.type_of(v).rank == 0 && constant_number(g, v, number);
        if (!r.f.is_view(v) && op != op_of<extent_value_row>() && !scalar_constant)
            return r.storage_for(v);
        body_builder b(r, -1, last_stage, g.type_of(v), 0);
        auto m = index_map::identity(g.type_of(v).rank);
        int s = r.new_storage(g.type_of(v), place::arena, 0, r.line_index(v));
        b.store(b.value(v, m), v, m, s);
        steps.push_back(kernel_step(b.finish(out)));
        return s;
    }

    constexpr flat_list<unit> lower(region_storages& r) {
        flat_list<unit> units;
        for (std::size_t c = 0; c < r.f.clusters.size(); ++c) {
            const cluster& k = r.f.clusters[c];
            if (k.merged >= 0) continue;
            int key = 0;
            for (int v : k.members) key = std::max(key, v);
            units.push_back({k.stage, key, static_cast<int>(c), -1, {}});
        }
        for (int n : r.f.order) {
            const node& k = g.nodes[n];
            if (row_of(k).kind == op_class::opaque && k.op != op_of<reshape_row>())
                units.push_back({r.f.stage_of[k.results.first], k.results.first, -1, n, {}});
        }
        std::sort(units.begin(), units.end(), [](const unit& a, const unit& b) {
            return a.stage != b.stage ? a.stage < b.stage : a.key < b.key;
        });
        for (auto i = units.size(); i-- > 0;) {
            unit& u = units[i];
            if (u.cluster >= 0)
                lower_cluster(r, u);
            else
                lower_node(r, u);
        }
        return units;
    }

    constexpr void lower_cluster(region_storages& r, unit& u) {
        flat_list<int> members = r.f.clusters[u.cluster].members;
        std::sort(members.begin(), members.end());
        const cluster& c = r.f.clusters[u.cluster];
        body_builder b(r, u.cluster, c.stage, c.space, c.reduced);
        bool any = false;
        for (int v : members)
            if (r.f.stored[v]) {
                b.member(v);
                any = true;
            }
        if (!any) return;
        for (int v : members) {
            if (!r.f.stored[v]) continue;
            index_map m;
            const auto map = r.f.own_map(v);
            for (int i = 0; i < g.type_of(v).rank; ++i) m[i].axis = map[i];
            b.store(b.member(v), v, m, r.storage_for(v));
        }
        u.steps.push_back(kernel_step(b.finish(out)));
    }

    constexpr void lower_node(region_storages& r, unit& u) {
        const node n = g.nodes[u.node];
        int v = n.results.first;
        if (n.op == op_of<dot_row>())
            u.steps.push_back(product(r, n));
        else if (n.op == op_of<scan_row>())
            lower_scan(r, u, n);
        else if (n.op == op_of<concatenate_row>())
            concatenate(r, u, n);
        else if (n.op == op_of<pad_row>()) {
            const detail::words a(g.attributes(n).begin(), g.attributes(n).end());
            int x = g.operands(n)[0], fill = g.operands(n)[1];
            fill_with(r, u, v, fill);
            auto m = index_map::identity(g.type_of(x).rank);
            for (int i = 0; i < g.type_of(x).rank; ++i) {
                m[i].offset = {a[3 * i]};
                m[i].step = a[3 * i + 1];
            }
            u.steps.push_back(kernel_step(move(r, u.stage, x, v, m)));
        } else {
            fill_with(r, u, v, -1);
            scatter(r, u, n);
        }
    }
    /// A part that writes value x into result v, x's axes following v's by m.
    constexpr int move(region_storages& r, int stage, int x, int v, const index_map& m) {
        body_builder b(r, -1, stage, g.type_of(x), 0);
        slot to = b.place_of(g.type_of(v), m);
        to.storage = r.storage_for(v);
        int i = b.value(x, index_map::identity(g.type_of(x).rank));
        b.store_at(i, to, g.type_of(v).element, -1, v);
        return b.finish(out);
    }
    constexpr void fill_with(region_storages& r, unit& u, int v, int number) {
        const type t = g.type_of(v);
        body_builder b(r, -1, u.stage, t, 0);
        int i = number >= 0 ? b.value(number, {}) : b.constant(t.element, word_of(t.element, 0));
        b.store(i, v, index_map::identity(t.rank), r.storage_for(v));
        u.steps.push_back(kernel_step(b.finish(out)));
    }
    constexpr void concatenate(region_storages& r, unit& u, const node& n) {
        int v = n.results.first, axis = static_cast<int>(g.attributes(n)[0]), first = -1;
        extent start{0};
        for (int k = 0; k < n.operands.count; ++k) {
            int x = g.operands(n)[k];
            auto m = index_map::identity(g.type_of(x).rank);
            m[axis].offset = start;
            int p = move(r, u.stage, x, v, m);
            if (first < 0) first = p;
            start = g.add(start, g.type_of(x)[axis]);
        }
        u.steps.push_back({step_kind::kernel, {first, n.operands.count}, -1});
    }
    constexpr void scatter(region_storages& r, unit& u, const node& n) {
        int v = n.results.first, updates = g.operands(n)[0], index = g.operands(n)[1];
        const type t = g.type_of(updates), result = g.type_of(v), it = g.type_of(index);
        int axis = static_cast<int>(g.attributes(n)[0]);
        bool along = n.op == op_of<scatter_add_along_axis_row>();
        int added = along ? 1 : it.rank;
        body_builder b(r, -1, u.stage, t, 0);
        index_map of_result, of_index;
        for (int a = 0; a < result.rank; ++a) {
            of_result[a].axis = a < axis ? a : a - 1 + added;
            if (a == axis) of_result[a] = {axis_source::dynamic, 1, {}};
        }
        for (int a = 0; a < it.rank; ++a) of_index[a].axis = along ? a : axis + a;
        int i = b.value(updates, index_map::identity(t.rank)), k = b.value(index, of_index);
        slot to = b.place_of(result, of_result);
        to.storage = r.storage_for(v);
        b.store_at(i, to, result.element, k, v);
        u.steps.push_back(kernel_step(b.finish(out)));
    }

    constexpr step product(region_storages& r, const node& n) {
        int v = n.results.first, x = g.operands(n)[0], y = g.operands(n)[1];
        const type t = g.type_of(v), tx = g.type_of(x);
        matrix_product p;
        p.element = t.element;
        p.m = t[t.rank - 2];
        p.n = t[t.rank - 1];
        p.k = tx[tx.rank - 1];
        for (int i = 0; i + 2 < t.rank; ++i) p.batch = g.multiply(p.batch, t[i]);
        factor(r, x, p.a, p.transpose_a, p.lda, p.stride_a);
        factor(r, y, p.b, p.transpose_b, p.ldb, p.stride_b);
        p.c = r.storage_for(v);
        p.node = r.line_index(v);
        out.gemms.push_back(p);
        return {step_kind::gemm, {}, static_cast<int>(out.gemms.size()) - 1};
    }
    /// Reads one factor of a product through its view: where, transposed or not, and the strides.
    constexpr void factor(region_storages& r, int v, int& s, bool& transposed, extent& leading,
                          extent& batch_stride) {
        const type t = g.type_of(v);
        auto [b, m] = r.f.behind(v, index_map::identity(t.rank));
        const type from = g.type_of(b);
        s = r.storage_for(b);
        extent stride{1}, row{1}, column{1}, rows = t[t.rank - 2], columns = t[t.rank - 1];
        batch_stride = {0};
        for (int i = from.rank; i-- > 0;) {  // v may show less than all of the matrices
            if (m[i].axis == t.rank - 2)
                row = stride;
            else if (m[i].axis == t.rank - 1)
                column = stride;
            else if (from[i].code != 1 && batch_stride.code == 0)
                batch_stride = stride;
            stride = g.multiply(stride, from[i]);
        }
        transposed = column.code != 1 && columns.code != 1;
        leading = transposed ? column : rows.code == 1 ? columns : row;
        if (columns.code == 1 && !transposed && rows.code != 1) leading = row;
    }

    constexpr void lower_scan(region_storages& r, unit& u, const node& n) {
        const words attributes(g.attributes(n).begin(), g.attributes(n).end());
        const flat_list<int> operands(g.operands(n).begin(), g.operands(n).end());
        loop_view l{attributes};
        flat_list<int> roots;
        for (int c = 0; c < l.carries(); ++c) roots.push_back(l.next(c));
        flat_list<int> wanted;  // stacks that something reads
        for (int s = 0; s < l.stacks(); ++s) {
            int v = n.results.first + l.carries() + s;
            if (r.f.uses[v] == 0 && !r.f.stored[v]) continue;
            wanted.push_back(s);
            roots.push_back(l.stacked(s));
        }
        region_storages body(g, out, &r, l.loop(), roots, {});
        for (int v : roots) body.f.stored[body.f.base(v)] = 1;
        loop k;
        k.steps = l.steps();
        k.reverse = l.reverse();
        k.node = r.line_index(n.results.first);
        auto slice_of = [&](int whole, int v) {
            int s = r.new_storage(g.type_of(v), place::slice, whole, r.line_index(v));
            return s;
        };
        flat_list<int> sequences;
        for (int s = 0; s < l.sequences(); ++s) sequences.push_back(plain(r, operands[s], u.steps));
        flat_list<int> stacks;
        for (int s : wanted) stacks.push_back(r.storage_for(n.results.first + l.carries() + s));
        flat_list<int> carried;
        for (int c = 0; c < l.carries(); ++c) {
            carried.push_back(r.storage_for(n.results.first + c));
            body.storage_of[l.carry(c)] = carried.back();
            u.steps.push_back(
                copy_step(plain(r, operands[l.sequences() + c], u.steps), carried.back()));
        }
        k.slices.first = static_cast<int>(out.storages.size());
        for (int s = 0; s < l.sequences(); ++s)
            body.storage_of[l.slice(s)] = slice_of(sequences[s], l.slice(s));
        flat_list<int> targets;
        for (std::size_t i = 0; i < wanted.size(); ++i)
            targets.push_back(slice_of(stacks[i], l.stacked(wanted[i])));
        k.slices.count = static_cast<int>(out.storages.size()) - k.slices.first;
        flat_list<step> steps, tail;
        flat_list<unit> units = lower(body);
        for (const auto& w : units)
            for (const auto& s : w.steps) steps.push_back(s);
        for (std::size_t i = 0; i < wanted.size(); ++i)
            tail.push_back(copy_step(plain(body, l.stacked(wanted[i]), steps), targets[i]));
        flat_list<int> next;
        for (int c = 0; c < l.carries(); ++c) {
            int s = plain(body, l.next(c), steps);
            for (int other : carried)
                if (s == other && s != carried[c]) {  // two carried values change places
                    int kept = r.new_storage(g.type_of(l.next(c)), place::arena, 0, -1);
                    tail.push_back(copy_step(s, kept));
                    s = kept;
                    break;
                }
            next.push_back(s);
        }
        for (int c = 0; c < l.carries(); ++c)
            if (next[c] != carried[c]) tail.push_back(copy_step(next[c], carried[c]));
        steps.append(tail);
        k.body = {static_cast<int>(out.steps.size()), static_cast<int>(steps.size())};
        out.steps.append(steps);
        out.loops.push_back(k);
        u.steps.push_back({step_kind::loop, {}, static_cast<int>(out.loops.size()) - 1});
    }
};

}  // namespace etch::detail
