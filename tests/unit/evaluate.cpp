// SPDX-License-Identifier: MIT
// The reference evaluator, which other tests believe: cases computed by hand, and random programs.
#include "catch.hpp"

#include <limits>

#include "reference/random_program.hpp"

using namespace etch;
using reference::evaluator;
using reference::tensor;
using list = std::vector<double>;

namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN(),
                 inf = std::numeric_limits<double>::infinity();

tensor of(reference::numbers shape, const list& elements, dtype d = dtype::float64) {
    return {d, std::move(shape), elements};
}
/// f applied to one float64 vector.
template <class F> list applied(F f, const list& x) {
    graph g;
    auto n = g.dim("N");
    expr y = f(g.input<double>("x", {n}));
    return evaluator(g, {std::ssize(x)}, {of({std::ssize(x)}, x)}).value(y).elements();
}
/// f applied to two vectors of one dtype.
template <class T, class F> list applied(F f, const list& a, const list& b) {
    graph g;
    expr x = g.input<T>("a", {a.size()}), y = g.input<T>("b", {b.size()});
    expr z = f(x, y);
    return evaluator(g, {},
                     {of({std::ssize(a)}, a, dtype_of<T>), of({std::ssize(b)}, b, dtype_of<T>)})
        .value(z)
        .elements();
}
void same(const list& a, const list& b) {
    REQUIRE(a.size() == b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
        INFO("element " << i);
        if (std::isnan(b[i]))
            CHECK(std::isnan(a[i]));
        else if (std::isinf(b[i]))
            CHECK(a[i] == b[i]);
        else
            CHECK(a[i] == Approx(b[i]).margin(1e-15));
    }
}

}  // namespace

TEST_CASE("every op has a reference") {
    // An elementwise row without a function here, or any other op that the evaluator does not know, must show.
    for (const auto& row : op_table) {
        INFO(row.name);
        if (row.kind != op_class::elementwise || row.name == "where" || row.name == "cast" ||
            row.name == "checked_index")
            continue;
        bool real = reference::real_functions().contains(row.name) ||
                    reference::real_questions().contains(row.name);
        bool integer = reference::integer_functions().contains(row.name);
        CHECK(real == (row.takes != accepts::boolean && row.takes != accepts::integer));
        CHECK(integer == (row.takes != accepts::floating));
    }
}

TEST_CASE("elementwise ops on floating numbers") {
    same(applied([](expr x) { return sign(x); }, {-3, 0, 2, not_a_number}),
         {-1, 0, 1, not_a_number});
    same(applied([](expr x) { return relu(x); }, {-3, 0, 2, not_a_number, inf}),
         {0, 0, 2, not_a_number, inf});
    same(applied([](expr x) { return sigmoid(x); }, {0, -1000, 1000, 1}),
         {0.5, 0, 1, 0.7310585786300049});
    same(applied([](expr x) { return softplus(x); }, {0, -1000, 1000}),
         {0.6931471805599453, 0, 1000});
    same(applied([](expr x) { return power(x, 2.0); }, {-3, 0, 0.5}), {9, 0, 0.25});
    same(applied([](expr x) { return floor(x); }, {-1.5, 1.5, 2}), {-2, 1, 2});
    same(applied([](expr x) { return erf(x); }, {0.5}), {0.5204998778130465});
    same(applied([](expr x) { return expm1(x) + log1p(x); }, {0.25}),
         {0.2840254166877415 + 0.22314355131420976});
    auto remainders = [](expr x, expr y) { return x % y; };
    same(applied<double>(remainders, {7, -7, 7, -7, 5.5}, {3, 3, -3, -3, 2}), {1, 2, -2, -1, 1.5});
    auto quotients = [](expr x, expr y) { return floor_divide(x, y); };
    same(applied<double>(quotients, {7, -7, 7, -7}, {3, 3, -3, -3}), {2, -3, -3, 2});
    same(applied<double>([](expr x, expr y) { return maximum(x, y); }, {1, not_a_number, 1},
                         {2, 1, not_a_number}),
         {2, not_a_number, not_a_number});
    same(applied<double>([](expr x, expr y) { return minimum(x, y); }, {1, not_a_number, 1},
                         {2, 1, not_a_number}),
         {1, not_a_number, not_a_number});
    same(applied<double>([](expr x, expr y) { return cast<double>(x <= y); }, {1, 2, not_a_number},
                         {2, 2, 1}),
         {1, 1, 0});
    same(applied<double>([](expr x, expr y) { return cast<double>(not_equal(x, y)); },
                         {1, 2, not_a_number}, {2, 2, not_a_number}),
         {1, 0, 1});
}

