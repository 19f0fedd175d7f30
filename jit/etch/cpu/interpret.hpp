// SPDX-License-Identifier: MIT
// Kernel bodies of a program that is known at run time only. A body becomes lists of lines, each a function from a table
// that computes one instruction for a whole block of packs; blocks are small enough for their registers to stay in the
// first caches. Order and arithmetic are those of cpu/kernel.hpp.
#pragma once
#include <algorithm>
#include <concepts>
#include <memory>
#include <new>
#include <vector>

#include <etch/cpu/interpret_lines.hpp>

namespace etch::cpu {

namespace detail {

/// Memory of the calling thread; it grows and is kept.
inline std::byte* interpreter_memory(std::size_t bytes) {
    struct memory {
        std::byte* data = nullptr;
        std::size_t size = 0;
        ~memory() { release(); }
        void release() {
            if (data) ::operator delete(data, std::align_val_t{64});
        }
    };
    thread_local memory m;
    if (m.size < bytes) {
        m.release();
        m.data = nullptr;
        m.size = 0;
        m.data = static_cast<std::byte*>(::operator new(bytes, std::align_val_t{64}));
        m.size = bytes;
    }
    return m.data;
}

/// A body as lists of lines, in the order in which they run.
struct table_body {
    body shape;
    int vector_axis = -1, reductions = 0;
    std::vector<line> before, begin, save, at_end;
    std::vector<std::vector<line>> begin_rows, points;  // by pass
    std::vector<std::vector<line>> rows;                // by stage: before each pass, and after the last
    int units[3]{};                                     // registers of each level, per pack
    int block_packs = 0, row_packs = 0;
    bool one_column = false;  // sums over all points must see columns one after the other

