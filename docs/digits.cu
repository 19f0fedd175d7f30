// The kernels of one training step of the README's model, as etch emits them for a batch of 32; the prelude
// that stands before them (jit/etch/cuda/prelude.hpp) is left out. Made by tests/cuda/documentation.cpp.
// ---- kernels
struct body_bf849ef6e80a349f_argument {
    int64 part;
    int64 n0;
    int64 n1;
    const float* s0;
    int64 t0_0;
    const float* s1;
    int64 t1_0;
    float* s2;
    int64 t2_0;
};
static __device__ __forceinline__ void body_bf849ef6e80a349f(const body_bf849ef6e80a349f_argument& a, const uint32 block, const uint32 blocks, etch_failure* failure) {
    using index = int;
    const index n0 = index(a.n0);
    const index n1 = index(a.n1);
    const index t0_0 = index(a.t0_0);
    const index t1_0 = index(a.t1_0);
    const index t2_0 = index(a.t2_0);
#pragma unroll 1
    for (index u = index(block) * 256 + index(threadIdx.x); u < n0 * n1; u += index(blocks) * 256) {
        const index i1 = u % n1, q1 = u / n1;
        const index i0 = q1;
        const float v0 = a.s0[i0 * t0_0 + i1];  // digits.cpp:6
        const float v1 = a.s1[i0 * t1_0 + i1];  // digits.cpp:6
        const float v2 = v0 + v1;  // add digits.cpp:6
        const float v3 = (v2 <= float(0) ? float(0) : v2);  // relu digits.cpp:6
        a.s2[i0 * t2_0 + i1] = v3;  // digits.cpp:6
    }
}

struct etch_add_relu_1f5c69ff57fc74b4_argument {
    etch_failure* failure;
    body_bf849ef6e80a349f_argument of0[1];
};
extern "C" __global__ void __launch_bounds__(256)
etch_add_relu_1f5c69ff57fc74b4(const __grid_constant__ etch_add_relu_1f5c69ff57fc74b4_argument a) {
    body_bf849ef6e80a349f(a.of0[0], blockIdx.x, gridDim.x, a.failure);
}

