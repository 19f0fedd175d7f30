// SPDX-License-Identifier: MIT
// passes/unroll.hpp: reductions over short axes are written out where that makes one kernel of more, keep their value,
// and stay what they are elsewhere.
#include "catch.hpp"
#include "evaluate.hpp"

#include <limits>

#include <etch/language.hpp>
#include <etch/passes/unroll.hpp>

using namespace etch;

namespace {

/// Points x[i] and y[j] and what keeps them apart, over {R, C, n}.
template <class T = float> struct points {
    expr x, y, apart;
    points(graph& g, int n)
        : x(g.input<T>("x", {g.dim("R"), n})),
          y(g.input<T>("y", {g.dim("C"), n})),
          apart(expand_dims(x, 1) - expand_dims(y, 0)) {}
};
expr distances(graph& g, int n) { return sum(square(points<>(g, n).apart), -1); }

std::size_t reductions(const graph& g) {
    std::size_t n = 0;
    for (const node& m : g.nodes) n += row_of(m).kind == op_class::reduction;
    return n;
}
/// A model before and after the pass.
struct passed {
    graph model, simple, unrolled;
    explicit passed(expr (*build)(graph&)) {
        model.output("z", build(model));
        REQUIRE_FALSE(model.failed());
        simplify(model, simple);
        unroll(simple, unrolled);
        REQUIRE_FALSE(unrolled.failed());
    }
    bool fired() const { return unrolled.nodes.size() > simple.nodes.size(); }
};
std::int64_t kernels(void (*build)(graph&)) {
    graph g;
    build(g);
    program p = make_program(g);
    return program_figures(view_of(p)).kernels();
}

}  // namespace

TEST_CASE("reductions over short axes are written out and keep their value") {
    constexpr expr (*models[])(graph&) = {
        [](graph& g) { return distances(g, 3); },
        [](graph& g) { return distances(g, 2); },
        [](graph& g) { return distances(g, 8); },
        [](graph& g) { return sqrt(sum(square(points<double>(g, 5).apart), -1)); },
        [](graph& g) { return mean(abs(points<>(g, 3).apart), -1); },
        [](graph& g) { return max(points<>(g, 3).apart, -1); },
        [](graph& g) { return min(points<>(g, 4).apart, -1); },
        [](graph& g) { return prod(points<>(g, 3).apart, -1); },
        [](graph& g) { return sum(square(points<int>(g, 3).apart), -1); },
        [](graph& g) { return sum(cast<int>(points<>(g, 3).apart < 0.5), -1); },
        // The axis is the first one, or in the middle.
        [](graph& g) {
            auto x = g.input<float>("x", {3, g.dim("R")}), y = g.input<float>("y", {3, g.dim("C")});
            return sum(square(expand_dims(x, 2) - expand_dims(y, 1)), 0);
        },
        [](graph& g) {
            auto x = g.input<float>("x", {g.dim("R"), 3}), y = g.input<float>("y", {3, g.dim("C")});
            return sum(square(expand_dims(x, 2) - expand_dims(y, 0)), 1);
        },
        // Other axes are left to a reduction of what is written out: a long one, all, one more short one.
        [](graph& g) {
            return sum(square(points<>(g, 3).apart), {1, 2});
        },
        [](graph& g) {
            auto d = points<>(g, 3).apart;
            return sum(exp(-sum(square(d), -1))) + sum(abs(d));
        },
        [](graph& g) {
            auto x = g.input<float>("x", {g.dim("R"), 3}), y = g.input<float>("y", {g.dim("C"), 2});
            return sum(square(expand_dims(x, {1, 3}) - expand_dims(y, {0, 2})), {2, 3});
        },
        // What is the same along the axis, a mask, a counter; an operand that is itself a reduction.
        [](graph& g) {
            auto p = points<>(g, 3);
            auto w = g.input<float>("w", {g.dim("R"), g.dim("C")});
            return sum(where(p.apart < 0, expand_dims(w, 2), p.apart), -1);
        },
        [](graph& g) {
            return sum(exp(points<>(g, 3).apart) * iota(g, {3}, 0, dtype::float32), -1);
        },
        [](graph& g) {
            auto p = points<>(g, 3);
            return sum(square(p.apart - mean(p.x, 0)), -1);
        },
    };
    int number = 0;
    for (auto build : models) {
        INFO("model " << number++);
        passed p(build);
        CHECK(p.fired());
        int v = p.simple.outputs[0].value, w = p.unrolled.outputs[0].value;
        CHECK(p.unrolled.type_of(w) == p.model.type_of(p.model.outputs[0].value));
        auto before = reference::evaluate(p.simple, v), after = reference::evaluate(p.unrolled, w);
        REQUIRE(before.size() == after.size());
        for (std::size_t i = 0; i < before.size(); ++i) CHECK(after[i] == Approx(before[i]));
        // What was written out is as simple as it gets.
        graph again;
        simplify(p.unrolled, again);
        CHECK(again.nodes.size() == p.unrolled.nodes.size());
    }
}

