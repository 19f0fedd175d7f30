// SPDX-License-Identifier: MIT
// What stands before the kernels in every program: types and functions that the op table's text and the emitted bodies
// use. Kernel text includes no header (NVRTC takes 0.6 to 0.8 s for some), so all that is needed is here.
#pragma once
#include <string_view>

namespace etch::cuda {

inline constexpr std::string_view prelude =
    R"cuda(// Kernels of a program, made by etch. Extents and strides are arguments: the text does not depend on them.
using int64 = long long;
using uint32 = unsigned int;
using uint64 = unsigned long long;

// Set by a kernel that meets an index outside of its axis; kernels that write parameters then do nothing.
struct etch_failure {
    int set, part, instruction, unused;
    int64 index, bound;
};

// ---- memory ----
template <int count> struct etch_lanes { static constexpr int value = count; };
constexpr int etch_alignment(int bytes) { return bytes < 16 ? bytes : 16; }
// Elements that are read and written at once.
template <class T, int count> struct alignas(etch_alignment(sizeof(T) * count)) etch_pack {
    T at[count];
};
template <int count, class T>
__device__ __forceinline__ etch_pack<T, count> etch_load(const T* from) {
    return *reinterpret_cast<const etch_pack<T, count>*>(from);
}
template <int count, class T>
__device__ __forceinline__ void etch_store(T* to, const etch_pack<T, count>& x) {
    *reinterpret_cast<etch_pack<T, count>*>(to) = x;
}

// ---- scalar functions ----
__device__ __forceinline__ float etch_abs(float x) { return fabsf(x); }
__device__ __forceinline__ double etch_abs(double x) { return fabs(x); }
__device__ __forceinline__ int etch_abs(int x) { return x < 0 ? int(0u - uint32(x)) : x; }
__device__ __forceinline__ int64 etch_abs(int64 x) { return x < 0 ? int64(uint64(0) - uint64(x)) : x; }

__device__ __forceinline__ float etch_fmod(float a, float b) { return fmodf(a, b); }
__device__ __forceinline__ double etch_fmod(double a, double b) { return fmod(a, b); }
__device__ __forceinline__ float etch_floor(float x) { return floorf(x); }
__device__ __forceinline__ double etch_floor(double x) { return floor(x); }
__device__ __forceinline__ float etch_copysign(float x, float s) { return copysignf(x, s); }
__device__ __forceinline__ double etch_copysign(double x, double s) { return copysign(x, s); }

// The remainder has the sign of b; by an integer 0 it is 0.
template <class T> __device__ __forceinline__ T etch_float_remainder(T a, T b) {
    T r = etch_fmod(a, b);
    if (r == T(0)) return etch_copysign(T(0), b);
    return b == b && (r < T(0)) != (b < T(0)) ? r + b : r;
}
template <class T> __device__ __forceinline__ T etch_float_floor_divide(T a, T b) {
    if (b == T(0)) return a / b;
    T r = etch_fmod(a, b), q = (a - r) / b;
    if (r != T(0) && (r < T(0)) != (b < T(0))) q -= T(1);
    if (q == T(0)) return etch_copysign(T(0), a / b);
    T f = etch_floor(q);
    return q - f > T(0.5) ? f + T(1) : f;
}
template <class T> __device__ __forceinline__ T etch_integer_remainder(T a, T b) {
    if (b == 0 || b == -1) return 0;
    T r = a % b;
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
template <class T> __device__ __forceinline__ T etch_integer_floor_divide(T a, T b) {
    if (b == 0) return 0;
    if (b == -1) return T(uint64(0) - uint64(a));
    T q = a / b;
    return a % b != 0 && (a < 0) != (b < 0) ? q - 1 : q;
}
__device__ __forceinline__ float etch_remainder(float a, float b) { return etch_float_remainder(a, b); }
__device__ __forceinline__ double etch_remainder(double a, double b) { return etch_float_remainder(a, b); }
__device__ __forceinline__ int etch_remainder(int a, int b) { return etch_integer_remainder(a, b); }
__device__ __forceinline__ int64 etch_remainder(int64 a, int64 b) { return etch_integer_remainder(a, b); }
__device__ __forceinline__ float etch_floor_divide(float a, float b) { return etch_float_floor_divide(a, b); }
__device__ __forceinline__ double etch_floor_divide(double a, double b) { return etch_float_floor_divide(a, b); }
__device__ __forceinline__ int etch_floor_divide(int a, int b) { return etch_integer_floor_divide(a, b); }
__device__ __forceinline__ int64 etch_floor_divide(int64 a, int64 b) { return etch_integer_floor_divide(a, b); }

// An index inside of [0, bound); where it wraps, those in [-bound, 0) count from the end.
template <class T>
__device__ __forceinline__ T etch_checked_index(T at, T bound, bool wraps, etch_failure* failure, int part,
                                                int instruction) {
    const T inside = wraps && at < 0 ? at + bound : at;
    if (inside >= 0 && inside < bound) return inside;
    if (atomicCAS(&failure->set, 0, 1) == 0) {
        failure->part = part;
        failure->instruction = instruction;
        failure->index = at;
        failure->bound = bound;
    }
    return 0;
}

// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2, 3, SC 2011), numbered as in
// cpu/random.hpp: block b of draw `ordinal` in a step has the counter {low b, high b, ordinal, step}.
struct etch_words { uint32 at[4]; };
__device__ __forceinline__ etch_words etch_philox(uint64 key, uint32 step, uint32 ordinal, uint64 block) {
    uint32 c0 = uint32(block), c1 = uint32(block >> 32), c2 = ordinal, c3 = step;
    uint32 k0 = uint32(key), k1 = uint32(key >> 32);
#pragma unroll
    for (int round = 0; round < 10; ++round) {
        const uint64 a = uint64(0xD2511F53u) * c0, b = uint64(0xCD9E8D57u) * c2;
        const uint32 first = uint32(b >> 32) ^ c1 ^ k0, third = uint32(a >> 32) ^ c3 ^ k1;
        c0 = first;
        c1 = uint32(b);
        c2 = third;
        c3 = uint32(a);
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return {{c0, c1, c2, c3}};
}
// Element `index` of a draw, in [0, 1): 24 random bits of a float, 53 of a double.
template <class T>
__device__ __forceinline__ T etch_uniform(int64 key, int64 step, int64 index, uint32 ordinal) {
    constexpr int words = sizeof(T) / 4, elements = 4 / words;
    const uint64 i = uint64(index);
    const etch_words w = etch_philox(uint64(key), uint32(step), ordinal, i / elements);
    const int at = int(i % elements) * words;
    if constexpr (words == 1) {
        const uint32 x = at == 0 ? w.at[0] : at == 1 ? w.at[1] : at == 2 ? w.at[2] : w.at[3];
        return T(x >> 8) * T(1.0 / 16777216);
    } else {
        const uint64 high = at == 0 ? w.at[0] : w.at[2], low = at == 0 ? w.at[1] : w.at[3];
        return T((high << 32 | low) >> 11) * T(1.0 / 9007199254740992);
    }
}

// ---- reductions: always in the same order ----
// argmax: the value and where it stands; the first of the largest, and a nan before all.
template <class T> struct etch_best {
    T value;
    int index;
};
template <class T>
__device__ __forceinline__ etch_best<T> etch_better(const etch_best<T>& a, const etch_best<T>& b) {
    const bool wins = b.value > a.value || (b.value != b.value && a.value == a.value);
    const bool tie = b.value == a.value || (b.value != b.value && a.value != a.value);
    return wins || (tie && b.index < a.index) ? b : a;
}
template <class T> __device__ __forceinline__ T etch_from_lane(T x, int lane, int lanes) {
    return __shfl_sync(0xffffffffu, x, lane, lanes);
}
template <class T>
__device__ __forceinline__ etch_best<T> etch_from_lane(const etch_best<T>& x, int lane, int lanes) {
    return {__shfl_sync(0xffffffffu, x.value, lane, lanes), __shfl_sync(0xffffffffu, x.index, lane, lanes)};
}
template <class T> __device__ __forceinline__ T etch_across(T x, int distance) {
    return __shfl_xor_sync(0xffffffffu, x, distance);
}
template <class T> __device__ __forceinline__ etch_best<T> etch_across(const etch_best<T>& x, int distance) {
    return {__shfl_xor_sync(0xffffffffu, x.value, distance), __shfl_xor_sync(0xffffffffu, x.index, distance)};
}
// Joins x over groups of `lanes` neighbours in a warp, all of whose threads come here; all get the result.
template <int lanes, class T, class Join>
__device__ __forceinline__ T etch_join_lanes(T x, const Join& join) {
#pragma unroll
    for (int distance = lanes / 2; distance > 0; distance /= 2) x = join(x, etch_across(x, distance));
    if constexpr (lanes > 1) x = etch_from_lane(x, 0, lanes);
    return x;
}
// Joins x over the threads of a block, a power of two of warps; all get the result.
template <int threads, class T, class Join>
__device__ __forceinline__ T etch_join_block(T x, const Join& join) {
    if constexpr (threads <= 32) {
        return etch_join_lanes<threads>(x, join);
    } else {
        constexpr int warps = threads / 32;
        __shared__ T of_warp[warps];
        x = etch_join_lanes<32>(x, join);
        if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = x;
        __syncthreads();
        x = of_warp[threadIdx.x % warps];
        __syncthreads();
        return etch_join_lanes<warps>(x, join);
    }
}
// Joins x over the threads of a block that stand in one column: 8, 16 or 32 columns lie side by side in a warp.
template <int threads, int columns, class T, class Join>
__device__ __forceinline__ T etch_join_columns(T x, const Join& join) {
    __shared__ T of_warp[threads / 32 * columns];
#pragma unroll
    for (int distance = 16; distance >= columns; distance /= 2) x = join(x, etch_across(x, distance));
    if (threadIdx.x % 32 < columns) of_warp[threadIdx.x / 32 * columns + threadIdx.x % 32] = x;
    __syncthreads();
    T r = of_warp[threadIdx.x % columns];
#pragma unroll 8
    for (int warp = 1; warp < threads / 32; ++warp) r = join(r, of_warp[warp * columns + threadIdx.x % columns]);
    __syncthreads();
    return r;
}
// How many threads of the block before this one have found something, and in `all` how many have. All come here, and
// `turn` is 0 and 1 by turns: one barrier is enough then.
template <int threads> __device__ __forceinline__ int etch_found_before(bool found, int turn, int& all) {
    __shared__ int of_warp[2][threads / 32];
    const uint32 which = __ballot_sync(0xffffffffu, found);
    if (threadIdx.x % 32 == 0) of_warp[turn][threadIdx.x / 32] = __popc(which);
    __syncthreads();
    int before = __popc(which & ((1u << threadIdx.x % 32) - 1));
    all = 0;
#pragma unroll
    for (int warp = 0; warp < threads / 32; ++warp) {
        if (warp < int(threadIdx.x / 32)) before += of_warp[turn][warp];
        all += of_warp[turn][warp];
    }
    return before;
}
// Partial results of blocks, written by one of them and read by the last: not through a cache of the multiprocessor.
template <class T> __device__ __forceinline__ T etch_fresh(const T* from) {
    return *static_cast<const volatile T*>(from);
}
template <class T> __device__ __forceinline__ etch_best<T> etch_fresh(const etch_best<T>* from) {
    return {etch_fresh(&from->value), etch_fresh(&from->index)};
}
// Whether this block is the last one of the grid to come here; the counter is 0 again then.
__device__ __forceinline__ bool etch_is_last(uint32* ticket) {
    __shared__ bool last;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) last = atomicInc(ticket, gridDim.x - 1) == gridDim.x - 1;
    __syncthreads();
    __threadfence();
    return last;
}

)cuda";

/// A kernel that stands beside those of the program where steps copy to parameters. Not in every program: NVRTC takes
/// as long for it as for another kernel.
inline constexpr std::string_view copy_kernel =
    R"cuda(struct etch_copy_argument {
    char* to;
    const char* from;
    int64 bytes;
    const etch_failure* failure;  // null: whatever happened before
};
extern "C" __global__ void __launch_bounds__(256) etch_copy(const __grid_constant__ etch_copy_argument a) {
    if (a.failure != nullptr && a.failure->set != 0) return;
    const int64 first = int64(blockIdx.x) * 256 + threadIdx.x, step = int64(gridDim.x) * 256;
    const bool aligned = (uint64(a.to) | uint64(a.from)) % 16 == 0;
    const int64 packs = aligned ? a.bytes / 16 : 0;
    for (int64 i = first; i < packs; i += step) etch_store(a.to + 16 * i, etch_load<16>(a.from + 16 * i));
#pragma unroll 1
    for (int64 i = 16 * packs + first; i < a.bytes; i += step) a.to[i] = a.from[i];
}

)cuda";

}  // namespace etch::cuda
