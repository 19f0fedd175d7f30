// SPDX-License-Identifier: MIT
// Layers, initializers, losses and optimizers as graphs, in constant evaluation and at run time.
// also: clang
#include <catch.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include <etch/nn/nn.hpp>

namespace nn = etch::nn;
using etch::expr;
using etch::graph;

namespace {

// ---- models -------------------------------------------------------------------------------------------------------

/// One model, two functions: `training` says which.
struct net {
    bool training;
    constexpr void operator()(graph& g) const {
        auto N = g.dim("N");
        expr x = g.input<float>("x", {N, 20});
        expr label = g.input<int>("label", {N});
        expr h = x;
        for (int i = 0; i < 3; ++i) {
            auto block = g.scope("block", i);
            h = relu(nn::dense(nn::layer_norm(h, "norm"), 16, "dense", nn::he{}));
            h = nn::dropout(h, 0.5, training);
        }
        expr loss = mean(cross_entropy(nn::dense(h, 10, etch::name("output", 1)), label));
        g.output("loss", loss);
        if (training)
            g.minimize(loss, nn::adam{.rate = 1e-3, .weight_decay = 1e-4, .clip_norm = 1});
    }
};

constexpr auto linear = [](graph& g) {
    expr x = g.input<double>("x", {g.dim("N"), 4});
    expr rate = g.input<float>("rate", {});
    g.minimize(sum(square(nn::dense(x, 3, "a", nn::glorot{}, nn::constant{1}))),
               nn::momentum{.rate = 0.5 * rate});
};
constexpr auto too_much_dropout = [](graph& g) { nn::dropout(g.input<float>("x", {4}), 1); };

struct counts {
    bool failed = true;
    int parameters = 0, trainable = 0, updates = 0, draws = 0;
    constexpr bool operator==(const counts&) const = default;
};
constexpr counts count(const graph& g) {
    counts c{g.failed()};
    for (const auto& p : g.parameters) {
        ++c.parameters;
        c.trainable += p.trainable;
        c.updates += p.update >= 0;
        if (p.update >= 0 && !(g.type_of(p.update) == g.type_of(p.value))) c.failed = true;
    }
    for (const auto& n : g.nodes) c.draws += n.op == etch::op_of<etch::random_row>();
    return c;
}
template <class Model> constexpr counts counts_of(Model model) {
    graph g;
    model(g);
    return count(g);
}

// 3 blocks of 2 + 2 parameters and 2 of the output; with training m and v of each, adam's step and the random key.
static_assert(counts_of(net{false}) == counts{false, 14, 14, 0, 0});
static_assert(counts_of(net{true}) == counts{false, 14 * 3 + 2, 14, 14 * 3 + 2, 3});
static_assert(counts_of(linear) == counts{false, 4, 2, 4, 0});
static_assert(counts_of(too_much_dropout).failed);

template <nn::adam Optimizer> constexpr double rate_of = Optimizer.rate.number;
static_assert(rate_of<nn::adam{.rate = 0.5}> == 0.5);  // an optimizer may be a member of a model

std::vector<std::string> names(const graph& g) {
    std::vector<std::string> list;
    for (const auto& p : g.parameters) list.emplace_back(g.name(p.name));
    return list;
}
template <class Model> std::string mistake_of(Model model) {
    graph g;
    try {
        model(g);
    } catch (const etch::mistake& m) {
        std::string sentence = m.what();
        auto line = sentence.rfind(" (nn.cpp:");
        return line == std::string::npos ? sentence + " [without a line]"
                                         : sentence.substr(0, line);
    }
    return "none";
}

// ---- scalars: a graph of rank 0 is evaluated in double ------------------------------------------------------------

struct scalars {
    graph& g;
    std::map<int, double> known;  // inputs and parameters

