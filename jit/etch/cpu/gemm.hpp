// SPDX-License-Identifier: MIT
// Products of matrices on the CPU, with what follows them run on each block of the result while it is in cache. All four
// transpositions share one instance of Eigen's kernel: they differ in how operands are packed. With ETCH_USE_CBLAS a BLAS
// library computes the product.
#pragma once
#include <cstdint>
#include <cstring>
#include <new>

#include <etch/cpu/threads.hpp>
#if defined(ETCH_USE_CBLAS)
#include <cblas.h>
#else
#include <etch/cpu/pack.hpp>
// after pack.hpp, which quiets g++ about its own headers
#include <Eigen/Core>
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

namespace detail {
/// How an extent is cut: into `count` pieces of `size`, the last one shorter.
struct cut {
    std::int64_t extent, size;
    int count;

    constexpr cut(std::int64_t e, std::int64_t s)
        : extent(e), size(s), count(static_cast<int>((e + s - 1) / s)) {}
    constexpr std::int64_t begin(int i) const { return i * size; }
    constexpr std::int64_t end(int i) const { return std::min(extent, (i + 1) * size); }
};

/// Blocks of the result are cut at multiples of this: the kernel computes up to 48 columns at a time, and a column at the
/// same place of such a group has the same sums in the same order whatever the block.
inline constexpr std::int64_t gemm_grain = 48;
/// Below so many multiplications the threads would cost more than they save.
inline constexpr double gemm_parallel_from = 1 << 20;
/// A part of the result of at most so many rows and columns is finished before the next: it stays in cache over k.
inline constexpr std::int64_t gemm_part = 20 * gemm_grain;

/// The grid of blocks within rows by columns, from the extents alone.
struct gemm_grid {
    cut rows, columns;

