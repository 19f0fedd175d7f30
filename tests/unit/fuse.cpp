// SPDX-License-Identifier: MIT
// What shares a kernel, what lies over what, and how many bytes the arena has: figures of plans, most of them constants.
// also: clang
#include "catch.hpp"

#include <etch/language.hpp>

namespace {

using etch::expr;
using etch::graph;

constexpr auto softmax_model = [](graph& g) {
    g.output("y", softmax(g.input<float>("x", {g.dim("N"), 10})));
};
static_assert(etch::plan<softmax_model>.kernels() == 1);
static_assert(etch::plan<softmax_model>.bytes(64) == 0);
static_assert(etch::plan<softmax_model>.gemms() == 0);

constexpr auto softmax_of_columns = [](graph& g) {
    g.output("y", softmax(g.input<float>("x", {10, g.dim("N")}), 0));
};
static_assert(etch::plan<softmax_of_columns>.kernels() == 1);

constexpr auto layer_norm_model = [](graph& g) {
    auto x = g.input<float>("x", {g.dim("N"), 64});
    g.output("y", etch::nn::layer_norm(x, "norm"));
};
static_assert(etch::plan<layer_norm_model>.kernels() == 1);
static_assert(etch::plan<layer_norm_model>.bytes(32) == 0);
static_assert(etch::plan<layer_norm_model>.state_bytes() == 2 * 64 * 4);

constexpr auto cross_entropy_model = [](graph& g) {
    auto N = g.dim("N");
    auto z = g.input<float>("z", {N, 10});
    auto loss = mean(cross_entropy(z, g.input<int>("label", {N})));
    g.output("loss", loss);
    g.output("slope", grad(loss, z));
};
static_assert(etch::plan<cross_entropy_model>.kernels() == 1);
static_assert(etch::plan<cross_entropy_model>.bytes(100) == 0);

constexpr auto chain = [](graph& g) {
    auto N = g.dim("N");
    auto x = g.input<float>("x", {N, 8}), y = g.input<float>("y", {16, N}),
         row = g.input<float>("row", {8});
    auto part = transpose(slice(y, {etch::range(2, 10)}));
    g.output("z",
             tanh(x * part + row) * slice(x, {etch::all, etch::range(etch::none, etch::none, -1)}) -
                 0.5);
};
static_assert(etch::plan<chain>.kernels() == 1);
static_assert(etch::plan<chain>.bytes(100) == 0);

constexpr auto prologue_and_epilogue = [](graph& g) {
    auto x = g.input<float>("x", {g.dim("N"), 32});
    g.output("norm", sqrt(sum(square(exp(x) - 1), 1)) + 1);
};
static_assert(etch::plan<prologue_and_epilogue>.kernels() == 1);

constexpr auto several = [](graph& g) {
    auto x = g.input<float>("x", {g.dim("N")});
    g.output("a", sin(x));
    g.output("b", cos(x));
    g.output("c", sum(x));
    g.output("d", sin(x) * cos(x) + x);
};
static_assert(etch::plan<several>.kernels() == 1);

constexpr auto two_axes = [](graph& g) {
    auto x = g.input<float>("x", {g.dim("N"), 12});
    g.output("rows", sum(x, 1));
    g.output("columns", sum(x, 0));
};
static_assert(etch::plan<two_axes>.kernels() == 2);

constexpr auto columns = [](graph& g) {
    auto x = g.input<float>("x", {g.dim("N"), 12});
    g.output("y", tanh(sum(x, 0) / g.dim("N")) * 2);
};
static_assert(etch::plan<columns>.kernels() == 1);
constexpr auto columns_back = [](graph& g) {
    auto x = g.input<float>("x", {g.dim("N"), 12});
    g.output("y", x - mean(x, 0));
};
static_assert(etch::plan<columns_back>.kernels() == 1);

/// 784-256-10 with Adam, as in the readme.
struct mlp {
    bool adam = true;
    constexpr void operator()(graph& g) const {
        auto N = g.dim("N");
        auto image = g.input<float>("image", {N, 784});
        auto label = g.input<int>("label", {N});
        auto h = relu(etch::nn::dense(image, 256, "hidden"));
        auto logits = etch::nn::dense(h, 10, "output");
        auto loss = mean(cross_entropy(logits, label));
        g.output("loss", loss);
        g.output("accuracy", mean(equal(argmax(logits), label)));
        if (adam)
            g.minimize(loss, etch::nn::adam{.rate = 1e-3});
        else
            g.minimize(loss, etch::nn::sgd{.rate = 1e-3});
    }
};
static_assert(etch::plan<mlp{}>.kernels() == 4);
static_assert(etch::plan<mlp{}>.gemms() == 5);
static_assert(etch::plan<mlp{}>.state_bytes() == 3 * 4 * (784 * 256 + 256 + 256 * 10 + 10) + 8);
static_assert(etch::plan<mlp{false}>.gemms() == 5);

constexpr auto bias_relu = [](graph& g) {
    auto x = g.input<float>("x", {g.dim("N"), 20});
    g.output("y", relu(etch::nn::dense(x, 30, "layer")));
};
static_assert(etch::plan<bias_relu>.kernels() == 0);
static_assert(etch::plan<bias_relu>.gemms() == 1);

constexpr auto transposed_factors = [](graph& g) {
    auto a = g.input<float>("a", {20, 7}), b = g.input<float>("b", {9, 20});
    g.output("y", matmul(transpose(a), transpose(b)));
};
static_assert(etch::plan<transposed_factors>.kernels() == 0);
static_assert(etch::plan<transposed_factors>.view().gemms[0].transpose_a);
static_assert(etch::plan<transposed_factors>.view().gemms[0].transpose_b);
static_assert(etch::plan<transposed_factors>.flops() == 2 * 7 * 20 * 9);
static_assert(etch::plan<transposed_factors>.bytes() == 0);

constexpr auto fixed = [](graph& g) {  // the hidden layer and its gradient are what must be kept
    auto x = g.input<float>("x", {32, 100});
    auto w = g.param<float>("w", {100, 50}, etch::nn::normal{});
    auto loss = sum(square(tanh(matmul(x, w))));
    g.update(w, w - 0.1 * grad(loss, w));
};
static_assert(etch::plan<fixed>.bytes() <= (32 * 50 + 100 * 50 + 64) * 4);
static_assert(etch::plan<fixed>.bytes() >= 32 * 50 * 4);

constexpr auto recurrent = [](graph& g) {
    auto T = g.dim("T"), N = g.dim("N");
    auto x = g.input<float>("x", {T, N, 8});
    auto w = g.param<float>("w", {8, 8}, etch::nn::normal{});
    auto r = etch::scan([&](expr xt, expr h) { return tanh(xt + matmul(h, w)); }, x,
                        broadcast_to(etch::constant<float>(g, {}, {0}), {N, 8}));
    g.output("last", r.last);
};

etch::program made(auto model, etch::plan_options options = {}) {
    graph g;
    model(g);
    return etch::make_program(g, options);
}
std::int64_t kernels(const etch::program& p, std::vector<std::int64_t> dims = {}) {
    return etch::view_of(p).kernels(dims);
}
const etch::part& part_of(const etch::program_view& p, int step) {
    return p.parts[static_cast<std::size_t>(
        p.all_steps().first + step < 0
            ? 0
            : p.steps[static_cast<std::size_t>(p.all_steps().first + step)].parts.first)];
}
int stores(const etch::program_view& p, const etch::part& q) {
    int n = 0;
    for (const auto& i : p.code_of(p.bodies[static_cast<std::size_t>(q.body)]))
        n += i.what == etch::code::store ? 1 : 0;
    return n;
}

}  // namespace

