// SPDX-License-Identifier: MIT
// What gemm.hpp makes products of matrices from: tiles of the result whose sums over k stay in registers, inner
// products of rows, transposition and packing of operands, and blocks of tiles.
//
// A tile adds the terms of each element one after the other in the order of k, from 0 or from what is there. So its
// bits depend neither on the tile's height and width nor on how rows, columns and k are cut.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <utility>

#include <etch/cpu/pack.hpp>

#if defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace etch::cpu::detail {

#if defined(__AVX512F__) || defined(__aarch64__)
inline constexpr int vector_registers = 32;
#else
inline constexpr int vector_registers = 16;
#endif
/// Rows of the largest tile. Two vectors in each, they leave registers for the operands, and they are enough sums at a
/// time to cover the latency of an addition.
inline constexpr int tile_height = vector_registers == 32 ? 8 : 6;

/// Elements of one register.
template <class T> inline constexpr int tile_lanes = register_bytes / static_cast<int>(sizeof(T));
template <class T> using tile_vector = vector<T, tile_lanes<T>>;

template <class T> [[gnu::always_inline]] inline tile_vector<T> load_vector(const T* from) {
    tile_vector<T> v;
    std::memcpy(&v, from, sizeof v);
    return v;
}
/// The first n elements, and 0 after them.
template <class T> inline tile_vector<T> load_vector(const T* from, std::int64_t n) {
    tile_vector<T> v{};
    std::memcpy(&v, from, static_cast<std::size_t>(n) * sizeof(T));
    return v;
}
/// Keeps a vector in its register: g++ would read it again in each instruction that uses it.
template <class V> [[gnu::always_inline]] inline void hold([[maybe_unused]] V& v) {
#if defined(__SSE2__)
    asm("" : "+v"(v));
#elif defined(__aarch64__)
    asm("" : "+w"(v));
#endif
}
/// a b + c, rounded once where the machine can. Left to the compiler, some loops would be rounded twice and others not.
template <class T>
[[gnu::always_inline]] inline tile_vector<T> multiply_add(tile_vector<T> a, tile_vector<T> b,
                                                          tile_vector<T> c) {
    constexpr bool single = sizeof(T) == 4;
#if defined(__AVX512F__)
    if constexpr (single)
        return (tile_vector<T>)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
    else
        return (tile_vector<T>)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(__FMA__)
    if constexpr (single)
        return (tile_vector<T>)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
    else
        return (tile_vector<T>)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#elif defined(__aarch64__)
    if constexpr (single)
        return (tile_vector<T>)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
    else
        return (tile_vector<T>)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
#else
    (void)single;
    return a * b + c;
#endif
}
template <class T> [[gnu::always_inline]] inline void store_vector(tile_vector<T> v, T* to) {
    std::memcpy(to, &v, sizeof v);
}

/// Element (i, l) is data[i * across + l * along].
template <class T> struct strided {
    const T* data;
    std::int64_t across, along;
    strided from(std::int64_t i, std::int64_t l) const {
        return {data + i * across + l * along, across, along};
    }
};

