// SPDX-License-Identifier: MIT
// Calls: what may be an argument, how named dims get their values, what comes back, and what a call leaves alone.
// also: clang sanitize
#include "catch.hpp"

#include "counting.hpp"
#include "sentence.hpp"

#include <Eigen/Core>
#include <array>
#include <atomic>
#include <cstdlib>
#include <sstream>
#include <unsupported/Eigen/CXX11/Tensor>

#include <etch/language.hpp>
#include <etch/run/bind.hpp>
#include <etch/run/function.hpp>

#include "reference/execute.hpp"

namespace {

using etch::mistake;
using floats = std::vector<float>;

/// The dims that the arguments of a call give, or its mistake.
struct bound {
    etch::graph g;
    etch::program p;
    template <class Model> explicit bound(Model model) {
        model(g);
        p = reference::program_of(g);
    }
    template <class... Arguments>
    std::vector<std::int64_t> dims(const Arguments&... arguments) const {
        etch::detail::binder b(etch::view_of(p));
        const etch::detail::argument list[] = {etch::detail::checked_argument(arguments)..., {}};
        b.bind({list, sizeof...(Arguments)});
        b.check_conditions();
        return {b.dims().begin(), b.dims().end()};
    }
    template <class... Arguments> std::string wrong(const Arguments&... arguments) const {
        return sentence_of([&] { dims(arguments...); });
    }
};
using numbers = std::vector<std::int64_t>;

constexpr auto sums = [](etch::graph& g) {  // sums along both axes, and the sum of all
    auto N = g.dim("N");
    auto x = g.input<float>("x", {N, 3});
    g.output("rows", sum(x, 1));
    g.output("columns", sum(x, 0));
    g.output("all", sum(x));
};
constexpr auto scaled = [](etch::graph& g) {
    auto x = g.input<float>("x", {g.dim("N")});
    g.output("y", x * g.input<float>("by", {}));
};
constexpr auto kinds = [](etch::graph& g) {
    auto b = g.input<bool>("mask", {g.dim("N")});
    auto i = g.input<int>("i", {}), j = g.input<std::int64_t>("j", {});
    auto d = g.input<double>("d", {});
    g.output("count", sum(b));
    g.output("i", i + 1);
    g.output("j", j + 1);
    g.output("d", d * 2);
    g.output("flag", !g.input<bool>("flag", {}));
};
constexpr auto counter = [](etch::graph& g) {
    auto n = g.param<float>("n", {}, etch::nn::zeros{});
    g.update(n, n + 1);
    g.output("before", n);
};
constexpr auto silent = [](etch::graph& g) {
    auto n = g.param<float>("n", {}, etch::nn::zeros{});
    g.update(n, n + 1);
};
constexpr auto lookup = [](etch::graph& g) {
    auto w = g.param<float>("w", {4}, etch::nn::constant{2});
    auto at = g.input<int>("at", {g.dim("N")});
    auto y = take(w, at);
    g.update(w, w + sum(y));
    g.output("y", y);
};

}  // namespace

TEST_CASE("arguments: what holds elements") {
    etch::function<sums> f;
    floats data{1, 2, 3, 4, 5, 6};
    const floats rows{6, 15}, columns{5, 7, 9};
    auto check = [&](const auto& x) {
        auto [r, c, all] = f(x);
        STATIC_REQUIRE(std::is_same_v<decltype(all), float>);
        STATIC_REQUIRE(std::is_same_v<decltype(r), etch::tensor>);
        CHECK(r.template to_vector<float>() == rows);
        CHECK(c.template to_vector<float>() == columns);
        CHECK(all == 21);
        CHECK(r.shape() == etch::tensor_shape{2});
    };
    check(data);
    check(std::span<float>(data));
    check(std::span<const float>(data));
    check(std::span<const float, 6>(data));
    check(std::array<float, 6>{1, 2, 3, 4, 5, 6});
    float flat[6]{1, 2, 3, 4, 5, 6};
    check(flat);
    const float table[2][3]{{1, 2, 3}, {4, 5, 6}};
    check(table);
    check(etch::tensor(data, {2, 3}));
    check(etch::view(data, {2, 3}));
    check(etch::view(data.data(), {2, 3}));

    Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> by_rows(2, 3);
    by_rows << 1, 2, 3, 4, 5, 6;
    check(by_rows);
    Eigen::MatrixXf by_columns = by_rows;
    check(by_columns);
    check(Eigen::Array<float, 2, 3>(by_columns.array()));
    check(Eigen::Map<const Eigen::MatrixXf>(by_columns.data(), 2, 3));
    Eigen::MatrixXf larger(4, 5);
    larger.block(1, 2, 2, 3) = by_columns;
    check(larger.block(1, 2, 2, 3));
    check(Eigen::Ref<Eigen::MatrixXf>(by_columns));
    Eigen::Tensor<float, 2> tensor_by_columns(2, 3);
    Eigen::Tensor<float, 2, Eigen::RowMajor> tensor_by_rows(2, 3);
    for (int i = 0; i < 2; ++i)
        for (int j = 0; j < 3; ++j) tensor_by_columns(i, j) = tensor_by_rows(i, j) = by_rows(i, j);
    check(tensor_by_columns);
    check(tensor_by_rows);

    CHECK(sentence_of([&] { f(Eigen::MatrixXf(3, 2)); }) ==
          "call: axis 1 of x is 2, the model takes float32 {N, 3}, with N = 3");
    CHECK(sentence_of([&] { f(floats(7)); }) ==
          "call: x has 7 elements, which do not divide into its shape {N, 3}: etch::view(data, "
          "{...}) says another");
    CHECK(sentence_of([&] {
              f(etch::tensor({1, 2, 3}, {1, 3}));
          }) == "call: x has elements of int32, the model takes float32 {N, 3}");
    CHECK(sentence_of([&] { f(etch::view(data, {6})); }) ==
          "call: x has the shape {6}, the model takes float32 {N, 3}: etch::view(data, {...}) "
          "gives another");
    CHECK(sentence_of([&] { etch::view(data, {4}); }) == "view: 6 elements for the shape {4}");
}