    double operator()(int v) {
        if (auto at = known.find(v); at != known.end()) return at->second;
        const etch::node n = g.node_of(v);
        std::string op(etch::row_of(n).name);
        auto x = [&](int k) { return (*this)(g.operands(n)[static_cast<std::size_t>(k)]); };
        if (op == "constant")
            return etch::detail::number_of(g.type_of(v).element,
                                           g.attributes(n)[g.attributes(n).size() - 1]);
        if (op == "add") return x(0) + x(1);
        if (op == "subtract") return x(0) - x(1);
        if (op == "multiply") return x(0) * x(1);
        if (op == "divide") return x(0) / x(1);
        if (op == "maximum") return std::max(x(0), x(1));
        if (op == "minimum") return std::min(x(0), x(1));
        if (op == "negative") return -x(0);
        if (op == "square") return x(0) * x(0);
        if (op == "sqrt") return std::sqrt(x(0));
        if (op == "abs") return std::abs(x(0));
        if (op == "expm1") return std::expm1(x(0));
        if (op == "cast") return x(0);
        if (op == "less") return x(0) < x(1);
        if (op == "greater") return x(0) > x(1);
        if (op == "where") return x(0) != 0 ? x(1) : x(2);
        FAIL("no rule for " << op);
        return 0;
    }
    /// All updates at once, from old values.
    void call() {
        auto next = known;
        for (const auto& p : g.parameters)
            if (p.update >= 0) next[p.value] = (*this)(p.update);
        known = next;
    }
};

/// The values of p over some calls with the loss 3 (p - 1)^2, where p starts at 2: the gradient is 6 (p - 1).
template <class Optimizer> std::vector<double> trajectory(const Optimizer& optimizer) {
    graph g;
    expr p = g.param<double>("p", {}, nn::constant{2});
    g.minimize(3 * square(p - 1), optimizer);
    scalars s{g, {}};
    for (const auto& q : g.parameters) s.known[q.value] = q.initial.a;
    std::vector<double> values;
    for (int i = 0; i < 5; ++i) {
        s.call();
        values.push_back(s.known[p.id]);
    }
    return values;
}
/// The same by a formula: step(p, gradient, number of the call) is the new p.
template <class Step> void follows(const std::vector<double>& values, double decay, Step step) {
    double p = 2;
    for (int i = 0; i < 5; ++i) {
        p = step(p, 6 * (p - 1) + decay * p, i + 1);
        CHECK(values[static_cast<std::size_t>(i)] == Approx(p).epsilon(1e-13));
    }
}

}  // namespace

TEST_CASE("initializers say how a first value is drawn") {
    using kind = etch::initial_value::kind;
    constexpr std::int64_t matrix[] = {784, 256}, window[] = {3, 3, 8, 16}, vector[] = {32},
                           nothing[] = {0, 0};
    static_assert(nn::zeros{}.initial(matrix) == etch::initial_value{});
    static_assert(nn::constant{2.5}.initial(matrix) == etch::initial_value{kind::constant, 2.5, 0});
    static_assert(nn::uniform{.low = -1, .high = 3}.initial(matrix) ==
                  etch::initial_value{kind::uniform, -1, 3});
    static_assert(nn::normal{.mean = 1, .deviation = 3}.initial(matrix) ==
                  etch::initial_value{kind::normal, 1, 3});
    static_assert(nn::glorot{}.initial(matrix).how == kind::uniform);
    CHECK(nn::glorot{}.initial(matrix).b == std::sqrt(6.0 / (784 + 256)));
    CHECK(nn::glorot{}.initial(matrix).a == -std::sqrt(6.0 / (784 + 256)));
    CHECK(nn::glorot{}.initial(window).b == std::sqrt(6.0 / (9 * 8 + 9 * 16)));
    CHECK(nn::glorot{}.initial(vector).b == std::sqrt(6.0 / 64));
    CHECK(nn::glorot{}.initial(nothing).b == 0);
    CHECK(nn::he{}.initial(matrix) == etch::initial_value{kind::normal, 0, std::sqrt(2.0 / 784)});
    CHECK(nn::he{}.initial(window).b == std::sqrt(2.0 / 72));
    CHECK(nn::he{}.initial(nothing).b == 0);
    CHECK(nn::glorot{}.initial({}).b == std::sqrt(3.0));
}

TEST_CASE("the square root of constant evaluation is the processor's") {
    std::size_t different = 0;
    for (int i = 1; i < 20000; ++i) {
        different += nn::detail::square_root(i) != std::sqrt(i);
        different += nn::detail::square_root(2.0 / i) != std::sqrt(2.0 / i);
        different += nn::detail::square_root(std::exp(0.05 * i - 500)) !=
                     std::sqrt(std::exp(0.05 * i - 500));
    }
    CHECK(different == 0);
}

