// SPDX-License-Identifier: MIT
// A kernel body of a constexpr program as loops over packs: the C++ compiler instantiates each distinct body once.
#pragma once
#include <algorithm>

#include <etch/cpu/kernel_body.hpp>

namespace etch::cpu {

/// Body `id` of a program whose arrays are a constant.
template <const auto& program, int id> struct kernel : private kernel_body<program, id> {
    using instructions = kernel_body<program, id>;
    using instructions::begin_scalars;
    using instructions::choose_stores;
    using instructions::count;
    using instructions::do_before;
    using instructions::do_end;
    using instructions::kept_bytes;
    using instructions::line;
    using instructions::lines;
    using instructions::open;
    using instructions::packs_of_row;
    using instructions::reductions;
    using instructions::save_scalars;
    using instructions::shape;
    using instructions::values;
    using instructions::vector_axis;
    using typename instructions::frame;

    // ---- loops --------------------------------------------------------------------------------------------------
    /// Points the slots at a row: a combination of the first `axes` axes.
    template <int axes> [[gnu::always_inline]] static void seek(frame& f, std::int64_t row) {
        const bound_slot* slots = f.call->slots;
        std::int64_t index[axes + 1];
        for (int a = axes; a-- > 0;) {
            if (a == 0) {
                index[0] = row;
            } else {
                index[a] = row % f.call->extents[a];
                row /= f.call->extents[a];
            }
        }
        for (int s = 0; s < shape.slots; ++s) {
            std::int64_t at = slots[s].offset;
            for (int a = 0; a < axes; ++a) at += index[a] * slots[s].strides[a];
            f.at[s] = at;
        }
    }
    /// Calls visit() for each combination of the axes [first, last), the slots pointed at it.
    template <int first, int last, class F>
    [[gnu::always_inline]] static void nest(frame& f, F visit) {
        if constexpr (first >= last) {
            visit();
        } else {
            std::int64_t n = f.call->extents[first];
            for (std::int64_t k = 0; k < n; ++k) {
                nest<first + 1, last>(f, visit);
                for (int s = 0; s < shape.slots; ++s) f.at[s] += f.call->slots[s].strides[first];
            }
            for (int s = 0; s < shape.slots; ++s) f.at[s] -= n * f.call->slots[s].strides[first];
        }
    }
    /// Elements [x, end) of the vectorised axis. x is where a block begins.
    template <int p>
    [[gnu::always_inline]] static void run_along(frame& f, std::int64_t x, std::int64_t end) {
        constexpr bool blocks = instructions::template has_blocks<p>;
        constexpr std::int64_t block = detail::packs_of_block * lanes;
        static_assert(detail::ways == 4 && detail::packs_of_block % detail::ways == 0);
        choose_stores(f, x);
        auto visit = [&]() __attribute__((always_inline)) {
            if constexpr (instructions::looks_ahead(p)) instructions::look_ahead(f, x);
            instructions::template do_points<p, true>(f, x, lanes);
            f.linear += lanes;
            x += lanes;
        };
        std::int64_t begin = x, stop = end;
        for (;; begin = x) {
            if constexpr (blocks) stop = std::min(end, begin + block);
            if constexpr (detail::in_ways(shape, lines(), p))
                while (x + detail::ways * lanes <= stop) {
                    visit(), instructions::template rotate_ways<p>(f);
                    visit(), instructions::template rotate_ways<p>(f);
                    visit(), instructions::template rotate_ways<p>(f);
                    visit(), instructions::template rotate_ways<p>(f);
                }
            while (x + lanes <= stop) visit();
            if (!blocks || x - begin < block) break;
            instructions::template count_blocks<p, false>(f, 0, true);
        }
        if (x < end) {
            instructions::template do_points<p, false>(f, x, static_cast<int>(end - x));
            f.linear += end - x;
        }
        instructions::template count_blocks<p, true>(f, (end - begin + lanes - 1) / lanes, false);
    }
    template <int p> [[gnu::always_inline]] static void row_pass(frame& f) {
        instructions::template begin_rows<p>(f);
        if constexpr (values.kept > 0) f.kept = f.kept_values;
        constexpr int axes = shape.outer + shape.inner;
        std::int64_t n = f.call->extents[axes - 1];
        f.linear = 0;
        nest<shape.outer, axes - 1>(
            f, [&]() __attribute__((always_inline)) { run_along<p>(f, 0, n); });
    }
    template <int... p>
    [[gnu::always_inline]] static void row_passes(frame& f, std::int64_t unit,
                                                  std::integer_sequence<int, p...>) {
        f.linear = unit;
        instructions::template do_rows<0, true>(f, 0, lanes);
        int done[] = {0, (
                             [&]() __attribute__((always_inline)) {
                                 row_pass<p>(f);
                                 f.linear = unit;
                                 instructions::template do_rows<p + 1, true>(f, 0, lanes);
                             }(),
                             0)...};
        (void)done;
    }
    template <bool whole, int... p>
    [[gnu::always_inline]] static void column_passes(frame& f, std::int64_t base, std::int64_t x,
                                                     int n, std::integer_sequence<int, p...>) {
        f.linear = base + x;
        instructions::template do_rows<0, whole>(f, x, n);
        int done[] = {0, (
                             [&]() __attribute__((always_inline)) {
                                 instructions::template begin_rows<p>(f);
                                 if constexpr (values.kept > 0) f.kept = f.kept_values;
                                 f.linear = 0;
                                 nest<shape.outer, shape.outer + shape.inner>(
                                     f, [&]() __attribute__((always_inline)) {
                                         instructions::template do_points<p, whole>(f, x, n);
                                         if (++f.linear % detail::packs_of_block == 0)
                                             instructions::template count_blocks<p, false>(f, 0,
                                                                                           true);
                                     });
                                 instructions::template count_blocks<p, true>(
                                     f, f.linear % detail::packs_of_block, false);
                                 f.linear = base + x;
                                 instructions::template do_rows<p + 1, whole>(f, x, n);
                             }(),
                             0)...};
        (void)done;
    }
    /// Whether elements with gaps between them are read or written along the vectorised axis: those of neighbouring rows
    /// then share cache lines, and the packs of some rows are visited before the next ones of these rows.
    static constexpr bool has_gaps = [] {
        if (shape.kind != body_kind::pointwise || shape.outer < 2 || shape.sequential) return false;
        for (int i = 0; i < count; ++i)
            if (detail::is_scalar_reduction(line(i))) return false;
        for (int i = 0; i < count; ++i)
            if (line(i).at == level::point &&
                ((line(i).what == code::load && line(i).stride == any_stride) ||
                 (line(i).what == code::store && line(i).stride > 1)))
                return true;
        return false;
    }();
    static constexpr int rows_together = 16;
    static void run_together(frame& f, std::int64_t row) {
        std::int64_t n = f.call->extents[shape.outer - 1];
        const auto across = [&](int rows) __attribute__((always_inline)) {
            for (int s = 0; s < shape.slots; ++s)
                f.at[s] += rows * f.call->slots[s].strides[shape.outer - 2];
        };
        seek<shape.outer - 1>(f, row);
        f.stream = false;
        for (std::int64_t x = 0; x < n; x += lanes) {
            for (int r = 0; r < rows_together; ++r) {
                f.linear = (row + r) * n + x;
                if (x + lanes <= n)
                    instructions::template do_points<0, true>(f, x, lanes);
                else
                    instructions::template do_points<0, false>(f, x, static_cast<int>(n - x));
                across(1);
            }
            across(-rows_together);
        }
    }
    // Flattened: a row's function called from several places, exp for example, must not be one that is called out of
    // line with packs in memory.
    [[gnu::flatten]] static void run(const kernel_call& call, const kernel_entry&,
                                     std::int64_t first, std::int64_t last, std::int64_t task) {
        if constexpr (shape.outer + shape.inner > 0) {
            frame f;
            typename instructions::sums_of_blocks blocks;
            f.blocks = &blocks;
            open(f, call);
            if constexpr (values.kept > 0)
                f.kept_values = detail::thread_memory(static_cast<std::size_t>(
                    std::max<std::int64_t>(packs_of_row(call) * kept_bytes, 1)));
            seek<0>(f, 0);
            do_before(f);
            begin_scalars(f);
            using passes = std::make_integer_sequence<int, shape.passes>;
            if constexpr (shape.kind == body_kind::rows) {
                for (std::int64_t u = first; u < last; ++u) {
                    seek<shape.outer>(f, u);
                    row_passes(f, u, passes{});
                }
            } else {
                std::int64_t n = call.extents[shape.outer - 1];
                for (std::int64_t u = first, many = 1; u < last; u += many) {
                    std::int64_t row = u / call.blocks, block = u % call.blocks;
                    if constexpr (has_gaps) {
                        many = rows_together * call.blocks;
                        std::int64_t rows = call.extents[shape.outer - 2];
                        if (block == 0 && u + many <= last && row % rows + rows_together <= rows) {
                            run_together(f, row);
                            continue;
                        }
                        many = 1;
                    }
                    // Neighbouring pieces of a pointwise row are one loop.
                    if (shape.kind == body_kind::pointwise)
                        many = std::min(last - u, call.blocks - block);
                    std::int64_t x = block * call.block, end = std::min(x + many * call.block, n);
                    seek<shape.outer - 1>(f, row);
                    if constexpr (shape.kind == body_kind::pointwise) {
                        f.linear = row * n + x;
                        run_along<0>(f, x, end);
                    } else {
                        for (; x + lanes <= end; x += lanes)
                            column_passes<true>(f, row * n, x, lanes, passes{});
                        if (x < end)
                            column_passes<false>(f, row * n, x, static_cast<int>(end - x),
                                                 passes{});
                    }
                }
            }
            if constexpr (reductions > 0) save_scalars(f, task);
            if (call.stream) stream_fence();
        }
    }
    static void finish(const kernel_call& call, const kernel_entry&, std::int64_t tasks) {
        frame f;
        f.blocks = nullptr;
        open(f, call);
        f.linear = 0;
        f.stream = false;
        seek<0>(f, 0);
        do_before(f);
        do_end(f, tasks);
    }
    static constexpr bool has_end =
        instructions::template lines_where<instructions::at_end>::chosen.count > 0;
    static constexpr kernel_entry entry{&run, has_end ? &finish : nullptr, nullptr};
};

}  // namespace etch::cpu