TEST_CASE("arguments: vectors, numbers and every dtype") {
    etch::function<scaled> f;
    auto check = [&](const auto& x, const auto& by) {
        auto [y] = f(x, by);
        CHECK(y.template to_vector<float>() == floats{2, 4, 6});
    };
    const floats x{1, 2, 3};
    check(x, 2.0f);
    check(x, 2);
    check(x, 2.0);
    check(x, etch::tensor({2.0f}, {}));
    check(x, floats{2});
    Eigen::VectorXf v(3);
    v << 1, 2, 3;
    check(v, 2);
    check(Eigen::RowVector3f(v.transpose()), 2);
    Eigen::MatrixXf one_column = v;
    check(one_column, 2);
    Eigen::MatrixXf table(3, 3);
    table.row(1) = v.transpose();
    check(table.row(1), 2);  // its elements do not lie side by side
    CHECK(sentence_of([&] { f(table, 2); }) ==
          "call: x has the shape {3, 3}, the model takes float32 {N}: etch::view(data, {...}) "
          "gives another");

    etch::function<kinds> g;
    const bool mask[] = {true, false, true};
    auto [count, i, j, d, flag] = g(std::span<const bool>(mask), 3, 4, 0.25, true);
    STATIC_REQUIRE(std::is_same_v<decltype(count), std::int32_t>);
    STATIC_REQUIRE(std::is_same_v<decltype(i), std::int32_t>);
    STATIC_REQUIRE(std::is_same_v<decltype(j), std::int64_t>);
    STATIC_REQUIRE(std::is_same_v<decltype(d), double>);
    STATIC_REQUIRE(std::is_same_v<decltype(flag), bool>);
    CHECK((count == 2 && i == 4 && j == 5 && d == 0.5 && !flag));
    CHECK(sentence_of([&] { g(mask, std::int64_t{1} << 40, 4, 0.25, true); }) ==
          "call: i is 1099511627776, the model takes int32");
    CHECK(sentence_of([&] { g(mask, 1, ~std::uint64_t{0}, 0.25, true); }) ==
          "call: a number is larger than int64 holds");
}

