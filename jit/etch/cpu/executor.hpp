// SPDX-License-Identifier: MIT
// Runs a program's steps on the CPU. What depends on the dims alone (addresses in the arena, strides, how the work is
// cut) is worked out when they change; a call with known dims allocates nothing.
#pragma once
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include <etch/cpu/aligned_memory.hpp>
#include <etch/cpu/call.hpp>
#include <etch/cpu/gemm.hpp>
#include <etch/cpu/streaming.hpp>
#include <etch/cpu/threads.hpp>
#include <etch/passes/memory.hpp>

namespace etch::cpu {

class executor;
/// Stands between an executor and its steps, those in loops too: it runs each with executor::run_step, or does not.
struct step_watcher {
    void (*run)(step_watcher&, executor&, int step);
};

class executor {
public:
    /// kernels: one entry for each body of the program, in order. The program must outlive the executor.
    executor(const program_view& program, std::span<const kernel_entry> kernels)
        : p(program), entries(kernels.begin(), kernels.end()) {
        pointers.resize(p.storages.size());
        slots.resize(p.slots.size());
        parts.resize(p.parts.size());
        products_bound.resize(p.gemms.size());
        make_constants();
        for (std::size_t i = 0; i < p.storages.size(); ++i) {
            const storage& root = p.storages[at(p.root(static_cast<int>(i)))];
            if (root.where != place::arena && root.where != place::constant)
                from_outside.push_back({i, root.where, at(root.index)});
        }
    }

    /// Plans for these dims, unless it was done for the same ones before.
    void bind(std::span<const std::int64_t> dims) {
        if (bound && std::equal(dims.begin(), dims.end(), dim_values.begin(), dim_values.end()))
            return;
        bound = false;
        dim_values.assign(dims.begin(), dims.end());
        layout l = arena_layout(p, dim_values);
        if (l.bytes > arena_bytes) {
            arena = aligned_memory();
            arena_bytes = 0;
            arena = aligned_memory(l.bytes);
            arena_bytes = l.bytes;
        }
        for (std::size_t i = 0; i < p.storages.size(); ++i)
            if (l.offsets[i] >= 0) pointers[i] = arena.data() + l.offsets[i];
        for (std::size_t i = 0; i < p.storages.size(); ++i)
            if (p.storages[i].alias >= 0) pointers[i] = pointers[at(p.root(static_cast<int>(i)))];
        std::int64_t words = 0;
        for (std::size_t i = 0; i < p.parts.size(); ++i) bind_part(i, words);
        partials.resize(static_cast<std::size_t>(words));
        for (std::size_t i = 0; i < p.parts.size(); ++i)
            parts[i].call.partials = partials.data() + parts[i].first_partial;
        for (std::size_t i = 0; i < p.gemms.size(); ++i) products_bound[i] = bound_to(p.gemms[i]);
        bound = true;
    }

    /// Runs all steps. Pointers are in order of the program's inputs, outputs and states.
    void run(std::span<const void* const> inputs, std::span<void* const> outputs,
             std::span<void* const> states) {
        for (const outside& o : from_outside) {
            // Inputs are only read; one type of pointer serves all.
            if (o.where == place::input)
                pointers[o.storage] = static_cast<std::byte*>(const_cast<void*>(inputs[o.index]));
            else if (o.where == place::output)
                pointers[o.storage] = static_cast<std::byte*>(outputs[o.index]);
            else if (o.where == place::state)
                pointers[o.storage] = static_cast<std::byte*>(states[o.index]);
        }
        run_steps(p.all_steps());
    }

    const program_view& program() const { return p; }
    std::span<const std::int64_t> dims() const { return dim_values; }
    std::int64_t bytes() const { return arena_bytes; }
    std::span<const kernel_entry> kernels() const { return entries; }
    void use(const product_table* table) { products = table; }
    const product_table* product_functions() const { return products; }