TEST_CASE("a figure that depends on dims asks for them") {
    CHECK(etch::plan<softmax_model>.bytes(7) == 0);
    CHECK_THROWS_WITH(etch::plan<softmax_model>.bytes(),
                      "plan: this figure needs an extent for each named dim");
    CHECK_THROWS_AS(etch::plan<softmax_model>.flops(1, 2), etch::mistake);
    CHECK(etch::plan<softmax_model>.flops(20) == 2 * etch::plan<softmax_model>.flops(10));
    CHECK(etch::plan<mlp{}>.bytes(64) > etch::plan<mlp{}>.bytes(32));
    CHECK_THROWS_AS(etch::plan<recurrent>.kernels(), etch::mistake);
}

TEST_CASE("all updates of a training step are one step with a part each") {
    auto p = etch::plan<mlp{}>.view();
    int parts = 0;
    std::int64_t copied = 0;
    for (const auto& s : p.steps_of(p.all_steps())) {
        if (s.kind == etch::step_kind::kernel) parts = s.parts.count;
        if (s.kind == etch::step_kind::copy)
            copied +=
                p.storages[static_cast<std::size_t>(p.copies[static_cast<std::size_t>(s.index)].to)]
                    .size.code;
    }
    CHECK(parts >= 4);   // of the last kernel: four parameters
    CHECK(copied <= 1);  // the count of the steps, perhaps
    int aliases = 0;
    for (const auto& s : p.storages)
        aliases += s.alias >= 0 &&
                           p.storages[static_cast<std::size_t>(s.alias)].where == etch::place::state
                       ? 1
                       : 0;
    CHECK(aliases >= 12);  // four parameters with two slots each
}

TEST_CASE("updates stay apart where they shall change only after the whole call") {
    auto apart = made(mlp{}, {.memory = {.in_place = false}});
    int copies = 0;
    for (const auto& s : apart.steps) copies += s.kind == etch::step_kind::copy ? 1 : 0;
    CHECK(copies == 13);
}

TEST_CASE("the mask of a relu is computed again, not stored") {
    auto p = made([](graph& g) {
        auto x = g.input<float>("x", {64, 16}), y = g.input<float>("y", {16, 8});
        auto loss = sum(square(matmul(relu(x), y)));
        g.output("slope", grad(loss, x));
    });
    for (const auto& s : p.storages) CHECK(s.element != etch::dtype::boolean);
}

