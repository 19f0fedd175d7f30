// SPDX-License-Identifier: MIT
// The names of CUDA that kernel text may use, on top of tests/cuda/shim.hpp, which includes this.
// Only the types that CUDA has are accepted, so that text which NVRTC refuses is refused here.
#pragma once

// After all headers: the standard library has some of these names between its underscores.
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __constant__ static
#define __align__(bytes) __attribute__((aligned(bytes)))
#if defined(ETCH_SHIM_ADDRESS_SANITIZER)
#define __shared__ static  // with red zones
#else
#define __shared__ static thread_local
#endif

// ---- where a thread stands ----------------------------------------------------------------------

struct dim3 {
    unsigned x, y, z;
};
static const uint3 &threadIdx = shim::thread_index, &blockIdx = shim::block_index,
                   &blockDim = shim::block_extents, &gridDim = shim::grid_extents;
static constexpr int warpSize = 32;

// ---- vectors ------------------------------------------------------------------------------------

#define ETCH_SHIM_VECTORS(type, name, pair, quad)                                                  \
    struct alignas(pair) name##2 {                                                                 \
        type x, y;                                                                                 \
    };                                                                                             \
    struct alignas(quad) name##4 {                                                                 \
        type x, y, z, w;                                                                           \
    };                                                                                             \
    inline name##2 make_##name##2(type x, type y) { return {x, y}; }                               \
    inline name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }
ETCH_SHIM_VECTORS(float, float, 8, 16)
ETCH_SHIM_VECTORS(int, int, 8, 16)
ETCH_SHIM_VECTORS(unsigned, uint, 8, 16)
ETCH_SHIM_VECTORS(double, double, 16, 16)
ETCH_SHIM_VECTORS(long long, longlong, 16, 16)
ETCH_SHIM_VECTORS(unsigned long long, ulonglong, 16, 16)
#undef ETCH_SHIM_VECTORS

// ---- threads that wait for each other; lines are the callers' -----------------------------------

static void __syncthreads(int line = __builtin_LINE()) {
    shim::wait_as(shim::state::at_barrier, "__syncthreads", line);
}

namespace shim {
static unsigned lane() { return current % 32; }

static unsigned long long exchange(collective what, const char* name, unsigned mask,
                                   unsigned long long sent, int source, int line) {
    cuda_thread& t = threads[current];
    if (!(mask >> lane() & 1))
        fail("the mask of a collective does not name its own lane", name,
             static_cast<unsigned>(line));
    t.what = what;
    t.mask = mask;
    t.sent = sent;
    t.source = source;
    wait_as(state::at_collective, name, line);
    return threads[current].received;
}
template <class T> T shuffle(const char* name, unsigned mask, T value, int source, int line) {
    static_assert(std::is_arithmetic_v<T> && sizeof(T) <= 8, "CUDA shuffles numbers only");
    unsigned long long sent = 0;
    memcpy(&sent, &value, sizeof value);
    sent = exchange(collective::shuffle, name, mask, sent, source, line);
    memcpy(&value, &sent, sizeof value);
    return value;
}
}  // namespace shim

// Lanes as in the guide to CUDA: outside of its group of `width` lanes a thread gets its own value.
template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, int line = __builtin_LINE()) {
    int self = static_cast<int>(shim::lane());
    return shim::shuffle("__shfl_sync", mask, value, (self & ~(width - 1)) | (source & (width - 1)),
                         line);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                 int line = __builtin_LINE()) {
    int self = static_cast<int>(shim::lane()), source = self - static_cast<int>(delta);
    if (source < (self & ~(width - 1))) source = self;
    return shim::shuffle("__shfl_up_sync", mask, value, source, line);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                   int line = __builtin_LINE()) {
    int self = static_cast<int>(shim::lane()), source = self + static_cast<int>(delta);
    if (source >= (self & ~(width - 1)) + width) source = self;
    return shim::shuffle("__shfl_down_sync", mask, value, source, line);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int distance, int width = 32,
                  int line = __builtin_LINE()) {
    int self = static_cast<int>(shim::lane()), source = self ^ distance;
    if (source >= (self & ~(width - 1)) + width) source = self;
    return shim::shuffle("__shfl_xor_sync", mask, value, source, line);
}
static unsigned __ballot_sync(unsigned mask, int vote, int line = __builtin_LINE()) {
    return static_cast<unsigned>(
        shim::exchange(shim::collective::ballot, "__ballot_sync", mask, vote != 0, 0, line));
}
static int __any_sync(unsigned mask, int vote, int line = __builtin_LINE()) {
    return shim::exchange(shim::collective::ballot, "__any_sync", mask, vote != 0, 0, line) != 0;
}
static int __all_sync(unsigned mask, int vote, int line = __builtin_LINE()) {
    return shim::exchange(shim::collective::ballot, "__all_sync", mask, vote == 0, 0, line) == 0;
}
static void __syncwarp(unsigned mask = ~0u, int line = __builtin_LINE()) {
    shim::exchange(shim::collective::sync, "__syncwarp", mask, 0, static_cast<int>(shim::lane()),
                   line);
}
static unsigned __activemask() { return 1u << shim::lane(); }
static void __threadfence() {}
static void __threadfence_block() {}
static void __nanosleep(unsigned) {}
[[noreturn]] static void __trap(unsigned line = __builtin_LINE()) {
    shim::fail("__trap", __builtin_FILE(), line);
}
static long long clock64() {
    static long long now = 0;
    return ++now;
}

