// SPDX-License-Identifier: MIT
// cuBLASLt of tests/cuda/host_device.hpp: products of column-major matrices in plain loops, sums in
// double precision. What the real library refuses, or has undefined results for, is refused.
#pragma once
#include <cmath>
#include <cstring>
#include <optional>

#include <etch/cuda/cublaslt.hpp>

#include "cuda/host_driver.hpp"

namespace host_device::cublaslt {

struct operation {
    cublasComputeType_t compute{};
    cudaDataType_t scale{};
    std::int32_t transpose_a = CUBLAS_OP_N, transpose_b = CUBLAS_OP_N;
    std::uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
    const void* bias = nullptr;
};
struct layout {
    cudaDataType_t type{};
    std::uint64_t rows = 0, columns = 0;
    std::int64_t leading = 0, batch_stride = 0;
    std::int32_t batch = 1, order = CUBLASLT_ORDER_COL;
    std::size_t element() const { return type == CUDA_R_64F ? 8 : 4; }
    std::size_t bytes() const {
        if (rows == 0 || columns == 0) return 0;
        auto last = static_cast<std::int64_t>(rows) +
                    static_cast<std::int64_t>(columns - 1) * leading + (batch - 1) * batch_stride;
        return static_cast<std::size_t>(last) * element();
    }
};
struct preference {
    std::uint64_t workspace = 0;
    std::uint32_t alignments[4]{256, 256, 256, 256};
};

template <class T, class Handle> T& of(Handle h) { return *reinterpret_cast<T*>(h); }
/// What a call answers that must fail: with what it was told, else for want of a device.
inline cublasStatus_t status_of(const call& c) {
    return c.told ? c.as<cublasStatus_t>() : CUBLAS_STATUS_NOT_INITIALIZED;
}
template <class T, class Handle>
cublasStatus_t make(const char* name, Handle* to, T value, call::needs what = call::nothing) {
    call c(name, "", what);
    if (c.code) return status_of(c);
    *to = reinterpret_cast<Handle>(new T(value));
    ++now->others;
    return CUBLAS_STATUS_SUCCESS;
}
template <class T, class Handle> cublasStatus_t drop(const char* name, Handle h) {
    call c(name, "", call::nothing);
    if (h) --now->others;
    delete reinterpret_cast<T*>(h);
    return c.as<cublasStatus_t>();
}
/// Sets a member from the bytes of an attribute, which must be as many.
template <class T>
cublasStatus_t set(const char* name, T& member, const void* value, std::size_t bytes) {
    call c(name, "", call::nothing);
    if (c.code) return c.as<cublasStatus_t>();
    if (bytes != sizeof member) return CUBLAS_STATUS_INVALID_VALUE;
    std::memcpy(&member, value, sizeof member);
    return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t unknown(const char* what, int which) {
    now->problem(std::string(what) + ": attribute " + number(which) + " is not known to the test");
    return CUBLAS_STATUS_NOT_SUPPORTED;
}

inline cublasStatus_t create(cublasLtHandle_t* h) {
    return make("cublasLtCreate", h, 0, call::context);
}
inline cublasStatus_t destroy(cublasLtHandle_t h) { return drop<int>("cublasLtDestroy", h); }
inline std::size_t version() {
    return static_cast<std::size_t>(now->options.version / 1000 * 10000 +
                                    now->options.version % 1000 / 10 * 100);
}
inline const char* status_name(cublasStatus_t s) {
    return s == CUBLAS_STATUS_SUCCESS            ? "CUBLAS_STATUS_SUCCESS"
           : s == CUBLAS_STATUS_NOT_INITIALIZED  ? "CUBLAS_STATUS_NOT_INITIALIZED"
           : s == CUBLAS_STATUS_ALLOC_FAILED     ? "CUBLAS_STATUS_ALLOC_FAILED"
           : s == CUBLAS_STATUS_INVALID_VALUE    ? "CUBLAS_STATUS_INVALID_VALUE"
           : s == CUBLAS_STATUS_NOT_SUPPORTED    ? "CUBLAS_STATUS_NOT_SUPPORTED"
           : s == CUBLAS_STATUS_EXECUTION_FAILED ? "CUBLAS_STATUS_EXECUTION_FAILED"
           : s == CUBLAS_STATUS_ARCH_MISMATCH    ? "CUBLAS_STATUS_ARCH_MISMATCH"
                                                 : "CUBLAS_STATUS_INTERNAL_ERROR";
}
inline cublasStatus_t operation_create(cublasLtMatmulDesc_t* h, cublasComputeType_t compute,
                                       cudaDataType_t scale) {
    operation o;
    o.compute = compute;
    o.scale = scale;
    return make("cublasLtMatmulDescCreate", h, o);
}
inline cublasStatus_t operation_destroy(cublasLtMatmulDesc_t h) {
    return drop<operation>("cublasLtMatmulDescDestroy", h);
}
inline cublasStatus_t operation_set(cublasLtMatmulDesc_t h, cublasLtMatmulDescAttributes_t which,
                                    const void* value, std::size_t bytes) {
    constexpr const char* name = "cublasLtMatmulDescSetAttribute";
    auto& o = of<operation>(h);
    switch (which) {
    case CUBLASLT_MATMUL_DESC_TRANSA: return set(name, o.transpose_a, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB: return set(name, o.transpose_b, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE: return set(name, o.epilogue, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER: return set(name, o.bias, value, bytes);
    default: return unknown(name, static_cast<int>(which));
    }
}
inline cublasStatus_t layout_create(cublasLtMatrixLayout_t* h, cudaDataType type,
                                    std::uint64_t rows, std::uint64_t columns,
                                    std::int64_t leading) {
    layout l;
    l.type = type;
    l.rows = rows;
    l.columns = columns;
    l.leading = leading;
    return make("cublasLtMatrixLayoutCreate", h, l);
}
inline cublasStatus_t layout_destroy(cublasLtMatrixLayout_t h) {
    return drop<layout>("cublasLtMatrixLayoutDestroy", h);
}
inline cublasStatus_t layout_set(cublasLtMatrixLayout_t h, cublasLtMatrixLayoutAttribute_t which,
                                 const void* value, std::size_t bytes) {
    constexpr const char* name = "cublasLtMatrixLayoutSetAttribute";
    auto& l = of<layout>(h);
    switch (which) {
    case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT: return set(name, l.batch, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET:
        return set(name, l.batch_stride, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_ORDER: return set(name, l.order, value, bytes);
    default: return unknown(name, static_cast<int>(which));
    }
}
inline cublasStatus_t preference_create(cublasLtMatmulPreference_t* h) {
    return make("cublasLtMatmulPreferenceCreate", h, preference());
}
inline cublasStatus_t preference_destroy(cublasLtMatmulPreference_t h) {
    return drop<preference>("cublasLtMatmulPreferenceDestroy", h);
}
inline cublasStatus_t preference_set(cublasLtMatmulPreference_t h,
                                     cublasLtMatmulPreferenceAttributes_t which, const void* value,
                                     std::size_t bytes) {
    constexpr const char* name = "cublasLtMatmulPreferenceSetAttribute";
    auto& p = of<preference>(h);
    switch (which) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES: return set(name, p.workspace, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
        return set(name, p.alignments[0], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
        return set(name, p.alignments[1], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
        return set(name, p.alignments[2], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
        return set(name, p.alignments[3], value, bytes);
    default: return unknown(name, static_cast<int>(which));
    }
}

// ---- the product --------------------------------------------------------------------------------

/// D = epilogue(alpha op(A) op(B) + beta C) of shapes that fit.
struct problem {
    operation o;
    layout a, b, c, d;
    std::uint64_t m() const { return d.rows; }
    std::uint64_t n() const { return d.columns; }
    std::uint64_t k() const { return o.transpose_a == CUBLAS_OP_N ? a.columns : a.rows; }
    bool has_bias() const { return (o.epilogue & CUBLASLT_EPILOGUE_BIAS) != 0; }
    /// Of the vector that the epilogue reads or writes.
    std::uint64_t vector_elements() const {
        return has_bias() || o.epilogue == CUBLASLT_EPILOGUE_BGRADA ? m()
               : o.epilogue == CUBLASLT_EPILOGUE_BGRADB             ? n()
                                                                    : 0;
    }

    cublasStatus_t check() const {
        const bool single = d.type == CUDA_R_32F;
        const bool fast = o.compute == CUBLAS_COMPUTE_32F_FAST_TF32;
        if (single ? o.compute != CUBLAS_COMPUTE_32F && !fast : o.compute != CUBLAS_COMPUTE_64F)
            return CUBLAS_STATUS_NOT_SUPPORTED;
        if (d.type != CUDA_R_32F && d.type != CUDA_R_64F) return CUBLAS_STATUS_NOT_SUPPORTED;
        for (const layout* l : {&a, &b, &c, &d}) {
            if (l->type != d.type || l->order != CUBLASLT_ORDER_COL || o.scale != d.type)
                return CUBLAS_STATUS_NOT_SUPPORTED;
            if (l->rows == 0 || l->columns == 0 ||
                l->leading < static_cast<std::int64_t>(l->rows) || l->batch != d.batch)
                return CUBLAS_STATUS_INVALID_VALUE;
        }
        const bool ta = o.transpose_a != CUBLAS_OP_N, tb = o.transpose_b != CUBLAS_OP_N;
        if ((ta ? a.columns : a.rows) != m() || (tb ? b.rows : b.columns) != n() ||
            (tb ? b.columns : b.rows) != k() || c.rows != m() || c.columns != n())
            return CUBLAS_STATUS_INVALID_VALUE;
        const auto whole =
            d.leading * static_cast<std::int64_t>(n() - 1) + static_cast<std::int64_t>(m());
        if (d.batch < 1 || (d.batch > 1 && d.batch_stride < whole))
            return CUBLAS_STATUS_INVALID_VALUE;  // results on top of each other
        switch (o.epilogue) {
        case CUBLASLT_EPILOGUE_DEFAULT:
        case CUBLASLT_EPILOGUE_RELU:
        case CUBLASLT_EPILOGUE_GELU: break;
        case CUBLASLT_EPILOGUE_BIAS:
        case CUBLASLT_EPILOGUE_RELU_BIAS:
        case CUBLASLT_EPILOGUE_GELU_BIAS:
            if (!o.bias) return CUBLAS_STATUS_INVALID_VALUE;
            break;
        case CUBLASLT_EPILOGUE_BGRADA:
        case CUBLASLT_EPILOGUE_BGRADB:
            if (!o.bias) return CUBLAS_STATUS_INVALID_VALUE;
            // Sums of a factor that is not contiguous across k are not there.
            if (d.batch != 1 || (o.epilogue == CUBLASLT_EPILOGUE_BGRADA ? ta : !tb))
                return CUBLAS_STATUS_NOT_SUPPORTED;
            break;
        default: return CUBLAS_STATUS_NOT_SUPPORTED;
        }
        return now->options.refused.contains(static_cast<int>(o.epilogue))
                   ? CUBLAS_STATUS_NOT_SUPPORTED
                   : CUBLAS_STATUS_SUCCESS;
    }

    template <class T>
    void run(double alpha, double beta, const T* pa, const T* pb, const T* pc, T* pd) const {
        const bool ta = o.transpose_a != CUBLAS_OP_N, tb = o.transpose_b != CUBLAS_OP_N;
        const bool rounded = o.compute == CUBLAS_COMPUTE_32F_FAST_TF32;
        // Rows of op(A) and columns of op(B) one after the other.
        auto packed = [&](const T* from, const layout& l, bool along, std::uint64_t lines) {
            std::vector<double> all(lines * k());
            for (std::uint64_t i = 0; i < lines; ++i)
                for (std::uint64_t p = 0; p < k(); ++p) {
                    auto row = along ? p : i, column = along ? i : p;
                    T x = from[row + column * static_cast<std::uint64_t>(l.leading)];
                    all[i * k() + p] = static_cast<double>(rounded ? to_tensor_float32(x) : x);
                }
            return all;
        };
        for (std::int64_t batch = 0; batch < d.batch; ++batch) {
            const auto left = packed(pa + batch * a.batch_stride, a, ta, m());
            const auto right = packed(pb + batch * b.batch_stride, b, !tb, n());
            if (o.epilogue == CUBLASLT_EPILOGUE_BGRADA) sum_along_k<T>(left);
            if (o.epilogue == CUBLASLT_EPILOGUE_BGRADB) sum_along_k<T>(right);
            for (std::uint64_t j = 0; j < n(); ++j)
                for (std::uint64_t i = 0; i < m(); ++i) {
                    double sum = 0;
                    for (std::uint64_t p = 0; p < k(); ++p)
                        sum += left[i * k() + p] * right[j * k() + p];
                    sum *= alpha;
                    auto at = [&](const layout& l) {
                        return static_cast<std::int64_t>(i) +
                               static_cast<std::int64_t>(j) * l.leading + batch * l.batch_stride;
                    };
                    if (beta != 0) sum += beta * static_cast<double>(pc[at(c)]);
                    if (has_bias()) sum += static_cast<double>(static_cast<const T*>(o.bias)[i]);
                    pd[at(d)] = static_cast<T>(after(sum));
                }
        }
    }
    template <class T> void sum_along_k(const std::vector<double>& lines) const {
        auto* to = static_cast<T*>(const_cast<void*>(o.bias));
        for (std::size_t i = 0; i * k() < lines.size(); ++i) {
            double sum = 0;
            for (std::uint64_t p = 0; p < k(); ++p) sum += lines[i * k() + p];
            to[i] = static_cast<T>(sum);
        }
    }
    double after(double x) const {
        if (o.epilogue & CUBLASLT_EPILOGUE_RELU) return x < 0 ? 0 : x;
        if (o.epilogue & CUBLASLT_EPILOGUE_GELU)  // with tanh, as the library's
            return 0.5 * x * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
        return x;
    }
    /// 10 bits of mantissa, to nearest with ties to even.
    template <class T> static T to_tensor_float32(T x) {
        if (sizeof x != 4 || !std::isfinite(x)) return x;
        std::uint32_t bits = 0;
        std::memcpy(&bits, &x, 4);
        bits = (bits + 0xfff + (bits >> 13 & 1)) & ~std::uint32_t{0x1fff};
        std::memcpy(&x, &bits, 4);
        return x;
    }
};

inline problem problem_of(cublasLtMatmulDesc_t o, cublasLtMatrixLayout_t a,
                          cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c,
                          cublasLtMatrixLayout_t d) {
    return {of<operation>(o), of<layout>(a), of<layout>(b), of<layout>(c), of<layout>(d)};
}
inline std::string text_of(const problem& p) {
    return number(p.m()) + "x" + number(p.n()) + "x" + number(p.k()) +
           (p.d.batch > 1 ? ", batch " + number(p.d.batch) : "") + ", epilogue " +
           number(p.o.epilogue);
}
/// The alignments for which it was asked stand in an algorithm, behind this mark.
inline constexpr std::uint64_t mark = 0x6574636820676d6dull;

inline cublasStatus_t heuristic(cublasLtHandle_t h, cublasLtMatmulDesc_t o,
                                cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                cublasLtMatmulPreference_t pref, int wanted,
                                cublasLtMatmulHeuristicResult_t* results, int* count) {
    problem p = problem_of(o, a, b, c, d);
    call made("cublasLtMatmulAlgoGetHeuristic", text_of(p));
    *count = 0;
    if (made.code) return status_of(made);
    if (!h || wanted < 1) return CUBLAS_STATUS_INVALID_VALUE;
    if (auto status = p.check(); status != CUBLAS_STATUS_SUCCESS) return status;
    const auto& limits = of<preference>(pref);
    if (limits.workspace < now->options.workspace) return CUBLAS_STATUS_NOT_SUPPORTED;
    results[0] = {};
    results[0].algo.data[0] = mark;
    for (int i = 0; i < 4; ++i) results[0].algo.data[i + 1] = limits.alignments[i];
    results[0].workspaceSize = now->options.workspace;
    results[0].state = CUBLAS_STATUS_SUCCESS;
    *count = 1;
    return CUBLAS_STATUS_SUCCESS;
}

inline cublasStatus_t multiply(cublasLtHandle_t h, cublasLtMatmulDesc_t o, const void* alpha,
                               const void* pa, cublasLtMatrixLayout_t a, const void* pb,
                               cublasLtMatrixLayout_t b, const void* beta, const void* pc,
                               cublasLtMatrixLayout_t c, void* pd, cublasLtMatrixLayout_t d,
                               const cublasLtMatmulAlgo_t* algorithm, void* workspace,
                               std::size_t workspace_bytes, cudaStream_t handle) {
    problem p = problem_of(o, a, b, c, d);
    stream* s = now->stream_of(handle);
    call made("cublasLtMatmul", text_of(p) + ", " + name_of(pd) + " from " + name_of(pa) + " and " +
                                    name_of(pb) + ", " + name_of(s));
    if (made.code) return status_of(made);
    if (auto status = p.check(); status != CUBLAS_STATUS_SUCCESS) return status;
    auto refuse = [](const std::string& text) {
        now->problem("cublasLtMatmul: " + text);
        return CUBLAS_STATUS_INVALID_VALUE;
    };
    if (!h || !s || !alpha || !beta) return refuse("a handle or a factor is missing");
    if (!algorithm || algorithm->data[0] != mark)
        return refuse("not an algorithm of the heuristic");
    const bool single = p.d.type == CUDA_R_32F;
    auto factor = [&](const void* x) {
        return single ? static_cast<double>(*static_cast<const float*>(x))
                      : *static_cast<const double*>(x);
    };
    const double by = factor(alpha), and_by = factor(beta);
    if (and_by == 0) pc = pd;
    const void* addresses[]{pa, pb, pc, pd};
    for (int i = 0; i < 4; ++i)
        if (reinterpret_cast<std::uintptr_t>(addresses[i]) % algorithm->data[i + 1] != 0)
            return refuse("an address is not aligned as the heuristic was told");
    auto there = [=] {
        auto inside = [](const void* at, std::size_t bytes) {
            return driver::is_inside("cublasLtMatmul", reinterpret_cast<CUdeviceptr>(at), bytes);
        };
        return inside(pa, p.a.bytes()) && inside(pb, p.b.bytes()) && inside(pc, p.c.bytes()) &&
               inside(pd, p.d.bytes()) &&
               (p.vector_elements() == 0 || inside(p.o.bias, p.vector_elements() * p.d.element()));
    };
    const std::size_t needed = now->options.workspace;
    if (workspace_bytes < needed ||
        (needed > 0 &&
         !driver::is_inside("workspace", reinterpret_cast<CUdeviceptr>(workspace), needed)))
        return refuse("the workspace is smaller than the algorithm's");
    if (!there()) return CUBLAS_STATUS_INVALID_VALUE;
    CUresult r = now->work_queues.put(*s, [=] {
        if (!there()) return CUDA_ERROR_ILLEGAL_ADDRESS;
        // A real algorithm writes there.
        if (needed > 0) std::memset(workspace, 0xEE, needed);
        if (single)
            p.run(by, and_by, static_cast<const float*>(pa), static_cast<const float*>(pb),
                  static_cast<const float*>(pc), static_cast<float*>(pd));
        else
            p.run(by, and_by, static_cast<const double*>(pa), static_cast<const double*>(pb),
                  static_cast<const double*>(pc), static_cast<double*>(pd));
        return CUDA_SUCCESS;
    });
    return r == CUDA_SUCCESS ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

inline etch::cuda::cublaslt_table table() {
    etch::cuda::cublaslt_table t;
    t.cublasLtCreate = create;
    t.cublasLtDestroy = destroy;
    t.cublasLtGetVersion = version;
    t.cublasLtGetStatusName = status_name;
    t.cublasLtMatmul = multiply;
    t.cublasLtMatmulDescCreate = operation_create;
    t.cublasLtMatmulDescDestroy = operation_destroy;
    t.cublasLtMatmulDescSetAttribute = operation_set;
    t.cublasLtMatrixLayoutCreate = layout_create;
    t.cublasLtMatrixLayoutDestroy = layout_destroy;
    t.cublasLtMatrixLayoutSetAttribute = layout_set;
    t.cublasLtMatmulPreferenceCreate = preference_create;
    t.cublasLtMatmulPreferenceDestroy = preference_destroy;
    t.cublasLtMatmulPreferenceSetAttribute = preference_set;
    t.cublasLtMatmulAlgoGetHeuristic = heuristic;
    return t;
}

}  // namespace host_device::cublaslt