TEST_CASE("elementwise ops on integers and bool") {
    auto remainders = [](expr x, expr y) { return x % y; };
    auto quotients = [](expr x, expr y) { return floor_divide(x, y); };
    same(applied<int>(remainders, {7, -7, 7, -7, 5}, {3, 3, -3, -3, 0}), {1, 2, -2, -1, 0});
    same(applied<int>(quotients, {7, -7, 7, -7, 5}, {3, 3, -3, -3, 0}), {2, -3, -3, 2, 0});
    same(applied<std::int64_t>(quotients, {-9}, {2}), {-5});
    same(applied<int>([](expr x, expr y) { return x / y; }, {1, 7}, {2, 2}), {0.5, 3.5});
    same(applied<int>([](expr x, expr y) { return x + y; }, {2147483647}, {1}),
         {-2147483648.0});  // wraps around
    same(applied<int>([](expr x, expr y) { return x * y; }, {65536}, {65536}), {0});
    same(applied<int>([](expr x, expr) { return square(x) + abs(x) + sign(x); }, {-3}, {0}), {11});
    same(applied<bool>([](expr x, expr y) { return x && !y; }, {1, 1, 0}, {0, 1, 0}), {1, 0, 0});
    same(applied<bool>([](expr x, expr y) { return x || y; }, {1, 1, 0}, {0, 1, 0}), {1, 1, 0});
    same(applied<double>([](expr x, expr) { return cast<int>(x); }, {-1.9, 1.9}, {0, 0}), {-1, 1});
    same(applied<double>([](expr x, expr) { return cast<bool>(x); }, {0, -0.1}, {0, 0}), {0, 1});
}

TEST_CASE("movement") {
    graph g;
    expr x = reshape(iota(g, {6}, 0, dtype::float64), {2, 3});  // 0 1 2 / 3 4 5
    evaluator e(g);
    auto elements = [&](expr y) { return evaluator(g).value(y).elements(); };
    same(elements(x), {0, 1, 2, 3, 4, 5});
    same(elements(transpose(x)), {0, 3, 1, 4, 2, 5});
    same(elements(slice(x, {etch::all, etch::range(none, none, -2)})), {2, 0, 5, 3});
    same(elements(slice(x, {1})), {3, 4, 5});
    same(elements(slice(x, {-1, -3})), {3});
    same(elements(flip(x, 0)), {3, 4, 5, 0, 1, 2});
    same(elements(pad(x, {{1, 0}, {0, 1}}, 9)), {9, 9, 9, 9, 0, 1, 2, 9, 3, 4, 5, 9});
    same(elements(concatenate({x, x}, 1)), {0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5});
    same(elements(stack({x, 2 * x}, 2)), {0, 0, 1, 2, 2, 4, 3, 6, 4, 8, 5, 10});
    same(elements(broadcast_to(slice(x, {etch::all, etch::range(0, 1)}), {2, 2})), {0, 0, 3, 3});
    same(elements(iota(g, {2, 2}, 1)), {0, 1, 0, 1});
    // The transpose of a slice with a step of -2: pad with a step.
    std::int64_t words[] = {0, 1, 2, 2, -2, 3};
    same(elements(apply<pad_row>(
             {slice(x, {etch::all, etch::range(0, 2)}), scalar(g, dtype::float64, 7)}, words)),
         {1, 7, 0, 4, 7, 3});
}

