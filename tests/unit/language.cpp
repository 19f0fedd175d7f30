// SPDX-License-Identifier: MIT
// also: clang
// What a user writes: dtypes, shapes, slices, names, equality, and the sentences that mistakes get. Graphs are built at
// run time here, where a mistake throws; the last cases show that the same holds in constant evaluation.
#include "catch.hpp"

#include <etch/expr/formulas.hpp>

using namespace etch;
using etch_test::contains;

namespace {

struct zeros {
    static constexpr initial_value initial(std::span<const std::int64_t>) { return {}; }
};
/// "float32 {N, 784}"
std::string type_of(expr x) {
    text t;
    t << name_of(x.element()) << ' ' << shape_text(*x.g, x.of());
    return std::string(t.view());
}
std::string printed(dim d) { return std::string(extent_text(*d.g, d.size).view()); }
template <class F> std::string mistake_of(F f) {
    try {
        f();
    } catch (const mistake& m) {
        return m.what();
    }
    return "no mistake";
}
/// The sentence, then the place: " (language.cpp:<line>)". Compilers differ in which line of a call over several lines
/// they name.
void check_sentence(const std::string& said, const std::string& sentence, int line) {
    const std::string start = sentence + " (language.cpp:";
    CHECK(said.substr(0, start.size()) == start);
    if (said.size() > start.size())
        CHECK(std::abs(std::stoi(said.substr(start.size())) - line) <= 2);
}
#define CHECK_MISTAKE(sentence, ...)                                                               \
    check_sentence(mistake_of([&] { __VA_ARGS__; }), sentence, __LINE__)

/// One tensor of each dtype, of shape {2}.
struct tensors {
    graph g;
    expr f = g.input<float>("f", {2}), d = g.input<double>("d", {2}), i = g.input<int>("i", {2});
    expr l = g.input<std::int64_t>("l", {2}), b = g.input<bool>("b", {2});
};

}  // namespace

TEST_CASE("dtypes of results") {
    tensors t;
    auto& [g, f, d, i, l, b] = t;
    auto dtype_is = [](expr x, dtype expected) {
        CHECK(name_of(x.element()) == name_of(expected));
    };
    // A number takes the dtype of the float beside it.
    dtype_is(f + 1, dtype::float32);
    dtype_is(f + 0.5, dtype::float32);
    dtype_is(0.5 / d, dtype::float64);
    dtype_is(maximum(0.5, d), dtype::float64);
    dtype_is(power(f, 2.0), dtype::float32);
    dtype_is(where(b, 0.5, d), dtype::float64);
    // Beside integers and bool an integral number is an integer, another makes float32.
    dtype_is(i + 1, dtype::int32);
    dtype_is(l * 2, dtype::int64);
    dtype_is(b + 1, dtype::int32);
    dtype_is(i + 0.5, dtype::float32);
    dtype_is(l * 0.5, dtype::float32);
    dtype_is(b * 0.5, dtype::float32);
    dtype_is(where(b, i, 1), dtype::int32);
    dtype_is(where(b, 1, 0), dtype::int32);
    dtype_is(where(b, 1, 0.5), dtype::float32);
    dtype_is(where(b, b, b), dtype::boolean);
    // Integers and bool join a float; bool joins integers.
    dtype_is(f + i, dtype::float32);
    dtype_is(f * l, dtype::float32);
    dtype_is(d - i, dtype::float64);
    dtype_is(d * b, dtype::float64);
    dtype_is(i + b, dtype::int32);
    dtype_is(l + b, dtype::int64);
    dtype_is(b + b, dtype::int32);
    // Division of integers.
    dtype_is(i / i, dtype::float32);
    dtype_is(l / 2, dtype::float32);
    dtype_is(floor_divide(i, 2), dtype::int32);
    dtype_is(i % 3, dtype::int32);
    dtype_is(remainder(l, 3), dtype::int64);
    // Functions of numbers.
    dtype_is(exp(i), dtype::float32);
    dtype_is(exp(d), dtype::float64);
    dtype_is(abs(l), dtype::int64);
    dtype_is(-b, dtype::int32);
    dtype_is(i < 2, dtype::boolean);
    dtype_is(equal(b, b), dtype::boolean);
    dtype_is(!b, dtype::boolean);
    // Reductions.
    dtype_is(sum(b), dtype::int32);
    dtype_is(sum(l), dtype::int64);
    dtype_is(mean(b), dtype::float32);
    dtype_is(mean(l), dtype::float32);
    dtype_is(mean(d), dtype::float64);
    dtype_is(argmax(d), dtype::int32);
    dtype_is(max(b), dtype::int32);
    dtype_is(prod(i), dtype::int32);
    // Products.
    dtype_is(matmul(i, i), dtype::int32);
    dtype_is(matmul(f, b), dtype::float32);
    dtype_is(matmul(d, l), dtype::float64);
    // Dims are numbers.
    auto n = g.dim("N");
    dtype_is(sum(d) / n, dtype::float64);
    dtype_is(i * n, dtype::int32);
    dtype_is(cast<double>(f), dtype::float64);
    dtype_is(cast(f, dtype::boolean), dtype::boolean);

    CHECK_MISTAKE("add: float32 and float64 do not mix: write cast<double>(x) or cast<float>(x)",
                  f + d);
    CHECK_MISTAKE("multiply: int32 and int64 do not mix: write cast<std::int64_t>(x) or "
                  "cast<std::int32_t>(x)",
                  i * l);
    CHECK_MISTAKE(
        "matmul: int32 and int64 do not mix: write cast<std::int64_t>(x) or cast<std::int32_t>(x)",
        matmul(i, l));
    CHECK_MISTAKE("matmul: float32 and float64 do not mix: write cast<double>(x) or cast<float>(x)",
                  matmul(d, f));
    CHECK_MISTAKE("logical_and: takes bool, not float32", f && b);
    CHECK_MISTAKE("logical_not: takes bool, not int32", !i);
    CHECK_MISTAKE("where: the condition is bool, not float32", where(f, f, f));
    CHECK_THROWS_AS(matmul(d, f), std::invalid_argument);
}

