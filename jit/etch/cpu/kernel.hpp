// SPDX-License-Identifier: MIT
// A kernel body of a constexpr program as a loop: the C++ compiler instantiates each distinct body once, its
// instructions expanded over packs as registers. Expansion is by array initialisers, since clang limits folds.
#pragma once
#include <array>
#include <bit>
#include <utility>

#include <etch/cpu/call.hpp>
#include <etch/cpu/math.hpp>
#include <etch/cpu/memory.hpp>
#include <etch/cpu/pack.hpp>
#include <etch/cpu/random.hpp>

namespace etch::cpu {

namespace detail {

/// A running reduction: the value, and for argmax its index.
template <class T, bool indexed> struct accumulator { pack<T> value; };
template <class T> struct accumulator<T, true> {
    pack<T> value;
    pack<std::int32_t> index;
};

/// Whether v takes the place of best in an argmax: the first of the largest, and the first nan before all.
template <class T> [[gnu::always_inline]] inline pack<bool> wins(pack<T> v, pack<T> best) {
    return (v > best) || (v != v && best == best);
}
template <class T> inline bool wins(T v, std::int64_t i, T best, std::int64_t j) {
    if (v > best || (v != v && best == best)) return true;
    bool tie = v == best || (v != v && best != best);
    return tie && i < j;
}
template <class T> std::int64_t to_word(T x) {
    if constexpr (std::is_same_v<T, float>) return std::bit_cast<std::int64_t>(static_cast<double>(x));
    else if constexpr (std::is_same_v<T, double>) return std::bit_cast<std::int64_t>(x);
    else return static_cast<std::int64_t>(x);
}
template <class T> T from_word(std::int64_t w) {
    if constexpr (std::is_floating_point_v<T>) return static_cast<T>(std::bit_cast<double>(w));
    else return static_cast<T>(w);
}
[[noreturn]] [[gnu::cold]] inline void throw_index(int instruction, std::int64_t index, std::int64_t bound, const part* of) {
    throw index_outside{instruction, index, bound, of};
}

template <int i, class T> struct register_of { pack<T> value; };
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
        return {program.instructions.data() + shape.instructions.first, static_cast<std::size_t>(count)};
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
        : etch::cpu::detail::register_of<i, element<i>>...,
          etch::cpu::detail::accumulator_of<i, operand_element<i>, is_argmax(i)>... {};
    using all_lines = std::make_integer_sequence<int, count>;

    /// Registers and where the slots point now, in elements.
    struct frame : registers<all_lines> {
        const kernel_call* call;
        std::int64_t at[shape.slots + 1];
        std::int64_t linear;  // index in the row, or in the whole space, of the pack's first lane
    };
    template <int i> [[gnu::always_inline]] static auto& value(frame& f) {
        return static_cast<etch::cpu::detail::register_of<i, element<i>>&>(f).value;
    }
    template <int i> [[gnu::always_inline]] static auto& running(frame& f) {
        return static_cast<etch::cpu::detail::accumulator_of<i, operand_element<i>, is_argmax(i)>&>(f).running;
    }

    // ---- memory -------------------------------------------------------------------------------------------------
    template <int i> [[gnu::always_inline]] static std::int64_t vector_stride(const frame& f) {
        if constexpr (vector_axis < 0 || line(i).stride == 0) return 0;
        else if constexpr (line(i).stride == 1) return 1;
        else return f.call->slots[line(i).slot].strides[vector_axis];
    }
    template <int i> [[gnu::always_inline]] static element<i>* address(const frame& f, std::int64_t x) {
        return reinterpret_cast<element<i>*>(f.call->slots[line(i).slot].data) + f.at[line(i).slot] +
               x * vector_stride<i>(f);
    }

