// SPDX-License-Identifier: MIT
// The CUDA executor against the CPU back end: call by call, plain, recorded and replayed, with new sizes and new
// parameters, in plain order and in the exact sequence of the library's calls. Without a GPU the device is one of the host
// (see host_device.hpp).
#include "catch.hpp"

#if !__has_include(<cuda.h>) || !__has_include(<nvrtc.h>) || !__has_include(<cublasLt.h>)

TEST_CASE("calls on a device") { WARN("etch: skipped: no headers of CUDA"); }

#else

#include <etch/language.hpp>

#include "counting.hpp"
#include "cuda/device_run.hpp"
#include "cuda/host_device.hpp"
#include "sentence.hpp"

namespace {

using etch_test::device_case;
using etch_test::device_run;
using etch_test::make_case;
using lines = std::vector<std::string>;

/// Calls once plain, once to record and once to replay, on the parameters that each call leaves.
void check_calls(const device_case& c, int calls = 3) {
    INFO(c.name);
    device_run run(c);
    auto parameters = c.data.parameters;
    for (int i = 0; i < calls; ++i) {
        INFO("call " << i);
        auto expected = etch_test::on_cpu(c, parameters);
        auto outputs = run.call();
        parameters = run.parameters();
        CHECK(etch_test::differences(outputs, expected.outputs, "output ") == "");
        CHECK(etch_test::differences(parameters, expected.parameters, "parameter ") == "");
    }
}

device_case training_step(std::int64_t n = 6) {
    return make_case(
        "training step", {n},
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
/// Without the hash of its text in a kernel's name.
std::string without_hash(std::string line) {
    for (std::size_t i = 0; i + 17 <= line.size(); ++i)
        if (line[i] == '_' &&
            line.find_first_not_of("0123456789abcdef", i + 1) >= std::min(i + 17, line.size()) &&
            (i + 17 == line.size() || line[i + 17] == ','))
            return line.erase(i, 17);
    return line;
}
/// What happened since the last time; descriptors of products and questions about the device left out.
lines happened(host_device::device& gpu) {
    lines all;
    for (const std::string& line : gpu.calls()) {
        bool told = true;
        for (const char* begin : {"cuCtx", "cuDevice", "cuInit", "nvrtc", "cublasLtMatmulDesc",
                                  "cublasLtMatrixLayout", "cublasLtMatmulPreference"})
            told = told && !line.starts_with(begin);
        if (told || line.starts_with("nvrtcCompileProgram"))
            all.push_back(without_hash(line.substr(0, line.find(" --gpu"))));
    }
    gpu.clear_calls();
    return all;
}

}  // namespace

TEST_CASE("products, loops, updates that change places and constants") {
    host_device::device gpu({.processors = 2, .deferred = true});
    {
        check_calls(training_step());
        check_calls(make_case("double, batch, transposed", {3, 5}, [](etch::graph& g) {
            auto x = g.input<double>("x", {g.dim("B"), g.dim("N"), 6});
            auto y = g.input<double>("y", {g.dim("B"), g.dim("N"), 6});
            auto w = g.param<double>("w", {6, 7}, etch::nn::zeros{});
            auto scores = matmul(x, transpose(y, {0, 2, 1}));
            g.output("scores", scores);
            g.output("mixed", matmul(scores, y));
            g.output("dense", tanh(matmul(x, w) + 1));
            auto d = grad(sum(square(matmul(x, w))) + sum(exp(0.01 * scores)), {w, y});
            g.output("dw", d[0]);
            g.output("dy", d[1]);
        }));
        check_calls(make_case("activations", {9}, [](etch::graph& g) {
            auto x = g.input<float>("x", {g.dim("N"), 8});
            g.output("relu", relu(etch::nn::dense(x, 5, "a")));
            g.output("gelu", gelu_tanh(etch::nn::dense(x, 16, "b")));
            g.output("bias", etch::nn::dense(x, 3, "c"));
            g.output("tanh", tanh(etch::nn::dense(x, 3, "d")));
        }));
        for (auto& c : etch_test::kind_cases())
            if (c.name == "looped" || c.name == "many updates" || c.name == "gathered")
                check_calls(c);
        check_calls(make_case("places", {}, [](etch::graph& g) {
            auto a = g.param<float>("a", {2}, etch::nn::zeros{});
            auto b = g.param<float>("b", {2}, etch::nn::zeros{});
            g.update(a, b);
            g.update(b, a);
            g.output("a", a);
            g.output("table", etch::constant<int>(g, {2, 2}, {0, 1, 5, -3}));
            g.output("numbers", take(etch::constant<double>(g, {3}, {0.5, 1.5, -2.5}),
                                     etch::constant<int>(g, {2}, {2, 1}), 0));
            g.output("flags", etch::constant<bool>(g, {3}, {true, false, true}));
            g.output("wide", etch::constant<std::int64_t>(g, {1}, {std::int64_t{1} << 40}));
        }));
        check_calls(make_case("a loop in a loop", {4, 3}, [](etch::graph& g) {
            auto xs = g.input<float>("xs", {g.dim("T"), g.dim("S"), 5});
            auto zero = g.input<float>("zero", {5});
            auto w = g.param<float>("w", {5, 5}, etch::nn::zeros{});
            auto r = scan(
                [&](etch::expr rows, etch::expr h) {
                    return scan(
                               [&](etch::expr x, etch::expr k) {
                                   return tanh(x + sum(expand_dims(k, 1) * w, 0));
                               },
                               rows, h)
                        .last;
                },
                xs, zero);
            g.output("last", r.last);
            g.output("all", r.all);
        }));
    }
    CHECK(gpu.verdict() == "");
}

TEST_CASE("a product sums the columns of its factor where the library can") {
    auto check = [](const device_case& c, int sums_in_products, bool refused) {
        INFO(c.name << (refused ? ", refused" : ""));
        host_device::device gpu({.processors = 2, .deferred = true});
        if (refused) gpu.options().refused = {CUBLASLT_EPILOGUE_BGRADA, CUBLASLT_EPILOGUE_BGRADB};
        {
            check_calls(c);
            int with_sums = 0, without = 0;
            for (const std::string& line : gpu.calls("cublasLtMatmul "))
                (line.find("epilogue 256") != line.npos || line.find("epilogue 512") != line.npos
                     ? with_sums
                     : without)++;
            CHECK(with_sums == (refused ? 0 : 2 * sums_in_products));  // plain, and recorded
            CHECK(without > 0);
            CHECK(gpu.calls("cuLaunchKernel etch_sum").empty() == !refused);
        }
        CHECK(gpu.verdict() == "");
    };
    std::vector<std::pair<device_case, int>> cases;
    auto net = [](bool with_relu) {
        return [with_relu](etch::graph& g) {
            auto x = g.input<float>("x", {g.dim("N"), 8});
            auto label = g.input<int>("label", {g.dim("N")});
            auto h = etch::nn::dense(x, 16, "hidden");
            if (with_relu) h = relu(h);
            auto loss = mean(cross_entropy(etch::nn::dense(h, 4, "output"), label));
            g.output("loss", loss);
            g.minimize(loss, etch::nn::adam{.rate = 0.1});
        };
    };
    // relu's gradient and its sums are one kernel, which stays.
    cases.emplace_back(make_case("relu", {6}, net(true), 4), 1);
    cases.emplace_back(make_case("linear", {6}, net(false), 4), 2);
    // Weights of {out, in}: the sums are those of the other factor.
    cases.emplace_back(
        make_case("the other way", {7},
                  [](etch::graph& g) {
                      auto x = g.input<double>("x", {g.dim("N"), 5});
                      auto dy = g.input<double>("dy", {g.dim("N"), 3});
                      g.output("db", sum(dy, 0));
                      g.output("dw", matmul(transpose(dy), x));
                      g.output("dx", matmul(dy, g.param<double>("w", {3, 5}, etch::nn::zeros{})));
                  }),
        1);
    for (auto& [c, sums] : cases)
        for (bool refused : {false, true}) check(c, sums, refused);
}

TEST_CASE("extents of 0") {
    host_device::device gpu;
    auto model = [](etch::graph& g) {
        auto x = g.input<float>("x", {g.dim("N"), g.dim("K")});
        auto y = g.input<float>("y", {g.dim("K"), g.dim("M")});
        g.output("product", matmul(x, y));
        g.output("relu", relu(matmul(x, y) + 1));
        g.output("sum", sum(x));
        g.output("x", x);
    };
    for (const reference::numbers& dims :
         {reference::numbers{0, 3, 2}, {3, 0, 2}, {3, 2, 0}, {0, 0, 0}, {1, 1, 1}})
        check_calls(make_case("dims", dims, model));
    check_calls(make_case("nothing", {}, [](etch::graph&) {}));
    CHECK(gpu.verdict() == "");
}

TEST_CASE("random programs") {
    host_device::device gpu({.processors = 1});
    for (const device_case& c : etch_test::random_cases(12)) check_calls(c);
    CHECK(gpu.verdict() == "");
}

TEST_CASE("the calls of a training step, one by one") {
    host_device::device gpu({.processors = 2});
    {
        device_case six = training_step(6), nine = training_step(9);
        device_run run(six);
        CHECK(gpu.calls("cuDevicePrimaryCtxRetain").size() <= 1);  // once in the process
        gpu.clear_calls();
        auto call = [&](const device_case& c) {
            run.call(c.data.dims, c.data.inputs);
            return happened(gpu);
        };
        // The five blocks before are constants and parameters. Products are column-major: n x m x k.
        const lines steps_of_six{
            "cuMemcpyHtoDAsync block 6+1536 from pinned 1, 544 bytes, stream 1",
            "cublasLtMatmul 16x6x8, epilogue 6, block 6+512 from block 2 and block 6+1536, stream "
            "1",
            "cublasLtMatmul 4x6x16, epilogue 1, block 6+384 from block 4 and block 6+512, stream 1",
            "cuLaunchKernel etch_add_max_subtract, 1 blocks of 256, stream 1",
            "cublasLtMatmul 16x6x4, epilogue 1, block 6 from block 4 and block 6+384, stream 1",
            "cublasLtMatmul 4x16x6, epilogue 256, block 6+896 from block 6+384 and block 6+512, "
            "stream 1",
            "cuLaunchKernel etch_greater_where_sum, 2 blocks of 64, stream 1",
            "cublasLtMatmul 16x8x6, epilogue 1, block 6 from block 6+512 and block 6+1536, "
            "stream 1",
            "cuLaunchKernel etch_multiply_subtract, 4 blocks of 256, stream 1",
            "cuMemcpyDtoHAsync pinned 1+512 from block 6+2048, 512 bytes, stream 1"};
        auto with = [](lines a, const lines& b, const lines& c = {}) {
            a.insert(a.end(), b.begin(), b.end());
            a.insert(a.end(), c.begin(), c.end());
            return a;
        };
        const lines wait{"cuStreamSynchronize stream 1"};

        CHECK(call(six) ==
              with({"cuMemAlloc 2560", "cuMemHostAlloc 1024", "cublasLtCreate",
                    "cuMemAlloc 33554432", "cublasLtMatmulAlgoGetHeuristic 4x16x6, epilogue 256",
                    "cublasLtMatmulAlgoGetHeuristic 16x8x6, epilogue 1",
                    "cublasLtMatmulAlgoGetHeuristic 16x6x4, epilogue 1",
                    "cublasLtMatmulAlgoGetHeuristic 4x6x16, epilogue 1",
                    "cublasLtMatmulAlgoGetHeuristic 16x6x8, epilogue 6", "nvrtcCompileProgram",
                    "cuModuleLoadData", "cuModuleGetFunction etch_add_max_subtract",
                    "cuModuleGetFunction etch_greater_where_sum",
                    "cuModuleGetFunction etch_multiply_subtract"},
                   steps_of_six, wait));
        CHECK(call(six) == with({"cuStreamBeginCapture stream 1"}, steps_of_six,
                                {"cuStreamEndCapture stream 1",
                                 "cuGraphInstantiateWithFlags 1, 10 nodes", "cuGraphDestroy 1",
                                 "cuGraphLaunch 1, stream 1", "cuStreamSynchronize stream 1"}));
        const lines replayed{"cuGraphLaunch 1, stream 1", "cuStreamSynchronize stream 1"};
        CHECK(call(six) == replayed);
        CHECK(call(six) == replayed);

        // Another size that needs more memory: no kernel is compiled again.
        lines first_of_nine = call(nine);
        REQUIRE(first_of_nine.size() == 4 + 5 + 10 + 1);
        CHECK(lines(first_of_nine.begin(), first_of_nine.begin() + 5) ==
              lines{"cuMemFree block 6", "cuMemAlloc 3328", "cuMemFreeHost pinned 1",
                    "cuMemHostAlloc 1280", "cublasLtMatmulAlgoGetHeuristic 4x16x9, epilogue 256"});
        CHECK(first_of_nine[9] ==
              "cuMemcpyHtoDAsync block 8+2048 from pinned 2, 800 bytes, stream 1");
        CHECK(call(nine).size() == 1 + 10 + 5);
        CHECK(call(nine) == lines{"cuGraphLaunch 2, stream 1", "cuStreamSynchronize stream 1"});

        // The first size again: its memory is elsewhere now, its algorithms are known.
        lines again = call(six);
        REQUIRE(again.size() == 1 + 10 + 1);
        CHECK(again[0] == "cuGraphExecDestroy 1");
        CHECK(again[1] == "cuMemcpyHtoDAsync block 8+1536 from pinned 2, 544 bytes, stream 1");
        CHECK(call(six).size() == 1 + 10 + 5);
        CHECK(call(six) == lines{"cuGraphLaunch 3, stream 1", "cuStreamSynchronize stream 1"});
        CHECK(call(nine) == lines{"cuGraphLaunch 2, stream 1", "cuStreamSynchronize stream 1"});

        // Other parameters of the same program: recorded anew, for all sizes.
        run.move_parameters(six.data.parameters);
        gpu.clear_calls();
        CHECK(call(six).size() == 1 + 10 + 1);
        CHECK(call(six).size() == 1 + 10 + 5);
        CHECK(call(six).size() == 2);
    }
    CHECK(gpu.verdict() == "");
}

TEST_CASE("sizes, parameters and calls by turns give what the CPU gives") {
    host_device::device gpu({.processors = 2, .deferred = true});
    {
        // More sizes than are kept.
        std::vector<device_case> cases;
        for (int n = 1; n <= 10; ++n) cases.push_back(training_step(n));
        device_run run(cases[0]);
        auto parameters = cases[0].data.parameters;
        auto step = [&](const device_case& c) {
            auto expected = etch_test::on_cpu(c, parameters);
            auto outputs = run.call(c.data.dims, c.data.inputs);
            parameters = run.parameters();
            CHECK(etch_test::differences(outputs, expected.outputs, "output ") == "");
            CHECK(etch_test::differences(parameters, expected.parameters, "parameter ") == "");
        };
        for (int round = 0; round < 3; ++round)
            for (const auto& c : cases) step(c);
        for (int n : {9, 9, 9, 0, 0, 0, 9, 0, 5, 5, 9, 9}) step(cases[static_cast<std::size_t>(n)]);
        run.move_parameters(parameters);
        for (int n : {9, 0, 9, 0, 9, 0}) step(cases[static_cast<std::size_t>(n)]);
    }
    CHECK(gpu.verdict() == "");
}

TEST_CASE("a call that is not waited for at once") {
    host_device::device gpu({.processors = 2, .deferred = true});
    {
        auto six = training_step(6), nine = training_step(9);
        device_run run(six);
        auto expected = etch_test::on_cpu(six, six.data.parameters);
        auto first = run.start({6}, six.data.inputs);
        gpu.clear_calls();
        CHECK(etch_test::differences(first.outputs(), expected.outputs, "output ") == "");
        CHECK(gpu.calls("cuStreamSynchronize").size() == 1);
        first.ticket.wait();  // does nothing
        CHECK(gpu.calls("cuStreamSynchronize").size() == 1);

        // The next one waits for it and writes its outputs.
        auto now = run.parameters();
        auto expected_second = etch_test::on_cpu(six, now);
        auto expected_third = etch_test::on_cpu(nine, expected_second.parameters);
        auto second = run.start({6}, six.data.inputs);
        auto third = run.start({9}, nine.data.inputs);
        CHECK(etch_test::differences(third.outputs(), expected_third.outputs, "output ") == "");
        CHECK(etch_test::differences(second.outputs(), expected_second.outputs, "output ") == "");

        // One that nobody waits for runs all the same; its outputs' memory is gone.
        now = run.parameters();
        expected = etch_test::on_cpu(six, now);
        { auto dropped = run.start({6}, six.data.inputs); }
        auto after = run.start({6}, six.data.inputs);
        after.outputs();
        auto twice = etch_test::on_cpu(six, expected.parameters);
        CHECK(etch_test::differences(run.parameters(), twice.parameters, "parameter ") == "");
    }
    CHECK(gpu.verdict() == "");
}

TEST_CASE("a call with known sizes allocates nothing") {
    host_device::device gpu({.processors = 2});
    static etch::cuda::driver_table table;
    static CUcontext context;
    table = etch::cuda::driver();
    etch::cuda::replace(&table);
    {
        device_case c = training_step();
        device_run run(c);
        context = run.executor.where().context();
        for (int i = 0; i < 3; ++i) run.call();
        // From here on nothing runs, and the functions that a call uses do not allocate themselves.
        static int launched, waited;
        launched = waited = 0;
        table.cuCtxGetCurrent = [](CUcontext* now) { return *now = context, CUDA_SUCCESS; };
        table.cuGraphLaunch = [](CUgraphExec, CUstream) { return ++launched, CUDA_SUCCESS; };
        table.cuStreamSynchronize = [](CUstream) { return ++waited, CUDA_SUCCESS; };
        std::vector<float> x(48);
        std::vector<int> label(6);
        float loss = 0;
        const void* inputs[]{x.data(), label.data()};
        void* outputs[]{&loss};
        const std::int64_t dims[]{6};
        const long before = allocations;
        for (int i = 0; i < 10; ++i) run.executor.run(dims, inputs, outputs, run.states);
        CHECK(allocations - before == 0);
        CHECK(launched == 10);
        CHECK(waited == 10);
        table = host_device::driver::table();
    }
    CHECK(gpu.verdict() == "");
}

TEST_CASE("executors share the device, and another context comes back") {
    host_device::device gpu({.devices = 2});
    {
        auto c = training_step();
        device_run one(c);
        gpu.clear_calls();
        device_run other(c);
        CHECK(gpu.calls("cuDevicePrimaryCtxRetain").empty());
        one.call(), other.call();
        CHECK(gpu.calls("cublasLtCreate").size() == 1);
        CHECK(gpu.calls("cublasLtMatmulAlgoGetHeuristic").size() == 5);

        etch::cuda::device second(1);
        CHECK(second.index() == 1);
        CHECK(!(second == one.executor.where()));
        etch::cuda::current_device now(second);
        one.call();
        CUcontext current = nullptr;
        etch::cuda::driver().cuCtxGetCurrent(&current);
        CHECK(current == second.context());
    }
    CHECK(gpu.verdict() == "");
}

#endif
