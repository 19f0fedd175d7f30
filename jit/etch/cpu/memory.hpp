// SPDX-License-Identifier: MIT
// Packs from and to memory. A bool in memory is one byte, 0 or 1. A count n < lanes touches n elements and no byte more;
// the other lanes are 0.
#pragma once
#include <etch/cpu/pack.hpp>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // g++ 12 warns of its own AVX-512 header
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

namespace etch::cpu {

namespace detail {
using byte_vector = vector<std::uint8_t, lanes>;

[[gnu::always_inline]] inline pack<bool> from_bytes(byte_vector b) {
    pack<bool> r;
#if defined(__AVX512F__)
    r.part[0] = (pack<bool>::vector)_mm512_cvtepu8_epi32((__m128i)b);
#elif defined(__AVX2__)
    r.part[0] = (pack<bool>::vector)_mm256_cvtepu8_epi32(
        _mm_loadl_epi64(reinterpret_cast<const __m128i*>(&b)));
#else
    for (int i = 0; i < lanes; ++i) r.part[0][i] = b[i];
#endif
    r.part[0] = -r.part[0];
    return r;
}
[[gnu::always_inline]] inline byte_vector to_bytes(pack<bool> x) {
    byte_vector b;
#if defined(__AVX512F__)
    b = (byte_vector)_mm512_cvtepi32_epi8((__m512i)x.part[0]);
    return b & std::uint8_t{1};
#else
    for (int i = 0; i < lanes; ++i) b[i] = static_cast<std::uint8_t>(x.part[0][i] & 1);
    return b;
#endif
}
#if defined(__AVX512F__)
/// One bit for each of the first n lanes.
[[gnu::always_inline]] inline unsigned first_bits(int n) { return (1u << n) - 1u; }
#elif defined(__AVX__)
/// All bits of each of the first n words of 32 bits, n of any size.
[[gnu::always_inline]] inline __m256i first_words(int n) {
    alignas(64) static constexpr std::int32_t masks[16]{-1, -1, -1, -1, -1, -1, -1, -1};
    int from = n < 0 ? 8 : n > 8 ? 0 : 8 - n;
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(masks + from));
}
/// The first n words of 32 bits, n < 8. A masked store takes many times as long.
[[gnu::always_inline]] inline void store_words(__m256i x, void* to, int n) {
    auto* at = static_cast<char*>(to);
    __m128i half = _mm256_castsi256_si128(x);
    if (n & 4) {
        std::memcpy(at, &half, 16);
        at += 16;
        half = _mm256_extractf128_si256(x, 1);
    }
    if (n & 2) {
        std::memcpy(at, &half, 8);
        at += 8;
        half = _mm_unpackhi_epi64(half, half);
    }
    if (n & 1) std::memcpy(at, &half, 4);
}
#endif
}  // namespace detail

template <class T> [[gnu::always_inline]] inline pack<T> load(const T* from) {
    if constexpr (std::is_same_v<T, bool>) {
        detail::byte_vector b;
        std::memcpy(&b, from, sizeof b);
        return detail::from_bytes(b);
    } else {
        pack<T> x;
        std::memcpy(&x.part[0], from, register_bytes);
        if constexpr (pack<T>::parts == 2)
            std::memcpy(&x.part[1], from + pack<T>::width, register_bytes);
        return x;
    }
}
template <class T> [[gnu::always_inline]] inline pack<T> load(const T* from, int n) {
    if constexpr (std::is_same_v<T, bool>) {
        detail::byte_vector b{};
        for (int i = 0; i < n; ++i) b[i] = from[i];
        return detail::from_bytes(b);
    } else {
#if defined(__AVX512F__)
        using V = typename pack<T>::vector;
        unsigned m = detail::first_bits(n);
        pack<T> x;
        if constexpr (pack<T>::parts == 1) {
            x.part[0] = (V)_mm512_maskz_loadu_epi32(static_cast<__mmask16>(m), from);
        } else {
            x.part[0] = (V)_mm512_maskz_loadu_epi64(static_cast<__mmask8>(m), from);
            x.part[1] = (V)_mm512_maskz_loadu_epi64(static_cast<__mmask8>(m >> 8), from + 8);
        }
        return x;
#elif defined(__AVX__)
        using V = typename pack<T>::vector;
        pack<T> x;
        if constexpr (pack<T>::parts == 1) {
            auto* f = reinterpret_cast<const float*>(from);
            x.part[0] = (V)_mm256_maskload_ps(f, detail::first_words(n));
        } else {
            auto* f = reinterpret_cast<const double*>(from);
            x.part[0] = (V)_mm256_maskload_pd(f, detail::first_words(2 * n));
            x.part[1] = (V)_mm256_maskload_pd(f + 4, detail::first_words(2 * n - 8));
        }
        return x;
#else
        T t[lanes]{};
        for (int i = 0; i < n; ++i) t[i] = from[i];
        return load(t);
#endif
    }
}

