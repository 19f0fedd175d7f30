// SPDX-License-Identifier: MIT
// Formulas over live arrays: each gives the bits of the same formula as a function, is one program, allocates nothing in
// place, and changes nothing that another handle sees.
#include "catch.hpp"

#include "counting.hpp"
#include "sentence.hpp"

#include <sstream>
#include <thread>

#include <etch.hpp>

namespace {

template <class T> using vector = etch::array<T, 1>;
template <class T> using matrix = etch::array<T, 2>;

/// Numbers between low and high, different from one to the next.
template <class T, int rank>
etch::array<T, rank> numbers(etch::tensor_shape shape, double low = -2, double high = 2,
                             unsigned seed = 1) {
    auto x = etch::array<T, rank>::zeros(shape);
    std::uint32_t state = 12345u + seed * 7919u;
    for (std::int64_t i = 0; i < x.size(); ++i) {
        state = state * 1664525u + 1013904223u;
        x.data()[i] = static_cast<T>(low + (high - low) * (state >> 8) / double(1 << 24));
    }
    return x;
}

bool same_bits(const etch::tensor& x, const etch::tensor& y) {
    return x.element() == y.element() && x.shape() == y.shape() &&
           (x.bytes() == 0 || std::memcmp(x.bytes_data(), y.bytes_data(), x.bytes()) == 0);
}

// ---- the same formula, interpreted --------------------------------------------------------------------------------
template <class T, int rank> auto as_input(etch::graph& g, const etch::array<T, rank>& x) {
    std::vector<etch::dim> shape(x.shape().begin(), x.shape().end());
    return g.input<T>(etch::name("x", static_cast<int>(g.inputs.size())),
                      std::span<const etch::dim>(shape));
}
template <class Formula, class... X> etch::tensor interpreted(Formula formula, const X&... x) {
    etch::graph g;
    auto inputs = std::tuple{as_input(g, x)...};
    g.output("y", std::apply(formula, inputs));
    return etch::compile(g, etch::device::cpu())(x...)[0];
}
/// A formula that is a constant works on expressions and on arrays.
template <class Formula, class... X> bool agrees(Formula formula, const X&... x) {
    return same_bits(etch::tensor(formula(x...)), interpreted(formula, x...));
}

// ---- every op of the table ----------------------------------------------------------------------------------------
template <class Formula> struct named {
    std::string_view name;
    Formula formula;
};
template <class Formula> named(std::string_view, Formula) -> named<Formula>;

constexpr auto floating_ops = std::tuple{
    named{"abs", [](auto x, auto) { return abs(x); }},
    named{"sign", [](auto x, auto) { return sign(x); }},
    named{"floor", [](auto x, auto) { return floor(x); }},
    named{"reciprocal", [](auto x, auto) { return reciprocal(x); }},
    named{"square", [](auto x, auto) { return square(x); }},
    named{"sqrt", [](auto x, auto) { return sqrt(x); }},
    named{"exp", [](auto x, auto) { return exp(x); }},
    named{"expm1", [](auto x, auto) { return expm1(x); }},
    named{"log", [](auto x, auto) { return log(x); }},
    named{"log1p", [](auto x, auto) { return log1p(x); }},
    named{"sin", [](auto x, auto) { return sin(x); }},
    named{"cos", [](auto x, auto) { return cos(x); }},
    named{"tanh", [](auto x, auto) { return tanh(x); }},
    named{"sigmoid", [](auto x, auto) { return sigmoid(x); }},
    named{"softplus", [](auto x, auto) { return softplus(x); }},
    named{"relu", [](auto x, auto) { return relu(x); }},
    named{"erf", [](auto x, auto) { return erf(x); }},
    named{"identity", [](auto x, auto) { return identity(x); }},
    named{"stop_gradient", [](auto x, auto) { return stop_gradient(x); }},
    named{"negative", [](auto x, auto) { return add(-x, negative(x)); }},
    named{"add", [](auto x, auto y) { return multiply(x + y, add(x, y)); }},
    named{"subtract", [](auto x, auto y) { return multiply(x - y, subtract(x, y)); }},
    named{"multiply", [](auto x, auto y) { return add(x * y, multiply(x, y)); }},
    named{"divide", [](auto x, auto y) { return add(x / y, divide(x, y)); }},
    named{"floor_divide", [](auto x, auto y) { return floor_divide(x, y); }},
    named{"remainder", [](auto x, auto y) { return add(x % y, remainder(x, y)); }},
    named{"power", [](auto x, auto y) { return power(x, y); }},
    named{"maximum", [](auto x, auto y) { return maximum(x, y); }},
    named{"minimum", [](auto x, auto y) { return minimum(x, y); }},
    named{"less", [](auto x, auto y) { return equal(x < y, less(x, y)); }},
    named{"less_equal", [](auto x, auto y) { return equal(x <= y, less_equal(x, y)); }},
    named{"greater", [](auto x, auto y) { return equal(x > y, greater(x, y)); }},
    named{"greater_equal", [](auto x, auto y) { return equal(x >= y, greater_equal(x, y)); }},
    named{"equal", [](auto x, auto y) { return equal(floor(x), floor(y)); }},
    named{"not_equal", [](auto x, auto y) { return not_equal(floor(x), floor(y)); }},
    named{"logical_and",
          [](auto x, auto y) { return equal(x > 1 && y > 1, logical_and(x > 1, y > 1)); }},
    named{"logical_or", [](auto x, auto y) { return logical_or(x > 1 || y > 1, y < x); }},
    named{"logical_not", [](auto x, auto y) { return where(!(x > y), x, logical_not(x < y)); }},
    named{"where", [](auto x, auto y) { return where(x > y, x, y); }},
    named{"cast", [](auto x, auto y) { return etch::cast<int>(4 * x) * etch::cast<int>(y); }},
};

TEST_CASE("live: every elementwise op gives the bits of the interpreter") {
    auto x = numbers<float, 1>({37}, 0.1, 3), y = numbers<float, 1>({37}, 0.5, 2.5, 2);
    std::vector<std::string_view> names;
    std::apply(
        [&](auto... op) {
            auto one = [&](auto o) {
                names.push_back(o.name);
                INFO(o.name);
                CHECK(agrees(o.formula, x, y));
            };
            (one(op), ...);
        },
        floating_ops);
    for (const auto& row : etch::op_table)
        if (row.kind == etch::op_class::elementwise && row.name != "checked_index") {
            INFO(row.name << " has no line in live/functions.hpp, or none here");
            CHECK(std::count(names.begin(), names.end(), row.name) == 1);
        }
}

// ---- the front page -----------------------------------------------------------------------------------------------
constexpr auto front = [](etch::graph& g) {
    auto N = g.dim("N");
    auto a = g.input<float>("a", {}), x = g.input<float>("x", {N}), b = g.input<float>("b", {N});
    g.output("y", tanh(a * x + b));
};

TEST_CASE("live: y = tanh(a * x + b)") {
    auto x = numbers<float, 1>({1000}), b = numbers<float, 1>({1000}, -1, 1, 3);
    vector<float> y;
    etch::function<front> f{etch::device::cpu()};

    SECTION("a is an array of rank 0, or a number of any kind") {
        etch::array<float, 0> a = 1.5f;
        y = tanh(a * x + b);
        static_assert(decltype(tanh(a * x + b))::plan().kernels() == 1);
        static_assert(decltype(tanh(a * x + b))::plan().bytes(1000) == 0);
        CHECK(same_bits(y, f(1.5f, x, b)));
        y = tanh(1.5 * x + b);
        CHECK(same_bits(y, f(1.5f, x, b)));
        y = tanh(2 * x + b);
        CHECK(same_bits(y, f(2.0f, x, b)));
        for (float c : {0.25f, 0.5f}) {
            y = tanh(c * x + b);
            CHECK(same_bits(y, f(c, x, b)));
        }
    }
    SECTION("the size may change, to nothing as well") {
        for (std::int64_t n : {1000, 3, 0, 70}) {
            auto u = numbers<float, 1>({n}), v = numbers<float, 1>({n}, 0, 1, 9);
            y = tanh(0.5f * u + v);
            CHECK(y.shape() == etch::tensor_shape{n});
            CHECK(same_bits(y, f(0.5f, u, v)));
        }
    }
    SECTION("a formula is kept and used again") {
        auto e = [&] {
            vector<float> gone{1, 2, 3};
            return tanh(2 * gone + vector<float>{1, 1, 1});
        }();
        y = e;
        CHECK(same_bits(y, f(2.0f, std::vector<float>{1, 2, 3}, std::vector<float>{1, 1, 1})));
        etch::array z = e + 1;
        static_assert(std::is_same_v<decltype(z), vector<float>>);
        CHECK(same_bits(z, etch::tensor(y + 1)));
        etch::tensor t = e;
        CHECK(same_bits(t, y));
        CHECK(same_bits(e.eval(), y));
    }
}

// ---- where results lie --------------------------------------------------------------------------------------------
TEST_CASE("live: in place, without an allocation") {
    auto x = numbers<float, 1>({500}), b = numbers<float, 1>({500}, -1, 1, 3);
    vector<float> y = x + b;
    const float* before = y.data();
    auto round = [&](float a) {
        y = tanh(a * x + b);
        y = y + x;
        y += x * b;
        y *= 0.5f;
        y = (y - x) * (b + y) / (1 + y * y);  // several handles of one array, in a nested formula
    };
    round(1);
    [[maybe_unused]] long start = allocations;
    for (int i = 0; i < 10; ++i) round(static_cast<float>(i));
    [[maybe_unused]] long end = allocations;
    CHECK(y.data() == before);
#if ETCH_TEST_COUNTS
    CHECK(start == end);
#else
    etch_test::skip("allocations cannot be counted here");
#endif
}
TEST_CASE("live: no other handle sees an assignment") {
    vector<float> x{1, 2, 3};
    SECTION("a copy") {
        auto old = x;
        x = x + 1;
        CHECK(old.to_vector() == std::vector<float>{1, 2, 3});
        CHECK(x.to_vector() == std::vector<float>{2, 3, 4});
    }
    SECTION("a tensor") {
        etch::tensor t{{4.0f, 5.0f}, {2}};
        vector<float> y = t;
        CHECK(y.data() == t.data<float>());
        y *= 2;
        CHECK(t.to_vector<float>() == std::vector<float>{4, 5});
    }
    SECTION("a captured formula") {
        auto e = 10 * x;
        x = x + 1;
        vector<float> y = e;
        CHECK(y.to_vector() == std::vector<float>{10, 20, 30});
        x = e;
        x = e + x;
        y = e;
        CHECK(y.to_vector() == std::vector<float>{10, 20, 30});
        CHECK(x.to_vector() == std::vector<float>{20, 40, 60});
    }
}
TEST_CASE("live: the array on both sides where the loop may not write over it") {
    int number = 0;
    auto check = [&](auto formula, const matrix<double>& from) {
        INFO("formula " << number++);
        matrix<double> x = from.clone();
        x = formula(x);
        CHECK(same_bits(x, interpreted(formula, from)));
        x = formula(x);  // this time over what a result lay in
        CHECK(same_bits(x, interpreted(formula, matrix<double>(interpreted(formula, from)))));
    };
    auto x = numbers<double, 2>({17, 17});
    check([](auto m) { return m - transpose(m); }, x);
    check([](auto m) { return flip(m, etch::along<0>) + m; }, x);
    check([](auto m) { return matmul(m, m); }, x);
    check([](auto m) { return m + matmul(m, m); }, x);
    check([](auto m) { return m / max(m); }, x);
    check([](auto m) { return m - sum(m, etch::along<0>); }, x);
    check([](auto m) { return softmax(m); }, x);
    check([](auto m) { return softmax(m, etch::along<0>); }, x);
    check([](auto m) { return m - mean(m, etch::along<1>, etch::keepdims); }, x);
    check([](auto m) { return (m - max(m)) * matmul(m, m) + m; }, x);
    check([](auto m) { return +m; }, x);
    check([](auto m) { return transpose(m); }, x);
}
TEST_CASE("live: a mistake while running leaves the left side alone") {
    auto x = numbers<float, 2>({5, 3}), y = numbers<float, 2>({4, 3}, 0, 1, 4);
    auto before = y.to_vector();
    CHECK(sentence_of([&] {
              y = take(x, vector<int>{0, 1, 2, 5});
          }).find("index 5 is outside") != std::string::npos);
    CHECK(y.to_vector() == before);
    y = take(x, vector<int>{0, -1, 2, 4});
    CHECK(y.data()[3] == x.data()[12]);
}

// ---- shapes and dtypes ------------------------------------------------------------------------------------------
TEST_CASE("live: broadcasting by rank") {
    auto m = numbers<float, 2>({4, 6});
    auto row = numbers<float, 1>({6}, -1, 1, 5), column = numbers<float, 1>({4}, -1, 1, 6);
    CHECK(agrees([](auto x, auto r) { return exp(x - r) * r; }, m, row));
    CHECK(agrees([](auto r, auto x) { return maximum(r, x); }, row, m));
    CHECK(agrees([](auto x, auto c) { return x * expand_dims(c, etch::along<1>); }, m, column));
    CHECK(agrees([](auto x) { return x - mean(x, etch::along<1>, etch::keepdims); }, m));
    CHECK(agrees([](auto r, auto c) { return r + expand_dims(c, etch::along<-1>); }, row, column));
    matrix<float> y = m + row;
    y += row;
    CHECK(same_bits(y, etch::tensor(m + row + row)));
}
TEST_CASE("live: extents that do not fit are named with the op") {
    auto m = numbers<float, 2>({4, 6}), n = numbers<float, 2>({4, 5}),
         one = numbers<float, 2>({4, 1});
    auto v = numbers<float, 1>({6}), w = numbers<float, 1>({5});
    matrix<float> y;
    vector<float> z;
    CHECK(sentence_of([&] { y = m + n; }) == "add: {4, 6} and {4, 5} do not broadcast: 6 is not 5");
    CHECK(sentence_of([&] { y = tanh(m * v) - exp(n); }) ==
          "subtract: {4, 6} and {4, 5} do not broadcast: 6 is not 5");
    CHECK(sentence_of([&] { z = 2 * v + 3 * w; }) ==
          "add: {6} and {5} do not broadcast: 6 is not 5");
    CHECK(sentence_of([&] { y = where(m > 0, m, w); }) ==
          "where: {4, 6} and {5} do not broadcast: 6 is not 5");
    CHECK(sentence_of([&] { z = matmul(m, w); }) ==
          "matmul: {4, 6} and {5} do not join: 6 is not 5");
    CHECK(sentence_of([&] { y = matmul(m, n); }) ==
          "matmul: {4, 6} and {4, 5} do not join: 6 is not 4");
    CHECK(sentence_of([&] { y = matmul(transpose(m), n) + n; }) ==
          "add: {6, 5} and {4, 5} do not broadcast: 6 is not 4");
    CHECK(sentence_of([&] {
              z = cross_entropy(m, vector<int>{1, 2});
          }) == "cross_entropy: {4, 6} and {2} do not fit: 4 is not 2");
    CHECK(sentence_of([&] { y = m * one; }) ==
          "multiply: {4, 6} and {4, 1} do not broadcast: 6 is not 1; an array's extent of 1 is not "
          "repeated: leave the axis out, or make it by expand_dims(x, etch::along<...>)");
    CHECK(y.size() == 0);
    y = m + m;
    CHECK(same_bits(y, etch::tensor(2 * m)));
}
TEST_CASE("live: numbers take the dtype of what is beside them") {
    vector<int> i{1, 2, 3};
    vector<double> d{1, 2, 3};
    vector<bool> b{true, false, true};
    auto element = [](const etch::tensor& t) { return t.element(); };
    CHECK(element(i * 2) == etch::dtype::int32);
    CHECK(element(i * 0.5) == etch::dtype::float32);
    CHECK(element(d * 2) == etch::dtype::float64);
    CHECK(element(d * 0.1f) == etch::dtype::float64);
    CHECK(element(b + 1) == etch::dtype::int32);
    CHECK(element(i / i) == etch::dtype::float32);
    CHECK(element(i * d) == etch::dtype::float64);
    CHECK(element(where(b, 1, 2)) == etch::dtype::int32);
    CHECK(element(where(b, 0.5, 2)) == etch::dtype::float32);
    CHECK(element(equal(b, true)) == etch::dtype::boolean);
    CHECK(element(etch::cast<std::int64_t>(i) * 3) == etch::dtype::int64);
    vector<double> y = d * 0.1;
    CHECK(y.data()[2] == 3 * 0.1);
    CHECK(sentence_of([&] { i = i + 3000000000LL; }) ==
          "assign: the number 3000000000 is outside of int32");
    i += 1;
    CHECK(i.to_vector() == std::vector<int>{2, 3, 4});
    CHECK(sentence_of([&] { i = i + 18446744073709551615ULL; }) ==
          "assign: a number is larger than int64 holds");
}
TEST_CASE("live: reductions, products, formulas") {
    auto m = numbers<float, 2>({5, 7}), n = numbers<float, 2>({7, 4}, -1, 1, 2);
    auto t = numbers<double, 3>({3, 4, 5});
    CHECK(agrees([](auto x) { return sum(x); }, m));
    CHECK(agrees([](auto x) { return sum(x, etch::along<0, -1>); }, t));
    CHECK(agrees([](auto x) { return prod(x, etch::along<1>); }, t));
    CHECK(agrees([](auto x) { return x / max(x, etch::along<0>, etch::keepdims); }, t));
    CHECK(agrees([](auto x) { return min(x, etch::along<2>) + mean(x, etch::along<-1>); }, t));
    CHECK(agrees([](auto x) { return argmax(x) + argmin(x, etch::along<1>); },
                 numbers<float, 2>({6, 6})));
    CHECK(agrees([](auto x) { return variance(x, etch::along<1>); }, t));
    CHECK(agrees([](auto x, auto y) { return softmax(matmul(x, y)); }, m, n));
    CHECK(agrees([](auto x) { return log_softmax(x, etch::along<0>); }, m));
    CHECK(agrees([](auto x) { return logsumexp(x); }, m));
    CHECK(agrees([](auto x, auto y) { return dot(transpose(y), transpose(x)); }, m, n));
    CHECK(agrees([](auto x) { return matrix_transpose(gelu(x)) * silu(matrix_transpose(x)); }, t));
    CHECK(agrees([](auto x) { return gelu_tanh(clip(x, -1, 0.5)); }, m));
    CHECK(agrees([](auto x, auto y) { return mean_squared_error(x, y); }, m, m));
    CHECK(agrees([](auto x, auto y) { return binary_cross_entropy(x, y); }, m, m));
    CHECK(
        agrees([](auto x) { return flip(transpose(x, etch::along<2, 0, 1>), etch::along<1>); }, t));
    CHECK(agrees(
        [](auto x) { return squeeze(sum(x, etch::along<1>, etch::keepdims), etch::along<1>); }, t));
    CHECK(
        agrees([](auto x, auto l) { return cross_entropy(x, l); }, m, vector<int>{0, 6, 3, 2, 1}));
    CHECK(
        agrees([](auto x, auto i) { return take(x, i, etch::along<1>); }, m, vector<int>{0, 6, 3}));
    float total = sum(m);
    CHECK(total == etch::tensor(sum(m)).item<float>());
    etch::array<float, 0> scale = 1 / max(abs(m));
    matrix<float> y = m * scale;
    CHECK(double(max(abs(y))) == 1.0);
}

// ---- any formula ------------------------------------------------------------------------------------------------
constexpr auto attention = [](auto q, auto k, auto v, auto scale) {
    return matmul(softmax(scale * matmul(q, matrix_transpose(k))), v);
};
TEST_CASE("live: etch::map") {
    auto q = numbers<float, 2>({4, 8}), k = numbers<float, 2>({6, 8}, -1, 1, 2),
         v = numbers<float, 2>({6, 5}, -1, 1, 3);
    matrix<float> y = etch::map<attention>(q, k, v, 0.25);
    etch::array<float, 0> quarter = 0.25f;
    CHECK(same_bits(y, interpreted(attention, q, k, v, quarter)));
    CHECK(
        same_bits(tanh(etch::map<attention>(2 * q, k, v, 0.25) + 1),
                  etch::tensor(tanh(matrix<float>(etch::map<attention>(2 * q, k, v, 0.25)) + 1))));

    vector<double> x{1, 2, 3};
    vector<double> d = etch::map<[](auto u) { return grad(sum(power(u, 3)), u); }>(x);
    CHECK(d.to_vector() == std::vector<double>{3, 12, 27});
    vector<double> joined = etch::map<[](auto u, auto w) {
        return etch::concatenate({u, w}, 0);
    }>(x, d);
    CHECK(joined.size() == 6);
    CHECK(sentence_of([&] { x = etch::map<[](auto u, auto w) { return u * w; }>(x, joined); }) ==
          "multiply: {3} and {6} do not broadcast: 3 is not 6");
    // An extent that the formula has as a number becomes the array's.
    constexpr auto three = [](auto u) { return u + etch::constant<double>(*u.g, {3}, {1, 2, 3}); };
    x = etch::map<three>(x);
    CHECK(x.to_vector() == std::vector<double>{2, 4, 6});
    CHECK(sentence_of([&] { joined = etch::map<three>(joined); }) ==
          "add: {6} and {3} do not broadcast: 6 is not 3");
}
TEST_CASE("live: more axes than a model has dims") {
    auto m = numbers<double, 2>({3, 4});
    CHECK(agrees([](auto x) { return x + x + x + x + x + x + x + x + x + x + x + x; }, m));
    CHECK(agrees(
        [](auto x) {
            return 1 +
                   x * (2 +
                        x * (3 +
                             x * (4 + x * (5 + x * (6 + x * (7 + x * (8 + x * (9 + x * x))))))));
        },
        m));
}

// ---- random formulas ----------------------------------------------------------------------------------------------
constexpr unsigned scramble(unsigned x) {
    x = (x ^ (x >> 15)) * 0x2c1b3c6du;
    x = (x ^ (x >> 12)) * 0x297a2d39u;
    return x ^ (x >> 15);
}
template <unsigned seed, int depth>
constexpr auto grown(const auto& m, const auto& v, const auto& s) {
    constexpr unsigned pick = scramble(seed * 31 + depth);
    if constexpr (depth == 0) {
        if constexpr (pick % 3 == 0)
            return m * 1;
        else if constexpr (pick % 3 == 1)
            return v + s;
        else
            return s - v;
    } else {
        auto a = grown<scramble(seed + 1), depth - 1>(m, v, s);
        constexpr unsigned op = (pick >> 8) % 12;
        if constexpr (op < 5) {
            if constexpr (op == 0) return tanh(a);
            if constexpr (op == 1) return sigmoid(a) - 0.25;
            if constexpr (op == 2) return softmax(a);
            if constexpr (op == 3) return a - mean(a, etch::along<-1>, etch::keepdims);
            if constexpr (op == 4) return abs(a) / (1 + max(abs(a)));
        } else {
            auto b = grown<scramble(seed + 77), depth - 1>(m, v, s);
            if constexpr (op == 5 || op == 6) return a + b;
            if constexpr (op == 7) return a - 2 * b;
            if constexpr (op == 8 || op == 9) return tanh(a) * b;
            if constexpr (op == 10) return where(a < b, a, b * s);
            if constexpr (op == 11) return maximum(a, b);
        }
    }
}
template <unsigned... seed> void check_random(std::integer_sequence<unsigned, seed...>) {
    auto m = numbers<float, 2>({9, 33});
    auto v = numbers<float, 1>({33}, -1, 1, 2);
    etch::array<float, 0> s = 0.75f;
    auto one = [&]<unsigned n>(std::integral_constant<unsigned, n>) {
        INFO("formula " << n);
        CHECK(agrees([](auto x, auto y, auto z) { return grown<n, 3>(x, y, z); }, m, v, s));
    };
    (one(std::integral_constant<unsigned, seed>{}), ...);
}
TEST_CASE("live: random formulas give the bits of the interpreter") {
    check_random(std::make_integer_sequence<unsigned, 12>{});
}

// ---- beside the rest ----------------------------------------------------------------------------------------------
TEST_CASE("live: arrays, tensors and functions") {
    vector<float> x{1, 2, 3};
    etch::tensor t = x;
    CHECK(t.data<float>() == x.data());
    CHECK(sentence_of([&] { matrix<float> m = t; }) ==
          "array: a tensor of float32 {3} is no array of float32 with 2 axes");
    CHECK(sentence_of([&] { vector<double> m = t; }) ==
          "array: a tensor of float32 {3} is no array of float64 with 1 axis");
    matrix<float> m{{1, 2, 3}, {4, 5, 6}};
    CHECK(m.shape() == etch::tensor_shape{2, 3});
    CHECK(sentence_of([] {
              matrix<float> bad{{1, 2}, {3}};
          }) == "array: rows of different lengths");
    etch::function<front> f{etch::device::cpu()};
    vector<float> y = f(2.0f, x, x);
    CHECK(same_bits(y, etch::tensor(tanh(2 * x + x))));
    CHECK(sentence_of([&] { f(2.0f, x, m); }).find("has the shape {2, 3}") != std::string::npos);
    auto moved = std::move(m);
    CHECK(sentence_of([&] { y = sum(m, etch::along<0>); }) ==  // NOLINT
          "assign: the array was moved from");
    m = moved + 1;
    CHECK(m.data()[5] == 7);
    x += 1;
    CHECK(x.to_vector() == std::vector<float>{2, 3, 4});
    std::ostringstream out;
    out << x << ' ' << x - 2;
    CHECK(out.str() == "float32 {3} [2, 3, 4] float32 {3} [0, 1, 2]");
    CHECK(matrix<float>().shape() == etch::tensor_shape{0, 0});
    CHECK(etch::array<int, 0>() == 0);
}
TEST_CASE("live: threads") {
    std::vector<vector<float>> made(4);
    std::vector<std::thread> threads;
    for (int k = 0; k < 4; ++k)
        threads.emplace_back([&made, k] {
            auto x = numbers<float, 1>({100 + k});
            for (int i = 0; i < 50; ++i) made[static_cast<std::size_t>(k)] = exp(x * k) + i;
        });
    for (auto& t : threads) t.join();
    for (int k = 0; k < 4; ++k)
        CHECK(same_bits(made[static_cast<std::size_t>(k)],
                        etch::tensor(exp(numbers<float, 1>({100 + k}) * k) + 49)));
}

}  // namespace
