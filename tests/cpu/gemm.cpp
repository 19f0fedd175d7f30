// SPDX-License-Identifier: MIT
// Products of matrices: values, all transpositions and forms, edges of tiles, order of the sums, the same bits for any
// number of threads, blocks, nothing read or written outside, no allocation.
// also: clang sanitize races
#include "catch.hpp"

#include <cmath>
#include <cstdlib>
#include <mutex>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#endif

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
using etch::cpu::gemm_form;

constexpr gemm_form own_forms[] = {gemm_form::rows, gemm_form::columns, gemm_form::inner};

struct shape {
    std::int64_t m, n, k;
};
// {32, 10, 256}: logits; {784, 256, 32} and {256, 10, 32} with A transposed: gradients of weights.
const shape shapes[] = {
    {1, 1, 1},      {2, 3, 4},     {32, 256, 784}, {784, 256, 32},  {256, 10, 32},
    {32, 10, 256},  {1, 300, 70},  {300, 1, 70},   {1, 1, 1000},    {130, 97, 301},
    {49, 47, 5},    {5, 1000, 3},  {1000, 5, 17},  {193, 385, 64},  {1100, 70, 130},
    {70, 1000, 40}, {48, 48, 48},  {6, 0, 3},      {0, 6, 3},       {5, 70, 0},
    {1, 9, 0},      {257, 129, 1}, {33, 65, 2100}, {70, 256, 1300}, {64, 512, 300},
    {1, 2100, 130}, {3, 3, 3},     {8, 64, 2},     {17, 10, 512}};

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
    T at_a(std::int64_t i, std::int64_t l) const {
        return call.a[call.transpose_a ? l * call.lda + i : i * call.lda + l];
    }
    T at_b(std::int64_t l, std::int64_t j) const {
        return call.b[call.transpose_b ? j * call.ldb + l : l * call.ldb + j];
    }
    long double element(std::int64_t i, std::int64_t j, long double& size) const {
        long double sum = 0;
        size = 0;
        for (std::int64_t l = 0; l < call.k; ++l) {
            long double p =
                static_cast<long double>(at_a(i, l)) * static_cast<long double>(at_b(l, j));
            sum += p;
            size += std::abs(p);
        }
        return sum;
    }
    /// The elements of C that are as wrong as sums of k products may not be.
    int wrong(std::int64_t step_i = 1, std::int64_t step_j = 1) const {
        int count = 0;
        for (std::int64_t i = 0; i < call.m; i += step_i)
            for (std::int64_t j = 0; j < call.n; j += step_j) {
                long double size, want = element(i, j, size);
                long double bound = size * std::numeric_limits<T>::epsilon() *
                                    (4 + std::sqrt(static_cast<long double>(call.k)));
                auto got = static_cast<long double>(call.c[i * call.ldc + j]);
                count += std::abs(got - want) <= bound ? 0 : 1;
            }
        return count;
    }
    void run_as(gemm_form f) {
        using etch::cpu::detail::block_callback;
        block_callback nothing{[](void*, std::int64_t, std::int64_t, std::int64_t, std::int64_t) {},
                               nullptr};
        etch::cpu::detail::gemm_as(f, call, false, nothing);
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
            bool outside = true;
            for (std::int64_t i = 0; i < s.m; ++i)
                for (std::int64_t j = s.n; j < p.call.ldc; ++j)
                    outside = outside && p.c[static_cast<std::size_t>(i * p.call.ldc + j)] == T(99);
            if (s.k == 0)
                for (std::int64_t i = 0; i < s.m; ++i)
                    for (std::int64_t j = 0; j < s.n; ++j)
                        outside = outside && p.call.c[i * p.call.ldc + j] == T(0);
            INFO(s.m << " x " << s.k << " by " << s.k << " x " << s.n
                     << ", transpositions and gaps " << t);
            CHECK(p.wrong(std::max<std::int64_t>(1, s.m / 37),
                          std::max<std::int64_t>(1, s.n / 41)) == 0);
            CHECK(outside);
        }
}

TEMPLATE_TEST_CASE("every form is right at the edges of tiles", "", float, double) {
    using T = TestType;
    etch::threads(1);
    constexpr int width = 2 * etch::cpu::detail::tile_lanes<T>;
    std::vector<std::int64_t> heights = {1, 2, 3, 5, 6, 7, 8, 9, 12, 13, 25}, widths, depths;
    for (int w : {1, 3, width / 2 - 1, width / 2, width / 2 + 1, width - 1, width, width + 1,
                  3 * width / 2 + 1, 4 * width + 3})
        widths.push_back(w), depths.push_back(w);
    for (auto m : heights)
        for (auto n : widths)
            for (auto k : depths)
                for (int t = 0; t < 4; ++t)
                    for (gemm_form f : own_forms) {
                        problem<T> p({m, n, k}, t & 1, t & 2, (m + n + k) % 3);
                        p.run_as(f);
                        INFO(m << ' ' << n << ' ' << k << ", transpositions " << t << ", as "
                               << name_of(f));
                        if (p.wrong() != 0) FAIL();
                        for (std::int64_t i = 0; i < m; ++i)
                            for (std::int64_t j = n; j < p.call.ldc; ++j)
                                if (p.call.c[i * p.call.ldc + j] != T(99)) FAIL();
                    }
    SUCCEED();
}