    template <int i, bool whole>
    [[gnu::always_inline]] static void execute(frame& f, std::int64_t x, [[maybe_unused]] int n) {
        constexpr instruction k = line(i);
        using T = element<i>;
        if constexpr (k.what == code::load) {
            if constexpr (k.stride == 0) value<i>(f) = pack<T>(*address<i>(f, x));
            else if constexpr (k.stride == 1)
                value<i>(f) = whole ? load(static_cast<const T*>(address<i>(f, x)))
                                    : load(static_cast<const T*>(address<i>(f, x)), n);
            else value<i>(f) = load_strided(static_cast<const T*>(address<i>(f, x)), vector_stride<i>(f), n);
        } else if constexpr (k.what == code::gather) {
            const auto& index = value<k.operands[0]>(f);
            const T* from = address<i>(f, x);
            std::int64_t step = f.call->slots[k.slot].step, stride = vector_stride<i>(f);
            pack<T> r(T(0));
            for (int lane = 0; lane < n; ++lane)
                r.set(lane, from[static_cast<std::int64_t>(index.get(lane)) * step + lane * stride]);
            value<i>(f) = r;
        } else if constexpr (k.what == code::index) {
            std::int64_t stride = vector_stride<i>(f);
            value<i>(f) = iota(static_cast<T>(f.at[k.slot] + x * stride), static_cast<T>(stride));
        } else if constexpr (k.what == code::random) {
            auto key = static_cast<std::uint64_t>(value<k.operands[0]>(f).get(0));
            auto step = static_cast<std::uint64_t>(value<k.operands[1]>(f).get(0));
            std::int64_t stride = vector_stride<i>(f), first = f.at[k.slot] + x * stride;
            constexpr auto ordinal = static_cast<std::uint32_t>(k.word);
            if constexpr (k.stride == 1) {
                value<i>(f) = uniform_pack<T>(key, step, ordinal, static_cast<std::uint64_t>(first));
            } else {
                pack<T> r(T(0));
                for (int lane = 0; lane < lanes; ++lane)
                    r.set(lane, uniform<T>(key, step, ordinal, static_cast<std::uint64_t>(first + lane * stride)));
                value<i>(f) = r;
            }
        } else if constexpr (k.what == code::number) {
            value<i>(f) = pack<T>(etch::cpu::detail::from_word<T>(k.word));
        } else if constexpr (k.what == code::size) {
            value<i>(f) = pack<T>(static_cast<T>(f.at[k.slot]));
        } else if constexpr (k.what == code::compute) {
            compute<i>(f, n);
        } else if constexpr (k.what == code::store) {
            if constexpr (k.stride == 0) *address<i>(f, x) = value<k.operands[0]>(f).get(0);
            else if constexpr (k.stride == 1) {
                if constexpr (whole) store(value<k.operands[0]>(f), address<i>(f, x));
                else store(value<k.operands[0]>(f), address<i>(f, x), n);
            } else {
                store_strided(value<k.operands[0]>(f), address<i>(f, x), vector_stride<i>(f), n);
            }
        } else if constexpr (k.what == code::store_add) {
            const auto& index = value<k.operands[1]>(f);
            T* to = address<i>(f, x);
            std::int64_t step = f.call->slots[k.slot].step, stride = vector_stride<i>(f);
            for (int lane = 0; lane < n; ++lane) {
                T& sum = to[static_cast<std::int64_t>(index.get(lane)) * step + lane * stride];
                sum = static_cast<T>(sum + value<k.operands[0]>(f).get(lane));
            }
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
            using T = element<i>;
            pack<T> at = value<k.operands[0]>(f), bound = value<k.operands[1]>(f), r = at;
            if constexpr (k.word != 0) r = row::cpu(at, bound);
            pack<bool> bad = (r < pack<T>(T(0))) || (r >= bound);
            for (int lane = 0; lane < n; ++lane)
                if (bad.get(lane))
                    etch::cpu::detail::throw_index(i, static_cast<std::int64_t>(at.get(lane)),
                                                   static_cast<std::int64_t>(bound.get(lane)), f.call->of);
            value<i>(f) = r;
        } else if constexpr (k.operands[1] < 0) {
            value<i>(f) = row::cpu(value<k.operands[0]>(f));
        } else if constexpr (k.operands[2] < 0) {
            value<i>(f) = row::cpu(value<k.operands[0]>(f), value<k.operands[1]>(f));
        } else {
            value<i>(f) = row::cpu(value<k.operands[0]>(f), value<k.operands[1]>(f), value<k.operands[2]>(f));
        }
    }

