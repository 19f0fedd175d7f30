// SPDX-License-Identifier: MIT
// What many tests run and compare with, compiled once.
#include <etch/language.hpp>

#include <etch/cpu/executor.hpp>
#include <etch/cpu/interpret.hpp>

#include "constexpr_program.hpp"
#include "execute.hpp"
#include "law.hpp"
#include "random_model.hpp"
#include "random_program.hpp"

namespace reference {

etch::program program_of(const etch::graph& g, etch::plan_options options) {
    return etch::make_program(g, options);
}

results execute(const etch::program_view& p, std::span<const etch::cpu::kernel_entry> kernels,
                const numbers& dims, const std::vector<tensor>& inputs,
                const std::vector<tensor>& parameters) {
    etch::cpu::executor e(p, kernels);
    e.use(etch::cpu::products_of<true, true>());
    e.bind(dims);
    std::vector<std::vector<std::byte>> in, out, state;
    for (const auto& t : inputs) in.push_back(bytes_of(t));
    for (const auto& t : parameters) state.push_back(bytes_of(t));
    std::vector<numbers> shapes;
    for (const auto& o : p.outputs) {
        numbers shape;
        for (int i = 0; i < o.of.rank; ++i) shape.push_back(p.value_of(o.of[i], dims));
        tensor t(o.of.element, shape);
        for (double& x : t.real) x = 1e30;
        out.push_back(bytes_of(t));
        shapes.push_back(shape);
    }
    auto addresses = [](auto& buffers) {
        std::vector<void*> list;
        for (auto& b : buffers) list.push_back(b.data());
        return list;
    };
    std::vector<void*> in_at = addresses(in), out_at = addresses(out), state_at = addresses(state);
    std::vector<const void*> read(in_at.begin(), in_at.end());
    e.run(read, out_at, state_at);
    results r;
    for (std::size_t i = 0; i < out.size(); ++i)
        r.outputs.push_back(tensor_of(p.outputs[i].of.element, shapes[i], out[i]));
    for (std::size_t i = 0; i < state.size(); ++i)
        r.parameters.push_back(tensor_of(parameters[i].element, parameters[i].shape, state[i]));
    return r;
}

namespace {

// ---- the law of programs -------------------------------------------------------------------------------------------
class law {
public:
    law(const etch::program_view& program, std::span<const std::int64_t> dim_values)
        : p(program),
          dims(dim_values.begin(), dim_values.end()),
          places(etch::arena_layout(p, dims)),
          valid(p.storages.size(), 0) {
        for (std::size_t i = 0; i < p.storages.size(); ++i) {
            auto where = p.storages[i].where;
            valid[i] = where == etch::place::input || where == etch::place::state ||
                       where == etch::place::constant;
        }
        play(p.all_steps());
        for (const auto& o : p.outputs) {
            const auto& s = p.storages[at(p.root(o.storage))];
            if (s.where != etch::place::output) complain("an output lies elsewhere", o.storage);
            if (!valid[at(o.storage)] && !read_elsewhere(o.storage))
                complain("an output is not written", o.storage);
        }
    }
    /// Empty where the program keeps it.
    const std::string& complaint() const { return complaint_; }

private:
    etch::program_view p;
    std::vector<std::int64_t> dims;
    etch::layout places;
    std::vector<char> valid;  // by storage: holds its value
    int now = -1;
    std::string complaint_;

    struct access {
        int storage, part;  // part: -1 for the step itself
        bool writes;
    };

    static std::size_t at(int i) { return static_cast<std::size_t>(i); }
    std::int64_t number(etch::extent e) const { return p.value_of(e, dims); }
    void complain(std::string_view what, int storage) {
        if (complaint_.empty())
            complaint_ = "step " + std::to_string(now) + ": " + std::string(what) + ": storage " +
                         std::to_string(storage);
    }
    /// An output of no elements is never written.
    bool read_elsewhere(int s) const { return number(p.storages[at(s)].size) == 0; }

