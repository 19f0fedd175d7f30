// SPDX-License-Identifier: MIT
// What people read of a program.
#include <etch/expr/formulas.hpp>
#include <etch/passes/debugprint.hpp>
#include <etch/passes/simplify.hpp>

#include "catch.hpp"

using namespace etch;

TEST_CASE("numbers print with six digits") {
    auto printed = [](double x) {
        text t;
        detail::print_number(t, x);
        return std::string(t.view());
    };
    CHECK(printed(0) == "0");
    CHECK(printed(1) == "1");
    CHECK(printed(-0.5) == "-0.5");
    CHECK(printed(static_cast<double>(0.1f)) == "0.1");
    CHECK(printed(0.001) == "0.001");
    CHECK(printed(1e-5) == "1e-5");
    CHECK(printed(1234567) == "1234570");
    CHECK(printed(0.0625) == "0.0625");
    CHECK(printed(99999.96) == "100000");
    CHECK(printed(1.5e30) == "1.5e30");
    CHECK(printed(1e300 * 1e300) == "inf");
    CHECK(printed(-(1e300 * 1e300)) == "-inf");
}

TEST_CASE("a tree shows ops, types, names and lines, and each node once") {
    graph g;
    auto n = g.dim("N");
    auto x = g.input<float>("x", {n, 4});
    int line = __LINE__ + 1;
    auto y = sum(exp(x) + 0.5 * exp(x), 1);
    auto s = debugprint(y);
    auto at = " (debugprint.cpp:" + std::to_string(line) + ")\n";
    INFO(s);
    CHECK(s.find("sum {1} %") == 0);
    CHECK(s.find("float32 {N}" + at) != std::string::npos);
    CHECK(s.find("\n    exp %") != std::string::npos);
    CHECK(s.find("\n      input x %0 float32 {N, 4}") != std::string::npos);
    CHECK(s.find("constant 0.5 %") != std::string::npos);
    CHECK(s.find(", above\n") != std::string::npos);
    g.output("y", y);
    CHECK(debugprint(g).find("output y\n  sum {1} %") == 0);
}

TEST_CASE("a scan shows its body") {
    graph g;
    auto xs = g.input<float>("xs", {5, 3});
    auto r = scan([&](expr x, expr c) { return tanh(c + x); }, xs, zeros_like(slice(xs, {0})));
    auto s = debugprint(r.last);
    INFO(s);
    CHECK(s.find("scan.0 over 5") == 0);
    CHECK(s.find(" in input xs") != std::string::npos);
    CHECK(s.find(" becomes tanh %") != std::string::npos);
    CHECK(s.find("stacks tanh %") != std::string::npos);
    auto d = to_dot(r.last);
    CHECK(d.find("[style=dashed]") != std::string::npos);
}

TEST_CASE("a drawing has each node and edge") {
    graph g;
    auto x = g.input<float>("x", {4});
    auto y = exp(x);
    auto unused = log(x);
    g.output("a \"y\"", y);
    auto d = to_dot(g);
    INFO(d);
    CHECK(unused.valid());
    CHECK(d.find("digraph etch {") == 0);
    CHECK(d.find("n0 -> n1;") != std::string::npos);
    CHECK(d.find("log") == std::string::npos);
    CHECK(d.find("\"a \\\"y\\\"\"") != std::string::npos);
    CHECK(to_dot(unused).find("log") != std::string::npos);
}

namespace {
constexpr bool printed() {
    graph g;
    auto x = g.input<float>("x", {4});
    expr y = exp(x) * 2.5;
    text t = debugprint_text(g, y.id);
    return t.view().find("multiply %") == 0 &&
           t.view().find("constant 2.5 ") != std::string_view::npos;
}
static_assert(printed());
}  // namespace
