// SPDX-License-Identifier: MIT
// Programs that are known at run time only, interpreted on the CPU, against the reference evaluator: every kind of
// kernel body, every instruction, sizes around the width of a pack; and against the compiled kernels of the same model.
// also: sanitize
#include "catch.hpp"

#include <cstring>

#include <etch/cpu/interpret.hpp>
#include <etch/cpu/kernels.hpp>
#include <etch/language.hpp>

#include "reference/execute.hpp"
#include "reference/random_program.hpp"

using namespace etch;
using reference::numbers;
using reference::tensor;

namespace {

constexpr nn::zeros zero{};

/// Numbers in (-2, 2), or small integers that are the same in every dtype.
tensor data(const graph& g, int value, const numbers& dims, reference::dice& dice) {
    const type& t = g.type_of(value);
    numbers shape;
    for (int i = 0; i < t.rank; ++i) shape.push_back(g.polynomial_of(t[i]).evaluate(dims));
    tensor x(t.element, shape);
    for (std::size_t i = 0; i < x.count(); ++i) {
        if (x.floating())
            x.real[i] = static_cast<float>(dice.between(-2000, 2000)) / 1024.0f;
        else
            x.integral[i] = is_boolean(t.element) ? dice.below(2) : dice.between(-3, 2);
    }
    return x;
}
struct data_of {
    std::vector<tensor> inputs, parameters;
};
data_of make_data(const graph& g, const numbers& dims) {
    reference::dice dice(42);
    data_of d;
    for (const auto& i : g.inputs) d.inputs.push_back(data(g, i.value, dims, dice));
    for (const auto& p : g.parameters) d.parameters.push_back(data(g, p.value, dims, dice));
    return d;
}

/// Builds the model, and compares what is interpreted with the reference, for each list of extents.
template <class Model>
void check(Model model, const std::vector<numbers>& all_dims = {{}}, double tolerance = 2e-5) {
    graph g;
    model(g);
    REQUIRE_FALSE(g.failed());
    const program p = reference::program_of(g);
    const program_view view = view_of(p);
    cpu::interpreter_kernels kernels(view);
    for (const auto& dims : all_dims) {
        data_of d = make_data(g, dims);
        reference::evaluator e(g, dims, d.inputs, d.parameters);
        std::vector<tensor> outputs = e.outputs(), parameters = e.updates();
        reference::results r =
            reference::execute(view, kernels.entries(), dims, d.inputs, d.parameters);
        std::string at;
        for (auto n : dims) at += std::to_string(n) + ' ';
        INFO("extents " << at);
        for (std::size_t i = 0; i < outputs.size(); ++i) {
            INFO("output " << g.name(g.outputs[i].name));
            CHECK(reference::difference(r.outputs[i], outputs[i]) <= tolerance);
        }
        for (std::size_t i = 0; i < parameters.size(); ++i) {
            INFO("parameter " << g.name(g.parameters[i].name));
            CHECK(reference::difference(r.parameters[i], parameters[i]) <= tolerance);
        }
    }
}
/// Extents 0 and 1, around one pack and around one block.
const std::vector<numbers> lengths{{0},  {1},  {2},    {7},    {15},   {16},
                                   {17}, {33}, {1000}, {1025}, {4099}, {70001}};
const std::vector<numbers> positive{{1}, {2}, {7}, {15}, {16}, {17}, {33}, {1000}, {1025}, {4099}};
const std::vector<numbers> matrices{{0, 3},  {3, 0},  {1, 1},    {1, 5},   {5, 1},
                                    {3, 2},  {2, 17}, {7, 7},    {4, 16},  {65, 66},
                                    {70, 3}, {3, 70}, {2, 3000}, {3000, 2}};
const std::vector<numbers> full_matrices{{1, 1},  {1, 5},   {5, 1},  {3, 2},  {2, 17},   {7, 7},
                                         {4, 16}, {65, 66}, {70, 3}, {3, 70}, {2, 3000}, {3000, 2}};

}  // namespace