TEST_CASE("constants") {
    graph g;
    CHECK(type_of(etch::constant<int>(g, {2, 2}, {0, 1, 1, 0})) == "int32 {2, 2}");
    CHECK(type_of(etch::constant<float>(g, {}, {0.5f})) == "float32 {}");
    CHECK(type_of(etch::constant<double>(g, {3, 4}, {1})) == "float64 {3, 4}");  // one fills all
    CHECK(type_of(etch::constant<bool>(g, {2}, {true, false})) == "bool {2}");
    CHECK(etch::constant<float>(g, {}, {2}).id == scalar(g, dtype::float32, 2).id);
    double number = 0;
    CHECK(is_constant(etch::constant<double>(g, {3, 4}, {7}), number));
    CHECK(number == 7);
    CHECK_MISTAKE("constant: 3 elements for the shape {2, 2}",
                  etch::constant<int>(g, {2, 2}, {1, 2, 3}));
}

TEST_CASE("shapes that broadcast and shapes that do not") {
    graph g;
    auto n = g.dim("N"), m = g.dim("M");
    expr a = g.input<float>("a", {n, 3}), b = g.input<float>("b", {3}),
         c = g.input<float>("c", {n, 1});
    expr d = g.input<float>("d", {m, 1, 3}), s = g.input<float>("s", {}),
         e = g.input<float>("e", {4});
    expr h = g.input<float>("h", {m, 3});
    CHECK(type_of(a + b) == "float32 {N, 3}");
    CHECK(type_of(a * c) == "float32 {N, 3}");
    CHECK(type_of(b - c) == "float32 {N, 3}");
    CHECK(type_of(a + d) == "float32 {M, N, 3}");
    CHECK(type_of(s + d) == "float32 {M, 1, 3}");
    CHECK(type_of(where(a > 0, s, c)) == "float32 {N, 3}");
    CHECK(type_of(broadcast_to(b, {n, 2, 3})) == "float32 {N, 2, 3}");
    CHECK_MISTAKE("add: {N, 3} and {4} do not broadcast: 3 is not 4", a + e);
    CHECK_MISTAKE("multiply: {N, 3} and {M, 3} do not broadcast: N is not M", a * h);
    CHECK_MISTAKE("broadcast_to: {N, 3} does not broadcast to {3, 3}", broadcast_to(a, {3, 3}));
    graph other;
    expr x = other.input<float>("x", {3});
    CHECK_THAT(mistake_of([&] { b + x; }),
               contains("add: the operands belong to two different graphs"));
}

