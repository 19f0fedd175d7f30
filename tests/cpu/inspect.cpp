// SPDX-License-Identifier: MIT
// Looking at what runs: programs as text, the time of each step, and the guard against NaN and infinity.
// also: clang sanitize
#include "catch.hpp"

#include <cmath>
#include <limits>
#include <sstream>

#include <etch.hpp>

namespace {

using floats = std::vector<float>;
constexpr float inf = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

template <class F> std::string sentence_of(F f) {
    try {
        f();
    } catch (const etch::mistake& m) {
        return m.what();
    }
    return "no mistake";
}
bool has(const std::string& s, std::string_view part) { return s.find(part) != std::string::npos; }
std::string place(int line) { return "(inspect.cpp:" + std::to_string(line) + ")"; }

// ---- a small net and a loop ---------------------------------------------------------------------------------------
constexpr int line_of_dense = __LINE__ + 5, line_of_loss = __LINE__ + 7;
constexpr auto net = [](etch::graph& g) {
    auto N = g.dim("N");
    auto image = g.input<float>("image", {N, 6});
    auto label = g.input<int>("label", {N});
    auto h = relu(etch::nn::dense(image, 8, "hidden"));
    auto logits = etch::nn::dense(h, 3, "output");
    auto loss = mean(cross_entropy(logits, label));
    g.output("loss", loss);
    g.minimize(loss, etch::nn::sgd{.rate = 0.1});
};
constexpr int line_of_cell = __LINE__ + 5;
constexpr auto recurrence = [](etch::graph& g) {
    auto T = g.dim("T");
    auto xs = g.input<float>("xs", {T, 4});
    auto w = g.param<float>("w", {4, 4}, etch::nn::zeros{});
    auto r = etch::scan([&](etch::expr x, etch::expr h) { return log(1.5 + matmul(h, w) + x); }, xs,
                        zeros_like(slice(xs, {0})));
    g.output("last", r.last);
};

// ---- one mistake each ---------------------------------------------------------------------------------------------
constexpr int line_of_log = __LINE__ + 4;
constexpr auto chain = [](etch::graph& g) {
    auto N = g.dim("N");
    auto x = g.input<float>("x", {N, 3});
    auto y = sqrt(abs(2 * log(x + 0.5))) * 3 + x;
    g.output("y", y);
    auto w = g.param<float>("w", {3}, etch::nn::zeros{});
    g.update(w, w + mean(x, 0));
};
constexpr int line_of_update = __LINE__ + 6;
constexpr auto step = [](etch::graph& g) {
    auto x = g.input<float>("x", {3});
    auto w = g.param<float>("w", {3}, etch::nn::constant{1});
    auto v = g.param<float>("v", {3}, etch::nn::constant{1});
    g.output("loss", sum(w * v));
    g.update(w, w * x * 1e30);
    g.update(v, v + 1);
};
constexpr int line_of_divide = __LINE__ + 4;
constexpr auto rows = [](etch::graph& g) {
    auto x = g.input<double>("x", {4, 5});
    auto s = sum(x, 1, etch::keepdims);
    auto y = x / s;
    g.output("total", sum(y));
};
constexpr int line_of_sum = __LINE__ + 3;
constexpr auto overflow = [](etch::graph& g) {
    auto x = g.input<float>("x", {300});
    g.output("total", tanh(sum(x) - 1) + sum(x));
};
constexpr int line_of_dot = __LINE__ + 3;
constexpr auto product = [](etch::graph& g) {
    auto x = g.input<float>("x", {2, 3});
    g.output("y", relu(matmul(x, transpose(x))));
};
constexpr int line_of_masked = __LINE__ + 5;
constexpr auto masked = [](etch::graph& g) {
    auto x = g.input<float>("x", {2, 3});
    auto keep = g.input<bool>("keep", {2, 3});
    auto scores = where(keep, x, -std::numeric_limits<double>::infinity());
    auto e = exp(scores - max(scores, 1, etch::keepdims));
    g.output("scores", scores);
    g.output("p", e / sum(e, 1, etch::keepdims));
};
constexpr int line_of_table = __LINE__ + 4;
constexpr auto rare = [](etch::graph& g) {
    auto x = g.input<float>("x", {2});
    auto i = g.input<int>("i", {4});
    auto y = sum(take(1 / x, i, 0));
    g.output("y", y);
    g.output("slope", grad(y, x));
};
constexpr int line_of_take = __LINE__ + 5;
constexpr auto scatter = [](etch::graph& g) {
    auto x = g.input<float>("x", {2});
    auto i = g.input<int>("i", {4});
    auto c = g.input<float>("c", {4});
    g.output("slope", 2 * grad(sum(take(x, i, 0) * c), x));
};

}  // namespace