TEST_CASE("dims: bound by every argument, and checked against each other") {
    bound batch([](etch::graph& g) {
        auto N = g.dim("N");
        auto image = g.input<float>("image", {N, 4}), label = g.input<float>("label", {N});
        g.output("y", sum(image) + sum(label));
    });
    CHECK(batch.dims(floats(8), floats(2)) == numbers{2});
    CHECK(batch.dims(floats(), floats()) == numbers{0});
    CHECK(batch.dims(etch::tensor::zeros<float>({32, 4}), floats(32)) == numbers{32});
    CHECK(batch.wrong(floats(128), floats(31)) == "call: N is 32 in image and 31 in label");
    CHECK(batch.wrong(floats(128), etch::tensor::zeros<float>({31})) ==
          "call: N is 31 in label and 32 in image");
    CHECK(batch.wrong(etch::tensor::zeros<float>({32, 4}), floats(31)) ==
          "call: N is 32 in image and 31 in label");
    CHECK(batch.wrong(floats(128)) == "call: 1 argument for 2 inputs: image, label");
    CHECK(batch.wrong(floats(128), 1.0f) == "call: label is a number, the model takes float32 {N}");

    bound two([](etch::graph& g) {
        auto N = g.dim("N"), T = g.dim("T");
        g.output("y", sum(g.input<float>("x", {N, T, 2})));
        g.output("z", sum(g.input<float>("lengths", {N})));
    });
    CHECK(two.dims(floats(24), floats(3)) == numbers{3, 4});
    CHECK(two.dims(etch::view(floats(24), {4, 3, 2}), floats(4)) == numbers{4, 3});
    CHECK(two.wrong(floats(24), floats(5)) ==
          "call: x has 24 elements, which do not divide into its shape {N, T, 2}, with N = 5: "
          "etch::view(data, {...}) "
          "says another");
    CHECK(
        two.wrong(floats(0), floats(0)) ==
        "call: 0 elements of x do not tell T in its shape {N, T, 2}: etch::view(data, {...}) does");
    CHECK(two.dims(etch::view(floats(0), {0, 7, 2}), floats(0)) == numbers{0, 7});

    bound only([](etch::graph& g) {
        auto N = g.dim("N"), T = g.dim("T");
        g.output("y", sum(g.input<float>("x", {N, T})));
    });
    CHECK(only.wrong(floats(24)) ==
          "call: 24 elements of x do not tell N in its shape {N, T}: etch::view(data, {...}) does");
    CHECK(only.dims(Eigen::MatrixXf(4, 6)) == numbers{4, 6});
}

TEST_CASE("dims: inside polynomials") {
    bound half([](etch::graph& g) {
        auto N = g.dim("N");
        auto x = g.input<float>("x", {2 * N}), z = g.input<float>("z", {N - 1, 3});
        g.output("y", sum(x) + sum(z));
    });
    CHECK(half.dims(floats(8), floats(9)) == numbers{4});
    CHECK(half.dims(floats(2), floats(0)) == numbers{1});
    CHECK(half.wrong(floats(7), floats(9)) ==
          "call: x has 7 elements, which do not divide into its shape {2*N}: etch::view(data, "
          "{...}) says another");
    CHECK(half.wrong(etch::tensor::zeros<float>({7}), floats(9)) ==
          "call: axis 0 of x is 7, the model takes float32 {2*N}");
    CHECK(half.wrong(floats(8), floats(12)) == "call: N is 4 in x and 5 in z");

    bound product([](etch::graph& g) {
        auto N = g.dim("N"), T = g.dim("T");
        auto x = g.input<float>("x", {N * T}), n = g.input<float>("n", {N});
        g.output("y", sum(x) + sum(n));
    });
    CHECK(product.dims(floats(12), floats(3)) == numbers{3, 4});

    bound square([](etch::graph& g) {
        auto N = g.dim("N");
        g.output("y", sum(g.input<float>("x", {N, N})));
    });
    CHECK(square.dims(Eigen::MatrixXf(3, 3)) == numbers{3});
    CHECK(square.wrong(Eigen::MatrixXf(3, 4)) == "call: N is 3 and 4 in x");
    CHECK(square.wrong(floats(9)) ==
          "call: 9 elements of x do not tell N in its shape {N, N}: etch::view(data, {...}) does");

    bound unused([](etch::graph& g) {
        g.dim("M");
        g.output("y", sum(g.input<float>("x", {g.dim("N")})));
    });
    CHECK(unused.wrong(floats(9)) == "call: no argument tells M");
}

TEST_CASE("dims: what an op needs of them is checked at the call") {
    bound sliced([](etch::graph& g) {
        auto x = g.input<float>("x", {g.dim("N")});
        g.output("y", slice(x, {etch::range(2, etch::none)}));
    });
    CHECK(sliced.dims(floats(5)) == numbers{5});
    auto wrong = sliced.wrong(floats(1));
    INFO(wrong);
    CHECK(wrong.starts_with("call: slice: "));
    CHECK(wrong.ends_with(", with N = 1"));
}

TEST_CASE("results: numbers, tensors, one, none") {
    etch::function<counter> count;
    auto [first] = count();
    float second = count();
    auto third = count();
    CHECK((first == 0 && second == 1 && std::get<0>(third) == 2));
    float fourth = 0;
    std::tie(fourth) = count();
    CHECK(fourth == 3);
    etch::function<silent> tick;
    STATIC_REQUIRE(std::tuple_size_v<decltype(tick())> == 0);
    tick();
    tick();
    CHECK(tick.state()["n"].item<float>() == 2);
}

