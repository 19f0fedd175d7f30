// SPDX-License-Identifier: MIT
// Products on a device: which epilogues a library may do, and what cuBLASLt is asked for. Without a device the library is
// one of the host's (see host_device.hpp).
#include "catch.hpp"

#if !__has_include(<cuda.h>) || !__has_include(<nvrtc.h>) || !__has_include(<cublasLt.h>)

TEST_CASE("products on a device") { WARN("etch: skipped: no headers of CUDA"); }

#else

#include <etch/language.hpp>
#include <etch/passes/plan.hpp>

#include <etch/cuda/buffer.hpp>
#include <etch/cuda/factor_sums.hpp>
#include <etch/cuda/gemm.hpp>

#include "cuda/host_device.hpp"
#include "reference/execute.hpp"
#include "sentence.hpp"

namespace {

using namespace etch::cuda;

/// The epilogue that a library may do for a model's one product: "bias relu", "gelu", "plain", or "none" for its own
/// kernel.
template <class Model> std::string epilogue_of(Model model) {
    etch::graph g;
    model(g);
    REQUIRE(!g.failed());
    etch::program arrays = reference::program_of(g);
    etch::program_view p = etch::view_of(arrays);
    REQUIRE(p.gemms.size() == 1);
    if (p.gemms[0].epilogue < 0) return "no epilogue";
    auto found = library_epilogue_of(p, p.gemms[0]);
    if (!found) return "none";
    CHECK(p.storages[static_cast<std::size_t>(found->result)].size ==
          p.storages[static_cast<std::size_t>(p.gemms[0].c)].size);
    if (found->bias >= 0) {
        const auto& s = p.slots[static_cast<std::size_t>(found->bias)];
        CHECK(p.storages[static_cast<std::size_t>(s.storage)].where == etch::place::state);
    }
    const char* names[] = {"", "relu", "gelu"};
    std::string text = found->bias >= 0 ? "bias " : "";
    text += names[static_cast<std::size_t>(found->after)];
    return text;
}

struct layer {
    etch::expr product, bias;
    explicit layer(etch::graph& g)
        : product(matmul(g.input<float>("x", {g.dim("N"), 8}),
                         g.param<float>("w", {8, 16}, etch::nn::normal{}))),
          bias(g.param<float>("b", {16}, etch::nn::normal{})) {}
};
/// gelu's tanh form with another number in it.
etch::expr almost_gelu(const etch::expr& x, double a, double b) {
    return a * x * (1 + tanh(0.7978845608028654 * (x + b * (x * x * x))));
}

}  // namespace

TEST_CASE("epilogues of a library are recognised by what they compute") {
    auto of = [](auto f) {
        return epilogue_of([&](etch::graph& g) {
            layer l(g);
            g.output("y", f(l, g));
        });
    };
    using G = etch::graph;
    CHECK(of([](layer& l, G&) { return l.product + l.bias; }) == "bias ");
    CHECK(of([](layer& l, G&) { return l.bias + l.product; }) == "bias ");
    CHECK(of([](layer& l, G&) { return relu(l.product + l.bias); }) == "bias relu");
    CHECK(of([](layer& l, G&) { return relu(l.product); }) == "relu");
    CHECK(of([](layer& l, G&) { return gelu_tanh(l.product + l.bias); }) == "bias gelu");
    CHECK(of([](layer& l, G&) { return gelu_tanh(l.product); }) == "gelu");
    CHECK(of([](layer& l, G&) { return almost_gelu(l.product, 0.5, 0.044715); }) == "gelu");
    CHECK(of([](layer& l, G&) {
              etch::expr x = l.product + l.bias;
              return (tanh(0.7978845608028654 * (x + 0.044715 * power(x, 3.0))) + 1) * (x * 0.5);
          }) == "bias gelu");
}

