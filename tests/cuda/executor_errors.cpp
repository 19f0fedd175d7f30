// SPDX-License-Identifier: MIT
// What goes wrong on a device: sentences that name the step and the user's line, parameters that stay as they were, and
// calls after it. The device is one of the host (see host_device.hpp).
#include "catch.hpp"

#if !__has_include(<cuda.h>) || !__has_include(<nvrtc.h>) || !__has_include(<cublasLt.h>)

TEST_CASE("what goes wrong on a device") { WARN("etch: skipped: no headers of CUDA"); }

#else

#include <etch/language.hpp>

#include "cuda/device_run.hpp"
#include "cuda/host_device.hpp"
#include "sentence.hpp"

namespace {

using etch_test::contains;
using etch_test::device_case;
using etch_test::device_run;
using etch_test::make_case;

constexpr int line_of_layer = __LINE__ + 7;
device_case training_step() {
    return make_case(
        "training step", {6},
        [](etch::graph& g) {
            auto x = g.input<float>("x", {g.dim("N"), 8});
            auto label = g.input<int>("label", {g.dim("N")});
            auto h = relu(etch::nn::dense(x, 16, "hidden"));
            auto loss = mean(cross_entropy(etch::nn::dense(h, 4, "output"), label));
            g.output("loss", loss);
            g.minimize(loss, etch::nn::sgd{.rate = 0.1});
        },
        4);
}
std::string at(int line) { return "executor_errors.cpp:" + std::to_string(line); }

struct variable {
    const char* name;
    variable(const char* n, const char* value) : name(n) { setenv(n, value, 1); }
    ~variable() { unsetenv(name); }
    variable(const variable&) = delete;
};

/// The parameters, bit by bit.
bool same(const device_run::tensors& a, const device_run::tensors& b) {
    for (std::size_t i = 0; i < a.size(); ++i)
        if (a[i].real != b[i].real || a[i].integral != b[i].integral) return false;
    return a.size() == b.size();
}
/// Another call gives what the CPU gives.
void check_next(device_run& run, const device_case& c) {
    auto expected = etch_test::on_cpu(c, run.parameters());
    CHECK(etch_test::differences(run.call(), expected.outputs, "output ") == "");
    CHECK(etch_test::differences(run.parameters(), expected.parameters, "parameter ") == "");
}

}  // namespace

TEST_CASE("an index outside of its axis: the CPU's sentence, and parameters as before") {
    host_device::device gpu({.processors = 2, .deferred = true});
    {
        device_case c = training_step(), wrong = training_step();
        wrong.data.inputs[1].set(4, 7);
        const std::string said = sentence_of([&] { etch_test::on_cpu(wrong, c.data.parameters); });
        REQUIRE_THAT(said, contains("index 7 is outside of an axis of extent 4") &&
                               contains("executor_errors.cpp:"));
        device_run run(c);
        for (int i = 0; i < 4; ++i) {  // first plain, then recorded, then replayed
            auto before = run.parameters();
            CHECK(sentence_of([&] { run.call({6}, wrong.data.inputs); }) == said);
            CHECK(same(run.parameters(), before));
            if (i > 0) check_next(run, c);
        }
        // It belongs to its own call, whoever waits first.
        auto bad = run.start({6}, wrong.data.inputs), good = run.start({6}, c.data.inputs);
        CHECK(sentence_of([&] { good.outputs(); }) == "no mistake");
        CHECK(sentence_of([&] { bad.outputs(); }) == said);
        CHECK(sentence_of([&] { bad.ticket.wait(); }) == "no mistake");
        { auto dropped = run.start({6}, wrong.data.inputs); }
        check_next(run, c);
    }
    CHECK(gpu.verdict() == "");
}

TEST_CASE("an update by a copy does not happen after a failure either") {
    host_device::device gpu;
    {
        device_case c = make_case(
            "copied", {3},
            [](etch::graph& g) {
                auto w = g.param<float>("w", {5}, etch::nn::zeros{});
                auto v = g.param<float>("v", {5}, etch::nn::zeros{});
                g.output("y", take(w, g.input<int>("k", {g.dim("N")}), 0));
                g.update(w, v);
                g.update(v, w);
            },
            5);
        device_run run(c);
        auto wrong = c.data.inputs;
        wrong[0].set(1, -6);
        auto before = run.parameters();
        CHECK_THAT(sentence_of([&] { run.call({3}, wrong); }),
                   contains("index -6 is outside of an axis of extent 5"));
        CHECK(same(run.parameters(), before));
        check_next(run, c);
    }
    CHECK(gpu.verdict() == "");
}

