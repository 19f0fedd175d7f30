// SPDX-License-Identifier: MIT
// Stability rules at values where the form that was written fails: the simplified graph must give the value of
// mathematics, and what was written must not, or the test would prove nothing. Computed in double.
#include <cmath>
#include <limits>

#include <etch/expr/formulas.hpp>
#include <etch/nn/nn.hpp>
#include <etch/passes/simplify.hpp>

#include "catch.hpp"
#include "evaluate.hpp"

using namespace etch;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

struct numeric_case {
    const char* what;
    expr (*build)(expr);           // of x, {3}
    double values[3];              // what x holds
    std::vector<double> expected;  // of the result
};
/// The elements of what `build` makes, before and after the pass.
std::vector<double> result_of(const numeric_case& c, bool simplified) {
    graph g, s;
    expr x = g.input<double>("x", {3});
    g.output("y", c.build(x));
    if (simplified) simplify(g, s);
    const graph& h = simplified ? s : g;
    reference::interpreter run{h};
    run.known[h.inputs[0].value] = {c.values[0], c.values[1], c.values[2]};
    return run.value(h.outputs[0].value);
}
bool agrees(const std::vector<double>& a, const std::vector<double>& b) {
    bool all = a.size() == b.size();
    for (std::size_t i = 0; all && i < a.size(); ++i)
        all = a[i] == b[i] || std::abs(a[i] - b[i]) <= 1e-9 * std::abs(b[i]);
    return all;
}
expr naive_softmax(expr x) { return exp(x) / sum(exp(x), -1, keepdims); }

const numeric_case cases[] = {
    {"log1p near 0",
     [](expr x) { return log(1 + x); },
     {1e-18, 1e-12, -1e-15},
     {1e-18, 1e-12 - 5e-25, -1e-15}},
    {"log(1 - x) near 0",
     [](expr x) { return log(1 - x); },
     {1e-18, 1e-12, -1e-15},
     {-1e-18, -1e-12, 1e-15}},
    {"expm1 near 0",
     [](expr x) { return exp(x) - 1; },
     {1e-18, 1e-12, -1e-15},
     {1e-18, 1e-12, -1e-15}},
    {"1 - exp near 0",
     [](expr x) { return 1 - exp(x); },
     {1e-18, 1e-12, -1e-15},
     {-1e-18, -1e-12, 1e-15}},
    {"logsumexp at 1e4",
     [](expr x) { return log(sum(exp(x))); },
     {1e4, 1e4, -1e4},
     {1e4 + std::log(2.0)}},
    {"logsumexp at -1e4",
     [](expr x) { return log(sum(exp(x))); },
     {-1e4, -1e4, -2e4},
     {-1e4 + std::log(2.0)}},
    {"log of a mean of exp", [](expr x) { return log(mean(exp(x))); }, {1e4, 1e4, 1e4}, {1e4}},
    {"logaddexp",
     [](expr x) { return log(exp(x) + exp(2 * x)); },
     {800, -800, 0.0},
     {1600, -800, std::log(2.0)}},
    {"log(1 - exp(x)) near 0",
     [](expr x) { return log(1 - exp(x)); },
     {-1e-17, -50, -1e-10},
     {std::log(1e-17), -std::exp(-50.0), std::log(1e-10 - 5e-21)}},
    {"softplus",
     [](expr x) { return log(1 + exp(x)); },
     {1000, -800, -40},
     {1000, 0, std::exp(-40.0)}},
    {"sigmoid at -200 is not 0, nor is its log -inf",
     [](expr x) { return log(sigmoid(x)); },
     {-200, -1000, 50},
     {-200, -1000, -std::exp(-50.0)}},
    {"log(1 - sigmoid)",
     [](expr x) { return log(1 - sigmoid(x)); },
     {200, 1000, -50},
     {-200, -1000, -std::exp(-50.0)}},
    {"log1p(-sigmoid)",
     [](expr x) { return log1p(-sigmoid(x)); },
     {200, 1000, 1},
     {-200, -1000, -std::log1p(std::exp(1.0))}},
    {"1 - sigmoid",
     [](expr x) { return 1 - sigmoid(x); },
     {50, 200, 0},
     {std::exp(-50.0), std::exp(-200.0), 0.5}},
    {"exp over 1 + exp",
     [](expr x) { return exp(x) / (1 + exp(x)); },
     {1000, -200, 0},
     {1, std::exp(-200.0), 0.5}},
    {"softplus(x) - x",
     [](expr x) { return softplus(x) - x; },
     {50, 800, 0},
     {std::exp(-50.0), 0, std::log(2.0)}},
    {"tanh by exp",
     [](expr x) { return (exp(x) - exp(-x)) / (exp(x) + exp(-x)); },
     {1000, -1000, 1e-17},
     {1, -1, 1e-17}},
    {"softmax of large", [](expr x) { return naive_softmax(x); }, {1e4, 1e4, -1e4}, {0.5, 0.5, 0}},
    {"log softmax of small",
     [](expr x) { return log(naive_softmax(x)); },
     {0, -1000, -2000},
     {0, -1000, -2000}},
    {"one log softmax",
     [](expr x) { return log(slice(softmax(x), {1})); },
     {0, -1000, -2000},
     {-1000}},
    {"variance of a large offset",
     [](expr x) { return mean(square(x)) - square(mean(x)); },
     {1e9, 1e9 + 1, 1e9 + 2},
     {2.0 / 3}},
    {"log of a square",
     [](expr x) { return log(square(x)); },
     {1e200, 1e-200, -1e300},
     {400 * std::log(10.0), -400 * std::log(10.0), 600 * std::log(10.0)}},
    {"root of a square",
     [](expr x) { return sqrt(square(x)); },
     {1e200, -1e-200, -1e300},
     {1e200, 1e-200, 1e300}},
    {"log of a root",
     [](expr x) { return log(sqrt(x)); },
     {1 + 2.220446049250313e-16, 1, 1},
     {1.1102230246251565e-16, 0, 0}},
    {"log1p(expm1)", [](expr x) { return log1p(expm1(x)); }, {1000, 0, 1e-18}, {1000, 0, 1e-18}},
    // ---- gradients
    {"gradient of log(sigmoid)",
     [](expr x) { return grad(sum(log(sigmoid(x))), x); },
     {-1000, -200, 0},
     {1, 1, 0.5}},
    {"gradient of log(1 - sigmoid)",
     [](expr x) { return grad(sum(log(1 - sigmoid(x))), x); },
     {1000, 200, 0},
     {-1, -1, -0.5}},
    {"gradient of a binary cross entropy",
     [](expr x) {
         expr s = sigmoid(x);
         return grad(-sum(0.25 * log(s) + 0.75 * log(1 - s)), x);
     },
     {1000, -1000, 0},
     {0.75, -0.25, 0.25}},
    {"gradient of log softmax",
     [](expr x) { return grad(-sum(1.5 * log(softmax(x))), x); },
     {0, -1000, -2000},
     {3, -1.5, -1.5}},
    {"gradient of a cross entropy with a distribution",
     [](expr x) {
         expr label = constant<double>(*x.g, {3}, {0.25, 0.25, 0.5});
         return grad(-sum(label * log(softmax(x))), x);
     },
     {0, -1000, -2000},
     {0.75, -0.25, -0.5}},
    {"gradient of log softmax of large",
     [](expr x) { return grad(-sum(log(naive_softmax(x))), x); },
     {2000, 1000, 0},
     {2, -1, -1}},
    {"gradient of logsumexp at 1e4",
     [](expr x) { return grad(log(sum(exp(x))), x); },
     {1e4, 1e4, -1e4},
     {0.5, 0.5, 0}},
};

}  // namespace

