// SPDX-License-Identifier: MIT
// The guard against NaN and infinity: f.nan_guard(true) makes calls stop at the first step that stores one, and tells the
// op and the user's line. It runs the same kernels on a program that is planned without in-place updates, so that the
// operands of a step are still there when it is looked at, and parameters change last of all: where the guard throws,
// parameters, optimizer state, key and step are as before the call.
#pragma once
#include <etch/run/point_evaluator.hpp>
#include <etch/run/program_reader.hpp>
#include <etch/run/program_runner.hpp>

namespace etch::detail {

/// The same program, in which no storage lies over another and parameters are written by copies after all other steps.
/// Bodies keep their numbers: kernels serve both.
inline program without_in_place(const program_view& p) {
    program q;
    each_array(q, p, [](auto& to, const auto& from) { to.assign(from); });
    for (std::size_t i = 0; i < q.storages.size(); ++i) {
        int over = std::exchange(q.storages[i].alias, -1);
        if (over < 0 || q.storages[at(over)].where != place::state) continue;
        q.copies.push_back({static_cast<int>(i), over});
        q.steps.push_back({step_kind::copy,
                           {},
                           static_cast<int>(q.copies.size()) - 1});  // the top steps are the last
        ++q.top[1];
    }
    memory_planner(q, {.in_place = false}).run();
    return q;
}

/// Looks at what each step stored.
template <class Table> class nan_watcher : public cpu::step_watcher {
public:
    explicit nan_watcher(const program_view& program)
        : step_watcher{[](step_watcher& w, cpu::executor& e, int step) {
              static_cast<nan_watcher&>(w).look(e, step);
          }},
          p(program) {
        for (const auto& i : p.instructions)
            if (i.what == code::number && is_floating(i.element)) note(i.element, i.word);
        for (const auto& s : p.storages)
            for (std::int64_t k = 0;
                 s.where == place::constant && is_floating(s.element) && k < s.size.code; ++k)
                note(s.element, p.words[at(s.index) + static_cast<std::size_t>(k)]);
    }

    void look(cpu::executor& e, int step_index) {
        if (step_index == p.top[0]) begin(e);
        const step& s = p.steps[at(step_index)];
        if (!rounds_.empty() && rounds_.back().of->body.first == step_index) ++rounds_.back().count;
        if (s.kind == step_kind::loop) rounds_.push_back({&p.loops[at(s.index)], 0});
        e.run_step(s);
        if (s.kind == step_kind::loop) rounds_.pop_back();
        if (s.kind == step_kind::gemm) {
            const matrix_product& m = p.gemms[at(s.index)];
            look_at(e, m);
            if (m.epilogue >= 0) look_at(e, m.epilogue);
        }
        for (int i = 0; i < s.parts.count; ++i) look_at(e, s.parts.first + i);
    }

private:
    struct round {
        const loop* of;
        std::int64_t count;
    };
    program_view p;
    std::vector<round> rounds_;  // of the loops that run
    bool infinite_ = false;  // some number of the model is no finite one: such values may be meant

    void note(dtype d, std::int64_t word) {
        infinite_ = infinite_ || !is_finite(number_of(d, word));
    }
    std::int64_t size_of(const cpu::executor& e, const storage& s) const {
        return p.value_of(s.size, e.dims());
    }

    /// Before the first step: what comes from outside.
    void begin(const cpu::executor& e) {
        rounds_.clear();
        for (std::size_t i = 0; i < p.storages.size(); ++i) {
            const storage& s = p.storages[i];
            if (s.where != place::input && s.where != place::state) continue;
            const std::byte* memory = e.memory_of(static_cast<int>(i));
            auto n = size_of(e, s), k = first_not_finite(memory, s.element, n);
            if (k == n) continue;
            text t;
            t << "nan_guard: " << program_reader(p).name_of(static_cast<int>(i)) << " holds ";
            print_number(t, element_at(memory, s.element, k));
            append_place(t, e, static_cast<int>(i), k);
            throw mistake(t.view());
        }
    }

    void look_at(const cpu::executor& e, const matrix_product& m) {
        const std::byte* c = e.memory_of(m.c);
        auto n = size_of(e, p.storages[at(m.c)]);
        auto first = first_not_finite(c, m.element, n);
        if (first == n) return;
        auto finite = [&](int s) {
            auto size = size_of(e, p.storages[at(s)]);
            return first_not_finite(e.memory_of(s), m.element, size) == size;
        };
        bool meant = infinite_ && !(finite(m.a) && finite(m.b));
        for (auto k = first; k < n; ++k) {
            double x = element_at(c, m.element, k);
            if (is_finite(x) || (meant && !is_nan(x))) continue;
            text t;
            t << "nan_guard: dot gives ";
            print_number(t, x);
            if (m.node >= 0) append_line(t, p.nodes[at(m.node)]);
            append_seen(t, e, m.c, k);
            throw mistake(t.view());
        }
    }
    void look_at(const cpu::executor& e, int part_index) {
        const part& q = p.parts[at(part_index)];
        const body& b = p.bodies[at(q.body)];
        auto lines = p.code_of(b);
        for (const auto& k : lines) {
            if (k.what != code::store && k.what != code::store_add) continue;
            int s = p.slots[at(q.slots.first + k.slot)].storage;
            auto n = size_of(e, p.storages[at(s)]);
            if (first_not_finite(e.memory_of(s), k.element, n) == n) continue;
            find(e, part_index, k.what == code::store_add ? s : -1);
            return;
        }
    }
    /// Some storage of the part holds a value that is not finite; perhaps where another part has yet to write.
    void find(const cpu::executor& e, int part_index, int added_to) {
        const part& q = p.parts[at(part_index)];
        auto lines = p.code_of(p.bodies[at(q.body)]);
        point_evaluator<Table> points(p, q, e.call_of(part_index));
        auto storage_of = [&](int i) {
            return p.slots[at(q.slots.first + lines[at(i)].slot)].storage;
        };
        points.each_stored([&](int i, std::int64_t element) {
            const std::byte* memory = e.memory_of(storage_of(i));
            double x = element_at(memory, lines[at(i)].element, element);
            if (is_finite(x)) return true;
            auto from = points.explain(i);
            // Sums in another order may differ: what was stored is told where its origin is not seen again.
            if (!from && !infinite_) from = origin{lines[at(i)].operands[0], x, {}, 0};
            if (from) refuse(e, q, *from, storage_of(i), element);
            return true;
        });
        if (added_to < 0) return;
        points.each_added([&](int i) {
            if (auto from = points.explain(i)) refuse(e, q, *from, added_to, -1);
            return true;
        });
        if (infinite_) return;
        for (int i = 0; i < std::ssize(lines); ++i)
            if (lines[at(i)].what == code::store_add) {
                auto k = first_not_finite(e.memory_of(added_to), lines[at(i)].element,
                                          size_of(e, p.storages[at(added_to)]));
                refuse(e, q, {i, element_at(e.memory_of(added_to), lines[at(i)].element, k), {}, 0},
                       added_to, k);
            }
    }

    // ---- sentences ----------------------------------------------------------------------------------------------
    using origin = typename point_evaluator<Table>::origin;
    [[noreturn]] void refuse(const cpu::executor& e, const part& q, const origin& o,
                             int storage_index, std::int64_t element) const {
        const program_line& l = p.lines[at(q.first_line + o.instruction)];
        auto lines = p.code_of(p.bodies[at(q.body)]);
        const instruction& k = lines[at(o.instruction)];
        text t;
        t << "nan_guard: "
          << (k.what == code::compute || k.what == code::reduce ? row_of(k.op).name
                                                                : row_of(l.op).name)
          << " gives ";
        print_number(t, o.result);
        for (int i = 0; i < o.count; ++i) {
            t << (i == 0 ? " of " : i + 1 == o.count ? " and " : ", ");
            print_number(t, o.operands[i]);
        }
        append_line(t, l);
        append_seen(t, e, storage_index, element);
        throw mistake(t.view());
    }
    void append_line(text& t, const program_line& l) const {
        if (l.file >= 0 && l.file < std::ssize(p.files))
            t << " (" << p.text_of(p.files[at(l.file)]) << ':' << l.line << ')';
    }
    /// {2, 1} where the type of storage s is known, else the number of the element.
    void append_place(text& t, const cpu::executor& e, int s, std::int64_t element) const {
        const storage& k = p.storages[at(s)];
        const type* of = k.where == place::input    ? &p.inputs[at(k.index)].of
                         : k.where == place::output ? &p.outputs[at(k.index)].of
                         : k.where == place::state  ? &p.states[at(k.index)].of
                                                    : nullptr;
        if (!of) {
            if (size_of(e, k) != 1) t << " at element " << element;
            return;
        }
        std::int64_t index[max_rank]{};
        for (int a = of->rank; a-- > 0;) {
            auto n = p.value_of((*of)[a], e.dims());
            index[a] = element % n;
            element /= n;
        }
        for (int a = 0; a < of->rank; ++a) t << (a == 0 ? " at {" : ", ") << index[a];
        if (of->rank > 0) t << '}';
    }
    void append_seen(text& t, const cpu::executor& e, int s, std::int64_t element) const {
        t << ", first seen in ";
        int shown = s;
        for (const auto& c : p.copies)
            if (c.from == s && p.storages[at(c.to)].where == place::state) shown = c.to;
        const storage& k = p.storages[at(shown)];
        if (shown != s) t << "the new ";
        if (k.where != place::arena && k.where != place::slice) {
            t << program_reader(p).name_of(shown);
        } else {
            t << "the result of ";
            if (k.node >= 0) {
                t << row_of(p.nodes[at(k.node)].op).name;
                append_line(t, p.nodes[at(k.node)]);
            } else {
                t << "a step";
            }
        }
        if (element >= 0) append_place(t, e, shown, element);
        for (const auto& r : rounds_) {
            auto steps = p.value_of(r.of->steps, e.dims());
            t << ", in step " << (r.of->reverse ? steps - r.count : r.count - 1) << " of a loop";
        }
    }
};

/// A runner whose steps are watched, with its own program.
template <class Table> struct guarded_runner {
    program arrays;
    program_view view;
    nan_watcher<Table> watcher;
    program_runner runs;

    explicit guarded_runner(program_runner& from)
        : arrays(without_in_place(from.program())),
          view(view_of(arrays)),
          watcher(view),
          runs(view, from.steps().kernels(), from.steps().product_functions(), from.parameters()) {
        runs.steps().watch(&watcher);
    }
};

template <class View> void basic_caller<View>::nan_guard(bool on) {
    if (!on) return runner_->stand_in(nullptr);
    // The table depends on View: only who calls this function compiles the interpreter.
    using guarded = guarded_runner<cpu::detail::interpreter_table<
        std::conditional_t<std::is_same_v<View, program_view>, all_rows, void>>>;
    auto g = std::make_shared<guarded>(*runner_);
    runner_->stand_in(std::shared_ptr<program_runner>(g, &g->runs));
}

}  // namespace etch::detail