    // ---- for watchers -------------------------------------------------------------------------------------------
    /// Null for none, which costs one branch a step. The watcher outlives the runs.
    void watch(step_watcher* w) { watcher = w; }
    /// The step kinds that this back end has.
    void run_step(const step& s) {
        switch (s.kind) {
        case step_kind::kernel: return run_parts(s.parts);
        case step_kind::gemm: return run_gemm(p.gemms[at(s.index)]);
        case step_kind::loop: return run_loop(p.loops[at(s.index)]);
        case step_kind::copy: return run_copy(p.copies[at(s.index)]);
        }
        throw mistake("the CPU back end has no step of the kind " + std::string(name_of(s.kind)));
    }
    /// Where a storage lies in this run.
    std::byte* memory_of(int s) const { return pointers[at(s)]; }
    /// Part `i` as it ran last.
    const kernel_call& call_of(int i) const { return parts[at(i)].call; }

protected:
    struct bound_part {
        kernel_call call;
        std::int64_t units = 0, units_per_task = 1, tasks = 0, first_partial = 0;
        std::int64_t work = 0;    // instructions times elements, about
        bool by_columns = false;  // a task is one block of all rows, in their order
    };
    /// A product with this call's numbers.
    struct bound_product {
        std::int64_t m, n, k, lda, ldb, batch, offset_a, offset_b, stride_a, stride_b;
    };
    /// A storage whose memory each call brings.
    struct outside {
        std::size_t storage;
        place where;
        std::size_t index;
    };
    /// Less is not worth a second thread. Tasks are smaller than that: many are shared out evenly.
    static constexpr std::int64_t parallel_from = 1 << 18, operations_per_task = 1 << 15;

    program_view p;
    std::vector<kernel_entry> entries;
    std::vector<std::byte*> pointers;  // of storages
    std::vector<bound_slot> slots;
    std::vector<bound_part> parts;
    std::vector<bound_product> products_bound;
    std::vector<outside> from_outside;
    std::vector<std::int64_t> partials, dim_values;
    std::vector<aligned_memory> constants;
    aligned_memory arena;
    std::int64_t arena_bytes = 0;
    bool bound = false;
    step_watcher* watcher = nullptr;
    const product_table* products = nullptr;

    std::int64_t number(extent e) const { return p.value_of(e, dim_values); }
    static std::size_t at(int i) { return static_cast<std::size_t>(i); }

    void make_constants() {
        for (std::size_t i = 0; i < p.storages.size(); ++i) {
            const storage& s = p.storages[i];
            if (s.where != place::constant) continue;
            constants.emplace_back(s.size.code * row_of(s.element).bytes);
            pointers[i] = constants.back().data();
            for (std::int64_t k = 0; k < s.size.code; ++k)
                write_word(pointers[i], s.element, k,
                           p.words[at(s.index) + static_cast<std::size_t>(k)]);
        }
    }
    static void write_word(std::byte* to, dtype d, std::int64_t k, std::int64_t word) {
        auto put = [&](auto x) {
            std::memcpy(to + k * static_cast<std::int64_t>(sizeof x), &x, sizeof x);
        };
        switch (d) {
        case dtype::float64: return put(std::bit_cast<double>(word));
        case dtype::float32: return put(static_cast<float>(std::bit_cast<double>(word)));
        case dtype::boolean: return put(word != 0);
        case dtype::int32: return put(static_cast<std::int32_t>(word));
        case dtype::int64: return put(word);
        }
    }

    /// Strides of the slots, and the cut into units and tasks: by the extents alone.
    void bind_part(std::size_t i, std::int64_t& words) {
        const part& q = p.parts[i];
        const body& b = p.bodies[at(q.body)];
        bound_part& r = parts[i];
        r.call = {};
        r.call.of = &q;
        r.call.slots = slots.data() + q.slots.first;
        int axes = b.outer + b.inner;
        for (int a = 0; a < axes; ++a) r.call.extents[a] = number(q.extents[at(a)]);
        for (int s = 0; s < q.slots.count; ++s) {
            const slot& from = p.slots[at(q.slots.first + s)];
            bound_slot& to = slots[at(q.slots.first + s)];
            to.offset = number(from.offset);
            to.step = number(from.step);
            to.bound = number(from.bound);
            for (int a = 0; a < axes; ++a) to.strides[a] = number(from.strides[at(a)]);
        }
        std::int64_t inner = 1, elements = 0;
        for (int a = b.outer; a < axes; ++a) inner *= r.call.extents[a];
        int row_axes = b.kind == body_kind::rows ? b.outer : b.outer - 1;
        for (int a = 0; a < row_axes; ++a) r.call.rows *= r.call.extents[a];
        if (axes == 0) {
            r.units = 0;
        } else if (b.kind == body_kind::rows) {
            r.units = r.call.rows;
            elements = inner;
        } else {
            std::int64_t n = r.call.extents[b.outer - 1];
            r.by_columns = may_split_columns(q);
            r.call.block = r.by_columns                     ? columns_of_task
                           : b.kind == body_kind::pointwise ? 4096
                                                            : 64;
            r.call.blocks = (n + r.call.block - 1) / r.call.block;
            r.units = r.call.rows * r.call.blocks;
            elements = std::min(n, r.call.block) * inner;
        }
        constexpr std::int64_t most_tasks = 64;
        r.work = r.units * elements * std::max(b.instructions.count, 4);
        r.tasks = b.sequential || r.work < parallel_from
                      ? (r.by_columns ? r.call.blocks : 1)
                      : std::clamp<std::int64_t>(r.work / operations_per_task, 1, most_tasks);
        r.units_per_task = std::max<std::int64_t>((r.units + r.tasks - 1) / r.tasks, 1);
        if (!r.by_columns) r.tasks = (r.units + r.units_per_task - 1) / r.units_per_task;
        r.call.stream = goes_past_caches(p, q, dim_values);
        r.first_partial = words;
        words += 2 * std::max<std::int64_t>(r.tasks, 1) * scalar_reductions(p.code_of(b));
    }

