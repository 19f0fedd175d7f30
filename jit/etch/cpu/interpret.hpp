// SPDX-License-Identifier: MIT
// Runs kernel bodies of a program that is known at run time only: each line of a body, a function from a table, computes
// one instruction for a whole block of packs; blocks are small enough for their registers to stay in the first caches.
// Order and arithmetic are those of cpu/kernel.hpp.
#pragma once
#include <concepts>
#include <memory>
#include <vector>

#include <etch/cpu/interpret_body.hpp>
#include <etch/cpu/kept.hpp>

namespace etch::cpu {

namespace detail {

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
        f.row_length = 1;
        for (int a = b.shape.outer; a < b.shape.outer + b.shape.inner; ++a)
            f.row_length *= extent_of(a);
        f.most_rows = b.row_packs;
        std::byte* memory = thread_memory(b.bytes());
        f.sums = memory;
        memory += b.sums_bytes();
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
        k.runs[k.count++] = {packs, last, owner, linear, x / lanes};
        k.packs += packs;
    }
    static int packs_of(std::int64_t elements) {
        return static_cast<int>((elements + lanes - 1) / lanes);
    }
    static int last_of(std::int64_t elements) {
        return static_cast<int>(elements -
                                static_cast<std::int64_t>(packs_of(elements) - 1) * lanes);
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
            std::int64_t m = std::min<std::int64_t>(
                end - x, static_cast<std::int64_t>(b.block_packs - points.packs) * lanes);
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
            if (u == first)
                seek(b.vector_axis, row);
            else if (x == 0)
                advance(0, b.vector_axis);
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
        std::int64_t group =
            !fits ? 1
                  : std::min<std::int64_t>(b.row_packs,
                                           packs == 0 ? b.row_packs : b.block_packs / packs);
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
        std::int64_t widest =
            b.one_column ? lanes
                         : static_cast<std::int64_t>(std::min(b.row_packs, 64 / lanes)) * lanes;
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

    static void run(const kernel_call& call, const kernel_entry& e, std::int64_t first,
                    std::int64_t last, std::int64_t task) {
        detail::table_runner(*static_cast<const detail::table_body*>(e.context), call)
            .run_task(first, last, task);
    }
    static void finish(const kernel_call& call, const kernel_entry& e, std::int64_t tasks) {
        detail::table_runner(*static_cast<const detail::table_body*>(e.context), call)
            .finish(tasks);
    }
};

#ifdef ETCH_RUN_TIME_APART
extern template interpreter_kernels::interpreter_kernels(const program_view&);
#endif

}  // namespace etch::cpu
