// SPDX-License-Identifier: MIT
// Functions on a GPU as users have them: results like the CPU's, parameters shared with functions on the CPU, calls that
// are launched, and the sentences where there is no GPU. On a machine with a GPU and ETCH_DEVICE=cuda it is the GPU that
// runs; everywhere else a device of the host (see host_device.hpp).
#include "catch.hpp"

#include <cmath>
#include <optional>

#include <etch.hpp>
#include <etch/cuda/back_end.hpp>

#include "sentence.hpp"

#if !__has_include(<cuda.h>) || !__has_include(<nvrtc.h>) || !__has_include(<cublasLt.h>)

TEST_CASE("without CUDA's headers a GPU that is asked for is a sentence") {
    etch::graph g;
    g.output("y", g.input<float>("x", {}) + 1);
    CHECK(sentence_of([&] {
              etch::compile(g, etch::device::cuda());
          }).find("compiled without the headers of CUDA") != std::string::npos);
}

#else

#include "cuda/cases.hpp"
#include "cuda/host_device.hpp"

namespace {

using floats = std::vector<float>;

/// The GPU, or what stands for it.
struct gpu {
    std::optional<host_device::device> host;
    gpu() {
        const char* wanted = std::getenv("ETCH_DEVICE");
        if (!wanted || std::string_view(wanted).substr(0, 4) != "cuda") host.emplace();
    }
};

constexpr auto train = [](etch::graph& g) {
    auto N = g.dim("N");
    auto x = g.input<float>("x", {N, 5});
    auto t = g.input<int>("t", {N});
    auto h = tanh(etch::nn::dense(x, 7, "first"));
    auto y = etch::nn::dense(etch::nn::dropout(h, 0.25), 3, "second");
    auto loss = mean(cross_entropy(y, t));
    g.output("loss", loss);
    g.output("y", softmax(y));
    g.minimize(loss, etch::nn::momentum{.rate = 0.1});
};
constexpr auto answer = [](etch::graph& g) {
    auto x = g.input<float>("x", {g.dim("N"), 5});
    g.output("y", argmax(etch::nn::dense(tanh(etch::nn::dense(x, 7, "first")), 3, "second")));
};

struct data {
    floats x;
    std::vector<int> t;
    explicit data(int n) {
        reference::dice dice(9);
        for (int i = 0; i < 5 * n; ++i) x.push_back(static_cast<float>(dice.between(-64, 64)) / 32);
        for (int i = 0; i < n; ++i) t.push_back(dice.below(3));
    }
};
void check_close(const floats& a, const floats& b) {
    REQUIRE(a.size() == b.size());
    float most = 0;
    for (std::size_t i = 0; i < a.size(); ++i) most = std::max(most, std::fabs(a[i] - b[i]));
    CHECK(most < 1e-5f);
}

}  // namespace

TEST_CASE("a function gives on a GPU what it gives on the CPU, step by step") {
    gpu device;
    etch::function<train> there{etch::seed(3), etch::device::cuda()};
    etch::function<train> here{etch::seed(3), etch::device::cpu()};
    CHECK(there.where().starts_with("cuda:0"));
    CHECK(here.where() == "cpu");
    for (int n : {4, 4, 4, 9, 9, 1, 4}) {
        data d(n);
        auto [loss, y] = there(d.x, d.t);
        auto [loss_here, y_here] = here(d.x, d.t);
        CHECK(std::fabs(loss - loss_here) < 1e-5f);
        check_close(y.to_vector<float>(), y_here.to_vector<float>());
    }
    for (const auto& name : here.state().names())
        if (name != "random")
            check_close(there.state()[name].to_vector<float>(),
                        here.state()[name].to_vector<float>());
    CHECK(there.state()["random"].to_vector<std::int64_t>() ==
          here.state()["random"].to_vector<std::int64_t>());
}

TEST_CASE("functions on both share parameters, whoever wrote last") {
    gpu device;
    etch::function<train> there{etch::seed(4), etch::device::cuda()};
    etch::function<train> here{there.state(), etch::device::cpu()};
    etch::function<train> alone{etch::seed(4), etch::device::cpu()};
    etch::function<answer> test{there.state(), etch::device::cuda()};
    etch::function<answer> test_alone{alone.state(), etch::device::cpu()};
    data d(6);
    for (int i = 0; i < 6; ++i) {
        auto [loss, y] = i % 2 == 0 ? there(d.x, d.t) : here(d.x, d.t);
        auto [expected, z] = alone(d.x, d.t);
        CHECK(std::fabs(loss - expected) < 1e-5f);
        etch::tensor a = test(d.x), b = test_alone(d.x);
        CHECK(a.to_vector<std::int32_t>() == b.to_vector<std::int32_t>());
    }
    floats zeros(15);
    there.state().set("first/weight", floats(35));
    there.state().set("second/weight", floats(21));
    etch::state copy = there.state().clone();
    auto [loss, y] = there(d.x, d.t);
    auto [again, z] = etch::function<train>{copy, etch::device::cpu()}(d.x, d.t);
    CHECK(std::fabs(loss - again) < 1e-6f);
    check_close(y.to_vector<float>(), z.to_vector<float>());
}