#if defined(__FMA__) || defined(__aarch64__)
TEMPLATE_TEST_CASE("tiles add in the order of k, whatever is packed and cut", "", float, double) {
    using T = TestType;
    etch::threads(2);
    for (shape s : {shape{33, 65, 2100}, {70, 256, 1300}, {1, 300, 70}, {9, 10, 700}})
        for (int t = 0; t < 4; ++t)
            for (gemm_form f : {gemm_form::rows, gemm_form::columns}) {
                problem<T> p(s, t & 1, t & 2, 1);
                p.run_as(f);
                int different = 0;
                for (std::int64_t i = 0; i < s.m; i += 3)
                    for (std::int64_t j = 0; j < s.n; j += 3) {
                        T sum = 0;
                        for (std::int64_t l = 0; l < s.k; ++l)
                            sum = std::fma(p.at_a(i, l), p.at_b(l, j), sum);
                        different += p.call.c[i * p.call.ldc + j] == sum ? 0 : 1;
                    }
                INFO(s.m << ' ' << s.n << ' ' << s.k << ", transpositions " << t << ", as "
                         << name_of(f));
                CHECK(different == 0);
            }
}
#endif

TEMPLATE_TEST_CASE("nan and infinity stay in their rows and columns", "", float, double) {
    using T = TestType;
    etch::threads(2);
    for (shape s : {shape{19, 21, 40}, {1, 100, 33}, {100, 1, 33}, {40, 10, 9}, {70, 256, 1300}})
        for (int t = 0; t < 4; ++t)
            for (gemm_form f : own_forms) {
                problem<T> p(s, t & 1, t & 2, 0);
                const std::int64_t row = s.m / 2, column = s.n - 1;
                p.a[static_cast<std::size_t>(&p.call.a[t & 1 ? row : row * p.call.lda] -
                                             p.call.a)] = std::numeric_limits<T>::infinity();
                p.b[static_cast<std::size_t>(&p.call.b[t & 2 ? column * p.call.ldb : column] -
                                             p.call.b)] = std::numeric_limits<T>::quiet_NaN();
                p.run_as(f);
                int different = 0;
                for (std::int64_t i = 0; i < s.m; ++i)
                    for (std::int64_t j = 0; j < s.n; ++j) {
                        T got = p.call.c[i * s.n + j];
                        different += (j == column ? std::isnan(got)
                                      : i == row  ? !std::isfinite(got)
                                                  : std::isfinite(got))
                                         ? 0
                                         : 1;
                    }
                CHECK(different == 0);
            }
}

#if defined(__linux__)
namespace {
/// Elements that end where memory ends.
template <class T> class at_the_end {
public:
    explicit at_the_end(std::size_t n) {
        auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
        std::size_t room = (n * sizeof(T) + page - 1) / page * page;
        size_ = room + page;
        memory_ = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        REQUIRE(memory_ != MAP_FAILED);
        REQUIRE(mprotect(static_cast<char*>(memory_) + room, page, PROT_NONE) == 0);
        data_ = reinterpret_cast<T*>(static_cast<char*>(memory_) + room) - n;
    }
    ~at_the_end() { munmap(memory_, size_); }
    at_the_end(const at_the_end&) = delete;
    T* data() const { return data_; }

private:
    void* memory_;
    std::size_t size_;
    T* data_;
};
}  // namespace

TEMPLATE_TEST_CASE("nothing beyond the operands is touched", "", float, double) {
    using T = TestType;
    etch::threads(1);
    const std::int64_t extents[] = {1, 2, 7, 10, 17, 33, 50};
    for (auto m : extents)
        for (auto n : extents)
            for (auto k : {1, 3, 16, 21, 300})
                for (int t = 0; t < 4; ++t) {
                    problem<T> p({m, n, k}, t & 1, t & 2, 0);
                    at_the_end<T> a(p.a.size()), b(p.b.size()), c(p.c.size());
                    std::copy(p.a.begin(), p.a.end(), a.data());
                    std::copy(p.b.begin(), p.b.end(), b.data());
                    p.call.a = a.data(), p.call.b = b.data(), p.call.c = c.data();
                    for (gemm_form f : own_forms) {
                        p.run_as(f);
                        if (p.wrong(5, 5) != 0) FAIL();
                    }
                }
    SUCCEED();
}
#endif

TEST_CASE("the form follows from extents and transpositions") {
    auto form = [](shape s, bool ta, bool tb) {
        return form_of(problem<float>(s, ta, tb, 0).call);
    };
    CHECK(form({512, 256, 784}, false, false) == gemm_form::rows);
    CHECK(form({32, 784, 256}, false, true) == gemm_form::columns);
    CHECK(form({784, 1, 256}, true, false) == gemm_form::columns);
    CHECK(form({1, 784, 256}, false, true) == gemm_form::inner);
    CHECK(form({784, 1, 256}, false, false) == gemm_form::inner);
    CHECK(std::string(name_of(gemm_form::inner)) == "inner");
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
            for (auto c : cuts) grain = grain && c % 16 == 0;
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
