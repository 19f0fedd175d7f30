// SPDX-License-Identifier: MIT
// The devices that are not there: they copy, record, wait and multiply as CUDA says, and tell what
// is wrong.
#include "catch.hpp"

#include <etch/cuda/libraries.hpp>

#if __has_include(<cuda.h>) && __has_include(<nvrtc.h>)

#include <algorithm>
#include <cmath>

#include <etch/expr/model.hpp>

#include <etch/cuda/nvrtc.hpp>

#include "cuda/host_device.hpp"

using etch_test::contains;
using host_device::settings;
namespace cuda = etch::cuda;

namespace {

const std::string text = R"(// a prelude
// ---- kernels
struct add_argument { float* to; long long count; float by; };
extern "C" __global__ void __launch_bounds__(128) add(const add_argument a) {
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < a.count) a.to[i] += a.by;
}
struct hang_argument { int unused; };
extern "C" __global__ void hang(const hang_argument) {
    if (threadIdx.x < 40) __syncthreads();
    else __syncwarp();
}
)";
struct add_argument {
    CUdeviceptr to;
    long long count;
    float by;
};

// What a program does before its first kernel.
struct session {
    const cuda::driver_table& d = cuda::driver();
    CUstream stream = nullptr;
    CUmodule module = nullptr;
    session() {
        CUcontext context = nullptr;
        REQUIRE(d.cuInit(0) == CUDA_SUCCESS);
        REQUIRE(d.cuDevicePrimaryCtxRetain(&context, 0) == CUDA_SUCCESS);
        REQUIRE(d.cuCtxSetCurrent(context) == CUDA_SUCCESS);
        REQUIRE(d.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING) == CUDA_SUCCESS);
    }
    ~session() {
        if (module) d.cuModuleUnload(module);
        d.cuStreamDestroy(stream);
    }
    CUfunction function(const char* name) {
        CUfunction f = nullptr;
        if (!module)
            REQUIRE(d.cuModuleLoadData(&module, cuda::compile(text, 90, {}, "test").cubin.data()) ==
                    CUDA_SUCCESS);
        REQUIRE(d.cuModuleGetFunction(&f, module, name) == CUDA_SUCCESS);
        return f;
    }
    CUdeviceptr block(std::size_t bytes) {
        CUdeviceptr p = 0;
        REQUIRE(d.cuMemAlloc(&p, bytes) == CUDA_SUCCESS);
        return p;
    }
    CUresult add(CUfunction f, CUdeviceptr to, long long count, float by) {
        add_argument a{to, count, by};
        void* arguments[]{&a};
        auto blocks = static_cast<unsigned>((count + 127) / 128);
        CUresult r = d.cuLaunchKernel(f, blocks, 1, 1, 128, 1, 1, 0, stream, arguments, nullptr);
        a = {};  // was copied
        return r;
    }
    std::vector<float> read(CUdeviceptr from, std::size_t count) {
        std::vector<float> all(count);
        REQUIRE(d.cuMemcpyDtoHAsync(all.data(), from, 4 * count, stream) == CUDA_SUCCESS);
        REQUIRE(d.cuStreamSynchronize(stream) == CUDA_SUCCESS);
        return all;
    }
};

}  // namespace

TEST_CASE("a host device runs kernels, and its calls are listed") {
    host_device::device gpu({.devices = 2, .capability = 90});
    gpu.register_texts({text});
    CHECK(cuda::driver_available());
    {
        session s;
        CUfunction f = s.function("add");
        CUdeviceptr p = s.block(1200);
        CHECK(gpu.used_bytes() == 1200);
        CHECK(gpu.used_bytes(1) == 0);
        std::vector<float> x(300, 1.0f);
        gpu.clear_calls();
        REQUIRE(s.d.cuMemcpyHtoDAsync(p, x.data(), 1200, s.stream) == CUDA_SUCCESS);
        REQUIRE(s.add(f, p, 300, 2.0f) == CUDA_SUCCESS);
        CHECK(s.read(p, 300) == std::vector<float>(300, 3.0f));
        CHECK(gpu.calls() ==
              std::vector<std::string>{"cuMemcpyHtoDAsync block 1 from host, 1200 bytes, stream 1",
                                       "cuLaunchKernel add, 3 blocks of 128, stream 1",
                                       "cuMemcpyDtoHAsync host from block 1, 1200 bytes, stream 1",
                                       "cuStreamSynchronize stream 1"});
        CHECK(gpu.calls("cuMemcpy").size() == 2);
        CHECK_THAT(gpu.leaks(),
                   contains("block 1, 1200 bytes") && contains("stream 1") && contains("module 1"));
        CHECK(s.d.cuMemFree(p) == CUDA_SUCCESS);
    }
    CHECK(gpu.verdict() == "");
}