struct body_dc295faea9024177_argument {
    int64 part;
    int64* scratch;
    int64 n0;
    int64 n1;
    const float* s0;
    int64 t0_0;
    const float* s1;
    int64 t1_0;
    const int* s2;
    int64 t2_0;
    int64 o3;
    int64 t3_0;
    int64 o4;
    float* s5;
    float* s6;
    float* s7;
    int64 t7_0;
};
static __device__ __forceinline__ void body_dc295faea9024177(const body_dc295faea9024177_argument& a, const uint32 block, const uint32 blocks, etch_failure* failure) {
    using index = int;
    const index n0 = index(a.n0);
    const index n1 = index(a.n1);
    const index t0_0 = index(a.t0_0);
    const index t1_0 = index(a.t1_0);
    const index t2_0 = index(a.t2_0);
    const index t3_0 = index(a.t3_0);
    const index t7_0 = index(a.t7_0);
    const auto join3 = [](const float& x, const float& y) -> float { return (x > y || x != x ? x : y); };
    const auto join6 = [](const float& x, const float& y) -> float { return x + y; };
    const auto join16 = [](const float& x, const float& y) -> float { return x + y; };
    const auto join20 = [](const etch_best<float>& x, const etch_best<float>& y) -> etch_best<float> { return etch_better(x, y); };
    const auto join23 = [](const float& x, const float& y) -> float { return x + y; };
    const int v10 = 10;
    const float v14 = 0.0f;
    const float v18 = float(a.o4);  // digits.cpp:8
    const float v25 = float(1) / v18;  // reciprocal digits.cpp:12
    const float v28 = -v25;  // negative digits.cpp:12
    float r16 = 0.0f;  // digits.cpp:8
    float r23 = 0.0f;  // digits.cpp:11
    const index rows = n0, length = n1;
    const int lane = threadIdx.x % 16;
    for (index first = index(block) * 16; first < rows; first += index(blocks) * 16) {
        const index own = first + threadIdx.x / 16;
        const bool live = own < rows;
        const index row = live ? own : rows - 1;
        const index i0 = row;
        const int v9 = a.s2[i0 * t2_0];  // digits.cpp:4
        const int v11 = etch_checked_index(v9, v10, 0, failure, int(a.part), 11);  // checked_index digits.cpp:8
        etch_pack<float, 1> p2[1];
        etch_pack<float, 1> p4[1];
        etch_pack<float, 1> p5[1];
        float r3 = __int_as_float(-8388608);  // digits.cpp:8
        etch_best<float> r20 = {__int_as_float(-8388608), 0};  // digits.cpp:11
#pragma unroll
        for (int k = 0; k < 1; ++k) {
            const index j = (k * 16 + lane) * 1;
            if (live && j < length) {
                const index i1 = j;
                const float v0 = a.s0[i0 * t0_0 + i1];  // digits.cpp:7
                const float v1 = a.s1[i0 * t1_0 + i1];  // digits.cpp:7
                const float v2 = v0 + v1;  // add digits.cpp:7
                p2[k].at[0] = v2;
                r3 = join3(r3, v2);
                r20 = join20(r20, etch_best<float>{v2, int(j)});
            }
        }
        const float v3 = etch_join_lanes<16>(r3, join3);  // max digits.cpp:8
        const int v20 = etch_join_lanes<16>(r20, join20).index;  // argmax digits.cpp:11
        const bool v21 = v20 == v9;  // equal digits.cpp:11
        const float v22 = float(v21);  // cast digits.cpp:11
        if (live && lane == 0) r23 = join23(r23, v22);
        float r6 = 0.0f;  // digits.cpp:8
#pragma unroll
        for (int k = 0; k < 1; ++k) {
            const index j = (k * 16 + lane) * 1;
            if (live && j < length) {
                const index i1 = j;
                const float v2 = p2[k].at[0];
                const float v4 = v2 - v3;  // subtract digits.cpp:8
                p4[k].at[0] = v4;
                const float v5 = expf(v4);  // exp digits.cpp:8
                p5[k].at[0] = v5;
                r6 = join6(r6, v5);
            }
        }
        const float v6 = etch_join_lanes<16>(r6, join6);  // sum digits.cpp:8
        const float v7 = logf(v6);  // log digits.cpp:8
        const float v26 = v25 / v6;  // divide digits.cpp:12
#pragma unroll
        for (int k = 0; k < 1; ++k) {
            const index j = (k * 16 + lane) * 1;
            if (live && j < length) {
                const index i1 = j;
                const float v4 = p4[k].at[0];
                const float v8 = v4 - v7;  // subtract digits.cpp:8
                const int v12 = int(a.o3 + i0 * t3_0 + i1);  // digits.cpp:8
                const bool v13 = v11 == v12;  // equal digits.cpp:8
                const float v15 = (v13 ? v8 : v14);  // where digits.cpp:8
                r16 = join16(r16, v15);
                const float v5 = p5[k].at[0];
                const float v27 = v26 * v5;  // multiply digits.cpp:12
                const float v29 = (v13 ? v28 : v14);  // where digits.cpp:12
                const float v30 = v29 + v27;  // add digits.cpp:12
                a.s7[i0 * t7_0 + i1] = v30;  // digits.cpp:12
            }
        }
    }
    const auto of_block16 = etch_join_block<256>(r16, join16);
    if (threadIdx.x == 0) *reinterpret_cast<float*>(a.scratch + 2 * (0 * blocks + block)) = of_block16;
    const auto of_block23 = etch_join_block<256>(r23, join23);
    if (threadIdx.x == 0) *reinterpret_cast<float*>(a.scratch + 2 * (1 * blocks + block)) = of_block23;
}
static __device__ __forceinline__ void body_dc295faea9024177_end(const body_dc295faea9024177_argument& a, const uint32 blocks, etch_failure* failure) {
    using index = int;
    const index n0 = index(a.n0);
    const index n1 = index(a.n1);
    const index t0_0 = index(a.t0_0);
    const index t1_0 = index(a.t1_0);
    const index t2_0 = index(a.t2_0);
    const index t3_0 = index(a.t3_0);
    const index t7_0 = index(a.t7_0);
    const auto join3 = [](const float& x, const float& y) -> float { return (x > y || x != x ? x : y); };
    const auto join6 = [](const float& x, const float& y) -> float { return x + y; };
    const auto join16 = [](const float& x, const float& y) -> float { return x + y; };
    const auto join20 = [](const etch_best<float>& x, const etch_best<float>& y) -> etch_best<float> { return etch_better(x, y); };
    const auto join23 = [](const float& x, const float& y) -> float { return x + y; };
    const int v10 = 10;
    const float v14 = 0.0f;
    const float v18 = float(a.o4);  // digits.cpp:8
    const float v25 = float(1) / v18;  // reciprocal digits.cpp:12
    const float v28 = -v25;  // negative digits.cpp:12
    float r16 = 0.0f;  // digits.cpp:8
    for (uint32 k = threadIdx.x; k < blocks; k += 256) r16 = join16(r16, etch_fresh(reinterpret_cast<float*>(a.scratch + 2 * (0 * blocks + k))));
    const float v16 = etch_join_block<256>(r16, join16);  // sum digits.cpp:8
    const float v17 = -v16;  // negative digits.cpp:8
    const float v19 = v17 / v18;  // divide digits.cpp:8
    float r23 = 0.0f;  // digits.cpp:11
    for (uint32 k = threadIdx.x; k < blocks; k += 256) r23 = join23(r23, etch_fresh(reinterpret_cast<float*>(a.scratch + 2 * (1 * blocks + k))));
    const float v23 = etch_join_block<256>(r23, join23);  // sum digits.cpp:11
    const float v24 = v23 / v18;  // divide digits.cpp:11
    __syncthreads();
    if (threadIdx.x == 0) a.s5[0] = v19;  // digits.cpp:8
    if (threadIdx.x == 0) a.s6[0] = v24;  // digits.cpp:11
    __syncthreads();
}

