// SPDX-License-Identifier: MIT
// Products that leave their loops: which ones do, which must not, and that every value stays what it was.
// also: clang
#include <functional>

#include <etch/nn/nn.hpp>
#include <etch/passes/hoist.hpp>
#include <etch/passes/simplify.hpp>
#include <etch/passes/verify.hpp>

#include "catch.hpp"
#include "reference/evaluate.hpp"

using namespace etch;
using reference::tensor;

namespace {

struct products {
    int in_loops = 0, outside = 0;
};
products count_products(const graph& g) {
    products p;
    auto live = detail::live_values(g);
    for (const node& n : g.nodes)
        if (n.op == op_of<dot_row>() && live[static_cast<std::size_t>(n.results.first)])
            ++(n.loop >= 0 ? p.in_loops : p.outside);
    return p;
}
struct observed {
    bool any;
    products before, after;
};
/// A model of float64 inputs: its products before and after the pass, and that outputs are the same.
observed check(const std::function<void(graph&)>& model, reference::numbers dims = {}) {
    graph g, simple, result;
    model(g);
    simplify(g, simple);
    observed o{};
    o.before = count_products(simple);
    o.any = hoist(simple);
    remove_dead_code(simple, result);
    o.after = count_products(result);
    text complaint;
    CHECK(verify(result, complaint));
    CHECK(complaint.view() == "");
    std::vector<tensor> inputs;
    double x = 0;
    reference::evaluator sizes(g, dims);
    for (const auto& i : g.inputs) {
        const type& t = g.type_of(i.value);
        reference::numbers shape;
        for (int a = 0; a < t.rank; ++a) shape.push_back(g.polynomial_of(t[a]).evaluate(dims));
        tensor in(t.element, shape);
        for (std::size_t k = 0; k < in.count(); ++k, x += 0.7)
            in.set(k, in.floating() ? std::sin(x) / 2 : static_cast<double>(k % 3));
        inputs.push_back(in);
    }
    reference::evaluator wanted(g, dims, inputs), found(result, dims, inputs);
    auto y = wanted.outputs(), z = found.outputs();
    REQUIRE(y.size() == z.size());
    for (std::size_t i = 0; i < y.size(); ++i) CHECK(reference::difference(z[i], y[i]) < 1e-12);
    return o;
}

/// h = tanh(x_t w + h u + b) over {T, B, 3}, and what may be asked of it.
struct recurrent {
    expr x, w, u, b, h0;
    scan_result h;
    explicit recurrent(graph& g) {
        dim T = g.dim("T"), B = g.dim("B");
        x = g.input<double>("x", {T, B, 3});
        w = g.input<double>("w", {3, 4});
        u = g.input<double>("u", {4, 4});
        b = g.input<double>("b", {4});
        h0 = g.input<double>("h0", {B, 4});
        h = scan([&](expr xt, expr c) { return tanh(matmul(xt, w) + matmul(c, u) + b); }, x, h0);
    }
};

}  // namespace

TEST_CASE("what only the sequence leads to is one product before the loop") {
    auto o = check([](graph& g) { g.output("h", recurrent(g).h.all); }, {5, 2});
    CHECK(o.any);
    CHECK(o.before.in_loops == 2);
    CHECK(o.after.in_loops == 1);
    CHECK(o.after.outside == 1);
}

TEST_CASE("gradients of weights are one product after the loop, and nothing is computed again") {
    auto o = check(
        [](graph& g) {
            recurrent r(g);
            for (expr d :
                 grad(sum(sin(r.h.all)) + sum(square(r.h.last)), {r.w, r.u, r.b, r.x, r.h0}))
                g.output(name("d", static_cast<int>(g.outputs.size())), d);
        },
        {5, 2});
    // Forward h u and backward dh = dz u'; outside x w, x' dz, h' dz, dz w'.
    CHECK(o.after.in_loops == 2);
    CHECK(o.after.outside == 4);
}

TEST_CASE("a step without steps, or one") {
    for (std::int64_t steps : {0, 1}) {
        auto o = check(
            [](graph& g) {
                recurrent r(g);
                auto d = grad(sum(r.h.last), {r.w, r.u, r.b});
                for (expr e : d) g.output(name("d", static_cast<int>(g.outputs.size())), e);
            },
            {steps, 2});
        CHECK(o.any);
    }
}