/// c(i, j) = [c(i, j) +] sum over l of x(i, l) y[l * ldy + j], for `height` rows and `vectors` vectors of columns.
template <class T> struct tile {
    using V = tile_vector<T>;
    static constexpr int lanes_of = tile_lanes<T>;
    using function = void (*)(strided<T> x, const T* y, std::int64_t ldy, std::int64_t depth, T* c,
                              std::int64_t ldc, bool add);

    template <std::size_t... column>
    [[gnu::always_inline]] static void start(V* sum, const T* c, bool add,
                                             std::index_sequence<column...>) {
        ((sum[column] = add ? load_vector(c + column * lanes_of) : V{}), ...);
    }
    template <std::size_t... column>
    [[gnu::always_inline]] static void add_products(V* sum, const V* y, T x,
                                                    std::index_sequence<column...>) {
        ((sum[column] = multiply_add<T>(y[column], x - V{}, sum[column])), ...);
    }
    template <std::size_t... column>
    [[gnu::always_inline]] static void finish(const V* sum, T* c, std::index_sequence<column...>) {
        (store_vector<T>(sum[column], c + column * lanes_of), ...);
    }
    template <std::size_t... column>
    [[gnu::always_inline]] static void read(V* y, const T* from, std::index_sequence<column...>) {
        ((y[column] = load_vector(from + column * lanes_of)), ...);
        if constexpr (sizeof...(column) <= 4) (hold(y[column]), ...);
    }

    template <int vectors, std::size_t... row>
    [[gnu::always_inline]] static void sums(strided<T> x, const T* y, std::int64_t ldy,
                                            std::int64_t depth, T* c, std::int64_t ldc, bool add,
                                            std::index_sequence<row...>) {
        constexpr std::make_index_sequence<vectors> columns{};
        // Three rows share a pointer: as many as an address can name with one stride.
        const T* at[] = {
            (row % 3 == 0 ? x.data + static_cast<std::int64_t>(row) * x.across : nullptr)...};
        V sum[sizeof...(row)][vectors];
        (start(sum[row], c + static_cast<std::int64_t>(row) * ldc, add, columns), ...);
        for (; depth > 0; --depth) {
            V b[vectors];
            read(b, y, columns);
            (add_products(sum[row], b,
                          at[row / 3 * 3][static_cast<std::int64_t>(row % 3) * x.across], columns),
             ...);
            ((at[row] += row % 3 == 0 ? x.along : 0), ...);
            y += ldy;
        }
        (finish(sum[row], c + static_cast<std::int64_t>(row) * ldc, columns), ...);
    }
    template <int height, int vectors>
    static void run(strided<T> x, const T* y, std::int64_t ldy, std::int64_t depth, T* c,
                    std::int64_t ldc, bool add) {
        sums<vectors>(x, y, ldy, depth, c, ldc, add, std::make_index_sequence<height>{});
    }

    template <int vectors, std::size_t... row>
    static constexpr std::array<function, sizeof...(row)> all(std::index_sequence<row...>) {
        return {&run<static_cast<int>(row) + 1, vectors>...};
    }
    /// Of height i + 1.
    static constexpr std::array<function, tile_height> wide = all<2>(
                                                           std::make_index_sequence<tile_height>{}),
                                                       narrow = all<1>(
                                                           std::make_index_sequence<tile_height>{});
};

/// Lanes of a and b whose number has the bit `step` clear (first) or set (!first), b's moved onto the others.
template <int step, bool first, class V, std::size_t... i>
[[gnu::always_inline]] inline V half_lanes(V a, V b, std::index_sequence<i...>) {
    constexpr std::size_t n = sizeof...(i), s = step;
    return __builtin_shufflevector(a, b,
                                   ((i & s) ? n + (first ? i - s : i) : (first ? i : i + s))...);
}

/// v is a square of vectors; it becomes its transpose.
template <class T, int step, std::size_t... i>
[[gnu::always_inline]] inline void transpose_square(tile_vector<T>* v,
                                                    std::index_sequence<i...> all) {
    auto pair = [&](std::size_t p) __attribute__((always_inline)) {
        auto a = v[p], b = v[p + step];
        v[p] = half_lanes<step, true>(a, b, all);
        v[p + step] = half_lanes<step, false>(a, b, all);
    };
    (((i & step) ? void() : pair(i)), ...);
    if constexpr (step > 1) transpose_square<T, step / 2>(v, all);
}

