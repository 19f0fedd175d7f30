// SPDX-License-Identifier: MIT
// Kernel bodies. Before: the clusters of fuse. After: a cluster is one part, a body over an iteration space whose loads
// and stores are affine in the indices. Clusters are lowered from the last stage to the first, so that what later ones
// load is known to be stored when its own turn comes. It stands after fuse and before schedule.
#pragma once
#include <algorithm>

#include <etch/passes/storages.hpp>

namespace etch::detail {

/// Writes the body of one kernel.
class body_builder {
public:
    constexpr body_builder(region_storages& region, int cluster, int stage, const type& space,
                           unsigned reduced)
        : r(region), g(region.g), id(cluster), at_stage(stage), space_(space), rows(reduced) {
        code_.reserve(64);  // constant evaluation is slow at growing vectors
        lines.reserve(64);
        slots.reserve(32);
        memo.reserve(32);
        for (int& k : newest) k = -1;
    }

    /// The instruction that gives value v where its axes follow the space's axes by m.
    constexpr int value(int v, const index_map& m) {
        auto [b, mm] = r.f.behind(v, m);
        const node n = g.node_of(b);
        double number = 0;
        if (n.op == op_of<constant_row>() && constant_number(g, b, number)) {
            auto a = g.attributes(n);
            return constant(g.type_of(b).element, a[2 + static_cast<int>(a[1])]);
        }
        if (n.op == op_of<extent_value_row>()) {
            slot s;
            s.offset = {g.attributes(n)[1]};
            instruction i{
                .what = code::size, .element = g.type_of(b).element, .at = level::uniform};
            return known(b, {}, i, &s);
        }
        switch (r.f.access_of(b, id, at_stage)) {
        case fusion::access::member:
            if (here(b, mm)) return member(b);
            break;  // read at another point than the one that is being computed: computed again for that
        case fusion::access::memory: return load(b, mm);
        case fusion::access::again: break;
        }
        if (int i = find(b, mm); i >= 0) return i;
        int i = emit(b, mm);
        remember(b, mm, i);
        return i;
    }
    /// Whether a member is read where the kernel computes it.
    constexpr bool here(int v, const index_map& m) const {
        const type& t = g.type_of(v);
        const auto map = r.f.own_map(v);
        for (int i = 0; i < t.rank; ++i)
            if (t[i].code != 1 && (m[i].axis != map[i] || m[i].step != 1 || m[i].offset.code != 0))
                return false;
        return true;
    }
    /// The instruction of a member. Those that it needs come before, from a list: recursion would be as deep as the
    /// model.
    constexpr int member(int v) {
        if (r.line_of[v] >= 0) return r.line_of[v];
        const auto others = waiting.size();
        waiting.push_back(v);
        while (waiting.size() > others) {
            int u = waiting.back();
            if (r.line_of[u] < 0 && wait_for_operands(u)) continue;
            waiting.pop_back();
            if (r.line_of[u] >= 0) continue;
            index_map m;
            const auto map = r.f.own_map(u);
            for (int i = 0; i < g.type_of(u).rank; ++i) m[i].axis = map[i];
            int line = emit(u, m);
            r.line_of[u] = line;
        }
        return r.line_of[v];
    }
    /// Stores instruction i as value v, whose axes follow the space's by m, in storage s.
    constexpr void store(int i, int v, const index_map& m, int s) {
        slot to = place_of(g.type_of(v), m);
        to.storage = s;
        instruction st{.what = code::store,
                       .element = g.type_of(v).element,
                       .at = std::max(level_of(to), code_[i].at)};
        st.operands[0] = i;
        st.after = st.at == level::uniform && code_[i].after;
        st.pass = code_[i].pass;
        push(st, &to, v);
    }
    constexpr void store_at(int i, const slot& to, dtype element, int index, int v) {
        instruction st{.what = index >= 0 ? code::store_add : code::store,
                       .element = element,
                       .at = level::point};
        st.operands[0] = i;
        st.operands[1] = index;
        if (significant_axes() == 0) st.at = level::uniform;
        sequential = sequential || index >= 0;
        push(st, &to, v);
    }
    constexpr int constant(dtype d, std::int64_t word) {
        for (int i : numbers)
            if (code_[i].element == d && code_[i].word == word) return i;
        numbers.push_back(push(
            {.what = code::number, .element = d, .at = level::uniform, .word = word}, nullptr, -1));
        return numbers.back();
    }
    /// Row-major strides of a type, seen through a map.
    constexpr slot place_of(const type& t, const index_map& m) {
        slot s;
        extent stride{1};
        for (int i = t.rank; i-- > 0;) {
            const auto& from = m[i];
            if (from.offset.code != 0) s.offset = g.add(s.offset, g.multiply(stride, from.offset));
            if (from.axis >= 0 && t[i].code != 1) {
                extent& to = s.strides[from.axis];
                extent moved = scale(g, stride, from.step);
                to = to.code == 0 ? moved : g.add(to, moved);
            } else if (from.axis == axis_source::dynamic) {
                s.step = scale(g, stride, from.step);
                s.bound = t[i];
            }
            stride = g.multiply(stride, t[i]);
        }
        return s;
    }