TEST_CASE("a program describes its steps") {
    etch::function<net> f;
    auto s = f.describe();
    INFO(s);
    CHECK(has(s, "0: gemm float32 input image {N, 6} x parameter hidden/weight {6, 8} -> "));
    CHECK(has(s, "epilogue: body "));
    CHECK(has(s, " = relu("));
    CHECK(has(s, "transposed"));
    CHECK(has(s, "load parameter hidden/bias"));
    CHECK(has(s, "-> output loss"));
    CHECK(has(s, "-> new parameter "));
    CHECK(has(s, "reads 16*N + 12 bytes, writes 12*N + 4 bytes"));
    CHECK(has(s, "inspect.cpp:" + std::to_string(line_of_dense)));
    CHECK(has(s, "inspect.cpp:" + std::to_string(line_of_loss)));
    CHECK(has(s, " distinct), 5 gemms; 332 bytes of state; arena and flops are known when a call "
                 "binds the dims\n"));
    CHECK(s == etch::describe(etch::plan<net>.view()));
    f(floats(12), std::vector<int>{0, 2});
    s = f.describe();
    CHECK(has(s, " bytes of arena, " + std::to_string(etch::plan<net>.flops(2)) +
                     " flops; with N = 2\n"));
    CHECK(has(s, "*N = "));
    auto d = etch::debugprint(f);
    CHECK(has(d, "output loss\n"));
    CHECK(has(d, "update hidden/weight\n"));
    CHECK(has(d, "0: gemm"));
}

TEST_CASE("a loop's steps stand beneath it") {
    etch::graph g;
    recurrence(g);
    auto f = etch::compile(g);
    auto s = f.describe();
    INFO(s);
    CHECK(has(s, "loop over T (inspect.cpp:" + std::to_string(line_of_cell)));
    CHECK(has(s, "\n  0: "));
    CHECK(has(s, "this step of input xs"));
    CHECK(has(s, "= log("));
    CHECK(etch::debugprint(f) == s);
}

TEST_CASE("a profile has each step") {
    etch::function<net> f;
    CHECK(f.profile().rows.empty());
    f.profile(true);
    for (int i = 0; i < 3; ++i) f(floats(12), std::vector<int>{0, 2});
    f.profile(false);
    f(floats(12), std::vector<int>{0, 2});
    etch::profile_table t = f.profile();
    REQUIRE(t.rows.size() == f.program().steps.size());
    double share = 0;
    for (const auto& r : t.rows) {
        CHECK(r.calls == 3);
        CHECK(r.bytes > 0);
        share += r.share;
    }
    CHECK(std::abs(share - 1) < 1e-9);
    CHECK(t.rows[0].kind == etch::step_kind::gemm);
    CHECK(t.rows[0].flops >= 3 * 2 * 2 * 6 * 8);
    CHECK(t.rows[0].mean() > 0);
    std::ostringstream out;
    out << t;
    INFO(out.str());
    CHECK(has(out.str(), "gemm"));
    CHECK(has(out.str(), "dot "));
    CHECK(has(out.str(), "output loss"));

    etch::graph g;
    recurrence(g);
    auto loop = etch::compile(g);
    loop.profile(true);
    loop(floats(20));
    bool inside = false;
    for (const auto& r : loop.profile().rows)
        if (r.depth == 1) {
            inside = true;
            CHECK(r.calls == 5);
        }
    CHECK(inside);
}

