// SPDX-License-Identifier: MIT
// The patterns that fusion is for, forward and with gradient: how many kernels, and how many bytes they move where each
// input is read once and each output written once. Beside them programs that look alike and must not be one kernel.
#include "catch.hpp"

#include <functional>

#include <etch/language.hpp>

namespace {

using etch::expr;
using etch::graph;
using etch::keepdims;
constexpr std::int64_t rows = 1024, columns = 64, whole = 4 * rows * columns;  // bytes

struct figures {
    std::int64_t kernels, bytes;
    bool operator==(const figures&) const = default;
    friend std::ostream& operator<<(std::ostream& o, const figures& f) {
        return o << f.kernels << " kernels, " << f.bytes << " bytes";
    }
};
figures of(const std::function<void(graph&)>& model) {
    graph g;
    model(g);
    REQUIRE_FALSE(g.failed());
    etch::program p = etch::make_program(g);
    etch::program_figures f(etch::view_of(p));
    return {f.kernels(rows), f.bytes_moved(rows)};
}
expr matrix(graph& g, const char* name) { return g.input<float>(name, {g.dim("N"), columns}); }
using formula = std::function<expr(expr)>;
figures forward(const formula& f) {
    return of([&](graph& g) { g.output("y", f(matrix(g, "x"))); });
}
/// With the gradient of sum(y * dy).
figures with_gradient(const formula& f) {
    return of([&](graph& g) {
        auto x = matrix(g, "x"), dy = matrix(g, "dy");
        auto y = f(x);
        auto slope = grad(sum(y * dy), x);
        g.output("y", y);
        g.output("dx", slope);
    });
}

}  // namespace

TEST_CASE("functions of rows, columns and elements are one kernel, forward and with gradient") {
    const std::pair<const char*, formula> all[]{
        {"softmax", [](expr x) { return softmax(x); }},
        {"softmax of columns", [](expr x) { return softmax(x, 0); }},
        {"log softmax", [](expr x) { return log_softmax(x); }},
        {"layer norm", [](expr x) { return normalize(x); }},
        {"batch norm", [](expr x) { return normalize(x, 0); }},
        {"l2", [](expr x) { return x / sqrt(sum(square(x), 1, keepdims) + 1e-6); }},
        {"minus the mean", [](expr x) { return x - mean(x, 0); }},
        {"relu", [](expr x) { return relu(x); }},
        {"gelu", [](expr x) { return gelu(x); }},
        {"gelu by tanh", [](expr x) { return gelu_tanh(x); }},
        {"silu", [](expr x) { return silu(x); }},
    };
    for (const auto& [name, f] : all) {
        INFO(name);
        CHECK(forward(f) == figures{1, 2 * whole});
        CHECK(with_gradient(f) == figures{1, 4 * whole});
    }
}

TEST_CASE("several reductions of one row are one kernel") {
    CHECK(of([](graph& g) {
              auto x = matrix(g, "x");
              g.output("where", argmax(x));
              g.output("max", max(x, 1));
          }) == figures{1, whole + 2 * 4 * rows});
    for (int axis : {0, 1})
        CHECK(of([axis](graph& g) {
                  auto x = matrix(g, "x");
                  g.output("mean", mean(x, axis));
                  g.output("variance", variance(x, axis));
              }) == figures{1, whole + 2 * 4 * (axis == 0 ? columns : rows)});
    CHECK(of([](graph& g) {
              auto x = matrix(g, "x");
              auto label = g.input<int>("label", {g.dim("N")});
              auto loss = mean(cross_entropy(x, label));
              g.output("loss", loss);
              g.output("slope", grad(loss, x));
              g.output("accuracy", mean(equal(argmax(x), label)));
          }) == figures{1, 2 * whole + 4 * rows + 8});
    // Refused: rows of the one are columns of the other.
    CHECK(of([](graph& g) {
              auto x = matrix(g, "x");
              g.output("rows", sum(x, 1));
              g.output("columns", sum(x, 0));
          }) == figures{2, 2 * whole + 4 * rows + 4 * columns});
    // Refused: the sum of all is known when all was read.
    CHECK(of([](graph& g) {
              auto x = matrix(g, "x");
              g.output("y", x / sqrt(sum(square(x))));
          }).kernels == 2);
}