    static constexpr std::int64_t even(std::int64_t extent, std::int64_t most) {
        std::int64_t pieces = (extent + most - 1) / most, size = (extent + pieces - 1) / pieces;
        return (size + gemm_grain - 1) / gemm_grain * gemm_grain;
    }
    static constexpr gemm_grid make(std::int64_t m, std::int64_t n, std::int64_t k) {
        std::int64_t row = 4 * gemm_grain, column = 8 * gemm_grain;
        auto blocks = [&] { return ((m + row - 1) / row) * ((n + column - 1) / column); };
        auto work = [&] {
            return static_cast<double>(std::min(m, row)) *
                   static_cast<double>(std::min(n, column)) * static_cast<double>(k);
        };
        while (blocks() < 16 && work() > gemm_parallel_from &&
               (row > gemm_grain || column > gemm_grain)) {
            if (std::min(m, row) > std::min(n, column) && row > gemm_grain)
                row /= 2;
            else if (column > gemm_grain)
                column /= 2;
            else
                row /= 2;
        }
        return {cut(m, even(m, row)), cut(n, even(n, column))};
    }
};

template <class F> void for_each_task(bool alone, int tasks, F f) {
    if (!alone) return parallel(tasks, f);
    for (int i = 0; i < tasks; ++i) f(i);
}

#if !defined(ETCH_USE_CBLAS)
/// Memory of the calling thread for packed operands; it grows and is kept.
template <class T> class packing_space {
public:
    static packing_space& of_this_thread() {
        static thread_local packing_space s;
        return s;
    }
    T* take(std::size_t n) {
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

/// Eigen's kernel adds a product to a column-major result. Read by columns, C is the transpose of what is wanted, so
/// Eigen's left operand is op(B) transposed, {n, k}, and its right one op(A) transposed, {k, m}.
template <class T> struct eigen_kernel {
    using index = Eigen::Index;
    using traits = Eigen::internal::gebp_traits<T, T>;
    template <int order> using mapper = Eigen::internal::const_blas_data_mapper<T, index, order>;

    template <int order>
    static void pack_left(T* to, const T* from, index stride, index at, index from_k, index rows,
                          index depth) {
        Eigen::internal::gemm_pack_lhs<T, index, mapper<order>, traits::mr, traits::LhsProgress,
                                       typename traits::LhsPacket4Packing, order>
            pack;
        pack(to, mapper<order>(from, stride).getSubMapper(at, from_k), depth, rows);
    }
    template <int order>
    static void pack_right(T* to, const T* from, index stride, index at, index from_k,
                           index columns, index depth) {
        Eigen::internal::gemm_pack_rhs<T, index, mapper<order>, traits::nr, order> pack;
        pack(to, mapper<order>(from, stride).getSubMapper(from_k, at), depth, columns);
    }
    static void pack_b(const gemm_call<T>& call, T* to, index at, index from_k, index columns,
                       index depth) {
        if (call.transpose_b)
            pack_left<Eigen::RowMajor>(to, call.b, call.ldb, at, from_k, columns, depth);
        else
            pack_left<Eigen::ColMajor>(to, call.b, call.ldb, at, from_k, columns, depth);
    }
    static void pack_a(const gemm_call<T>& call, T* to, index at, index from_k, index rows,
                       index depth) {
        if (call.transpose_a)
            pack_right<Eigen::RowMajor>(to, call.a, call.lda, at, from_k, rows, depth);
        else
            pack_right<Eigen::ColMajor>(to, call.a, call.lda, at, from_k, rows, depth);
    }
    static void add(T* c, index stride, const T* packed_b, const T* packed_a, index rows,
                    index columns, index depth) {
        using result = Eigen::internal::blas_data_mapper<T, index, Eigen::ColMajor>;
        Eigen::internal::gebp_kernel<T, T, index, result, traits::mr, traits::nr, false, false>
            kernel;
        kernel(result(c, stride), packed_b, packed_a, columns, depth, rows, T(1));
    }
    /// How much of k is packed at a time: Eigen's choice for this machine's caches.
    static index depth_of_block(index m, index n, index k) {
        index kc = k, mc = n, nc = m;
        Eigen::internal::computeProductBlockingSizes<T, T, 1>(kc, mc, nc, index{1});
        return std::max<index>(1, kc);
    }
};

/// One part of C, by blocks of k. An operand that several blocks of the result need is packed before them, once; one that
/// a single block needs is packed by that block's task, and is in its cache then.
template <class T, class F>
void gemm_part_of(const gemm_call<T>& call, std::int64_t first_row, std::int64_t first_column,
                  const gemm_grid& grid, bool alone, std::int64_t depth, F& after) {
    using kernel = eigen_kernel<T>;
    const cut &rows = grid.rows, &columns = grid.columns;
    std::int64_t size_b = (columns.extent * depth + 31) / 32 * 32;
    T* packed_b = packing_space<T>::of_this_thread().take(
        static_cast<std::size_t>(size_b + rows.extent * depth));
    T* packed_a = packed_b + size_b;
    const bool b_before = rows.count > 1, a_before = columns.count > 1;
    for (std::int64_t from_k = 0; from_k == 0 || from_k < call.k; from_k += depth) {
        std::int64_t d = std::min(depth, call.k - from_k);
        auto pack_a = [&, d, from_k](int i) {
            std::int64_t at = rows.begin(i);
            kernel::pack_a(call, packed_a + at * d, first_row + at, from_k, rows.end(i) - at, d);
        };
        auto pack_b = [&, d, from_k](int j) {
            std::int64_t at = columns.begin(j);
            kernel::pack_b(call, packed_b + at * d, first_column + at, from_k, columns.end(j) - at,
                           d);
        };
        int count_b = b_before ? columns.count : 0, count_a = a_before ? rows.count : 0;
        if (d > 0)
            for_each_task(alone, count_b + count_a, [&](int task) {
                task < count_b ? pack_b(task) : pack_a(task - count_b);
            });
        for_each_task(alone, rows.count * columns.count, [&](int task) {
            int i = task % rows.count, j = task / rows.count;
            std::int64_t row = rows.begin(i), column = columns.begin(j), height = rows.end(i) - row,
                         width = columns.end(j) - column;
            T* c = call.c + (first_row + row) * call.ldc + first_column + column;
            if (d > 0 && !b_before) pack_b(j);
            if (d > 0 && !a_before) pack_a(i);
            if (from_k == 0)
                for (std::int64_t r = 0; r < height; ++r)
                    std::memset(c + r * call.ldc, 0, static_cast<std::size_t>(width) * sizeof(T));
            if (d > 0)
                kernel::add(c, call.ldc, packed_b + column * d, packed_a + row * d, height, width,
                            d);
            if (from_k + depth >= call.k)
                after(first_row + row, first_row + row + height, first_column + column,
                      first_column + column + width);
        });
    }
}

/// A product with a vector v, of n results: result i is a sum over k of x[i * across + l * along] v[l], and goes to
/// to[i * stride]; one of across and along is 1. A matrix is read once, so the kernel for matrices would gain nothing.
template <class T>
void multiply_vector(const T* x, std::int64_t across, std::int64_t along, const T* v, T* to,
                     std::int64_t stride, std::int64_t n, std::int64_t k) {
    using P = pack<T>;
    const P zero(T(0));
    if (across == 1) {  // rows of x, onto a few packs of results
        std::int64_t i = 0;
        for (; i + 4 * lanes <= n; i += 4 * lanes) {
            P p = zero, q = zero, r = zero, s = zero;
            const T* row = x + i;
            for (std::int64_t l = 0; l < k; ++l, row += along) {
                P factor(v[l]);
                p = p + factor * load(row);
                q = q + factor * load(row + lanes);
                r = r + factor * load(row + 2 * lanes);
                s = s + factor * load(row + 3 * lanes);
            }
            store_strided(p, to + i * stride, stride);
            store_strided(q, to + (i + lanes) * stride, stride);
            store_strided(r, to + (i + 2 * lanes) * stride, stride);
            store_strided(s, to + (i + 3 * lanes) * stride, stride);
        }
        for (; i < n; i += lanes) {
            int count = static_cast<int>(std::min<std::int64_t>(lanes, n - i));
            P p = zero;
            for (std::int64_t l = 0; l < k; ++l) p = p + P(v[l]) * load(x + i + l * along, count);
            store_strided(p, to + i * stride, stride, count);
        }
        return;
    }
    auto join = [](auto p, auto q) { return p + q; };
    const std::int64_t whole = k - k % lanes;
    const int rest = static_cast<int>(k - whole);
    for (std::int64_t i = 0; i < n; i += 4) {  // four rows of x at a time, each against v
        auto row = [&](std::int64_t r) { return x + std::min(i + r, n - 1) * across; };
        const T *a = row(0), *b = row(1), *c = row(2), *d = row(3);
        P p = zero, q = zero, r = zero, s = zero;
        for (std::int64_t l = 0; l < whole; l += lanes) {
            P factor = load(v + l);
            p = p + factor * load(a + l);
            q = q + factor * load(b + l);
            r = r + factor * load(c + l);
            s = s + factor * load(d + l);
        }
        if (rest > 0) {
            P factor = load(v + whole, rest);
            p = p + factor * load(a + whole, rest);
            q = q + factor * load(b + whole, rest);
            r = r + factor * load(c + whole, rest);
            s = s + factor * load(d + whole, rest);
        }
        T sums[4] = {fold(p, join), fold(q, join), fold(r, join), fold(s, join)};
        for (int j = 0; j < std::min<std::int64_t>(4, n - i); ++j) to[(i + j) * stride] = sums[j];
    }
}

/// C where m or n is 1.
template <class T, class F> void gemm_vector(const gemm_call<T>& call, bool alone, F& after) {
    const bool by_rows = call.n == 1;  // C is a column: the matrix is op(A)
    const std::int64_t n = by_rows ? call.m : call.n, k = call.k;
    const T* x = by_rows ? call.a : call.b;
    const std::int64_t ld = by_rows ? call.lda : call.ldb;
    const bool contiguous_sum = by_rows != (by_rows ? call.transpose_a : call.transpose_b);
    const T* v = by_rows ? call.b : call.a;
    const bool v_is_row = by_rows ? call.transpose_b : !call.transpose_a;
    const std::int64_t v_stride = v_is_row ? 1 : by_rows ? call.ldb : call.lda;
    if (v_stride != 1 && k > 1) {
        T* copy = packing_space<T>::of_this_thread().take(static_cast<std::size_t>(k));
        for (std::int64_t l = 0; l < k; ++l) copy[l] = v[l * v_stride];
        v = copy;
    }
    cut pieces(n, gemm_grid::even(
                      n, std::max<std::int64_t>(gemm_grain, (std::int64_t{1} << 16) /
                                                                std::max<std::int64_t>(k, 1))));
    for_each_task(alone, pieces.count, [&](int task) {
        std::int64_t at = pieces.begin(task), end = pieces.end(task),
                     stride = by_rows ? call.ldc : 1;
        multiply_vector(x + at * (contiguous_sum ? ld : 1), contiguous_sum ? ld : 1,
                        contiguous_sum ? 1 : ld, v, call.c + at * stride, stride, end - at, k);
        if (by_rows)
            after(at, end, std::int64_t{0}, std::int64_t{1});
        else
            after(std::int64_t{0}, std::int64_t{1}, at, end);
    });
}
#else
inline void multiply(const gemm_call<float>& g) {
    cblas_sgemm(CblasRowMajor, g.transpose_a ? CblasTrans : CblasNoTrans,
                g.transpose_b ? CblasTrans : CblasNoTrans, static_cast<int>(g.m),
                static_cast<int>(g.n), static_cast<int>(g.k), 1.f, g.a, static_cast<int>(g.lda),
                g.b, static_cast<int>(g.ldb), 0.f, g.c, static_cast<int>(g.ldc));
}
inline void multiply(const gemm_call<double>& g) {
    cblas_dgemm(CblasRowMajor, g.transpose_a ? CblasTrans : CblasNoTrans,
                g.transpose_b ? CblasTrans : CblasNoTrans, static_cast<int>(g.m),
                static_cast<int>(g.n), static_cast<int>(g.k), 1., g.a, static_cast<int>(g.lda), g.b,
                static_cast<int>(g.ldb), 0., g.c, static_cast<int>(g.ldc));
}
#endif
}  // namespace detail

/// The product, and after(row_begin, row_end, column_begin, column_end) once for each block of C, by the thread that has
/// just computed it. The blocks are a grid that depends on m, n and k alone; columns are cut at multiples of 48. Nothing is
/// allocated once the calling thread has done a product of this size.
template <class T, class F> void gemm(const gemm_call<T>& call, F after) {
    if (call.m <= 0 || call.n <= 0) return;
    double multiplications =
        static_cast<double>(call.m) * static_cast<double>(call.n) * static_cast<double>(call.k);
    bool alone = multiplications < (call.m == 1 || call.n == 1 ? detail::gemm_parallel_from / 4
                                                               : detail::gemm_parallel_from);
#if defined(ETCH_USE_CBLAS)
    if (call.k > 0) {
        detail::multiply(call);
    } else {
        for (std::int64_t r = 0; r < call.m; ++r)
            std::memset(call.c + r * call.ldc, 0, static_cast<std::size_t>(call.n) * sizeof(T));
    }
    auto grid = detail::gemm_grid::make(call.m, call.n, call.k);
    detail::for_each_task(alone, grid.rows.count * grid.columns.count, [&](int task) {
        int i = task % grid.rows.count, j = task / grid.rows.count;
        after(grid.rows.begin(i), grid.rows.end(i), grid.columns.begin(j), grid.columns.end(j));
    });
#else
    if (call.m == 1 || call.n == 1) return detail::gemm_vector(call, alone, after);
    std::int64_t depth =
        call.k > 0 ? detail::eigen_kernel<T>::depth_of_block(call.m, call.n, call.k) : 1;
    detail::cut rows(call.m, detail::gemm_grid::even(call.m, detail::gemm_part));
    detail::cut columns(call.n, detail::gemm_grid::even(call.n, detail::gemm_part));
    for (int i = 0; i < rows.count; ++i)
        for (int j = 0; j < columns.count; ++j) {
            std::int64_t r = rows.begin(i), c = columns.begin(j);
            auto grid = detail::gemm_grid::make(rows.end(i) - r, columns.end(j) - c, call.k);
            detail::gemm_part_of(call, r, c, grid, alone, depth, after);
        }
#endif
}
template <class T> void gemm(const gemm_call<T>& call) {
    gemm(call, [](std::int64_t, std::int64_t, std::int64_t, std::int64_t) {});
}

}  // namespace etch::cpu