    std::size_t bytes() const {
        auto n = static_cast<std::size_t>(block_packs + 2);
        std::size_t packs = static_cast<std::size_t>(units[0]) +
                            static_cast<std::size_t>(units[1]) * static_cast<std::size_t>(row_packs) +
                            static_cast<std::size_t>(units[2]) * static_cast<std::size_t>(block_packs);
        auto positions = static_cast<std::size_t>(shape.slots + 1) * sizeof(std::int64_t);
        return packs * register_bytes + 2 * n * (positions + sizeof(run)) + positions;
    }
};

constexpr int registers_of(dtype d) { return row_of(d).bytes == 8 ? 2 : 1; }
inline constexpr int accumulator_registers = 3;

/// Makes the lines of a body.
template <class Table> class table_writer {
public:
    table_writer(const program_view& program, const body& b, table_body& to)
        : code_(program.code_of(b)), out(to), places(code_.size()), accumulators(code_.size()) {
        out.shape = b;
        out.vector_axis = b.kind == body_kind::columns ? b.outer - 1 : b.outer + b.inner - 1;
        out.reductions = scalar_reductions(code_);
        out.begin_rows.resize(at(b.passes));
        out.points.resize(at(b.passes));
        out.rows.resize(at(b.passes + 1));
        place_values();
        for (int i = 0; i < count(); ++i) {
            const instruction& k = code_[at(i)];
            if (is_before(k)) out.before.push_back(make(i));
            if (is_at_end(k)) out.at_end.push_back(make(i));
            if (is_scalar_reduction(k)) {
                out.begin.push_back(make(i, functions(k).begin));
                out.save.push_back(make(i, functions(k).save));
                out.at_end.push_back(make(i, functions(k).join));
                if (over(k) == level::point) out.one_column = true;
            }
            for (int p = 0; p <= b.passes; ++p)
                if (in_row_stage(k, p))
                    out.rows[at(p)].push_back(is_row_reduction(k) ? make(i, functions(k).end) : make(i));
        }
        for (int p = 0; p < b.passes; ++p) write_pass(p);
        choose_sizes();
    }

private:
    std::span<const instruction> code_;
    table_body& out;
    std::vector<place_of_register> places, accumulators;

    static std::size_t at(int i) { return static_cast<std::size_t>(i); }
    static std::size_t at(dtype d) { return static_cast<std::size_t>(d); }
    int count() const { return static_cast<int>(code_.size()); }
    const reduction_functions& functions(const instruction& k) const { return Table::reductions[k.op][at(k.from)]; }

    place_of_register take(level l, int registers) {
        int& n = out.units[static_cast<std::size_t>(l)];
        n += registers;
        return {l, n - registers};
    }
    /// Registers of uniform and of rows' values are kept for the whole body.
    void place_values() {
        for (int i = 0; i < count(); ++i) {
            const instruction& k = code_[at(i)];
            if (k.what == code::reduce) accumulators[at(i)] = take(k.at, accumulator_registers);
            if (k.at != level::point && k.what != code::store && k.what != code::store_add)
                places[at(i)] = take(k.at, registers_of(k.element));
        }
    }
    line_function function_of(const instruction& k) const {
        const auto& memory = Table::memory[at(k.element)];
        auto index = [&](int o) { return code_[at(k.operands[o])].element == dtype::int64 ? 1 : 0; };
        switch (k.what) {
            case code::load: return memory.load;
            case code::gather: return memory.gather[index(0)];
            case code::index: return memory.index;
            case code::random: return memory.random;
            case code::number: return memory.number;
            case code::size: return memory.size;
            case code::store: return memory.store;
            case code::store_add: return memory.store_add[index(1)];
            case code::reduce: return functions(k).accumulate;
            case code::compute: break;
        }
        if (k.op == op_of<cast_row>()) return Table::cast[at(k.from)][at(k.element)];
        return Table::elementwise[k.op][at(k.from)];
    }
    line make(int i) const { return make(i, function_of(code_[at(i)])); }
    line make(int i, line_function call) const {
        const instruction& k = code_[at(i)];
        line l;
        l.call = call;
        l.index = i;
        l.slot = k.slot;
        l.word = k.word;
        l.result = places[at(i)];
        for (int o = 0; o < 3; ++o) {
            if (k.operands[o] < 0) continue;
            l.operands[o] = places[at(k.operands[o])];
            l.stride[o] = l.operands[o].at == level::uniform ? 0 : 1;
        }
        if (k.what == code::store_add) l.same = k.at == level::uniform;
        if (k.what == code::reduce) {
            l.operands[1] = accumulators[at(i)];
            l.to_row = k.at == level::row;
            l.along = out.shape.kind != body_kind::columns || over(k) == level::row ? 1 : 0;
            l.same = out.shape.kind == body_kind::rows && over(k) == level::row;
            l.numbers = out.reductions;
            l.number = is_scalar_reduction(k) ? scalar_reduction_number(code_, i) : 0;
        }
        return l;
    }

    /// Registers of points are given to the next value when the last one that reads them has run. A value of a row is
    /// spread over the points before the first instruction that reads it.
    void write_pass(int p) {
        std::vector<int> last(2 * code_.size(), -1);  // of the value, and of what is spread
        auto name = [&](int o) { return code_[at(o)].at == level::row ? o + count() : o; };
        for (int i = 0; i < count(); ++i) {
            if (is_row_reduction(code_[at(i)]) && in_pass(code_[at(i)], p))
                out.begin_rows[at(p)].push_back(make(i, functions(code_[at(i)]).begin));
            if (!in_pass(code_[at(i)], p)) continue;
            for (int o : code_[at(i)].operands)
                if (o >= 0) last[at(name(o))] = i;
        }
        std::vector<int> free_units[3], spread(code_.size(), -1);
        int used = 0;
        auto take_point = [&](int registers) {
            auto& list = free_units[registers];
            if (list.empty()) {
                used += registers;
                return used - registers;
            }
            int u = list.back();
            list.pop_back();
            return u;
        };
        for (int i = 0; i < count(); ++i) {
            const instruction& k = code_[at(i)];
            if (!in_pass(k, p)) continue;
            for (int o : k.operands) {
                if (o < 0 || code_[at(o)].at != level::row || spread[at(o)] >= 0) continue;
                spread[at(o)] = take_point(registers_of(code_[at(o)].element));
                line l;
                l.call = Table::memory[at(code_[at(o)].element)].spread;
                l.operands[0] = places[at(o)];
                l.result = {level::point, spread[at(o)]};
                out.points[at(p)].push_back(l);
            }
            bool makes = k.what != code::store && k.what != code::store_add && k.what != code::reduce;
            if (makes) places[at(i)] = {level::point, take_point(registers_of(k.element))};
            line l = make(i);
            for (int o = 0; o < 3; ++o)
                if (k.operands[o] >= 0 && code_[at(k.operands[o])].at == level::row) {
                    l.operands[o] = {level::point, spread[at(k.operands[o])]};
                    l.stride[o] = 2;
                }
            out.points[at(p)].push_back(l);
            for (int o = 0; o < 3; ++o) {
                int v = k.operands[o];
                if (v < 0 || code_[at(v)].at == level::uniform || last[at(name(v))] != i) continue;
                last[at(name(v))] = -1;  // an operand may be named twice
                int unit = code_[at(v)].at == level::row ? spread[at(v)] : places[at(v)].unit;
                free_units[registers_of(code_[at(v)].element)].push_back(unit);
            }
            if (makes && last[at(i)] < 0) free_units[registers_of(k.element)].push_back(places[at(i)].unit);
        }
        out.units[2] = std::max(out.units[2], used);
    }
    void choose_sizes() {
        constexpr int most = 1024 / lanes, budget = (32 << 10) / register_bytes;  // of points; as many of rows
        int least = out.shape.kind == body_kind::columns ? 64 / lanes : 4;
        out.block_packs = std::clamp(budget / std::max(out.units[2], 1), least, std::max(most, least));
        out.row_packs = std::clamp(budget / std::max(out.units[1], 1), least, out.block_packs);
    }
};

/// Runs a body's lists over its space.
class table_runner {
public:
    table_runner(const table_body& body_in, const kernel_call& call) : b(body_in) {
        f.call = &call;
        f.slots = b.shape.slots;
        f.vector_axis = b.vector_axis;
        f.columns = b.shape.kind == body_kind::columns;
        f.row_packs = 1;
        f.task = 0;
        std::byte* memory = interpreter_memory(b.bytes());
        std::int64_t packs[3] = {1, b.row_packs, b.block_packs};
        for (std::size_t l = 0; l < 3; ++l) {
            f.base[l] = memory;
            f.scale[l] = packs[l] * register_bytes;
            memory += b.units[l] * f.scale[l];
        }
        auto n = static_cast<std::size_t>(b.block_packs + 2);
        for (block* k : {&rows, &points}) {
            k->at = reinterpret_cast<std::int64_t*>(memory);
            memory += n * static_cast<std::size_t>(b.shape.slots + 1) * sizeof(std::int64_t);
        }
        position = reinterpret_cast<std::int64_t*>(memory);
        memory += static_cast<std::size_t>(b.shape.slots + 1) * sizeof(std::int64_t);
        for (block* k : {&rows, &points}) {
            k->runs = reinterpret_cast<run*>(memory);
            memory += n * sizeof(run);
        }
    }