TEST_CASE("axes") {
    graph g;
    auto n = g.dim("N");
    expr x = g.input<float>("x", {n, 3, 4});
    CHECK(type_of(sum(x)) == "float32 {}");
    CHECK(type_of(sum(x, -1)) == "float32 {N, 3}");
    CHECK(type_of(sum(x, {-1, 0})) == "float32 {3}");
    CHECK(type_of(sum(x, {0, -1}, etch::keepdims)) == "float32 {1, 3, 1}");
    CHECK(sum(x, {0, -1}).id == sum(x, {2, 0}).id);
    CHECK(sum(x).id == sum(x, {0, 1, 2}).id);
    CHECK(type_of(max(x, 1, keepdims)) == "float32 {N, 1, 4}");
    CHECK(type_of(argmax(x)) == "int32 {N, 3}");
    CHECK(type_of(softmax(x, 0)) == "float32 {N, 3, 4}");
    CHECK(type_of(logsumexp(x)) == "float32 {N, 3}");
    CHECK(type_of(variance(x, {0, 1})) == "float32 {4}");
    CHECK(type_of(transpose(x)) == "float32 {4, 3, N}");
    CHECK(type_of(transpose(x, {-1, 0, 1})) == "float32 {4, N, 3}");
    CHECK(type_of(expand_dims(x, {0, -1})) == "float32 {1, N, 3, 4, 1}");
    CHECK(type_of(squeeze(expand_dims(x, {0, -1}))) == "float32 {N, 3, 4}");
    CHECK(type_of(flip(x, {-1})) == "float32 {N, 3, 4}");
    CHECK(transpose(x, {0, 1, 2}).id == x.id);
    CHECK_MISTAKE("sum: axis 3 of a tensor of rank 3", sum(x, 3));
    CHECK_MISTAKE("max: axis -4 of a tensor of rank 3", max(x, -4));
    CHECK_MISTAKE("sum: axis -3 is named twice", sum(x, {0, -3}));
    CHECK_MISTAKE("transpose: 2 axes for a tensor of rank 3", transpose(x, {1, 0}));
    CHECK_MISTAKE("transpose: axis 1 is named twice", transpose(x, {1, 1, 0}));
    CHECK_MISTAKE("squeeze: axis 1 of {N, 3, 4} is not 1", squeeze(x, 1));
    CHECK_MISTAKE("size: axis 5 of a tensor of rank 3", etch::size(x, 5));
    CHECK_MISTAKE("max: axis 0 of {0} is empty", max(g.input<float>("nothing", {0})));
}

TEST_CASE("slices") {
    graph g;
    auto n = g.dim("N");
    expr x = g.input<float>("x", {10, n});
    auto shape = [&](std::initializer_list<slice_item> items) {
        return std::string(shape_text(g, slice(x, items).of()).view());
    };
    CHECK(shape({3}) == "{N}");
    CHECK(shape({-10}) == "{N}");
    CHECK(shape({etch::all, 0}) == "{10}");
    CHECK(shape({etch::range(2, 5)}) == "{3, N}");
    CHECK(shape({etch::range(2, none, 3)}) == "{3, N}");
    CHECK(shape({etch::range(none, none, -1)}) == "{10, N}");
    CHECK(shape({etch::range(none, none, -3)}) == "{4, N}");
    CHECK(shape({etch::range(8, 2, -2)}) == "{3, N}");
    CHECK(shape({etch::range(-3, none)}) == "{3, N}");
    CHECK(shape({etch::range(5, 99)}) == "{5, N}");  // a static extent clamps, as NumPy does
    CHECK(shape({etch::range(5, 2)}) == "{0, N}");
    CHECK(shape({etch::range(-99, -5, 2)}) == "{3, N}");
    CHECK(shape({etch::all, etch::range(1, none)}) == "{10, N - 1}");
    CHECK(shape({etch::all, etch::range(none, -2)}) == "{10, N - 2}");
    CHECK(shape({etch::all, etch::range(2, 5)}) == "{10, 3}");
    CHECK(shape({etch::all, etch::range(none, n - 1)}) == "{10, N - 1}");
    CHECK(shape({etch::all, etch::range(none, none, -1)}) == "{10, N}");
    CHECK(shape({etch::all, etch::range(none, 0, -1)}) == "{10, N - 1}");
    CHECK(slice(x, {etch::all}).id == x.id);
    CHECK(slice(x, {etch::range(0, 10), etch::range(0, none)}).id == x.id);
    CHECK_MISTAKE("slice: index 10 is outside of axis 0 of extent 10", slice(x, {10}));
    CHECK_MISTAKE("slice: index -11 is outside of axis 0 of extent 10", slice(x, {-11}));
    CHECK_MISTAKE("slice: 3 items for a tensor of rank 2", slice(x, {0, 0, 0}));
    CHECK_MISTAKE("slice: a step of 0", slice(x, {etch::range(0, 1, 0)}));
    CHECK_MISTAKE("slice: a step of 2 needs an axis of static extent, not N",
                  slice(x, {etch::all, etch::range(0, none, 2)}));
}