/// to[j * ldt + i] = from[i * ldf + j] for i < rows and j < columns.
template <class T>
[[gnu::noinline]] void transpose(const T* from, std::int64_t ldf, std::int64_t rows,
                                 std::int64_t columns, T* to, std::int64_t ldt) {
    constexpr int n = tile_lanes<T>;
    auto some = [&](std::int64_t i0, std::int64_t i1, std::int64_t j0, std::int64_t j1) {
        for (std::int64_t j = j0; j < j1; ++j)
            for (std::int64_t i = i0; i < i1; ++i) to[j * ldt + i] = from[i * ldf + j];
    };
    auto square = [&](std::int64_t i, std::int64_t j) __attribute__((always_inline)) {
        [&]<std::size_t... r>(std::index_sequence<r...> all) __attribute__((always_inline)) {
            auto row = [&](std::size_t k) { return i + static_cast<std::int64_t>(k); };
            tile_vector<T> v[n];
            ((v[r] = load_vector(from + std::min(row(r), rows - 1) * ldf + j)), ...);
            transpose_square<T, n / 2>(v, all);
            (store_vector<T>(v[r], to + (j + static_cast<std::int64_t>(r)) * ldt + i), ...);
        }
        (std::make_index_sequence<n>{});
    };
    if (rows < n && ldt == rows) {
        // What a vector has too much is overwritten by the next one, but for the last ones.
        std::int64_t j = 0;
        for (; (j + n - 1) * ldt + n <= columns * ldt; j += n) square(0, j);
        return some(0, rows, j, columns);
    }
    const std::int64_t whole_rows = rows - rows % n, whole_columns = columns - columns % n;
    for (std::int64_t i = 0; i < whole_rows; i += n)
        for (std::int64_t j = 0; j < whole_columns; j += n) square(i, j);
    some(0, whole_rows, whole_columns, columns);
    some(whole_rows, rows, 0, columns);
}

/// Sums of the lanes of vectors: lane i of the result is that of vector i. The order is fixed.
template <class T, int step, std::size_t... i>
[[gnu::always_inline]] inline tile_vector<T> sums_of_lanes(tile_vector<T>* v,
                                                           std::index_sequence<i...> all) {
    auto pair = [&](std::size_t p) __attribute__((always_inline)) {
        v[p] = half_lanes<step, true>(v[p], v[p + step], all) +
               half_lanes<step, false>(v[p], v[p + step], all);
    };
    ((i < step ? pair(i) : void()), ...);
    if constexpr (step > 1)
        return sums_of_lanes<T, step / 2>(v, all);
    else
        return v[0];
}

/// Inner products of `height` rows of x with as many rows of y, `width`, as make a vector of results: lane i of the
/// result is that of row i / width with row i % width. Rows are contiguous; rows of no interest may be repeated.
template <class T, int height, std::size_t... i>
[[gnu::always_inline]] inline tile_vector<T> inner_products(const T* const* x, const T* const* y,
                                                            std::int64_t depth,
                                                            std::index_sequence<i...> all) {
    using V = tile_vector<T>;
    constexpr int n = tile_lanes<T>, width = n / height;
    V sum[n] = {((void)i, V{})...};
    auto step = [&](auto read) __attribute__((always_inline)) {
        V a[height], b[width];
        ((i < height ? void(a[i % height] = read(x[i % height])) : void()), ...);
        ((i < width ? void(b[i % width] = read(y[i % width])) : void()), ...);
        ((i < height ? hold(a[i % height]) : void()), ...);
        if constexpr (height > 1) ((i < width ? hold(b[i % width]) : void()), ...);
        ((sum[i] = multiply_add<T>(a[i / width], b[i % width], sum[i])), ...);
    };
    std::int64_t l = 0;
    for (; l + n <= depth; l += n)
        step([l](const T* p) __attribute__((always_inline)) { return load_vector(p + l); });
    if (l < depth) step([l, depth](const T* p) { return load_vector(p + l, depth - l); });
    return sums_of_lanes<T, n / 2>(sum, all);
}