    void run_task(std::int64_t first, std::int64_t last, std::int64_t task) {
        if (b.shape.outer + b.shape.inner == 0) return;
        f.task = task;
        uniform(b.before);
        execute(b.begin, rows);
        switch (b.shape.kind) {
            case body_kind::pointwise: pointwise(first, last); break;
            case body_kind::rows: row_by_row(first, last); break;
            case body_kind::columns: column_by_column(first, last); break;
        }
        execute(b.save, rows);
    }
    void finish(std::int64_t tasks) {
        f.task = tasks;
        uniform(b.before);
        execute(b.at_end, rows);
    }

private:
    const table_body& b;
    frame f;
    block rows, points;
    std::int64_t* position = nullptr;  // where the slots point
    std::int64_t index[max_rank]{};

    std::int64_t extent_of(int axis) const { return f.call->extents[axis]; }

    void execute(const std::vector<line>& lines, const block& k) const {
        for (const line& l : lines) l.call(f, l, k);
    }
    /// One pack, the slots at their beginning.
    void uniform(const std::vector<line>& lines) {
        clear(rows);
        seek(0, 0);
        add(rows, 0, 1, lanes, 0, 0);
        execute(lines, rows);
    }
    static void clear(block& k) { k.count = k.packs = 0; }
    /// A run that begins at element x of the vectorised axis.
    void add(block& k, std::int64_t x, int packs, int last, int owner, std::int64_t linear) {
        std::int64_t* to = k.at + k.count * f.slots;
        for (int s = 0; s < f.slots; ++s)
            to[s] = position[s] + (x == 0 ? 0 : x * f.call->slots[s].strides[f.vector_axis]);
        k.runs[k.count++] = {packs, last, owner, linear};
        k.packs += packs;
    }
    static int packs_of(std::int64_t elements) { return static_cast<int>((elements + lanes - 1) / lanes); }
    static int last_of(std::int64_t elements) {
        return static_cast<int>(elements - static_cast<std::int64_t>(packs_of(elements) - 1) * lanes);
    }