TEST_CASE("the gradient of layer norm with its parameters reads what it needs twice, and stores no "
          "more") {
    auto f = of([](graph& g) {
        auto x = matrix(g, "x"), dy = matrix(g, "dy");
        auto gain = g.input<float>("gain", {columns}), offset = g.input<float>("offset", {columns});
        auto loss = sum(etch::nn::layer_norm(x, gain, offset) * dy);
        g.output("dx", grad(loss, x));
        g.output("dgain", grad(loss, gain));
        g.output("doffset", grad(loss, offset));
    });
    CHECK(f.kernels == 2);  // rows, and columns
    CHECK(f.bytes == 5 * whole + 3 * 4 * columns + 4 * 4 * rows);
}

TEST_CASE("what reads the same data is one kernel, also where one part could run earlier") {
    CHECK(of([](graph& g) {
              auto x = matrix(g, "x"), y = matrix(g, "y");
              g.output("a", sin(x));
              g.output("b", cos(x) * y);
              g.output("c", exp(y));
          }) == figures{1, 5 * whole});
    // The column sums come first; what reads x beside them waits.
    CHECK(of([](graph& g) {
              auto x = matrix(g, "x");
              g.output("a", exp(x - mean(x, 0)));
              g.output("b", tanh(sin(x)));
          }) == figures{1, 3 * whole});
    // Refused: a product stands between the two readers of x.
    auto f = of([](graph& g) {
        auto x = matrix(g, "x"), w = g.input<float>("w", {columns, columns});
        g.output("y", tanh(matmul(exp(x), w)) * x);
    });
    CHECK(f.kernels == 1);  // exp; the rest is the product's epilogue
}

TEST_CASE(
    "a value is computed again where that costs less than to store it, and stored where not") {
    auto both = [](const formula& t) {
        return of([&](graph& g) {
            auto y = t(matrix(g, "x"));
            g.output("rows", sum(y, 1));
            g.output("columns", sum(y, 0));
        });
    };
    const std::int64_t sums = 4 * rows + 4 * columns;
    CHECK(both([](expr x) { return tanh(x); }) == figures{2, 2 * whole + sums});
    CHECK(both([](expr x) { return exp(tanh(sin(cos(x)))); }) == figures{2, 3 * whole + sums});
    // Of three operands it is rather stored: 3 + 1 + 1 tensors, not 3 + 3.
    CHECK(of([](graph& g) {
              auto t = matrix(g, "x") * matrix(g, "y") + matrix(g, "z");
              g.output("rows", sum(t, 1));
              g.output("columns", sum(t, 0));
          }) == figures{2, 5 * whole + sums});
    // An outer product is never stored.
    CHECK(of([](graph& g) {
              auto a = g.input<float>("a", {g.dim("N")}), b = g.input<float>("b", {columns});
              auto t = exp(expand_dims(a, 1) * b);
              g.output("rows", sum(t, 1));
              g.output("columns", sum(t, 0));
          }).bytes < whole);
    // Masks are not stored, nor is gelu's inner tanh.
    for (bool tanh_inside : {false, true}) {
        graph g;
        auto x = matrix(g, "x"), w = g.input<float>("w", {columns, columns});
        auto h = etch::nn::dense(x, columns, "first");
        auto loss = sum(matmul(tanh_inside ? gelu_tanh(h) : relu(h), w));
        g.output("slope", grad(loss, etch::expr{&g, g.parameters[0].value}));
        etch::program p = etch::make_program(g);
        int large = 0;
        for (const auto& s : p.storages) {
            CHECK(s.element != etch::dtype::boolean);
            large += s.where == etch::place::arena && !s.size.is_static() && s.alias < 0;
        }
        CHECK(large <= 3);
    }
}

TEST_CASE("bias and activation are offered to the product first, and what the gradient needs is "
          "its second result") {
    for (auto f :
         {formula([](expr x) { return gelu_tanh(x); }), formula([](expr x) { return silu(x); }),
          formula([](expr x) { return gelu(x); })}) {
        graph g;
        auto x = matrix(g, "x");
        auto h = f(etch::nn::dense(x, columns, "first"));
        auto loss = mean(square(etch::nn::dense(h, columns, "second")));
        g.minimize(loss, etch::nn::sgd{});
        etch::program p = etch::make_program(g);
        int epilogues = 0;
        for (const auto& m : p.gemms) epilogues += m.epilogue >= 0;
        CHECK(epilogues >= 1);
    }
}

TEST_CASE("kernels of one shape are one, those of another shape are not") {
    CHECK(of([](graph& g) {
              g.output("a", sin(matrix(g, "x")));
              g.output("b", cos(matrix(g, "y")));
          }) == figures{1, 4 * whole});
    CHECK(of([](graph& g) {
              g.output("a", sin(matrix(g, "x")));
              g.output("b", cos(g.input<float>("y", {g.dim("N"), columns + 1})));
          }).kernels == 2);
}