TEST_CASE("what only a call can check is recorded") {
    graph g;
    auto n = g.dim("N");
    expr x = g.input<float>("x", {n});
    slice(x, {etch::range(0, none)});
    auto before = g.conditions.size();
    const int line = __LINE__ + 1;
    slice(x, {3});
    REQUIRE(g.conditions.size() > before);
    // N - 4 >= 0, with the sentence to say where it is not.
    const auto& c = g.conditions.back();
    CHECK(extent_text(g, c.size).view() == "N - 4");
    CHECK(c.minimum == 0);
    CHECK(g.name(c.sentence) == "slice: index 3 is outside of axis 0 of extent N (language.cpp:" +
                                    std::to_string(line) + ")");
    auto count = g.conditions.size();
    slice(x, {3});
    CHECK(g.conditions.size() == count);  // once
    max(x);
    CHECK(extent_text(g, g.conditions.back().size).view() == "N");
    CHECK(g.conditions.back().minimum == 1);
}

TEST_CASE("extents are polynomials") {
    graph g;
    auto n = g.dim("N"), t = g.dim("T");
    CHECK(printed(n) == "N");
    CHECK(printed(4 * n) == "4*N");
    CHECK(printed(n * 4) == "4*N");
    CHECK(printed(n * t) == "N*T");
    CHECK((n * t).size == (t * n).size);
    CHECK(printed(n - 1) == "N - 1");
    CHECK(printed(2 * n * n - t + 3) == "-T + 2*N*N + 3");
    CHECK(printed((n + 1) * (n - 1)) == "N*N - 1");
    CHECK((n - n + 5).size == extent{5});
    CHECK(g.dim("N").size == n.size);
    CHECK_FALSE(n.size == t.size);
    std::int64_t sizes[] = {3, 5};
    CHECK(g.polynomial_of((2 * n * n - t + 3).size).evaluate(sizes) == 16);
    expr x = g.input<float>("x", {n, 4 * t});
    CHECK(type_of(matmul(x, transpose(x))) == "float32 {N, N}");
    CHECK(printed(x.size(-1)) == "4*T");
    CHECK(type_of(concatenate({x, x}, 0)) == "float32 {2*N, 4*T}");
    CHECK(type_of(pad(x, {{1, 2}, {t, 0}})) == "float32 {N + 3, 5*T}");
    for (int i = 2; i < max_dims; ++i) g.dim(name("d", i));
    CHECK_MISTAKE("dim: a model has at most 16 named dims", g.dim("one more"));
}

TEST_CASE("reshape") {
    graph g;
    auto n = g.dim("N"), t = g.dim("T");
    expr x = g.input<float>("x", {n, t, 4});
    CHECK(type_of(reshape(x, {-1})) == "float32 {4*N*T}");
    CHECK(type_of(reshape(x, {-1, 4})) == "float32 {N*T, 4}");
    CHECK(type_of(reshape(x, {2, -1, n})) == "float32 {2, 2*T, N}");
    CHECK(type_of(reshape(x, {n * t, 2, 2})) == "float32 {N*T, 2, 2}");
    CHECK(reshape(x, {n, t, 4}).id == x.id);
    CHECK(type_of(reshape(g.input<float>("s", {}), {1, 1})) == "float32 {1, 1}");
    CHECK_MISTAKE("reshape: {N, T, 4} has 4*N*T elements, which 3 does not divide",
                  reshape(x, {-1, 3}));
    CHECK_MISTAKE("reshape: {N, T, 4} has 4*N*T elements, {N, 4} has 4*N", reshape(x, {n, 4}));
    CHECK_MISTAKE("reshape: an extent of -1; only one may be -1", reshape(x, {-1, -1}));
    CHECK_MISTAKE("reshape: an extent of -2", reshape(x, {-2}));
}