struct etch_add_max_subtract_58002db23f82ca8c_argument {
    etch_failure* failure;
    uint32* ticket;
    body_dc295faea9024177_argument of0[1];
};
extern "C" __global__ void __launch_bounds__(256)
etch_add_max_subtract_58002db23f82ca8c(const __grid_constant__ etch_add_max_subtract_58002db23f82ca8c_argument a) {
    body_dc295faea9024177(a.of0[0], blockIdx.x, gridDim.x, a.failure);
    if (!etch_is_last(a.ticket)) return;
    body_dc295faea9024177_end(a.of0[0], gridDim.x, a.failure);
}

struct body_253069f32ce9f05d_argument {
    int64 part;
    int64 n0;
    int64 n1;
    const float* s0;
    int64 t0_1;
    float* s1;
};
static __device__ __forceinline__ void body_253069f32ce9f05d(const body_253069f32ce9f05d_argument& a, const uint32 block, const uint32 blocks, etch_failure* failure) {
    using index = int;
    const index n0 = index(a.n0);
    const index n1 = index(a.n1);
    const index t0_1 = index(a.t0_1);
    const auto join1 = [](const float& x, const float& y) -> float { return x + y; };
    const index groups = (n0 + 7) / 8, rows = 1, length = n1;
    const int tx = threadIdx.x % 8, ty = threadIdx.x / 8;
    for (index u = block; u < rows * groups; u += blocks) {
        const index row = u / groups, column = u % groups * 8 + tx;
        const bool live = column < n0;
        const index i0 = live ? column : n0 - 1;
        float r1 = 0.0f;  // digits.cpp:12
        for (index j = ty; live && j < length; j += 8) {
            const index i1 = j;
            const float v0 = a.s0[i0 + i1 * t0_1];  // digits.cpp:12
            r1 = join1(r1, v0);
        }
        const float v1 = etch_join_columns<64, 8>(r1, join1);  // sum digits.cpp:12
        __syncthreads();
        if (live && ty == 0) a.s1[i0] = v1;  // digits.cpp:12
    }
}

