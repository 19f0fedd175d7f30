// SPDX-License-Identifier: MIT
// The instructions of a kernel body of a constexpr program, expanded over packs as registers by the C++ compiler: by array
// initialisers, since clang limits folds. cpu/kernel.hpp has the loops around them.
#pragma once
#include <algorithm>
#include <array>
#include <utility>

#include <etch/cpu/kept.hpp>
#include <etch/cpu/operations.hpp>

namespace etch::cpu {

namespace detail {

/// The values of one dtype: a type of its own for each of them would cost the C++ compiler more than all of the rest.
template <class T, int count> struct values_of { pack<T> value[count]; };
template <class T> struct values_of<T, 0> {};
/// Numbers of instructions in pieces: a list of more than some 500 numbers costs g++ minutes, since its lists then are
/// larger than a page of its memory.
inline constexpr int piece_size = 128;
template <class... Pieces> struct pieces {};
template <const auto& chosen, int first, class Numbers> struct piece_from;
template <const auto& chosen, int first, int... k>
struct piece_from<chosen, first, std::integer_sequence<int, k...>> {
    using type = std::integer_sequence<int, chosen.line[first + k]...>;
};
template <const auto& chosen, class Numbers> struct pieces_from;
template <const auto& chosen, int... p>
struct pieces_from<chosen, std::integer_sequence<int, p...>> {
    using type = pieces<typename piece_from<
        chosen, p * piece_size,
        std::make_integer_sequence<int,
                                   std::min(piece_size, chosen.count - p * piece_size)>>::type...>;
};
template <int most> struct chosen_lines {
    int line[most + 1]{};
    int count = 0;
};
template <int i, class T, bool indexed, int ways> struct accumulator_of {
    accumulator<T, indexed> running[ways];
};
template <int i, class T> struct blocks_of { block_sums<T> blocks; };

}  // namespace detail

/// What body `id` of a program whose arrays are a constant does to one pack.
template <const auto& program, int id> struct kernel_body {
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
    static constexpr auto values = detail::values_kept<count>(lines());
    static constexpr int vector_axis =
        shape.kind == body_kind::columns ? shape.outer - 1 : shape.outer + shape.inner - 1;

    template <int i> using element = element_of<line(i).element>;
    template <int i> using operand_element = element_of<line(i).from>;
    static constexpr int ways_of(int i) { return detail::ways_of(shape, lines(), line(i)); }
    static constexpr bool is_argmax(int i) { return line(i).op == op_of<argmax_row>(); }

    /// The number of an instruction's value among those of its dtype, and how many of a dtype there are.
    struct places {
        int of[count + 1]{}, many[dtype_table.size()]{};
    };
    static constexpr places registers = [] {
        places p;
        for (int i = 0; i < count; ++i) p.of[i] = p.many[static_cast<int>(line(i).element)]++;
        return p;
    }();
    template <int d>
    using values_of = detail::values_of<element_of<static_cast<dtype>(d)>, registers.many[d]>;
    template <class Dtypes> struct all_values;
    template <int... d> struct all_values<std::integer_sequence<int, d...>> : values_of<d>... {};
    using dtypes = std::make_integer_sequence<int, static_cast<int>(dtype_table.size())>;
    template <class Lines> struct accumulators;
    template <int... i>
    struct accumulators<std::integer_sequence<int, i...>>
        : detail::accumulator_of<i, operand_element<i>, is_argmax(i), ways_of(i)>... {};
    /// The instructions that are executed at one place of the loops, in order. Only they are expanded there, and not all
    /// instructions with a question for each: what the C++ compiler takes for a kernel is mostly for small functions.
    template <bool (*wanted)(int)> struct lines_where {
        static constexpr detail::chosen_lines<count> chosen = [] {
            detail::chosen_lines<count> c;
            for (int i = 0; i < count; ++i)
                if (wanted(i)) c.line[c.count++] = i;
            return c;
        }();
        static constexpr int pieces = (chosen.count + detail::piece_size - 1) / detail::piece_size;
        using type =
            typename detail::pieces_from<chosen, std::make_integer_sequence<int, pieces>>::type;
    };
    template <bool (*wanted)(int)> using where = typename lines_where<wanted>::type;
    /// visit(i) for each of them, i a constant.
    template <class F, int... i>
    [[gnu::always_inline]] static void visit_lines(F visit, std::integer_sequence<int, i...>) {
        int done[] = {0, (visit(std::integral_constant<int, i>{}), 0)...};
        (void)done;
    }
    template <class F, class... Pieces>
    [[gnu::always_inline]] static void visit_lines([[maybe_unused]] F visit,
                                                   detail::pieces<Pieces...>) {
        int done[] = {0, (visit_lines(visit, Pieces{}), 0)...};
        (void)done;
    }
    static constexpr bool reduces(int i) { return line(i).what == code::reduce; }
    template <class Pieces> struct all_accumulators;
    template <class... Pieces>
    struct all_accumulators<detail::pieces<Pieces...>> : accumulators<Pieces>... {};
    template <class Lines> struct sums;
    template <int... i>
    struct sums<std::integer_sequence<int, i...>> : detail::blocks_of<i, operand_element<i>>... {};
    static constexpr bool sums_blocks(int i) { return detail::in_blocks(line(i)); }
    template <class Pieces> struct all_sums;
    template <class... Pieces> struct all_sums<detail::pieces<Pieces...>> : sums<Pieces>... {};
    /// The blocks of sums. Registers have no address, these do.
    using sums_of_blocks = all_sums<where<sums_blocks>>;

    /// Registers and where the slots point now, in elements.
    struct frame : all_values<dtypes>, all_accumulators<where<reduces>> {
        const kernel_call* call;
        sums_of_blocks* blocks;
        std::byte* data[shape.slots +
                        1];  // copies: what the call holds would be read anew after every store
        std::int64_t at[shape.slots + 1];
        std::int64_t linear;  // index in the row, or in the whole space, of the pack's first lane
        bool stream;          // whether the stores of the row at hand go past the caches
        std::byte *kept_values, *kept;  // what a later pass reads back; and of the pack at hand
        std::int64_t to_next_row[shape.slots + 1];  // in elements; 0 where look_ahead is of no use
    };
    template <int i> [[gnu::always_inline]] static auto& value(frame& f) {
        return static_cast<values_of<static_cast<int>(line(i).element)>&>(f).value[registers.of[i]];
    }
    template <int i> [[gnu::always_inline]] static auto* running(frame& f) {
        using accumulator = detail::accumulator_of<i, operand_element<i>, is_argmax(i), ways_of(i)>;
        return static_cast<accumulator&>(f).running;
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

    static constexpr bool streams(int i) {
        return line(i).what == code::store && line(i).stride == 1 && line(i).at == level::point &&
               line(i).element != dtype::boolean && shape.kind != body_kind::columns;
    }
    /// Whether the stores from element x on are aligned, if they are to go past the caches.
    [[gnu::always_inline]] static void choose_stores(frame& f, std::int64_t x) {
        f.stream = f.call->stream;
        if (f.stream)
            visit_lines(
                [&](auto i) __attribute__((always_inline)) {
                    auto at = reinterpret_cast<std::uintptr_t>(address<i>(f, x));
                    f.stream = f.stream && at % register_bytes == 0;
                },
                where<streams>{});
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
            else if constexpr (whole && k.stride <= most_even_stride && k.element != dtype::boolean)
                value<i>(f) = load_every<k.stride>(static_cast<const T*>(address<i>(f, x)));
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
            using row = row_type<k.op>;
            if constexpr (k.op == op_of<cast_row>())
                value<i>(f) = convert<T>(value<k.operands[0]>(f));
            else if constexpr (k.op == op_of<checked_index_row>())
                value<i>(f) = detail::check_index(value<k.operands[0]>(f), value<k.operands[1]>(f),
                                                  k.word != 0, n, i, f.call->of);
            else if constexpr (k.operands[1] < 0)
                value<i>(f) = row::cpu(value<k.operands[0]>(f));
            else if constexpr (k.operands[2] < 0)
                value<i>(f) = row::cpu(value<k.operands[0]>(f), value<k.operands[1]>(f));
            else
                value<i>(f) = row::cpu(value<k.operands[0]>(f), value<k.operands[1]>(f),
                                       value<k.operands[2]>(f));
        } else if constexpr (k.what == code::store) {
            if constexpr (k.stride == 0)
                *address<i>(f, x) = value<k.operands[0]>(f).get(0);
            else if constexpr (k.stride == 1) {
                if constexpr (whole) {
                    if (streams(i) && f.stream)
                        store_stream(value<k.operands[0]>(f), address<i>(f, x));
                    else
                        store(value<k.operands[0]>(f), address<i>(f, x));
                } else
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

    /// Whether an instruction does the same to a whole pack and to the rest of a row.
    static constexpr bool any_count(int i) {
        const instruction k = line(i);
        return (k.what == code::compute && k.op != op_of<checked_index_row>()) ||
               k.what == code::number || k.what == code::size || k.what == code::index ||
               k.what == code::random;
    }
    /// Without visit_lines: of these there are most.
    template <bool whole, int... i>
    [[gnu::always_inline]] static void execute_all(frame& f, std::int64_t x, int n,
                                                   std::integer_sequence<int, i...>) {
        int done[] = {0, (execute < i, whole || any_count(i) > (f, x, n), 0)...};
        (void)done;
    }
    template <bool whole, class... Pieces>
    [[gnu::always_inline]] static void execute_all(frame& f, [[maybe_unused]] std::int64_t x,
                                                   [[maybe_unused]] int n,
                                                   detail::pieces<Pieces...>) {
        int done[] = {0, (execute_all<whole>(f, x, n, Pieces{}), 0)...};
        (void)done;
    }

    static constexpr int kept_bytes = values.kept * 2 * register_bytes;  // a pack
    template <int i> [[gnu::always_inline]] static std::byte* kept_place(frame& f) {
        return f.kept + values.place[values.at(i)] * 2 * register_bytes;
    }
    /// The last of several passes over a row finds it in the first caches and leaves the memory idle: it asks for what
    /// the first pass over the next row loads.
    static constexpr bool looks_ahead(int p) {
        return shape.kind == body_kind::rows && shape.outer > 0 && p > 0 && p + 1 == shape.passes;
    }
    static constexpr bool loads_first(int i) {
        return line(i).what == code::load && line(i).stride == 1 && values.computes(i, 0);
    }
    [[gnu::always_inline]] static void look_ahead(const frame& f, std::int64_t x) {
        visit_lines(
            [&](auto i) __attribute__((always_inline)) {
                __builtin_prefetch(address<i>(f, x) + f.to_next_row[line(i).slot]);
            },
            where<loads_first>{});
    }
    /// Packs that a pass visits.
    static std::int64_t packs_of_row(const kernel_call& call) {
        std::int64_t n = 1;
        for (int a = shape.outer; a < shape.outer + shape.inner; ++a)
            n *= a == vector_axis ? (call.extents[a] + lanes - 1) / lanes : call.extents[a];
        return n;
    }

    // ---- reductions -----------------------------------------------------------------------------------------------
    template <int i> [[gnu::always_inline]] static auto& blocks(frame& f) {
        using T = operand_element<i>;
        return static_cast<detail::blocks_of<i, T>&>(*f.blocks).blocks;
    }
    template <int i> [[gnu::always_inline]] static void begin_running(frame& f) {
        using row = row_type<line(i).op>;
        for (int w = 0; w < ways_of(i); ++w)
            detail::begin<row, operand_element<i>>(running<i>(f)[w]);
    }
    template <int i> [[gnu::always_inline]] static void begin_reduction(frame& f) {
        begin_running<i>(f);
        if constexpr (detail::in_blocks(line(i))) blocks<i>(f).begin();
    }
    /// All accumulators as one.
    template <int i> [[gnu::always_inline]] static auto joined(frame& f) {
        if constexpr (ways_of(i) == 1)
            return *running<i>(f);
        else
            return detail::join_ways<row_type<line(i).op>, operand_element<i>>(running<i>(f));
    }
    /// Counts packs of the block, and ends it where it must or is full.
    template <int i>
    [[gnu::always_inline]] static void count_block(frame& f, std::int64_t packs, bool ends) {
        blocks<i>(f).packs += packs;
        if (!ends && blocks<i>(f).packs <= detail::packs_of_block) return;
        blocks<i>(f).add(joined<i>(f).value);
        begin_running<i>(f);
    }
    /// Whether the instruction sums points of pass p in blocks; those of a single run end by themselves.
    template <int p, bool at_end_of_run> static constexpr bool counts(int i) {
        const instruction k = line(i);
        if (!detail::in_blocks(k) || !detail::in_pass(k, p)) return false;
        return !at_end_of_run || shape.inner > 1 || detail::is_scalar_reduction(k);
    }
    template <int p>
    static constexpr bool has_blocks = lines_where<counts<p, false>>::chosen.count > 0;
    template <int i, bool whole>
    [[gnu::always_inline]] static void accumulate(frame& f, [[maybe_unused]] std::int64_t x,
                                                  [[maybe_unused]] int n) {
        constexpr instruction k = line(i);
        constexpr bool along = shape.kind != body_kind::columns || detail::over(k) == level::row;
        detail::accumulate<row_type<k.op>, whole>(*running<i>(f), value<k.operands[0]>(f), f.linear,
                                                  along ? 1 : 0, n);
        if constexpr (detail::in_blocks(k) && detail::over(k) == level::row)
            count_block<i>(f, 1, false);
    }
    /// The value of a row's reduction, once the row was visited.
    template <int i> [[gnu::always_inline]] static void end_reduction(frame& f) {
        using row = row_type<line(i).op>;
        using T = operand_element<i>;
        auto all = *running<i>(f);
        if (ways_of(i) > 1 && f.call->extents[vector_axis] >= detail::ways * lanes)
            all = joined<i>(f);
        if constexpr (detail::in_blocks(line(i)))
            if (blocks<i>(f).blocks > 0) all.value = blocks<i>(f).end(all.value);
        value<i>(f) = detail::end<row, T>(all, shape.kind == body_kind::columns);
    }
    template <int i> static std::int64_t* partial(frame& f, std::int64_t task) {
        return f.call->partials + 2 * (task * reductions + scalar_reduction_number(lines(), i));
    }
    template <int i> static void save_partial(frame& f, std::int64_t task) {
        constexpr bool same = shape.kind == body_kind::rows && detail::over(line(i)) == level::row;
        auto all = joined<i>(f);
        if constexpr (detail::in_blocks(line(i)))
            if (blocks<i>(f).blocks > 0) all.value = blocks<i>(f).end(all.value);
        detail::save_partial<row_type<line(i).op>, operand_element<i>>(all, same,
                                                                       partial<i>(f, task));
    }
    template <int i> static void join_partials(frame& f, std::int64_t tasks) {
        value<i>(f) = detail::join_partials<row_type<line(i).op>, operand_element<i>>(
            partial<i>(f, 0), 2 * reductions, tasks);
    }

    // ---- groups of instructions ---------------------------------------------------------------------------------
    // Each: which instructions, and what is done.
    static constexpr bool at_before(int i) { return detail::is_before(line(i)); }
    [[gnu::always_inline]] static void do_before(frame& f) {
        execute_all<true>(f, 0, lanes, where<at_before>{});
    }

    template <int p> static constexpr bool restored(int i) { return values.restores(i, p); }
    template <int p> static constexpr bool at_points(int i) {
        return values.computes(i, p) && !values.restores(i, p);
    }
    template <int p> static constexpr bool kept(int i) { return values.keeps(i, p); }
    template <int p, bool whole>
    [[gnu::always_inline]] static void do_points(frame& f, std::int64_t x, int n) {
        if constexpr (values.kept > 0)
            visit_lines(
                [&](auto i) __attribute__((always_inline)) {
                    std::memcpy(&value<i>(f), kept_place<i>(f), sizeof value<i>(f));
                },
                where<restored<p>>{});
        execute_all<whole>(f, x, n, where<at_points<p>>{});
        if constexpr (values.kept > 0) {
            visit_lines(
                [&](auto i) __attribute__((always_inline)) {
                    std::memcpy(kept_place<i>(f), &value<i>(f), sizeof value<i>(f));
                },
                where<kept<p>>{});
            f.kept += kept_bytes;
        }
    }

    template <int p> static constexpr bool at_rows(int i) {
        return detail::in_row_stage(line(i), p);
    }
    template <int p, bool whole>
    [[gnu::always_inline]] static void do_rows(frame& f, std::int64_t x, int n) {
        visit_lines(
            [&](auto i) __attribute__((always_inline)) {
                if constexpr (detail::is_row_reduction(line(i)))
                    end_reduction<i>(f);
                else
                    execute<i, whole>(f, x, n);
            },
            where<at_rows<p>>{});
    }

    template <int p> static constexpr bool at_begin(int i) {
        return detail::is_row_reduction(line(i)) && detail::in_pass(line(i), p);
    }
    template <int p> [[gnu::always_inline]] static void begin_rows(frame& f) {
        visit_lines(
            [&](auto i) __attribute__((always_inline)) { begin_reduction<i>(f); },
            where<at_begin<p>>{});
    }
    static constexpr bool is_scalar(int i) { return detail::is_scalar_reduction(line(i)); }
    [[gnu::always_inline]] static void begin_scalars(frame& f) {
        visit_lines(
            [&](auto i) __attribute__((always_inline)) { begin_reduction<i>(f); },
            where<is_scalar>{});
    }
    static void save_scalars(frame& f, std::int64_t task) {
        visit_lines([&](auto i) { save_partial<i>(f, task); }, where<is_scalar>{});
    }

    template <int p, bool end_of_run>
    [[gnu::always_inline]] static void count_blocks(frame& f, std::int64_t packs, bool ends) {
        visit_lines(
            [&](auto i) __attribute__((always_inline)) { count_block<i>(f, packs, ends); },
            where<counts<p, end_of_run>>{});
    }

    template <int p> static constexpr bool in_turn(int i) {
        return ways_of(i) > 1 && detail::in_pass(line(i), p);
    }
    /// The next accumulator becomes the first.
    template <int p> [[gnu::always_inline]] static void rotate_ways(frame& f) {
        visit_lines(
            [&](auto i) __attribute__((always_inline)) {
                auto* r = running<i>(f);
                auto first = r[0];
                for (int w = 1; w < ways_of(i); ++w) r[w - 1] = r[w];
                r[ways_of(i) - 1] = first;
            },
            where<in_turn<p>>{});
    }

    static constexpr bool at_end(int i) {
        return detail::is_scalar_reduction(line(i)) || detail::is_at_end(line(i));
    }
    static void do_end(frame& f, std::int64_t tasks) {
        visit_lines(
            [&](auto i) {
                if constexpr (detail::is_scalar_reduction(line(i)))
                    join_partials<i>(f, tasks);
                else
                    execute<i, true>(f, 0, line(i).what == code::store_add ? 1 : lanes);
            },
            where<at_end>{});
    }

    [[gnu::always_inline]] static void open(frame& f, const kernel_call& call) {
        f.call = &call;
        for (int s = 0; s < shape.slots; ++s) f.data[s] = call.slots[s].data;
        if constexpr (looks_ahead(shape.passes - 1)) {
            constexpr std::int64_t packs_of_longest =
                4096;  // two such rows lie in the second caches
            bool useful = packs_of_row(call) <= packs_of_longest;
            for (int s = 0; s < shape.slots; ++s)
                f.to_next_row[s] = useful ? call.slots[s].strides[shape.outer - 1] : 0;
        }
    }
};

}  // namespace etch::cpu
