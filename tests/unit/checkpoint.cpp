// SPDX-License-Identifier: MIT
// Values that derivatives compute again: the same gradients, of any order, and less memory.
#include <string>

#include <etch/language.hpp>

#include "../sentence.hpp"
#include "catch.hpp"
#include "evaluate.hpp"

using namespace etch;

namespace {

/// A chain of segments, each of three layers, whose results are kept or computed again.
struct chain {
    bool again;
    int segments;
    constexpr void operator()(graph& g) const {
        auto x = g.input<float>("x", {g.dim("N"), 64});
        expr h = x;
        for (int s = 0; s < segments; ++s) {
            auto guard = g.scope("segment", s);
            expr y = h;
            for (int i = 0; i < 3; ++i) y = tanh(nn::dense(y, 64, name("layer", i)));
            h = again ? checkpoint(y) : y;
        }
        g.minimize(mean(square(h)), nn::sgd{});
    }
};
constexpr auto kept = &plan<chain{false, 6}>;
constexpr auto again = &plan<chain{true, 6}>;
static_assert(again->bytes(512) * 3 < kept->bytes(512) * 2);
static_assert(again->gemms() > kept->gemms());
static_assert(again->state_bytes() == kept->state_bytes());

/// Both forms of a formula of x and w, marked or not.
template <class Build> void check_same(Build build) {
    reference::numbers results[2];
    for (bool mark : {false, true}) {
        graph g, s;
        auto x = g.input<double>("x", {g.dim("N"), 4});
        auto w = g.input<double>("w", {4, 4});
        g.output("y", build(x, w, [mark](expr y) { return mark ? checkpoint(y) : y; }));
        simplify(g, s);
        results[mark] = reference::evaluate(s, s.outputs[0].value);
        auto written = reference::evaluate(g, g.outputs[0].value);
        for (std::size_t i = 0; i < written.size(); ++i)
            CHECK(results[mark][i] == Approx(written[i]).epsilon(1e-9).margin(1e-12));
    }
    REQUIRE(results[0].size() == results[1].size());
    for (std::size_t i = 0; i < results[0].size(); ++i)
        CHECK(results[1][i] == Approx(results[0][i]).epsilon(1e-9).margin(1e-12));
}
std::size_t count(const graph& g, std::string_view op) {
    std::size_t n = 0;
    for (const node& m : g.nodes) n += row_of(m).name == op;
    return n;
}

}  // namespace

TEST_CASE("gradients are the same") {
    check_same([](expr x, expr w, auto mark) {  // by a weight of two segments
        expr h = mark(tanh(matmul(x, w)));
        return grad(sum(square(mark(sin(matmul(h, w))))), w);
    });
    check_same([](expr x, expr w, auto mark) {  // by the input, with a use beside the segment
        expr h = mark(exp(matmul(x, w) * 0.1));
        return grad(sum(square(h) * x), x);
    });
    check_same([](expr x, expr w, auto mark) {  // by a value inside of the segment
        expr inner = matmul(x, w);
        return grad(sum(square(mark(sin(inner) * w.size(0)))) + sum(inner), inner);
    });
    check_same([](expr x, expr w, auto mark) {  // a segment in a segment
        return grad(sum(square(mark(tanh(mark(tanh(matmul(x, w))) * 2)))), w);
    });
}

TEST_CASE("second derivatives and products with them are the same") {
    check_same([](expr x, expr w, auto mark) {
        expr h = mark(tanh(matmul(x, w)));
        return grad(sum(square(grad(sum(square(mark(sin(h)))), w))), w);
    });
    check_same([](expr x, expr w, auto mark) {
        return hessian_vector_product(sum(square(mark(tanh(matmul(x, w))))), {w}, {w * w})[0];
    });
    check_same(
        [](expr x, expr w, auto mark) { return jvp({mark(tanh(matmul(x, w)))}, {w}, {w * 2})[0]; });
}

TEST_CASE("the segment is computed twice, and only where a derivative asks for it") {
    auto tanhs = [](bool derive) {
        graph g, s;
        auto x = g.input<float>("x", {8, 4}), w = g.input<float>("w", {4, 4});
        expr h = checkpoint(tanh(tanh(matmul(x, w)) * 2));
        g.output("y", derive ? grad(sum(exp(matmul(h, w))), w) : h);
        simplify(g, s);
        CHECK(count(s, "identity") == 0);
        return count(s, "tanh");
    };
    CHECK(tanhs(false) == 2);
    CHECK(tanhs(true) == 4);
}

TEST_CASE("a segment may begin where the caller says") {
    auto exponentials = [](bool from_middle) {
        graph g, s;
        auto x = g.input<float>("x", {8, 4}), w = g.input<float>("w", {4, 4});
        expr middle = exp(matmul(x, w)), y = tanh(matmul(middle, w));
        expr h = from_middle ? checkpoint(y, {middle}) : checkpoint(y);
        g.output("y", grad(sum(square(square(h))), x));
        simplify(g, s);
        return count(s, "exp");
    };
    CHECK(exponentials(true) == 1);
    CHECK(exponentials(false) == 2);
}

TEST_CASE("an empty batch and draws in a segment") {
    graph g, s;
    auto x = g.input<float>("x", {g.dim("N"), 4}), w = g.input<float>("w", {4, 4});
    expr h = checkpoint(nn::dropout(tanh(matmul(x, w)), 0.5));
    g.output("y", grad(sum(square(square(h))), w));
    simplify(g, s);
    CHECK(s.conditions.empty());  // N may be 0
    CHECK(count(s, "random") == 1);
}

TEST_CASE("a value without a gradient cannot be a checkpoint") {
    graph g;
    auto x = g.input<float>("x", {3});
    auto i = g.input<int>("i", {3});
    CHECK(sentence_of([&] {
              (void)checkpoint(i * 2);
          }).starts_with("checkpoint: no gradient flows through int32 {3} (checkpoint.cpp:"));
    CHECK(sentence_of([&] {
              (void)checkpoint(stop_gradient(x));
          }).starts_with("checkpoint: no gradient flows through float32 {3}"));
    CHECK(sentence_of([&] {
              (void)checkpoint(exp(x), {exp(x) * 2});
          }).starts_with("checkpoint: the value was not computed from number 0 of the list"));
}