// ---- atomics: fibers change places only where they wait -----------------------------------------

#define ETCH_SHIM_ATOMIC(name, type, result)                                                       \
    inline type name(type* at, type value) {                                                       \
        type old = *at;                                                                            \
        *at = result;                                                                              \
        return old;                                                                                \
    }
#define ETCH_SHIM_ATOMIC_OF_INTEGERS(name, result)                                                 \
    ETCH_SHIM_ATOMIC(name, int, result)                                                            \
    ETCH_SHIM_ATOMIC(name, unsigned, result)                                                       \
    ETCH_SHIM_ATOMIC(name, unsigned long long, result)
ETCH_SHIM_ATOMIC(atomicAdd, int,
                 static_cast<int>(static_cast<unsigned>(old) + static_cast<unsigned>(value)))
ETCH_SHIM_ATOMIC(atomicAdd, unsigned, old + value)
ETCH_SHIM_ATOMIC(atomicAdd, unsigned long long, old + value)
ETCH_SHIM_ATOMIC(atomicAdd, float, old + value)
ETCH_SHIM_ATOMIC(atomicAdd, double, old + value)
ETCH_SHIM_ATOMIC_OF_INTEGERS(atomicMax, old > value ? old : value)
ETCH_SHIM_ATOMIC(atomicMax, long long, old > value ? old : value)
ETCH_SHIM_ATOMIC_OF_INTEGERS(atomicMin, old < value ? old : value)
ETCH_SHIM_ATOMIC(atomicMin, long long, old < value ? old : value)
ETCH_SHIM_ATOMIC_OF_INTEGERS(atomicOr, old | value)
ETCH_SHIM_ATOMIC_OF_INTEGERS(atomicAnd, old& value)
ETCH_SHIM_ATOMIC_OF_INTEGERS(atomicExch, value)
ETCH_SHIM_ATOMIC(atomicExch, float, value)
ETCH_SHIM_ATOMIC(atomicInc, unsigned, old >= value ? 0 : old + 1)
ETCH_SHIM_ATOMIC(atomicDec, unsigned, old == 0 || old > value ? value : old - 1)
#define ETCH_SHIM_EXCHANGE(type)                                                                   \
    inline type atomicCAS(type* at, type expected, type value) {                                   \
        type old = *at;                                                                            \
        if (old == expected) *at = value;                                                          \
        return old;                                                                                \
    }
ETCH_SHIM_EXCHANGE(int)
ETCH_SHIM_EXCHANGE(unsigned)
ETCH_SHIM_EXCHANGE(unsigned long long)
#undef ETCH_SHIM_EXCHANGE
#undef ETCH_SHIM_ATOMIC_OF_INTEGERS
#undef ETCH_SHIM_ATOMIC

// ---- memory and bits ----------------------------------------------------------------------------

template <class T> T __ldg(const T* from) { return *from; }
template <class T> T __ldcg(const T* from) { return *from; }
template <class T> T __ldcs(const T* from) { return *from; }
template <class T> void __stcs(T* to, T value) { *to = value; }