    /// A slice stands for the whole.
    int whole(int s) const {
        while (p.storages[at(s)].where == etch::place::slice) s = p.storages[at(s)].index;
        return s;
    }
    bool overlap(int a, int b) const {
        int r = p.root(a), s = p.root(b);
        if (r == s) return true;
        auto first = places.offsets[at(r)], second = places.offsets[at(s)];
        if (first < 0 || second < 0) return false;
        return first < second + bytes(s) && second < first + bytes(r);
    }
    std::int64_t bytes(int s) const {
        const auto& k = p.storages[at(s)];
        return number(k.size) * etch::row_of(k.element).bytes;
    }

    void play(etch::range_of r) {
        for (int i = 0; i < r.count; ++i) {
            now = r.first + i;
            const auto& s = p.steps[at(r.first + i)];
            if (s.kind == etch::step_kind::loop) {
                const auto& l = p.loops[at(s.index)];
                for (std::int64_t k = std::min<std::int64_t>(number(l.steps), 2); k-- > 0;)
                    play(l.body);
                continue;
            }
            std::vector<access> list;
            for (int q = s.parts.first; q < s.parts.first + s.parts.count; ++q) part(q, list);
            if (s.kind == etch::step_kind::copy) {
                const auto& c = p.copies[at(s.index)];
                list.push_back({c.from, -1, false});
                list.push_back({c.to, -1, true});
                if (number(p.storages[at(c.from)].size) != number(p.storages[at(c.to)].size))
                    complain("a copy between two sizes", c.to);
            }
            if (s.kind == etch::step_kind::gemm) {
                const auto& g = p.gemms[at(s.index)];
                product(g);
                // The epilogue runs on blocks of the result while other blocks are being made.
                perform({{g.c, -1, true}});
                list.push_back({g.a, -1, false});
                list.push_back({g.b, -1, false});
                if (g.epilogue >= 0) part(g.epilogue, list);
            }
            perform(list);
        }
    }
    void perform(const std::vector<access>& list) {
        for (const auto& a : list) {
            int s = whole(a.storage);
            if (a.writes || number(p.storages[at(s)].size) == 0) continue;
            if (!valid[at(s)]) complain("what is read is not there", a.storage);
            for (const auto& b : list) {
                int t = whole(b.storage);
                if (!b.writes || t == s || !overlap(s, t)) continue;
                if (p.root(s) != p.root(t))
                    complain("written while it is read", a.storage);
                else if (a.part != b.part && a.part >= 0)
                    complain("written by another part than the reader", a.storage);
            }
        }
        for (const auto& a : list) {
            if (!a.writes) continue;
            int s = whole(a.storage);
            for (std::size_t k = 0; k < valid.size(); ++k)
                if (static_cast<int>(k) != s && p.storages[k].where != etch::place::slice &&
                    overlap(static_cast<int>(k), s))
                    valid[k] = 0;
            for (const auto& b : list)
                if (b.writes && whole(b.storage) != s && overlap(whole(b.storage), s))
                    complain("written twice", s);
            valid[at(s)] = 1;
        }
    }