    // ---- reductions -----------------------------------------------------------------------------------------------
    template <int i> [[gnu::always_inline]] static void begin_reduction(frame& f) {
        using row = row_type<line(i).op>;
        using T = operand_element<i>;
        running<i>(f).value = pack<T>(row::template neutral<T>());
        if constexpr (is_argmax(i)) running<i>(f).index = pack<std::int32_t>(0);
    }
    template <int i, bool whole>
    [[gnu::always_inline]] static void accumulate(frame& f, [[maybe_unused]] std::int64_t x, [[maybe_unused]] int n) {
        constexpr instruction k = line(i);
        using row = row_type<k.op>;
        const auto& v = value<k.operands[0]>(f);
        auto& r = running<i>(f);
        [[maybe_unused]] pack<bool> live(true);
        if constexpr (!whole) live = iota<std::int32_t>(0, 1) < pack<std::int32_t>(n);
        if constexpr (is_argmax(i)) {
            constexpr bool along = shape.kind != body_kind::columns ||
                                   (k.at == level::uniform && static_cast<level>(k.word) == level::row);
            auto position = iota<std::int32_t>(static_cast<std::int32_t>(f.linear), along ? 1 : 0);
            auto better = etch::cpu::detail::wins(v, r.value);
            if constexpr (!whole) better = better && live;
            r.value = select(better, v, r.value);
            r.index = select(better, position, r.index);
        } else {
            auto joined = row::combine(r.value, v);
            if constexpr (whole) r.value = joined;
            else r.value = select(live, joined, r.value);
        }
    }
    /// The value of a row's reduction, once the row was visited.
    template <int i> [[gnu::always_inline]] static void end_reduction(frame& f) {
        using row = row_type<line(i).op>;
        auto& r = running<i>(f);
        if constexpr (shape.kind == body_kind::columns) {
            if constexpr (is_argmax(i)) value<i>(f) = r.index;
            else value<i>(f) = r.value;
        } else if constexpr (is_argmax(i)) {
            value<i>(f) = pack<std::int32_t>(static_cast<std::int32_t>(best_lane<i>(r).second));
        } else {
            value<i>(f) = pack<element<i>>(fold(r.value, [](auto a, auto b) { return row::combine(a, b); }));
        }
    }
    template <int i, class R> static std::pair<operand_element<i>, std::int64_t> best_lane(const R& r) {
        auto best = r.value.get(0);
        std::int64_t at = r.index.get(0);
        for (int lane = 1; lane < lanes; ++lane)
            if (etch::cpu::detail::wins(r.value.get(lane), r.index.get(lane), best, at)) {
                best = r.value.get(lane);
                at = r.index.get(lane);
            }
        return {best, at};
    }
    template <int i> static void save_partial(frame& f, std::int64_t task) {
        constexpr int number = scalar_reduction_number(lines(), i);
        std::int64_t* to = f.call->partials + 2 * (task * reductions + number);
        using row = row_type<line(i).op>;
        auto& r = running<i>(f);
        constexpr bool single = shape.kind == body_kind::rows && static_cast<level>(line(i).word) == level::row;
        if constexpr (is_argmax(i)) {
            auto [best, at] = best_lane<i>(r);
            if constexpr (single) at = r.index.get(0), best = r.value.get(0);
            to[0] = etch::cpu::detail::to_word(best);
            to[1] = at;
        } else if constexpr (single) {
            to[0] = etch::cpu::detail::to_word(r.value.get(0));
        } else {
            to[0] = etch::cpu::detail::to_word(fold(r.value, [](auto a, auto b) { return row::combine(a, b); }));
        }
    }
    /// Partial results joined pairwise: neighbours first, always in the same tree.
    template <int i> static void join_partials(frame& f, std::int64_t tasks) {
        constexpr int number = scalar_reduction_number(lines(), i);
        using row = row_type<line(i).op>;
        using T = operand_element<i>;
        auto at = [&](std::int64_t task) { return f.call->partials + 2 * (task * reductions + number); };
        for (std::int64_t gap = 1; gap < tasks; gap *= 2)
            for (std::int64_t t = 0; t + gap < tasks; t += 2 * gap) {
                T a = etch::cpu::detail::from_word<T>(at(t)[0]), b = etch::cpu::detail::from_word<T>(at(t + gap)[0]);
                if constexpr (is_argmax(i)) {
                    if (!etch::cpu::detail::wins(b, at(t + gap)[1], a, at(t)[1])) continue;
                    at(t)[0] = at(t + gap)[0];
                    at(t)[1] = at(t + gap)[1];
                } else {
                    at(t)[0] = etch::cpu::detail::to_word(row::combine(pack<T>(a), pack<T>(b)).get(0));
                }
            }
        if constexpr (is_argmax(i)) value<i>(f) = pack<std::int32_t>(tasks ? static_cast<std::int32_t>(at(0)[1]) : 0);
        else value<i>(f) = pack<T>(tasks ? etch::cpu::detail::from_word<T>(at(0)[0]) : row::template neutral<T>());
    }