struct etch_sum_0d3b507af86ec8c5_argument {
    etch_failure* failure;
    body_253069f32ce9f05d_argument of0[1];
};
extern "C" __global__ void __launch_bounds__(64)
etch_sum_0d3b507af86ec8c5(const __grid_constant__ etch_sum_0d3b507af86ec8c5_argument a) {
    body_253069f32ce9f05d(a.of0[0], blockIdx.x, gridDim.x, a.failure);
}

struct body_41381c82e740f4d5_argument {
    int64 part;
    int64 n0;
    int64 n1;
    const float* s0;
    int64 t0_1;
    const float* s1;
    int64 t1_1;
    float* s2;
    int64 t2_1;
    float* s3;
};
static __device__ __forceinline__ void body_41381c82e740f4d5(const body_41381c82e740f4d5_argument& a, const uint32 block, const uint32 blocks, etch_failure* failure) {
    using index = int;
    const index n0 = index(a.n0);
    const index n1 = index(a.n1);
    const index t0_1 = index(a.t0_1);
    const index t1_1 = index(a.t1_1);
    const index t2_1 = index(a.t2_1);
    const auto join5 = [](const float& x, const float& y) -> float { return x + y; };
    const float v1 = 0.0f;
    const index groups = (n0 + 7) / 8, rows = 1, length = n1;
    const int tx = threadIdx.x % 8, ty = threadIdx.x / 8;
    for (index u = block; u < rows * groups; u += blocks) {
        const index row = u / groups, column = u % groups * 8 + tx;
        const bool live = column < n0;
        const index i0 = live ? column : n0 - 1;
        float r5 = 0.0f;  // digits.cpp:12
        for (index j = ty; live && j < length; j += 8) {
            const index i1 = j;
            const float v0 = a.s0[i0 + i1 * t0_1];  // digits.cpp:6
            const bool v2 = v0 > v1;  // greater digits.cpp:12
            const float v3 = a.s1[i0 + i1 * t1_1];  // digits.cpp:12
            const float v4 = (v2 ? v3 : v1);  // where digits.cpp:12
            r5 = join5(r5, v4);
            a.s2[i0 + i1 * t2_1] = v4;  // digits.cpp:12
        }
        const float v5 = etch_join_columns<64, 8>(r5, join5);  // sum digits.cpp:12
        __syncthreads();
        if (live && ty == 0) a.s3[i0] = v5;  // digits.cpp:12
    }
}

struct etch_greater_where_sum_d2e4eea9a2bd5d8b_argument {
    etch_failure* failure;
    body_41381c82e740f4d5_argument of0[1];
};
extern "C" __global__ void __launch_bounds__(64)
etch_greater_where_sum_d2e4eea9a2bd5d8b(const __grid_constant__ etch_greater_where_sum_d2e4eea9a2bd5d8b_argument a) {
    body_41381c82e740f4d5(a.of0[0], blockIdx.x, gridDim.x, a.failure);
}

