// SPDX-License-Identifier: MIT
// Products of matrices on the CPU, with what follows them run on each block of the result while it is in cache.
// Extents and transpositions alone decide how one is computed and how it is cut, so threads do not change its bits.
// The pieces are in tile.hpp. With ETCH_USE_CBLAS a BLAS library computes the large ones.
//
// Times of Eigen's and OpenBLAS's product over ours: float, one thread, an EPYC with AVX2 (m n k, ' is transposed):
//   32 256 784   1.35 1.0    784' 256 32  1.1 1.0     32 784 256'  1.6 1.3    512 10 256   1.45 1.1
//   256' 10 512  2.8  1.6    8 64 64      1.6 1.4     64 64 64     1.5 1.2    512 512 512  1.5  1.05
//   1 256 784    0.9  4      1 784 256'   0.85 5.5    64' 256 8    0.9 1.3    2048^3       1.4  0.95
#pragma once
#include <algorithm>
#include <cstdint>
#include <limits>
#include <new>

#include <etch/cpu/threads.hpp>
#include <etch/cpu/tile.hpp>
#if defined(ETCH_USE_CBLAS)
#include <cblas.h>
#endif

namespace etch::cpu {

/// C{m, n} = op(A){m, k} op(B){k, n}, all row-major; op(X) is X or its transpose. A leading dimension is the number of
/// elements from one stored row to the next. C is overwritten and must not overlap A or B.
template <class T> struct gemm_call {
    const T* a;
    const T* b;
    T* c;
    std::int64_t m, n, k, lda, ldb, ldc;
    bool transpose_a = false, transpose_b = false;
};

/// How a product is computed.
enum class gemm_form {
    rows,     // tiles of C: vectors lie along its rows
    columns,  // tiles of C transposed, which is op(B)' op(A)': vectors lie along the columns of C
    inner,    // inner products of rows of A and rows of B transposed: vectors lie along k
    blas      // by the library, where there is one
};
constexpr const char* name_of(gemm_form f) {
    constexpr const char* names[] = {"rows", "columns", "inner", "blas"};
    return names[static_cast<int>(f)];
}

namespace detail {
/// How an extent is cut: into `count` pieces of `size`, the last one shorter.
struct cut {
    std::int64_t extent, size;
    int count;

    constexpr cut(std::int64_t e, std::int64_t s, int n) : extent(e), size(s), count(n) {}
    constexpr cut(std::int64_t e, std::int64_t s)
        : extent(e), size(s), count(static_cast<int>((e + s - 1) / s)) {}
    constexpr std::int64_t begin(int i) const { return i * size; }
    constexpr std::int64_t end(int i) const { return std::min(extent, (i + 1) * size); }
};
constexpr std::int64_t rounded_up(std::int64_t n, std::int64_t to) {
    return (n + to - 1) / to * to;
}

/// Blocks of the result are cut at multiples of these: whole tiles in both directions, and whole cache lines.
inline constexpr std::int64_t gemm_row_grain = 48, gemm_column_grain = 32;
inline constexpr std::int64_t gemm_most_rows = 192, gemm_most_columns = 384;
/// Below so many multiplications the threads would cost more than they save.
inline constexpr double gemm_parallel_from = 1 << 20;
/// A part of the result of at most so many rows and columns is finished before the next: it stays in cache over k.
inline constexpr std::int64_t gemm_part = 960;

/// The grid of blocks within rows by columns, from the extents alone.
struct gemm_grid {
    cut rows, columns;