TEST_CASE("pointwise bodies of every dtype") {
    check(
        [](graph& g) {
            auto n = g.dim("N");
            auto a = g.input<float>("a", {n}), b = g.input<float>("b", {n});
            auto c = g.input<double>("c", {n});
            auto i = g.input<int>("i", {n});
            auto j = g.input<std::int64_t>("j", {n});
            auto k = g.input<bool>("k", {n});
            g.output("float", tanh(a) * 2 + exp(-square(b)) / (1 + abs(a)) - where(k, a, b));
            g.output("double", log(1 + square(c)) + sqrt(abs(c)) * sigmoid(c));
            g.output("int", floor_divide(i * 7 - 3, 4) + remainder(i, 5) * minimum(i, 1));
            g.output("long", maximum(j, 0) * j - abs(j));
            g.output("bool", (a < b) || (!k && equal(i, 2)));
            g.output("cast", cast<float>(j) + cast<float>(k) + cast<float>(c));
            g.output("to int", cast<int>(a * 10));
            g.output("sum of all", erf(a) + cos(b) * sin(a) + expm1(a) + log1p(abs(b)) +
                                       softplus(a) + relu(b) + floor(a * 3) + sign(b) +
                                       power(abs(a) + 0.5, b) + reciprocal(2 + square(b)));
        },
        lengths);
}

TEST_CASE("broadcasts, transposes and slices are strides") {
    check(
        [](graph& g) {
            auto n = g.dim("N"), m = g.dim("M");
            auto x = g.input<float>("x", {n, m}), column = g.input<float>("column", {n, 1}),
                 row = g.input<float>("row", {m});
            auto y = g.input<double>("y", {m, n});
            g.output("broadcast", x * column + row);
            g.output("transposed", transpose(x) + 1);
            g.output("both", cast<float>(transpose(y)) + x);
            g.output("backwards", slice(x, {all, range(none, none, -1)}) - x);
            g.output("upside down", slice(x, {range(none, none, -1)}) * row);
        },
        matrices);
    check([](graph& g) {
        auto x = g.input<float>("x", {5, 40, 3});
        g.output("stepped", slice(x, {all, range(1, 38, 3), range(none, none, -2)}) * 2);
        g.output("steps of -2", slice(x, {all, range(30, 3, -2)}));
        g.output("one", slice(x, {2, all, 1}) + slice(x, {0, all, 2}));
        g.output("turned", transpose(x, {2, 0, 1}) + 1);
        g.output("swapped", transpose(x, {1, 0, 2}));
        g.output("overlapping",
                 slice(x, {all, range(0, 39, 1)}) + slice(x, {all, range(1, 40, 1)}));
    });
}

TEST_CASE("a value and the same value transposed in one kernel") {
    check(
        [](graph& g) {
            auto n = g.dim("N");
            auto x = cast<float>(g.input<std::int64_t>("x", {n, n}));
            g.output("larger", maximum(x, transpose(x)));
            g.output("difference", exp(x) - slice(exp(x), {all, range(none, none, -1)}));
            g.output("sum", sum(maximum(x, transpose(x)), 0));
        },
        {{1}, {3}, {17}, {40}});
}

TEST_CASE("a mean of all is not used before it is known") {
    check(
        [](graph& g) {
            auto n = g.dim("N");
            auto i = iota(g, {5, n}, 0);
            auto x = cast<float>(i);
            g.output("y", cast<float>(not_equal(i, 2)) + variance(x));
            auto z = g.input<float>("z", {5, n});
            g.output("w", z - mean(z));
            g.output("v", (z - mean(z)) / sqrt(variance(z) + 1));
        },
        {{1}, {4}, {33}, {9000}, {40000}}, 1e-4);
}

TEST_CASE("reductions along the last axis") {
    auto model = [](graph& g) {
        auto n = g.dim("N"), m = g.dim("M");
        auto x = g.input<float>("x", {n, m});
        auto y = g.input<double>("y", {n, m});
        auto i = g.input<int>("i", {n, m});
        auto b = g.input<bool>("b", {n, m});
        g.output("sum", sum(x * 2, -1));
        g.output("prod", prod(1 + 0.001 * x, -1));
        g.output("mean", mean(y, -1));
        g.output("count", sum(b, -1));
        g.output("integers", sum(i, -1) + prod(minimum(abs(i), 1), -1));
        g.output("rows", exp(0.01 * sum(x, -1, keepdims)) * x);
    };
    check(model, matrices);
    auto extrema = [](graph& g) {
        auto n = g.dim("N"), m = g.dim("M");
        auto x = g.input<float>("x", {n, m});
        auto y = g.input<double>("y", {n, m});
        auto i = g.input<int>("i", {n, m});
        auto j = g.input<std::int64_t>("j", {n, m});
        g.output("max", max(x, -1));
        g.output("min", min(y, -1));
        g.output("argmax", argmax(x));
        g.output("argmax of double", argmax(y));
        g.output("argmax of integers", argmax(i) + argmin(j));
        g.output("integers", max(i, -1) + min(i, -1));
        g.output("long", max(j, -1) - min(j, -1));
        g.output("softmax", softmax(x));
        g.output("log softmax", log_softmax(y));
        g.output("normalized", normalize(x));
    };
    check(extrema, full_matrices, 1e-4);
}

