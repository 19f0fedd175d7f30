// SPDX-License-Identifier: MIT
// What the interpreter calls for each instruction: one small loop over the packs of a block for each row of the op table
// and dtype. They are many, and are compiled only where a program is interpreted: `interpreter_table` is a template.
#pragma once
#include <array>

#include <etch/cpu/operations.hpp>

namespace etch::cpu::detail {

/// Consecutive packs of a block along the vectorised axis, and where the slots point at the first of them. The last pack
/// has `last` elements, the others are whole.
struct run {
    int packs, last;
    int owner;            // the row, among those that the block has
    std::int64_t linear;  // index in the row, or in the whole space, of the first element
    std::int64_t first;   // index along the vectorised axis of the first pack
};
struct block {
    run* runs = nullptr;
    std::int64_t* at = nullptr;  // runs x slots, in elements
    int count = 0, packs = 0;
};

/// Registers: of uniform values one pack, of rows one for each row (or each lane of a column), of points a whole block.
struct place_of_register {
    level at = level::uniform;
    int unit = 0;  // in registers of the CPU, per pack
};
/// What a task works with; `base` and `scale` say where registers lie.
struct frame {
    const kernel_call* call;
    std::byte* base[3];
    std::int64_t scale[3];
    int slots;
    int vector_axis;
    int row_packs;           // in the block of rows that is being computed
    std::byte* sums;         // the blocks of sums, for each such line and row
    std::int64_t most_rows;  // of them for each line
    std::int64_t row_length;
    bool columns;
    std::int64_t task;  // which one runs; at the end, how many there were
};

/// An instruction, ready to be called.
struct line {
    void (*call)(const frame&, const line&, const block&) = nullptr;
    place_of_register result, operands[3];
    std::uint8_t stride
        [3]{};  // in packs: 1, or 0 where all packs read the first; 2 is 0 for a single row, else 1
    int slot = -1;
    int index = 0;                // in the body
    int along = 1;                // argmax: whether lanes follow each other
    bool to_row = false;          // reduction: each row has an accumulator
    bool same = false;            // reduction, store_add: all lanes hold one value
    int ways = 1;                 // reduction: accumulators of a row
    int sums = -1;                // reduction: which of those in blocks; -1 for none
    bool over_rows = false;       // reduction: joins values of rows
    int number = 0, numbers = 0;  // reduction to a scalar: which one, of how many
    std::int64_t word = 0;
};
using line_function = void (*)(const frame&, const line&, const block&);

inline std::byte* register_at(const frame& f, place_of_register r) {
    auto i = static_cast<std::size_t>(r.at);
    return f.base[i] + r.unit * f.scale[i];
}
template <class T> [[gnu::always_inline]] inline pack<T>* result(const frame& f, const line& l) {
    return reinterpret_cast<pack<T>*>(register_at(f, l.result));
}
template <class T> struct reader {
    const pack<T>* from;
    std::ptrdiff_t stride;
    [[gnu::always_inline]] const pack<T>& next() {
        const pack<T>& x = *from;
        from += stride;
        return x;
    }
};
template <class T>
[[gnu::always_inline]] inline reader<T> read(const frame& f, const line& l, int k) {
    int s = l.stride[k];
    return {reinterpret_cast<const pack<T>*>(register_at(f, l.operands[k])),
            s == 2 ? f.row_packs != 1 : s};
}
inline std::int64_t vector_stride(const frame& f, const line& l) {
    return f.vector_axis < 0 ? 0 : f.call->slots[l.slot].strides[f.vector_axis];
}
template <class T> T* address(const frame& f, const line& l, const block& b, int r) {
    return reinterpret_cast<T*>(f.call->slots[l.slot].data) + b.at[r * f.slots + l.slot];
}
/// f(run, pack of the run, elements of the pack)
template <class F> [[gnu::always_inline]] inline void each_pack(const block& b, F f) {
    for (int r = 0; r < b.count; ++r)
        for (int k = 0; k < b.runs[r].packs; ++k)
            f(r, k, k + 1 < b.runs[r].packs ? lanes : b.runs[r].last);
}

// ---- instructions that the table does not know ----------------------------------------------------------------------

template <class T> void load_line(const frame& f, const line& l, const block& b) {
    pack<T>* to = result<T>(f, l);
    std::int64_t stride = vector_stride(f, l);
    for (int r = 0; r < b.count; ++r) {
        const T* from = address<const T>(f, l, b, r);
        const run& run = b.runs[r];
        int whole = run.last == lanes ? run.packs : run.packs - 1;
        if (stride == 0) {
            pack<T> x(*from);
            for (int k = 0; k < run.packs; ++k) *to++ = x;
        } else if (stride == 1) {
            for (int k = 0; k < whole; ++k, from += lanes) *to++ = load(from);
            if (whole < run.packs) *to++ = load(from, run.last);
        } else {
            for (int k = 0; k < run.packs; ++k, from += lanes * stride)
                *to++ = load_strided(from, stride, k < whole ? lanes : run.last);
        }
    }
}
template <class T> void store_line(const frame& f, const line& l, const block& b) {
    reader<T> x = read<T>(f, l, 0);
    std::int64_t stride = vector_stride(f, l);
    for (int r = 0; r < b.count; ++r) {
        T* to = address<T>(f, l, b, r);
        const run& run = b.runs[r];
        int whole = run.last == lanes ? run.packs : run.packs - 1;
        if (stride == 0) {
            for (int k = 0; k < run.packs; ++k) *to = x.next().get(0);
        } else if (stride == 1) {
            for (int k = 0; k < whole; ++k, to += lanes) store(x.next(), to);
            if (whole < run.packs) store(x.next(), to, run.last);
        } else {
            for (int k = 0; k < run.packs; ++k, to += lanes * stride)
                store_strided(x.next(), to, stride, k < whole ? lanes : run.last);
        }
    }
}
template <class T, class I> void gather_line(const frame& f, const line& l, const block& b) {
    pack<T>* to = result<T>(f, l);
    reader<I> index = read<I>(f, l, 0);
    std::int64_t step = f.call->slots[l.slot].step, stride = vector_stride(f, l);
    each_pack(b, [&](int r, int k, int n) {
        *to++ = gather_lanes(address<const T>(f, l, b, r) + k * lanes * stride, index.next(), step,
                             stride, n);
    });
}
template <class T, class I> void store_add_line(const frame& f, const line& l, const block& b) {
    reader<T> x = read<T>(f, l, 0);
    reader<I> index = read<I>(f, l, 1);
    std::int64_t step = f.call->slots[l.slot].step, stride = vector_stride(f, l);
    each_pack(b, [&](int r, int k, int n) {
        add_lanes(address<T>(f, l, b, r) + k * lanes * stride, index.next(), x.next(), step, stride,
                  l.same ? 1 : n);
    });
}
template <class T> void index_line(const frame& f, const line& l, const block& b) {
    pack<T>* to = result<T>(f, l);
    std::int64_t stride = vector_stride(f, l);
    each_pack(b, [&](int r, int k, int) {
        *to++ = iota(static_cast<T>(b.at[r * f.slots + l.slot] + k * lanes * stride),
                     static_cast<T>(stride));
    });
}
template <class T> void random_line(const frame& f, const line& l, const block& b) {
    pack<T>* to = result<T>(f, l);
    auto key = static_cast<std::uint64_t>(read<std::int64_t>(f, l, 0).next().get(0));
    auto step = static_cast<std::uint64_t>(read<std::int64_t>(f, l, 1).next().get(0));
    std::int64_t stride = vector_stride(f, l);
    each_pack(b, [&](int r, int k, int) {
        *to++ = random_lanes<T>(key, step, static_cast<std::uint32_t>(l.word),
                                b.at[r * f.slots + l.slot] + k * lanes * stride, stride);
    });
}
template <class T> void number_line(const frame& f, const line& l, const block&) {
    *result<T>(f, l) = pack<T>(from_word<T>(l.word));
}
template <class T> void size_line(const frame& f, const line& l, const block& b) {
    *result<T>(f, l) = pack<T>(static_cast<T>(b.at[l.slot]));
}
/// A row's values at each of its points.
template <class T> void spread_line(const frame& f, const line& l, const block& b) {
    pack<T>* to = result<T>(f, l);
    const auto* from = reinterpret_cast<const pack<T>*>(register_at(f, l.operands[0]));
    if (f.row_packs == 1) {
        *to = *from;
        return;
    }
    for (int r = 0; r < b.count; ++r)
        for (int k = 0; k < b.runs[r].packs; ++k) *to++ = from[f.columns ? k : b.runs[r].owner];
}
template <class From, class To> void cast_line(const frame& f, const line& l, const block& b) {
    pack<To>* to = result<To>(f, l);
    reader<From> x = read<From>(f, l, 0);
    for (int k = 0; k < b.packs; ++k) to[k] = convert<To>(x.next());
}
template <class T> void checked_index_line(const frame& f, const line& l, const block& b) {
    pack<T>* to = result<T>(f, l);
    reader<T> at = read<T>(f, l, 0), bound = read<T>(f, l, 1);
    each_pack(b, [&](int, int, int n) {
        *to++ = check_index(at.next(), bound.next(), l.word != 0, n, l.index, f.call->of);
    });
}

// ---- rows of the table ----------------------------------------------------------------------------------------------

template <class Row, class T> void elementwise_line(const frame& f, const line& l, const block& b) {
    if constexpr (Row::arity == 1) {
        reader<T> x = read<T>(f, l, 0);
        using R = decltype(Row::cpu(pack<T>{}));
        auto* to = result<typename R::element>(f, l);
        for (int k = 0; k < b.packs; ++k) to[k] = Row::cpu(x.next());
    } else if constexpr (Row::arity == 2) {
        reader<T> x = read<T>(f, l, 0), y = read<T>(f, l, 1);
        using R = decltype(Row::cpu(pack<T>{}, pack<T>{}));
        auto* to = result<typename R::element>(f, l);
        for (int k = 0; k < b.packs; ++k) to[k] = Row::cpu(x.next(), y.next());
    } else {
        reader<bool> c = read<bool>(f, l, 0);
        reader<T> x = read<T>(f, l, 1), y = read<T>(f, l, 2);
        pack<T>* to = result<T>(f, l);
        for (int k = 0; k < b.packs; ++k) to[k] = Row::cpu(c.next(), x.next(), y.next());
    }
}

template <class Row, class T>
inline constexpr bool is_in_blocks = std::is_same_v<Row, sum_row>&& std::is_floating_point_v<T>;
template <class T> block_sums<T>& blocks_at(const frame& f, const line& l, int row) {
    return *reinterpret_cast<block_sums<T>*>(
        f.sums +
        (l.sums * f.most_rows + row) * static_cast<std::int64_t>(sizeof(block_sums<double>)));
}
template <class Row, class T> void begin_line(const frame& f, const line& l, const block& b) {
    auto* r = reinterpret_cast<running_of<Row, T>*>(register_at(f, l.operands[1]));
    int rows = l.to_row ? b.packs : 1;
    for (int k = 0; k < rows * l.ways; ++k) begin<Row, T>(r[k]);
    if constexpr (is_in_blocks<Row, T>)
        for (int k = 0; l.sums >= 0 && k < rows; ++k) blocks_at<T>(f, l, k).begin();
}
template <class Row, class T>
running_of<Row, T> joined(const frame& f, const line& l, const running_of<Row, T>* r, int row) {
    running_of<Row, T> all = *r;
    if constexpr (!is_argmax<Row>)
        if (l.ways > 1 && (!l.to_row || f.call->extents[f.vector_axis] >= ways * lanes))
            all = join_ways<Row, T>(r);
    if constexpr (is_in_blocks<Row, T>)
        if (l.sums >= 0 && blocks_at<T>(f, l, row).blocks > 0)
            all.value = blocks_at<T>(f, l, row).end(all.value);
    return all;
}
/// A pack of a sum was added: what cpu/kernel_body.hpp does after it. Pack `at` of a run, or number `at` of a column;
/// `left` is whether more follow in it.
template <class T>
void count_block(const frame& f, const line& l, accumulator<T, false>* r, int row, std::int64_t at,
                 bool whole, bool left) {
    block_sums<T>& s = blocks_at<T>(f, l, row);
    std::int64_t before = l.over_rows ? 0 : at % packs_of_block;
    bool ends = !l.over_rows && whole && before + 1 == packs_of_block;
    if (!ends) {
        if (left) return;
        s.packs += before + 1;
        if (s.packs <= packs_of_block) return;
    }
    s.add(l.ways > 1 ? join_ways<sum_row, T>(r).value : r->value);
    for (int w = 0; w < l.ways; ++w) begin<sum_row, T>(r[w]);
}
template <class Row, class T> void accumulate_line(const frame& f, const line& l, const block& b) {
    auto* all = reinterpret_cast<running_of<Row, T>*>(register_at(f, l.operands[1]));
    reader<T> x = read<T>(f, l, 0);
    bool columns = l.to_row && f.columns;
    std::int64_t n = f.vector_axis < 0 ? 1 : f.call->extents[f.vector_axis];
    std::int64_t in_turn = l.ways > 1 ? n / (lanes * ways) * ways : 0;
    for (int i = 0; i < b.count; ++i) {
        const run& u = b.runs[i];
        std::int64_t linear = u.linear;
        int whole = u.last == lanes ? u.packs : u.packs - 1;
        for (int k = 0; k < u.packs; ++k) {
            int row = columns ? k : l.to_row ? u.owner : 0;
            running_of<Row, T>* r = all + row * l.ways;
            std::int64_t pack = u.first + k;
            running_of<Row, T>& at = r[pack < in_turn ? pack % ways : 0];
            if (k < whole)
                accumulate<Row, true>(at, x.next(), linear, l.along, lanes);
            else
                accumulate<Row, false>(at, x.next(), linear, l.along, u.last);
            if (!columns) linear += lanes * l.along;
            if constexpr (is_in_blocks<Row, T>) {
                if (l.sums < 0) continue;
                if (l.over_rows)
                    count_block<T>(f, l, r, row, 0, false, false);
                else if (f.columns)
                    count_block<T>(f, l, r, row, u.linear, true, u.linear + 1 < f.row_length);
                else
                    count_block<T>(f, l, r, row, pack, k < whole, (pack + 1) * lanes < n);
            }
        }
    }
}
template <class Row, class T> void end_line(const frame& f, const line& l, const block& b) {
    using R = std::conditional_t<is_argmax<Row>, std::int32_t, T>;
    const auto* r = reinterpret_cast<const running_of<Row, T>*>(register_at(f, l.operands[1]));
    for (int k = 0; k < b.packs; ++k)
        result<R>(f, l)[k] = end<Row, T>(joined<Row, T>(f, l, r + k * l.ways, k), f.columns);
}
template <class Row, class T> void save_line(const frame& f, const line& l, const block&) {
    const auto* r = reinterpret_cast<const running_of<Row, T>*>(register_at(f, l.operands[1]));
    save_partial<Row, T>(joined<Row, T>(f, l, r, 0), l.same,
                         f.call->partials + 2 * (f.task * l.numbers + l.number));
}
template <class Row, class T> void join_line(const frame& f, const line& l, const block&) {
    using R = std::conditional_t<is_argmax<Row>, std::int32_t, T>;
    *result<R>(f, l) =
        join_partials<Row, T>(f.call->partials + 2 * l.number, 2 * l.numbers, f.task);
}

// ---- tables ---------------------------------------------------------------------------------------------------------

inline constexpr std::size_t dtypes = 5;
struct reduction_functions {
    line_function begin = nullptr, accumulate = nullptr, end = nullptr, save = nullptr,
                  join = nullptr;
};
constexpr bool taken(accepts a, dtype d) {
    switch (a) {
    case accepts::floating: return is_floating(d);
    case accepts::number: return !is_boolean(d);
    case accepts::boolean: return is_boolean(d);
    case accepts::integer: return !is_boolean(d) && !is_floating(d);
    case accepts::any: return true;
    }
    return false;
}

template <class Rows> struct interpreter_table;
template <class... Row> struct interpreter_table<rows<Row...>> {
    using all = std::make_index_sequence<dtypes>;
    using by_dtype = std::array<line_function, dtypes>;
    template <std::size_t d> using T = element_of<static_cast<dtype>(d)>;

    template <class R, std::size_t d> static consteval line_function elementwise_of() {
        constexpr auto element = static_cast<dtype>(d);
        if constexpr (R::kind != op_class::elementwise || std::is_same_v<R, cast_row>)
            return nullptr;
        else if constexpr (!taken(R::takes, element))
            return nullptr;
        else if constexpr (std::is_same_v<R, checked_index_row>)
            return &checked_index_line<T<d>>;
        else
            return &elementwise_line<R, T<d>>;
    }
    template <class R, std::size_t d> static consteval reduction_functions reduction_of() {
        if constexpr (R::kind != op_class::reduction || is_boolean(static_cast<dtype>(d)))
            return {};
        else
            return {&begin_line<R, T<d>>, &accumulate_line<R, T<d>>, &end_line<R, T<d>>,
                    &save_line<R, T<d>>, &join_line<R, T<d>>};
    }
    template <std::size_t from, std::size_t... d>
    static consteval by_dtype casts_of(std::index_sequence<d...>) {
        return {&cast_line<T<from>, T<d>>...};
    }
    template <class R, std::size_t... d>
    static consteval by_dtype elementwise_row(std::index_sequence<d...>) {
        return {elementwise_of<R, d>()...};
    }
    template <class R, std::size_t... d>
    static consteval std::array<reduction_functions, dtypes>
    reduction_row(std::index_sequence<d...>) {
        return {reduction_of<R, d>()...};
    }
    template <std::size_t... d>
    static consteval std::array<by_dtype, dtypes> casts(std::index_sequence<d...>) {
        return {casts_of<d>(all{})...};
    }
    struct memory_functions {
        line_function load, store, number, size, index, random, spread, gather[2], store_add[2];
    };
    template <class E> static consteval memory_functions memory_of() {
        memory_functions m{&load_line<E>,
                           &store_line<E>,
                           &number_line<E>,
                           &size_line<E>,
                           nullptr,
                           nullptr,
                           &spread_line<E>,
                           {&gather_line<E, std::int32_t>, &gather_line<E, std::int64_t>},
                           {&store_add_line<E, std::int32_t>, &store_add_line<E, std::int64_t>}};
        if constexpr (!std::is_same_v<E, bool>) m.index = &index_line<E>;
        if constexpr (std::is_floating_point_v<E>) m.random = &random_line<E>;
        return m;
    }
    template <std::size_t... d>
    static consteval std::array<memory_functions, dtypes> memory_row(std::index_sequence<d...>) {
        return {memory_of<T<d>>()...};
    }

    static constexpr std::array<by_dtype, sizeof...(Row)> elementwise{
        elementwise_row<Row>(all{})...};  // by `from`
    static constexpr std::array<std::array<reduction_functions, dtypes>, sizeof...(Row)> reductions{
        reduction_row<Row>(all{})...};
    static constexpr std::array<by_dtype, dtypes> cast = casts(all{});  // from, to
    static constexpr std::array<memory_functions, dtypes> memory = memory_row(all{});
};

}  // namespace etch::cpu::detail
