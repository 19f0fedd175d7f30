// SPDX-License-Identifier: MIT
// Where ETCH_GPU_BENCH_FAKE is defined, a device that is not there (tests/cuda/host_device.hpp): what is measured then is
// worth nothing, and shows that everything runs.
#pragma once
#ifdef ETCH_GPU_BENCH_FAKE
#include "cuda/host_device.hpp"
#endif

namespace bench::gpu {

#ifdef ETCH_GPU_BENCH_FAKE
struct device_under_test {
    host_device::device on_host{{.processors = 2}};
    /// What the device found wrong in the use of it; empty where nothing is.
    std::string verdict() const {
        std::string all;
        for (const std::string& p : on_host.problems()) all += p + '\n';
        return all;
    }
};
inline constexpr bool is_fake = true;
#else
struct device_under_test {
    std::string verdict() const { return ""; }
};
inline constexpr bool is_fake = false;
#endif

}  // namespace bench::gpu