TEST_CASE("reductions") {
    graph g;
    expr x = g.input<double>("x", {2, 3});
    auto run = [&](expr y, const list& data) {
        return evaluator(g, {}, {of({2, 3}, data)}).value(y).elements();
    };
    const list data{1, 5, 5, -2, not_a_number, 3};
    same(run(sum(x, 0), data), {-1, not_a_number, 8});
    same(run(sum(x, -1), {1, 2, 3, 4, 5, 6}), {6, 15});
    same(run(prod(x), {1, 2, 3, 4, 5, 6}), {720});
    same(run(max(x, 1), data), {5, not_a_number});
    same(run(min(x, 1), data), {1, not_a_number});
    same(run(argmax(x), data), {1, 1});  // the first of a tie; the first nan
    same(run(argmin(x), data), {0, 1});
    same(run(argmax(x, 0), data), {0, 1, 0});
    same(run(mean(x, {0, 1}), {1, 2, 3, 4, 5, 6}), {3.5});
    same(run(sum(x > 2), {1, 2, 3, 4, 5, 6}), {4});
    same(run(logsumexp(x), {1000, 1000, 1000, 0, -inf, 0}),
         {1000 + 1.0986122886681098, 0.6931471805599453});
}

TEST_CASE("products of matrices") {
    graph g;
    expr a = reshape(iota(g, {12}, 0, dtype::float64), {2, 2, 3}),
         b = reshape(iota(g, {6}, 0, dtype::float64), {3, 2});
    auto elements = [&](expr y) { return evaluator(g).value(y).elements(); };
    same(elements(matmul(a, b)), {10, 13, 28, 40, 46, 67, 64, 94});
    same(elements(apply<dot_row>({a, broadcast_to(b, {2, 3, 2})})),
         {10, 13, 28, 40, 46, 67, 64, 94});
    same(elements(matmul(b, slice(b, {0}))), {1, 3, 5});
    same(elements(matmul(cast<int>(b), iota(g, {2}, 0))), {1, 3, 5});
    expr row = constant<double>(g, {1, 2}, {1, 2});
    same(elements(dot(row, a)), {6, 9, 12, 24, 27, 30});
    same(elements(dot(cast<int>(row), cast<int>(a))), {6, 9, 12, 24, 27, 30});
}

TEST_CASE("indices that are data") {
    graph g;
    expr x = reshape(iota(g, {6}, 0, dtype::float64), {3, 2});
    auto elements = [&](expr y) { return evaluator(g).value(y).elements(); };
    expr i = constant<int>(g, {2, 2}, {2, 0, -1, 2});
    same(elements(take(x, i)), {4, 5, 0, 1, 4, 5, 4, 5});
    same(elements(take(x, constant<int>(g, {1}, {-1}), 1)), {1, 3, 5});
    same(elements(take_along_axis(x, constant<int>(g, {1, 2}, {2, 1}), 0)), {4, 3});
    same(elements(one_hot(constant<int>(g, {2}, {1, 0}), 3)), {0, 1, 0, 1, 0, 0});
    std::int64_t first[] = {0, 3};
    same(elements(apply<scatter_add_row>(
             {slice(x, {etch::range(0, 2)}), constant<int>(g, {2}, {2, 2})}, first)),
         {0, 0, 0, 0, 2, 4});
    same(elements(apply<scatter_add_along_axis_row>(
             {slice(x, {etch::range(0, 2)}), constant<int>(g, {2, 2}, {2, 0, 2, 1})}, first)),
         {0, 1, 0, 3, 2, 0});
    CHECK_THROWS_AS(elements(take(x, constant<int>(g, {1}, {3}))), std::out_of_range);
    CHECK_THROWS_AS(elements(take(x, constant<int>(g, {1}, {-4}))), std::out_of_range);
    CHECK_THROWS_AS(elements(one_hot(constant<int>(g, {1}, {-1}), 3)), std::out_of_range);
}

