// SPDX-License-Identifier: MIT
// Products of matrices on a device, by cuBLASLt. The library's matrices are column-major: C = A B in rows is the
// transposed of B' A' in columns, so the factors change places and nothing is copied.
#pragma once
#include <algorithm>
#include <compare>
#include <map>
#include <memory>
#include <mutex>

#include <etch/cuda/cublaslt.hpp>
#include <etch/cuda/device.hpp>
#include <etch/cuda/epilogue.hpp>

namespace etch::cuda {

/// How products are computed.
struct product_options {
    bool tensor_float32 =
        false;  // float32 factors rounded to 10 bits of mantissa, for tensor cores
};

/// Whose columns are summed along k while the product is made: those of b as it lies in memory, or of a, which is
/// transposed then. The library has no such sums of a factor that lies the other way.
enum class summed_factor : std::uint8_t { none, a, b };

/// What the choice of an algorithm depends on. C{m, n} = op(A){m, k} op(B){k, n} for each of the batch, row-major as in
/// matrix_product; C is contiguous. Strides are in elements, alignments in bytes.
struct product_shape {
    dtype element = dtype::float32;
    bool transpose_a = false, transpose_b = false;
    std::int64_t m = 0, n = 0, k = 0, lda = 0, ldb = 0, batch = 1, stride_a = 0, stride_b = 0;
    int align_a = 256, align_b = 256, align_c = 256, align_bias = 256;
    activation after = activation::none;
    bool bias = false;
    summed_factor sums = summed_factor::none;  // neither with an activation nor with a bias
    product_options options{};

    /// A batch whose matrices A follow each other, times one B, is one product of more rows.
    void join_batch() {
        if (batch == 1 || stride_b != 0 || transpose_a || stride_a != m * lda || k == 0) return;
        m *= batch;
        batch = 1;
        stride_a = 0;
    }
    bool empty() const { return m <= 0 || n <= 0 || batch <= 0; }
};

/// The largest power of two that divides an address or a number of bytes, at most 256.
inline int alignment_of(std::uint64_t bytes) {
    return static_cast<int>((bytes | 256) & (~(bytes | 256) + 1));
}

#if __has_include(<cublasLt.h>) && __has_include(<cuda.h>) && __has_include(<nvrtc.h>)

/// Throws device_error where a call of cuBLASLt, named by `what`, did not succeed.
inline void check(cublasStatus_t status, const char* what) {
    if (status == CUBLAS_STATUS_SUCCESS) return;
    const char* name = cublaslt().cublasLtGetStatusName(status);
    throw device_error(CUDA_ERROR_UNKNOWN, "cuBLASLt: " + std::string(what) + " failed with " +
                                               (name ? name : "status") + " (" +
                                               std::to_string(static_cast<int>(status)) + ')');
}

namespace detail {
inline auto key_of(const product_shape& s) {
    return std::array<std::int64_t, 17>{static_cast<std::int64_t>(s.element),
                                        s.transpose_a,
                                        s.transpose_b,
                                        s.m,
                                        s.n,
                                        s.k,
                                        s.lda,
                                        s.ldb,
                                        s.batch,
                                        s.stride_a,
                                        s.stride_b,
                                        s.align_a,
                                        s.align_b,
                                        s.align_c,
                                        s.align_bias,
                                        static_cast<std::int64_t>(s.sums) * 8 +
                                            static_cast<std::int64_t>(s.after) * 2 + s.bias,
                                        s.options.tensor_float32};
}
/// A descriptor of the library that goes with its owner.
template <class T> class descriptor {
public:
    using release = cublasStatus_t (*)(T);
    descriptor(T made, release how) : made_(made), release_(how) {}
    descriptor(descriptor&& other) noexcept
        : made_(std::exchange(other.made_, nullptr)), release_(other.release_) {}
    descriptor& operator=(descriptor&& other) noexcept {
        std::swap(made_, other.made_);
        std::swap(release_, other.release_);
        return *this;
    }
    ~descriptor() {
        if (made_) release_(made_);
    }
    T get() const { return made_; }

private:
    T made_ = nullptr;
    release release_ = nullptr;
};
}  // namespace detail

/// The library on one device, and the algorithms that it chose; shared by all executors of the device, from any thread.
class product_library {
public:
    static std::shared_ptr<product_library> of(const device& where) {
        static std::mutex guard;
        static std::map<CUcontext, std::weak_ptr<product_library>> known;
        std::lock_guard lock(guard);
        auto& kept = known[where.context()];
        auto shared = kept.lock();
        if (!shared || &shared->api != &cublaslt())
            kept = shared = std::make_shared<product_library>(where);
        return shared;
    }
    explicit product_library(const device& where) : api(cublaslt()), device_(where) {
        current_device now(where);
        check(api.cublasLtCreate(&handle_), "cublasLtCreate");
    }
    ~product_library() {
        try {
            current_device now(device_);
            api.cublasLtDestroy(handle_);
        } catch (const device_error&) {}
    }
    product_library(const product_library&) = delete;
    product_library& operator=(const product_library&) = delete;