struct body_a27fa304b01c0c3e_argument {
    int64 part;
    int64 n0;
    const float* s0;
    const float* s1;
    const float* s2;
    const int64* s3;
    const float* s4;
    float* s5;
    float* s6;
    float* s7;
};
static __device__ __forceinline__ void body_a27fa304b01c0c3e(const body_a27fa304b01c0c3e_argument& a, const uint32 block, const uint32 blocks, etch_failure* failure) {
    using index = int;
    const index n0 = index(a.n0);
    const float v0 = 0.9f;
    const float v3 = 0.1f;
    const float v7 = 0.999f;
    const float v11 = 0.001f;
    const float v14 = -0.105360515f;
    const int64 v15 = a.s3[0];  // digits.cpp:12
    const int64 v16 = 1LL;
    const int64 v17 = v15 + v16;  // add digits.cpp:12
    const float v18 = float(v17);  // cast digits.cpp:12
    const float v19 = v14 * v18;  // multiply digits.cpp:12
    const float v20 = expm1f(v19);  // expm1 digits.cpp:12
    const float v21 = -v20;  // negative digits.cpp:12
    const float v22 = v11 / v21;  // divide digits.cpp:12
    const float v25 = -0.0010005003f;
    const float v26 = v25 * v18;  // multiply digits.cpp:12
    const float v27 = expm1f(v26);  // expm1 digits.cpp:12
    const float v28 = -v27;  // negative digits.cpp:12
    const float v29 = sqrtf(v28);  // sqrt digits.cpp:12
    const float v30 = float(1) / v29;  // reciprocal digits.cpp:12
    const float v32 = 1e-08f;
#pragma unroll 1
    for (index u = index(block) * 256 + index(threadIdx.x); u < n0; u += index(blocks) * 256) {
        const index i0 = u;
        const float v1 = a.s0[i0];  // digits.cpp:12
        const float v2 = v0 * v1;  // multiply digits.cpp:12
        const float v4 = a.s1[i0];  // digits.cpp:12
        const float v5 = v3 * v4;  // multiply digits.cpp:12
        const float v6 = v2 + v5;  // add digits.cpp:12
        const float v8 = a.s2[i0];  // digits.cpp:12
        const float v9 = v7 * v8;  // multiply digits.cpp:12
        const float v10 = v4 * v4;  // square digits.cpp:12
        const float v12 = v11 * v10;  // multiply digits.cpp:12
        const float v13 = v9 + v12;  // add digits.cpp:12
        const float v23 = v22 * v6;  // multiply digits.cpp:12
        const float v24 = sqrtf(v13);  // sqrt digits.cpp:12
        const float v31 = v24 * v30;  // multiply digits.cpp:12
        const float v33 = v31 + v32;  // add digits.cpp:12
        const float v34 = v23 / v33;  // divide digits.cpp:12
        const float v35 = a.s4[i0];  // digits.cpp:7
        const float v36 = v35 - v34;  // subtract digits.cpp:12
        a.s5[i0] = v6;  // digits.cpp:12
        a.s6[i0] = v13;  // digits.cpp:12
        a.s7[i0] = v36;  // digits.cpp:12
    }
}

struct body_8c8ed3ee662346f9_argument {
    int64 part;
    int64 n0;
    const float* s0;
    const float* s1;
    const float* s2;
    const int64* s3;
    const float* s4;
    float* s5;
    float* s6;
    float* s7;
};
static __device__ __forceinline__ void body_8c8ed3ee662346f9(const body_8c8ed3ee662346f9_argument& a, const uint32 block, const uint32 blocks, etch_failure* failure) {
    using index = int;
    const index n0 = index(a.n0);
    const float v0 = 0.9f;
    const float v3 = 0.1f;
    const float v7 = 0.999f;
    const float v11 = 0.001f;
    const float v14 = -0.105360515f;
    const int64 v15 = a.s3[0];  // digits.cpp:12
    const int64 v16 = 1LL;
    const int64 v17 = v15 + v16;  // add digits.cpp:12
    const float v18 = float(v17);  // cast digits.cpp:12
    const float v19 = v14 * v18;  // multiply digits.cpp:12
    const float v20 = expm1f(v19);  // expm1 digits.cpp:12
    const float v21 = -v20;  // negative digits.cpp:12
    const float v22 = v11 / v21;  // divide digits.cpp:12
    const float v25 = -0.0010005003f;
    const float v26 = v25 * v18;  // multiply digits.cpp:12
    const float v27 = expm1f(v26);  // expm1 digits.cpp:12
    const float v28 = -v27;  // negative digits.cpp:12
    const float v29 = sqrtf(v28);  // sqrt digits.cpp:12
    const float v30 = float(1) / v29;  // reciprocal digits.cpp:12
    const float v32 = 1e-08f;
    const auto points = [&](const auto lanes, const index i0) {
        constexpr int N = decltype(lanes)::value;
        const auto p1 = etch_load<N>(a.s0 + i0);  // digits.cpp:12
        const auto p4 = etch_load<N>(a.s1 + i0);  // digits.cpp:12
        const auto p8 = etch_load<N>(a.s2 + i0);  // digits.cpp:12
        const auto p35 = etch_load<N>(a.s4 + i0);  // digits.cpp:6
        etch_pack<float, N> p37;
        etch_pack<float, N> p38;
        etch_pack<float, N> p39;
#pragma unroll
        for (int l = 0; l < N; ++l) {
            const float v1 = p1.at[l];
            const float v2 = v0 * v1;  // multiply digits.cpp:12
            const float v4 = p4.at[l];
            const float v5 = v3 * v4;  // multiply digits.cpp:12
            const float v6 = v2 + v5;  // add digits.cpp:12
            const float v8 = p8.at[l];
            const float v9 = v7 * v8;  // multiply digits.cpp:12
            const float v10 = v4 * v4;  // square digits.cpp:12
            const float v12 = v11 * v10;  // multiply digits.cpp:12
            const float v13 = v9 + v12;  // add digits.cpp:12
            const float v23 = v22 * v6;  // multiply digits.cpp:12
            const float v24 = sqrtf(v13);  // sqrt digits.cpp:12
            const float v31 = v24 * v30;  // multiply digits.cpp:12
            const float v33 = v31 + v32;  // add digits.cpp:12
            const float v34 = v23 / v33;  // divide digits.cpp:12
            const float v35 = p35.at[l];
            const float v36 = v35 - v34;  // subtract digits.cpp:12
            p37.at[l] = v6;
            p38.at[l] = v13;
            p39.at[l] = v36;
        }
        etch_store(a.s5 + i0, p37);  // digits.cpp:12
        etch_store(a.s6 + i0, p38);  // digits.cpp:12
        etch_store(a.s7 + i0, p39);  // digits.cpp:12
    };
    const index packs = n0 / 4;
#pragma unroll 1
    for (index u = index(block) * 256 + index(threadIdx.x); u < packs; u += index(blocks) * 256) {
        points(etch_lanes<4>{}, 4 * u);
    }
#pragma unroll 1
    for (index u = 4 * packs + index(block) * 256 + index(threadIdx.x); u < n0; u += index(blocks) * 256) {
        points(etch_lanes<1>{}, u);
    }
}

