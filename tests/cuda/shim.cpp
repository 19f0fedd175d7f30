// SPDX-License-Identifier: MIT
// CUDA kernels on the host: threads, barriers, shuffles and atomics do what they do on a device,
// and what is wrong is found.
#include "catch.hpp"

#include "cuda/host_library.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numeric>

using etch_test::contains;

namespace {

// Kernels of one text, each with its argument, as etch writes them.
const std::string text = R"(// what all texts share
using int64 = long long;
template <class T> __device__ __forceinline__ T twice(T x) { return x + x; }
// ---- kernels
struct twice_all_argument { float* to; const float* from; int64 count; };
extern "C" __global__ void __launch_bounds__(256)
twice_all(const __grid_constant__ twice_all_argument a) {
    const int64 i = int64(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i < a.count) a.to[i] = twice(a.from[i]); // a brace } and a "quote
}

struct sum_argument { double* to; const float* from; int count; };
extern "C" __global__ void __launch_bounds__(256) sum(const sum_argument a) {
    __shared__ double of_warp[8];
    double x = 0;
    for (int i = blockIdx.x * 256 + threadIdx.x; i < a.count; i += gridDim.x * 256) x += a.from[i];
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2)
        x += __shfl_xor_sync(0xffffffffu, x, distance);
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = x;
    __syncthreads();
    if (threadIdx.x == 0) {
        x = 0;
        for (int i = 0; i < 8; ++i) x += of_warp[i];
        atomicAdd(a.to, x);
    }
}
// The same without its barrier.
struct racing_sum_argument { double* to; const float* from; int count; };
extern "C" __global__ void __launch_bounds__(256) racing_sum(const racing_sum_argument a) {
    __shared__ double of_warp[8];
    double x = 0;
    for (int i = blockIdx.x * 256 + threadIdx.x; i < a.count; i += gridDim.x * 256) x += a.from[i];
    for (int distance = 16; distance > 0; distance /= 2)
        x += __shfl_xor_sync(0xffffffffu, x, distance);
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = x;
    if (threadIdx.x == 0) {
        x = 0;
        for (int i = 0; i < 8; ++i) x += of_warp[i];
        atomicAdd(a.to, x);
    }
}
struct transpose_argument { int* to; const int* from; int extent, barrier; };
extern "C" __global__ void transpose(const transpose_argument a) {
    __shared__ int tile[32][33];
    const int x = blockIdx.x * 32 + threadIdx.x, y = blockIdx.y * 32 + threadIdx.y;
    for (int j = 0; j < 32; j += 8)
        tile[threadIdx.y + j][threadIdx.x] = a.from[(y + j) * a.extent + x];
    if (a.barrier) __syncthreads();
    const int u = blockIdx.y * 32 + threadIdx.x, v = blockIdx.x * 32 + threadIdx.y;
    for (int j = 0; j < 32; j += 8)
        a.to[(v + j) * a.extent + u] = tile[threadIdx.x][threadIdx.y + j];
}
// One warp: what each kind of shuffle and vote gives each lane.
struct lanes_argument { int* to; int width; };
extern "C" __global__ void lanes(const lanes_argument a) {
    const int i = threadIdx.x;
    const unsigned all = 0xffffffffu;
    a.to[i] = __shfl_sync(all, 100 + i, i + 1, a.width);
    a.to[32 + i] = __shfl_up_sync(all, 100 + i, 3, a.width);
    a.to[64 + i] = __shfl_down_sync(all, 100 + i, 3, a.width);
    a.to[96 + i] = __shfl_xor_sync(all, 100 + i, 5, a.width);
    a.to[128 + i] = int(__ballot_sync(all, i % 3 == 0));
    a.to[160 + i] = __any_sync(all, i == 7) * 2 + __all_sync(all, i < 31);
    const unsigned half = i < 16 ? 0xffffu : 0xffff0000u;
    a.to[192 + i] = i < 16 ? __shfl_sync(half, i, 4) : __shfl_sync(half, i, 20);
    a.to[224 + i] = int(__shfl_sync(half, 0.25 * i, 4) * 4);  // above 15: not a lane of theirs
}
struct atomics_argument { int* i; unsigned* u; unsigned long long* w; float* f; unsigned* order; };
extern "C" __global__ void atomics(const atomics_argument a) {
    const int t = threadIdx.x + blockIdx.x * blockDim.x;
    atomicAdd(a.i, t);
    atomicMax(a.i + 1, t);
    atomicCAS(a.i + 2, 5, t);
    atomicInc(a.u, 9);
    atomicAdd(a.w, 1ull << 33);
    atomicAdd(a.f, 0.5f);
    a.order[t] = atomicAdd(a.u + 1, 1u);
}
struct block_order_argument { int* to; int* next; };
extern "C" __global__ void block_order(const block_order_argument a) {
    if (threadIdx.x == 0) a.to[blockIdx.x] = atomicAdd(a.next, 1);
}
struct diverging_argument { int how; };
extern "C" __global__ void diverging(const diverging_argument a) {
    if (a.how == 0) {
        if (threadIdx.x < 40) __syncthreads();
        else __syncwarp(~0u);
    } else if (a.how == 1) {
        if (threadIdx.x % 2 == 0) __shfl_sync(~0u, 1, 0);
        else __syncthreads();
    } else if (a.how == 2) {
        if (threadIdx.x < 32) __syncthreads();
        else
            __syncthreads();
    } else if (a.how == 3) {
        __shfl_sync(0xffu, 1, 0);
    } else if (a.how == 4) {
        if (threadIdx.x >= 16) return;  // those that have gone are not waited for
        __syncthreads();
        __syncwarp();
    }
}
struct alignas(8) whole_pair { float x, y; };
struct faults_argument { float* at; int how, index; };
extern "C" __global__ void faults(const faults_argument a) {
    __shared__ float of_thread[32];
    if (a.how == 0) {
        const whole_pair p = *reinterpret_cast<const whole_pair*>(a.at + a.index);
        a.at[0] = p.x;
    } else if (a.how == 4) {
        a.at[0] = reinterpret_cast<const whole_pair*>(a.at + a.index)->x;
    } else if (a.how == 1) {
        of_thread[threadIdx.x + a.index] = 1;
        a.at[0] = of_thread[0];
    } else if (a.how == 2) {
        a.at[a.index] = 1;
    } else if (a.how == 3) {
        a.at[threadIdx.x] = of_thread[threadIdx.x];  // nobody wrote it
        __syncthreads();
        of_thread[threadIdx.x] = 1;
    }
}
struct functions_argument { float* f; double* d; unsigned* u; };
extern "C" __global__ void functions(const functions_argument a) {
    const float x = 0.5f;
    const float all[] = {tanhf(x), erff(x), expf(x), __expf(x), fmaf(x, x, 1.0f), rsqrtf(x),
                         fabsf(-x), fminf(x, 2.0f), fmaxf(x, 2.0f), log1pf(x), expm1f(x),
                         powf(x, 3.0f), fmodf(2.75f, x), copysignf(x, -1.0f), floorf(-x),
                         __fdividef(x, 4.0f), __uint_as_float(0x40490fdbu)};
    for (int i = 0; i < 17; ++i) a.f[i] = all[i];
    a.d[0] = tanh(0.5), a.d[1] = rsqrt(4.0);
    a.d[2] = __longlong_as_double(__double_as_longlong(1.5));
    a.u[0] = __float_as_uint(1.0f), a.u[1] = __umulhi(0x80000000u, 6u);
    a.u[2] = unsigned(__mul64hi(1ll << 62, 12)), a.u[3] = __popc(0xf0f0u), a.u[4] = __clz(1);
    const float4 v = make_float4(1, 2, 3, 4);
    a.f[17] = v.x + v.w;
    a.u[5] = unsigned(sizeof(float4) + alignof(float4)), a.u[6] = unsigned(clock64() < clock64());
}
)";

