// SPDX-License-Identifier: MIT
// Graphs that are built at run time: the same calls, with mistakes that are thrown and results as a range.
#include "catch.hpp"

#include "sentence.hpp"

#include <etch.hpp>

namespace {

using etch::mistake;
using floats = std::vector<float>;

constexpr auto model = [](etch::graph& g) {
    auto N = g.dim("N");
    auto x = g.input<float>("x", {N, 3});
    auto rate = g.input<float>("rate", {});
    auto w = g.param<float>("w", {3, 2}, etch::nn::normal{});
    auto y = tanh(matmul(x, w));
    auto loss = sum(square(y));
    g.output("y", y);
    g.output("loss", loss);
    g.update(w, w - rate * grad(loss, w));
};

}  // namespace

TEST_CASE("a compiled graph and a function give the same") {
    auto make = [] {
        etch::graph g;
        model(g);
        return etch::compile(g, etch::seed(3));  // the graph need not live on
    };
    auto f = make();
    etch::function<model> same{etch::seed(3)};
    const floats x{1, 2, 3, 4, 5, 6};
    CHECK(f.state()["w"].to_vector<float>() == same.state()["w"].to_vector<float>());
    for (int i = 0; i < 3; ++i) {
        auto result = f(x, 0.1);
        auto [y, loss] = same(x, 0.1);
        REQUIRE(result.size() == 2);
        CHECK(result[0].to_vector<float>() == y.to_vector<float>());
        CHECK(result.get("loss").item<float>() == loss);
        CHECK(result[1].rank() == 0);
        std::size_t n = 0;
        for (const etch::tensor& t : result) n += static_cast<std::size_t>(t.size());
        CHECK(n == 5);
        CHECK(sentence_of([&] { result.get("lost"); }) ==
              "call: no output has the name lost; there are y, loss");
        CHECK(sentence_of([&] { result.item<float>(); }) ==
              "call: item() of several outputs: say item(name)");
    }
    CHECK(f.state()["w"].to_vector<float>() == same.state()["w"].to_vector<float>());
    CHECK(sentence_of([&] { f(x); }) == "call: 1 argument for 2 inputs: x, rate");
    CHECK(sentence_of([&] { f(x, true); }) == "call: rate is a bool, the model takes float32");
    CHECK(sentence_of([&] { f(std::vector<double>(6), 1); }) ==
          "call: x has elements of float64, the model takes float32 {N, 3}");
    auto moved = std::move(f);
    CHECK(sentence_of([&] { f(x, 1); }) == "function: it was moved from");
    CHECK(moved(x, 0).size() == 2);
}

TEST_CASE("compiled graphs share a state with each other and with functions") {
    etch::function<model> train;
    etch::graph g;
    g.output("w", sum(g.param<float>("w", {3, 2}, etch::nn::zeros{})));
    auto look = etch::compile(g, train.state());
    float before = look().item<float>();
    train(floats{1, 2, 3}, 0.5);
    CHECK(look().item<float>() != before);
}

TEST_CASE("updates see old values: parameters that change places") {
    etch::graph g;
    auto a = g.param<float>("a", {2}, etch::nn::constant{1});
    auto b = g.param<float>("b", {2}, etch::nn::constant{2});
    auto c = g.param<float>("c", {2}, etch::nn::constant{3});
    g.update(a, b);
    g.update(b, a);
    g.update(c, a + 10);
    g.output("old", sum(a + b + c));
    auto f = etch::compile(g);
    CHECK(f().item<float>() == 12);
    CHECK(f.state()["a"].to_vector<float>() == std::vector<float>{2, 2});
    CHECK(f.state()["b"].to_vector<float>() == std::vector<float>{1, 1});
    CHECK(f.state()["c"].to_vector<float>() == std::vector<float>{11, 11});
    f();
    CHECK(f.state()["a"].to_vector<float>() == std::vector<float>{1, 1});
    CHECK(f.state()["c"].to_vector<float>() == std::vector<float>{12, 12});
}
