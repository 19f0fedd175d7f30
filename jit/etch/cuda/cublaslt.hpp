// SPDX-License-Identifier: MIT
// cuBLASLt, opened on first use. Apart from the other libraries because its header costs the compiler a quarter of a second.
#pragma once
#include <etch/cuda/libraries.hpp>

#if __has_include(<cublasLt.h>) && __has_include(<cuda.h>) && __has_include(<nvrtc.h>)
#include <cublasLt.h>

namespace etch::cuda {

/// Whether etch was compiled where cuBLASLt's header is.
inline constexpr bool built_with_cublaslt = true;

#define ETCH_TEXT(name) #name
#define ETCH_MEMBER(name) decltype(&::name) name = nullptr;
#define ETCH_VISIT(name) visit(ETCH_TEXT(name), name);
#define ETCH_CUBLASLT(row)                                                                         \
    row(cublasLtCreate) row(cublasLtDestroy) row(cublasLtGetVersion) row(cublasLtGetStatusName)    \
        row(cublasLtMatmul) row(cublasLtMatmulDescCreate) row(cublasLtMatmulDescDestroy)           \
            row(cublasLtMatmulDescSetAttribute) row(cublasLtMatrixLayoutCreate)                    \
                row(cublasLtMatrixLayoutDestroy) row(cublasLtMatrixLayoutSetAttribute)             \
                    row(cublasLtMatmulPreferenceCreate) row(cublasLtMatmulPreferenceDestroy)       \
                        row(cublasLtMatmulPreferenceSetAttribute)                                  \
                            row(cublasLtMatmulAlgoGetHeuristic)

/// The functions of cuBLASLt, which multiplies matrices.
struct cublaslt_table {
    static constexpr library_row row{"cuBLASLt",
                                     "ETCH_CUBLASLT",
                                     {"libcublasLt.so.13", "libcublasLt.so.12"},
                                     12000,
                                     "install cuBLAS of the CUDA toolkit"};
    ETCH_CUBLASLT(ETCH_MEMBER)

    /// Calls visit(name, pointer) for each function.
    template <class F>
    void each(F visit){ETCH_CUBLASLT(ETCH_VISIT)}

    /// Returns what is wrong, or nothing.
    std::string version(int& number) const {
        // 10000 * major + 100 * minor + patch
        auto all = static_cast<int>(cublasLtGetVersion());
        number = all / 10000 * 1000 + all / 100 % 100 * 10;
        return "";
    }
};

#undef ETCH_CUBLASLT
#undef ETCH_VISIT
#undef ETCH_MEMBER
#undef ETCH_TEXT

/// cuBLASLt's functions; opens cuBLASLt on first use (see `library`).
inline const cublaslt_table& cublaslt() { return library<cublaslt_table>(); }

}  // namespace etch::cuda

#else

namespace etch::cuda {
inline constexpr bool built_with_cublaslt = false;
}

#endif