TEST_CASE("reductions along the first axis: columns") {
    auto model = [](graph& g) {
        auto n = g.dim("N"), m = g.dim("M");
        auto x = g.input<float>("x", {n, m});
        auto y = g.input<double>("y", {n, m});
        auto b = g.input<bool>("b", {n, m});
        g.output("sum", sum(x * 2, 0));
        g.output("prod", prod(1 + 0.001 * y, 0));
        g.output("count", sum(b, 0));
        g.output("both", sum(x, 0) + sum(square(x), 0));
        g.output("centred", x - mean(x, 0));
    };
    check(model,
          {{0, 3},
           {3, 0},
           {1, 5},
           {5, 1},
           {3, 2},
           {2, 17},
           {65, 66},
           {70, 3},
           {3, 70},
           {3000, 2},
           {2, 3000}},
          1e-4);
    auto extrema = [](graph& g) {
        auto n = g.dim("N"), m = g.dim("M");
        auto x = g.input<float>("x", {n, m});
        auto i = g.input<int>("i", {n, m});
        g.output("max", max(x, 0) - min(x, 0));
        g.output("argmax", argmax(x, 0) + argmax(i, 0));
        g.output("softmax", softmax(x, 0));
        g.output("total", sum(max(x, 0)));
        g.output("best column", argmax(max(x, 0)));
        g.output("total of all", sum(x * x) + sum(x));
    };
    check(extrema, full_matrices, 1e-4);
}

TEST_CASE("reductions along middle and several axes") {
    auto model = [](graph& g) {
        auto n = g.dim("N"), m = g.dim("M");
        auto x = g.input<float>("x", {n, 5, m});
        g.output("middle", sum(x, 1));
        g.output("softmax", softmax(x, 1));
        g.output("argmax", argmax(x, 1));
        g.output("ends", sum(x, {0, 2}));
        g.output("last two", mean(x, {1, 2}));
        g.output("first two", max(x, {0, 1}));
        g.output("shared", x / (1 + sum(abs(x), {0, 2}, keepdims)));
        g.output("reversed", sum(slice(x, {all, range(none, none, -1)}) * x, {1, 2}));
    };
    check(model, {{1, 1}, {2, 3}, {3, 16}, {17, 2}, {9, 70}, {40, 41}, {2, 2000}}, 1e-4);
}

TEST_CASE("reductions to a scalar in parts") {
    check(
        [](graph& g) {
            auto n = g.dim("N");
            auto x = g.input<float>("x", {n});
            auto i = g.input<int>("i", {n});
            g.output("sum", sum(square(x)));
            g.output("mean", mean(i));
            g.output("chained", exp(-mean(square(x))) * 2);
            g.output("integers", sum(i));
        },
        lengths, 1e-4);
    check(
        [](graph& g) {
            auto n = g.dim("N");
            auto x = g.input<float>("x", {n});
            auto y = g.input<double>("y", {n});
            g.output("max", max(x) - cast<float>(min(y)));
            g.output("argmax", argmax(x) + argmin(y));
            g.output("softmax", softmax(x));
            g.output("logsumexp", logsumexp(y));
        },
        {{1}, {2}, {17}, {1000}, {70001}, {400000}}, 1e-4);
}