TEST_CASE("reductions that a row kernel makes, or that would be long, are not written out") {
    constexpr expr (*models[])(graph&) = {
        // Each element is read once, side by side.
        [](graph& g) { return sum(square(points<>(g, 3).x), -1); },
        [](graph& g) {
            auto w = g.input<float>("w", {g.dim("R"), g.dim("C"), 3});
            return sum(square(points<>(g, 3).apart) * w, -1);
        },
        [](graph& g) {
            return softmax(g.input<float>("x", {32, 8}));
        },
        // Long, or of any length; too many operations; the place of an element.
        [](graph& g) { return distances(g, 9); },
        [](graph& g) {
            auto x = g.input<float>("x", {g.dim("R"), g.dim("K")}),
                 y = g.input<float>("y", {g.dim("C"), g.dim("K")});
            return sum(square(expand_dims(x, 1) - expand_dims(y, 0)), -1);
        },
        [](graph& g) {
            expr d = points<>(g, 8).apart;
            for (int i = 0; i < 8; ++i) d = sin(d);
            return sum(d, -1);
        },
        [](graph& g) { return cast<float>(argmax(points<>(g, 3).apart, -1)); },
        // The terms are needed one by one, and one kernel makes all of it.
        [](graph& g) {
            auto d = points<>(g, 3).apart;
            return d / sqrt(sum(square(d), -1, keepdims));
        },
        [](graph& g) { return softmax(points<>(g, 3).apart); },
        [](graph& g) {
            auto d = exp(points<>(g, 3).apart);
            g.output("d", d);
            return sum(d, -1);
        },
        // A product of matrices.
        [](graph& g) {
            auto p = points<>(g, 8);
            return sum(expand_dims(p.x, 1) * expand_dims(p.y, 0), -1);
        },
    };
    int number = 0;
    for (auto build : models) {
        INFO("model " << number++);
        passed p(build);
        CHECK_FALSE(p.fired());
        CHECK(p.unrolled.nodes.size() == p.simple.nodes.size());
    }
}

TEST_CASE("extrema that are written out keep nan and infinities") {
    constexpr double inf = std::numeric_limits<double>::infinity(),
                     nan = std::numeric_limits<double>::quiet_NaN();
    const double edges[] = {0, nan, inf, -inf, 1, -2, nan, inf, -1};
    for (bool largest : {true, false}) {
        passed p(largest ? [](graph& g) { return max(points<>(g, 3).apart, -1); }
                         : [](graph& g) { return min(points<>(g, 3).apart, -1); });
        REQUIRE(p.fired());
        for (std::size_t turn = 0; turn < 9; ++turn) {
            auto value = [&](const graph& g) {
                reference::interpreter run{g};
                for (std::size_t k = 0; k < 2; ++k) {
                    reference::numbers x(9);
                    for (std::size_t i = 0; i < 9; ++i) x[i] = edges[(i * (k + 1) + turn) % 9];
                    run.known[g.inputs[k].value] = x;
                }
                return run.value(g.outputs[0].value);
            };
            auto before = value(p.simple), after = value(p.unrolled);
            for (std::size_t i = 0; i < before.size(); ++i)
                CHECK((before[i] == after[i] || (std::isnan(before[i]) && std::isnan(after[i]))));
        }
    }
}

TEST_CASE("a matrix of all pairs of points is one kernel, with what is made of its rows") {
    CHECK(kernels([](graph& g) {
              auto k = exp(-distances(g, 3));
              g.output("k", k);
              g.output("sums", sum(k, 1));
          }) == 1);
    CHECK(kernels([](graph& g) { g.output("weights", softmax(-distances(g, 3))); }) == 1);
    CHECK(kernels([](graph& g) { g.output("nearest", argmax(-distances(g, 3))); }) == 1);
    // A logarithm of a sum of exponentials is made stable before it is written out.
    CHECK(kernels([](graph& g) {
              auto p = points<>(g, 3);
              g.output("y", log(sum(exp(expand_dims(p.x, 1) + expand_dims(p.y, 0)), -1)));
          }) == 1);
    CHECK(kernels([](graph& g) {
              auto p = points<>(g, 3);
              g.output("y", p.apart / sqrt(sum(square(p.apart), -1, keepdims)));
          }) == 1);
}

TEST_CASE(
    "the derivative by points reads the matrix, and does not compute it for each coordinate") {
    graph g;
    auto p = points<>(g, 3);
    auto loss = sum(exp(-sum(square(p.apart), -1)));
    g.output("loss", loss);
    g.output("slope", grad(loss, p.x));
    program made = make_program(g);
    CHECK(program_figures(view_of(made)).kernels() == 2);
    int exponentials = 0;
    for (const auto& i : made.instructions)
        exponentials += i.what == code::compute && i.op == op_of<exp_row>();
    CHECK(exponentials == 1);

    graph simple, unrolled;
    simplify(g, simple);
    unroll(simple, unrolled);
    for (std::size_t k = 0; k < 2; ++k) {
        auto before = reference::evaluate(g, g.outputs[k].value),
             after = reference::evaluate(unrolled, unrolled.outputs[k].value);
        REQUIRE(before.size() == after.size());
        for (std::size_t i = 0; i < before.size(); ++i) CHECK(after[i] == Approx(before[i]));
    }
}

TEST_CASE("a loop's body is written out, too") {
    graph g, simple, unrolled;
    auto p = points<>(g, 3);
    auto rates = g.input<float>("rates", {5});
    auto r = scan(
        [&](expr rate, expr c) {
            auto d = sum(square(expand_dims(c, 1) - expand_dims(p.y, 0)), -1);
            return rate * mean(d, 1, keepdims) * c;
        },
        rates, p.x);
    g.output("last", r.last);
    REQUIRE_FALSE(g.failed());
    simplify(g, simple);
    unroll(simple, unrolled);
    REQUIRE_FALSE(unrolled.failed());
    CHECK(reductions(simple) == 1);
    CHECK(reductions(unrolled) == 1);
    for (const node& n : unrolled.nodes) {
        if (row_of(n).kind != op_class::reduction) continue;
        CHECK(n.loop >= 0);
        CHECK(unrolled.type_of(unrolled.operands(n)[0]).rank == 2);
    }
}