    // ---- walks over axes ----------------------------------------------------------------------------------------
    /// Points the slots at a combination of the first `axes` axes.
    void seek(int axes, std::int64_t row) {
        for (int a = axes; a-- > 0;) {
            index[a] = a == 0 ? row : row % extent_of(a);
            row = a == 0 ? 0 : row / extent_of(a);
        }
        for (int s = 0; s < f.slots; ++s) {
            position[s] = f.call->slots[s].offset;
            for (int a = 0; a < axes; ++a) position[s] += index[a] * f.call->slots[s].strides[a];
        }
    }
    void move(int axis, std::int64_t by) {
        for (int s = 0; s < f.slots; ++s) position[s] += by * f.call->slots[s].strides[axis];
    }
    /// The next combination of axes [first, last); after the last one the first, and false.
    bool advance(int first, int last) {
        for (int a = last; a-- > first;) {
            move(a, 1);
            if (++index[a] < extent_of(a)) return true;
            move(a, -extent_of(a));
            index[a] = 0;
        }
        return false;
    }
    std::int64_t combinations(int first, int last) {
        std::int64_t n = 1;
        for (int a = first; a < last; ++a) {
            n *= extent_of(a);
            index[a] = 0;
        }
        return n;
    }
    /// Adds `n` elements from x on, and calls full() where the block is.
    template <class F> void fill(std::int64_t x, std::int64_t n, std::int64_t linear, F full) {
        for (std::int64_t end = x + n; x < end;) {
            std::int64_t m = std::min<std::int64_t>(end - x, static_cast<std::int64_t>(b.block_packs - points.packs) * lanes);
            add(points, x, packs_of(m), last_of(m), 0, linear);
            x += m;
            linear += m;
            if (points.packs == b.block_packs) full();
        }
    }

    // ---- kinds of bodies ----------------------------------------------------------------------------------------
    void pointwise(std::int64_t first, std::int64_t last) {
        std::int64_t n = extent_of(b.vector_axis);
        auto flush = [&] {
            if (points.count > 0) execute(b.points[0], points);
            clear(points);
        };
        clear(points);
        for (std::int64_t u = first; u < last; ++u) {
            std::int64_t row = u / f.call->blocks, x = (u % f.call->blocks) * f.call->block;
            if (u == first) seek(b.vector_axis, row);
            else if (x == 0) advance(0, b.vector_axis);
            fill(x, std::min(f.call->block, n - x), row * n + x, flush);
        }
        flush();
        clear(rows);
    }