TEST_CASE("what a library would compute otherwise has a kernel of its own") {
    auto of = [](auto f) {
        return epilogue_of([&](etch::graph& g) {
            layer l(g);
            f(l, g);
        });
    };
    using G = etch::graph;
    auto one = [](auto f) { return [f](layer& l, G& g) { g.output("y", f(l, g)); }; };
    CHECK(of(one([](layer& l, G&) { return gelu(l.product + l.bias); })) == "none");
    CHECK(of(one([](layer& l, G&) { return tanh(l.product + l.bias); })) == "none");
    CHECK(of(one([](layer& l, G&) { return 2 * l.product; })) == "none");
    CHECK(of(one([](layer& l, G&) { return l.product + 1; })) == "none");
    CHECK(of(one([](layer& l, G&) { return relu(l.product) + l.bias; })) == "none");
    CHECK(of(one([](layer& l, G&) { return relu(2 * l.product + l.bias); })) == "none");
    CHECK(of(one([](layer& l, G&) { return relu(l.product) + relu(l.product + l.bias); })) ==
          "none");
    CHECK(of(one([](layer& l, G&) { return l.product + l.bias + l.bias * l.bias; })) == "none");
    CHECK(of(one([](layer& l, G&) { return almost_gelu(l.product, 0.25, 0.044715); })) == "none");
    CHECK(of(one([](layer& l, G&) { return almost_gelu(l.product, 0.5, 0.05); })) == "none");
    // the polynomial is of another x than the factor before it
    CHECK(of(one([](layer& l, G&) {
              etch::expr x = l.product + l.bias;
              return 0.5 * l.product *
                     (1 + tanh(0.7978845608028654 * (x + 0.044715 * (x * x * x))));
          })) == "none");
    CHECK(of(one([](layer& l, G& g) {
              return l.product + g.input<float>("z", {g.dim("N"), 16});
          })) == "none");
    CHECK(of(one([](layer& l, G& g) {
              return l.product + g.input<float>("z", {g.dim("N"), 1});
          })) == "none");
    CHECK(of(one([](layer& l, G&) { return cast<double>(l.product + l.bias); })) == "none");
    CHECK(of([](layer& l, G& g) {
              g.output("y", relu(l.product + l.bias));
              g.output("z", tanh(l.product + l.bias));
          }) == "none");
}

TEST_CASE("sums that a product can make are recognised by what they read and by who uses them") {
    // How many kernels are nothing but sums that products make.
    auto of = [](auto model) {
        etch::graph g;
        model(g);
        REQUIRE(!g.failed());
        etch::program arrays = reference::program_of(g);
        etch::program_view p = etch::view_of(arrays);
        const std::vector<std::int64_t> dims(p.dims.size(), 6);
        std::string found;
        for (const factor_sum& f : factor_sums_of(p, dims)) {
            CHECK(p.steps[static_cast<std::size_t>(f.step)].kind == etch::step_kind::kernel);
            found += f.of_a ? "a" : "b";
        }
        return found;
    };
    using G = etch::graph;
    auto x = [](G& g) { return g.input<float>("x", {g.dim("N"), 5}); };
    auto dy = [](G& g) { return g.input<float>("dy", {g.dim("N"), 3}); };
    auto weights = [&](G& g, const etch::expr& y) { g.output("w", matmul(transpose(x(g)), y)); };
    CHECK(of([&](G& g) {
              auto y = dy(g);
              g.output("b", sum(y, 0));
              weights(g, y);
          }) == "b");
    CHECK(of([&](G& g) {
              auto y = dy(g);
              g.output("b", sum(y, 0));
              g.output("w", matmul(transpose(y), x(g)));
          }) == "a");
    CHECK(of([&](G& g) {  // batches and times are one axis of the product
              auto y = g.input<float>("dy", {g.dim("N"), 7, 3});
              auto in = g.input<float>("x", {g.dim("N"), 7, 5});
              g.output("b", sum(y, {0, 1}));
              g.output("w", matmul(transpose(reshape(in, {-1, 5})), reshape(y, {-1, 3})));
          }) == "b");
    CHECK(of([&](G& g) {  // two are one kernel, which stays
              auto y = dy(g), z = g.input<float>("dz", {g.dim("N"), 3}), in = x(g);
              g.output("b", sum(y, 0));
              g.output("c", sum(z, 0));
              g.output("w", matmul(transpose(in), y));
              g.output("v", matmul(transpose(in), z));
          }) == "");
    CHECK(of([&](G& g) {  // so do others beside it
              auto y = dy(g), z = g.input<float>("dz", {g.dim("N"), 3});
              g.output("b", sum(y, 0));
              g.output("c", sum(z, 0));
              weights(g, y);
          }) == "");
    CHECK(of([&](G& g) {
              auto y = dy(g);
              g.output("b", mean(y, 0));
              weights(g, y);
          }) == "");
    CHECK(of([&](G& g) {
              auto y = dy(g);
              g.output("b", max(y, 0));
              weights(g, y);
          }) == "");
    CHECK(of([&](G& g) {  // of the rows
              auto y = dy(g);
              g.output("b", sum(y, 1));
              weights(g, y);
          }) == "");
    CHECK(of([&](G& g) {  // the factor lies the other way
              auto y = dy(g);
              g.output("b", sum(y, 0));
              g.output("w", matmul(y, g.input<float>("z", {3, 4})));
          }) == "");
    CHECK(of([&](G& g) {  // of some of the rows
              auto y = dy(g);
              g.output("b", sum(slice(y, {etch::range(1, etch::none)}), 0));
              weights(g, y);
          }) == "");
    CHECK(of([&](G& g) {  // a parameter, which a failure must not change
              auto y = dy(g);
              g.update(g.param<float>("b", {3}, etch::nn::zeros{}), sum(y, 0));
              weights(g, y);
          }) == "");
    CHECK(of([&](G& g) {  // the product needs the sums
              auto y = dy(g);
              auto b = sum(y, 0);
              g.output("w", matmul(transpose(x(g) + sum(tanh(b))), y));
          }) == "");
    CHECK(of([&](G& g) {  // the product's own epilogue comes first
              auto y = dy(g);
              g.output("b", sum(y, 0));
              g.output("w", tanh(matmul(transpose(x(g)), y)));
          }) == "");
}

