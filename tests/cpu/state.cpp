// SPDX-License-Identifier: MIT
// Parameters: first values, sharing by name, and whose they are.
// also: clang sanitize
#include "catch.hpp"

#include "sentence.hpp"

#include <atomic>
#include <numeric>
#include <thread>

#include <etch/language.hpp>
#include <etch/run/function.hpp>

namespace {

using etch::mistake;
using floats = std::vector<float>;

constexpr auto train = [](etch::graph& g) {
    auto w = g.param<float>("w", {2, 3}, etch::nn::uniform{-1, 1});
    auto n = g.param<int>("n", {}, etch::nn::constant{5});
    auto z = g.param<double>("layer/z", {1001}, etch::nn::normal{2, 3});
    g.update(w, w + 1);
    g.output("sum", sum(w) + cast<float>(n) + cast<float>(sum(z)));
};
constexpr auto evaluate = [](etch::graph& g) {
    auto w = g.param<float>("w", {2, 3}, etch::nn::zeros{});
    g.output("sum", sum(w));
};
constexpr auto other_order = [](etch::graph& g) {
    auto z = g.param<float>("layer/z", {1001}, etch::nn::normal{2, 3});
    auto w = g.param<double>("w", {2, 3}, etch::nn::uniform{-1, 1});
    g.output("sum", cast<double>(sum(z)) + sum(w));
};
constexpr auto other_shape = [](etch::graph& g) {
    auto fresh = g.param<float>("fresh", {2}, etch::nn::zeros{});
    auto w = g.param<float>("w", {3, 2}, etch::nn::zeros{});
    g.output("sum", sum(w) + sum(fresh));
};
constexpr auto draws = [](etch::graph& g) { g.output("u", etch::uniform(g, {4})); };
constexpr auto doubled = [](etch::graph& g) {
    auto w = g.param<float>("w", {2, 3}, etch::nn::zeros{});
    auto x = g.input<float>("x", {2, 3});
    g.update(w, x + transpose(reshape(x, {3, 2})));
};
constexpr auto slow = [](etch::graph& g) {
    auto w = g.param<float>("w", {}, etch::nn::zeros{});
    auto x = g.input<float>("x", {g.dim("N")});
    g.update(w, w + sum(exp(sin(x))));
};

}  // namespace

TEST_CASE("first values depend on the seed and the name alone") {
    etch::function<train> a{etch::seed(7)}, b{etch::seed(7)}, c;
    etch::function<other_order> d{etch::seed(7)};
    auto w = a.state()["w"].to_vector<float>(), z_of = floats{};
    CHECK(a.state().names() == std::vector<std::string>{"w", "n", "layer/z"});
    CHECK((a.state().seed() == 7 && c.state().seed() == 0));
    CHECK(w == b.state()["w"].to_vector<float>());
    CHECK(w != c.state()["w"].to_vector<float>());
    CHECK(a.state()["n"].item<int>() == 5);
    for (float x : w) CHECK((x >= -1 && x < 1));
    auto wide = d.state()["w"].to_vector<double>();  // the same numbers, rounded later
    for (std::size_t i = 0; i < w.size(); ++i) CHECK(w[i] == static_cast<float>(wide[i]));
    auto z = a.state()["layer/z"].to_vector<double>();
    auto narrow = d.state()["layer/z"].to_vector<float>();
    for (std::size_t i = 0; i < z.size(); ++i) CHECK(narrow[i] == static_cast<float>(z[i]));
    double mean = std::accumulate(z.begin(), z.end(), 0.0) / 1001, square = 0;
    for (double x : z) square += (x - mean) * (x - mean) / 1001;
    CHECK(mean == Approx(2).margin(0.4));
    CHECK(square == Approx(9).margin(1.8));
}

TEST_CASE("functions share parameters by name; the first makes them") {
    etch::function<train> a{etch::seed(3)};
    etch::function<evaluate> test{a.state()};
    auto w = a.state()["w"].to_vector<float>();
    float before = test();
    CHECK(before == Approx(std::accumulate(w.begin(), w.end(), 0.0f)).margin(1e-6));
    a();
    float after = test();
    CHECK(after == Approx(before + 6));
    etch::function<evaluate> alone;
    float zero = alone();
    CHECK(zero == 0);
    etch::state empty;
    etch::function<evaluate> first{empty};
    etch::function<train> second{empty};
    CHECK(empty["w"].to_vector<float>() == floats(6, 0.0f));
}