    // ---- groups of instructions ---------------------------------------------------------------------------------
    static constexpr bool is_scalar_reduction(int i) {
        return line(i).what == code::reduce && line(i).at == level::uniform;
    }
    static constexpr bool is_row_reduction(int i) {
        return line(i).what == code::reduce && line(i).at == level::row;
    }
    static constexpr bool in_pass(int i, int p) {
        bool over_points = line(i).what == code::reduce ? static_cast<level>(line(i).word) == level::point
                                                        : line(i).at == level::point;
        return over_points && (line(i).passes >> p & 1);
    }
    static constexpr bool in_row_stage(int i, int p) {
        if (line(i).pass != p) return false;
        if (line(i).what == code::reduce)
            return line(i).at == level::row || static_cast<level>(line(i).word) == level::row;
        return line(i).at == level::row;
    }
    static constexpr bool before(int i) {
        return line(i).at == level::uniform && !line(i).after && line(i).what != code::store;
    }
    static constexpr bool at_end(int i) {
        return line(i).at == level::uniform && (line(i).after || line(i).what == code::store);
    }

    template <int... i> [[gnu::always_inline]] static void do_before(frame& f, std::integer_sequence<int, i...>) {
        int done[] = {0, ([&] { if constexpr (before(i)) execute<i, true>(f, 0, lanes); }(), 0)...};
        (void)done;
    }
    template <int p, bool whole, int... i>
    [[gnu::always_inline]] static void do_points(frame& f, std::int64_t x, int n, std::integer_sequence<int, i...>) {
        int done[] = {0, ([&]() __attribute__((always_inline)) {
                          if constexpr (in_pass(i, p)) execute<i, whole>(f, x, n);
                      }(), 0)...};
        (void)done;
    }
    template <int p, bool whole, int... i>
    [[gnu::always_inline]] static void do_rows(frame& f, std::int64_t x, int n, std::integer_sequence<int, i...>) {
        int done[] = {0, ([&]() __attribute__((always_inline)) {
                          if constexpr (in_row_stage(i, p)) {
                              if constexpr (is_row_reduction(i)) end_reduction<i>(f);
                              else execute<i, whole>(f, x, n);
                          }
                      }(), 0)...};
        (void)done;
    }
    template <int p, int... i>
    [[gnu::always_inline]] static void begin_rows(frame& f, std::integer_sequence<int, i...>) {
        int done[] = {0, ([&]() __attribute__((always_inline)) {
                          if constexpr (is_row_reduction(i) && in_pass(i, p)) begin_reduction<i>(f);
                      }(), 0)...};
        (void)done;
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
    template <int first, int last, class F> [[gnu::always_inline]] static void nest(frame& f, F visit) {
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
        nest<shape.outer, axes - 1>(f, [&]() __attribute__((always_inline)) {
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
    [[gnu::always_inline]] static void row_passes(frame& f, std::int64_t unit, std::integer_sequence<int, p...>) {
        f.linear = unit;
        do_rows<0, true>(f, 0, lanes, all_lines{});
        int done[] = {0, ([&]() __attribute__((always_inline)) {
                          row_pass<p>(f);
                          f.linear = unit;
                          do_rows<p + 1, true>(f, 0, lanes, all_lines{});
                      }(), 0)...};
        (void)done;
    }
    template <bool whole, int... p>
    [[gnu::always_inline]] static void column_passes(frame& f, std::int64_t base, std::int64_t x, int n,
                                                     std::integer_sequence<int, p...>) {
        f.linear = base + x;
        do_rows<0, whole>(f, x, n, all_lines{});
        int done[] = {0, ([&]() __attribute__((always_inline)) {
                          begin_rows<p>(f, all_lines{});
                          f.linear = 0;
                          nest<shape.outer, shape.outer + shape.inner>(f, [&]() __attribute__((always_inline)) {
                              do_points<p, whole>(f, x, n, all_lines{});
                              ++f.linear;
                          });
                          f.linear = base + x;
                          do_rows<p + 1, whole>(f, x, n, all_lines{});
                      }(), 0)...};
        (void)done;
    }
    template <int... i> static void begin_scalars(frame& f, std::integer_sequence<int, i...>) {
        int done[] = {0, ([&] { if constexpr (is_scalar_reduction(i)) begin_reduction<i>(f); }(), 0)...};
        (void)done;
    }
    template <int... i> static void save_scalars(frame& f, std::int64_t task, std::integer_sequence<int, i...>) {
        int done[] = {0, ([&] { if constexpr (is_scalar_reduction(i)) save_partial<i>(f, task); }(), 0)...};
        (void)done;
    }
    template <int... i>
    static void do_end(frame& f, [[maybe_unused]] std::int64_t tasks, std::integer_sequence<int, i...>) {
        int done[] = {0, ([&] {
                          if constexpr (is_scalar_reduction(i)) join_partials<i>(f, tasks);
                          else if constexpr (at_end(i)) execute<i, true>(f, 0, lanes);
                      }(), 0)...};
        (void)done;
    }

    static void run(const kernel_call& call, const kernel_entry&, std::int64_t first, std::int64_t last,
                    std::int64_t task) {
        if constexpr (shape.outer + shape.inner > 0) {
            frame f;
            f.call = &call;
            seek<0>(f, 0);
            do_before(f, all_lines{});
            begin_scalars(f, all_lines{});
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
                        if (x < end) do_points<0, false>(f, x, static_cast<int>(end - x), all_lines{});
                    } else {
                        for (; x + lanes <= end; x += lanes) column_passes<true>(f, row * n, x, lanes, passes{});
                        if (x < end) column_passes<false>(f, row * n, x, static_cast<int>(end - x), passes{});
                    }
                }
            }
            if constexpr (reductions > 0) save_scalars(f, task, all_lines{});
        }
    }
    static void finish(const kernel_call& call, const kernel_entry&, std::int64_t tasks) {
        frame f;
        f.call = &call;
        f.linear = 0;
        seek<0>(f, 0);
        do_before(f, all_lines{});
        do_end(f, tasks, all_lines{});
    }
    static constexpr bool has_end = [] {
        for (int i = 0; i < count; ++i)
            if (is_scalar_reduction(i) || at_end(i)) return true;
        return false;
    }();
    static constexpr kernel_entry entry{&run, has_end ? &finish : nullptr, nullptr};
};

namespace detail {
template <const auto& program, class Bodies> struct kernel_table;
template <const auto& program, int... id> struct kernel_table<program, std::integer_sequence<int, id...>> {
    static constexpr std::array<kernel_entry, sizeof...(id)> entries{kernel<program, id>::entry...};
};
}  // namespace detail

/// One entry for each body of a constant program.
template <const auto& program> std::span<const kernel_entry> kernels_of() {
    using bodies = std::make_integer_sequence<int, static_cast<int>(program.bodies.size())>;
    return detail::kernel_table<program, bodies>::entries;
}

}  // namespace etch::cpu
