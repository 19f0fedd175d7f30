// SPDX-License-Identifier: MIT
// Emitted kernels on the host, against the CPU back end: every kind of body in every form that extents can ask for, the
// whole op table, random programs; with the threads of a block in other orders; and faults that must not go unseen. Where
// NVRTC is, the same texts are compiled for several architectures: see architectures.cpp.
#include "catch.hpp"

#include <etch/cpu/interpret.hpp>
#include <etch/cpu/thread_count.hpp>
#include <etch/language.hpp>

#include "cuda/cases.hpp"
#include "cuda/emitted.hpp"

namespace {

using etch_test::device_case;
using etch_test::emitted_program;

/// Few processors, so that small extents get the forms of large ones.
constexpr etch::cuda::device_limits small_device{.architecture = 90, .processors = 1};

double allowed(etch::dtype d) { return d == etch::dtype::float32 ? 2e-5 : 1e-12; }

struct running_case {
    device_case& of;
    emitted_program program;
    reference::results expected;

    running_case(device_case& c, bool wide)
        : of(c), program(c.view, c.data.dims, small_device, wide) {
        etch::cpu::interpreter_kernels kernels(c.view);
        expected = reference::execute(c.view, kernels.entries(), c.data.dims, c.data.inputs,
                                      c.data.parameters);
    }
    /// What is wrong with a run; empty where nothing is.
    std::string check(const host_device::host_library& library, unsigned seed,
                      std::string_view text = {}) {
        reference::results r;
        try {
            r = program.run(library, of.data.inputs, of.data.parameters, seed, text);
        } catch (const std::exception& e) {
            return e.what();
        }
        auto compare = [](const auto& a, const auto& b, const char* what) -> std::string {
            for (std::size_t i = 0; i < a.size(); ++i)
                if (double d = reference::difference(a[i], b[i]); !(d <= allowed(a[i].element)))
                    return what + std::to_string(i) + " is off by " + std::to_string(d);
            return {};
        };
        std::string wrong = compare(r.outputs, expected.outputs, "output ");
        return wrong.empty() ? compare(r.parameters, expected.parameters, "parameter ") : wrong;
    }
};

void check_all(std::vector<device_case>& cases, bool wide = false, unsigned seeds = 2) {
    etch::threads(1);
    std::vector<running_case> running;
    std::vector<std::string> texts;
    for (auto& c : cases) {
        running.emplace_back(c, wide);
        texts.push_back(running.back().program.text);
    }
    auto library = host_device::build(texts);
    for (auto& r : running)
        for (unsigned seed = 0; seed < seeds; ++seed) {
            std::string wrong = r.check(library, seed);
            CAPTURE(r.of.name, seed, wrong);
            CHECK(wrong.empty());
            if (!wrong.empty()) break;
        }
}

}  // namespace

TEST_CASE("rows of all lengths") {
    auto cases = etch_test::row_cases();
    check_all(cases, false, 3);
}
TEST_CASE("columns, scalars, points, turned, gathered, drawn, updated, looped") {
    auto cases = etch_test::kind_cases();
    check_all(cases, false, 3);
}
TEST_CASE("64 bit indices") {
    auto cases = etch_test::kind_cases();
    check_all(cases, true, 1);
}
TEST_CASE("the op table") {
    auto cases = etch_test::op_cases();
    check_all(cases);
}
TEST_CASE("random programs") {
    const int normally = std::getenv("ETCH_TEST_SANITIZE") ? 20 : 100;
    auto cases = etch_test::random_cases(std::getenv("ETCH_LONG") ? 20 * normally : normally);
    check_all(cases);
}

TEST_CASE("elements that meet are added in the CPU's order, whoever adds them") {
    int by_owners = 0, by_threads = 0;
    for (auto& c : etch_test::kind_cases()) {
        if (!c.name.starts_with("counted")) continue;
        INFO(c.name);
        running_case r(c, false);
        const bool owned = r.program.text.find(">(mine, turn, found)") != std::string::npos;
        (owned ? by_owners : by_threads)++;
        auto library = host_device::build({r.program.text});
        for (unsigned seed = 0; seed < 2; ++seed) {
            auto found = r.program.run(library, c.data.inputs, c.data.parameters, seed);
            for (std::size_t i = 0; i < 2; ++i)  // nothing but sums of inputs
                CHECK(found.outputs[i].real == r.expected.outputs[i].real);
        }
    }
    CHECK(by_owners > 0);
    CHECK(by_threads > 0);
}