const host_device::host_library& kernels() {
    static const host_device::host_library built = host_device::build({text});
    return built;
}
template <class Argument>
std::string run(const char* name, std::array<unsigned, 3> grid, std::array<unsigned, 3> block,
                const Argument& argument, unsigned seed = 0) {
    const host_device::host_kernel* k = kernels().find(text, name);
    REQUIRE(k);
    REQUIRE(k->entry->argument_bytes == sizeof argument);
    return k->run(grid, block, &argument, seed);
}
std::vector<float> wave(std::size_t count) {
    std::vector<float> x(count);
    for (std::size_t i = 0; i < count; ++i) x[i] = std::sin(0.37f * static_cast<float>(i));
    return x;
}

}  // namespace

TEST_CASE("each thread of a grid runs once, in any order") {
    auto x = wave(1000);
    struct {
        float* to;
        const float* from;
        long long count;
    } argument{nullptr, x.data(), 1000};
    for (unsigned seed : {0u, 1u, 99u}) {
        std::vector<float> y(1000, -9);
        argument.to = y.data();
        REQUIRE(run("twice_all", {4, 1, 1}, {256, 1, 1}, argument, seed) == "");
        for (std::size_t i = 0; i < y.size(); ++i) CHECK(y[i] == 2 * x[i]);
    }
    CHECK(kernels().find(text, "twice_all")->most_threads == 256);
    CHECK(kernels().find(text, "transpose")->most_threads == 1024);
    CHECK_FALSE(kernels().find(text, "none"));
    CHECK_FALSE(kernels().find(text + " ", "sum"));
}