TEST_CASE("a batch by one matrix is one product of more rows") {
    product_shape s{.m = 3, .n = 4, .k = 5, .lda = 5, .ldb = 4, .batch = 7, .stride_a = 15};
    product_shape joined = s;
    joined.join_batch();
    CHECK(joined.m == 21);
    CHECK(joined.batch == 1);
    auto stays = [](product_shape other) {
        product_shape before = other;
        other.join_batch();
        return other.m == before.m && other.batch == before.batch;
    };
    product_shape changed = s;
    changed.stride_b = 20;
    CHECK(stays(changed));
    changed = s, changed.stride_a = 16;
    CHECK(stays(changed));
    changed = s, changed.transpose_a = true;
    CHECK(stays(changed));
    changed = s, changed.lda = 6;
    CHECK(stays(changed));

    CHECK(alignment_of(0) == 256);
    CHECK(alignment_of(4096) == 256);
    CHECK(alignment_of(4096 + 64) == 64);
    CHECK(alignment_of(4096 + 4) == 4);
}

namespace {

/// Numbers on the device.
template <class T> struct device_numbers {
    device_memory memory;
    std::vector<T> host;

    device_numbers(const device& d, std::int64_t count, int seed)
        : memory(d, count * static_cast<std::int64_t>(sizeof(T))),
          host(static_cast<std::size_t>(count)) {
        for (std::size_t i = 0; i < host.size(); ++i)
            host[i] = static_cast<T>(
                          static_cast<int>((i * 7 + 3 * static_cast<unsigned>(seed)) % 17) - 8) /
                      4;
        current_device now(d);
        check(driver().cuMemcpyHtoDAsync(memory.address(), host.data(), bytes(), nullptr), "copy");
    }
    std::size_t bytes() const { return host.size() * sizeof(T); }
    void read() {
        check(driver().cuMemcpyDtoHAsync(host.data(), memory.address(), bytes(), nullptr), "copy");
    }
};

/// The product by the library against a plain loop; the largest error.
template <class T> double error_of(const device& d, product_shape s) {
    s.element = etch::dtype_of<T>;
    const std::int64_t step_c = s.m * s.n;
    device_numbers<T> a(d, s.batch * s.stride_a + s.lda * (s.transpose_a ? s.k : s.m), 1);
    device_numbers<T> b(d, s.batch * s.stride_b + s.ldb * (s.transpose_b ? s.n : s.k), 2);
    device_numbers<T> bias(d, std::max(s.n, s.m), 3), c(d, s.batch * step_c, 4);
    auto library = product_library::of(d);
    device_memory workspace(d, library->workspace_bytes());
    current_device now(d);
    const bool sums = s.sums != summed_factor::none;
    product p(library, s, s.bias || sums ? bias.memory.address() : 0);
    REQUIRE(p.found());
    p.run(nullptr, a.memory.address(), b.memory.address(), c.memory.address(), workspace.address());
    c.read();
    double most = 0;
    auto at = [](std::int64_t i) { return static_cast<std::size_t>(i); };
    if (sums) {
        bias.read();
        const bool of_a = s.sums == summed_factor::a;
        for (std::int64_t column = 0; column < (of_a ? s.m : s.n); ++column) {
            double sum = 0;
            for (std::int64_t l = 0; l < s.k; ++l)
                sum += static_cast<double>(of_a ? a.host[at(l * s.lda + column)]
                                                : b.host[at(l * s.ldb + column)]);
            most = std::max(most, std::abs(sum - static_cast<double>(bias.host[at(column)])));
        }
    }
    for (std::int64_t i = 0; i < s.batch; ++i)
        for (std::int64_t row = 0; row < s.m; ++row)
            for (std::int64_t column = 0; column < s.n; ++column) {
                double sum = s.bias ? static_cast<double>(bias.host[at(column)]) : 0;
                for (std::int64_t l = 0; l < s.k; ++l)
                    sum += static_cast<double>(
                               a.host[at(i * s.stride_a +
                                         (s.transpose_a ? l * s.lda + row : row * s.lda + l))]) *
                           static_cast<double>(
                               b.host[at(i * s.stride_b + (s.transpose_b ? column * s.ldb + l
                                                                         : l * s.ldb + column))]);
                if (s.after == activation::relu) sum = sum < 0 ? 0 : sum;
                if (s.after == activation::gelu)
                    sum = sum / 2 *
                          (1 + std::tanh(0.7978845608028654 * (sum + 0.044715 * sum * sum * sum)));
                most = std::max(most,
                                std::abs(sum - static_cast<double>(
                                                   c.host[at(i * step_c + row * s.n + column)])));
            }
    return most;
}

}  // namespace