TEST_CASE("a call that is launched, waited for, and dropped") {
    gpu device;
    etch::function<train> f{etch::seed(5), etch::device::cuda()};
    etch::function<train> g{etch::seed(5), etch::device::cpu()};
    data d(5);
    {
        auto started = f.launch(d.x, d.t);
        CHECK(sentence_of([&] { f(d.x, d.t); }) == "call: another call runs on the same state");
        CHECK(sentence_of([&] { f.launch(d.x, d.t); }) ==
              "launch: the call before was not waited for: say get()");
        auto [loss, y] = started.get();
        auto [expected, z] = g(d.x, d.t);
        CHECK(std::fabs(loss - expected) < 1e-5f);
        check_close(y.to_vector<float>(), z.to_vector<float>());
        CHECK(sentence_of([&] { started.get(); }) == "launch: the results were taken before");
    }
    f.launch(d.x, d.t);  // it is waited for, and counts
    g(d.x, d.t);
    auto on_cpu = g.launch(d.x, d.t);
    auto [loss, y] = f(d.x, d.t);
    auto [expected, z] = on_cpu.get();
    CHECK(std::fabs(loss - expected) < 1e-5f);
}

TEST_CASE("old results do not change, and a failed call changes nothing") {
    gpu device;
    auto model = [](etch::graph& g) {
        auto table = g.param<float>("table", {4, 2}, etch::nn::constant{1});
        auto rows = take(table, g.input<int>("k", {g.dim("N")}), 0);
        g.output("rows", rows);
        g.update(table, table + 1);
    };
    etch::graph g;
    model(g);
    auto f = etch::compile(g, etch::device::cuda());
    etch::tensor first = f(std::vector<int>{0, 1})[0], second = f(std::vector<int>{2, 3})[0];
    CHECK(first.to_vector<float>() == floats{1, 1, 1, 1});
    CHECK(second.to_vector<float>() == floats{2, 2, 2, 2});
    std::string sentence = sentence_of([&] { f(std::vector<int>{0, 4}); });
    CHECK(sentence.find("index 4 is outside of an axis of extent 4 (on_device.cpp:") == 0);
    CHECK(f.state()["table"].to_vector<float>() == floats(8, 3));
    CHECK(f(std::vector<int>{3})[0].to_vector<float>() == floats{3, 3});
}

TEST_CASE("what the environment and the program ask for") {
    {
        gpu device;
        etch::graph g;
        g.output("y", g.input<float>("x", {}) + 1);
        if (device.host) {
            CHECK(etch::compile(g).where().starts_with("cuda:0"));
            CHECK(sentence_of([&] {
                      etch::compile(g, etch::device::cuda(7));
                  }).find("device cuda:7: there ") == 0);
        }
        CHECK(etch::compile(g, etch::device("cpu")).where() == "cpu");
        for (const char* name : {"gpu", "cuda:", "cuda:x", "cuda:-1", ""})
            CHECK(sentence_of([&] { etch::device d{std::string_view(name)}; }) ==
                  "device: it is \"" + std::string(name) + "\", and must be cpu, cuda or cuda:n");
    }
    if (std::getenv("ETCH_DEVICE")) return;
    etch::graph g;
    g.output("y", g.input<float>("x", {}) + 1);
    if (etch::cuda::driver_available()) return;
    CHECK(etch::compile(g).where() == "cpu");
    setenv("ETCH_DEVICE", "cuda", 1);
    CHECK(sentence_of([&] {
              etch::compile(g);
          }).find("device cuda: the CUDA driver was not found") == 0);
    setenv("ETCH_DEVICE", "tpu", 1);
    CHECK(sentence_of([&] { etch::compile(g); }) ==
          "ETCH_DEVICE: it is \"tpu\", and must be cpu, cuda or cuda:n");
    unsetenv("ETCH_DEVICE");
}

#endif