TEST_CASE("what a driver refuses is refused") {
    host_device::device gpu({.memory = 1 << 20});
    CUdeviceptr p = 0;
    CHECK(cuda::driver().cuMemAlloc(&p, 8) == CUDA_ERROR_INVALID_CONTEXT);
    session s;
    CUfunction f = s.function("add"), none = nullptr;
    CHECK(s.d.cuMemAlloc(&p, 0) == CUDA_ERROR_INVALID_VALUE);
    CHECK(s.d.cuMemAlloc(&p, (1 << 20) + 1) == CUDA_ERROR_OUT_OF_MEMORY);
    p = s.block(1 << 19);
    std::size_t free = 0, total = 0;
    REQUIRE(s.d.cuMemGetInfo(&free, &total) == CUDA_SUCCESS);
    CHECK(free == 1 << 19);
    CHECK(total == 1 << 20);
    CHECK(s.d.cuModuleGetFunction(&none, s.module, "sub") == CUDA_ERROR_NOT_FOUND);
    CUmodule m = nullptr;
    for (auto [architecture, answer] :
         {std::pair{80, CUDA_ERROR_NO_BINARY_FOR_GPU}, {100, CUDA_ERROR_NO_BINARY_FOR_GPU}})
        CHECK(s.d.cuModuleLoadData(
                  &m, cuda::compile(text, architecture, {}, "test").cubin.data()) == answer);
    CHECK(s.d.cuModuleLoadData(&m, "\177ELF") == CUDA_ERROR_INVALID_IMAGE);
    add_argument a{p, 1, 1};
    void* arguments[]{&a};
    auto launch = [&](unsigned blocks, unsigned threads, unsigned shared) {
        return s.d.cuLaunchKernel(f, blocks, 1, 1, threads, 1, 1, shared, s.stream, arguments,
                                  nullptr);
    };
    CHECK(launch(1, 128, 0) == CUDA_SUCCESS);
    CHECK(launch(0, 128, 0) == CUDA_ERROR_INVALID_VALUE);
    CHECK(launch(1, 129, 0) == CUDA_ERROR_INVALID_VALUE);  // above __launch_bounds__
    CHECK(launch(1, 128, 4) == CUDA_ERROR_INVALID_VALUE);
    CHECK(gpu.problems().empty());
    float x[4];
    CHECK(s.d.cuMemcpyDtoHAsync(x, p + (1 << 19) - 8, 16, s.stream) == CUDA_ERROR_INVALID_VALUE);
    CHECK_THAT(gpu.verdict(), contains("16 bytes at block 1+524280 do not lie in a block"));
    CHECK(s.d.cuMemFree(p) == CUDA_SUCCESS);
    CHECK(s.d.cuMemFree(p) == CUDA_ERROR_INVALID_VALUE);
    CHECK_THAT(gpu.verdict(), contains("not allocated, or twice"));
}

TEST_CASE("PTX of an older architecture runs on a newer device") {
    host_device::device gpu({.capability = 130});
    session s;
    CUmodule m = nullptr;
    auto code = cuda::compile(text, 130, {}, "test").cubin;  // NVRTC does not know it
    CHECK_THAT(code, contains("compute_121"));
    CHECK(s.d.cuModuleLoadData(&m, code.data()) == CUDA_SUCCESS);
    CHECK(s.d.cuModuleUnload(m) == CUDA_SUCCESS);
}

