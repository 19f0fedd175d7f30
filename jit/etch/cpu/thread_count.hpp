// SPDX-License-Identifier: MIT
// How many threads run a step.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <thread>

namespace etch {

namespace cpu::detail {
inline int threads_at_start() {
    if (const char* wanted = std::getenv("ETCH_THREADS"))
        if (int n = std::atoi(wanted); n > 0) return n;
    return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}
inline std::atomic<int>& thread_count() {
    static std::atomic<int> n = threads_at_start();
    return n;
}
}  // namespace cpu::detail

/// How many threads a step uses, the calling one included: ETCH_THREADS in the environment, else one per processor.
inline int threads() { return cpu::detail::thread_count().load(std::memory_order_relaxed); }
/// Sets it, for the whole process.
inline void threads(int n) {
    cpu::detail::thread_count().store(std::max(1, n), std::memory_order_relaxed);
}

}  // namespace etch
