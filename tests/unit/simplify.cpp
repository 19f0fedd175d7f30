// SPDX-License-Identifier: MIT
// Every rule of passes/rules.hpp fires where it should, refuses where it would be wrong, and keeps the value; then
// the pass as a whole.
#include "catch.hpp"
#include "evaluate.hpp"
#include "simplify_cases.hpp"

using namespace etch;
using namespace simplify_cases;

namespace {

/// where() and the like put stop_gradients and double conversions into a case's operands; the pass has removed them
/// when it tries a rule, and so they are removed here: all but the last node of a case is simplified.
expr prepared(graph& work, const graph& g, expr root) {
    detail::copier c(g, work);
    g.share_tables(work);
    work.depth = 1;
    for (const node& n : g.nodes) {
        c.copy(n);
        if (n.op != op_of<stop_gradient_row>() || n.results.first == root.id) continue;
        c.now[static_cast<std::size_t>(n.results.first)] = c.moved(g.operands(n)[0]);
    }
    return {&work, c.moved(root.id)};
}

const rule& rule_named(std::string_view name) {
    for (const rule& r : rule_table)
        if (r.name == name) return r;
    throw std::logic_error("no rule has the name " + std::string(name));
}
bool tried(const rule& r, const graph& g, int v) { return r.roots.has(g.node_of(v).op); }

void check_equal(const graph& before, int v, const graph& after, int w) {
    auto a = reference::evaluate(before, v), b = reference::evaluate(after, w);
    REQUIRE(a.size() == b.size());
    for (std::size_t i = 0; i < a.size(); ++i)
        if (!(std::isnan(a[i]) && std::isnan(b[i])))
            CHECK(b[i] == Approx(a[i]).epsilon(1e-6).margin(1e-9));
}
bool contains(const graph& g, std::string_view op) {
    for (const node& n : g.nodes)
        if (row_of(n).name == op) return true;
    return false;
}
std::size_t count(const graph& g, std::string_view op) {
    std::size_t n = 0;
    for (const node& m : g.nodes) n += row_of(m).name == op;
    return n;
}

}  // namespace

TEST_CASE("every rule is tried by a test") {
    for (const rule& r : rule_table) {
        bool covered = false;
        for (const auto& c : cases) covered = covered || r.name == c.rule;
        INFO(r.name);
        CHECK(covered);
    }
}

TEST_CASE("rules fire and keep the value, or refuse") {
    int number = 0;
    for (const auto& c : cases) {
        INFO("case " << number++ << " of " << c.rule);
        const rule& r = rule_named(c.rule);
        {
            graph g, work;
            leaves l{g};
            expr y = c.fires(l), v = prepared(work, g, y);
            REQUIRE(tried(r, work, v.id));
            expr w = r.rewrite(work, v.id);
            REQUIRE(w.valid());
            REQUIRE(w.id != v.id);
            CHECK(w.of() == v.of());
            check_equal(work, v.id, work, w.id);
        }
        {
            graph g, work;
            leaves l{g};
            expr v = prepared(work, g, c.refuses(l));
            expr w = tried(r, work, v.id) ? r.rewrite(work, v.id) : rules::refuse(work);
            CHECK((!w.valid() || w.id == v.id));
        }
    }
}

TEST_CASE("the pass keeps every case's value and reaches a fixed point") {
    for (const auto& c : cases)
        for (auto build : {c.fires, c.refuses})
            for (bool finite : {false, true}) {
                INFO(c.rule << (build == c.fires ? " fires" : " refuses")
                            << (finite ? " finite" : ""));
                graph g, once, twice;
                leaves l{g};
                g.output("y", build(l));
                simplify(g, once, {finite});
                simplify(once, twice, {finite});
                CHECK(once.nodes.size() == twice.nodes.size());
                CHECK(once.inputs.size() == g.inputs.size());
                CHECK(once.type_of(once.outputs[0].value) == g.type_of(g.outputs[0].value));
                if (!finite) check_equal(g, g.outputs[0].value, once, once.outputs[0].value);
            }
}

