// SPDX-License-Identifier: MIT
// parallel: every task once, nested and concurrent calls, exceptions, changes of the number of threads.
// also: clang sanitize races
#include "catch.hpp"

#include <stdexcept>

#include <etch/cpu/threads.hpp>

using etch::cpu::parallel;

TEST_CASE("the number of threads is at least one and can be set") {
    int before = etch::threads();
    CHECK(before >= 1);
    etch::threads(3);
    CHECK(etch::threads() == 3);
    etch::threads(0);
    CHECK(etch::threads() == 1);
    etch::threads(before);
}

TEST_CASE("each task runs once, whatever the number of threads") {
    for (int count : {1, 2, 4, 7, 2}) {
        etch::threads(count);
        for (int tasks : {0, 1, 2, 3, 17, 1000}) {
            for (int repeat = 0; repeat < 50; ++repeat) {
                std::vector<int> done(static_cast<std::size_t>(tasks) + 1, 0);
                parallel(tasks, [&](int t) { ++done[static_cast<std::size_t>(t)]; });
                bool once = true;
                for (int t = 0; t < tasks; ++t)
                    once = once && done[static_cast<std::size_t>(t)] == 1;
                CHECK(once);
                CHECK(done.back() == 0);
            }
        }
    }
}

TEST_CASE("what tasks wrote is seen after the call, and by the next call") {
    etch::threads(3);
    std::vector<int> v(64, 0);
    for (int repeat = 0; repeat < 2000; ++repeat)
        parallel(64, [&](int t) { v[static_cast<std::size_t>(t)] += 1; });
    for (int x : v) CHECK(x == 2000);
}

TEST_CASE("workers that went to sleep come back") {
    etch::threads(4);
    for (int repeat = 0; repeat < 20; ++repeat) {
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        std::atomic<int> n{0};
        parallel(100, [&](int) { ++n; });
        CHECK(n == 100);
    }
}

TEST_CASE("a call from inside of a task runs there") {
    etch::threads(4);
    std::atomic<int> n{0};
    parallel(8, [&](int) {
        auto here = std::this_thread::get_id();
        parallel(8, [&](int) {
            if (std::this_thread::get_id() == here) ++n;
        });
    });
    CHECK(n == 64);
}

TEST_CASE("calls from several threads at once all finish") {
    etch::threads(3);
    std::atomic<int> n{0};
    std::vector<std::thread> callers;
    for (int c = 0; c < 4; ++c)
        callers.emplace_back([&] {
            for (int repeat = 0; repeat < 200; ++repeat) parallel(10, [&](int) { ++n; });
        });
    for (auto& c : callers) c.join();
    CHECK(n == 8000);
}

TEST_CASE("an exception of a task is thrown by the call, and the next call works") {
    for (int count : {1, 4}) {
        etch::threads(count);
        for (int repeat = 0; repeat < 50; ++repeat) {
            CHECK_THROWS_WITH(parallel(100,
                                       [](int t) {
                                           if (t % 7 == 3) throw std::runtime_error("task failed");
                                       }),
                              "task failed");
            std::atomic<int> n{0};
            parallel(10, [&](int) { ++n; });
            CHECK(n == 10);
        }
    }
}

TEST_CASE("a function object that may not be copied is called in place") {
    struct body {
        std::atomic<int> n{0};
        body() = default;
        body(const body&) = delete;
        void operator()(int) { ++n; }
    } b;
    etch::threads(2);
    parallel(5, b);
    CHECK(b.n == 5);
}