TEST_CASE("fresh memory is not zero, and what is written around it is found") {
    host_device::device gpu;
    session s;
    CUdeviceptr p = s.block(400);
    auto fresh = s.read(p, 100);
    std::uint32_t bits = 0;
    std::memcpy(&bits, &fresh[99], 4);
    CHECK(bits == 0xCDCDCDCD);
    CHECK(p % 256 == 0);
    if (host_device::sanitized()) {  // which would end the process here
        s.d.cuMemFree(p);
        return;
    }
    REQUIRE(s.add(s.function("add"), p, 101, 1.0f) == CUDA_SUCCESS);
    CHECK(s.d.cuStreamSynchronize(s.stream) == CUDA_ERROR_ILLEGAL_ADDRESS);
    CHECK_THAT(gpu.verdict(), contains("after kernel add: block 1: bytes after it were written"));
    s.d.cuMemFree(p);
}

TEST_CASE("calls fail when they are told to, and a fault lasts") {
    host_device::device gpu;
    session s;
    CUdeviceptr p = s.block(400), q = 0;
    CUfunction f = s.function("add");
    REQUIRE(s.d.cuMemsetD8Async(p, 0, 400, s.stream) == CUDA_SUCCESS);
    gpu.fail("cuLaunchKernel", CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, 2);
    CHECK(s.add(f, p, 100, 1) == CUDA_SUCCESS);
    CHECK(s.add(f, p, 100, 1) == CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES);
    CHECK(s.add(f, p, 100, 1) == CUDA_SUCCESS);
    CHECK(s.read(p, 100) == std::vector<float>(100, 2.0f));
    gpu.fail("nvrtcCompileProgram", NVRTC_ERROR_COMPILATION);
    CHECK_THROWS_WITH(cuda::compile(text, 90, {}, "test"), contains("told to fail"));
    // A fault is met by what comes after the kernel.
    gpu.fail("kernel", CUDA_ERROR_ILLEGAL_ADDRESS, 2);
    CHECK(s.add(f, p, 100, 1) == CUDA_SUCCESS);
    CHECK(s.add(f, p, 100, 1) == CUDA_SUCCESS);
    CHECK(s.d.cuStreamSynchronize(s.stream) == CUDA_ERROR_ILLEGAL_ADDRESS);
    CHECK(s.d.cuMemAlloc(&q, 8) == CUDA_ERROR_ILLEGAL_ADDRESS);
    CHECK(s.d.cuMemFree(p) == CUDA_ERROR_ILLEGAL_ADDRESS);
    CHECK_THAT(gpu.leaks(), !contains("block"));
}

TEST_CASE("a kernel that hangs ends with a sentence") {
    host_device::device gpu;
    session s;
    int unused = 0;
    void* arguments[]{&unused};
    CHECK(s.d.cuLaunchKernel(s.function("hang"), 1, 1, 1, 64, 1, 1, 0, s.stream, arguments,
                             nullptr) == CUDA_SUCCESS);
    CHECK(s.d.cuStreamSynchronize(s.stream) == CUDA_ERROR_LAUNCH_TIMEOUT);
    CHECK_THAT(gpu.verdict(), contains("kernel hang") && contains("__syncwarp"));
}