TEST_CASE("stability rules give what the written form loses") {
    for (const auto& c : cases) {
        INFO(c.what);
        auto written = result_of(c, false), simplified = result_of(c, true);
        std::string shown;
        for (double y : simplified) shown += std::to_string(y) + " ";
        INFO("simplified: " << shown);
        CHECK(agrees(simplified, c.expected));
        CHECK_FALSE(agrees(written, c.expected));
    }
}

TEST_CASE("what is infinite stays so") {
    for (double v : {inf, -inf}) {
        numeric_case c{"", [](expr x) { return log(exp(x) + exp(x * 1)); }, {v, v, v}, {v, v, v}};
        CHECK(agrees(result_of(c, true), c.expected));
        c.build = [](expr x) { return power(x, 0.5); };
        CHECK(agrees(result_of(c, true), {inf, inf, inf}));
        c.build = [](expr x) { return power(x, -0.5); };
        CHECK(agrees(result_of(c, true), {0, 0, 0}));
    }
}

TEST_CASE("rules that round otherwise, or need finite values, wait until they are asked for") {
    auto nodes = [](expr (*build)(expr), simplify_options options) {
        graph g, s;
        g.output("y", build(g.input<float>("x", {3})));
        simplify(g, s, options);
        return s.nodes.size();
    };
    for (auto build : {+[](expr x) { return (x + 0.1) + 0.2; }, +[](expr x) { return (x * 3) * 7; },
                       +[](expr x) { return exp(x) * exp(2 * x); }})
        CHECK(nodes(build, {}) > nodes(build, {.reassociate = true}));
    for (auto build :
         {+[](expr x) { return exp(log(x)); }, +[](expr x) { return square(sqrt(x)); }})
        CHECK(nodes(build, {}) > nodes(build, {.assume_finite = true}));
}

TEST_CASE("a transposed product is one product") {
    graph g, s, t;
    auto a = g.input<float>("a", {g.dim("N"), 9}), b = g.input<float>("b", {9, 7});
    g.output("y", transpose(matmul(a, b)));
    simplify(g, s);
    CHECK(row_of(s.node_of(s.outputs[0].value)).name == "dot");
    CHECK(s.nodes.size() == 5);
    auto before = reference::evaluate(g, g.outputs[0].value),
         after = reference::evaluate(s, s.outputs[0].value);
    REQUIRE(before.size() == after.size());
    for (std::size_t i = 0; i < before.size(); ++i) CHECK(after[i] == Approx(before[i]));
    g.output("also", sum(matmul(a, b)));  // a second use: one product and a transposition
    simplify(g, t);
    std::size_t products = 0;
    for (const node& n : t.nodes) products += n.op == op_of<dot_row>();
    CHECK(products == 1);
    CHECK(row_of(t.node_of(t.outputs[0].value)).name == "transpose");
}

TEST_CASE("what no output needs is not computed") {
    graph g, s;
    auto x = g.input<float>("x", {3});
    auto w = g.param<float>("w", {3}, nn::zeros{});
    exp(sum(x * w));
    g.update(w, identity(w) + 0 * sum(cast<int>(x)));
    g.output("y", x);
    simplify(g, s);
    CHECK(s.nodes.size() == 2);
    CHECK(s.parameters[0].update == s.parameters[0].value);
}
