// SPDX-License-Identifier: MIT
// The training step of the digits net, whole or in parts, so that differences tell what each part costs the compiler:
//   PART 0  the language's headers                     3  all headers and a product
//   PART 1  the language's headers and the plan        4  all headers and the plan
//   PART 2  all headers                                5  the step: headers, plan, products, kernels
//                                                      6  the step, and a second function on the same model
#if PART <= 1
#include <etch/language.hpp>
#else
#include <etch.hpp>
#endif

#if PART == 1 || PART >= 4
constexpr auto logits_of = [](etch::graph& g, etch::dim n) {
    auto h = relu(etch::nn::dense(g.input<float>("image", {n, 784}), 256, "hidden"));
    return etch::nn::dense(h, 10, "output");
};
constexpr auto digits = [](etch::graph& g) {
    auto n = g.dim("N");
    auto logits = logits_of(g, n);
    auto label = g.input<int>("label", {n});
    auto loss = mean(cross_entropy(logits, label));
    g.output("loss", loss);
    g.output("accuracy", mean(equal(argmax(logits), label)));
    g.minimize(loss, etch::nn::adam{.rate = 1e-3});
};
static_assert(etch::plan<digits>.kernels() > 0);
#endif

#if PART == 3
void multiply(const etch::cpu::gemm_call<float>& g) { etch::cpu::gemm(g); }
#elif PART >= 5
template class etch::function<digits>;
#endif

#if PART == 6
constexpr auto classify = [](etch::graph& g) {
    g.output("digit", argmax(logits_of(g, g.dim("N"))));
};
template class etch::function<classify>;
#endif