    /// Ends the body: passes, the order of the axes, what is contiguous; returns the part.
    constexpr int finish(program& out);
    constexpr bool empty() const { return code_.empty(); }

private:
    region_storages& r;
    graph& g;
    int id, at_stage;
    type space_;
    unsigned rows;
    bool sequential = false;
    flat_list<instruction> code_;
    flat_list<slot> slots;
    flat_list<program_line> lines;
    struct remembered {
        int value;
        index_map map;
        int line, older;  // of the same hash
    };
    flat_list<remembered> memo;
    fixed_list<int, 32> newest{};  // in memo, of each hash
    flat_list<int> numbers;        // lines
    flat_list<int> waiting;        // members to be emitted

    constexpr unsigned significant_axes() const { return fusion::significant(space_); }
    constexpr int find(int v, const index_map& m) const {
        for (int k = newest[at(v) % newest.size()]; k >= 0; k = memo[k].older)
            if (memo[k].value == v && memo[k].map == m) return memo[k].line;
        return -1;
    }
    constexpr void remember(int v, const index_map& m, int line) {
        int& first = newest[at(v) % newest.size()];
        memo.push_back({v, m, line, first});
        first = static_cast<int>(memo.size()) - 1;
    }
    /// Puts members that v reads, and that have no line yet, on the list; false where there are none.
    constexpr bool wait_for_operands(int v) {
        const node& n = g.node_of(v);
        op_class kind = row_of(n).kind;
        if (kind != op_class::elementwise && kind != op_class::reduction) return false;
        bool any = false;
        for (int k = n.operands.count; k-- > 0;) {
            int u = g.operands(n)[k], b = r.f.base(u);
            if (r.line_of[b] >= 0 || !r.f.own(b) || !r.f.computed(b) || r.f.home(b) != id) continue;
            index_map m;
            for (int i = 0; i < g.type_of(u).rank; ++i) m[i].axis = r.f.maps[v][i];
            auto source = r.f.behind(u, m);
            if (!here(source.value, source.map)) continue;
            waiting.push_back(b);
            any = true;
        }
        return any;
    }
    constexpr int known(int v, const index_map& m, const instruction& i, const slot* s) {
        if (int line = find(v, m); line >= 0) return line;
        int line = push(i, s, v);
        remember(v, m, line);
        return line;
    }
    constexpr int push(instruction i, const slot* s, int v) {
        if (s) {
            i.slot = static_cast<int>(slots.size());
            slots.push_back(*s);
        }
        code_.push_back(i);
        if (v >= 0) {
            const node& n = g.node_of(v);
            lines.push_back({n.file, n.line, n.op});
        } else {
            lines.push_back({});
        }
        return static_cast<int>(code_.size()) - 1;
    }
    constexpr level level_of(const slot& s) const {
        unsigned mask = 0;
        for (int a = 0; a < space_.rank; ++a)
            if (s.strides[a].code != 0 && space_[a].code != 1) mask |= 1u << a;
        if (rows == 0) return mask ? level::point : level::uniform;
        if (mask & rows) return level::point;
        return mask ? level::row : level::uniform;
    }
    constexpr int load(int v, const index_map& m) {
        slot s = place_of(g.type_of(v), m);
        s.storage = r.storage_for(v);
        instruction i{.what = code::load, .element = g.type_of(v).element, .at = level_of(s)};
        return known(v, m, i, &s);
    }
    constexpr void take_levels(instruction& i) const {
        for (int o : i.operands) {
            if (o < 0) continue;
            i.at = std::max(i.at, code_[o].at);
            i.after = i.after || code_[o].after;
            i.pass = std::max(i.pass, code_[o].pass);
        }
    }
    constexpr int emit(int v, const index_map& m) {
        const node n = g.node_of(v);
        const op_row& row = row_of(n);
        instruction i{.what = code::compute,
                      .op = n.op,
                      .element = g.type_of(v).element,
                      .at = level::uniform};
        i.from = n.operands.count
                     ? g.type_of(g.operands(n)[n.op == op_of<where_row>() ? 1 : 0]).element
                     : i.element;
        switch (row.kind) {
        case op_class::view: return value(g.operands(n)[0], descend(g, n, m));
        case op_class::elementwise:
            for (int k = 0; k < n.operands.count; ++k) i.operands[k] = value(g.operands(n)[k], m);
            if (n.attributes.count > 0 && n.op != op_of<cast_row>()) i.word = g.attributes(n)[0];
            take_levels(i);
            return push(i, nullptr, v);
        case op_class::gather: return gather(n, v, i, m);
        case op_class::counter: return counter(n, v, i, m);
        default: return reduction(n, v, i);
        }
    }
    constexpr int gather(const node& n, int v, instruction i, const index_map& m) {
        int table = g.operands(n)[0], index = g.operands(n)[1];
        int axis = static_cast<int>(g.attributes(n)[0]), rank = g.type_of(table).rank;
        index_map of_table, of_index;
        int added = n.op == op_of<take_row>() ? g.type_of(index).rank : 1;
        for (int a = 0; a < rank; ++a)
            of_table[a] = a == axis ? axis_source{axis_source::dynamic, 1, {}}
                                    : m[a < axis ? a : a - 1 + added];
        if (n.op == op_of<take_row>())
            for (int a = 0; a < added; ++a) of_index[a] = m[axis + a];
        else
            of_index = m;
        i.operands[0] = value(index, of_index);
        i.from = g.type_of(index).element;
        auto [b, mm] = r.f.behind(table, of_table);
        slot s = place_of(g.type_of(b), mm);
        s.storage = r.storage_for(b);
        s.bound = g.type_of(table)[axis];  // of the view, where the table is one
        i.what = code::gather;
        i.at = level_of(s);
        take_levels(i);
        return push(i, &s, v);
    }
    constexpr int counter(const node& n, int v, instruction i, const index_map& m) {
        slot s;
        const type t = g.type_of(v);
        if (n.op == op_of<iota_row>()) {
            const auto& from = m[static_cast<int>(g.attributes(n).back())];
            s.offset = from.offset;
            if (from.axis >= 0) s.strides[from.axis] = scale(g, {1}, from.step);
            i.what = code::index;
        } else {
            s = place_of(t, m);
            i.what = code::random;
            i.word = g.attributes(n).back();
            int key = g.operands(n)[0];
            slot k;
            k.storage = r.storage_for(key);
            for (int w = 0; w < 2; ++w) {
                k.offset = {w};
                i.operands[w] = push(
                    {.what = code::load, .element = dtype::int64, .at = level::uniform}, &k, key);
            }
            i.from = dtype::int64;
        }
        i.at = level_of(s);
        return push(i, &s, v);
    }
    constexpr int reduction(const node& n, int v, instruction i) {
        int x = g.operands(n)[0];
        const auto& map = r.f.maps[v];
        const type t = g.type_of(x);
        index_map m;
        unsigned gone = 0, mask = 0;
        for (int a = 0; a < t.rank; ++a) {
            m[a].axis = map[a];
            if (t[a].code != 1) mask |= 1u << map[a];
        }
        for (auto a : g.attributes(n))
            if (t[static_cast<int>(a)].code != 1) gone |= 1u << map[static_cast<int>(a)];
        int operand = value(x, m);
        if (gone == 0) return n.op == op_of<argmax_row>() ? constant(dtype::int32, 0) : operand;
        i.what = code::reduce;
        i.operands[0] = operand;
        unsigned full = significant_axes();
        bool to_row = rows != 0 && gone == rows && mask == full;
        level over = mask == full ? level::point : level::row;
        i.word = static_cast<std::int64_t>(over);
        i.at = to_row ? level::row : level::uniform;
        i.after = !to_row;
        i.pass = static_cast<std::uint8_t>(code_[operand].pass + (to_row ? 1 : 0));
        return push(i, nullptr, v);
    }
    constexpr void choose_passes(body& b);
    constexpr void order_axes(body& b, part& p);
};

}  // namespace etch::detail