TEST_CASE("products, lists and indices") {
    graph g;
    auto n = g.dim("N");
    expr x = g.input<float>("x", {n, 784}), w = g.param<float>("w", {256, 10}, zeros{});
    expr v = g.input<float>("v", {784}), b = g.input<float>("b", {5, 1, 2, 784}),
         k = g.input<float>("k", {7, 784, 3});
    expr i = g.input<int>("i", {n, 2});
    CHECK(type_of(matmul(x, v)) == "float32 {N}");
    CHECK(type_of(matmul(v, transpose(x))) == "float32 {N}");
    CHECK(type_of(matmul(v, v)) == "float32 {}");
    CHECK(type_of(matmul(b, k)) == "float32 {5, 7, 2, 3}");
    CHECK(type_of(matmul(b, transpose(x))) == "float32 {5, 1, 2, N}");
    CHECK(type_of(dot(x, k)) == "float32 {N, 7, 3}");
    CHECK(type_of(stack({v, v}, -1)) == "float32 {784, 2}");
    CHECK(type_of(take(w, i)) == "float32 {N, 2, 10}");
    CHECK(type_of(take(w, i, -1)) == "float32 {256, N, 2}");
    CHECK(type_of(one_hot(i, 7)) == "float32 {N, 2, 7}");
    CHECK(type_of(cross_entropy(g.input<float>("z", {n, 10}), slice(i, {etch::all, 0}))) ==
          "float32 {N}");
    CHECK_MISTAKE("matmul: {N, 784} and {256, 10} do not join: 784 is not 256", matmul(x, w));
    CHECK_MISTAKE("dot: {N, 784} and {256, 10} do not join: 784 is not 256", dot(x, w));
    CHECK_MISTAKE("concatenate: float32 {N, 784} and float32 {256, 10} do not join along axis 0",
                  concatenate({x, w}, 0));
    CHECK_MISTAKE("take: indices are integers, not float32", take(w, v));
    CHECK_MISTAKE("matmul: takes no scalars: write a * b", matmul(x, sum(x)));
    CHECK_MISTAKE("random: an extent of -1", uniform(g, {-1}));
    CHECK_THAT(mistake_of([&] { cross_entropy(x, v); }),
               contains("cross_entropy: logits {N, 784} and labels float32 {784} do not fit"));
    CHECK_THAT(mistake_of([] { concatenate({}, 0); }), contains("concatenate: no tensors"));
    CHECK_THAT(mistake_of([&] { jacobian(x, v); }),
               contains("jacobian: {N, 784} is not of static size"));
}

TEST_CASE("names, scopes and what is taken") {
    graph g;
    expr a = g.param<float>("a", {2}, zeros{});
    {
        auto block = g.scope("block", 3);
        expr b = g.param<float>("a", {2}, zeros{});
        auto inner = g.scope("inner");
        expr c = g.param<float>(etch::name("w", 12), {2}, zeros{});
        CHECK(a.id != b.id);
        CHECK(b.id != c.id);
        CHECK(g.name(g.parameters[1].name) == "block3/a");
        CHECK(g.name(g.parameters[2].name) == "block3/inner/w12");
        uniform(g, {2});
        CHECK(g.name(g.parameters[3].name) == "random");  // one key a model, outside of all scopes
        CHECK_MISTAKE("param: the name block3/inner/w12 is taken",
                      g.param<float>("w12", {2}, zeros{}));
    }
    CHECK(g.prefix.empty());
    CHECK_MISTAKE("param: the name a is taken", g.param<float>("a", {3}, zeros{}));
    CHECK_MISTAKE("input: a name is needed", g.input<float>("", {3}));
    auto n = g.dim("N");
    CHECK_MISTAKE("param: p has the shape {N}: parameters have static shapes",
                  g.param<float>("p", {n}, zeros{}));
    expr x = g.input<float>("a", {2});  // inputs and parameters have names of their own
    g.output("y", x);
    g.output("z", x);
    CHECK(g.outputs.size() == 2);
    CHECK_MISTAKE("output: the name y is taken", g.output("y", x));
    g.update(a, a - 0.1 * x);
    CHECK_MISTAKE("update: parameter a is updated twice", g.update(a, x));
    CHECK_MISTAKE("update: takes a parameter, not input a", g.update(x, a));
    expr b{&g, g.parameters[1].value};
    CHECK_MISTAKE("update: parameter block3/a is float32 {2}, its new value float32 {3}",
                  g.update(b, g.input<float>("three", {3})));
    g.update(b, 0);
    CHECK(type_of({&g, g.parameters[1].update}) == "float32 {2}");
}

