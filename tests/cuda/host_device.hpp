// SPDX-License-Identifier: MIT
// CUDA devices that are not there: while a `host_device::device` lives, the tables of etch's CUDA
// libraries hold functions that do on the host what the real ones do on a device, so that all of
// the CUDA back end runs where there is no GPU. They answer with the driver's codes, refuse what it
// refuses, keep a list of calls, and tell of memory that was not given back.
//
//     host_device::device gpu({.processors = 4, .seed = 7});
//     gpu.fail("cuLaunchKernel", CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, 3);  // the third one from now
//     ...
//     CHECK(gpu.calls() == std::vector<std::string>{...});
//     CHECK(gpu.verdict() == "");  // when all that used the device has gone
//
// Kernels run as tests/cuda/shim.hpp says: their texts are compiled when a function of their module
// is asked for, or all together by register_texts. One device lives at a time.
#pragma once
#include "cuda/host_nvrtc.hpp"
#if __has_include(<cublasLt.h>)
#include "cuda/host_cublaslt.hpp"
#endif

namespace host_device {

class device {
public:
    explicit device(const settings& options = {}) : machine_(options) {
        static const etch::cuda::driver_table of_driver = driver::table();
        static const etch::cuda::nvrtc_table of_nvrtc = nvrtc::table();
        if (now) throw std::logic_error("two host devices at once");
        // Its code is of no use to others. A test of the cache sets the variable itself.
        setenv("ETCH_CACHE", "0", 0);
        machine::current() = nullptr;
        now = &machine_;
        etch::cuda::replace(&of_driver);
        etch::cuda::replace(&of_nvrtc);
#if __has_include(<cublasLt.h>)
        static const etch::cuda::cublaslt_table of_cublaslt = cublaslt::table();
        etch::cuda::replace(&of_cublaslt);
#endif
    }
    ~device() {
        etch::cuda::replace<etch::cuda::driver_table>(nullptr);
        etch::cuda::replace<etch::cuda::nvrtc_table>(nullptr);
#if __has_include(<cublasLt.h>)
        etch::cuda::replace<etch::cuda::cublaslt_table>(nullptr);
#endif
        now = nullptr;
    }
    device(const device&) = delete;
    device& operator=(const device&) = delete;

    /// What may be changed while it runs: the seed, refused epilogues and the workspace.
    settings& options() { return machine_.options; }

    /// Compiles texts as few files, for which single ones would cost a second each. Throws what the
    /// compiler says.
    void register_texts(const std::vector<std::string>& all) {
        texts().add(all, machine_.options.build);
    }

    // ---- what happened --------------------------------------------------------------------------
    /// The calls since the last clear_calls(), one line each: the name, then what is essential of
    /// the arguments. Memory, streams and events have numbers: lines are the same in every run.
    const std::vector<std::string>& calls() const { return machine_.calls; }
    void clear_calls() { machine_.calls.clear(); }
    /// The calls of one function, or of those that begin like this: "cuLaunchKernel", "cuMem".
    std::vector<std::string> calls(std::string_view begin) const {
        std::vector<std::string> some;
        for (const std::string& line : machine_.calls)
            if (line.starts_with(begin)) some.push_back(line);
        return some;
    }
    /// What a GPU would have answered with a fault or a hang or not at all, in sentences.
    const std::vector<std::string>& problems() const { return machine_.problems; }
    /// What was not given back, one line each.
    std::string leaks() const { return machine_.leaks(); }
    /// Problems and leaks; empty where all is well.
    std::string verdict() const {
        std::string all;
        for (const std::string& p : machine_.problems) all += p + '\n';
        std::string text = machine_.memory.overwritten();
        return all + (text.empty() ? "" : text + '\n') + leaks();
    }
    std::size_t used_bytes(int index = 0) const { return machine_.memory.used(index); }

    // ---- errors ---------------------------------------------------------------------------------
    /// The n-th call of the function from now on answers this code and does nothing; the name
    /// "kernel" stands for the n-th kernel that runs: a fault, which the calls after it report.
    void fail(const std::string& name, int code, int n = 1) {
        machine_.failures.push_back({name, code, n});
    }

private:
    machine machine_;
};

}  // namespace host_device