TEST_CASE("the logarithm of constant evaluation is accurate near 1") {
    for (double x : {0.5, 0.6, 2.0 / 3, 0.9, 0.99, 0.999, 0.9999, 1 - 1e-12, 1e-3, 1e-12})
        CHECK(nn::detail::logarithm(x) == Approx(std::log(x)).epsilon(1e-15));
}

TEST_CASE("a layer makes its parameters in the scope of its name") {
    graph g;
    expr x = g.input<float>("x", {g.dim("N"), g.dim("T"), 20});
    expr h = nn::layer_norm(nn::dense(x, 16, "hidden"), "norm");
    {
        auto block = g.scope("block", 2);
        h = nn::dense(h, 8, etch::name("dense", 1), nn::he{}, nn::no_bias);
    }
    h = nn::dense(h, h.size(-1), "last", nn::no_bias);
    CHECK(names(g) == std::vector<std::string>{"hidden/weight", "hidden/bias", "norm/gain",
                                               "norm/offset", "block2/dense1/weight",
                                               "last/weight"});
    CHECK(g.parameters[0].initial == nn::glorot{}.initial(std::vector<std::int64_t>{20, 16}));
    CHECK(g.parameters[1].initial == etch::initial_value{});
    CHECK(g.parameters[2].initial.a == 1);
    CHECK(g.parameters[4].initial == nn::he{}.initial(std::vector<std::int64_t>{16, 8}));
    CHECK(shape_text(g, h.of()).view() == "{N, T, 8}");
    CHECK(shape_text(g, g.type_of(g.parameters[4].value)).view() == "{16, 8}");
    CHECK(shape_text(g, g.type_of(g.parameters[5].value)).view() == "{8, 8}");
}

TEST_CASE("the form with parameters calls the form over weights") {
    graph g;
    expr x = g.input<double>("x", {5, 4}), made = nn::dense(x, 3, "a");
    expr w{&g, g.parameters[0].value}, b{&g, g.parameters[1].value};
    CHECK(made.element() == etch::dtype::float64);
    CHECK(nn::dense(x, w, b).id == made.id);
    CHECK((matmul(x, w) + b).id == made.id);
    CHECK(nn::dense(x, w).id == matmul(x, w).id);
    expr n = nn::layer_norm(x, "n");
    expr gain{&g, g.parameters[2].value}, offset{&g, g.parameters[3].value};
    CHECK(nn::layer_norm(x, gain, offset).id == n.id);
    expr counted = nn::dense(g.input<int>("i", {5, 4}), 2, "c");
    CHECK(counted.element() == etch::dtype::float32);
}

TEST_CASE("a layer's nodes belong to the user's line") {
    graph g;
    expr x = g.input<float>("x", {5, 4});
    constexpr int line = __LINE__;
    expr y = nn::dropout(nn::layer_norm(nn::dense(x, 3, "a"), "n"), 0.3);
    g.minimize(mean(square(y)), nn::adamw{});
    for (std::size_t i = 1; i < g.nodes.size(); ++i) {
        CHECK(g.name(g.files[static_cast<std::size_t>(g.nodes[i].file)]) == "nn.cpp");
        CHECK((g.nodes[i].line == line + 1 || g.nodes[i].line == line + 2));
    }
}

TEST_CASE("each dropout is a draw of its own") {
    graph g;
    expr x = g.input<float>("x", {g.dim("N"), 4});
    expr a = nn::dropout(x, 0.5), b = nn::dropout(x, 0.5);
    CHECK(a.id != b.id);
    CHECK(a.of() == x.of());
    CHECK(count(g).draws == 2);
    CHECK(nn::dropout(x, 0.5, false).id == x.id);
    CHECK(nn::dropout(x, 0).id == x.id);
    CHECK(count(g).draws == 2);
    CHECK(names(g) == std::vector<std::string>{"random"});
    CHECK(nn::dropout(g.input<double>("y", {2}), 0.1).element() == etch::dtype::float64);
}