TEST_CASE("a reduction by shuffles, shared memory and atomics") {
    auto x = wave(10'000);
    double sum = std::accumulate(x.begin(), x.end(), 0.0);
    for (unsigned seed = 0; seed < 8; ++seed) {
        struct {
            double* to;
            const float* from;
            int count;
        } argument{nullptr, x.data(), 10'000};
        double result = 0;
        argument.to = &result;
        REQUIRE(run("sum", {5, 1, 1}, {256, 1, 1}, argument, seed) == "");
        CHECK(result == Approx(sum).epsilon(1e-12).margin(1e-9));
    }
}

TEST_CASE("a barrier that is missing gives wrong numbers") {
    auto x = wave(10'000);
    double sum = std::accumulate(x.begin(), x.end(), 0.0);
    std::array<int, 2> wrong{};
    for (unsigned seed = 0; seed < 8; ++seed) {
        double result = 0;
        struct {
            double* to;
            const float* from;
            int count;
        } argument{&result, x.data(), 10'000};
        REQUIRE(run("racing_sum", {5, 1, 1}, {256, 1, 1}, argument, seed) == "");
        wrong[0] += !(std::fabs(result - sum) < 1e-9);

        std::vector<int> from(64 * 64), to(64 * 64);
        std::iota(from.begin(), from.end(), 0);
        struct {
            int *to, *from, extent, barrier;
        } tiles{to.data(), from.data(), 64, 0};
        REQUIRE(run("transpose", {2, 2, 1}, {32, 8, 1}, tiles, seed) == "");
        bool right = true;
        for (int i = 0; i < 64; ++i)
            for (int j = 0; j < 64; ++j)
                right = right && to[static_cast<std::size_t>(j * 64 + i)] == i * 64 + j;
        wrong[1] += !right;
    }
    CHECK(wrong[0] == 8);
    CHECK(wrong[1] == 8);
}

TEST_CASE("a transpose through shared memory") {
    std::vector<int> from(64 * 64), to(64 * 64);
    std::iota(from.begin(), from.end(), 0);
    for (unsigned seed = 0; seed < 4; ++seed) {
        std::fill(to.begin(), to.end(), -1);
        struct {
            int *to, *from, extent, barrier;
        } argument{to.data(), from.data(), 64, 1};
        REQUIRE(run("transpose", {2, 2, 1}, {32, 8, 1}, argument, seed) == "");
        int wrong = 0;
        for (int i = 0; i < 64; ++i)
            for (int j = 0; j < 64; ++j)
                wrong += to[static_cast<std::size_t>(j * 64 + i)] != i * 64 + j;
        CHECK(wrong == 0);
    }
}

TEST_CASE("lanes get what CUDA's guide says") {
    for (int width : {32, 8})
        for (unsigned seed : {0u, 3u, 4u}) {
            std::vector<int> r(256, -1);
            struct {
                int *to, width;
            } argument{r.data(), width};
            REQUIRE(run("lanes", {1, 1, 1}, {32, 1, 1}, argument, seed) == "");
            for (int i = 0; i < 32; ++i) {
                auto got = [&](int k) { return r[static_cast<std::size_t>(32 * k + i)]; };
                int first = i / width * width;
                CHECK(got(0) == 100 + first + (i + 1) % width);
                CHECK(got(1) == 100 + (i - 3 >= first ? i - 3 : i));
                CHECK(got(2) == 100 + (i + 3 < first + width ? i + 3 : i));
                CHECK(got(3) == 100 + ((i ^ 5) < first + width ? i ^ 5 : i));
                CHECK(got(4) == 0x49249249);
                CHECK(got(5) == 2);
                CHECK(got(6) == (i < 16 ? 4 : 20));
                CHECK((got(7) == 4) == (i < 16));
            }
        }
}

TEST_CASE("atomics") {
    for (unsigned seed : {0u, 5u}) {
        int i[3]{0, -1, 5};
        unsigned u[2]{0, 0};
        unsigned long long w = 0;
        float f = 0;
        std::vector<unsigned> order(128);
        struct {
            int* i;
            unsigned* u;
            unsigned long long* w;
            float* f;
            unsigned* order;
        } argument{i, u, &w, &f, order.data()};
        REQUIRE(run("atomics", {2, 1, 1}, {64, 1, 1}, argument, seed) == "");
        CHECK(i[0] == 127 * 64);
        CHECK(i[1] == 127);
        CHECK((i[2] >= 0 && i[2] < 128 && i[2] != 5) == (seed == 0 || order[5] != 0));
        CHECK(u[0] == 128 % 10);
        CHECK(w == 128ull << 33);
        CHECK(f == 64.0f);
        CHECK(std::is_sorted(order.begin(), order.end()) == (seed == 0));
        std::sort(order.begin(), order.end());
        for (unsigned k = 0; k < 128; ++k) CHECK(order[k] == k);
    }
}

TEST_CASE("a seed shuffles blocks") {
    auto places = [](unsigned seed) {
        std::vector<int> to(100, -1);
        int next = 0;
        struct {
            int *to, *next;
        } argument{to.data(), &next};
        REQUIRE(run("block_order", {100, 1, 1}, {32, 1, 1}, argument, seed) == "");
        return to;
    };
    std::vector<int> in_order(100);
    std::iota(in_order.begin(), in_order.end(), 0);
    auto some = places(1), others = places(2);
    CHECK(places(0) == in_order);
    CHECK(some != in_order);
    CHECK(some != others);
    CHECK(places(1) == some);
    std::sort(some.begin(), some.end());
    CHECK(some == in_order);
}

TEST_CASE("threads that wait for each other for ever are named") {
    auto said = [](int how, unsigned seed = 0) {
        struct {
            int how;
        } argument{how};
        return run("diverging", {1, 1, 1}, {64, 1, 1}, argument, seed);
    };
    for (unsigned seed : {0u, 1u}) {
        CHECK_THAT(said(0, seed), contains("kernel diverging") && contains("wait for each other") &&
                                      contains("__syncwarp(0xffffffff)"));
        CHECK_THAT(said(1, seed), contains("from thread 0 on: __shfl_sync(0xffffffff)") &&
                                      contains("from thread 1 on: __syncthreads"));
        CHECK_THAT(said(2, seed), contains("from thread 0 on: __syncthreads") &&
                                      contains("from thread 32 on: __syncthreads"));
        CHECK_THAT(said(3, seed), contains("does not name its own lane"));
        CHECK(said(4, seed) == "");
    }
}

TEST_CASE("addresses that are not aligned and indices out of bounds are found") {
    if (host_device::sanitized()) return;  // they end the process, as the last test shows
    std::vector<float> memory(64, 0.0f);
    struct {
        float* at;
        int how, index;
    } argument{memory.data(), 0, 0};
    auto said = [&](int how, int index) {
        argument.how = how;
        argument.index = index;
        return run("faults", {1, 1, 1}, {32, 1, 1}, argument);
    };
    CHECK(said(0, 2) == "");
    CHECK_THAT(said(4, 3), contains("is not aligned to the 8 bytes") && contains("whole_pair"));
    // Of whole objects clang does not look at the address.
    if (host_device::detail::compiler().find("clang") == std::string::npos)
        CHECK_THAT(said(0, 3), contains("is not aligned to the 8 bytes"));
    CHECK(said(1, 0) == "");
    CHECK_THAT(said(1, 1), contains("thread (31, 0, 0): index 32 is out of the bounds"));
    for (int round = 0; round < 2; ++round) {  // also when an earlier block wrote it
        CHECK(said(3, 0) == "");
        std::uint32_t bits = 0;
        std::memcpy(&bits, memory.data() + 5, 4);
        CHECK(bits == 0xCDCDCDCD);
    }
}

TEST_CASE("functions of CUDA's names") {
    std::vector<float> f(18);
    std::vector<double> d(3);
    std::vector<unsigned> u(7);
    struct {
        float* f;
        double* d;
        unsigned* u;
    } argument{f.data(), d.data(), u.data()};
    REQUIRE(run("functions", {1, 1, 1}, {1, 1, 1}, argument) == "");
    const double x = 0.5;
    const double expected[] = {std::tanh(x),
                               std::erf(x),
                               std::exp(x),
                               std::exp(x),
                               1.25,
                               std::sqrt(2.0),
                               0.5,
                               0.5,
                               2,
                               std::log1p(x),
                               std::expm1(x),
                               0.125,
                               0.25,
                               -0.5,
                               -1,
                               0.125,
                               3.14159274101257,
                               5};
    for (std::size_t i = 0; i < f.size(); ++i) CHECK(f[i] == Approx(expected[i]).epsilon(1e-6));
    CHECK(d == std::vector<double>{std::tanh(0.5), 0.5, 1.5});
    CHECK(u == std::vector<unsigned>{0x3f800000, 3, 3, 8, 31, 32, 1});
}

TEST_CASE("texts share their kernels, and a name may mean two things in two texts") {
    auto text_of = [](const char* expression, const char* comment) {
        return std::string("// prelude\n// ---- kernels\n") +
               "struct shared_argument { float* to; };\n"
               "extern \"C\" __global__ void __launch_bounds__(64) shared(const shared_argument a) "
               "{ // " +
               comment + "\n    a.to[threadIdx.x] = " + expression + ";\n}\n";
    };
    std::string one = text_of("1.0f", "first"), same = text_of("1.0f", "second"),
                two = text_of("2.0f", "third");
    host_device::host_library built = host_device::build({one, same, two, one});
    auto value = [&](const std::string& of) {
        float x = 0;
        struct {
            float* to;
        } argument{&x};
        REQUIRE(built.find(of, "shared")->run({1, 1, 1}, {1, 1, 1}, &argument) == "");
        return x;
    };
    CHECK(value(one) == 1);
    CHECK(value(same) == 1);
    CHECK(value(two) == 2);
    CHECK(built.find(one, "shared")->entry == built.find(same, "shared")->entry);
    CHECK(built.find(one, "shared")->entry != built.find(two, "shared")->entry);
    CHECK_THROWS_WITH(host_device::build({text_of("nonsense", "")}),
                      contains("refuses kernel text") && contains("nonsense"));
    // What CUDA has no overload for is refused here as well.
    CHECK_THROWS_WITH(host_device::build({text_of("atomicAdd((long long*)0, 1ll)", "")}),
                      contains("atomicAdd"));
}

TEST_CASE("the address sanitizer points at the line of a kernel") {
    auto program = host_device::build_program(text, R"(
#include <vector>
int main(int count, char**) {
    std::vector<float> memory(64);
    double sum = 0;
    sum_argument all{&sum, memory.data(), 64};
    const unsigned grid[3]{1, 1, 1}, block[3]{256, 1, 1}, small[3]{32, 1, 1};
    if (sum_entry.launch(&sum_entry, grid, block, &all, 3)) return 2;
    faults_argument beyond{memory.data(), count, 64};
    const char* said = faults_entry.launch(&faults_entry, grid, small, &beyond, 0);
    fprintf(stderr, "%s\n", said ? said : "nothing was found");
    return 0;
})",
                                              {.sanitize = true});
    auto said_by = [&](const std::string& arguments) {
        std::string said;
        FILE* pipe =
            popen(("ASAN_OPTIONS=detect_leaks=0 '" + program.string() + "' " + arguments + " 2>&1")
                      .c_str(),
                  "r");
        REQUIRE(pipe);
        char piece[512];
        while (std::fgets(piece, sizeof piece, pipe)) said += piece;
        pclose(pipe);
        return said;
    };
    // how = 2 and how = 1: the number of words on the command line.
    CHECK_THAT(said_by("2"), contains("heap-buffer-overflow") && contains("in faults") &&
                                 !contains("nothing was found"));
    CHECK_THAT(said_by(""), contains("out of bounds") || contains("global-buffer-overflow"));
}