    static constexpr std::int64_t columns_of_task = 128;
    /// Whether the points of a scatter that lie in other columns go to other places: columns then need not wait for each
    /// other, and within each all points keep their order.
    bool may_split_columns(const part& q) const {
        const body& b = p.bodies[at(q.body)];
        if (!b.sequential || b.kind != body_kind::pointwise || b.outer < 2 ||
            number(q.extents[at(b.outer - 1)]) < 2 * columns_of_task)
            return false;
        for (const auto& i : p.code_of(b))
            if (i.what == code::store_add &&
                number(p.slots[at(q.slots.first + i.slot)].strides[at(b.outer - 1)]) == 0)
                return false;
        return true;
    }

    void run_steps(range_of r) {
        for (int i = 0; i < r.count; ++i) {
            if (watcher)
                watcher->run(*watcher, *this, r.first + i);
            else
                run_step(p.steps[at(r.first + i)]);
        }
    }

    void point(const part& q) {
        for (int s = 0; s < q.slots.count; ++s) {
            int storage_of = p.slots[at(q.slots.first + s)].storage;
            if (storage_of >= 0) slots[at(q.slots.first + s)].data = pointers[at(storage_of)];
        }
    }
    void run_parts(range_of r) {
        std::int64_t tasks = 0, work = 0;
        for (int i = 0; i < r.count; ++i) {
            point(p.parts[at(r.first + i)]);
            tasks += parts[at(r.first + i)].tasks;
            work += parts[at(r.first + i)].work;
        }
        try {
            if (r.count == 1 || work < parallel_from) {
                for (int i = 0; i < r.count; ++i) run_tasks(r.first + i);
            } else {
                parallel(static_cast<int>(tasks), [&](int t) {
                    int i = r.first;
                    std::int64_t task = t;
                    while (task >= parts[at(i)].tasks) task -= parts[at(i++)].tasks;
                    run_task(i, task);
                });
            }
        } catch (const index_outside& e) {
            throw mistake(sentence(e));
        }
        for (int i = 0; i < r.count; ++i) finish(r.first + i);
    }
    void run_tasks(int i) {
        if (parts[at(i)].tasks == 1)
            run_task(i, 0);
        else if (parts[at(i)].tasks > 1)
            parallel(static_cast<int>(parts[at(i)].tasks), [&](int t) { run_task(i, t); });
    }
    void run_task(int i, std::int64_t task) {
        const bound_part& q = parts[at(i)];
        const kernel_entry& e = entries[at(p.parts[at(i)].body)];
        if (q.by_columns) {
            for (std::int64_t unit = task; unit < q.units; unit += q.call.blocks)
                e.run(q.call, e, unit, unit + 1, task);
            return;
        }
        std::int64_t first = task * q.units_per_task;
        e.run(q.call, e, first, std::min(first + q.units_per_task, q.units), task);
    }
    void finish(int i) {
        const kernel_entry& e = entries[at(p.parts[at(i)].body)];
        if (!e.finish) return;
        try {
            e.finish(parts[at(i)].call, e, parts[at(i)].tasks);
        } catch (const index_outside& o) {
            throw mistake(sentence(o));
        }
    }
    std::string sentence(const index_outside& e) const {
        text t;
        t << "index " << e.index << " is outside of an axis of extent " << e.bound;
        const program_line& l = p.lines[at(e.of->first_line + e.instruction)];
        if (l.file >= 0) t << " (" << p.text_of(p.files[at(l.file)]) << ':' << l.line << ')';
        return std::string(t.view());
    }

