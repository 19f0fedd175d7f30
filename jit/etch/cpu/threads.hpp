// SPDX-License-Identifier: MIT
// Threads for the loops of a step. `parallel` cuts no work itself: whoever calls it has cut by the extents alone, so that
// results do not depend on how many threads there are, nor on which of them takes a task.
#pragma once
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <etch/cpu/thread_count.hpp>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace etch::cpu {

namespace detail {
inline void relax() {
#if defined(__SSE2__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

/// Workers that live as long as the process. One job runs at a time; its description may be read by a worker only while
/// the worker is counted in `inside` and has seen `open` after counting itself. The caller closes the job and waits until
/// nobody is inside: then nobody reads the description any more, and the next job may be written over it.
class pool {
public:
    static pool& instance() {
        static pool p;
        return p;
    }
    /// False where a job runs already, perhaps the one that asks.
    bool acquire() { return !busy_.exchange(true, std::memory_order_acquire); }
    void release() { busy_.store(false, std::memory_order_release); }

    void run(int tasks, int thread_limit, void (*call)(void*, int), void* context) {
        int helpers = std::min(tasks, thread_limit) - 1;
        if (static_cast<int>(workers_.size()) < helpers) {
            shares_ = std::make_unique<share[]>(static_cast<std::size_t>(helpers) + 1);
            while (static_cast<int>(workers_.size()) < helpers) {
                int index = static_cast<int>(workers_.size());
                workers_.emplace_back([this, index] { work(index); });
            }
        }
        call_ = call;
        context_ = context;
        helpers_ = helpers;
        error_ = nullptr;
        failed_.store(false, std::memory_order_relaxed);
        for (std::int64_t i = 0, end = 0, all = helpers + 1; i < all; ++i) {
            share& s = shares_[static_cast<std::size_t>(i)];
            s.next.store(static_cast<int>(end), std::memory_order_relaxed);
            s.end = static_cast<int>(end = tasks * (i + 1) / all);
        }
        open_.store(true);
        started_.fetch_add(1);
        started_.notify_all();
        take_tasks(0);
        open_.store(false);
        for (int spins = 0; inside_.load() != 0; ++spins) {
            if (spins < 4096)
                relax();
            else
                std::this_thread::yield();
        }
        if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
    }

private:
    pool() = default;
    ~pool() {
        stop_.store(true);
        started_.fetch_add(1);
        started_.notify_all();
        for (std::thread& t : workers_) {
            if (t.get_id() == std::this_thread::get_id())
                t.detach();  // a task called exit
            else
                t.join();
        }
    }
    /// Those of the thread's own share first: neighbouring tasks, and those that had the same numbers in the job before,
    /// work on memory that is in the thread's caches. Then what other threads have left of theirs.
    void take_tasks(int thread) {
        for (int k = 0, all = helpers_ + 1; k < all; ++k) {
            share& s = shares_[static_cast<std::size_t>((thread + k) % all)];
            while (!failed_.load(std::memory_order_relaxed)) {
                int task = s.next.fetch_add(1, std::memory_order_relaxed);
                if (task >= s.end) break;
                try {
                    call_(context_, task);
                } catch (...) {
                    if (!failed_.exchange(true)) error_ = std::current_exception();
                }
            }
        }
    }
    void work(int index) {
        std::uint32_t seen = 0;
        for (;;) {
            std::uint32_t now = wait_for_start(seen);
            if (stop_.load()) return;
            seen = now;
            inside_.fetch_add(1);
            if (open_.load() && index < helpers_) take_tasks(index + 1);
            inside_.fetch_sub(1);
        }
    }
    /// A training step starts many jobs in a row: look for the next one for a while before going to sleep.
    std::uint32_t wait_for_start(std::uint32_t seen) {
        auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(50);
        do {
            for (int i = 0; i < 64; ++i) {
                if (std::uint32_t now = started_.load(); now != seen) return now;
                relax();
            }
        } while (std::chrono::steady_clock::now() < until);
        started_.wait(seen);
        return started_.load();
    }

    struct alignas(64) share {
        std::atomic<int> next{0};
        int end = 0;
    };
    std::vector<std::thread> workers_;
    std::unique_ptr<share[]> shares_;  // of the job's tasks, one for each thread
    std::atomic<bool> busy_{false}, stop_{false};
    alignas(64) std::atomic<std::uint32_t> started_{0};
    std::atomic<bool> open_{false};
    alignas(64) std::atomic<int> inside_{0};
    alignas(64) std::atomic<bool> failed_{false};
    std::exception_ptr error_;
    void (*call_)(void*, int) = nullptr;
    void* context_ = nullptr;
    int helpers_ = 0;
};
}  // namespace detail

/// f(task) for every task in [0, tasks), on up to threads() threads of which the calling one is the first. A call from
/// inside of a task, and one while another thread's call runs, is done by the calling thread alone. The first exception
/// is thrown here after all threads have stopped; tasks that were not begun are left out.
template <class F> void parallel(int tasks, F&& f) {
    int limit = threads();
    if (tasks > 1 && limit > 1) {
        detail::pool& p = detail::pool::instance();
        if (p.acquire()) {
            struct guard {
                detail::pool& held;
                ~guard() { held.release(); }
            } release{p};
            using body = std::remove_reference_t<F>;
            auto call = [](void* context, int task) { (*static_cast<body*>(context))(task); };
            p.run(tasks, limit, call,
                  const_cast<void*>(static_cast<const void*>(std::addressof(f))));
            return;
        }
    }
    for (int task = 0; task < tasks; ++task) f(task);
}

}  // namespace etch::cpu