/// The width of the packed or unpacked panel of y at column j.
template <class T> constexpr std::int64_t panel_width(std::int64_t columns_left) {
    return columns_left > tile_lanes<T> ? 2 * tile_lanes<T> : tile_lanes<T>;
}
/// Rows are cut into tiles of nearly equal height, no more of them than need be.
struct tile_cut {
    std::int64_t count, height, higher;
    constexpr explicit tile_cut(std::int64_t rows)
        : count((rows + tile_height - 1) / tile_height),
          height(rows / count),
          higher(rows % count) {}
    constexpr std::int64_t height_of(std::int64_t i) const { return height + (i < higher ? 1 : 0); }
};

/// x by tiles: element (i, l) of the tile that begins at row r is to[r * depth + l * height + i].
template <class T>
[[gnu::noinline]] void pack_rows(strided<T> x, std::int64_t rows, std::int64_t depth, T* to) {
    tile_cut tiles(rows);
    for (std::int64_t t = 0, row = 0; t < tiles.count; ++t) {
        std::int64_t height = tiles.height_of(t);
        T* panel = to + row * depth;
        const T* from = x.data + row * x.across;
        if (x.along == 1)
            transpose(from, x.across, height, depth, panel, height);
        else
            for (std::int64_t l = 0; l < depth; ++l)
                for (std::int64_t i = 0; i < height; ++i)
                    panel[l * height + i] = from[l * x.along + i];
        row += height;
    }
}
/// y by panels: element (j, l) of the panel that begins at column q is to[q * depth + l * width + j]; 0 beyond the end.
template <class T>
[[gnu::noinline]] void pack_columns(strided<T> y, std::int64_t columns, std::int64_t depth, T* to) {
    constexpr std::int64_t n = tile_lanes<T>;
    if (y.across != 1) {
        for (std::int64_t q = 0; q < columns;) {
            std::int64_t width = panel_width<T>(columns - q), real = std::min(width, columns - q);
            T* panel = to + q * depth;
            if (real < width)
                std::memset(panel, 0, static_cast<std::size_t>(width * depth) * sizeof(T));
            transpose(y.data + q * y.across, y.across, real, depth, panel, width);
            q += width;
        }
        return;
    }
    const std::int64_t whole = columns - columns % (2 * n), left = columns - whole,
                       width = panel_width<T>(left);
    for (std::int64_t l = 0; l < depth; ++l) {  // along the rows as they are stored
        const T* from = y.data + l * y.along;
        T* panel = to + l * 2 * n;
        for (std::int64_t q = 0; q < whole; q += 2 * n, panel += 2 * n * depth) {
            store_vector<T>(load_vector(from + q), panel);
            store_vector<T>(load_vector(from + q + n), panel + n);
        }
        if (left > 0) {
            panel = to + whole * depth + l * width;
            for (std::int64_t j = 0; j < width; j += n)
                store_vector<T>(load_vector(from + whole + j, std::min(left - j, n)), panel + j);
        }
    }
}

/// One row of the result, from a few rows of y at a time: they are read from one end to the other.
template <class T>
void multiply_row(const T* x, std::int64_t x_along, const T* y, std::int64_t y_along,
                  std::int64_t columns, std::int64_t depth, T* c, bool add) {
    constexpr int width = 8 * tile_lanes<T>;
    constexpr std::int64_t at_a_time = 8;
    for (std::int64_t l = 0; l < depth || !add; l += at_a_time, add = true)
        for (std::int64_t q = 0; q < columns; q += width)
            tile<T>::template run<1, 8>({x + l * x_along, 0, x_along}, y + l * y_along + q, y_along,
                                        std::min(at_a_time, depth - l), c + q, 0, add);
}

/// One operand of a block: where its rows or columns begin, packed or not.
template <class T> struct factor {
    strided<T> at;
    bool packed;
};