TEST_CASE("second derivatives through a hoisted loop") {
    check(
        [](graph& g) {
            recurrent r(g);
            auto d = grad(sum(sin(r.h.all)), {r.w, r.u});
            auto e = grad(sum(square(d[0])) + sum(sin(d[1])), {r.w, r.u, r.x});
            for (expr v : e) g.output(name("e", static_cast<int>(g.outputs.size())), v);
        },
        {3, 2});
}

TEST_CASE("gathers and elementwise values go with their product") {
    auto o = check(
        [](graph& g) {
            dim T = g.dim("T"), B = g.dim("B");
            auto token = g.input<int>("token", {T, B});
            auto table = g.input<double>("table", {3, 4}), w = g.input<double>("w", {4, 2}),
                 c0 = g.input<double>("c0", {B, 2});
            auto r = scan(
                [&](expr t, expr c) { return c * sigmoid(matmul(tanh(take(table, t, 0)), w)); },
                token, c0);
            g.output("all", r.all);
            g.output("by_table", grad(sum(r.last), table));
            g.output("by_w", grad(sum(r.last), w));
        },
        {4, 3});
    CHECK(o.after.in_loops == 0);
}

TEST_CASE("what waits for the carried value stays") {
    auto o = check([](graph& g) {
        auto x = g.input<double>("x", {4, 2, 2}), c = g.input<double>("c", {2, 2});
        g.output("y", scan([](expr s, expr k) { return sin(matmul(k, s)); }, x, c).last);
    });
    CHECK_FALSE(o.any);
    CHECK(o.after.in_loops == 1);
}

TEST_CASE("a sum whose value the steps read stays") {
    auto o = check([](graph& g) {
        auto x = g.input<double>("x", {4, 2, 2}), c = g.input<double>("c", {2, 2});
        g.output("y", scan([](expr s, expr k) { return k + matmul(s, sin(k)); }, x, c).last);
    });
    CHECK_FALSE(o.any);
}

TEST_CASE("the only carried value stays, what it adds is computed before") {
    auto o = check([](graph& g) {
        auto x = g.input<double>("x", {4, 3, 2}), c = g.input<double>("c", {2, 2});
        g.output("y", scan([](expr s, expr k) { return k + matmul(transpose(s), s); }, x, c).last);
    });
    CHECK(o.any);
    CHECK(o.after.in_loops == 0);
    CHECK(o.after.outside == 1);
}

TEST_CASE("loops in loops") {
    check([](graph& g) {
        auto x = g.input<double>("x", {3, 4, 2}), w = g.input<double>("w", {2, 2}),
             c = g.input<double>("c", {2});
        auto r = scan(
            [&](expr rows, expr k) {
                expr inner =
                    scan([&](expr s, expr d) { return tanh(matmul(s, w) + matmul(d, w)); }, rows, k)
                        .last;
                return matmul(inner, w) + k;
            },
            x, c);
        g.output("y", r.all);
        g.output("by_w", grad(sum(square(r.last)), w));
        g.output("by_x", grad(sum(square(r.all)), x));
    });
}

TEST_CASE("an LSTM: two carried values, one product a step each way") {
    auto o = check(
        [](graph& g) {
            dim T = g.dim("T"), B = g.dim("B");
            auto x = g.input<double>("x", {T, B, 3}), w = g.input<double>("w", {3, 8}),
                 u = g.input<double>("u", {2, 8}), b = g.input<double>("b", {8}),
                 h0 = g.input<double>("h0", {B, 2}), c0 = g.input<double>("c0", {B, 2});
            auto r = etch::scan(
                [&](const expr_list& s, const expr_list& k) {
                    expr z = matmul(s[0], w) + matmul(k[0], u) + b;
                    auto gate = [&](int i) {
                        return slice(z, {etch::all, range(2 * i, 2 * i + 2)});
                    };
                    expr c = sigmoid(gate(0)) * k[1] + sigmoid(gate(1)) * tanh(gate(2));
                    return expr_list{sigmoid(gate(3)) * tanh(c), c};
                },
                {x}, {h0, c0});
            g.output("h", r.all[0]);
            g.output("c", r.last[1]);
            for (expr d : grad(sum(sin(r.all[0])) + sum(r.last[1]), {w, u, b, x, h0, c0}))
                g.output(name("d", static_cast<int>(g.outputs.size())), d);
        },
        {4, 2});
    CHECK(o.after.in_loops == 2);
    CHECK(o.after.outside == 4);
}