    void part(int q, std::vector<access>& list) {
        const auto& r = p.parts[at(q)];
        const auto& b = p.bodies[at(r.body)];
        bool empty = false;
        for (int a = 0; a < b.outer + b.inner; ++a) empty = empty || number(r.extents[at(a)]) == 0;
        for (const auto& k : p.code_of(b)) {
            if (k.slot < 0) continue;
            const auto& s = p.slots[at(r.slots.first + k.slot)];
            if (s.storage < 0) continue;
            bool writes = k.what == etch::code::store || k.what == etch::code::store_add;
            list.push_back({s.storage, q, writes});
            if (k.what == etch::code::store_add) list.push_back({s.storage, q, false});
            std::int64_t low = number(s.offset), high = low;
            for (int a = 0; a < b.outer + b.inner; ++a) {
                auto reach = number(s.strides[at(a)]) * (number(r.extents[at(a)]) - 1);
                (reach < 0 ? low : high) += reach;
            }
            bool indexed = k.what == etch::code::gather || k.what == etch::code::store_add;
            if (indexed) {
                auto reach = number(s.step) * (number(s.bound) - 1);
                (reach < 0 ? low : high) += reach;
                if (number(s.bound) == 0) continue;
            }
            bool runs = !empty || k.at == etch::level::uniform;
            if (runs && (low < 0 || high >= number(p.storages[at(s.storage)].size)))
                complain("a slot leaves it", s.storage);
        }
    }
    void product(const etch::matrix_product& g) {
        auto m = number(g.m), n = number(g.n), k = number(g.k), batch = number(g.batch);
        if (m * n * k * batch == 0) return;
        auto check = [&](int s, etch::extent offset, etch::extent stride, etch::extent leading,
                         std::int64_t rows, std::int64_t columns) {
            auto last = number(offset) + (batch - 1) * number(stride) +
                        (rows - 1) * number(leading) + columns - 1;
            if (number(offset) < 0 || last >= number(p.storages[at(s)].size))
                complain("a product leaves it", s);
            if (rows > 1 && number(leading) < columns) complain("the rows of a factor overlap", s);
        };
        check(g.a, g.offset_a, g.stride_a, g.lda, g.transpose_a ? k : m, g.transpose_a ? m : k);
        check(g.b, g.offset_b, g.stride_b, g.ldb, g.transpose_b ? n : k, g.transpose_b ? k : n);
        if (batch * m * n != number(p.storages[at(g.c)].size))
            complain("a product does not fill it", g.c);
    }
};

// ---- random models -------------------------------------------------------------------------------------------------
tensor some(etch::dtype d, numbers shape, dice& dice) {
    tensor t(d, std::move(shape));
    for (std::size_t i = 0; i < t.count(); ++i)
        t.set(i, t.floating() ? dice.between(-127, 128) / 64.0 : dice.below(6));
    return t;
}
/// The largest difference, in units of what rounding may do.
double excess(const std::vector<tensor>& a, const std::vector<tensor>& exact,
              const std::vector<tensor>& rounded) {
    double most = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        double d = difference(a[i], exact[i]);
        double spread = difference(rounded[i], exact[i]);
        most = std::max(most, d == 0 ? 0 : d / (2e-5 + 16 * spread));
    }
    return most;
}

}  // namespace

std::string law_of(const etch::program_view& p, std::span<const std::int64_t> dims) {
    return law(p, dims).complaint();
}

std::string wrong_with_random_model(unsigned seed, const etch::program_view& program,
                                    std::span<const etch::cpu::kernel_entry> kernels) {
    etch::cpu::interpreter_kernels interpreted(program);
    etch::graph g;
    random_model{seed}(g);
    for (std::int64_t n : {1, 5, 18, 64}) {
        dice dice(seed + static_cast<std::uint64_t>(n));
        using etch::dtype;
        std::vector<tensor> inputs{
            some(dtype::float32, {n, 6}, dice), some(dtype::float32, {6}, dice),
            some(dtype::float32, {n, 1}, dice), some(dtype::float32, {2, n, 6}, dice),
            some(dtype::int32, {n}, dice)};
        std::vector<tensor> parameters{some(dtype::float32, {6, 6}, dice)};
        numbers dims{n};
        if (auto c = law_of(program, dims); !c.empty()) return "law: " + c;
        evaluator exact(g, dims, inputs, parameters), rounding = exact;
        rounding.rounding = true;
        auto compiled = execute(program, kernels, dims, inputs, parameters);
        auto other = execute(program, interpreted.entries(), dims, inputs, parameters);
        auto y = exact.outputs(), y_rounded = rounding.outputs(), u = exact.updates(),
             u_rounded = rounding.updates();
        double wrong = std::max(excess(compiled.outputs, y, y_rounded),
                                excess(compiled.parameters, u, u_rounded)),
               unlike =
                   std::max(excess(other.outputs, compiled.outputs, compiled.outputs),
                            excess(other.parameters, compiled.parameters, compiled.parameters));
        if (!(wrong <= 1) || !(unlike <= 0.1))
            return "N = " + std::to_string(n) + ": " + std::to_string(wrong) +
                   " times what rounding explains; interpreter: " + std::to_string(unlike);
    }
    return "";
}

}  // namespace reference
