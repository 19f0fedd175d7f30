// SPDX-License-Identifier: MIT
// docs/digits.cu is what etch emits for the training step of the README. To write it anew after a change:
//   ETCH_WRITE_DOCUMENTATION=1 <this program>
#include "catch.hpp"

#include <cstdlib>
#include <fstream>
#include <sstream>

#include <etch/cuda/emit.hpp>
#include <etch/language.hpp>
#include <etch/passes/plan.hpp>

#if __has_include(<cuda.h>) && __has_include(<nvrtc.h>)
#include "cuda/every_architecture.hpp"
#endif
#include "reference/execute.hpp"

namespace {

#line 1 "digits.cpp"
constexpr auto digits = [](etch::graph& g) {
    auto N = g.dim("N");
    auto image = g.input<float>("image", {N, 784});
    auto label = g.input<int>("label", {N});

    auto h = relu(etch::nn::dense(image, 256, "hidden"));
    auto logits = etch::nn::dense(h, 10, "output");
    auto loss = mean(cross_entropy(logits, label));

    g.output("loss", loss);
    g.output("accuracy", mean(equal(argmax(logits), label)));
    g.minimize(loss, etch::nn::adam{.rate = 1e-3});
};
#line 35 "documentation.cpp"

/// What the example does with the trained net.
constexpr auto classify = [](etch::graph& g) {
    auto image = g.input<float>("image", {g.dim("N"), 784});
    auto h = relu(etch::nn::dense(image, 256, "hidden"));
    g.output("digit", argmax(etch::nn::dense(h, 10, "output")));
};

template <class Model> std::string program_of(const Model& model, std::int64_t batch) {
    etch::graph g;
    model(g);
    etch::program p = reference::program_of(g);
    auto view = etch::view_of(p);
    const std::int64_t dims[] = {batch};
    std::vector<etch::cuda::kernel_launch> all;
    for (const etch::step& s : view.steps) {
        etch::range_of parts = s.parts;
        if (s.kind == etch::step_kind::gemm) {
            int epilogue = view.gemms[static_cast<std::size_t>(s.index)].epilogue;
            parts = {epilogue, epilogue < 0 ? 0 : 1};
        }
        if (parts.count == 0) continue;
        for (auto& l : etch::cuda::plan_launches(view, parts, dims, {})) all.push_back(l);
    }
    return etch::cuda::program_text(view, all);
}
std::string emitted() {
    const std::string text = program_of(digits, 32);
    return "// The kernels of one training step of the README's model, as etch emits them for a "
           "batch of 32; the prelude\n"
           "// that stands before them (jit/etch/cuda/prelude.hpp) is left out. Made by "
           "tests/cuda/documentation.cpp.\n" +
           text.substr(text.find(etch::cuda::kernels_begin));
}

}  // namespace

TEST_CASE("the kernels in docs/digits.cu are those that are emitted") {
    const std::string path = std::string(ETCH_TEST_SOURCE) + "/docs/digits.cu";
    if (std::getenv("ETCH_WRITE_DOCUMENTATION")) std::ofstream(path) << emitted();
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    CHECK(text.str() == emitted());
}

#if __has_include(<cuda.h>) && __has_include(<nvrtc.h>)

TEST_CASE("the kernels of examples/digits.cpp compile for all architectures") {
    if (!host_device::detail::real_nvrtc()) {
        WARN("etch: skipped: NVRTC is not there");
        return;
    }
    for (std::int64_t batch : {1, 32, 2000, 100'000})
        for (const std::string& text : {program_of(digits, batch), program_of(classify, batch)})
            for (int architecture : host_device::checked_architectures)
                CHECK(host_device::nvrtc_complaint(text, architecture) == "");
}

#endif