TEST_CASE("equal expressions are one value, draws never") {
    graph g;
    auto n = g.dim("N");
    expr x = g.input<float>("x", {n}), y = g.input<float>("y", {n});
    CHECK((x + y).id == (x + y).id);
    CHECK((x + y).id != (y + x).id);
    CHECK(exp(2 * x).id == exp(2.0 * x).id);
    CHECK(x.id != y.id);
    CHECK(softmax(x).id == softmax(x).id);
    CHECK(uniform(g, {n}).id != uniform(g, {n}).id);
    CHECK(identity(x).id != identity(x).id);
    CHECK(etch::constant<float>(g, {2}, {1, 2}).id == etch::constant<float>(g, {2}, {1, 2}).id);
    CHECK(etch::constant<float>(g, {2}, {1, 2}).id != etch::constant<double>(g, {2}, {1, 2}).id);
    CHECK(cast<float>(x).id == x.id);
    // Nodes belong to the user's line.
    expr z = log_softmax(x * 3);
    const int line = __LINE__ - 1;
    CHECK(g.node_of(z.id).line == line);
    CHECK(g.name(g.files[static_cast<std::size_t>(g.node_of(z.id).file)]) == "language.cpp");
}

// ---- the same in constant evaluation ------------------------------------------------------------------------------

namespace {

/// The sentence of the first mistake, without its place, equals.
template <class Model> constexpr bool mistake_is(Model model, std::string_view sentence) {
    graph g;
    model(g);
    return g.first_mistake.view().starts_with(sentence);
}
constexpr bool types_in_constants() {
    graph g;
    auto n = g.dim("N");
    expr x = g.input<float>("x", {n, 784}), w = g.param<float>("w", {784, 10}, zeros{}),
         i = g.input<int>("i", {n});
    expr z = matmul(x, w), loss = mean(cross_entropy(z, i));
    expr rows = slice(x, {etch::range(1, none), etch::range(none, none, -2)});
    bool right = shape_text(g, z.of()).view() == "{N, 10}" && loss.rank() == 0 &&
                 (i / 2).element() == dtype::float32 &&
                 shape_text(g, rows.of()).view() == "{N - 1, 392}" && g.conditions.size() == 1 &&
                 (x + 1).id == (x + 1.0).id && uniform(g, {n}).id != uniform(g, {n}).id;
    expr d = grad(loss, w);
    g.update(w, w - 0.1 * d);
    g.output("loss", loss);
    return right && d.of() == w.of() && !g.failed();
}
static_assert(types_in_constants());
static_assert(mistake_is(
    [](graph& g) {
        auto n = g.dim("N");
        expr y = matmul(g.input<float>("x", {n, 784}), g.param<float>("w", {256, 10}, zeros{}));
        g.output("y", exp(y) + sum(y, 7));  // the model runs on, and the first mistake stays
    },
    "matmul: {N, 784} and {256, 10} do not join: 784 is not 256 (language.cpp:"));
static_assert(mistake_is(
    [](graph& g) {
        sum(g.input<float>("x", {2, 3}), {0, -2});
    },
    "sum: axis -2 is named twice (language.cpp:"));
static_assert(mistake_is(
    [](graph& g) { g.output("y", g.input<int>("i", {2}) + g.input<std::int64_t>("l", {2})); },
    "add: int32 and int64 do not mix: write cast<std::int64_t>(x)"));
static_assert(mistake_is(
    [](graph& g) { g.output("y", grad(sum(g.input<float>("x", {2})), g.input<float>("z", {2}))); },
    "grad: no path leads to input z: ask for etch::allow_disconnected to get zeros"));

}  // namespace

TEST_CASE("constant evaluation and run time agree") { CHECK(types_in_constants()); }