TEST_CASE("constants are folded in their dtype") {
    graph g;
    auto folded = [&](expr x) {
        expr y = rules::constant_folding(g, x.id);
        REQUIRE(y.valid());
        return g.attributes(g.node_of(y.id))[2];
    };
    auto real = [&](expr x) { return std::bit_cast<double>(folded(x)); };
    auto f = [&](double v) { return scalar(g, dtype::float32, v); };
    auto i = [&](std::int64_t v) { return detail::constant_word(g, dtype::int32, v); };
    CHECK(real(f(0.1) + f(0.2)) == static_cast<double>(0.1f + 0.2f));
    CHECK(real(f(1) / f(3)) == static_cast<double>(1.0f / 3.0f));
    CHECK(real(scalar(g, dtype::float64, 0.1) + scalar(g, dtype::float64, 0.2)) == 0.1 + 0.2);
    CHECK(folded(i(2147483647) + i(1)) == -2147483648LL);
    CHECK(folded(abs(i(-2147483648LL))) == -2147483648LL);
    CHECK(folded(i(65536) * i(65536)) == 0);
    CHECK(real(cast(detail::constant_word(g, dtype::int64, 16777217), dtype::float32)) ==
          16777216.0);
    CHECK(folded(not_equal(f(NAN), f(NAN))) == 1);
    CHECK(folded(equal(f(NAN), f(NAN))) == 0);
    CHECK(folded(f(-0.0) < f(0.0)) == 0);
    CHECK(folded(cast(f(NAN), dtype::boolean)) == 1);
    CHECK_FALSE(rules::constant_folding(g, (f(3e38) * f(2)).id).valid());
    CHECK_FALSE(rules::constant_folding(g, (f(inf) - f(inf)).id).valid());
}

TEST_CASE("the gradient of cross entropy is softmax less one-hot") {
    graph g, s;
    auto n = g.dim("N");
    auto logits = g.input<float>("logits", {n, 10});
    auto label = g.input<int>("label", {n});
    g.output("gradient", grad(mean(cross_entropy(logits, label)), logits));
    simplify(g, s);
    CHECK(count(s, "sum") == 1);  // the softmax's own
    CHECK(count(s, "where") == 1);
    CHECK(count(s, "exp") == 1);
    CHECK(count(s, "log") == 0);
    CHECK(count(s, "add") == 1);
    CHECK(count(s, "multiply") == 1);
    check_equal(g, g.outputs[0].value, s, s.outputs[0].value);
}

TEST_CASE("compositions find their stable form") {
    struct composition {
        expr (*build)(leaves&);
        const char* has;
        const char* lacks;
    };
    const composition list[] = {
        {[](leaves& l) { return log(1 - sigmoid(l.x)); }, "softplus", "sigmoid"},
        {[](leaves& l) { return log(1 + exp(l.x)); }, "softplus", "exp"},
        {[](leaves& l) { return 1 / (1 + exp(-l.x)); }, "sigmoid", "exp"},
        {[](leaves& l) { return exp(l.x) / (exp(l.x) + 1); }, "sigmoid", "exp"},
        {[](leaves& l) { return log(softmax(l.x)); }, "max", "divide"},
        {[](leaves& l) { return log(exp(l.x) / sum(exp(l.x), -1, keepdims)); }, "max", "divide"},
    };
    for (const auto& c : list) {
        graph g, s;
        leaves l{g};
        expr y = c.build(l);
        g.output("y", y);
        simplify(g, s);
        CHECK(contains(s, c.has));
        CHECK_FALSE(contains(s, c.lacks));
        check_equal(g, y.id, s, s.outputs[0].value);
    }
}

TEST_CASE("log of a sum of exponentials survives what overflows") {
    for (double v : {1000.0, -1000.0, -inf, inf}) {
        graph g, s;
        expr x = constant<double>(g, {3}, {v, v, -inf});
        expr z = g.input<double>("z", {3});
        expr y = log(sum(exp(maximum(x, z * 0 - inf))));
        g.output("y", y);
        simplify(g, s);
        double expected = v == 1000 || v == -1000 ? v + std::log(2.0) : v;
        CHECK(reference::evaluate(s, s.outputs[0].value)[0] == Approx(expected));
    }
}

TEST_CASE("scalars of optimizers are computed once") {
    graph g, s;
    auto w = g.input<float>("w", {100, 50});
    auto rate = g.input<float>("rate", {});
    g.output("y",
             w - broadcast_to(rate, {100, 50}) * broadcast_to(1 - power(rate, 2.0), {100, 50}) * w);
    simplify(g, s);
    std::size_t wide = 0;
    for (const node& n : s.nodes)
        wide += row_of(n).kind == op_class::elementwise && s.type_of(n.results.first).rank > 0;
    CHECK(wide == 2);
}

