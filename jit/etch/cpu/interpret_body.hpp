// SPDX-License-Identifier: MIT
// A kernel body as the interpreter runs it: lists of lines, made once from the body's instructions, with the registers
// that each reads and writes. Registers of points are shared by values that do not live at the same time.
#pragma once
#include <algorithm>
#include <vector>

#include <etch/cpu/interpret_lines.hpp>

namespace etch::cpu::detail {

/// A body as lists of lines, in the order in which they run.
struct table_body {
    body shape;
    int vector_axis = -1, reductions = 0;
    std::vector<line> before, begin, save, at_end;
    std::vector<std::vector<line>> begin_rows, points;  // by pass
    std::vector<std::vector<line>> rows;  // by stage: before each pass, and after the last
    int units[3]{};                       // registers of each level, per pack
    int block_packs = 0, row_packs = 0;
    int sums = 0;             // those that are made in blocks
    bool one_column = false;  // sums over all points must see columns one after the other

    std::size_t sums_bytes() const {
        return static_cast<std::size_t>(sums) * static_cast<std::size_t>(row_packs) *
               sizeof(block_sums<double>);
    }
    std::size_t bytes() const {
        auto n = static_cast<std::size_t>(block_packs + 2);
        std::size_t packs =
            static_cast<std::size_t>(units[0]) +
            static_cast<std::size_t>(units[1]) * static_cast<std::size_t>(row_packs) +
            static_cast<std::size_t>(units[2]) * static_cast<std::size_t>(block_packs);
        auto positions = static_cast<std::size_t>(shape.slots + 1) * sizeof(std::int64_t);
        return packs * register_bytes + 2 * n * (positions + sizeof(run)) + positions +
               sums_bytes();
    }
};

constexpr int registers_of(dtype d) { return row_of(d).bytes == 8 ? 2 : 1; }
inline constexpr int accumulator_registers = 3;

/// Makes the lines of a body.
template <class Table> class table_writer {
public:
    table_writer(const program_view& program, const body& b, table_body& to)
        : code_(program.code_of(b)),
          out(to),
          places(code_.size()),
          accumulators(code_.size()),
          sums(code_.size(), -1) {
        for (int i = 0; i < count(); ++i)
            if (in_blocks(code_[at(i)])) sums[at(i)] = out.sums++;
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
                    out.rows[at(p)].push_back(is_row_reduction(k) ? make(i, functions(k).end)
                                                                  : make(i));
        }
        for (int p = 0; p < b.passes; ++p) write_pass(p);
        choose_sizes();
    }

private:
    std::span<const instruction> code_;
    table_body& out;
    std::vector<place_of_register> places, accumulators;
    std::vector<int> sums;

    static std::size_t at(int i) { return static_cast<std::size_t>(i); }
    static std::size_t at(dtype d) { return static_cast<std::size_t>(d); }
    int count() const { return static_cast<int>(code_.size()); }
    const reduction_functions& functions(const instruction& k) const {
        return Table::reductions[k.op][at(k.from)];
    }

    place_of_register take(level l, int registers) {
        int& n = out.units[static_cast<std::size_t>(l)];
        n += registers;
        return {l, n - registers};
    }
    /// Registers of uniform and of rows' values are kept for the whole body.
    void place_values() {
        for (int i = 0; i < count(); ++i) {
            const instruction& k = code_[at(i)];
            if (k.what == code::reduce)
                accumulators[at(i)] =
                    take(k.at, std::max(accumulator_registers,
                                        ways_of(out.shape, code_, k) * registers_of(k.from)));
            if (k.at != level::point && k.what != code::store && k.what != code::store_add)
                places[at(i)] = take(k.at, registers_of(k.element));
        }
    }
    line_function function_of(const instruction& k) const {
        const auto& memory = Table::memory[at(k.element)];
        auto index = [&](int o) {
            return code_[at(k.operands[o])].element == dtype::int64 ? 1 : 0;
        };
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
            l.ways = ways_of(out.shape, code_, k);
            l.sums = sums[at(i)];
            l.over_rows = over(k) == level::row;
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
            bool makes =
                k.what != code::store && k.what != code::store_add && k.what != code::reduce;
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
            if (makes && last[at(i)] < 0)
                free_units[registers_of(k.element)].push_back(places[at(i)].unit);
        }
        out.units[2] = std::max(out.units[2], used);
    }
    void choose_sizes() {
        constexpr int most = 1024 / lanes,
                      budget = (32 << 10) / register_bytes;  // of points; as many of rows
        int least = out.shape.kind == body_kind::columns ? 64 / lanes : 4;
        out.block_packs =
            std::clamp(budget / std::max(out.units[2], 1), least, std::max(most, least));
        out.row_packs = std::clamp(budget / std::max(out.units[1], 1), least, out.block_packs);
    }
};

}  // namespace etch::cpu::detail