TEST_CASE("a name with two types is a mistake before anything is made") {
    etch::function<train> a;
    auto sentence = sentence_of([&] { etch::function<other_shape> b{a.state()}; });
    CHECK(sentence == "state: parameter w is float32 {2, 3}, this function's is float32 {3, 2}");
    CHECK(!a.state().contains("fresh"));
    CHECK(sentence_of([&] { etch::function<other_order> b{a.state()}; }) ==
          "state: parameter layer/z is float64 {1001}, this function's is float32 {1001}");
}

TEST_CASE("live tensors, set and clone") {
    etch::function<evaluate> f;
    etch::state s = f.state();
    auto w = s["w"];
    w.data<float>()[1] = 4;
    float now = f();
    CHECK(now == 4);
    s.set("w", floats{1, 2, 3, 4, 5, 6});
    now = f();
    CHECK(now == 21);
    CHECK(w.as<float>()[5] == 6);
    etch::state copy = s.clone();
    s.set("w", etch::tensor::zeros<float>({2, 3}));
    etch::function<evaluate> g{copy};
    now = g();
    CHECK(now == 21);
    now = f();
    CHECK(now == 0);
    CHECK(sentence_of([&] { s["v"]; }) == "state: no parameter has the name v; there are w");
    CHECK(sentence_of([&] { s.set("w", floats(5)); }) ==
          "state: w is float32 {2, 3}, not 5 elements");
    CHECK(sentence_of([&] {
              s.set("w", etch::view(floats(6), {3, 2}));
          }) == "state: w is float32 {2, 3}, not {3, 2}");
    CHECK(sentence_of([&] { s.set("w", std::vector<int>(6)); }) ==
          "state: w is float32 {2, 3}, not int32");
    CHECK(sentence_of([&] { s.set("w", 1); }) == "state: w is float32 {2, 3}, not such a number");
}

TEST_CASE("a parameter as an argument of the function that updates it") {
    etch::function<doubled> f;
    auto s = f.state();
    s.set("w", floats{1, 2, 3, 4, 5, 6});
    f(s["w"]);  // x = {1 2 3; 4 5 6}; reshaped to {3, 2} and transposed: {1 3 5; 2 4 6}
    CHECK(s["w"].to_vector<float>() == floats{2, 5, 8, 6, 9, 12});
}

TEST_CASE("the random key begins with the seed and moves on with each call") {
    etch::function<draws> f{etch::seed(9)}, g{etch::seed(9)};
    CHECK(f.state()["random"].to_vector<std::int64_t>() == std::vector<std::int64_t>{9, 0});
    etch::tensor first = f(), second = f(), same = g();
    CHECK(first.to_vector<float>() == same.to_vector<float>());
    CHECK(first.to_vector<float>() != second.to_vector<float>());
    CHECK(f.state()["random"].to_vector<std::int64_t>() == std::vector<std::int64_t>{9, 2});
}

TEST_CASE("two calls at once on one state are a mistake") {
    etch::function<slow> f;
    etch::function<slow> g{f.state()};
    const floats x(1 << 16, 0.5f);
    std::atomic<int> done{0}, refused{0};
    std::atomic<bool> other{false};
    auto work = [&](auto& function) {
        for (int i = 0; i < 200 || (refused == 0 && i < 20000); ++i) {
            try {
                function(x);
                ++done;
            } catch (const mistake& m) {
                if (std::string(m.what()) == "call: another call runs on the same state")
                    ++refused;
                else
                    other = true;
            }
        }
    };
    std::thread thread([&] { work(f); });
    work(g);
    thread.join();
    CHECK(refused > 0);
    CHECK(!other);
    double one = std::exp(std::sin(0.5)) * static_cast<double>(x.size());
    CHECK(f.state()["w"].item<float>() == Approx(one * done).epsilon(1e-2));
}