TEST_CASE("the two functions of one model share their parameters' names") {
    graph train, test;
    net{true}(train);
    net{false}(test);
    auto all = names(train), tested = names(test);
    for (const auto& name : tested) CHECK(std::count(all.begin(), all.end(), name) == 1);
    for (const char* name : {"block0/norm/gain", "block2/dense/weight", "output1/bias", "random",
                             "adam/step", "block2/dense/weight/adam/m", "output1/bias/adam/v"})
        CHECK(std::count(all.begin(), all.end(), name) == 1);
}

TEST_CASE("mistakes in layers name the layer and what is wrong") {
    CHECK(mistake_of([](graph& g) {
              nn::dense(g.input<float>("x", {4, g.dim("T")}), 3, "a");
          }) == "dense: a is given {4, T}: the last extent, T, must be a number, since parameters "
                "have static shapes");
    CHECK(mistake_of([](graph& g) {
              auto block = g.scope("block", 1);
              nn::layer_norm(g.input<float>("x", {4 * g.dim("T")}), "n");
          }) == "layer_norm: block1/n is given {4*T}: the last extent, 4*T, must be a number, "
                "since parameters have "
                "static shapes");
    CHECK(mistake_of([](graph& g) { nn::dense(g.input<float>("x", {}), 3, "a"); }) ==
          "dense: a is given a scalar, which has no last axis");
    CHECK(mistake_of([](graph& g) { nn::dense(g.input<float>("x", {3}), 3, ""); }) ==
          "dense: a name is needed");
    CHECK(mistake_of([](graph& g) {
              expr x = g.input<float>("x", {3, 3});
              nn::dense(nn::dense(x, 3, "a"), 3, "a");
          }) == "param: the name a/weight is taken");
    CHECK(mistake_of([](graph& g) {
              nn::dense(g.input<float>("x", {2, 3}), g.input<float>("w", {4, 5}),
                        g.input<float>("b", {5}));
          }) == "matmul: {2, 3} and {4, 5} do not join: 3 is not 4");
    for (double p : {1.0, -0.1, std::nan("")})
        for (bool training : {true, false})
            CHECK(mistake_of([=](graph& g) {
                      nn::dropout(g.input<float>("x", {3}), p, training);
                  }) == "dropout: the probability to drop must lie in [0, 1)");
}

TEST_CASE("losses") {
    graph g;
    expr p = g.input<double>("p", {}), t = g.input<double>("t", {});
    expr absolute = nn::mean_absolute_error(p, t), huber = nn::huber(p, t, 2);
    for (double e : {-5.0, -2.0, -0.5, 0.0, 1.0, 3.0}) {
        scalars s{g, {{p.id, 1 + e}, {t.id, 1}}};
        CHECK(s(absolute.id) == std::abs(e));
        CHECK(s(huber.id) == (std::abs(e) <= 2 ? e * e / 2 : 2 * (std::abs(e) - 1)));
    }
    CHECK(nn::hinge(g.input<float>("s", {7}), g.input<float>("y", {7})).rank() == 1);
}

TEST_CASE("sgd, momentum and nesterov follow their formulas") {
    follows(trajectory(nn::sgd{.rate = 0.1}), 0,
            [](double p, double d, int) { return p - 0.1 * d; });
    follows(trajectory(nn::sgd{.rate = 0.1, .weight_decay = 0.5}), 0.5,
            [](double p, double d, int) { return p - 0.1 * d; });
    double v = 0;
    follows(trajectory(nn::momentum{.rate = 0.1, .momentum = 0.8}), 0,
            [&](double p, double d, int) {
                v = 0.8 * v - 0.1 * d;
                return p + v;
            });
    // In Sutskever's variables: q is the parameter of the paper, p = q + momentum v where the gradient is taken.
    double q = 2, w = 0;
    follows(trajectory(nn::nesterov{.rate = 0.1, .momentum = 0.8}), 0, [&](double, double d, int) {
        w = 0.8 * w - 0.1 * d;
        q = q + w;
        return q + 0.8 * w;
    });
}