TEST_CASE("results: an old one never changes, a dropped one is used again") {
    etch::function<scaled> f;
    const floats x{1, 2, 3};
    etch::tensor kept = f(x, 2);
    const float* at = kept.data<float>();
    etch::tensor other = f(x, 3);
    CHECK(other.data<float>() != at);
    CHECK(kept.to_vector<float>() == floats{2, 4, 6});
    kept = {};
    etch::tensor again = f(x, 5);
    CHECK(again.data<float>() == at);
    CHECK(other.to_vector<float>() == floats{3, 6, 9});
    etch::tensor outlives;
    {
        etch::function<scaled> short_lived;
        outlives = short_lived(x, 1);
    }
    CHECK(outlives.to_vector<float>() == x);
    other = f(other, 2);  // a result as an argument, dropped by the same statement
    CHECK(other.to_vector<float>() == floats{6, 12, 18});
    const floats longer(5, 1.0f);
    etch::tensor five = f(longer, 2), none = f(floats{}, 2);
    CHECK((five.shape() == etch::tensor_shape{5} && none.shape() == etch::tensor_shape{0}));
}

TEST_CASE("calls: once warm, nothing is allocated") {
#if ETCH_TEST_COUNTS
    etch::function<sums> f;
    etch::function<counter> count;
    const floats x{1, 2, 3, 4, 5, 6};
    Eigen::MatrixXf matrix(2, 3);
    matrix << 1, 2, 3, 4, 5, 6;
    float all = 0;
    auto round = [&] {
        auto [r, c, a] = f(x);
        auto [r2, c2, b] = f(matrix);
        all += a + b + count();
    };
    round();
    round();
    long before = allocations;
    for (int i = 0; i < 10; ++i) round();
    long after = allocations;
    CHECK(after == before);
    CHECK(all == 12 * 42 + 66);
#else
    etch_test::skip("allocations cannot be counted here");
#endif
}

TEST_CASE("calls: a mistake leaves parameters as they were") {
    etch::function<lookup> f;
    const int outside[] = {1, 4}, inside[] = {0, 3};
    CHECK_THROWS_AS(f(outside), mistake);
    CHECK(f.state()["w"].to_vector<float>() == floats{2, 2, 2, 2});
    etch::tensor y = f(inside);
    CHECK(y.to_vector<float>() == floats{2, 2});
    CHECK(f.state()["w"].to_vector<float>() == floats{6, 6, 6, 6});
}

TEST_CASE("functions move") {
    etch::function<counter> a{etch::seed(7)};
    a();
    etch::function<counter> b = std::move(a);
    float n = b();
    CHECK(n == 1);
    CHECK(sentence_of([&] { a(); }) == "function: it was moved from");
    a = std::move(b);
    n = a();
    CHECK(n == 2);
    STATIC_REQUIRE(!std::is_copy_constructible_v<etch::function<counter>>);
}

TEST_CASE("tensors") {
    auto t = etch::tensor({1, 2, 3, 4, 5, 6}, {2, 3});
    CHECK((t.element() == etch::dtype::int32 && t.rank() == 2 && t.size() == 6));
    CHECK(reinterpret_cast<std::uintptr_t>(t.data<int>()) % 64 == 0);
    auto handle = t, copy = t.clone();
    handle.data<int>()[0] = 9;
    CHECK((t.as<int>()[0] == 9 && copy.as<int>()[0] == 1));
    CHECK(sentence_of([&] { t.data<float>(); }) == "tensor: the elements are int32, not float32");
    CHECK(sentence_of([&] { t.item<int>(); }) == "tensor: item() of the shape {2, 3}");
    CHECK(sentence_of([&] {
              etch::tensor(floats{1, 2}, {3});
          }) == "tensor: 2 elements for the shape {3}");
    CHECK(etch::tensor::zeros<double>({}).item<double>() == 0);
    CHECK(etch::tensor::full<bool>({2}, true).to_vector<bool>() == std::vector<bool>{true, true});
    CHECK(etch::tensor(std::vector<bool>{true, false}, {2}).to_vector<bool>() ==
          std::vector<bool>{true, false});
    std::ostringstream out;
    out << t << '\n'
        << etch::tensor::zeros<float>({}) << '\n'
        << etch::tensor::zeros<float>({0, 2}) << '\n'
        << etch::tensor::full<bool>({1}, true) << '\n'
        << etch::tensor::full<double>({2000}, 0.5);
    CHECK(
        out.str() ==
        "int32 {2, 3} [[9, 2, 3],\n [4, 5, 6]]\nfloat32 {} 0\nfloat32 {0, 2} []\nbool {1} [true]\n"
        "float64 {2000} [0.5, 0.5, 0.5, ..., 0.5, 0.5, 0.5]");
}