    bound_product bound_to(const matrix_product& g) const {
        return {number(g.m),        number(g.n),       number(g.k),        number(g.lda),
                number(g.ldb),      number(g.batch),   number(g.offset_a), number(g.offset_b),
                number(g.stride_a), number(g.stride_b)};
    }
    template <bool, bool> friend const product_table* products_of();
    template <class T> void run_gemm_of(const matrix_product& g) {
        const bound_product& q = products_bound[static_cast<std::size_t>(&g - p.gemms.data())];
        gemm_call<T> c{nullptr, nullptr, nullptr, q.m,           q.n,          q.k,
                       q.lda,   q.ldb,   q.n,     g.transpose_a, g.transpose_b};
        for (std::int64_t i = 0; i < q.batch; ++i) {
            c.a = reinterpret_cast<const T*>(pointers[at(g.a)]) + q.offset_a + i * q.stride_a;
            c.b = reinterpret_cast<const T*>(pointers[at(g.b)]) + q.offset_b + i * q.stride_b;
            c.c = reinterpret_cast<T*>(pointers[at(g.c)]) + i * c.m * c.n;
            cpu::gemm(c, [&](std::int64_t row, std::int64_t row_end, std::int64_t column,
                             std::int64_t column_end) {
                if (g.epilogue >= 0)
                    run_epilogue(g.epilogue, i * c.m, row, row_end, column, column_end, c.n);
            });
        }
    }
    /// The epilogue over a block of the product, by the thread that has just made it and while it is in cache. The body's
    /// space is the whole result, as one axis or with the product's columns as the last; above them are rows.
    void run_epilogue(int i, std::int64_t first_row, std::int64_t row, std::int64_t row_end,
                      std::int64_t column, std::int64_t column_end, std::int64_t columns) {
        const part& q = p.parts[at(i)];
        const body& b = p.bodies[at(q.body)];
        bool whole_rows = column == 0 && column_end == columns;
        std::vector<bound_slot>& moved = epilogue_slots();
        auto run_piece = [&](std::int64_t from, std::int64_t to, std::int64_t left,
                             std::int64_t right) {
            kernel_call call = parts[at(i)].call;
            moved.assign(call.slots, call.slots + q.slots.count);
            std::int64_t origin[max_rank]{};  // the first point of the piece, along each axis
            if (b.outer == 1) {
                origin[0] = from * columns + left;
                call.extents[0] = (to - from - 1) * columns + right - left;
            } else {
                origin[b.outer - 1] = left;
                call.extents[b.outer - 1] = right - left;
                origin[b.outer - 2] = from;
                call.extents[b.outer - 2] = to - from;
            }
            for (auto& s : moved)
                for (int a = 0; a < b.outer; ++a) s.offset += origin[a] * s.strides[a];
            call.slots = moved.data();
            call.stream = false;
            call.rows = b.outer == 1 ? 1 : to - from;
            call.block = call.extents[b.outer - 1];
            call.blocks = 1;
            const kernel_entry& e = entries[at(q.body)];
            e.run(call, e, 0, call.rows, 0);
        };
        if (b.outer > 1 || whole_rows)
            return run_piece(first_row + row, first_row + row_end, column, column_end);
        for (std::int64_t r = row; r < row_end; ++r)
            run_piece(first_row + r, first_row + r + 1, column, column_end);
    }
    static std::vector<bound_slot>& epilogue_slots() {
        thread_local std::vector<bound_slot> slots_of_this_thread;
        return slots_of_this_thread;
    }
    void run_gemm(const matrix_product& g) {
        if (g.epilogue >= 0) point(p.parts[at(g.epilogue)]);
        products->run(*this, g);
    }
    void run_copy(const copy& c) {
        const storage& s = p.storages[at(c.from)];
        auto bytes = static_cast<std::size_t>(number(s.size) * row_of(s.element).bytes);
        if (bytes > 0 && pointers[at(c.from)] != pointers[at(c.to)])
            std::memcpy(pointers[at(c.to)], pointers[at(c.from)], bytes);
    }
    void run_loop(const loop& l) {
        std::int64_t steps = number(l.steps);
        for (std::int64_t i = 0; i < steps; ++i) {
            std::int64_t now = l.reverse ? steps - 1 - i : i;
            for (int k = 0; k < l.slices.count; ++k) {
                const storage& s = p.storages[at(l.slices.first + k)];
                pointers[at(l.slices.first + k)] =
                    pointers[at(s.index)] + now * number(s.size) * row_of(s.element).bytes;
            }
            run_steps(l.body);
        }
    }
};

template <bool single, bool twice> const product_table* products_of() {
    static constexpr product_table table{[](executor& e, const matrix_product& g) {
        if constexpr (single)
            if (g.element == dtype::float32) return e.run_gemm_of<float>(g);
        if constexpr (twice)
            if (g.element == dtype::float64) return e.run_gemm_of<double>(g);
        throw mistake("gemm: no instance for " + std::string(name_of(g.element)));
    }};
    return &table;
}

}  // namespace etch::cpu
