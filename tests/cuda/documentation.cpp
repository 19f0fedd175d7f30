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
#line 31 "documentation.cpp"

std::string emitted() {
    etch::graph g;
    digits(g);
    etch::program p = etch::make_program(g);
    auto view = etch::view_of(p);
    const std::int64_t dims[] = {32};
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
    std::string text = etch::cuda::program_text(view, all);
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