TEST_CASE("a captured stream runs nothing, and its graph runs with copied arguments") {
    host_device::device gpu;
    session s;
    CUdeviceptr p = s.block(40);
    CUfunction f = s.function("add");
    void* pinned = nullptr;
    REQUIRE(s.d.cuMemHostAlloc(&pinned, 80, 0) == CUDA_SUCCESS);
    auto* from = static_cast<float*>(pinned);
    auto* to = from + 10;
    REQUIRE(s.d.cuStreamBeginCapture(s.stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL) ==
            CUDA_SUCCESS);
    REQUIRE(s.d.cuMemcpyHtoDAsync(p, from, 40, s.stream) == CUDA_SUCCESS);
    REQUIRE(s.add(f, p, 10, 5) == CUDA_SUCCESS);
    REQUIRE(s.add(f, p, 10, 6) == CUDA_SUCCESS);
    REQUIRE(s.d.cuMemcpyDtoHAsync(to, p, 40, s.stream) == CUDA_SUCCESS);
    CUgraph graph = nullptr;
    CUgraphExec executable = nullptr;
    REQUIRE(s.d.cuStreamEndCapture(s.stream, &graph) == CUDA_SUCCESS);
    std::uint32_t untouched = 0;
    std::memcpy(&untouched, to, 4);
    CHECK(untouched == 0xCDCDCDCD);
    REQUIRE(s.d.cuGraphInstantiateWithFlags(&executable, graph, 0) == CUDA_SUCCESS);
    CHECK(gpu.calls("cuGraphInst") ==
          std::vector<std::string>{"cuGraphInstantiateWithFlags 1, 4 nodes"});
    CHECK(s.d.cuGraphDestroy(graph) == CUDA_SUCCESS);
    for (float x : {1.0f, 20.0f}) {
        std::fill(from, from + 10, x);
        REQUIRE(s.d.cuGraphLaunch(executable, s.stream) == CUDA_SUCCESS);
        REQUIRE(s.d.cuStreamSynchronize(s.stream) == CUDA_SUCCESS);
        CHECK(to[9] == x + 11);
    }
    // What must not come in a capture ends it.
    CUdeviceptr q = 0;
    REQUIRE(s.d.cuStreamBeginCapture(s.stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL) ==
            CUDA_SUCCESS);
    CHECK(s.d.cuMemAlloc(&q, 8) == CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    CHECK(s.add(f, p, 10, 6) == CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    CHECK(s.d.cuStreamEndCapture(s.stream, &graph) == CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    CHECK(graph == nullptr);
    // The graph outlived its module.
    s.d.cuModuleUnload(s.module);
    s.module = nullptr;
    CHECK(s.d.cuGraphLaunch(executable, s.stream) == CUDA_SUCCESS);
    CHECK(s.d.cuStreamSynchronize(s.stream) == CUDA_ERROR_ILLEGAL_ADDRESS);
    CHECK_THAT(gpu.problems().back(), contains("after its module was unloaded"));
    s.d.cuGraphExecDestroy(executable);
    s.d.cuMemFree(p);
    s.d.cuMemFreeHost(pinned);
}

TEST_CASE("events order streams, in a capture too") {
    host_device::device gpu({.deferred = true});
    session s;
    CUstream other = nullptr;
    CUevent begin = nullptr, end = nullptr;
    REQUIRE(s.d.cuStreamCreate(&other, CU_STREAM_NON_BLOCKING) == CUDA_SUCCESS);
    REQUIRE(s.d.cuEventCreate(&begin, CU_EVENT_DEFAULT) == CUDA_SUCCESS);
    REQUIRE(s.d.cuEventCreate(&end, CU_EVENT_DEFAULT) == CUDA_SUCCESS);
    CUdeviceptr p = s.block(4);
    REQUIRE(s.d.cuMemsetD8Async(p, 0, 4, s.stream) == CUDA_SUCCESS);
    REQUIRE(s.add(s.function("add"), p, 1, 3) == CUDA_SUCCESS);
    REQUIRE(s.d.cuEventRecord(begin, s.stream) == CUDA_SUCCESS);
    REQUIRE(s.d.cuMemsetD8Async(p, 1, 4, s.stream) == CUDA_SUCCESS);
    void* pinned = nullptr;
    REQUIRE(s.d.cuMemHostAlloc(&pinned, 4, 0) == CUDA_SUCCESS);
    auto* x = static_cast<float*>(pinned);
    *x = -1;
    REQUIRE(s.d.cuStreamWaitEvent(other, begin, 0) == CUDA_SUCCESS);
    REQUIRE(s.d.cuMemcpyDtoHAsync(x, p, 4, other) == CUDA_SUCCESS);
    REQUIRE(s.d.cuEventRecord(end, other) == CUDA_SUCCESS);
    CHECK(*x == -1);  // nobody waited yet
    float milliseconds = -1;
    CHECK(s.d.cuEventElapsedTime(&milliseconds, begin, end) == CUDA_ERROR_NOT_READY);
    CHECK(s.d.cuEventSynchronize(end) == CUDA_SUCCESS);
    CHECK(*x == 3);  // what stands before the event, and not what stands after it
    CHECK(s.d.cuEventElapsedTime(&milliseconds, begin, end) == CUDA_SUCCESS);
    CHECK(milliseconds >= 0);
    int polls = 0;
    while (s.d.cuStreamQuery(s.stream) == CUDA_ERROR_NOT_READY) ++polls;
    CHECK(polls <= 4);

    CUgraph graph = nullptr;
    for (bool joined : {true, false}) {
        REQUIRE(s.d.cuStreamBeginCapture(s.stream, CU_STREAM_CAPTURE_MODE_GLOBAL) == CUDA_SUCCESS);
        REQUIRE(s.d.cuEventRecord(begin, s.stream) == CUDA_SUCCESS);
        REQUIRE(s.d.cuStreamWaitEvent(other, begin, 0) == CUDA_SUCCESS);
        REQUIRE(s.d.cuMemsetD8Async(p, 0, 4, other) == CUDA_SUCCESS);
        REQUIRE(s.d.cuEventRecord(end, other) == CUDA_SUCCESS);
        if (joined) REQUIRE(s.d.cuStreamWaitEvent(s.stream, end, 0) == CUDA_SUCCESS);
        CHECK(s.d.cuStreamEndCapture(s.stream, &graph) ==
              (joined ? CUDA_SUCCESS : CUDA_ERROR_STREAM_CAPTURE_UNJOINED));
        if (joined) s.d.cuGraphDestroy(graph);
    }
    s.d.cuEventDestroy(begin);
    s.d.cuEventDestroy(end);
    s.d.cuStreamDestroy(other);
    s.d.cuMemFree(p);
    s.d.cuMemFreeHost(pinned);
    s.d.cuModuleUnload(s.module);
    s.module = nullptr;
    CHECK(gpu.problems().empty());
}

#if __has_include(<cublasLt.h>)
namespace {

template <class T> struct matrix {
    std::int64_t rows, columns, leading, stride;
    int batch;
    std::vector<T> values;
    matrix(std::int64_t m, std::int64_t n, int count, bool gap)
        : rows(m),
          columns(n),
          leading(m + (gap ? 3 : 0)),
          stride(leading * n + (gap ? 5 : 0)),
          batch(count),
          values(static_cast<std::size_t>(stride * count)) {
        for (std::size_t i = 0; i < values.size(); ++i)
            values[i] = static_cast<T>(std::sin(0.7 * static_cast<double>(i + values.size())));
    }
    T& operator()(std::int64_t i, std::int64_t j, int b) {
        return values[static_cast<std::size_t>(i + j * leading + b * stride)];
    }
    std::size_t bytes() const { return values.size() * sizeof(T); }
};

struct case_of_product {
    bool transpose_a, transpose_b, gap;
    int batch;
    cublasLtEpilogue_t epilogue;
    double alpha, beta;
};

// One product by the table, as a back end would ask for it; C and D are the same matrix.
template <class T>
std::string multiply(session& s, const case_of_product& q, matrix<T>& a, matrix<T>& b, matrix<T>& d,
                     const std::vector<T>& bias,
                     cublasComputeType_t compute = sizeof(T) == 8 ? CUBLAS_COMPUTE_64F
                                                                  : CUBLAS_COMPUTE_32F,
                     std::size_t workspace_bytes = 4096) {
    const auto& lt = cuda::cublaslt();
    constexpr cudaDataType type = sizeof(T) == 8 ? CUDA_R_64F : CUDA_R_32F;
    CUdeviceptr blocks[4]{s.block(a.bytes()), s.block(b.bytes()), s.block(d.bytes()),
                          s.block(bias.size() * sizeof(T))};
    CUdeviceptr workspace = s.block(workspace_bytes);
    auto at = [](CUdeviceptr p) { return reinterpret_cast<void*>(p); };
    s.d.cuMemcpyHtoDAsync(blocks[0], a.values.data(), a.bytes(), s.stream);
    s.d.cuMemcpyHtoDAsync(blocks[1], b.values.data(), b.bytes(), s.stream);
    s.d.cuMemcpyHtoDAsync(blocks[2], d.values.data(), d.bytes(), s.stream);
    s.d.cuMemcpyHtoDAsync(blocks[3], bias.data(), bias.size() * sizeof(T), s.stream);
    cublasLtHandle_t handle = nullptr;
    cublasLtMatmulDesc_t o = nullptr;
    cublasLtMatrixLayout_t layouts[3]{};
    cublasLtMatmulPreference_t preference = nullptr;
    REQUIRE(lt.cublasLtCreate(&handle) == CUBLAS_STATUS_SUCCESS);
    REQUIRE(lt.cublasLtMatmulDescCreate(&o, compute, type) == CUBLAS_STATUS_SUCCESS);
    auto set = [&](cublasLtMatmulDescAttributes_t which, auto value) {
        REQUIRE(lt.cublasLtMatmulDescSetAttribute(o, which, &value, sizeof value) ==
                CUBLAS_STATUS_SUCCESS);
    };
    set(CUBLASLT_MATMUL_DESC_TRANSA, q.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(CUBLASLT_MATMUL_DESC_TRANSB, q.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, q.epilogue);
    set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, at(blocks[3]));
    const matrix<T>* matrices[]{&a, &b, &d};
    for (int i = 0; i < 3; ++i) {
        const matrix<T>& m = *matrices[i];
        REQUIRE(lt.cublasLtMatrixLayoutCreate(&layouts[i], type, static_cast<std::uint64_t>(m.rows),
                                              static_cast<std::uint64_t>(m.columns),
                                              m.leading) == CUBLAS_STATUS_SUCCESS);
        std::int32_t count = m.batch;
        lt.cublasLtMatrixLayoutSetAttribute(layouts[i], CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count,
                                            sizeof count);
        lt.cublasLtMatrixLayoutSetAttribute(layouts[i], CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                            &m.stride, sizeof m.stride);
    }
    REQUIRE(lt.cublasLtMatmulPreferenceCreate(&preference) == CUBLAS_STATUS_SUCCESS);
    auto most = static_cast<std::uint64_t>(workspace_bytes);
    lt.cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                            &most, sizeof most);
    cublasLtMatmulHeuristicResult_t result{};
    int count = 0;
    cublasStatus_t status = lt.cublasLtMatmulAlgoGetHeuristic(
        handle, o, layouts[0], layouts[1], layouts[2], layouts[2], preference, 1, &result, &count);
    if (status == CUBLAS_STATUS_SUCCESS) {
        T alpha = static_cast<T>(q.alpha), beta = static_cast<T>(q.beta);
        status =
            lt.cublasLtMatmul(handle, o, &alpha, at(blocks[0]), layouts[0], at(blocks[1]),
                              layouts[1], &beta, at(blocks[2]), layouts[2], at(blocks[2]),
                              layouts[2], &result.algo, at(workspace), workspace_bytes, s.stream);
    }
    s.d.cuMemcpyDtoHAsync(d.values.data(), blocks[2], d.bytes(), s.stream);
    s.d.cuStreamSynchronize(s.stream);
    lt.cublasLtMatmulPreferenceDestroy(preference);
    for (auto l : layouts) lt.cublasLtMatrixLayoutDestroy(l);
    lt.cublasLtMatmulDescDestroy(o);
    lt.cublasLtDestroy(handle);
    for (CUdeviceptr p : blocks) s.d.cuMemFree(p);
    s.d.cuMemFree(workspace);
    return lt.cublasLtGetStatusName(status);
}

template <class T> void check_products(session& s) {
    const std::int64_t m = 7, n = 5, k = 9;
    for (int bits = 0; bits < 8; ++bits)
        for (auto epilogue :
             {CUBLASLT_EPILOGUE_DEFAULT, CUBLASLT_EPILOGUE_BIAS, CUBLASLT_EPILOGUE_RELU,
              CUBLASLT_EPILOGUE_RELU_BIAS, CUBLASLT_EPILOGUE_GELU, CUBLASLT_EPILOGUE_GELU_BIAS}) {
            case_of_product q{(bits & 1) != 0,     (bits & 2) != 0, (bits & 4) != 0,
                              bits & 4 ? 3 : 1,    epilogue,        1.5,
                              bits & 1 ? 0.5 : 0.0};
            matrix<T> a(q.transpose_a ? k : m, q.transpose_a ? m : k, q.batch, q.gap);
            matrix<T> b(q.transpose_b ? n : k, q.transpose_b ? k : n, q.batch, q.gap);
            matrix<T> d(m, n, q.batch, q.gap);
            std::vector<T> bias{1, -2, 3, -4, 5, -6, 0};
            matrix<T> expected = d;
            for (int p = 0; p < q.batch; ++p)
                for (std::int64_t i = 0; i < m; ++i)
                    for (std::int64_t j = 0; j < n; ++j) {
                        double x = 0;
                        for (std::int64_t l = 0; l < k; ++l)
                            x += static_cast<double>(q.transpose_a ? a(l, i, p) : a(i, l, p)) *
                                 static_cast<double>(q.transpose_b ? b(j, l, p) : b(l, j, p));
                        x = q.alpha * x + q.beta * static_cast<double>(d(i, j, p));
                        if (epilogue == CUBLASLT_EPILOGUE_BIAS ||
                            epilogue == CUBLASLT_EPILOGUE_RELU_BIAS ||
                            epilogue == CUBLASLT_EPILOGUE_GELU_BIAS)
                            x += static_cast<double>(bias[static_cast<std::size_t>(i)]);
                        if (epilogue == CUBLASLT_EPILOGUE_RELU ||
                            epilogue == CUBLASLT_EPILOGUE_RELU_BIAS)
                            x = std::max(x, 0.0);
                        if (epilogue == CUBLASLT_EPILOGUE_GELU ||
                            epilogue == CUBLASLT_EPILOGUE_GELU_BIAS)  // by the exponential
                            x = x / (1 + std::exp(-2 * std::sqrt(2 / 3.141592653589793) *
                                                  (x + 0.044715 * std::pow(x, 3))));
                        expected(i, j, p) = static_cast<T>(x);
                    }
            REQUIRE(multiply(s, q, a, b, d, bias) == "CUBLAS_STATUS_SUCCESS");
            double most = 0;
            for (std::size_t i = 0; i < d.values.size(); ++i)
                most = std::max(most,
                                static_cast<double>(std::fabs(d.values[i] - expected.values[i])));
            CHECK(most < (sizeof(T) == 8 ? 1e-13 : 1e-5));  // also of what lies between columns
        }
}

}  // namespace

TEST_CASE("products of matrices are those of plain loops") {
    host_device::device gpu;
    {
        session s;
        check_products<float>(s);
        check_products<double>(s);
    }
    CHECK(gpu.verdict() == "");
}

TEST_CASE("products that have no algorithm or no room, and fewer bits") {
    host_device::device gpu({.refused = {CUBLASLT_EPILOGUE_GELU_BIAS}});
    {
        session s;
        matrix<float> a(4, 4, 1, false), b(4, 4, 1, false), d(4, 4, 1, false);
        std::vector<float> bias(4, 0.0f);
        case_of_product q{false, false, false, 1, CUBLASLT_EPILOGUE_GELU_BIAS, 1, 0};
        CHECK(multiply(s, q, a, b, d, bias) == "CUBLAS_STATUS_NOT_SUPPORTED");
        CHECK(gpu.calls("cublasLtMatmul ").empty());
        q.epilogue = CUBLASLT_EPILOGUE_BIAS;
        gpu.clear_calls();
        CHECK(multiply(s, q, a, b, d, bias) == "CUBLAS_STATUS_SUCCESS");
        REQUIRE(gpu.calls("cublasLtMatmul ").size() == 1);
        CHECK_THAT(gpu.calls("cublasLtMatmul ")[0], contains("4x4x4, epilogue 4"));
        CHECK(multiply(s, q, a, b, d, bias, CUBLAS_COMPUTE_32F, 64) ==
              "CUBLAS_STATUS_NOT_SUPPORTED");
        matrix<float> wrong(5, 4, 1, false);
        CHECK(multiply(s, q, a, wrong, d, bias) == "CUBLAS_STATUS_INVALID_VALUE");
        // 1 + 2^-12 is 1 in 10 bits of mantissa, 1 + 2^-10 is not.
        q.epilogue = CUBLASLT_EPILOGUE_DEFAULT;
        std::fill(b.values.begin(), b.values.end(), 0.25f);
        for (auto [x, by_fast] : {std::pair{1 + 0x1p-12f, 1.0f}, {1 + 0x1p-10f, 1 + 0x1p-10f}}) {
            std::fill(a.values.begin(), a.values.end(), x);
            multiply(s, q, a, b, d, bias, CUBLAS_COMPUTE_32F_FAST_TF32);
            CHECK(d.values[5] == by_fast);
            multiply(s, q, a, b, d, bias);
            CHECK(d.values[5] == x);
        }
    }
    CHECK(gpu.verdict() == "");
}
#endif

#endif