TEST_CASE("the guard lets good calls be") {
    etch::function<net> f{etch::seed(4)}, same{etch::seed(4)};
    f.nan_guard(true);
    const floats x{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    for (int i = 0; i < 4; ++i) {
        float a = f(x, std::vector<int>{0, 2}), b = same(x, std::vector<int>{0, 2});
        CHECK(a == b);
    }
    CHECK(f.state()["hidden/weight"].to_vector<float>() ==
          same.state()["hidden/weight"].to_vector<float>());
    CHECK(has(f.describe(), "with N = 2"));
    f.nan_guard(false);
    CHECK(float(f(x, std::vector<int>{0, 2})) == float(same(x, std::vector<int>{0, 2})));
}

TEST_CASE("the guard names what came from outside") {
    etch::function<chain> f;
    CHECK(sentence_of([&] { f(floats{1, not_a_number, 1}); }) == "no mistake");
    CHECK(std::isnan(f.state()["w"].as<float>()[1]));
    f.nan_guard(true);
    CHECK(sentence_of([&] { f(floats{1, 1, 1}); }) == "nan_guard: parameter w holds nan at {1}");
    f.state().set("w", floats(3));
    CHECK(sentence_of([&] {
              f(floats{1, 1, 1, 1, 1, -inf});
          }) == "nan_guard: input x holds -inf at {1, 2}");
    CHECK(sentence_of([&] { f(floats{1, 1, 1}); }) == "no mistake");
}

TEST_CASE("the guard names the op in the middle of a chain") {
    auto wanted = "nan_guard: log gives nan of -2 " + place(line_of_log) +
                  ", first seen in output y at {1, 1}";
    const floats x{1, 2, 3, 4, -2.5f, 5};
    etch::function<chain> f;
    f.nan_guard(true);
    CHECK(sentence_of([&] { f(x); }) == wanted);
    CHECK(f.state()["w"].to_vector<float>() == floats(3));
    etch::graph g;
    chain(g);
    auto interpreted = etch::compile(g);
    interpreted.nan_guard(true);
    CHECK(sentence_of([&] { interpreted(x); }) == wanted);
    CHECK(sentence_of([&] {
              f(floats{1, -0.5f, 1});
          }) == "nan_guard: log gives -inf of 0 " + place(line_of_log) +
                    ", first seen in output y at {0, 1}");
}

TEST_CASE("an update that overflows leaves the parameters") {
    etch::function<step> f;
    f.nan_guard(true);
    f(floats(3, 1e-30f));
    CHECK(f.state()["v"].to_vector<float>() == floats{2, 2, 2});
    auto before = f.state()["w"].to_vector<float>();
    auto s = sentence_of([&] { f(floats{1, 1e10f, 1}); });
    CHECK(s == "nan_guard: multiply gives inf of 1e10 and 1e30 " + place(line_of_update) +
                   ", first seen in the new parameter w at {1}");
    CHECK(f.state()["v"].to_vector<float>() == floats{2, 2, 2});
    CHECK(f.state()["w"].to_vector<float>() == before);
}

TEST_CASE("reductions and products are followed") {
    etch::function<rows> f;
    f.nan_guard(true);
    std::vector<double> x(20, 1);
    for (int i = 10; i < 15; ++i) x[static_cast<std::size_t>(i)] = 0;
    CHECK(sentence_of([&] { f(x); }) == "nan_guard: divide gives nan of 0 and 0 " +
                                            place(line_of_divide) + ", first seen in output total");
    etch::function<overflow> g;
    g.nan_guard(true);
    CHECK(sentence_of([&] { g(floats(300, 2e36f)); }) ==
          "nan_guard: sum gives inf " + place(line_of_sum) + ", first seen in output total");
    etch::function<product> h;
    h.nan_guard(true);
    auto s = sentence_of([&] { h(floats{1, 1, 1, 1e30f, 1, 1}); });
    CHECK(has(s,
              "nan_guard: dot gives inf " + place(line_of_dot) + ", first seen in the result of "));
}

TEST_CASE("an infinity that the model writes may pass") {
    etch::function<masked> f;
    f.nan_guard(true);
    bool keep[2][3]{{true, false, true}, {false, true, true}};
    floats x{1, 2, 3, 4, 5, 6};
    CHECK(sentence_of([&] { f(x, keep); }) == "no mistake");
    bool none[2][3]{{true, false, true}, {false, false, false}};
    auto s = sentence_of([&] { f(x, none); });
    CHECK(s.find("nan_guard: subtract gives nan of -inf and -inf " + place(line_of_masked)) == 0);
}

TEST_CASE("gathers, scatters and loops are followed") {
    etch::function<rare> f;
    f.nan_guard(true);
    const std::vector<int> i{1, 1, 0, 1};
    CHECK(sentence_of([&] { f(floats{1, 2}, i); }) == "no mistake");
    auto s = sentence_of([&] { f(floats{0, 2}, i); });
    INFO(s);
    CHECK(has(s, "reciprocal gives inf of 0 " + place(line_of_table)));
    etch::function<scatter> added;
    added.nan_guard(true);
    CHECK(sentence_of([&] { added(floats{1, 2}, i, floats(4, 0.5e38f)); }) == "no mistake");
    s = sentence_of([&] { added(floats{1, 2}, i, floats(4, 2e38f)); });
    CHECK(s.find("nan_guard: scatter_add gives inf " + place(line_of_take) +
                 ", first seen in the result of ") == 0);

    etch::function<recurrence> loop;
    loop.nan_guard(true);
    floats xs(20);
    CHECK(sentence_of([&] { loop(xs); }) == "no mistake");
    xs[13] = -100;
    s = sentence_of([&] { loop(xs); });
    INFO(s);
    CHECK(has(s, "nan_guard: log gives nan of "));
    CHECK(has(s, place(line_of_cell)));
    CHECK(has(s, ", in step 3 of a loop"));
}
