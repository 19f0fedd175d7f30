// SPDX-License-Identifier: MIT
// What people are told of a program's steps: names of storages, shapes as symbols, bytes that a step reads and writes.
#pragma once
#include <algorithm>
#include <string>

#include <etch/graph/print.hpp>
#include <etch/passes/plan.hpp>
#include <etch/passes/traffic.hpp>

namespace etch::detail {

/// What steps read and write, and how their parts are called.
class program_reader {
public:
    /// `dims` is empty where no call has bound them.
    explicit program_reader(const program_view& program, std::span<const std::int64_t> dims = {})
        : p(program), dims_(dims), known_(p.dims.empty() || !dims.empty()) {
        names_.dims.assign(p.dims);
        names_.characters.assign(p.characters);
        names_.polynomials.assign(1, polynomial{});
    }

    const program_view& program() const { return p; }
    /// Whether figures are numbers.
    bool known() const { return known_; }
    std::span<const std::int64_t> dims() const { return dims_; }

    polynomial polynomial_of(extent e) const {
        return e.is_static() ? polynomial::of_number(e.code) : p.polynomials[at(e.polynomial())];
    }
    std::string printed(const polynomial& x) {
        names_.polynomials[0] = x;
        return std::string(extent_text(names_, extent{-1}).view());
    }
    std::string printed(extent e) { return printed(polynomial_of(e)); }
    /// 1024*N, or 1024*N = 32768.
    std::string figure(const polynomial& x) {
        std::string s = x.overflow ? "many" : printed(x);
        if (!x.overflow && known_ && !x.is_number()) s += " = " + std::to_string(x.evaluate(dims_));
        return s;
    }
    std::string shape(const type& t) {
        std::string s = "{";
        for (int a = 0; a < t.rank; ++a) s += (a > 0 ? ", " : "") + printed(t[a]);
        return s + "}";
    }
    /// The space of a part; axes that every buffer walks evenly are one.
    std::string space(const part& q) {
        const body& b = p.bodies[at(q.body)];
        std::string s = "{";
        for (int a = 0; a < b.outer + b.inner; ++a)
            s += (a > 0 ? ", " : "") + printed(q.extents[at(a)]);
        return s + "}";
    }
    std::string line_of(const program_line& l) const {
        return std::string(p.text_of(p.files[at(l.file)])) + ':' + std::to_string(l.line);
    }
    bool has_line(const program_line& l) const {
        return l.file >= 0 && l.file < std::ssize(p.files);
    }

    /// input image, parameter hidden/weight, output loss, arena 7.
    std::string name_of(int s) const {
        const storage& k = p.storages[at(s)];
        if (k.where == place::slice) return "this step of " + name_of(k.index);
        if (k.alias >= 0) {
            int r = p.root(s);
            return p.storages[at(r)].where == place::state
                       ? "new " + name_of(r)
                       : "arena " + std::to_string(s) + ", over " + name_of(r);
        }
        auto index = at(k.index);
        switch (k.where) {
        case place::input: return "input " + std::string(p.text_of(p.inputs[index].name));
        case place::output: return "output " + std::string(p.text_of(p.outputs[index].name));
        case place::state: return "parameter " + std::string(p.text_of(p.states[index].name));
        case place::constant: return "constant " + std::to_string(s);
        default: return "arena " + std::to_string(s);
        }
    }

    /// Bytes that a step reads (or writes), each storage counted once. Of gathered ones, at most.
    polynomial step_bytes(const step& s, bool written) const {
        return traffic(p).step_bytes(s, written);
    }
    /// The ops of a step by their names, each once, and what it writes: relu add -> output y.
    std::string short_name(const step& s) {
        if (s.kind == step_kind::loop) return "loop over " + printed(p.loops[at(s.index)].steps);
        std::string ops;
        std::vector<std::string_view> seen;
        auto name = [&](std::string_view op) {
            if (std::find(seen.begin(), seen.end(), op) != seen.end()) return;
            seen.push_back(op);
            if (seen.size() == 7) ops += " ...";
            if (seen.size() < 7) (ops += ops.empty() ? "" : " ") += op;
        };
        auto part_names = [&](const part& q) {
            for (const auto& i : p.code_of(p.bodies[at(q.body)])) {
                if (i.what == code::compute || i.what == code::reduce) name(row_of(i.op).name);
                if (i.what == code::gather) name("take");
                if (i.what == code::store_add) name("scatter_add");
                if (i.what == code::random) name("random");
            }
        };
        if (s.kind == step_kind::gemm) {
            const matrix_product& m = p.gemms[at(s.index)];
            name("dot");
            if (m.epilogue >= 0) part_names(p.parts[at(m.epilogue)]);
        }
        for (int i = 0; i < s.parts.count; ++i) part_names(p.parts[at(s.parts.first + i)]);
        if (ops.empty()) ops = "copy";
        int count = 0;
        std::string to;
        for (const auto& t : traffic(p).storages_of(s))
            if (t.written && ++count <= 2) to += (count > 1 ? ", " : "") + name_of(t.storage);
        return ops + " -> " + to + (count > 2 ? ", ..." : "");
    }

protected:
    program_view p;
    std::span<const std::int64_t> dims_;
    bool known_;
    graph
        names_;  // tables that extents are printed with; its first polynomial is the one to be printed
};

}  // namespace etch::detail