TEST_CASE("an error of a call to a library names the step") {
    host_device::device gpu({.processors = 2});
    {
        device_case c = training_step();
        device_run run(c);
        auto before = run.parameters();
        gpu.fail("cuLaunchKernel", CUDA_ERROR_INVALID_VALUE, 2);
        std::string said = sentence_of([&] { run.call(); });
        CHECK_THAT(said, contains("cuLaunchKernel failed with CUDA_ERROR_INVALID_VALUE (1)") &&
                             contains("the kernel etch_greater_where_sum_") &&
                             contains("uses 32 registers a thread") &&
                             contains("while starting step 6 (") && contains(at(line_of_layer)));
        CHECK(same(run.parameters(), before));
        gpu.fail("cuLaunchKernel", CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES);
        said = sentence_of([&] { run.call(); });
        CHECK_THAT(said, contains("CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES (701)") &&
                             contains("uses 32 registers a thread and 0 bytes of shared memory in "
                                      "blocks of ") &&
                             contains("while starting step 2 ("));
        CHECK(same(run.parameters(), before));
        gpu.fail("cublasLtMatmul", CUBLAS_STATUS_EXECUTION_FAILED, 2);
        said = sentence_of([&] { run.call(); });
        CHECK_THAT(said,
                   contains("cuBLASLt: cublasLtMatmul failed with "
                            "CUBLAS_STATUS_EXECUTION_FAILED (13), while starting step 1 (dot") &&
                       contains(at(line_of_layer + 1)));
        CHECK(same(run.parameters(), before));
        gpu.fail("cuMemcpyHtoDAsync", CUDA_ERROR_INVALID_VALUE);
        CHECK_THAT(sentence_of([&] { run.call(); }),
                   contains("while starting the copy of the inputs"));
        CHECK(same(run.parameters(), before));
        for (int i = 0; i < 3; ++i) check_next(run, c);
        before = run.parameters();
        gpu.fail("cuGraphLaunch", CUDA_ERROR_INVALID_VALUE);
        CHECK_THAT(sentence_of([&] { run.call(); }), contains("cuGraphLaunch failed with"));
        CHECK(same(run.parameters(), before));
        check_next(run, c);
    }
    CHECK(gpu.verdict() == "");
}

TEST_CASE("a fault of a kernel is told when the call is waited for") {
    for (bool synchronous : {false, true}) {
        host_device::device gpu({.processors = 2, .deferred = true});
        std::optional<variable> set;
        if (synchronous) set.emplace("ETCH_CUDA_SYNCHRONOUS", "1");
        device_case c = training_step();
        device_run run(c);
        for (int i = 0; i < 3; ++i) check_next(run, c);
        CHECK(gpu.calls("cuGraphLaunch").empty() == synchronous);
        gpu.fail("kernel", CUDA_ERROR_ILLEGAL_ADDRESS, 2);
        std::string said = sentence_of([&] { run.call(); });
        CHECK_THAT(said, contains("cuStreamSynchronize failed with CUDA_ERROR_ILLEGAL_ADDRESS") &&
                             contains("nothing more can run on the device in this process"));
        if (synchronous)
            CHECK_THAT(said, contains(", while running step 6 (greater where sum -> arena ") &&
                                 !contains("before it"));
        else
            CHECK_THAT(said,
                       contains(", while running step 8 (") &&
                           contains(" or one before it; ETCH_CUDA_SYNCHRONOUS=1 tells which"));
        CHECK_THAT(sentence_of([&] { run.call(); }), contains("CUDA_ERROR_ILLEGAL_ADDRESS"));
    }
}

TEST_CASE("steps of loops have the numbers of both") {
    host_device::device gpu;
    variable set("ETCH_CUDA_SYNCHRONOUS", "1");
    device_case c = make_case("loop", {5, 2}, [](etch::graph& g) {
        auto x = g.input<float>("x", {g.dim("T"), g.dim("N"), 3});
        auto w = g.param<float>("w", {3, 3}, etch::nn::zeros{});
        auto r = scan([&](etch::expr now, etch::expr h) { return tanh(matmul(h, w) + now); }, x,
                      zeros_like(slice(x, {0})));
        g.output("y", r.all + 1);
    });
    device_run run(c);
    check_next(run, c);
    gpu.fail("cublasLtMatmul", CUBLAS_STATUS_INTERNAL_ERROR, 3);
    std::string said = sentence_of([&] { run.call(); });
    INFO(said);
    const auto at_step = said.find("while starting step ");
    REQUIRE(at_step != said.npos);
    CHECK(said.find('.', at_step) < said.find(" (dot", at_step));
    check_next(run, c);
}

