// SPDX-License-Identifier: MIT
// A program as people read it: its steps in the order in which they run, what each reads and writes, the instructions of
// kernels and the user's lines behind them. Extents are symbols; where a call has bound them, figures are numbers too.
#pragma once
#include <set>
#include <string>
#include <utility>

#include <etch/passes/debugprint.hpp>
#include <etch/run/program_reader.hpp>

namespace etch {

namespace detail {

/// Writes a whole program.
class program_printer : program_reader {
public:
    using program_reader::program_reader;

    std::string print() {
        steps(p.all_steps(), 0);
        totals();
        return std::move(out);
    }

private:
    std::string out;

    std::string& line(int indent) { return out.append(2 * at(indent), ' '); }

    void steps(range_of r, int indent) {
        for (int i = 0; i < r.count; ++i) {
            const step& s = p.steps[at(r.first + i)];
            line(indent) += std::to_string(i) + ": ";
            print_step(s, indent);
        }
    }
    void print_step(const step& s, int indent) {
        switch (s.kind) {
        case step_kind::kernel:
            out += s.parts.count == 1 ? "kernel"
                                      : "kernel of " + std::to_string(s.parts.count) + " parts";
            if (s.parts.count != 1) out += '\n';
            for (int i = 0; i < s.parts.count; ++i) {
                if (s.parts.count == 1)
                    out += ' ';
                else
                    line(indent + 1);
                print_part(p.parts[at(s.parts.first + i)],
                           s.parts.count == 1 ? indent + 1 : indent + 2);
            }
            break;
        case step_kind::gemm: print_gemm(s, indent); break;
        case step_kind::copy:
            out += "copy " + name_of(p.copies[at(s.index)].from) + " -> " +
                   name_of(p.copies[at(s.index)].to) + '\n';
            break;
        case step_kind::loop: {
            const loop& l = p.loops[at(s.index)];
            out += std::string("loop over ") + printed(l.steps) + (l.reverse ? ", backwards" : "");
            if (l.node >= 0 && has_line(p.nodes[at(l.node)]))
                out += " (" + line_of(p.nodes[at(l.node)]) + ')';
            out += '\n';
            steps(l.body, indent + 1);
            return;
        }
        }
        line(indent + 1) += "reads " + figure(step_bytes(s, false)) + " bytes, writes " +
                            figure(step_bytes(s, true)) + " bytes\n";
        print_lines(s, indent + 1);
    }
    void print_gemm(const step& s, int indent) {
        const matrix_product& m = p.gemms[at(s.index)];
        auto matrix = [&](extent rows, extent columns, bool transposed) {
            return (transposed ? "{" + printed(columns) + ", " + printed(rows) + "} transposed"
                               : "{" + printed(rows) + ", " + printed(columns) + "}");
        };
        out += "gemm " + std::string(etch::name_of(m.element)) + ' ' + name_of(m.a) + ' ' +
               matrix(m.m, m.k, m.transpose_a) + " x " + name_of(m.b) + ' ' +
               matrix(m.k, m.n, m.transpose_b) + " -> " + name_of(m.c) + " {" + printed(m.m) +
               ", " + printed(m.n) + '}';
        if (m.batch.code != 1) out += ", batch of " + printed(m.batch);
        out += '\n';
        if (m.epilogue >= 0) {
            line(indent + 1) += "epilogue: ";
            print_part(p.parts[at(m.epilogue)], indent + 2);
        }
    }
    void print_part(const part& q, int indent) {
        static constexpr const char* kinds[] = {"pointwise", "rows", "columns"};
        const body& b = p.bodies[at(q.body)];
        out += "body " + std::to_string(q.body) + ", " + kinds[static_cast<std::size_t>(b.kind)] +
               " over " + space(q);
        if (b.kind != body_kind::pointwise) {
            out += b.inner == 1 ? ", the last axis reduced"
                                : ", the last " + std::to_string(b.inner) + " axes reduced";
            if (b.passes > 1) out += " in " + std::to_string(b.passes) + " passes";
        }
        out += '\n';
        int number = 0;
        for (const auto& i : p.code_of(b)) instruction_line(q, i, number++, indent);
    }
    void instruction_line(const part& q, const instruction& i, int number, int indent) {
        auto v = [](int k) { return 'v' + std::to_string(k); };
        const slot* s = i.slot >= 0 ? &p.slots[at(q.slots.first + i.slot)] : nullptr;
        line(indent);
        if (i.what == code::store || i.what == code::store_add) {
            out += (i.what == code::store ? "store " : "add ") + v(i.operands[0]) + " -> " +
                   name_of(s->storage);
            if (i.what == code::store_add) out += " at " + v(i.operands[1]);
            out += '\n';
            return;
        }
        out += v(number) + " = ";
        switch (i.what) {
        case code::load: out += "load " + name_of(s->storage); break;
        case code::gather:
            out += "take(" + name_of(s->storage) + ", " + v(i.operands[0]) + ')';
            break;
        case code::index: out += "index"; break;
        case code::random: out += "random draw " + std::to_string(i.word); break;
        case code::number: {
            text t;
            if (is_floating(i.element))
                print_number(t, number_of(i.element, i.word));
            else
                t << i.word;
            out += t.view();
            break;
        }
        case code::size: out += "size " + printed(s->offset); break;
        default:
            out += row_of(i.op).name;
            out += '(';
            for (int k = 0; k < 3 && i.operands[k] >= 0; ++k)
                out += (k > 0 ? ", " : "") + v(i.operands[k]);
            out += ')';
            if (i.what == code::reduce) out += i.at == level::row ? " along the row" : " over all";
        }
        out += "  " + std::string(etch::name_of(i.element));
        const body& b = p.bodies[at(q.body)];
        if (i.at == level::row)
            out += " a row";
        else if (i.at == level::uniform && b.outer + b.inner > 0)
            out += " once";
        out += '\n';
    }
    /// The user's lines behind a step, each once, in order.
    void print_lines(const step& s, int indent) {
        std::set<std::pair<int, int>> found;
        auto take = [&](const program_line& l) {
            if (has_line(l)) found.insert({l.file, l.line});
        };
        auto take_part = [&](const part& q) {
            for (int i = 0; i < p.bodies[at(q.body)].instructions.count; ++i)
                take(p.lines[at(q.first_line + i)]);
        };
        for (int i = 0; i < s.parts.count; ++i) take_part(p.parts[at(s.parts.first + i)]);
        if (s.kind == step_kind::gemm) {
            const matrix_product& m = p.gemms[at(s.index)];
            if (m.node >= 0) take(p.nodes[at(m.node)]);
            if (m.epilogue >= 0) take_part(p.parts[at(m.epilogue)]);
        }
        if (found.empty()) return;
        line(indent) += "from";
        bool first = true;
        for (auto [file, number] : found) {
            out += (first ? " " : ", ") + line_of({file, number, 0});
            first = false;
        }
        out += '\n';
    }
    void totals() {
        bool loops = !p.loops.empty();
        std::int64_t kernels = 0, gemms = 0;
        for (const auto& s : p.steps) {
            kernels += s.kind == step_kind::kernel ? 1 : 0;
            gemms += s.kind == step_kind::gemm ? 1 : 0;
        }
        if (loops && known_) kernels = p.kernels(dims_), gemms = p.gemm_count(dims_);
        out += "in all: " + std::to_string(kernels) + " kernels (" +
               std::to_string(p.bodies.size()) + " distinct), " + std::to_string(gemms) + " gemms" +
               (loops ? known_ ? ", of loops as often as they run" : ", those of loops once" : "") +
               "; " + std::to_string(p.state_bytes()) + " bytes of state";
        if (known_)
            out += ", " + std::to_string(arena_layout(p, dims_).bytes) + " bytes of arena, " +
                   std::to_string(p.flops(dims_)) + " flops";
        for (std::size_t d = 0; known_ && d < dims_.size(); ++d)
            out += (d == 0 ? "; with " : ", ") + std::string(p.text_of(p.dims[d])) + " = " +
                   std::to_string(dims_[d]);
        if (!known_) out += "; arena and flops are known when a call binds the dims";
        out += '\n';
    }
};

}  // namespace detail

/// The steps of a program as text; with the value of each named dim, in the order in which the model names them, figures
/// are numbers too. For a model: etch::describe(etch::plan<digits>.view()).
inline std::string describe(const program_view& p, std::span<const std::int64_t> dims = {}) {
    return detail::program_printer(p, dims).print();
}

template <auto model, plan_options options> class function;

/// What was written and what became of it: the graph of the model as a tree, and the program that runs.
template <auto model, plan_options options>
std::string debugprint(const function<model, options>& f) {
    graph g;
    model(g);
    return debugprint(g) + '\n' + f.describe();
}
/// Of a callable, whose graph is gone, the program.
template <class Callable>
requires requires(const Callable& f) {
    { f.describe() } -> std::same_as<std::string>;
}
std::string debugprint(const Callable& f) { return f.describe(); }

}  // namespace etch
