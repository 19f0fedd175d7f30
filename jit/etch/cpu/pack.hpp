// SPDX-License-Identifier: MIT
// The values that a fused loop computes with: a pack is `lanes` elements of one dtype in registers. The instruction set is
// the one that the program is compiled for. Written with the vector extensions of g++ and clang, whose comparisons and
// selections become single instructions; functions such as exp are in cpu/math.hpp.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#if defined(__SSE2__)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"  // g++ 12 warns of its own AVX-512 header
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#endif

namespace etch::cpu {

#if defined(__AVX512F__)
inline constexpr int register_bytes = 64;
#elif defined(__AVX__)
inline constexpr int register_bytes = 32;
#else
inline constexpr int register_bytes = 16;
#endif
/// Elements of a pack, the same for every dtype: one register of float.
inline constexpr int lanes = register_bytes / 4;

namespace detail {
template <class T, int n> struct vector_of {
    typedef T type __attribute__((vector_size(n * static_cast<int>(sizeof(T)))));
};
template <class T, int n> using vector = typename vector_of<T, n>::type;

template <class T> struct lane_of { using type = T; };
template <> struct lane_of<bool> { using type = std::int32_t; };  // 0 or -1: all bits

template <class T> struct unsigned_of { using type = T; };
template <> struct unsigned_of<std::int32_t> { using type = std::uint32_t; };
template <> struct unsigned_of<std::int64_t> { using type = std::uint64_t; };

/// The same bits as another vector type.
template <class To, class From> [[gnu::always_inline]] inline To as(From v) {
    static_assert(sizeof(To) == sizeof(From));
    return (To)v;
}
template <class V, int shift, std::size_t... i>
[[gnu::always_inline]] inline V shuffle_down(V v, std::index_sequence<i...>) {
    return __builtin_shufflevector(v, v, (i + shift) % sizeof...(i)...);
}
template <class V, std::size_t... i>
[[gnu::always_inline]] inline V even_of(V a, V b, std::index_sequence<i...>) {
    return __builtin_shufflevector(a, b, (2 * i)...);
}
/// Lanes first, first + 1, ..., as a vector of that many.
template <std::size_t first, class V, std::size_t... i>
[[gnu::always_inline]] inline auto part_of(V v, std::index_sequence<i...>) {
    return __builtin_shufflevector(v, v, (first + i)...);
}
template <class V, std::size_t... i>
[[gnu::always_inline]] inline auto join(V a, V b, std::index_sequence<i...>) {
    return __builtin_shufflevector(a, b, i...);
}
template <int first, class V, std::size_t... i>
[[gnu::always_inline]] inline V twice_each(V v, std::index_sequence<i...>) {
    return __builtin_shufflevector(v, v, (first + i / 2)...);
}
}  // namespace detail

/// `lanes` elements of T. An element of 8 bytes takes two registers; bool is a mask of 32 bits an element.
template <class T> struct pack {
    using element = T;
    using lane = typename detail::lane_of<T>::type;
    static constexpr int parts = static_cast<int>(sizeof(lane)) * lanes / register_bytes;
    static constexpr int width = lanes / parts;
    using vector = detail::vector<lane, width>;
    using wrapping = detail::vector<typename detail::unsigned_of<lane>::type,
                                    width>;  // arithmetic without overflow

    vector part[parts];

    pack() = default;
    /// The scalar in all lanes.
    [[gnu::always_inline]] explicit pack(T scalar) {
        lane s = static_cast<lane>(scalar);
        if constexpr (std::is_same_v<T, bool>) s = static_cast<lane>(-s);
        part[0] = s - vector{};  // and not +, which would lose the sign of -0
        if constexpr (parts == 2) part[1] = part[0];
    }

    [[gnu::always_inline]] T get(int i) const { return static_cast<T>(part[i / width][i % width]); }
    [[gnu::always_inline]] void set(int i, T x) {
        lane s = static_cast<lane>(x);
        if constexpr (std::is_same_v<T, bool>) s = static_cast<lane>(-s);
        part[i / width][i % width] = s;
    }
};

template <class T> inline constexpr bool is_floating_pack = false;
template <> inline constexpr bool is_floating_pack<pack<float>> = true;
template <> inline constexpr bool is_floating_pack<pack<double>> = true;

namespace detail {
/// f on each register. The loop is written out: it must not keep its operands in memory.
template <class R, class F, class... P> [[gnu::always_inline]] inline R each(F f, const P&... x) {
    R r;
    r.part[0] = f(x.part[0]...);
    if constexpr (R::parts == 2) r.part[1] = f(x.part[1]...);
    return r;
}
/// Masks of a dtype's own element size to pack<bool>, and back.
template <class T, class V>
[[gnu::always_inline]] inline pack<bool> mask_from(const V (&m)[pack<T>::parts]) {
    using M = typename pack<bool>::vector;
    pack<bool> r;
    if constexpr (pack<T>::parts == 1)
        r.part[0] = as<M>(m[0]);
    else
        r.part[0] = even_of(as<M>(m[0]), as<M>(m[1]), std::make_index_sequence<lanes>{});
    return r;
}
template <class T> struct mask_of {
    using vector = detail::vector<
        std::conditional_t<sizeof(typename pack<T>::lane) == 8, std::int64_t, std::int32_t>,
        pack<T>::width>;
    vector part[pack<T>::parts];
};
template <class T> [[gnu::always_inline]] inline mask_of<T> mask_for(pack<bool> m) {
    using V = typename mask_of<T>::vector;
    if constexpr (pack<T>::parts == 1) {
        return {{as<V>(m.part[0])}};
    } else {
        using all = std::make_index_sequence<lanes>;
        return {{as<V>(twice_each<0>(m.part[0], all{})),
                 as<V>(twice_each<lanes / 2>(m.part[0], all{}))}};
    }
}
template <class T, class F>
[[gnu::always_inline]] inline pack<bool> compare(pack<T> a, pack<T> b, F f) {
    using V = typename mask_of<T>::vector;
    if constexpr (pack<T>::parts == 1) {
        V m[] = {as<V>(f(a.part[0], b.part[0]))};
        return mask_from<T>(m);
    } else {
        V m[] = {as<V>(f(a.part[0], b.part[0])), as<V>(f(a.part[1], b.part[1]))};
        return mask_from<T>(m);
    }
}
}  // namespace detail

// ---- arithmetic; integers wrap ------------------------------------------------------------------------------------

template <class T> [[gnu::always_inline]] inline pack<T> operator+(pack<T> a, pack<T> b) {
    using U = typename pack<T>::wrapping;
    using V = typename pack<T>::vector;
    return detail::each<pack<T>>(
        [](auto x, auto y) __attribute__((always_inline)) { return (V)((U)x + (U)y); }, a, b);
}
template <class T> [[gnu::always_inline]] inline pack<T> operator-(pack<T> a, pack<T> b) {
    using U = typename pack<T>::wrapping;
    using V = typename pack<T>::vector;
    return detail::each<pack<T>>(
        [](auto x, auto y) __attribute__((always_inline)) { return (V)((U)x - (U)y); }, a, b);
}
template <class T> [[gnu::always_inline]] inline pack<T> operator*(pack<T> a, pack<T> b) {
    using U = typename pack<T>::wrapping;
    using V = typename pack<T>::vector;
    return detail::each<pack<T>>(
        [](auto x, auto y) __attribute__((always_inline)) { return (V)((U)x * (U)y); }, a, b);
}
/// Of floating elements; of integers there is floor_divide.
template <class T>
requires std::is_floating_point_v<T>
[[gnu::always_inline]] inline pack<T> operator/(pack<T> a, pack<T> b) {
    return detail::each<pack<T>>(
        [](auto x, auto y) __attribute__((always_inline)) { return x / y; }, a, b);
}
template <class T> [[gnu::always_inline]] inline pack<T> operator-(pack<T> a) {
    using U = typename pack<T>::wrapping;
    using V = typename pack<T>::vector;
    return detail::each<pack<T>>(
        [](auto x) __attribute__((always_inline)) { return (V)(-(U)x); }, a);
}

// ---- comparison and logic -----------------------------------------------------------------------------------------

template <class T> [[gnu::always_inline]] inline pack<bool> operator<(pack<T> a, pack<T> b) {
    return detail::compare(
        a, b, [](auto x, auto y) __attribute__((always_inline)) { return x < y; });
}
template <class T> [[gnu::always_inline]] inline pack<bool> operator<=(pack<T> a, pack<T> b) {
    return detail::compare(
        a, b, [](auto x, auto y) __attribute__((always_inline)) { return x <= y; });
}
template <class T> [[gnu::always_inline]] inline pack<bool> operator>(pack<T> a, pack<T> b) {
    return b < a;
}
template <class T> [[gnu::always_inline]] inline pack<bool> operator>=(pack<T> a, pack<T> b) {
    return b <= a;
}
template <class T> [[gnu::always_inline]] inline pack<bool> operator==(pack<T> a, pack<T> b) {
    return detail::compare(
        a, b, [](auto x, auto y) __attribute__((always_inline)) { return x == y; });
}
template <class T> [[gnu::always_inline]] inline pack<bool> operator!=(pack<T> a, pack<T> b) {
    return detail::compare(
        a, b, [](auto x, auto y) __attribute__((always_inline)) { return x != y; });
}
[[gnu::always_inline]] inline pack<bool> operator&&(pack<bool> a, pack<bool> b) {
    a.part[0] &= b.part[0];
    return a;
}
[[gnu::always_inline]] inline pack<bool> operator||(pack<bool> a, pack<bool> b) {
    a.part[0] |= b.part[0];
    return a;
}
[[gnu::always_inline]] inline pack<bool> operator!(pack<bool> a) {
    a.part[0] = ~a.part[0];
    return a;
}
/// a where the mask holds, else b.
template <class T>
[[gnu::always_inline]] inline pack<T> select(pack<bool> mask, pack<T> a, pack<T> b) {
    return detail::each<pack<T>>(
        [](auto m, auto x, auto y) __attribute__((always_inline)) { return m ? x : y; },
        detail::mask_for<T>(mask), a, b);
}

// ---- single lanes -------------------------------------------------------------------------------------------------

/// A scalar function on every lane.
template <class T, class F> [[gnu::always_inline]] inline pack<T> lanewise(pack<T> x, F f) {
    for (int i = 0; i < lanes; ++i) x.set(i, f(x.get(i)));
    return x;
}
template <class T, class F>
[[gnu::always_inline]] inline pack<T> lanewise(pack<T> x, pack<T> y, F f) {
    for (int i = 0; i < lanes; ++i) x.set(i, f(x.get(i), y.get(i)));
    return x;
}
/// start, start + step, ...
template <class T> [[gnu::always_inline]] inline pack<T> iota(T start, T step) {
    pack<T> i;
    for (int k = 0; k < lanes; ++k) i.set(k, static_cast<T>(k));
    return pack<T>(start) + i * pack<T>(step);
}

namespace detail {
template <int shift, class T, class F> [[gnu::always_inline]] inline T fold_from(pack<T> x, F f) {
    using P = pack<T>;
    if constexpr (shift == 0) {
        return x.get(0);
    } else {
        P y = x;
        if constexpr (shift == P::width)
            y.part[0] = x.part[1];
        else
            y.part[0] = shuffle_down<typename P::vector, shift>(
                x.part[0], std::make_index_sequence<P::width>{});
        return fold_from<shift / 2>(f(x, y), f);
    }
}
}  // namespace detail
/// All lanes joined by f, which takes two packs: lane i with lane i + lanes / 2, and so on by halves.
template <class T, class F> [[gnu::always_inline]] inline T fold(pack<T> x, F f) {
    return detail::fold_from<lanes / 2>(x, f);
}

// ---- conversion of dtypes -----------------------------------------------------------------------------------------

namespace detail {
template <class To, class From> [[gnu::always_inline]] inline pack<To> convert_lanes(pack<From> x) {
    pack<To> r;
    using V = typename pack<To>::vector;
    if constexpr (pack<To>::parts == pack<From>::parts) {
        r = each<pack<To>>(
            [](auto v) __attribute__((always_inline)) { return __builtin_convertvector(v, V); }, x);
    } else if constexpr (pack<To>::parts == 2) {
        using half = std::make_index_sequence<lanes / 2>;
        r.part[0] = __builtin_convertvector(part_of<0>(x.part[0], half{}), V);
        r.part[1] = __builtin_convertvector(part_of<lanes / 2>(x.part[0], half{}), V);
    } else {
        using H = vector<typename pack<To>::lane, lanes / 2>;
        r.part[0] = join(__builtin_convertvector(x.part[0], H),
                         __builtin_convertvector(x.part[1], H), std::make_index_sequence<lanes>{});
    }
    return r;
}
}  // namespace detail

/// As a cast of C does, but defined for all values: a floating number outside of an integer's range gives the nearest end
/// of it, and nan gives 0. To bool it is x != 0.
template <class To, class From> [[gnu::always_inline]] inline pack<To> convert(pack<From> x) {
    if constexpr (std::is_same_v<To, From>) {
        return x;
    } else if constexpr (std::is_same_v<To, bool>) {
        return x != pack<From>(From(0));
    } else if constexpr (std::is_same_v<From, bool>) {
        return select(x, pack<To>(To(1)), pack<To>(To(0)));
    } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
        using limits = std::numeric_limits<To>;
        pack<From> low(static_cast<From>(limits::min())),
            end(-static_cast<From>(limits::min()));  // powers of two
        pack<bool> above = x >= end, below = x < low;
        pack<To> r = detail::convert_lanes<To>(select(x >= low && x < end, x, pack<From>(From(0))));
        return select(above, pack<To>(limits::max()), select(below, pack<To>(limits::min()), r));
    } else {
        return detail::convert_lanes<To>(x);
    }
}

}  // namespace etch::cpu

#include <etch/cpu/math.hpp>
#include <etch/cpu/memory.hpp>