TEST_CASE("a product takes what follows point by point as its epilogue") {
    auto p = made(bias_relu);
    REQUIRE(p.gemms.size() == 1);
    CHECK(p.gemms[0].epilogue >= 0);
    CHECK(p.steps.size() == 1);
    auto turned = made([](graph& g) {  // one that is only read transposed is made so
        auto x = g.input<float>("x", {20, 20});
        g.output("y", transpose(matmul(x, x)) + x);
    });
    CHECK(turned.gemms[0].epilogue >= 0);
    CHECK(kernels(turned) == 0);
    auto both = made([](graph& g) {  // what reads it transposed is no epilogue
        auto x = g.input<float>("x", {20, 20});
        auto product = matmul(x, x);
        g.output("y", transpose(product) + x);
        g.output("z", product);
    });
    CHECK(both.gemms[0].epilogue < 0);
    CHECK(kernels(both) == 1);
}

TEST_CASE("a product's factor is read through its view where that is a matrix") {
    auto solid = [](auto model) { return kernels(made(model)); };
    CHECK(solid([](graph& g) {
              auto x = g.input<float>("x", {6, 9});
              g.output("y", matmul(slice(x, {etch::range(0, 4), etch::range(0, 5)}),
                                   g.input<float>("b", {5, 3})));
          }) == 0);
    CHECK(solid([](graph& g) {  // rows in between
              auto x = g.input<float>("x", {6, 9});
              g.output("y", matmul(slice(x, {etch::range(0, 6, 2)}), g.input<float>("b", {9, 3})));
          }) == 1);
    auto p = made(
        [](graph& g) {  // a slice of each matrix of a batch: the next one is as far away as before
            auto x = g.input<float>("x", {4, 6, 9});
            g.output("y", matmul(slice(x, {etch::all, etch::range(0, 3)}),
                                 g.input<float>("b", {4, 9, 2})));
        });
    REQUIRE(p.gemms.size() == 1);
    CHECK(p.gemms[0].stride_a.code == 54);
}

TEST_CASE("a parameter is updated where it lies unless its old value is needed after") {
    auto aliases = [](auto model) {
        auto p = made(model);
        int n = 0;
        for (const auto& s : p.storages)
            n += s.alias >= 0 &&
                         p.storages[static_cast<std::size_t>(s.alias)].where == etch::place::state
                     ? 1
                     : 0;
        return n;
    };
    CHECK(aliases([](graph& g) {
              auto w = g.param<float>("w", {10}, etch::nn::zeros{});
              g.update(w, w * 2 + 1);
          }) == 1);
    CHECK(aliases([](graph& g) {  // each reads the other's old value
              auto w = g.param<float>("w", {10}, etch::nn::zeros{}),
                   v = g.param<float>("v", {10}, etch::nn::zeros{});
              g.update(w, w + v);
              g.update(v, w - v);
          }) < 2);
    CHECK(aliases([](graph& g) {  // read at other places than where it is written
              auto w = g.param<float>("w", {10}, etch::nn::zeros{});
              g.update(w, etch::flip(w) * 0.5);
          }) == 0);
    CHECK(aliases([](graph& g) {
              auto w = g.param<float>("w", {10, 10}, etch::nn::zeros{});
              g.update(w, w + transpose(w));
          }) == 0);
}

TEST_CASE("results take the place of operands that nobody needs any more") {
    auto p = made([](graph& g) {
        auto x = g.input<float>("x", {50, 50});
        auto y = x;
        for (int i = 0; i < 6; ++i) y = tanh(matmul(y, y) * 0.1);
        g.output("y", y);
    });
    CHECK(etch::program_figures(etch::view_of(p)).bytes() <= 2 * (50 * 50 * 4 + 64));
}

TEST_CASE("the body of a scan: one kernel a round, and what it does not carry once") {
    auto p = made(recurrent);
    REQUIRE(p.loops.size() == 1);
    std::int64_t dims[] = {5, 3}, more[] = {9, 3};
    auto v = etch::view_of(p);
    CHECK(v.gemm_count(dims) == 5);
    CHECK(v.gemm_count(more) == 9);
    CHECK(v.kernels(more) - v.kernels(dims) <= 4);
    for (const auto& s : v.steps_of(p.loops[0].body)) CHECK(s.kind != etch::step_kind::loop);
}

TEST_CASE("several outputs of one kernel are stored by one part") {
    auto v = etch::plan<several>.view();
    CHECK(stores(v, part_of(v, 0)) == 4);
    auto c = etch::plan<cross_entropy_model>.view();
    CHECK(stores(c, part_of(c, 0)) == 2);
}

TEST_CASE("more passes over a row than a kernel has are several kernels") {
    auto deep = [](int n) {
        return made([n](graph& g) {
            auto x = g.input<float>("x", {4, 9});
            for (int i = 0; i < n; ++i) x = tanh(x - mean(x, 1, etch::keepdims));
            g.output("y", x);
        });
    };
    auto once = deep(15), twice = deep(16);
    CHECK(kernels(once) == 1);
    CHECK(kernels(twice) == 2);
    for (const auto& b : twice.bodies) CHECK(b.passes <= 16);
}
