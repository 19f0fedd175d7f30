// SPDX-License-Identifier: MIT
// What an instruction of a kernel body does to one pack: shared by the C++ compiler's instances of bodies
// (cpu/kernel.hpp) and the interpreter (cpu/interpret.hpp), so that both give the same numbers.
#pragma once
#include <bit>
#include <utility>

#include <etch/cpu/call.hpp>
#include <etch/cpu/math.hpp>
#include <etch/cpu/memory.hpp>
#include <etch/cpu/pack.hpp>
#include <etch/cpu/random.hpp>
#include <etch/passes/stages.hpp>

namespace etch::cpu::detail {

using etch::detail::in_pass;
using etch::detail::in_row_stage;
using etch::detail::is_at_end;
using etch::detail::is_before;
using etch::detail::is_row_reduction;
using etch::detail::is_scalar_reduction;
using etch::detail::over;

// ---- constants and memory -------------------------------------------------------------------------------------------

template <class T> std::int64_t to_word(T x) {
    if constexpr (std::is_same_v<T, float>)
        return std::bit_cast<std::int64_t>(static_cast<double>(x));
    else if constexpr (std::is_same_v<T, double>)
        return std::bit_cast<std::int64_t>(x);
    else
        return static_cast<std::int64_t>(x);
}
template <class T> T from_word(std::int64_t w) {
    if constexpr (std::is_floating_point_v<T>)
        return static_cast<T>(std::bit_cast<double>(w));
    else
        return static_cast<T>(w);
}

/// Lane l is from[index of l * step + l * stride].
template <class T, class I>
[[gnu::always_inline]] inline pack<T> gather_lanes(const T* from, const pack<I>& index,
                                                   std::int64_t step, std::int64_t stride, int n) {
    pack<T> r(T(0));
    for (int lane = 0; lane < n; ++lane)
        r.set(lane, from[static_cast<std::int64_t>(index.get(lane)) * step + lane * stride]);
    return r;
}
template <class T, class I>
[[gnu::always_inline]] inline void add_lanes(T* to, const pack<I>& index, const pack<T>& x,
                                             std::int64_t step, std::int64_t stride, int n) {
    using U = std::conditional_t<std::is_integral_v<T>, std::uint64_t, T>;  // integers wrap
    for (int lane = 0; lane < n; ++lane) {
        T& sum = to[static_cast<std::int64_t>(index.get(lane)) * step + lane * stride];
        sum = static_cast<T>(static_cast<U>(sum) + static_cast<U>(x.get(lane)));
    }
}
/// Numbers first, first + stride, ... of a draw.
template <class T>
[[gnu::always_inline]] inline pack<T> random_lanes(std::uint64_t key, std::uint64_t step,
                                                   std::uint32_t ordinal, std::int64_t first,
                                                   std::int64_t stride) {
    if (stride == 1) return uniform_pack<T>(key, step, ordinal, static_cast<std::uint64_t>(first));
    pack<T> r(T(0));
    for (int lane = 0; lane < lanes; ++lane)
        r.set(lane,
              uniform<T>(key, step, ordinal, static_cast<std::uint64_t>(first + lane * stride)));
    return r;
}

[[noreturn]] [[gnu::cold]] [[gnu::noinline]] inline void
throw_index(int instruction, std::int64_t index, std::int64_t bound, const part* of) {
    throw index_outside{instruction, index, bound, of};
}
/// Indices inside of [0, bound); with `wraps` those in [-bound, 0) count from the end.
template <class T>
[[gnu::always_inline]] inline pack<T> check_index(pack<T> at, pack<T> bound, bool wraps, int n,
                                                  int instruction, const part* of) {
    pack<T> r = at;
    if (wraps) r = checked_index_row::cpu(at, bound);
    pack<bool> bad = (r < pack<T>(T(0))) || (r >= bound);
    for (int lane = 0; lane < n; ++lane)
        if (bad.get(lane))
            throw_index(instruction, static_cast<std::int64_t>(at.get(lane)),
                        static_cast<std::int64_t>(bound.get(lane)), of);
    return r;
}

// ---- reductions -----------------------------------------------------------------------------------------------------

/// A running reduction: the value, and for argmax its index.
template <class T, bool indexed> struct accumulator { pack<T> value; };
template <class T> struct accumulator<T, true> {
    pack<T> value;
    pack<std::int32_t> index;
};
template <class Row> inline constexpr bool is_argmax = std::is_same_v<Row, argmax_row>;
template <class Row, class T> using running_of = accumulator<T, is_argmax<Row>>;

/// Whether v takes the place of best in an argmax: the first of the largest, and the first nan before all.
template <class T> [[gnu::always_inline]] inline pack<bool> wins(pack<T> v, pack<T> best) {
    return (v > best) || (v != v && best == best);
}
template <class T> inline bool wins(T v, std::int64_t i, T best, std::int64_t j) {
    if (v > best || (v != v && best == best)) return true;
    bool tie = v == best || (v != v && best != best);
    return tie && i < j;
}

template <class Row, class T> [[gnu::always_inline]] inline void begin(running_of<Row, T>& r) {
    r.value = pack<T>(Row::template neutral<T>());
    if constexpr (is_argmax<Row>) r.index = pack<std::int32_t>(0);
}
/// Joins the first n lanes of v. The lanes' positions, for argmax, are linear, linear + step, ...
template <class Row, bool whole, class T>
[[gnu::always_inline]] inline void accumulate(running_of<Row, T>& r, const pack<T>& v,
                                              [[maybe_unused]] std::int64_t linear,
                                              [[maybe_unused]] int step, [[maybe_unused]] int n) {
    [[maybe_unused]] pack<bool> live(true);
    if constexpr (!whole) live = iota<std::int32_t>(0, 1) < pack<std::int32_t>(n);
    if constexpr (is_argmax<Row>) {
        auto position = iota<std::int32_t>(static_cast<std::int32_t>(linear), step);
        auto better = wins(v, r.value);
        if constexpr (!whole) better = better && live;
        r.value = select(better, v, r.value);
        r.index = select(better, position, r.index);
    } else {
        auto joined = Row::combine(r.value, v);
        if constexpr (whole)
            r.value = joined;
        else
            r.value = select(live, joined, r.value);
    }
}
template <class Row, class T>
[[gnu::always_inline]] inline T fold_lanes(const running_of<Row, T>& r) {
    return fold(r.value, [](auto a, auto b) { return Row::combine(a, b); });
}
template <class T> std::pair<T, std::int64_t> best_lane(const accumulator<T, true>& r) {
    T best = r.value.get(0);
    std::int64_t at = r.index.get(0);
    for (int lane = 1; lane < lanes; ++lane)
        if (wins(r.value.get(lane), r.index.get(lane), best, at)) {
            best = r.value.get(lane);
            at = r.index.get(lane);
        }
    return {best, at};
}
/// A row's value, once the row was visited. In `columns` each lane is a row, else all lanes are of one.
template <class Row, class T>
[[gnu::always_inline]] inline auto end(const running_of<Row, T>& r, bool columns) {
    if constexpr (is_argmax<Row>) {
        if (columns) return r.index;
        return pack<std::int32_t>(static_cast<std::int32_t>(best_lane(r).second));
    } else {
        if (columns) return r.value;
        return pack<T>(fold_lanes<Row, T>(r));
    }
}

/// A cheap pass over rows or over all points has this many accumulators for each reduction, so that one sum does not wait
/// for the one before it: the packs of an axis's first groups of so many take them in turn, the others take the first.
inline constexpr int ways = 4;
constexpr bool in_ways(const body& b, std::span<const instruction> lines, int pass) {
    if (b.kind == body_kind::columns) return false;
    bool reduces = false;
    int cost = 0;
    for (const instruction& i : lines) {
        if (!in_pass(i, pass)) continue;
        cost += i.what == code::compute ? row_of(i.op).cost : 1;
        if (i.what != code::reduce) continue;
        if (i.op == op_of<argmax_row>() || is_row_reduction(i) != (b.kind == body_kind::rows))
            return false;
        reduces = true;
    }
    return reduces && cost <= 10;
}
constexpr int ways_of(const body& b, std::span<const instruction> lines, const instruction& i) {
    bool over_points = i.what == code::reduce && over(i) == level::point;
    return over_points && in_ways(b, lines, std::countr_zero(i.passes)) ? ways : 1;
}
template <class Row, class T>
[[gnu::always_inline]] inline running_of<Row, T> join_ways(const running_of<Row, T>* r) {
    static_assert(ways == 4);
    running_of<Row, T> joined = r[0];
    joined.value =
        Row::combine(Row::combine(r[0].value, r[1].value), Row::combine(r[2].value, r[3].value));
    return joined;
}

/// Sums of floating numbers are made of blocks: of at most so many packs of a run, or numbers of a column. The blocks'
/// sums are joined pairwise, so that the error grows with the logarithm of their number (N. Higham: The accuracy of
/// floating point summation, 1993). Short rows are one block.
inline constexpr int packs_of_block = 128;
template <class T> struct block_sums {
    static constexpr int most = 16;
    pack<T> sums[most];        // sums[i] is of 2^i blocks where bit i of `blocks` is set
    std::uint64_t blocks = 0;  // all of them
    std::int64_t packs = 0;    // of the block that has been begun, as far as they were counted

    void begin() { blocks = 0, packs = 0; }
    [[gnu::noinline]] void add(pack<T> sum) {
        int i = 0;
        for (; i + 1 < most && (blocks >> i & 1); ++i) sum = sums[i] + sum;
        if (i + 1 == most && blocks >> i) sum = sums[i] + sum, blocks &= ~(std::uint64_t{1} << i);
        sums[i] = sum;
        blocks = ((blocks >> i) + 1) << i;
        packs = 0;
    }
    /// With what came after the last block.
    [[gnu::noinline]] pack<T> end(pack<T> sum) const {
        for (int i = 0; i < most; ++i)
            if (blocks >> i & 1) sum = sums[i] + sum;
        return sum;
    }
};
constexpr bool in_blocks(const instruction& i) {
    return i.what == code::reduce && i.op == op_of<sum_row>() && is_floating(i.from);
}

/// Two words of a task's partial result. `same`: all lanes hold one value.
template <class Row, class T>
void save_partial(const running_of<Row, T>& r, bool same, std::int64_t* to) {
    if constexpr (is_argmax<Row>) {
        auto [best, at] = best_lane(r);
        to[0] = to_word(same ? r.value.get(0) : best);
        to[1] = same ? r.index.get(0) : at;
    } else {
        to[0] = to_word(same ? r.value.get(0) : fold_lanes<Row, T>(r));
    }
}
/// Partial results joined pairwise: neighbours first, always in the same tree. Those of a task lie `stride` words from
/// the next task's.
template <class Row, class T>
auto join_partials(std::int64_t* from, std::int64_t stride, std::int64_t tasks) {
    for (std::int64_t gap = 1; gap < tasks; gap *= 2)
        for (std::int64_t t = 0; t + gap < tasks; t += 2 * gap) {
            std::int64_t *left = from + t * stride, *right = from + (t + gap) * stride;
            T a = from_word<T>(left[0]), b = from_word<T>(right[0]);
            if constexpr (is_argmax<Row>) {
                if (!wins(b, right[1], a, left[1])) continue;
                left[0] = right[0];
                left[1] = right[1];
            } else {
                left[0] = to_word(Row::combine(pack<T>(a), pack<T>(b)).get(0));
            }
        }
    if constexpr (is_argmax<Row>)
        return pack<std::int32_t>(tasks ? static_cast<std::int32_t>(from[1]) : 0);
    else
        return pack<T>(tasks ? from_word<T>(from[0]) : Row::template neutral<T>());
}

}  // namespace etch::cpu::detail