TEST_CASE("adam, adamw, rmsprop and adagrad follow their formulas") {
    auto adam = [m = 0.0, v = 0.0](double d, int t) mutable {
        m = 0.7 * m + 0.3 * d;
        v = 0.95 * v + 0.05 * d * d;
        return 0.1 * (m / (1 - std::pow(0.7, t))) / (std::sqrt(v / (1 - std::pow(0.95, t))) + 1e-3);
    };
    auto for_adam = adam, for_adamw = adam;
    follows(trajectory(nn::adam{
                .rate = 0.1, .beta1 = 0.7, .beta2 = 0.95, .epsilon = 1e-3, .weight_decay = 0.5}),
            0.5, [&](double p, double d, int t) { return p - for_adam(d, t); });
    follows(trajectory(nn::adamw{
                .rate = 0.1, .beta1 = 0.7, .beta2 = 0.95, .epsilon = 1e-3, .weight_decay = 0.5}),
            0, [&](double p, double d, int t) { return p - 0.1 * 0.5 * p - for_adamw(d, t); });
    follows(trajectory(nn::adam{.rate = 0.1, .beta1 = 0, .beta2 = 0, .epsilon = 0}), 0,
            [&](double p, double d, int) { return p - 0.1 * d / std::abs(d); });
    double s = 0, r = 0;
    follows(trajectory(nn::rmsprop{.rate = 0.1, .decay = 0.8, .epsilon = 1e-3}), 0,
            [&](double p, double d, int) {
                s = 0.8 * s + 0.2 * d * d;
                return p - 0.1 * d / (std::sqrt(s) + 1e-3);
            });
    follows(trajectory(nn::adagrad{.rate = 0.1}), 0, [&](double p, double d, int) {
        r += d * d;
        return p - 0.1 * d / (std::sqrt(r) + 1e-10);
    });
}

TEST_CASE("gradients are clipped by value and by the length of all together") {
    auto held = [](double d, double c) { return std::min(std::max(d, -c), c); };
    follows(trajectory(nn::sgd{.rate = 0.1, .clip_value = 2}), 0,
            [&](double p, double d, int) { return p - 0.1 * held(d, 2); });
    graph g;
    expr a = g.param<float>("a", {}, nn::zeros{}), b = g.param<double>("b", {}, nn::zeros{});
    expr da = g.input<float>("da", {}), db = g.input<double>("db", {});
    nn::sgd{.rate = 1, .clip_norm = 1}(g, std::vector{a, b}, std::vector{da, db});
    for (double size : {10.0, 0.1, 0.0}) {
        scalars s{g, {{a.id, 0}, {b.id, 0}, {da.id, 3 * size}, {db.id, 4 * size}}};
        s.call();
        CHECK(s.known[a.id] == Approx(-3 * (size > 1 ? 0.2 : size)));
        CHECK(s.known[b.id] == Approx(-4 * (size > 1 ? 0.2 : size)));
    }
}

TEST_CASE("a rate is a number or an expression; scalars follow the dtype of each parameter") {
    graph g;
    expr rate = g.input<double>("rate", {});
    expr a = g.param<float>("a", {3}, nn::zeros{}), b = g.param<double>("b", {4}, nn::zeros{});
    g.minimize(sum(square(a)) + cast<float>(sum(square(b))), nn::adam{.rate = rate});
    CHECK(count(g) == counts{false, 7, 2, 7, 0});
    CHECK(names(g) == std::vector<std::string>{"a", "b", "adam/step", "a/adam/m", "a/adam/v",
                                               "b/adam/m", "b/adam/v"});
    CHECK(g.type_of(g.parameters[5].value) == b.of());
    CHECK(g.type_of(g.parameters[2].value).element == etch::dtype::int64);

    graph h;  // a schedule is a formula over a count that the model keeps
    expr x = h.param<double>("x", {}, nn::constant{1}),
         step = h.param<int>("step", {}, nn::zeros{});
    h.update(step, step + 1);
    h.minimize(x, nn::sgd{.rate = 1.0 / (1 + step)});
    scalars s{h, {{x.id, 1}, {step.id, 0}}};
    for (int i = 0; i < 3; ++i) s.call();
    CHECK(s.known[x.id] == Approx(1 - 1 - 1.0 / 2 - 1.0 / 3));
}