    void row_by_row(std::int64_t first, std::int64_t last) {
        int outer = b.shape.outer;
        std::int64_t n = extent_of(b.vector_axis), runs = combinations(outer, b.vector_axis);
        if (n == 0) runs = 0;
        std::int64_t packs = runs * packs_of(n);
        bool fits = packs <= b.block_packs;
        std::int64_t group = !fits ? 1 : std::min<std::int64_t>(b.row_packs, packs == 0 ? b.row_packs : b.block_packs / packs);
        seek(outer, first);
        for (std::int64_t u = first; u < last; u += group) {
            int count = static_cast<int>(std::min(group, last - u));
            clear(rows);
            clear(points);
            for (int r = 0; r < count; ++r) {
                add(rows, 0, 1, lanes, r, u + r);
                for (std::int64_t k = 0, linear = 0; fits && k < runs; ++k, linear += n) {
                    add(points, 0, packs_of(n), last_of(n), r, linear);
                    advance(outer, b.vector_axis);
                }
                if (fits) advance(0, outer);
            }
            f.row_packs = count;
            passes([&](const std::vector<line>& lines) {
                if (fits) {
                    if (points.count > 0) execute(lines, points);
                    return;
                }
                clear(points);
                auto flush = [&] {
                    execute(lines, points);
                    clear(points);
                };
                for (std::int64_t k = 0; k < runs; ++k) {
                    fill(0, n, k * n, flush);
                    advance(outer, b.vector_axis);
                }
                if (points.count > 0) flush();
            });
            if (!fits) advance(0, outer);
        }
    }
    template <class F> void passes(F over_points) {
        execute(b.rows[0], rows);
        for (int p = 0; p < b.shape.passes; ++p) {
            auto i = static_cast<std::size_t>(p);
            execute(b.begin_rows[i], rows);
            over_points(b.points[i]);
            execute(b.rows[i + 1], rows);
        }
    }

    void column_by_column(std::int64_t first, std::int64_t last) {
        int outer = b.shape.outer, axes = outer + b.shape.inner;
        std::int64_t n = extent_of(b.vector_axis), steps = combinations(outer, axes);
        std::int64_t widest = b.one_column ? lanes : static_cast<std::int64_t>(std::min(b.row_packs, 64 / lanes)) * lanes;
        for (std::int64_t u = first; u < last; ++u) {
            std::int64_t row = u / f.call->blocks, x = (u % f.call->blocks) * f.call->block;
            std::int64_t end = std::min(x + f.call->block, n);
            for (; x < end; x += widest) {
                std::int64_t width = std::min(widest, end - x);
                seek(b.vector_axis, row);
                for (int a = outer; a < axes; ++a) index[a] = 0;
                clear(rows);
                add(rows, x, packs_of(width), last_of(width), 0, row * n + x);
                f.row_packs = rows.packs;
                passes([&](const std::vector<line>& lines) {
                    clear(points);
                    for (std::int64_t k = 0; k < steps; ++k) {
                        if (points.packs + rows.packs > b.block_packs) {
                            execute(lines, points);
                            clear(points);
                        }
                        add(points, x, packs_of(width), last_of(width), 0, k);
                        advance(outer, axes);
                    }
                    if (points.count > 0) execute(lines, points);
                });
            }
        }
    }
};

}  // namespace detail

/// One entry for each body of a program. It owns what the entries refer to and must outlive their use.
class interpreter_kernels {
public:
    template <std::same_as<program_view> View> explicit interpreter_kernels(const View& program) {
        bodies.reserve(program.bodies.size());
        for (const body& b : program.bodies) {
            bodies.push_back(std::make_unique<detail::table_body>());
            detail::table_body& t = *bodies.back();
            detail::table_writer<detail::interpreter_table<all_rows>>(program, b, t);
            entries_.push_back({&run, t.at_end.empty() ? nullptr : &finish, &t});
        }
    }
    std::span<const kernel_entry> entries() const { return entries_; }

private:
    std::vector<std::unique_ptr<detail::table_body>> bodies;
    std::vector<kernel_entry> entries_;

    static void run(const kernel_call& call, const kernel_entry& e, std::int64_t first, std::int64_t last,
                    std::int64_t task) {
        detail::table_runner(*static_cast<const detail::table_body*>(e.context), call).run_task(first, last, task);
    }
    static void finish(const kernel_call& call, const kernel_entry& e, std::int64_t tasks) {
        detail::table_runner(*static_cast<const detail::table_body*>(e.context), call).finish(tasks);
    }
};

}  // namespace etch::cpu