TEST_CASE("argmax: ties, nan and infinities") {
    graph g;
    auto x = g.input<float>("x", {6, 20});
    g.output("rows", argmax(x));
    g.output("columns", argmax(x, 0));
    g.output("max", max(x, -1));
    const program p = reference::program_of(g);
    cpu::interpreter_kernels kernels(view_of(p));
    const double nan = std::nan(""), inf = HUGE_VAL;
    tensor t(dtype::float32, {6, 20});
    for (std::size_t i = 0; i < 20; ++i) {
        t.real[20 + i] = i % 5 == 3 ? 1 : 0;             // ties
        t.real[40 + i] = i == 17 || i == 5 ? nan : 100;  // the first nan
        t.real[60 + i] = -inf;
        t.real[80 + i] = i == 19 ? inf : -inf;
        t.real[100 + i] = -static_cast<double>(i);
    }
    reference::evaluator e(g, {}, {t});
    auto r = reference::execute(view_of(p), kernels.entries(), {}, {t}, {});
    for (std::size_t i = 0; i < 3; ++i)
        CHECK(reference::difference(r.outputs[i], e.outputs()[i]) == 0);
}

TEST_CASE("gathers") {
    auto plain = [](graph& g) {
        auto n = g.dim("N");
        auto x = g.input<float>("x", {3, n});
        auto y = g.input<double>("y", {n, 4, 3});
        auto i = g.input<int>("i", {n, 2});
        auto j = g.input<std::int64_t>("j", {n});
        g.output("rows", take(x, i) + 1);
        g.output("middle", take(y, i, 2) * 2);
        g.output("last", take(y, j, -1));
        g.output("transposed", take(transpose(x), j, 1));
        g.output("sum", sum(take(x, j), 0));
        g.output("of a computed table", take(exp(x), j));
        g.output("one hot", one_hot(remainder(j, 3), 3));
    };
    check(plain, {{0}, {1}, {5}, {17}, {40}});
    check([](graph& g) {
        auto x = g.input<float>("x", {3, 19}), w = g.param<float>("w", {3, 19}, zero);
        auto i = g.input<int>("i", {3, 19});
        g.output("along", take_along_axis(x, i, 0));
        auto y = sum(square(take_along_axis(w, i, 0)) * x);
        g.output("y", y);
        g.output("dw", grad(y, w));
    });
}

TEST_CASE("what gathers give back is added") {
    check(
        [](graph& g) {
            auto n = g.dim("N");
            auto w = g.param<float>("w", {3, 20}, zero);
            auto i = g.input<int>("i", {n});
            auto x = g.input<float>("x", {n, 20});
            auto y = sum(take(w, i) * x);
            g.output("dw", grad(y, w));
            auto v = g.param<float>("v", {5, 3}, zero);
            auto z = sum(square(take(v, i, 1)));
            g.output("dv", grad(z, v));
            g.update(v, v - 0.1 * grad(z, v));
        },
        {{0}, {1}, {2}, {17}, {100}});
    check([](graph& g) {  // one element: the body has no axes
        auto w = g.param<float>("w", {3}, zero);
        auto i = g.input<int>("i", {1});
        g.output("dw", grad(sum(square(take(w, i))), w));
    });
}

TEST_CASE("an index outside of its axis stops the call and names the line") {
    graph g;
    auto n = g.dim("N");
    auto x = g.input<float>("x", {3, 4}), w = g.param<float>("w", {3, 4}, zero);
    auto i = g.input<int>("i", {n});
    g.output("y", sum(take(x * 2, i), 1));
    g.update(w, w + 1);
    const program p = reference::program_of(g);
    cpu::interpreter_kernels kernels(view_of(p));
    for (std::int64_t bad : {3, -4, 1000}) {
        std::vector<double> indices(50, -3);
        indices[41] = static_cast<double>(bad);
        std::vector<tensor> in{tensor(dtype::float32, {3, 4}), tensor(dtype::int32, {50}, indices)};
        std::vector<tensor> states{tensor(dtype::float32, {3, 4})};
        try {
            reference::execute(view_of(p), kernels.entries(), {50}, in, states);
            FAIL("no error");
        } catch (const mistake& e) {
            std::string sentence = e.what();
            INFO(sentence);
            CHECK(sentence.find("index " + std::to_string(bad) + " is outside") !=
                  std::string::npos);
            CHECK(sentence.find("interpret.cpp:") != std::string::npos);
        }
    }
    check([](graph& h) {
        h.output("y", take(h.input<float>("x", {4}), etch::constant<int>(h, {}, {-1})) * 2);
    });
}