    static constexpr std::int64_t even(std::int64_t extent, std::int64_t most, std::int64_t grain) {
        std::int64_t pieces = (extent + most - 1) / most, size = (extent + pieces - 1) / pieces;
        return rounded_up(size, grain);
    }
    static constexpr gemm_grid make(std::int64_t m, std::int64_t n, std::int64_t k) {
        // A single row streams through the other operand: short pieces of rows would be slow.
        if (m == 1)
            return {{1, 1}, {n, even(n, std::max<std::int64_t>(1024, n / 16), gemm_column_grain)}};
        std::int64_t row = gemm_most_rows, column = gemm_most_columns;
        auto blocks = [&] { return ((m + row - 1) / row) * ((n + column - 1) / column); };
        auto work = [&] {
            return static_cast<double>(std::min(m, row)) *
                   static_cast<double>(std::min(n, column)) * static_cast<double>(k);
        };
        while (blocks() < 16 && work() > gemm_parallel_from / 2 &&
               (row > gemm_row_grain || column > gemm_column_grain)) {
            if (std::min(m, row) > std::min(n, column) && row > gemm_row_grain)
                row /= 2;
            else if (column > gemm_column_grain)
                column /= 2;
            else
                row /= 2;
        }
        return {cut(m, even(m, row, gemm_row_grain)), cut(n, even(n, column, gemm_column_grain))};
    }
};

/// What follows a product, called with (row_begin, row_end, column_begin, column_end) of a block of C. Its type is no
/// parameter of what computes the product: that is compiled once for each dtype.
struct block_callback {
    void (*call)(void*, std::int64_t, std::int64_t, std::int64_t, std::int64_t);
    void* context;
    void operator()(std::int64_t row, std::int64_t row_end, std::int64_t column,
                    std::int64_t column_end) const {
        call(context, row, row_end, column, column_end);
    }
};

[[gnu::noinline]] inline void run_tasks(bool alone, int tasks, void (*call)(void*, int),
                                        void* context) {
    auto run = [=](int task) { call(context, task); };
    if (!alone) return parallel(tasks, run);
    for (int i = 0; i < tasks; ++i) run(i);
}
template <class F> void for_each_task(bool alone, int tasks, F f) {
    run_tasks(
        alone, tasks, [](void* context, int task) { (*static_cast<F*>(context))(task); }, &f);
}

/// Memory of the calling thread for packed operands; it grows and is kept.
template <class T> class packing_space {
public:
    static packing_space& of_this_thread() {
        static thread_local packing_space s;
        return s;
    }
    T* take(std::int64_t count) {
        auto n = static_cast<std::size_t>(count);
        if (n > size_) {
            release();
            data_ = static_cast<T*>(::operator new (n * sizeof(T), std::align_val_t{128}));
            size_ = n;
        }
        return data_;
    }
    packing_space(const packing_space&) = delete;

private:
    packing_space() = default;
    ~packing_space() { release(); }
    void release() {
        if (data_) ::operator delete (data_, std::align_val_t{128});
        data_ = nullptr;
        size_ = 0;
    }
    T* data_ = nullptr;
    std::size_t size_ = 0;
};

/// c(i, j) is the sum over l of x(i, l) y(j, l); vectors lie along j. It is stored as element (i, j) or (j, i) of C.
template <class T> struct product {
    strided<T> x, y;
    T* c;
    std::int64_t ldc, rows, columns, depth;
    bool swapped;  // stored as (j, i)
    bool pack_x, pack_y;
};

/// One part of the result, by blocks of k. An operand that several blocks of the result need is packed before them,
/// once; one that a single block needs is packed by that block's task, and is in its cache then.
template <class T> class product_part {
public:
    product_part(const product<T>& of, std::int64_t row, std::int64_t column, const gemm_grid& grid,
                 std::int64_t depth, const block_callback& callback)
        : p(of),
          first_row(row),
          first_column(column),
          rows(grid.rows),
          columns(grid.columns),
          most_depth(depth),
          padded(rounded_up(columns.extent, tile_lanes<T>)),
          after(callback),
          y_before(p.pack_y && rows.count > 1),
          x_before(p.pack_x && columns.count > 1) {
        std::int64_t size_y = p.pack_y ? rounded_up(padded * depth, 32) : 0,
                     size_x = p.pack_x ? rounded_up(rows.extent * depth, 32) : 0,
                     size_c = p.swapped ? rows.extent * padded : 0;
        if (size_x + size_y + size_c == 0) return;
        packed_y = packing_space<T>::of_this_thread().take(size_x + size_y + size_c);
        packed_x = packed_y + size_y;
        result = packed_x + size_x;
    }
    void run(bool alone) {
        const int count = rows.count * columns.count;
        if (!y_before && !x_before)
            return for_each_task(alone, count, [this](int task) {
                std::int64_t from_k = 0;
                do {
                    block(task, from_k);
                    from_k += most_depth;
                } while (from_k < p.depth);
            });
        const int count_y = y_before ? columns.count : 0, count_x = x_before ? rows.count : 0;
        std::int64_t from_k = 0;
        do {
            for_each_task(alone, count_y + count_x, [this, count_y, from_k](int task) {
                task < count_y ? pack_y(task, from_k) : pack_x(task - count_y, from_k);
            });
            for_each_task(alone, count, [this, from_k](int task) { block(task, from_k); });
            from_k += most_depth;
        } while (from_k < p.depth);
    }

private:
    const product<T>& p;
    std::int64_t first_row, first_column;
    cut rows, columns;
    std::int64_t most_depth, padded;
    const block_callback& after;
    bool y_before, x_before;
    T *packed_y = nullptr, *packed_x = nullptr, *result = nullptr;

    std::int64_t depth_from(std::int64_t from_k) const {
        return std::min(most_depth, p.depth - from_k);
    }
    /// A block's own, whatever k it has come to: blocks need not wait for each other between theirs.
    T* place_of_x(std::int64_t row) const { return packed_x + row * most_depth; }
    T* place_of_y(std::int64_t column) const { return packed_y + column * most_depth; }
    void pack_x(int i, std::int64_t from_k) const {
        std::int64_t at = rows.begin(i), d = depth_from(from_k);
        pack_rows(p.x.from(first_row + at, from_k), rows.end(i) - at, d, place_of_x(at));
    }
    void pack_y(int j, std::int64_t from_k) const {
        std::int64_t at = columns.begin(j), d = depth_from(from_k);
        pack_columns(p.y.from(first_column + at, from_k), columns.end(j) - at, d, place_of_y(at));
    }
    [[gnu::noinline]] void block(int task, std::int64_t from_k) const {
        // Neighbouring tasks, which one thread takes, make neighbouring rows of a result that has many.
        bool tall = !p.swapped && rows.count > columns.count;
        int i = tall ? task / columns.count : task % rows.count,
            j = tall ? task % columns.count : task / rows.count;
        std::int64_t row = rows.begin(i), column = columns.begin(j), height = rows.end(i) - row,
                     width = columns.end(j) - column, d = depth_from(from_k);
        if (p.pack_y && !y_before) pack_y(j, from_k);
        if (p.pack_x && !x_before) pack_x(i, from_k);
        factor<T> x{p.x.from(first_row + row, from_k), false},
            y{p.y.from(first_column + column, from_k), false};
        if (p.pack_x) x = {{place_of_x(row), 0, 0}, true};
        if (p.pack_y) y = {{place_of_y(column), 0, 0}, true};
        T* c = p.swapped ? result + row * padded + column
                         : p.c + (first_row + row) * p.ldc + first_column + column;
        multiply_block(x, y, height, width, d, c, p.swapped ? padded : p.ldc, p.swapped,
                       from_k > 0);
        if (from_k + d < p.depth) return;
        row += first_row, column += first_column;
        if (!p.swapped) return after(row, row + height, column, column + width);
        transpose(c, padded, height, width, p.c + column * p.ldc + row, p.ldc);
        after(column, column + width, row, row + height);
    }
};

template <class T> product<T> product_of(const gemm_call<T>& call, bool swapped) {
    strided<T> a{call.a, call.transpose_a ? 1 : call.lda, call.transpose_a ? call.lda : 1},
        b{call.b, call.transpose_b ? call.ldb : 1, call.transpose_b ? 1 : call.ldb};
    product<T> p{};
    p.x = swapped ? b : a, p.y = swapped ? a : b;
    p.c = call.c, p.ldc = call.ldc;
    p.rows = swapped ? call.n : call.m, p.columns = swapped ? call.m : call.n, p.depth = call.k;
    p.swapped = swapped;
    return p;
}

/// By tiles. An operand that is read in whole rows and is small stays where it is; others are packed: elements that are
/// far apart fall into the same few lines of the caches. The limits are those that were fastest for the shapes above.
template <class T> void gemm_by_tiles(product<T> p, bool alone, const block_callback& after) {
    constexpr std::int64_t bytes = sizeof(T);
    p.pack_y = p.y.across != 1 || (p.rows >= 16 && p.y.along * p.depth * bytes >= 128 * 1024);
    p.pack_x = p.x.along != 1 && p.columns >= 64 && p.x.along * p.depth * bytes >= 512 * 1024;
    // Rows of x for one tile stay in the first cache. A single row is read but once.
    constexpr std::int64_t most_depth = 24 * 1024 / (tile_height * bytes);
    std::int64_t depth = std::max<std::int64_t>(1, p.depth);
    if (p.rows > 1 && depth > most_depth) depth = gemm_grid::even(depth, most_depth, 1);
    if (alone && p.rows <= gemm_most_rows && p.columns <= gemm_most_columns)
        return product_part<T>(p, 0, 0, {{p.rows, p.rows, 1}, {p.columns, p.columns, 1}}, depth,
                               after)
            .run(true);
    cut rows(p.rows, gemm_grid::even(p.rows, gemm_part, gemm_row_grain));
    cut columns(p.columns,
                gemm_grid::even(p.columns, p.rows == 1 ? p.columns : gemm_part, gemm_column_grain));
    for (int i = 0; i < rows.count; ++i)
        for (int j = 0; j < columns.count; ++j) {
            std::int64_t r = rows.begin(i), c = columns.begin(j);
            auto grid = gemm_grid::make(rows.end(i) - r, columns.end(j) - c, p.depth);
            product_part<T>(p, r, c, grid, depth, after).run(alone);
        }
}

template <class T> void gemm_by_inner(product<T> p, bool alone, const block_callback& after) {
    // A copy of each operand whose elements are not contiguous along k.
    T* space = nullptr;
    std::int64_t size_x = p.x.along == 1 ? 0 : rounded_up(p.rows * p.depth, 32),
                 size_y = p.y.along == 1 ? 0 : p.columns * p.depth;
    if (size_x + size_y > 0) space = packing_space<T>::of_this_thread().take(size_x + size_y);
    auto contiguous = [&](strided<T>& s, std::int64_t count, T* to) {
        if (s.along == 1) return;
        transpose(s.data, s.along, p.depth, count, to, p.depth);
        s = {to, p.depth, 1};
    };
    contiguous(p.x, p.rows, space);
    contiguous(p.y, p.columns, space + size_x);
    gemm_grid grid = gemm_grid::make(p.rows, p.columns, p.depth);
    const std::int64_t across = p.swapped ? 1 : p.ldc, along = p.swapped ? p.ldc : 1;
    for_each_task(alone, grid.rows.count * grid.columns.count, [&](int task) {
        int i = task % grid.rows.count, j = task / grid.rows.count;
        std::int64_t row = grid.rows.begin(i), row_end = grid.rows.end(i),
                     column = grid.columns.begin(j), column_end = grid.columns.end(j);
        constexpr int square = tile_lanes < T >> 4 ? 4 : 2;
        auto run = p.rows == 1 ? &inner_block<T, 1> : &inner_block<T, square>;
        run(p.x, p.y, row, row_end, column, column_end, p.depth, p.c, across, along);
        if (p.swapped)
            after(column, column_end, row, row_end);
        else
            after(row, row_end, column, column_end);
    });
}

/// What a form costs, in operations on vectors. A transposed element costs half of one; inner products wait for two
/// loads where tiles wait for one, and the lanes of their sums cost as much as two more steps.
template <class T> double cost_of(gemm_form f, const gemm_call<T>& call) {
    auto m = static_cast<double>(call.m), n = static_cast<double>(call.n),
         k = static_cast<double>(call.k);
    auto vectors = [](std::int64_t extent) {
        return static_cast<double>((extent + tile_lanes<T> - 1) / tile_lanes<T>);
    };
    constexpr double transposing = 0.5;
    switch (f) {
    case gemm_form::rows:
        return m * vectors(call.n) * k + (call.transpose_b ? transposing * n * k : 0);
    case gemm_form::columns:
        return n * vectors(call.m) * k + (call.transpose_a ? 0 : transposing * m * k) +
               transposing * m * n;
    case gemm_form::inner:
        return 1.5 * m * n * (vectors(call.k) + 2) + (call.transpose_a ? transposing * m * k : 0) +
               (call.transpose_b ? 0 : transposing * n * k);
    case gemm_form::blas: break;
    }
    return 0;
}

#if defined(ETCH_USE_CBLAS)
inline void multiply_by_blas(const gemm_call<float>& g) {
    cblas_sgemm(CblasRowMajor, g.transpose_a ? CblasTrans : CblasNoTrans,
                g.transpose_b ? CblasTrans : CblasNoTrans, static_cast<int>(g.m),
                static_cast<int>(g.n), static_cast<int>(g.k), 1.f, g.a, static_cast<int>(g.lda),
                g.b, static_cast<int>(g.ldb), 0.f, g.c, static_cast<int>(g.ldc));
}
inline void multiply_by_blas(const gemm_call<double>& g) {
    cblas_dgemm(CblasRowMajor, g.transpose_a ? CblasTrans : CblasNoTrans,
                g.transpose_b ? CblasTrans : CblasNoTrans, static_cast<int>(g.m),
                static_cast<int>(g.n), static_cast<int>(g.k), 1., g.a, static_cast<int>(g.lda), g.b,
                static_cast<int>(g.ldb), 0., g.c, static_cast<int>(g.ldc));
}
template <class T>
void gemm_by_blas(const gemm_call<T>& call, bool alone, const block_callback& after) {
    multiply_by_blas(call);
    auto grid = gemm_grid::make(call.m, call.n, call.k);
    for_each_task(alone, grid.rows.count * grid.columns.count, [&](int task) {
        int i = task % grid.rows.count, j = task / grid.rows.count;
        after(grid.rows.begin(i), grid.rows.end(i), grid.columns.begin(j), grid.columns.end(j));
    });
}
/// The library is ahead, by a few percent, where each extent is larger than this, and counts in int.
inline constexpr std::int64_t gemm_blas_from = 768;
template <class T> bool blas_is_faster(const gemm_call<T>& g) {
    return std::min({g.m, g.n, g.k}) >= gemm_blas_from &&
           std::max({g.m, g.n, g.k, g.lda, g.ldb, g.ldc}) <= std::numeric_limits<int>::max();
}
#endif

/// As this form, whatever the shape.
template <class T>
void gemm_as(gemm_form f, const gemm_call<T>& call, bool alone, const block_callback& after) {
#if defined(ETCH_USE_CBLAS)
    if (f == gemm_form::blas) return gemm_by_blas(call, alone, after);
#endif
    if (f == gemm_form::inner) return gemm_by_inner(product_of(call, call.n == 1), alone, after);
    gemm_by_tiles(product_of(call, f == gemm_form::columns), alone, after);
}
}  // namespace detail

/// The form that gemm takes for these extents and transpositions.
template <class T> gemm_form form_of(const gemm_call<T>& call) {
#if defined(ETCH_USE_CBLAS)
    if (detail::blas_is_faster(call)) return gemm_form::blas;
#endif
    gemm_form best = gemm_form::rows;
    if (!call.transpose_b && call.n % detail::tile_lanes<T> == 0) return best;  // nothing is lost
    for (gemm_form f : {gemm_form::columns, gemm_form::inner})
        if (detail::cost_of(f, call) < detail::cost_of(best, call)) best = f;
    return best;
}

/// The product, and after(row_begin, row_end, column_begin, column_end) once for each block of C, by the thread that
/// has just computed it. The blocks are a grid that depends on the extents and transpositions alone, cut at multiples
/// of 16. Nothing is allocated once the calling thread has done a product of this size.
template <class T, class F> void gemm(const gemm_call<T>& call, F after) {
    if (call.m <= 0 || call.n <= 0) return;
    double multiplications =
        static_cast<double>(call.m) * static_cast<double>(call.n) * static_cast<double>(call.k);
    bool alone = multiplications < (call.m == 1 || call.n == 1 ? detail::gemm_parallel_from / 4
                                                               : detail::gemm_parallel_from);
    detail::block_callback callback{
        [](void* f, std::int64_t row, std::int64_t row_end, std::int64_t column,
           std::int64_t column_end) { (*static_cast<F*>(f))(row, row_end, column, column_end); },
        &after};
    detail::gemm_as(form_of(call), call, alone, callback);
}
template <class T> void gemm(const gemm_call<T>& call) {
    gemm(call, [](std::int64_t, std::int64_t, std::int64_t, std::int64_t) {});
}

}  // namespace etch::cpu
