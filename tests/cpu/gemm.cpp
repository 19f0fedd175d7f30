// SPDX-License-Identifier: MIT
// Products of matrices: values, all transpositions, the same bits for any number of threads, blocks, no allocation.
// also: clang sanitize
#include "catch.hpp"

#include <cmath>
#include <cstdlib>
#include <mutex>
#include <vector>

#include <etch/cpu/gemm.hpp>

namespace {
std::atomic<long> allocations{0};
}
// Every allocation of the program, counted: a product in steady state must make none.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
void* operator new(std::size_t n) {
    ++allocations;
    if (void* p = std::malloc(n)) return p;
    throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void* operator new(std::size_t n, std::align_val_t a) {
    ++allocations;
    auto step = static_cast<std::size_t>(a);
    if (void* p = std::aligned_alloc(step, (n + step - 1) / step * step)) return p;
    throw std::bad_alloc();
}
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
#endif

namespace {

using etch::cpu::gemm;
using etch::cpu::gemm_call;

struct shape {
    std::int64_t m, n, k;
};
// {32, 10, 256}: logits; {784, 256, 32} and {256, 10, 32} with A transposed: gradients of weights.
const shape shapes[] = {
    {1, 1, 1},     {2, 3, 4},      {32, 256, 784},  {784, 256, 32}, {256, 10, 32}, {32, 10, 256},
    {1, 300, 70},  {300, 1, 70},   {1, 1, 1000},    {130, 97, 301}, {49, 47, 5},   {5, 1000, 3},
    {1000, 5, 17}, {193, 385, 64}, {1100, 70, 130}, {70, 1000, 40}, {48, 48, 48},  {6, 0, 3},
    {0, 6, 3},     {5, 70, 0},     {1, 9, 0},       {257, 129, 1}};

template <class T> struct problem {
    gemm_call<T> call{};
    std::vector<T> a, b, c;
    problem(shape s, bool ta, bool tb, std::int64_t gap) {
        call.m = s.m, call.n = s.n, call.k = s.k;
        call.transpose_a = ta, call.transpose_b = tb;
        call.lda = (ta ? s.m : s.k) + gap, call.ldb = (tb ? s.k : s.n) + gap, call.ldc = s.n + gap;
        auto fill = [seed = 1u](std::vector<T>& v, std::int64_t n) mutable {
            v.resize(static_cast<std::size_t>(n));
            for (T& x : v) {
                seed = seed * 1664525u + 1013904223u;
                x = static_cast<T>(static_cast<int>(seed >> 12) % 1000) / T(700) - T(0.7);
            }
        };
        fill(a, (ta ? s.k : s.m) * call.lda);
        fill(b, (tb ? s.n : s.k) * call.ldb);
        c.assign(static_cast<std::size_t>(s.m * call.ldc), T(99));
        call.a = a.data(), call.b = b.data(), call.c = c.data();
    }
    long double element(std::int64_t i, std::int64_t j, long double& size) const {
        long double sum = 0;
        size = 0;
        for (std::int64_t l = 0; l < call.k; ++l) {
            long double p = static_cast<long double>(a[static_cast<std::size_t>(
                                call.transpose_a ? l * call.lda + i : i * call.lda + l)]) *
                            static_cast<long double>(b[static_cast<std::size_t>(
                                call.transpose_b ? j * call.ldb + l : l * call.ldb + j)]);
            sum += p;
            size += std::abs(p);
        }
        return sum;
    }
};
}  // namespace

TEMPLATE_TEST_CASE("the product is the product", "", float, double) {
    using T = TestType;
    etch::threads(2);
    for (shape s : shapes)
        for (int t = 0; t < 8; ++t) {
            problem<T> p(s, t & 1, t & 2, t & 4 ? 3 : 0);
            gemm(p.call);
            bool right = true, outside = true;
            std::int64_t step_i = std::max<std::int64_t>(1, s.m / 37),
                         step_j = std::max<std::int64_t>(1, s.n / 41);
            for (std::int64_t i = 0; i < s.m; ++i)
                for (std::int64_t j = 0; j < p.call.ldc; ++j) {
                    T got = p.c[static_cast<std::size_t>(i * p.call.ldc + j)];
                    if (j >= s.n)
                        outside = outside && got == T(99);
                    else if (s.k == 0)
                        right = right && got == T(0);
                    else if (i % step_i == 0 && j % step_j == 0) {
                        long double size, want = p.element(i, j, size);
                        long double bound = size * std::numeric_limits<T>::epsilon() *
                                            (4 + std::sqrt(static_cast<long double>(s.k)));
                        right = right && std::abs(static_cast<long double>(got) - want) <= bound;
                    }
                }
            INFO(s.m << " x " << s.k << " by " << s.k << " x " << s.n
                     << ", transpositions and gaps " << t);
            CHECK(right);
            CHECK(outside);
        }
}

TEMPLATE_TEST_CASE("the bits do not depend on the number of threads", "", float, double) {
    using T = TestType;
    for (shape s : shapes)
        for (int t = 0; t < 4; ++t) {
            problem<T> p(s, t & 1, t & 2, 0);
            etch::threads(1);
            gemm(p.call);
            auto first = p.c;
            for (int count : {2, 3, 7}) {
                etch::threads(count);
                std::fill(p.c.begin(), p.c.end(), T(-1));
                gemm(p.call);
                CHECK((first.empty() ||
                       std::memcmp(first.data(), p.c.data(), first.size() * sizeof(T)) == 0));
            }
        }
}

TEST_CASE("what follows a product sees each block once, finished") {
    for (int count : {1, 3}) {
        etch::threads(count);
        for (shape s : shapes) {
            problem<float> p(s, false, false, 1), q(s, false, false, 1);
            gemm(q.call);
            std::vector<int> seen(p.c.size(), 0);
            std::vector<std::int64_t> cuts;
            std::mutex guard;
            gemm(p.call, [&](std::int64_t i0, std::int64_t i1, std::int64_t j0, std::int64_t j1) {
                std::lock_guard lock(guard);
                cuts.push_back(j0);
                for (auto i = i0; i < i1; ++i)
                    for (auto j = j0; j < j1; ++j) {
                        auto at = static_cast<std::size_t>(i * p.call.ldc + j);
                        ++seen[at];
                        p.c[at] = std::max(p.c[at] - 1.f, 0.f);
                    }
            });
            bool once = true, value = true, grain = true;
            for (std::int64_t i = 0; i < s.m; ++i)
                for (std::int64_t j = 0; j < s.n; ++j) {
                    auto at = static_cast<std::size_t>(i * p.call.ldc + j);
                    once = once && seen[at] == 1;
                    value = value && p.c[at] == std::max(q.c[at] - 1.f, 0.f);
                }
            for (auto c : cuts) grain = grain && c % 48 == 0;
            CHECK(once);
            CHECK(value);
            CHECK(grain);
        }
    }
}

TEST_CASE("a product allocates nothing once it was done before") {
    for (int count : {1, 3}) {
        etch::threads(count);
        problem<float> p({300, 200, 400}, true, false, 0);
        gemm(p.call);
        long before = allocations;
        for (int repeat = 0; repeat < 20; ++repeat) gemm(p.call);
        CHECK(allocations == before);
    }
}

TEST_CASE("an exception in what follows a product reaches the caller") {
    etch::threads(3);
    problem<float> p({600, 500, 64}, false, false, 0);
    CHECK_THROWS_AS(
        gemm(p.call, [](std::int64_t, std::int64_t, std::int64_t, std::int64_t) { throw 1; }), int);
    gemm(p.call);
}