    const cublaslt_table& api;
    cublasLtHandle_t handle() const { return handle_; }
    /// Of the memory that algorithms may use while they run; what the library asks for on the device's kind.
    std::int64_t workspace_bytes() const {
        return std::int64_t{device_.limits().architecture >= 90 ? 32 : 4} << 20;
    }
    /// The algorithm of a shape, asked for with `ask` when it is first met; nothing where there is none.
    template <class F>
    std::optional<cublasLtMatmulAlgo_t> algorithm(const product_shape& shape, F ask) {
        std::lock_guard lock(guard_);
        const auto key = detail::key_of(shape);
        auto at = algorithms_.find(key);
        if (at == algorithms_.end()) at = algorithms_.emplace(key, ask()).first;
        return at->second;
    }

private:
    device device_;
    cublasLtHandle_t handle_ = nullptr;
    std::mutex guard_;
    std::map<std::array<std::int64_t, 17>, std::optional<cublasLtMatmulAlgo_t>> algorithms_;
};

/// One product, ready to run: its descriptors and its algorithm.
class product {
public:
    /// `vector` is the address of the bias' n elements, or of where the sums of columns go: n of b's, m of a's.
    product(std::shared_ptr<product_library> library, const product_shape& shape,
            std::uint64_t vector = 0)
        : library_(std::move(library)),
          api_(library_->api),
          single_(shape.element == dtype::float32),
          operation_(make_operation(shape, vector)),
          // The library's A is our B: n rows in columns of ldb, or k where B is transposed.
          first_(make_layout(shape.transpose_b ? shape.k : shape.n,
                             shape.transpose_b ? shape.n : shape.k, shape.ldb, shape.batch,
                             shape.stride_b)),
          second_(make_layout(shape.transpose_a ? shape.m : shape.k,
                              shape.transpose_a ? shape.k : shape.m, shape.lda, shape.batch,
                              shape.stride_a)),
          result_(make_layout(shape.n, shape.m, shape.n, shape.batch, shape.m * shape.n)) {
        auto found = library_->algorithm(shape, [&] { return ask(shape); });
        if (found) algorithm_ = *found;
        found_ = found.has_value();
    }
    /// Whether the library has an algorithm, and run() may be called.
    bool found() const { return found_; }
    /// Puts the product on the stream. Addresses are those of the first elements.
    void run(CUstream stream, std::uint64_t a, std::uint64_t b, std::uint64_t c,
             std::uint64_t workspace) const {
        static constexpr float one = 1, zero = 0;
        static constexpr double one_twice = 1, zero_twice = 0;
        const void* alpha = single_ ? static_cast<const void*>(&one) : &one_twice;
        const void* beta = single_ ? static_cast<const void*>(&zero) : &zero_twice;
        check(api_.cublasLtMatmul(library_->handle(), operation_.get(), alpha, pointer(b),
                                  first_.get(), pointer(a), second_.get(), beta, pointer(c),
                                  result_.get(), pointer(c), result_.get(), &algorithm_,
                                  pointer(workspace),
                                  static_cast<std::size_t>(library_->workspace_bytes()), stream),
              "cublasLtMatmul");
    }

private:
    using operation_descriptor = detail::descriptor<cublasLtMatmulDesc_t>;
    using layout_descriptor = detail::descriptor<cublasLtMatrixLayout_t>;

    std::shared_ptr<product_library> library_;
    const cublaslt_table& api_;
    bool single_, found_ = false;
    operation_descriptor operation_;
    layout_descriptor first_, second_, result_;
    cublasLtMatmulAlgo_t algorithm_{};

    static cublasLtEpilogue_t epilogue_of(const product_shape& s) {
        switch (s.sums) {  // the library's A is our b
        case summed_factor::a: return CUBLASLT_EPILOGUE_BGRADB;
        case summed_factor::b: return CUBLASLT_EPILOGUE_BGRADA;
        case summed_factor::none: break;
        }
        switch (s.after) {
        case activation::relu: return s.bias ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_RELU;
        case activation::gelu: return s.bias ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_GELU;
        case activation::none: break;
        }
        return s.bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
    }
    static void* pointer(std::uint64_t address) { return reinterpret_cast<void*>(address); }