namespace shim {
template <class To, class From> To bits(From x) {
    static_assert(sizeof(To) == sizeof(From));
    To r;
    memcpy(&r, &x, sizeof r);
    return r;
}
}  // namespace shim
inline float __uint_as_float(unsigned x) { return shim::bits<float>(x); }
inline float __int_as_float(int x) { return shim::bits<float>(x); }
inline unsigned __float_as_uint(float x) { return shim::bits<unsigned>(x); }
inline int __float_as_int(float x) { return shim::bits<int>(x); }
inline long long __double_as_longlong(double x) { return shim::bits<long long>(x); }
inline double __longlong_as_double(long long x) { return shim::bits<double>(x); }
inline unsigned __umulhi(unsigned a, unsigned b) {
    return static_cast<unsigned>(static_cast<unsigned long long>(a) * b >> 32);
}
inline int __mulhi(int a, int b) { return static_cast<int>(static_cast<long long>(a) * b >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return static_cast<unsigned long long>(static_cast<unsigned __int128>(a) * b >> 64);
}
inline long long __mul64hi(long long a, long long b) {
    return static_cast<long long>(static_cast<__int128>(a) * b >> 64);
}
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
inline int __clzll(long long x) {
    return x == 0 ? 64 : __builtin_clzll(static_cast<unsigned long long>(x));
}
inline int __ffs(int x) { return __builtin_ffs(x); }

// ---- mathematics that the host's math.h does not have -------------------------------------------

#define ETCH_SHIM_EXTREMA(type)                                                                    \
    inline type min(type a, type b) { return b < a ? b : a; }                                      \
    inline type max(type a, type b) { return a < b ? b : a; }
ETCH_SHIM_EXTREMA(int)
ETCH_SHIM_EXTREMA(unsigned)
ETCH_SHIM_EXTREMA(long)
ETCH_SHIM_EXTREMA(unsigned long)
ETCH_SHIM_EXTREMA(long long)
ETCH_SHIM_EXTREMA(unsigned long long)
#undef ETCH_SHIM_EXTREMA
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }

inline float rsqrtf(float x) { return static_cast<float>(1.0 / sqrt(static_cast<double>(x))); }
inline double rsqrt(double x) { return 1.0 / sqrt(x); }
inline float rcbrtf(float x) { return 1.0f / cbrtf(x); }
inline double rcbrt(double x) { return 1.0 / cbrt(x); }
inline double normcdf(double x) { return 0.5 * erfc(-x * 0.70710678118654752440); }
inline float normcdff(float x) { return static_cast<float>(normcdf(static_cast<double>(x))); }
inline float __saturatef(float x) { return x > 0.0f ? fminf(x, 1.0f) : 0.0f; }
inline float __fdividef(float a, float b) { return a / b; }
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float __log2f(float x) { return log2f(x); }
inline float __powf(float a, float b) { return powf(a, b); }
inline float __sinf(float x) { return sinf(x); }
inline float __cosf(float x) { return cosf(x); }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __fsqrt_rn(float x) { return sqrtf(x); }
inline float __frsqrt_rn(float x) { return rsqrtf(x); }
// With a volatile operand no compiler contracts them to multiply-adds.
#define ETCH_SHIM_ROUNDED(name, type, operation)                                                   \
    inline type name(type a, type b) {                                                             \
        volatile type r = a operation b;                                                           \
        return r;                                                                                  \
    }
ETCH_SHIM_ROUNDED(__fadd_rn, float, +)
ETCH_SHIM_ROUNDED(__fsub_rn, float, -)
ETCH_SHIM_ROUNDED(__fmul_rn, float, *)
ETCH_SHIM_ROUNDED(__fdiv_rn, float, /)
ETCH_SHIM_ROUNDED(__dadd_rn, double, +)
ETCH_SHIM_ROUNDED(__dsub_rn, double, -)
ETCH_SHIM_ROUNDED(__dmul_rn, double, *)
ETCH_SHIM_ROUNDED(__ddiv_rn, double, /)
#undef ETCH_SHIM_ROUNDED
inline int __float2int_rn(float x) { return static_cast<int>(rintf(x)); }
inline int __float2int_rd(float x) { return static_cast<int>(floorf(x)); }
inline int __float2int_rz(float x) { return static_cast<int>(x); }
inline float __int2float_rn(int x) { return static_cast<float>(x); }