/// c [+]= x y for a block, tile by tile. Where the last panel of y is no whole number of vectors, what a vector has too
/// much is read from the following rows and dropped; the last rows are read from a copy, as nothing may follow them. c
/// is written through a copy there, unless it has room for whole vectors.
template <class T>
void multiply_block(factor<T> x, factor<T> y, std::int64_t rows, std::int64_t columns,
                    std::int64_t depth, T* c, std::int64_t ldc, bool room, bool add) {
    constexpr int lanes_of = tile_lanes<T>;
    const tile_cut tiles(rows);
    std::int64_t begin = 0;
    if (rows == 1 && !y.packed && !x.packed) {
        begin = columns - columns % (8 * lanes_of);
        multiply_row(x.at.data, x.at.along, y.at.data, y.at.along, begin, depth, c, add);
    }
    for (std::int64_t q = begin; q < columns;) {
        std::int64_t width = panel_width<T>(columns - q), real = std::min(width, columns - q);
        auto kernels = (width == lanes_of ? tile<T>::narrow : tile<T>::wide).data();
        const T* panel = y.packed ? y.at.data + q * depth : y.at.data + q;
        const std::int64_t along = y.packed ? width : y.at.along;
        std::int64_t tail = 0;
        T last[lanes_of * 2 * lanes_of], edge[tile_height * 2 * lanes_of];
        auto copy = [real](const T* from, std::int64_t ldf, T* to, std::int64_t ldt,
                           std::int64_t count) {
            for (; count > 0; --count, from += ldf, to += ldt)
                std::memcpy(to, from, static_cast<std::size_t>(real) * sizeof(T));
        };
        if (real < width) {
            std::memset(edge, 0, sizeof edge);
            if (!y.packed) {
                tail = std::min(depth, (width - real + along - 1) / along);
                std::memset(last, 0, sizeof last);
                copy(panel + (depth - tail) * along, along, last, width, tail);
            }
        }
        for (std::int64_t t = 0, row = 0; t < tiles.count; ++t) {
            const std::int64_t height = tiles.height_of(t);
            strided<T> at =
                x.packed ? strided<T>{x.at.data + row * depth, 1, height} : x.at.from(row, 0);
            T* to = c + row * ldc + q;
            std::int64_t ldt = ldc;
            const bool by_copy = real < width && !room;
            if (by_copy) {
                to = edge, ldt = width;
                if (add) copy(c + row * ldc + q, ldc, edge, width, height);
            }
            auto kernel = kernels[height - 1];
            kernel(at, panel, along, depth - tail, to, ldt, add);
            if (tail > 0) {
                at.data += (depth - tail) * at.along;
                kernel(at, last, width, tail, to, ldt, true);
            }
            if (by_copy) copy(edge, width, c + row * ldc + q, ldc, height);
            row += height;
        }
        q += width;
    }
}

/// Inner products for rows [row, row_end) of x and [column, column_end) of y, whose rows are contiguous.
template <class T, int height>
void inner_block(strided<T> x, strided<T> y, std::int64_t row, std::int64_t row_end,
                 std::int64_t column, std::int64_t column_end, std::int64_t depth, T* c,
                 std::int64_t across, std::int64_t along) {
    constexpr int n = tile_lanes<T>, width = n / height;
    for (std::int64_t j = column; j < column_end; j += width)
        for (std::int64_t i = row; i < row_end; i += height) {
            const T *a[height], *b[width];
            for (int r = 0; r < height; ++r)
                a[r] = x.data + std::min(i + r, row_end - 1) * x.across;
            for (int r = 0; r < width; ++r)
                b[r] = y.data + std::min(j + r, column_end - 1) * y.across;
            T sums[n];
            auto all = inner_products<T, height>(a, b, depth, std::make_index_sequence<n>{});
            if (height == 1 && along == 1 && j + n <= column_end) {
                store_vector<T>(all, c + i * across + j);
                continue;
            }
            store_vector<T>(all, sums);
            for (int r = 0; r < height && i + r < row_end; ++r)
                for (int s = 0; s < width && j + s < column_end; ++s)
                    c[(i + r) * across + (j + s) * along] = sums[r * width + s];
        }
}

}  // namespace etch::cpu::detail