struct body_75ca367bd98695a9_argument {
    int64 part;
    const int64* s0;
    int64* s1;
};
static __device__ __forceinline__ void body_75ca367bd98695a9_end(const body_75ca367bd98695a9_argument& a, const uint32 blocks, etch_failure* failure) {
    using index = int;
    const int64 v0 = a.s0[0];  // digits.cpp:12
    const int64 v1 = 1LL;
    const int64 v2 = v0 + v1;  // add digits.cpp:12
    __syncthreads();
    if (threadIdx.x == 0) a.s1[0] = v2;  // digits.cpp:12
    __syncthreads();
}

struct etch_multiply_add_square_754ee0997856f906_argument {
    etch_failure* failure;
    uint32* ticket;
    int64 first[6];  // block of each part
    body_a27fa304b01c0c3e_argument of0[3];
    body_8c8ed3ee662346f9_argument of1[1];
    body_75ca367bd98695a9_argument of2[1];
};
extern "C" __global__ void __launch_bounds__(256)
etch_multiply_add_square_754ee0997856f906(const __grid_constant__ etch_multiply_add_square_754ee0997856f906_argument a) {
    if (a.failure->set != 0) return;
    int part = 0;
    for (int step = 4; step > 0; step /= 2)
        if (part + step < 5 && int64(blockIdx.x) >= a.first[part + step]) part += step;
    const uint32 block = blockIdx.x - uint32(a.first[part]);
    const uint32 blocks = uint32(a.first[part + 1] - a.first[part]);
    if (part < 3) {
        body_a27fa304b01c0c3e(a.of0[part], block, blocks, a.failure);
    }
    else if (part < 4) {
        body_8c8ed3ee662346f9(a.of1[part - 3], block, blocks, a.failure);
    }
    else {
    }
    if (!etch_is_last(a.ticket)) return;
    for (int k = 0; k < 1; ++k)
        body_75ca367bd98695a9_end(a.of2[k], uint32(a.first[4 + k + 1] - a.first[4 + k]), a.failure);
}

