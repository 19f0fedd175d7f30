// SPDX-License-Identifier: MIT
// Uniform random numbers, counter based: element i of draw `ordinal` in step s under a key is a function of these four
// numbers alone. Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2, 3, SC 2011).
// A block of four words is numbered by the counter {low b, high b, ordinal, low s}. float32 element i is word i % 4 of
// block i / 4, its upper 24 bits; float64 element i is words 2 (i % 2) (high) and 2 (i % 2) + 1 (low) of block i / 2, the
// upper 53 bits.
#pragma once
#include <etch/cpu/memory.hpp>

namespace etch::cpu {

namespace detail {
inline constexpr std::uint32_t philox_multiply[2] = {0xD2511F53u, 0xCD9E8D57u};
inline constexpr std::uint32_t philox_weyl[2] = {0x9E3779B9u, 0xBB67AE85u};

/// Ten rounds on words that stand in the lower halves of W, a 64 bit integer or a vector of them.
template <class W> [[gnu::always_inline]] inline void philox(W (&c)[4], std::uint64_t key) {
    std::uint32_t k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
    constexpr std::uint64_t low = 0xFFFFFFFFu;
    for (int round = 0; round < 10; ++round) {
        W a = c[0] * std::uint64_t{philox_multiply[0]},
          b = c[2] * std::uint64_t{philox_multiply[1]};
        W first = (b >> 32) ^ c[1] ^ std::uint64_t{k0},
          third = (a >> 32) ^ c[3] ^ std::uint64_t{k1};
        c[0] = first;
        c[1] = b & low;
        c[2] = third;
        c[3] = a & low;
        k0 += philox_weyl[0];
        k1 += philox_weyl[1];
    }
}
template <class T> inline constexpr std::uint64_t elements_per_block = sizeof(T) == 4 ? 4 : 2;

template <class T>
[[gnu::always_inline]] inline T unit_interval(std::uint64_t high, std::uint64_t low) {
    if constexpr (sizeof(T) == 4)
        return static_cast<T>(high >> 8) * T(0x1p-24);
    else
        return static_cast<T>((high << 32 | low) >> 11) * T(0x1p-53);
}
}  // namespace detail

/// Element `index`, in [0, 1).
template <class T>
inline T uniform(std::uint64_t key, std::uint64_t step, std::uint32_t ordinal,
                 std::uint64_t index) {
    constexpr std::uint64_t per = detail::elements_per_block<T>;
    std::uint64_t block = index / per,
                  c[4] = {block & 0xFFFFFFFFu, block >> 32, ordinal, step & 0xFFFFFFFFu};
    detail::philox(c, key);
    std::uint64_t word = index % per * (4 / per);
    return detail::unit_interval<T>(c[word], c[word + (per == 2)]);
}

/// Elements first, first + 1, ... in the lanes of a pack.
template <class T>
inline pack<T> uniform_pack(std::uint64_t key, std::uint64_t step, std::uint32_t ordinal,
                            std::uint64_t first) {
    constexpr int per = static_cast<int>(detail::elements_per_block<T>), blocks = lanes / per;
    T t[lanes + per];
    std::uint64_t block = first / static_cast<std::uint64_t>(per);
    int skip = static_cast<int>(first % static_cast<std::uint64_t>(per));
    using W = detail::vector<std::uint64_t, blocks>;
    W number{};
    for (int i = 0; i < blocks; ++i) number[i] = block + static_cast<std::uint64_t>(i);
    W c[4] = {number & std::uint64_t{0xFFFFFFFFu}, number >> 32, W{} + std::uint64_t{ordinal},
              W{} + (step & 0xFFFFFFFFu)};
    detail::philox(c, key);
    for (int i = 0; i < lanes; ++i) {
        int word = i % per * (4 / per);
        t[i] = detail::unit_interval<T>(c[word][i / per], c[word + (per == 2)][i / per]);
    }
    for (int i = 0; i < skip; ++i)
        t[lanes + i] =
            uniform<T>(key, step, ordinal, first + static_cast<std::uint64_t>(lanes + i - skip));
    return load(t + skip);
}

}  // namespace etch::cpu
