// SPDX-License-Identifier: MIT
// also: clang
// Figures of a plan: what is counted, how they compare, and which step a name leads to.
#include <string>

#include <etch/language.hpp>

#include "../sentence.hpp"
#include "catch.hpp"

using namespace etch;

namespace {

constexpr auto net = [](graph& g) {
    auto n = g.dim("N");
    auto x = g.input<float>("x", {n, 32});
    auto y = relu(nn::dense(x, 16, "hidden"));
    auto unused = g.param<float>("unused", {3}, nn::zeros{});
    g.output("total", sum(y));
    g.output("largest", max(y));
    g.output("gram", matmul(transpose(x), x));
    (void)unused;
};
// One kernel that reads a + b, and writes c.
constexpr auto line = [](graph& g) {
    auto a = g.input<float>("a", {g.dim("N")}), b = g.input<float>("b", {1});
    g.output("c", a * 2 + b);
};
constexpr auto looped = [](graph& g) {
    auto xs = g.input<float>("xs", {g.dim("T"), 8});
    g.output(
        "last",
        scan([](expr x, expr c) { return tanh(x + c); }, xs, full_like(slice(xs, {0}), 0)).last);
};

// 4 N read and written, and b once.
static_assert(plan<line>.bytes_moved(100) == 4 * (100 + 1 + 100));
static_assert(plan<line>.find<"c">().bytes_moved(100) == plan<line>.bytes_moved(100));
static_assert(plan<line>.find<"c">().kind() == step_kind::kernel);
static_assert(plan<line>.find<"c">().operations() == 2);
static_assert(plan<line>.find<"c">().index() == 0);
static_assert(plan<line>.find<"a">().fused_with() == 0);

static_assert(plan<net>.gemms() == 2 && plan<net>.gemms() > 1 && plan<net>.gemms() != 3);
static_assert(2 >= plan<net>.gemms() && plan<net>.gemms() <= plan<net>.gemms());
static_assert(plan<net>.find<"hidden">().kind() == step_kind::gemm);
static_assert(plan<net>.find<"hidden/weight">().flops(10) >= 2 * 10 * 32 * 16);
static_assert(plan<net>.find<"gram">().flops(10) == 2 * 32 * 32 * 10);
static_assert(plan<net>.find<"gram">().bytes_moved(10) == 4 * (10 * 32 + 32 * 32));  // x once
static_assert(plan<net>.find<"total">().index() == plan<net>.find<"largest">().index());
static_assert(plan<net>.find<"total">().fused_with() >= 1);

static_assert(plan<looped>.find<"last">().kind() == step_kind::loop);
static_assert(plan<looped>.find<"last">().flops(20) == 2 * plan<looped>.find<"last">().flops(10));

static_assert(require<plan<net>.gemms() <= 2>);
static_assert(require<(plan<net>.bytes_moved(10) > plan<line>.bytes_moved(10))>);

}  // namespace

TEST_CASE("the bytes of all steps are the bytes that are moved") {
    const auto& v = plan<net>.view();
    std::int64_t dims[] = {10}, sum = 0;
    detail::traffic t(v);
    for (const step& s : v.steps) sum += t.bytes_moved(s, dims);
    CHECK(plan<net>.bytes_moved(10) == sum);
    CHECK(plan<net>.bytes_moved(20) > plan<net>.bytes_moved(10));
    // A loop's steps count as often as they run.
    CHECK(plan<looped>.bytes_moved(30) - plan<looped>.bytes_moved(20) ==
          plan<looped>.bytes_moved(20) - plan<looped>.bytes_moved(10));
}

TEST_CASE("a figure is a number where one is wanted") {
    std::int64_t n = plan<net>.gemms();
    CHECK(n == 2);
    CHECK(2 * plan<net>.gemms() == 4);
    CHECK(std::to_string(plan<net>.gemms()) == "2");
    bool holds = plan<net>.gemms() < 2;
    CHECK_FALSE(holds);
}

TEST_CASE("steps are found by name, and unknown names tell near ones") {
    graph g;
    net(g);
    program p = make_program(g);
    auto v = view_of(p);
    program_figures f(v);
    CHECK(f.find("gram").kind() == step_kind::gemm);
    CHECK(sentence_of([&] { (void)f.find("grams"); }) ==
          "find: the plan has no \"grams\", near is \"gram\"");
    CHECK(sentence_of([&] { (void)f.find("weight"); }) ==
          "find: the plan has no \"weight\", near is \"hidden/weight\"");
    CHECK(sentence_of([&] { (void)f.find("unused"); }) ==
          "find: no step of the plan reads or makes \"unused\"");
    CHECK(sentence_of([&] {
              (void)f.find("completely else");
          }).starts_with("find: the plan has no \"completely else\"; it has \"total\""));
    CHECK(sentence_of([&] { (void)f.bytes(); }) ==
          "plan: this figure needs an extent for each named dim");
}

TEST_CASE("what is required and does not hold is told with both numbers") {
    CHECK(detail::sentence_of(plan<net>.gemms() <= 2).length == 0);
    CHECK(detail::sentence_of(plan<net>.gemms() < 2).view() ==
          "plan: gemms() is 2, and less than 2 is required");
    CHECK(detail::sentence_of(plan<net>.gemms() == 3).view() ==
          "plan: gemms() is 2, and exactly 3 is required");
    CHECK(detail::sentence_of(3 > plan<line>.state_bytes()).length == 0);
    CHECK(detail::sentence_of(3 < plan<line>.state_bytes()).view() ==
          "plan: state_bytes() is 0, and more than 3 is required");
}