TEST_CASE("pads and concatenations") {
    check(
        [](graph& g) {
            auto n = g.dim("N");
            auto x = g.input<float>("x", {n, 3}), y = g.input<float>("y", {2, 3});
            auto i = g.input<int>("i", {n});
            g.output("pad", pad(x, {{1, 2}, {0, 3}}, 7));
            g.output("rows", concatenate({x, y, x * 2}, 0));
            g.output("columns", concatenate({x, exp(x)}, 1));
            g.output("integers", pad(i, {{3, 0}}));
            g.output("stacked", etch::stack({x, x + 1}, 0));
            auto w = g.param<float>("w", {2, 3}, zero);
            g.output("dw", grad(sum(square(concatenate({w, x}, 0)) * 3), w));
            g.output("padded product", pad(matmul(w, transpose(x)), {{1, 1}, {0, 1}}));
        },
        {{0}, {1}, {5}, {40}});
}

TEST_CASE("products with what follows them") {
    check(
        [](graph& g) {
            auto n = g.dim("N");
            auto x = g.input<float>("x", {n, 20}), w = g.param<float>("w", {20, 30}, zero),
                 b = g.param<float>("b", {30}, zero);
            auto label = g.input<int>("label", {n});
            auto h = relu(matmul(x, w) + b);
            auto u = g.param<float>("u", {30, 5}, zero);
            auto loss = mean(cross_entropy(matmul(h, u), remainder(label, 5)));
            g.output("loss", loss);
            auto d = grad(loss, {w, b, u});
            g.update(w, w - 0.1 * d[0]);
            g.update(b, b - 0.1 * d[1]);
            g.update(u, u - 0.1 * d[2]);
        },
        {{1}, {7}, {64}}, 1e-3);
    check([](graph& g) {
        auto x = g.input<double>("x", {4, 3, 5}), y = g.input<double>("y", {4, 5, 2});
        g.output("batched", matmul(x, y) * 2);
        g.output("transposed", matmul(transpose(x, {0, 2, 1}), x));
        g.output("repeated", matmul(x, slice(y, {0})));
    });
}

TEST_CASE("loops and their derivatives") {
    check(
        [](graph& g) {
            auto n = g.dim("N"), b = g.dim("B");
            auto xs = g.input<float>("xs", {n, b, 3});
            auto w = g.param<float>("w", {3, 3}, zero);
            auto first = g.input<float>("first", {b, 3});
            auto r = scan([&](expr x, expr c) { return tanh(matmul(c, w) + x); }, xs, first);
            auto loss = sum(square(r.all)) + mean(r.last);
            g.output("last", r.last);
            g.output("all", r.all);
            auto d = grad(loss, {w, first});
            g.output("dw", d[0]);
            g.output("dfirst", d[1]);
        },
        {{1, 1}, {2, 3}, {5, 17}}, 1e-3);
    check(
        [](graph& g) {
            auto n = g.dim("N");
            auto xs = g.input<int>("xs", {n});
            auto r = scan([&](expr x, expr c) { return c * 2 + x; }, xs,
                          etch::constant<int>(g, {}, {1}));
            g.output("last", r.last);
            g.output("all", r.all);
        },
        {{0}, {1}, {9}});
}

TEST_CASE("random numbers") {
    check(
        [](graph& g) {
            auto n = g.dim("N"), m = g.dim("M");
            g.output("uniform", uniform(g, {n, m}));
            g.output("double", uniform(g, {n, m}, -1, 1, dtype::float64));
            g.output("transposed", transpose(uniform(g, {n, m})) * 2);
            g.output("normal", normal(g, {m}));
            g.output("mask", bernoulli(g, {n}, 0.5));
            auto x = uniform(g, {n, m});
            g.output("sums", sum(x, 0) + max(x, 0));
        },
        {{1, 1}, {3, 5}, {17, 33}, {40, 200}}, 1e-4);
}

TEST_CASE("programs of rank 0") {
    check([](graph& g) {
        auto a = g.input<float>("a", {});
        auto b = g.input<int>("b", {});
        auto w = g.param<float>("w", {}, zero);
        g.output("y", exp(a) * w + cast<float>(b));
        g.output("b", b * 2);
        g.output("same", a);
        g.update(w, w - grad(square(w * a), w));
        g.output("constant", etch::constant<int>(g, {}, {4}));
    });
    check(
        [](graph& g) {
            auto x = g.input<float>("x", {g.dim("N"), 2});
            g.output("rows", etch::constant<float>(g, {}, {2}) * etch::size(x, 0));
        },
        {{0}, {5}});
}

