// SPDX-License-Identifier: MIT
// What each launch of a program costs on the device: it stands in the tables of the driver and of cuBLASLt, and while it
// is on, each kernel, product and copy is put on the stream many times between two events. Kernels of the timed models
// may run again: they store the same, or, of optimizers, go on from what they stored.
#pragma once
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <etch/cuda/executor.hpp>

namespace bench::gpu {

class launch_clock {
public:
    struct launch {
        std::string name;
        double seconds = 0;
    };

    /// Before the first use of a device. Without cuBLASLt products cannot run, and all else can.
    static void install() {
        clock().driver_ = etch::cuda::driver();
        static etch::cuda::driver_table driver = etch::cuda::driver();
        driver.cuModuleGetFunction = [](CUfunction* f, CUmodule from, const char* name) {
            CUresult r = clock().driver_.cuModuleGetFunction(f, from, name);
            if (r == CUDA_SUCCESS) clock().names_[*f] = name;
            return r;
        };
        driver.cuLaunchKernel = [](CUfunction f, unsigned x, unsigned y, unsigned z, unsigned i,
                                   unsigned j, unsigned k, unsigned shared, CUstream stream,
                                   void** arguments, void** extra) {
            return clock().timed(clock().names_[f], stream, CUDA_SUCCESS, [&] {
                return clock().driver_.cuLaunchKernel(f, x, y, z, i, j, k, shared, stream,
                                                      arguments, extra);
            });
        };
        driver.cuMemcpyDtoDAsync = [](CUdeviceptr to, CUdeviceptr from, std::size_t bytes,
                                      CUstream stream) {
            return clock().timed("cuMemcpyDtoDAsync", stream, CUDA_SUCCESS, [&] {
                return clock().driver_.cuMemcpyDtoDAsync(to, from, bytes, stream);
            });
        };
        etch::cuda::replace(&driver);
        try {
            clock().products_ = etch::cuda::cublaslt();
        } catch (const etch::mistake&) {
            return;
        }
        static etch::cuda::cublaslt_table products = etch::cuda::cublaslt();
        products.cublasLtMatmul = [](cublasLtHandle_t handle, cublasLtMatmulDesc_t what,
                                     const void* alpha, const void* a, cublasLtMatrixLayout_t of_a,
                                     const void* b, cublasLtMatrixLayout_t of_b, const void* beta,
                                     const void* c, cublasLtMatrixLayout_t of_c, void* d,
                                     cublasLtMatrixLayout_t of_d, const cublasLtMatmulAlgo_t* how,
                                     void* workspace, std::size_t bytes, CUstream stream) {
            return clock().timed("cublasLtMatmul", stream, CUBLAS_STATUS_SUCCESS, [&] {
                return clock().products_.cublasLtMatmul(handle, what, alpha, a, of_a, b, of_b, beta,
                                                        c, of_c, d, of_d, how, workspace, bytes,
                                                        stream);
            });
        };
        etch::cuda::replace(&products);
    }

    /// Times what runs from now on, each launch for about so many seconds.
    static void start(double seconds) {
        clock().launches_.clear();
        clock().seconds_ = seconds;
        clock().on_ = true;
    }
    /// In the order in which they ran.
    static std::vector<launch> stop() {
        clock().on_ = false;
        return std::move(clock().launches_);
    }
    /// The median over samples of what `put` gives to the stream, in seconds; it has run before.
    template <class Put> static double seconds_of(CUstream stream, double seconds, Put put) {
        launch_clock& c = clock();
        const double once = std::max(c.between(stream, 1, put), 1e-7);
        const int calls = static_cast<int>(std::clamp(seconds / samples / once, 1.0, 1000.0));
        std::vector<double> all;
        for (int i = 0; i < samples; ++i) all.push_back(c.between(stream, calls, put));
        std::nth_element(all.begin(), all.begin() + samples / 2, all.end());
        return all[samples / 2];
    }

private:
    static constexpr int samples = 5;

    etch::cuda::driver_table driver_;
    etch::cuda::cublaslt_table products_;
    std::map<CUfunction, std::string> names_;
    std::vector<launch> launches_;
    double seconds_ = 0;
    bool on_ = false;
    CUevent begin_ = nullptr, end_ = nullptr;

    static launch_clock& clock() {
        static launch_clock only;
        return only;
    }

    template <class Result, class Put>
    Result timed(const std::string& name, CUstream stream, Result good, Put put) {
        const Result result = put();
        if (!on_ || result != good) return result;
        on_ = false;
        launches_.push_back({name, seconds_of(stream, seconds_, put)});
        on_ = true;
        return result;
    }
    /// Seconds of one of so many runs.
    template <class Put> double between(CUstream stream, int calls, Put put) {
        using etch::cuda::check;
        if (!begin_) {
            check(driver_.cuEventCreate(&begin_, CU_EVENT_DEFAULT), "cuEventCreate");
            check(driver_.cuEventCreate(&end_, CU_EVENT_DEFAULT), "cuEventCreate");
        }
        float milliseconds = 0;
        check(driver_.cuEventRecord(begin_, stream), "cuEventRecord");
        for (int i = 0; i < calls; ++i) put();
        check(driver_.cuEventRecord(end_, stream), "cuEventRecord");
        check(driver_.cuEventSynchronize(end_), "cuEventSynchronize");
        check(driver_.cuEventElapsedTime(&milliseconds, begin_, end_), "cuEventElapsedTime");
        return static_cast<double>(milliseconds) / 1000 / calls;
    }
};

}  // namespace bench::gpu