TEST_CASE("Philox gives the known answers") {
    // From Random123's kat_vectors, philox4x32 with 10 rounds: counter, key, result.
    using words = std::array<std::uint32_t, 4>;
    CHECK(reference::philox({0, 0, 0, 0}, {0, 0}) ==
          words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    const std::uint32_t f = 0xffffffff;
    CHECK(reference::philox({f, f, f, f}, {f, f}) ==
          words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    CHECK(reference::philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                            {0xa4093822, 0x299f31d0}) ==
          words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
    CHECK(reference::uniform(dtype::float32, 0, 0, 0, 0) == (0x6627e8d5 >> 8) / 16777216.0);
    CHECK(reference::uniform(dtype::float32, 3, 0, 0, 0) == (0x9b00dbd8 >> 8) / 16777216.0);
    CHECK(reference::uniform(dtype::float64, 1, 0, 0, 0) ==
          std::ldexp(double(0xbc57ac4c9b00dbd8 >> 11), -53));
}

TEST_CASE("draws") {
    graph g;
    expr u = uniform(g, {1000}), v = uniform(g, {1000}),
         z = normal(g, {1000}, 3, 2, dtype::float64);
    expr b = bernoulli(g, {1000}, 0.25);
    evaluator e(g, {}, {}, {of({2}, {11, 5}, dtype::int64)});
    CHECK(e.value(u).elements() != e.value(v).elements());
    CHECK(e.number(mean(u)) == Approx(0.5).margin(0.03));
    CHECK(e.number(mean(z)) == Approx(3).margin(0.2));
    CHECK(e.number(variance(z)) == Approx(4).margin(0.5));
    CHECK(e.number(mean(b)) == Approx(0.25).margin(0.05));
    same(e.updates()[0].elements(), {11, 6});  // the step advances
    evaluator next(g, {}, {}, e.updates());
    CHECK(e.value(u).elements() != next.value(u).elements());
}

TEST_CASE("scan") {
    graph g;
    auto t = g.dim("T");
    expr x = g.input<double>("x", {t, 2}), c = constant<double>(g, {2}, {1, 10}),
         k = g.input<double>("k", {});
    auto r = scan([&](expr slice_of_x, expr carried) { return carried * k + slice_of_x; }, x, c);
    evaluator e(g, {3}, {of({3, 2}, {1, 2, 3, 4, 5, 6}), of({}, {2})});
    same(e.value(r.all).elements(), {3, 22, 9, 48, 23, 102});
    same(e.value(r.last).elements(), {23, 102});
    evaluator none_at_all(g, {0}, {of({0, 2}, {}), of({}, {2})});
    same(none_at_all.value(r.last).elements(), {1, 10});
    CHECK(none_at_all.value(r.all).count() == 0);
}

TEST_CASE("dims, parameters, updates, outputs and rounding") {
    graph g;
    struct zeros {
        static constexpr initial_value initial(std::span<const std::int64_t>) { return {}; }
    };
    auto n = g.dim("N"), m = g.dim("M");
    expr x = g.input<float>("x", {n, m}), w = g.param<float>("w", {2}, zeros{});
    g.output("size", sum(x) * 0 + (2 * n * n - m));
    g.output("third", w / 3);
    g.update(w, w + 1);
    std::vector<tensor> inputs{tensor(dtype::float32, {3, 4})},
        parameters{of({2}, {1, 2}, dtype::float32)};
    evaluator e(g, {3, 4}, inputs, parameters);
    CHECK(e.output("size")[0] == 14);
    CHECK(e.output("third")[0] == 1.0 / 3);
    same(e.updates()[0].elements(), {2, 3});
    CHECK(evaluator(g, {3, 4}, inputs, parameters, true).output("third")[0] == double(1.0f / 3));
    e.replace(w, of({2}, {6, 9}, dtype::float32));
    CHECK(e.output("third")[1] == 3);
    CHECK_THROWS_AS(evaluator(g).value(detail::placeholder(g, w.of())), std::logic_error);
}

TEST_CASE("random programs are well formed, finite and the same for the same seed") {
    for (std::uint64_t seed = 0; seed < 400; ++seed) {
        INFO("seed " << seed);
        graph g, again;
        auto p = reference::random_program(g, seed), q = reference::random_program(again, seed);
        CHECK(g.nodes.size() == again.nodes.size());
        CHECK(p.dims == q.dims);
        evaluator e(g, p.dims, p.inputs, p.parameters),
            rounded(g, p.dims, p.inputs, p.parameters, true);
        CHECK(e.conditions_hold());
        auto outputs = e.outputs(), in_float = rounded.outputs();
        for (std::size_t k = 0; k < outputs.size(); ++k)
            for (std::size_t i = 0; i < outputs[k].count(); ++i) {
                REQUIRE(std::isfinite(outputs[k][i]));
                // no branch depends on rounding; derivatives may lose more digits
                if (!outputs[k].floating())
                    REQUIRE(outputs[k][i] == in_float[k][i]);
                else
                    REQUIRE(in_float[k][i] == Approx(outputs[k][i]).epsilon(2e-3).margin(2e-2));
            }
        e.updates();
    }
}
