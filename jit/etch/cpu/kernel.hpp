// SPDX-License-Identifier: MIT
// A kernel body of a constexpr program as a loop: the C++ compiler instantiates each distinct body once, its
// instructions expanded over packs as registers. Expansion is by array initialisers, since clang limits folds.
#pragma once
#include <array>
#include <utility>

#include <etch/cpu/operations.hpp>

namespace etch::cpu {

namespace detail {

template <int i, class T> struct register_of { pack<T> value; };
/// The numbers first, first + 1, ... in the place of 0, 1, ...
template <int first, class Numbers> struct numbers_from;
template <int first, int... i> struct numbers_from<first, std::integer_sequence<int, i...>> {
    using type = std::integer_sequence<int, (first + i)...>;
};
template <int i, class T, bool indexed> struct accumulator_of { accumulator<T, indexed> running; };

}  // namespace detail

/// Body `id` of a program whose arrays are a constant.
template <const auto& program, int id> struct kernel {
    static constexpr body shape = program.bodies[static_cast<std::size_t>(id)];
    static constexpr int count = shape.instructions.count;
    static constexpr instruction line(int i) {
        return program.instructions[static_cast<std::size_t>(shape.instructions.first + i)];
    }
    static constexpr std::span<const instruction> lines() {
        return {program.instructions.data() + shape.instructions.first,
                static_cast<std::size_t>(count)};
    }
    static constexpr int reductions = scalar_reductions(lines());
    static constexpr int vector_axis =
        shape.kind == body_kind::columns ? shape.outer - 1 : shape.outer + shape.inner - 1;

    template <int i> using element = element_of<line(i).element>;
    template <int i> using operand_element = element_of<line(i).from>;
    static constexpr bool is_argmax(int i) { return line(i).op == op_of<argmax_row>(); }

    template <class Lines> struct registers;
    template <int... i>
    struct registers<std::integer_sequence<int, i...>>
        : detail::register_of<i, element<i>>...,
          detail::accumulator_of<i, operand_element<i>, is_argmax(i)>... {};
    // A list of more than some 500 numbers costs g++ minutes: its lists then are larger than a page of its memory. So
    // a long body is expanded piece by piece.
    static constexpr int piece_size = 128, pieces = (count + piece_size - 1) / piece_size;
    template <int p>
    using piece = typename detail::numbers_from<
        p * piece_size, std::make_integer_sequence<
                            int, (p + 1 < pieces ? piece_size : count - p * piece_size)>>::type;
    struct all_lines {};
    template <class F> [[gnu::always_inline]] static void for_pieces(F visit) {
        for_pieces(visit, std::make_integer_sequence<int, pieces>{});
    }
    template <class F, int... p>
    [[gnu::always_inline]] static void for_pieces(F visit, std::integer_sequence<int, p...>) {
        int done[] = {0, (visit(piece<p>{}), 0)...};
        (void)done;
    }
    template <class Pieces> struct all_registers;
    template <int... p>
    struct all_registers<std::integer_sequence<int, p...>> : registers<piece<p>>... {};

    /// Registers and where the slots point now, in elements.
    struct frame : all_registers<std::make_integer_sequence<int, pieces>> {
        const kernel_call* call;
        std::byte* data[shape.slots +
                        1];  // copies: what the call holds would be read anew after every store
        std::int64_t at[shape.slots + 1];
        std::int64_t linear;  // index in the row, or in the whole space, of the pack's first lane
    };
    template <int i> [[gnu::always_inline]] static auto& value(frame& f) {
        return static_cast<detail::register_of<i, element<i>>&>(f).value;
    }
    template <int i> [[gnu::always_inline]] static auto& running(frame& f) {
        return static_cast<detail::accumulator_of<i, operand_element<i>, is_argmax(i)>&>(f).running;
    }

    // ---- memory -------------------------------------------------------------------------------------------------
    template <int i> [[gnu::always_inline]] static std::int64_t vector_stride(const frame& f) {
        if constexpr (vector_axis < 0 || line(i).stride == 0)
            return 0;
        else if constexpr (line(i).stride == 1)
            return 1;
        else
            return f.call->slots[line(i).slot].strides[vector_axis];
    }
    template <int i>
    [[gnu::always_inline]] static element<i>* address(const frame& f, std::int64_t x) {
        return reinterpret_cast<element<i>*>(f.data[line(i).slot]) + f.at[line(i).slot] +
               x * vector_stride<i>(f);
    }

    template <int i, bool whole>
    [[gnu::always_inline]] static void execute(frame& f, std::int64_t x, [[maybe_unused]] int n) {
        constexpr instruction k = line(i);
        using T = element<i>;
        if constexpr (k.what == code::load) {
            if constexpr (k.stride == 0)
                value<i>(f) = pack<T>(*address<i>(f, x));
            else if constexpr (k.stride == 1)
                value<i>(f) = whole ? load(static_cast<const T*>(address<i>(f, x)))
                                    : load(static_cast<const T*>(address<i>(f, x)), n);
            else
                value<i>(f) =
                    load_strided(static_cast<const T*>(address<i>(f, x)), vector_stride<i>(f), n);
        } else if constexpr (k.what == code::gather) {
            const auto& index = value<k.operands[0]>(f);
            value<i>(f) = detail::gather_lanes(static_cast<const T*>(address<i>(f, x)), index,
                                               f.call->slots[k.slot].step, vector_stride<i>(f), n);
        } else if constexpr (k.what == code::index) {
            std::int64_t stride = vector_stride<i>(f);
            value<i>(f) = iota(static_cast<T>(f.at[k.slot] + x * stride), static_cast<T>(stride));
        } else if constexpr (k.what == code::random) {
            auto key = static_cast<std::uint64_t>(value<k.operands[0]>(f).get(0));
            auto step = static_cast<std::uint64_t>(value<k.operands[1]>(f).get(0));
            std::int64_t stride = vector_stride<i>(f), first = f.at[k.slot] + x * stride;
            constexpr auto ordinal = static_cast<std::uint32_t>(k.word);
            value<i>(f) = detail::random_lanes<T>(key, step, ordinal, first, stride);
        } else if constexpr (k.what == code::number) {
            value<i>(f) = pack<T>(detail::from_word<T>(k.word));
        } else if constexpr (k.what == code::size) {
            value<i>(f) = pack<T>(static_cast<T>(f.at[k.slot]));
        } else if constexpr (k.what == code::compute) {
            compute<i>(f, n);
        } else if constexpr (k.what == code::store) {
            if constexpr (k.stride == 0)
                *address<i>(f, x) = value<k.operands[0]>(f).get(0);
            else if constexpr (k.stride == 1) {
                if constexpr (whole)
                    store(value<k.operands[0]>(f), address<i>(f, x));
                else
                    store(value<k.operands[0]>(f), address<i>(f, x), n);
            } else {
                store_strided(value<k.operands[0]>(f), address<i>(f, x), vector_stride<i>(f), n);
            }
        } else if constexpr (k.what == code::store_add) {
            detail::add_lanes(address<i>(f, x), value<k.operands[1]>(f), value<k.operands[0]>(f),
                              f.call->slots[k.slot].step, vector_stride<i>(f), n);
        } else {
            accumulate<i, whole>(f, x, n);
        }
    }

    template <int i> [[gnu::always_inline]] static void compute(frame& f, [[maybe_unused]] int n) {
        constexpr instruction k = line(i);
        using row = row_type<k.op>;
        if constexpr (k.op == op_of<cast_row>()) {
            value<i>(f) = convert<element<i>>(value<k.operands[0]>(f));
        } else if constexpr (k.op == op_of<checked_index_row>()) {
            value<i>(f) = detail::check_index(value<k.operands[0]>(f), value<k.operands[1]>(f),
                                              k.word != 0, n, i, f.call->of);
        } else if constexpr (k.operands[1] < 0) {
            value<i>(f) = row::cpu(value<k.operands[0]>(f));
        } else if constexpr (k.operands[2] < 0) {
            value<i>(f) = row::cpu(value<k.operands[0]>(f), value<k.operands[1]>(f));
        } else {
            value<i>(f) =
                row::cpu(value<k.operands[0]>(f), value<k.operands[1]>(f), value<k.operands[2]>(f));
        }
    }

    // ---- reductions -----------------------------------------------------------------------------------------------
    template <int i> [[gnu::always_inline]] static void begin_reduction(frame& f) {
        detail::begin<row_type<line(i).op>, operand_element<i>>(running<i>(f));
    }
    template <int i, bool whole>
    [[gnu::always_inline]] static void accumulate(frame& f, [[maybe_unused]] std::int64_t x,
                                                  [[maybe_unused]] int n) {
        constexpr instruction k = line(i);
        constexpr bool along = shape.kind != body_kind::columns || detail::over(k) == level::row;
        detail::accumulate<row_type<k.op>, whole>(running<i>(f), value<k.operands[0]>(f), f.linear,
                                                  along ? 1 : 0, n);
    }
    /// The value of a row's reduction, once the row was visited.
    template <int i> [[gnu::always_inline]] static void end_reduction(frame& f) {
        value<i>(f) = detail::end<row_type<line(i).op>, operand_element<i>>(
            running<i>(f), shape.kind == body_kind::columns);
    }
    template <int i> static std::int64_t* partial(frame& f, std::int64_t task) {
        return f.call->partials + 2 * (task * reductions + scalar_reduction_number(lines(), i));
    }
    template <int i> static void save_partial(frame& f, std::int64_t task) {
        constexpr bool same = shape.kind == body_kind::rows && detail::over(line(i)) == level::row;
        detail::save_partial<row_type<line(i).op>, operand_element<i>>(running<i>(f), same,
                                                                       partial<i>(f, task));
    }
    template <int i> static void join_partials(frame& f, std::int64_t tasks) {
        value<i>(f) = detail::join_partials<row_type<line(i).op>, operand_element<i>>(
            partial<i>(f, 0), 2 * reductions, tasks);
    }

    // ---- groups of instructions ---------------------------------------------------------------------------------
    template <int... i>
    [[gnu::always_inline]] static void do_before(frame& f, std::integer_sequence<int, i...>) {
        int done[] = {0, (
                             [&] {
                                 if constexpr (detail::is_before(line(i)))
                                     execute<i, true>(f, 0, lanes);
                             }(),
                             0)...};
        (void)done;
    }
    template <int p, bool whole, int... i>
    [[gnu::always_inline]] static void do_points(frame& f, std::int64_t x, int n,
                                                 std::integer_sequence<int, i...>) {
        int done[] = {0, (
                             [&]() __attribute__((always_inline)) {
                                 if constexpr (detail::in_pass(line(i), p))
                                     execute<i, whole>(f, x, n);
                             }(),
                             0)...};
        (void)done;
    }
    template <int p, bool whole, int... i>
    [[gnu::always_inline]] static void do_rows(frame& f, std::int64_t x, int n,
                                               std::integer_sequence<int, i...>) {
        int done[] = {0, (
                             [&]() __attribute__((always_inline)) {
                                 if constexpr (detail::in_row_stage(line(i), p)) {
                                     if constexpr (detail::is_row_reduction(line(i)))
                                         end_reduction<i>(f);
                                     else
                                         execute<i, whole>(f, x, n);
                                 }
                             }(),
                             0)...};
        (void)done;
    }
    template <int p, int... i>
    [[gnu::always_inline]] static void begin_rows(frame& f, std::integer_sequence<int, i...>) {
        int done[] = {0, (
                             [&]() __attribute__((always_inline)) {
                                 if constexpr (detail::is_row_reduction(line(i)) &&
                                               detail::in_pass(line(i), p))
                                     begin_reduction<i>(f);
                             }(),
                             0)...};
        (void)done;
    }

    [[gnu::always_inline]] static void open(frame& f, const kernel_call& call) {
        f.call = &call;
        for (int s = 0; s < shape.slots; ++s) f.data[s] = call.slots[s].data;
    }

    template <int p, bool whole>
    [[gnu::always_inline]] static void do_points(frame& f, std::int64_t x, int n, all_lines) {
        for_pieces([&](auto lines_of_piece) __attribute__((always_inline)) {
            do_points<p, whole>(f, x, n, lines_of_piece);
        });
    }
    template <int p, bool whole>
    [[gnu::always_inline]] static void do_rows(frame& f, std::int64_t x, int n, all_lines) {
        for_pieces([&](auto lines_of_piece) __attribute__((always_inline)) {
            do_rows<p, whole>(f, x, n, lines_of_piece);
        });
    }
    template <int p> [[gnu::always_inline]] static void begin_rows(frame& f, all_lines) {
        for_pieces([&](auto lines_of_piece)
                       __attribute__((always_inline)) { begin_rows<p>(f, lines_of_piece); });
    }

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
    template <int p> [[gnu::always_inline]] static void row_pass(frame& f) {
        begin_rows<p>(f, all_lines{});
        constexpr int axes = shape.outer + shape.inner;
        std::int64_t n = f.call->extents[axes - 1];
        f.linear = 0;
        nest<shape.outer, axes - 1>(
            f, [&]() __attribute__((always_inline)) {
                std::int64_t x = 0;
                for (; x + lanes <= n; x += lanes) {
                    do_points<p, true>(f, x, lanes, all_lines{});
                    f.linear += lanes;
                }
                if (x < n) do_points<p, false>(f, x, static_cast<int>(n - x), all_lines{});
                f.linear += n - x;
            });
    }
    template <int... p>
    [[gnu::always_inline]] static void row_passes(frame& f, std::int64_t unit,
                                                  std::integer_sequence<int, p...>) {
        f.linear = unit;
        do_rows<0, true>(f, 0, lanes, all_lines{});
        int done[] = {0, (
                             [&]() __attribute__((always_inline)) {
                                 row_pass<p>(f);
                                 f.linear = unit;
                                 do_rows<p + 1, true>(f, 0, lanes, all_lines{});
                             }(),
                             0)...};
        (void)done;
    }
    template <bool whole, int... p>
    [[gnu::always_inline]] static void column_passes(frame& f, std::int64_t base, std::int64_t x,
                                                     int n, std::integer_sequence<int, p...>) {
        f.linear = base + x;
        do_rows<0, whole>(f, x, n, all_lines{});
        int done[] = {0, (
                             [&]() __attribute__((always_inline)) {
                                 begin_rows<p>(f, all_lines{});
                                 f.linear = 0;
                                 nest<shape.outer, shape.outer + shape.inner>(
                                     f, [&]() __attribute__((always_inline)) {
                                         do_points<p, whole>(f, x, n, all_lines{});
                                         ++f.linear;
                                     });
                                 f.linear = base + x;
                                 do_rows<p + 1, whole>(f, x, n, all_lines{});
                             }(),
                             0)...};
        (void)done;
    }
    template <int... i> static void begin_scalars(frame& f, std::integer_sequence<int, i...>) {
        int done[] = {0, (
                             [&] {
                                 if constexpr (detail::is_scalar_reduction(line(i)))
                                     begin_reduction<i>(f);
                             }(),
                             0)...};
        (void)done;
    }
    template <int... i>
    static void save_scalars(frame& f, std::int64_t task, std::integer_sequence<int, i...>) {
        int done[] = {0, (
                             [&] {
                                 if constexpr (detail::is_scalar_reduction(line(i)))
                                     save_partial<i>(f, task);
                             }(),
                             0)...};
        (void)done;
    }
    template <int... i>
    static void do_end(frame& f, [[maybe_unused]] std::int64_t tasks,
                       std::integer_sequence<int, i...>) {
        int done[] = {0, (
                             [&] {
                                 if constexpr (detail::is_scalar_reduction(line(i)))
                                     join_partials<i>(f, tasks);
                                 else if constexpr (detail::is_at_end(line(i)))
                                     execute<i, true>(f, 0,
                                                      line(i).what == code::store_add ? 1 : lanes);
                             }(),
                             0)...};
        (void)done;
    }

    static void run(const kernel_call& call, const kernel_entry&, std::int64_t first,
                    std::int64_t last, std::int64_t task) {
        if constexpr (shape.outer + shape.inner > 0) {
            frame f;
            open(f, call);
            seek<0>(f, 0);
            for_pieces([&](auto lines_of_piece) { do_before(f, lines_of_piece); });
            for_pieces([&](auto lines_of_piece) { begin_scalars(f, lines_of_piece); });
            using passes = std::make_integer_sequence<int, shape.passes>;
            if constexpr (shape.kind == body_kind::rows) {
                for (std::int64_t u = first; u < last; ++u) {
                    seek<shape.outer>(f, u);
                    row_passes(f, u, passes{});
                }
            } else {
                std::int64_t n = call.extents[shape.outer - 1];
                for (std::int64_t u = first; u < last; ++u) {
                    std::int64_t row = u / call.blocks, x = (u % call.blocks) * call.block;
                    std::int64_t end = x + call.block < n ? x + call.block : n;
                    seek<shape.outer - 1>(f, row);
                    if constexpr (shape.kind == body_kind::pointwise) {
                        f.linear = row * n + x;
                        for (; x + lanes <= end; x += lanes, f.linear += lanes)
                            do_points<0, true>(f, x, lanes, all_lines{});
                        if (x < end)
                            do_points<0, false>(f, x, static_cast<int>(end - x), all_lines{});
                    } else {
                        for (; x + lanes <= end; x += lanes)
                            column_passes<true>(f, row * n, x, lanes, passes{});
                        if (x < end)
                            column_passes<false>(f, row * n, x, static_cast<int>(end - x),
                                                 passes{});
                    }
                }
            }
            if constexpr (reductions > 0)
                for_pieces([&](auto lines_of_piece) { save_scalars(f, task, lines_of_piece); });
        }
    }
    static void finish(const kernel_call& call, const kernel_entry&, std::int64_t tasks) {
        frame f;
        open(f, call);
        f.linear = 0;
        seek<0>(f, 0);
        for_pieces([&](auto lines_of_piece) { do_before(f, lines_of_piece); });
        for_pieces([&](auto lines_of_piece) { do_end(f, tasks, lines_of_piece); });
    }
    static constexpr bool has_end = [] {
        for (int i = 0; i < count; ++i)
            if (detail::is_scalar_reduction(line(i)) || detail::is_at_end(line(i))) return true;
        return false;
    }();
    static constexpr kernel_entry entry{&run, has_end ? &finish : nullptr, nullptr};
};

}  // namespace etch::cpu