TEST_CASE("an index outside of its axis is reported, and parameters stay") {
    auto c = etch_test::make_case(
        "outside", {9},
        [](etch::graph& g) {
            auto table = g.param<float>("table", {5, 3}, etch::nn::zeros{});
            auto rows = take(table, g.input<int>("k", {g.dim("N")}), 0);
            g.update(table, table - 0.5 * grad(sum(square(rows)), table));
        },
        5);
    emitted_program program(c.view, c.data.dims, small_device);
    auto library = host_device::build({program.text});
    auto same = program.run(library, c.data.inputs, c.data.parameters);
    CHECK(same.parameters[0].real != c.data.parameters[0].real);
    for (std::int64_t outside : {5, -6}) {
        c.data.inputs[0].integral[4] = outside;
        CHECK_THROWS_WITH(program.run(library, c.data.inputs, c.data.parameters),
                          "index " + std::to_string(outside) +
                              " is outside of an axis of extent 5");
        CHECK(program.failure().set == 1);
        CHECK(program.state_of(0) == c.data.parameters[0].real);
    }
}

TEST_CASE("faults in the text do not go unseen") {
    auto softmax_rows = etch_test::make_case("softmax", {3, 1030}, [](etch::graph& g) {
        g.output("y", softmax(g.input<float>("x", {g.dim("N"), g.dim("M")})));
    });
    auto points = etch_test::make_case("points", {1001, 3}, [](etch::graph& g) {
        auto x = g.input<float>("x", {g.dim("N"), 3});
        g.output("y", transpose(x) * 2 - 1);
        g.output("z", x - g.input<float>("row", {3}));
    });
    auto short_rows = etch_test::make_case("short rows", {5, 10}, [](etch::graph& g) {
        g.output("y", sum(g.input<float>("x", {g.dim("N"), g.dim("M")}), -1));
    });
    struct fault {
        const char* name;
        device_case& in;
        std::string from, to;
    };
    const fault faults[] = {
        {"a missing barrier", softmax_rows,
         "of_warp[threadIdx.x / 32] = x;\n        __syncthreads();",
         "of_warp[threadIdx.x / 32] = x;\n"},
        {"a bound that is off by one", points, "u < n0 * n1", "u < n0 * n1 - 1"},
        {"a wrong stride", points, "* t", "* (-1 + t"},
        {"a lost mask", short_rows, "live && j < length", "true"},
        {"a swapped operand", points, "const float v6 = v0 - v5", "const float v6 = v5 - v0"},
    };
    for (const fault& f : faults) {
        CAPTURE(f.name);
        running_case r(f.in, false);
        auto kernels = r.program.text.find(etch::cuda::kernels_begin);
        auto at = r.program.text.find(f.from, f.from.find("of_warp") == 0 ? 0 : kernels);
        INFO(r.program.text.substr(kernels));
        REQUIRE(at != std::string::npos);
        std::string bad = r.program.text;
        bad.replace(at, f.from.size(), f.to);
        if (f.to.find("(-1 + t") !=
            std::string::npos) {  // the bracket ends after the stride's name
            auto end = bad.find_first_of(" ;]", at + f.to.size());
            bad.insert(end, ")");
        }
        auto good = host_device::build({r.program.text});
        auto wrong = host_device::build({bad});
        bool seen = false;
        for (unsigned seed = 0; seed < 8; ++seed) {
            CHECK(r.check(good, seed).empty());
            seen = seen || !r.check(wrong, seed, bad).empty();
        }
        CHECK(seen);
    }
}

TEST_CASE("text names neither buffers nor extents") {
    auto model = [](etch::graph& g) {
        auto N = g.dim("N");
        g.output("y", softmax(tanh(g.input<float>("x", {N, 50})) * 2));
    };
    auto one = etch_test::make_case("one", {100}, model),
         two = etch_test::make_case("two", {101}, model);
    emitted_program a(one.view, {100}, small_device), b(two.view, {101}, small_device);
    CHECK(a.text == b.text);
    auto layers = etch_test::make_case("layers", {7}, [](etch::graph& g) {
        auto x = g.input<float>("x", {g.dim("N"), 64});
        for (int i = 0; i < 12; ++i) x = relu(etch::nn::dense(x, 64, etch::name("layer", i)));
        g.output("y", x);
    });
    emitted_program c(layers.view, {7}, small_device);
    auto text = std::string_view(c.text).substr(c.text.find(etch::cuda::kernels_begin));
    std::size_t kernels = 0;
    for (auto at = text.find("__global__"); at != text.npos; at = text.find("__global__", at + 1))
        ++kernels;
    CHECK(kernels == 1);  // of twelve layers
    CHECK(text.find("// relu cases.hpp") == text.npos);
    CHECK(text.find("// relu kernels.cpp:") != text.npos);
}