TEST_CASE("lines, names and updates survive") {
    graph g, s;
    auto x = g.input<float>("x", {4});
    auto unused = g.input<float>("unused", {4});
    auto y = identity(-(-x)) * 1;
    auto z = 1 - sigmoid(y);
    int line = __LINE__ - 1;
    g.output("z", z);
    simplify(g, s);
    CHECK(s.inputs.size() == 2);
    CHECK(s.name(s.inputs[1].name) == "unused");
    CHECK(s.node_of(s.outputs[0].value).line == line);
    CHECK(row_of(s.node_of(s.outputs[0].value)).name == "sigmoid");
    CHECK(s.nodes.size() == 4);
    CHECK(unused.valid());
}

TEST_CASE("draws stay apart and identities go") {
    graph g, s;
    auto a = uniform(g, {8}), b = uniform(g, {8});
    g.output("y", identity(a) + identity(b));
    simplify(g, s);
    CHECK(count(s, "random") == 2);
    CHECK(count(s, "identity") == 0);
    CHECK(s.parameters.size() == 1);
    CHECK(s.key == s.parameters[0].value);
    CHECK(s.parameters[0].update >= 0);
}

TEST_CASE("a scan keeps what is read of it") {
    graph g, s;
    auto xs = g.input<float>("xs", {5, 3});
    auto w = g.input<float>("w", {3});
    auto r = scan([&](expr x, expr c) { return (c + x * w) * 1; }, xs, zeros_like(w));
    g.output("last", r.last);
    g.output("gradient", grad(sum(square(r.last)), w));
    simplify(g, s);
    graph forward;
    graph only;
    auto xs2 = only.input<float>("xs", {5, 3});
    auto r2 =
        scan([&](expr x, expr c) { return identity(c + x); }, xs2, zeros_like(slice(xs2, {0})));
    only.output("last", r2.last);
    simplify(only, forward);
    for (const node& n : forward.nodes)
        if (n.op == op_of<scan_row>()) {
            loop_view l{forward.attributes(n)};
            CHECK(l.stacks() == 0);
            CHECK(n.results.count == 1);
            CHECK(row_of(forward.node_of(l.next(0))).name == "add");
            CHECK(forward.node_of(l.carry(0)).loop == l.loop());
        }
    CHECK(count(forward, "scan") == 1);
    CHECK(count(s, "scan") == 2);
    for (const node& n : s.nodes)
        if (n.op == op_of<scan_row>()) {
            loop_view l{s.attributes(n)};
            CHECK(static_cast<int>(s.operands(n).size()) ==
                  l.sequences() + l.carries() + l.captured());
            CHECK(static_cast<int>(s.attributes(n).size()) ==
                  loop_view::header + l.sequences() + 2 * l.carries() + l.stacks());
        }
}

namespace {
struct zeros_of_any_shape {
    constexpr initial_value initial(std::span<const std::int64_t>) const { return {}; }
};
/// The nodes of a model after the pass, in a constant expression.
constexpr std::size_t simplified_nodes(int layers) {
    graph g, s;
    auto n = g.dim("N");
    expr h = g.input<float>("x", {n, 16}), label = g.input<int>("label", {n});
    expr_list parameters;
    for (int i = 0; i < layers; ++i) {
        auto guard = g.scope("layer", i);
        expr w = g.param<float>("w", {16, 16}, zeros_of_any_shape{}),
             b = g.param<float>("b", {16}, zeros_of_any_shape{});
        parameters.push_back(w);
        parameters.push_back(b);
        h = relu(matmul(h, w) + b);
    }
    auto gradients = grad(mean(cross_entropy(h, label)), parameters);
    for (std::size_t i = 0; i < parameters.size(); ++i)
        g.update(parameters[i], parameters[i] - 0.1 * gradients[i]);
    simplify(g, s);
    return s.failed() ? 0 : s.nodes.size();
}
static_assert(simplified_nodes(2) > 20 && simplified_nodes(2) < 90);
static_assert(simplified_nodes(3) - simplified_nodes(2) ==
              simplified_nodes(2) - simplified_nodes(1));
}  // namespace