    operation_descriptor make_operation(const product_shape& s, std::uint64_t vector) const {
        const auto compute = !single_                   ? CUBLAS_COMPUTE_64F
                             : s.options.tensor_float32 ? CUBLAS_COMPUTE_32F_FAST_TF32
                                                        : CUBLAS_COMPUTE_32F;
        cublasLtMatmulDesc_t made = nullptr;
        check(api_.cublasLtMatmulDescCreate(&made, compute, single_ ? CUDA_R_32F : CUDA_R_64F),
              "cublasLtMatmulDescCreate");
        operation_descriptor operation(made, api_.cublasLtMatmulDescDestroy);
        auto set = [&](cublasLtMatmulDescAttributes_t which, auto value) {
            check(api_.cublasLtMatmulDescSetAttribute(made, which, &value, sizeof value),
                  "cublasLtMatmulDescSetAttribute");
        };
        const cublasOperation_t as_it_is = CUBLAS_OP_N, transposed = CUBLAS_OP_T;
        set(CUBLASLT_MATMUL_DESC_TRANSA, s.transpose_b ? transposed : as_it_is);
        set(CUBLASLT_MATMUL_DESC_TRANSB, s.transpose_a ? transposed : as_it_is);
        if (epilogue_of(s) == CUBLASLT_EPILOGUE_DEFAULT) return operation;
        set(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue_of(s));
        // Heuristics look at its alignment, so it must be known before they are asked.
        if (s.bias || s.sums != summed_factor::none)
            set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, pointer(vector));
        return operation;
    }
    layout_descriptor make_layout(std::int64_t rows, std::int64_t columns, std::int64_t leading,
                                  std::int64_t batch, std::int64_t stride) const {
        cublasLtMatrixLayout_t made = nullptr;
        // Where there is but one column nobody steps by the leading dimension, which may be anything then.
        check(api_.cublasLtMatrixLayoutCreate(&made, single_ ? CUDA_R_32F : CUDA_R_64F,
                                              static_cast<std::uint64_t>(rows),
                                              static_cast<std::uint64_t>(columns),
                                              columns <= 1 ? std::max(leading, rows) : leading),
              "cublasLtMatrixLayoutCreate");
        layout_descriptor layout(made, api_.cublasLtMatrixLayoutDestroy);
        if (batch == 1) return layout;
        const auto count = static_cast<std::int32_t>(batch);
        check(api_.cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT,
                                                    &count, sizeof count),
              "cublasLtMatrixLayoutSetAttribute");
        check(api_.cublasLtMatrixLayoutSetAttribute(
                  made, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride, sizeof stride),
              "cublasLtMatrixLayoutSetAttribute");
        return layout;
    }
    std::optional<cublasLtMatmulAlgo_t> ask(const product_shape& s) const {
        cublasLtMatmulPreference_t made = nullptr;
        check(api_.cublasLtMatmulPreferenceCreate(&made), "cublasLtMatmulPreferenceCreate");
        detail::descriptor<cublasLtMatmulPreference_t> preference(
            made, api_.cublasLtMatmulPreferenceDestroy);
        auto set = [&](cublasLtMatmulPreferenceAttributes_t which, auto value) {
            check(api_.cublasLtMatmulPreferenceSetAttribute(made, which, &value, sizeof value),
                  "cublasLtMatmulPreferenceSetAttribute");
        };
        const auto most = static_cast<std::uint64_t>(library_->workspace_bytes());
        set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, most);
        set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, static_cast<std::uint32_t>(s.align_b));
        set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, static_cast<std::uint32_t>(s.align_a));
        set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, static_cast<std::uint32_t>(s.align_c));
        set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, static_cast<std::uint32_t>(s.align_c));
        cublasLtMatmulHeuristicResult_t results[4]{};
        int count = 0;
        cublasStatus_t status = api_.cublasLtMatmulAlgoGetHeuristic(
            library_->handle(), operation_.get(), first_.get(), second_.get(), result_.get(),
            result_.get(), made, 4, results, &count);
        // Epilogues that a dtype does not have are refused here in one of these ways.
        if (status == CUBLAS_STATUS_NOT_SUPPORTED || status == CUBLAS_STATUS_INVALID_VALUE)
            return std::nullopt;
        check(status, "cublasLtMatmulAlgoGetHeuristic");
        for (int i = 0; i < count; ++i)
            if (results[i].state == CUBLAS_STATUS_SUCCESS && results[i].workspaceSize <= most)
                return results[i].algo;
        return std::nullopt;
    }
};

#elif __has_include(<cuda.h>) && __has_include(<nvrtc.h>)

/// Products where the header of cuBLASLt was not there when etch was compiled.
class product_library {
public:
    static std::shared_ptr<product_library> of(const device&) {
        throw mistake(
            "cuBLASLt: etch was compiled without cublasLt.h, which products of matrices on a "
            "device need; "
            "please install cuBLAS's headers and compile with their folder on the include path");
    }
    std::int64_t workspace_bytes() const { return 0; }
};
class product {
public:
    product(std::shared_ptr<product_library>, const product_shape&, std::uint64_t = 0) {}
    bool found() const { return false; }
    void run(CUstream, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t) const {}
};

#endif

}  // namespace etch::cuda