TEST_CASE("graphs that cannot be recorded are not: the steps run one by one") {
    for (const char* refused : {"cuStreamBeginCapture", "cuStreamEndCapture",
                                "cuGraphInstantiateWithFlags", "environment"}) {
        INFO(refused);
        host_device::device gpu({.processors = 2, .deferred = true});
        {
            std::optional<variable> set;
            if (refused == std::string_view("environment")) set.emplace("ETCH_CUDA_GRAPH", "0");
            device_case c = training_step();
            device_run run(c);
            check_next(run, c);
            if (!set) gpu.fail(refused, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
            for (int i = 0; i < 3; ++i) check_next(run, c);
            CHECK(gpu.calls("cuGraphLaunch").empty());
            CHECK(gpu.calls("cuStreamBeginCapture").size() == (set ? 0 : 1));
        }
        CHECK(gpu.verdict() == "");
    }
    // A call that may not be recorded: the recording is dropped, and nothing is lost.
    host_device::device gpu({.processors = 2});
    {
        device_case c = training_step();
        device_run run(c);
        check_next(run, c);
        gpu.fail("cublasLtMatmul", CUBLAS_STATUS_NOT_SUPPORTED, 2);
        for (int i = 0; i < 3; ++i) check_next(run, c);
        CHECK(gpu.calls("cuGraphLaunch").empty());
    }
    CHECK(gpu.verdict() == "");
}

TEST_CASE("tensors that do not fit are named") {
    host_device::device gpu({.memory = std::size_t{64} << 20});
    {
        device_case c = make_case("large", {8, 8}, [](etch::graph& g) {
            auto x = g.input<float>("x", {g.dim("N"), g.dim("M")});
            auto y = exp(x);
            g.output("s", sum(matmul(transpose(y), y) * 2));
        });
        device_run run(c);
        check_next(run, c);
        reference::tensor big(etch::dtype::float32, {512, 8192});
        std::string said = sentence_of([&] { run.call({512, 8192}, {big}); });
        CHECK_THAT(said,
                   contains("device cuda:0 (host device) is out of memory: this call needs ") &&
                       contains(" with N = 512, M = 8192, and of 64 MiB, ") &&
                       contains(" are free; the largest values that live at once: dot 256 MiB "
                                "(executor_errors.cpp:") &&
                       contains("), exp 16 MiB (executor_errors.cpp:"));
        for (int i = 0; i < 3; ++i) check_next(run, c);
    }
    CHECK(gpu.verdict() == "");
    CHECK(etch::cuda::bytes_text(1) == "1 byte");
    CHECK(etch::cuda::bytes_text(1536) == "1.5 KiB");
    CHECK(etch::cuda::bytes_text(std::int64_t{80} << 30) == "80 GiB");
}

TEST_CASE("what the library of products refuses") {
    host_device::device gpu({.processors = 2});
    {
        // Without its epilogue the product is followed by a kernel.
        gpu.options().refused = {CUBLASLT_EPILOGUE_RELU_BIAS};
        device_case c = training_step();
        device_run run(c);
        for (int i = 0; i < 3; ++i) check_next(run, c);
        CHECK(gpu.calls("cublasLtMatmul 16x6x8, epilogue 1,").size() == 2);
        CHECK(gpu.calls("cuLaunchKernel etch_add_relu").size() == 2);
        gpu.options().workspace = std::size_t{64} << 20;
        reference::tensor x(etch::dtype::float32, {7, 8}), label(etch::dtype::int32, {7});
        CHECK_THAT(
            sentence_of([&] {
                run.call({7}, {x, label});
            }),
            contains("cuBLASLt has no algorithm for the product of 8 x 7 by 7 x 16 of float32, "
                     "batch of 1 (executor_errors.cpp:"));
    }
    CHECK(gpu.verdict() == "");
}

TEST_CASE("a compiler that fails is asked again") {
    host_device::device gpu({.processors = 2});
    {
        device_case c = training_step();
        device_run run(c);
        gpu.fail("nvrtcCompileProgram", NVRTC_ERROR_COMPILATION);
        CHECK_THAT(sentence_of([&] { run.call(); }),
                   contains("could not compile the kernels of executor_errors.cpp") &&
                       contains("this compilation was told to fail"));
        gpu.fail("cuModuleLoadData", CUDA_ERROR_NO_BINARY_FOR_GPU);
        CHECK_THAT(sentence_of([&] { run.call(); }),
                   contains("cuModuleLoadData failed with CUDA_ERROR_NO_BINARY_FOR_GPU"));
        for (int i = 0; i < 3; ++i) check_next(run, c);
    }
    CHECK(gpu.verdict() == "");
}

TEST_CASE("a step of an unknown kind is refused by name") {
    host_device::device gpu;
    device_case c = training_step();
    c.arrays->steps[0].kind = static_cast<etch::step_kind>(99);
    CHECK(sentence_of([&] { device_run run(c); }) ==
          "the CUDA back end has no step of the kind unknown");
}

TEST_CASE("devices are numbered as the driver numbers them") {
    {
        host_device::device gpu({.devices = 2, .capability = 86, .processors = 28});
        CHECK(sentence_of([] { etch::cuda::device(2); }) ==
              "device cuda:2: there are 2 CUDA devices, numbered from 0");
        CHECK(sentence_of([] { etch::cuda::device(-1); }) ==
              "device cuda:-1: there are 2 CUDA devices, numbered from 0");
        etch::cuda::device last(1);
        CHECK(last.index() == 1);
        CHECK(last.name() == "host device");
        CHECK(last.limits().architecture == 86);
        CHECK(last.limits().processors == 28);
        gpu.fail("cuInit", CUDA_ERROR_INVALID_VALUE);
        CHECK_THAT(sentence_of([] { etch::cuda::device(0); }),
                   contains("the CUDA driver: cuInit failed with CUDA_ERROR_INVALID_VALUE"));
    }
    host_device::device gpu({.devices = 1});
    CHECK(sentence_of([] { etch::cuda::device(1); }) ==
          "device cuda:1: there is 1 CUDA device, numbered from 0");
}

#endif