TEST_CASE("several outputs and updates see old values") {
    check(
        [](graph& g) {
            auto n = g.dim("N");
            auto x = g.input<float>("x", {n});
            auto a = g.param<float>("a", {33}, zero), b = g.param<float>("b", {33}, zero),
                 c = g.param<float>("c", {33}, zero);
            g.output("x", x);
            g.output("x again", x);
            g.output("twice", 2 * x);
            g.output("a", a);
            g.output("a + b", a + b);
            g.update(a, b);
            g.update(b, a + mean(x));
            g.update(c, slice(c, {range(none, none, -1)}) + a);
        },
        {{1}, {50}});
}

TEST_CASE("a body of a thousand instructions") {
    check(
        [](graph& g) {
            auto n = g.dim("N");
            auto x = g.input<float>("x", {n, 3});
            std::vector<expr> kept;
            expr y = x;
            for (int i = 0; i < 300; ++i) {
                y = tanh(y * (1.0 + i * 0.001) + 0.5 / (i + 1));
                if (i % 4 == 0) kept.push_back(y);
            }
            expr total = y;
            for (expr k : kept) total = total + k * x;
            g.output("y", total);
            g.output("dx", grad(sum(total), x));
        },
        {{1}, {100}, {900}}, 1e-3);
}

TEST_CASE("random programs") {
    for (std::uint64_t seed = 0; seed < 150; ++seed) {
        graph g;
        reference::program r = reference::random_program(g, seed);
        reference::evaluator e(g, r.dims, r.inputs, r.parameters),
            rounded(g, r.dims, r.inputs, r.parameters, true);
        std::vector<tensor> outputs = e.outputs(), floats = rounded.outputs(),
                            updates = e.updates(), float_updates = rounded.updates();
        const program p = reference::program_of(g);
        cpu::interpreter_kernels kernels(view_of(p));
        auto got =
            reference::execute(view_of(p), kernels.entries(), r.dims, r.inputs, r.parameters);
        INFO("seed " << seed);
        for (std::size_t i = 0; i < outputs.size(); ++i)
            CHECK(reference::difference(got.outputs[i], outputs[i]) <=
                  1e-3 + 20 * reference::difference(floats[i], outputs[i]));
        for (std::size_t i = 0; i < updates.size(); ++i)
            CHECK(reference::difference(got.parameters[i], updates[i]) <=
                  1e-3 + 20 * reference::difference(float_updates[i], updates[i]));
    }
}

namespace {
inline constexpr auto both_ways = [](graph& g) {
    auto n = g.dim("N");
    auto x = g.input<float>("x", {n, 37});
    auto i = g.input<int>("i", {n});
    auto w = g.param<float>("w", {37, 10}, zero), e = g.param<float>("e", {3, 37}, zero);
    auto h = tanh(matmul(x + take(e, i), w));
    auto loss = mean(cross_entropy(h, remainder(i, 10)));
    g.output("loss", loss);
    g.output("best", argmax(h));
    g.output("count", sum(cast<int>(x > 0), 0));
    g.output("columns", softmax(x, 0));
    g.output("noise", bernoulli(g, {n, 3}, 0.3));
    auto d = grad(loss, {w, e});
    g.update(w, w - 0.5 * d[0]);
    g.update(e, e - 0.5 * d[1]);
};
}  // namespace

TEST_CASE("compiled and interpreted kernels agree") {
    // Integers exactly. Floats within 64 units in the last place of the larger of the number and 1: a compiled kernel
    // may contract a product and a sum, and all else is the same arithmetic in the same order.
    constexpr const auto& view = plan<both_ways>.view();
    graph g;
    both_ways(g);
    cpu::interpreter_kernels interpreted(view);
    for (std::int64_t n : {1, 5, 16, 100, 1000}) {
        data_of d = make_data(g, {n});
        auto a = reference::execute(
            view, cpu::kernels_of<detail::planned<both_ways, plan_options{}>::frozen>(), {n},
            d.inputs, d.parameters);
        auto b = reference::execute(view, interpreted.entries(), {n}, d.inputs, d.parameters);
        INFO("N " << n);
        for (std::size_t i = 0; i < a.outputs.size(); ++i)
            CHECK(reference::difference(b.outputs[i], a.outputs[i]) <= 64 * 0x1p-23);
        for (std::size_t i = 0; i < a.parameters.size(); ++i)
            CHECK(reference::difference(b.parameters[i], a.parameters[i]) <= 64 * 0x1p-23);
    }
}