template <class T> [[gnu::always_inline]] inline void store(pack<T> x, T* to) {
    if constexpr (std::is_same_v<T, bool>) {
        detail::byte_vector b = detail::to_bytes(x);
        std::memcpy(to, &b, sizeof b);
    } else {
        std::memcpy(to, &x.part[0], register_bytes);
        if constexpr (pack<T>::parts == 2)
            std::memcpy(to + pack<T>::width, &x.part[1], register_bytes);
    }
}
template <class T> [[gnu::always_inline]] inline void store(pack<T> x, T* to, int n) {
#if defined(__AVX512F__)
    if constexpr (!std::is_same_v<T, bool>) {
        unsigned m = detail::first_bits(n);
        if constexpr (pack<T>::parts == 1) {
            _mm512_mask_storeu_epi32(to, static_cast<__mmask16>(m), (__m512i)x.part[0]);
        } else {
            _mm512_mask_storeu_epi64(to, static_cast<__mmask8>(m), (__m512i)x.part[0]);
            _mm512_mask_storeu_epi64(to + 8, static_cast<__mmask8>(m >> 8), (__m512i)x.part[1]);
        }
        return;
    }
#elif defined(__AVX__)
    if constexpr (!std::is_same_v<T, bool>) {
        if (n == lanes) return store(x, to);
        if constexpr (pack<T>::parts == 1) {
            detail::store_words((__m256i)x.part[0], to, n);
        } else if (n < 4) {
            detail::store_words((__m256i)x.part[0], to, 2 * n);
        } else {
            std::memcpy(to, &x.part[0], register_bytes);
            detail::store_words((__m256i)x.part[1], to + 4, 2 * n - 8);
        }
        return;
    }
#endif
    T t[lanes];
    store(x, t);
    for (int i = 0; i < n; ++i) to[i] = t[i];
}
/// Past the caches, for a result that is larger than they are. `to` is aligned to register_bytes; whoever hands the
/// memory to another thread calls stream_fence before.
template <class T> [[gnu::always_inline]] inline void store_stream(pack<T> x, T* to) {
    if constexpr (std::is_same_v<T, bool>) {
        store(x, to);
    } else {
        using P = pack<T>;
        for (int p = 0; p < P::parts; ++p) {
            void* at = to + p * P::width;
#if defined(__AVX512F__)
            _mm512_stream_si512(static_cast<__m512i*>(at), (__m512i)x.part[p]);
#elif defined(__AVX__)
            _mm256_stream_si256(static_cast<__m256i*>(at), (__m256i)x.part[p]);
#elif defined(__SSE2__)
            _mm_stream_si128(static_cast<__m128i*>(at), (__m128i)x.part[p]);
#else
            std::memcpy(at, &x.part[p], sizeof x.part[p]);
#endif
        }
    }
}
[[gnu::always_inline]] inline void stream_fence() {
#if defined(__SSE2__)
    _mm_sfence();
#endif
}

/// Elements from[0], from[stride], ...
template <class T>
[[gnu::always_inline]] inline pack<T> load_strided(const T* from, std::ptrdiff_t stride,
                                                   int n = lanes) {
    T t[lanes]{};
    for (int i = 0; i < n; ++i) t[i] = from[i * stride];
    return load(t);
}
namespace detail {
/// The packs that the elements 0, every, 2 * every, ... of a pack's worth lie in: the last one ends with the last element.
template <int every, int width> struct spread {
    static constexpr int pack_of(int lane) {
        return lane * every / width < every ? lane * every / width : every - 1;
    }
    static constexpr int start_of(int pack) {
        return pack < every - 1 ? pack * width : (every - 1) * (width - 1);
    }
    /// Of the lanes so far and those of pack p, in this order, the one to be lane `lane`.
    static constexpr int choice(int p, int lane) {
        return pack_of(lane) == p ? width + lane * every - start_of(p) : lane;
    }
};
template <int every, int p, class V, int... lane>
[[gnu::always_inline]] inline V choose_lanes(V so_far, V next,
                                             std::integer_sequence<int, lane...>) {
    return __builtin_shufflevector(so_far, next,
                                   spread<every, sizeof...(lane)>::choice(p, lane)...);
}
template <int every, int p, class V, class T>
[[gnu::always_inline]] inline V every_of(const T* from, V so_far) {
    constexpr int width = static_cast<int>(sizeof(V) / sizeof(T));
    if constexpr (p < every) {
        V next;
        std::memcpy(&next, from + spread<every, width>::start_of(p), sizeof next);
        return every_of<every, p + 1>(
            from, choose_lanes<every, p>(so_far, next, std::make_integer_sequence<int, width>{}));
    } else {
        return so_far;
    }
}
}  // namespace detail
/// Elements from[0], from[every], ..., by reading all from the first to the last of them.
template <int every, class T> [[gnu::always_inline]] inline pack<T> load_every(const T* from) {
    using P = pack<T>;
    P x{};
    for (int p = 0; p < P::parts; ++p)
        x.part[p] = detail::every_of<every, 0>(from + p * P::width * every, typename P::vector{});
    return x;
}
template <class T>
[[gnu::always_inline]] inline void store_strided(pack<T> x, T* to, std::ptrdiff_t stride,
                                                 int n = lanes) {
    T t[lanes];
    store(x, t);
    for (int i = 0; i < n; ++i) to[i * stride] = t[i];
}
/// Elements from[offsets].
template <class T, class I>
[[gnu::always_inline]] inline pack<T> gather(const T* from, pack<I> offsets, int n = lanes) {
    I at[lanes];
    T t[lanes]{};
    store(offsets, at);
    for (int i = 0; i < n; ++i) t[i] = from[at[i]];
    return load(t);
}

}  // namespace etch::cpu

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