TEST_CASE("scalars of a step are made once, and updates have no reduction") {
    graph one, many;
    for (graph* g : {&one, &many}) {
        expr loss = etch::scalar(*g, etch::dtype::float32, 0);
        for (int i = 0; i < (g == &one ? 1 : 5); ++i)
            loss = loss + sum(square(g->param<float>(etch::name("p", i), {8}, nn::zeros{})));
        g->minimize(loss, nn::adam{});
    }
    auto scalar_nodes = [](const graph& g, std::string_view op) {
        int n = 0;
        for (const auto& node : g.nodes)
            n += etch::row_of(node).name == op && g.type_of(node.results.first).rank == 0;
        return n;
    };
    for (const char* op : {"expm1", "sqrt", "cast"})
        CHECK(scalar_nodes(one, op) == scalar_nodes(many, op));
    CHECK(scalar_nodes(one, "expm1") == 2);
    CHECK(scalar_nodes(many, "sum") == 5);
}

TEST_CASE("two optimizers in one model: of parts, and in scopes of their own") {
    graph g;
    expr a = g.param<float>("a", {3}, nn::zeros{}), b = g.param<float>("b", {3}, nn::zeros{});
    expr x = sum(square(a)), y = sum(square(b) * a);
    nn::adam adam{};
    {
        auto scope = g.scope("first");
        adam(g, std::vector{a}, std::vector{grad(x, a)});
    }
    auto scope = g.scope("second");
    g.minimize(y, nn::adam{.rate = 1e-4});  // what has an update already is left alone
    CHECK(names(g) == std::vector<std::string>{"a", "b", "first/adam/step", "a/adam/m", "a/adam/v",
                                               "second/adam/step", "b/adam/m", "b/adam/v"});
    CHECK(g.prefix.view() == "second/");

    graph h;  // in one scope they count together
    expr c = h.param<float>("c", {3}, nn::zeros{}), d = h.param<float>("d", {3}, nn::zeros{});
    adam(h, std::vector{c}, std::vector{grad(sum(c), c)});
    h.minimize(sum(d), adam);
    CHECK(count(h) == counts{false, 7, 2, 7, 0});
}

TEST_CASE("mistakes in optimizers") {
    auto with = [](auto optimizer) {
        return mistake_of([=](graph& g) {
            expr a = g.param<float>("a", {3}, nn::zeros{});
            g.minimize(sum(square(a)), optimizer);
        });
    };
    CHECK(with(nn::adam{}) == "none");
    CHECK(with(nn::adam{.beta1 = 1}) == "adam: beta1 must lie in [0, 1)");
    CHECK(with(nn::adamw{.beta2 = -1}) == "adamw: beta2 must lie in [0, 1)");
    CHECK(with(nn::adamw{.weight_decay = -1}) == "adamw: weight_decay must not be negative");
    CHECK(with(nn::rmsprop{.decay = 2}) == "rmsprop: decay must lie in [0, 1)");
    CHECK(with(nn::sgd{.clip_norm = -1}) ==
          "sgd: clip_value, clip_norm and weight_decay must not be negative");
    CHECK(mistake_of([](graph& g) {
              expr rate = g.input<float>("rate", {2});
              g.minimize(sum(g.param<float>("a", {3}, nn::zeros{})), nn::sgd{.rate = rate});
          }) == "sgd: the rate is a number or an expression of rank 0, not float32 {2}");
    CHECK(mistake_of([](graph& g) {
              expr x = g.input<float>("x", {2});
              nn::sgd{}(g, std::vector{x}, std::vector{x});
          }) == "sgd: takes floating parameters, not float32 input x");
    CHECK(mistake_of([](graph& g) {
              expr a = g.param<float>("a", {2}, nn::zeros{});
              nn::adagrad{}(g, std::vector{a}, std::vector{sum(a)});
          }) == "adagrad: the gradient of parameter a, float32 {2}, is float32 {}");
    CHECK(mistake_of([](graph& g) {
              expr a = g.param<float>("a", {2}, nn::zeros{});
              nn::nesterov{}(g, std::vector{a}, etch::expr_list{});
          }) == "nesterov: 1 parameters and 0 gradients");
    CHECK(with(nn::sgd{.rate = expr{}}) == "sgd: takes an expr that was never given a value");
    CHECK(mistake_of([](graph& g) {
              graph other;
              expr a = g.param<float>("a", {2}, nn::zeros{}),
                   b = other.param<float>("b", {2}, nn::zeros{});
              nn::sgd{}(g, std::vector{a}, std::vector{b});
          }) == "sgd: takes no expr of another graph");
}