TEST_CASE("row-major products by a column-major library") {
    host_device::device gpu;
    {
        device d(0);
        for (auto [m, n, k] : {std::array<std::int64_t, 3>{3, 5, 4},
                               {1, 7, 3},
                               {6, 1, 2},
                               {2, 3, 1},
                               {1, 1, 9},
                               {16, 8, 24}})
            for (bool ta : {false, true})
                for (bool tb : {false, true})
                    for (int gap : {0, 3}) {
                        product_shape s{
                            .transpose_a = ta, .transpose_b = tb, .m = m, .n = n, .k = k};
                        s.lda = (ta ? m : k) + gap;
                        s.ldb = (tb ? k : n) + gap;
                        INFO(m << ' ' << n << ' ' << k << ' ' << ta << tb << ' ' << gap);
                        CHECK(error_of<float>(d, s) < 1e-5);
                        CHECK(error_of<double>(d, s) < 1e-12);
                        s.batch = 3;
                        s.stride_a = s.lda * (ta ? k : m) + 2;
                        CHECK(error_of<float>(d, s) < 1e-5);
                        s.stride_b = s.ldb * (tb ? n : k);
                        CHECK(error_of<double>(d, s) < 1e-12);
                    }
        product_shape s{.m = 4, .n = 6, .k = 5, .lda = 5, .ldb = 6};
        for (activation after : {activation::none, activation::relu, activation::gelu})
            for (bool bias : {false, true}) {
                s.after = after;
                s.bias = bias;
                CHECK(error_of<float>(d, s) < 1e-5);
            }
        s = {.m = 4, .n = 6, .k = 5, .lda = 7, .ldb = 8, .sums = summed_factor::b};
        CHECK(error_of<float>(d, s) < 1e-5);
        s.transpose_a = true;
        CHECK(error_of<double>(d, s) < 1e-12);
        s.sums = summed_factor::a;
        CHECK(error_of<float>(d, s) < 1e-5);
    }
    CHECK(gpu.verdict() == "");
}

TEST_CASE("algorithms are asked for once, and what is refused is known") {
    {
        host_device::device gpu;
        {
            device d(0);
            auto library = product_library::of(d);
            CHECK(product_library::of(d) == library);
            CHECK(library->workspace_bytes() == 32 << 20);
            current_device now(d);
            auto asked = [&] { return gpu.calls("cublasLtMatmulAlgoGetHeuristic").size(); };
            product_shape s{.m = 4, .n = 6, .k = 5, .lda = 5, .ldb = 6};
            product first(library, s), second(library, s);
            CHECK(asked() == 1);
            CHECK(second.found());
            std::vector<product_shape> others(6, s);
            others[0].n = 5;
            others[1].transpose_a = true, others[1].lda = 4;
            others[2].align_a = 64;
            others[3].options.tensor_float32 = true;
            others[4].element = etch::dtype::float64;
            others[5].batch = 2, others[5].stride_a = 32;
            for (const auto& o : others) CHECK(product(library, o).found());
            CHECK(asked() == 7);
            gpu.options().refused = {CUBLASLT_EPILOGUE_GELU_BIAS};
            s.after = activation::gelu;
            s.bias = true;
            CHECK(!product(library, s, 256).found());
            CHECK(!product(library, s, 256).found());
            CHECK(asked() == 8);
            gpu.fail("cublasLtMatmulDescCreate", CUBLAS_STATUS_ALLOC_FAILED);
            CHECK(sentence_of([&] { product(library, s, 256); }) ==
                  "cuBLASLt: cublasLtMatmulDescCreate failed with CUBLAS_STATUS_ALLOC_FAILED (3)");
            gpu.fail("cublasLtMatrixLayoutCreate", CUBLAS_STATUS_ALLOC_FAILED, 2);
            CHECK_THROWS_AS(product(library, s, 256), device_error);
            s.after = activation::none;
            gpu.fail("cublasLtMatmulAlgoGetHeuristic", CUBLAS_STATUS_INTERNAL_ERROR);
            CHECK_THROWS_AS(product(library, s, 256), device_error);
            CHECK(product(library, s, 256).found());  // a failure is not remembered
        }
        CHECK(gpu.verdict() == "");
    }
    host_device::device older({.capability = 80});
    CHECK(product_library::of(device(0))->workspace_bytes() == 4 << 20);
}

#endif
