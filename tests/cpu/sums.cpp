// SPDX-License-Identifier: MIT
// Sums of many numbers: the error stays that of blocks joined pairwise, whichever way the sum lies in memory; compiled and
// interpreted kernels give the same bits, with any number of threads.
// also: sanitize clang
#include "catch.hpp"

#include <cmath>
#include <cstring>

#include <etch/language.hpp>
#include <etch/run/compile.hpp>
#include <etch/run/function.hpp>

namespace {

using floats = std::vector<float>;

constexpr auto whole = [](etch::graph& g) {
    auto x = g.input<float>("x", {g.dim("A"), g.dim("B"), g.dim("C")});
    g.output("sum", sum(x));
    g.output("squares", sum(x * x));
};
constexpr auto rows = [](etch::graph& g) {
    auto x = g.input<float>("x", {g.dim("A"), g.dim("B"), g.dim("C")});
    g.output("sum", sum(x, 2));
    g.output("all", sum(sum(x, 2)));
};
constexpr auto columns = [](etch::graph& g) {
    auto x = g.input<float>("x", {g.dim("A"), g.dim("B"), g.dim("C")});
    g.output("sum", sum(x, 0));
    g.output("exps", sum(exp(x), 0));
};
constexpr auto runs = [](etch::graph& g) {  // rows of many runs
    auto x = g.input<float>("x", {g.dim("A"), g.dim("B"), g.dim("C")});
    g.output("sum", sum(x, {0, 2}));
};
constexpr auto short_sums = [](etch::graph& g) {  // written out, and read with gaps
    auto x = g.input<float>("x", {g.dim("A"), g.dim("B"), 3});
    auto p = slice(x, {etch::all, 0}), q = slice(x, {0});
    auto d = sum(square(expand_dims(p, 1)) + square(expand_dims(q, 0)), -1);
    g.output("sum", sum(d, 1));
    g.output("d", d);
};

struct shape {
    std::int64_t a, b, c;
};
/// 0.1 everywhere, the worst for sums that go on in one order, or numbers in [0, 1).
floats numbers(shape s, bool random) {
    floats x(static_cast<std::size_t>(s.a * s.b * s.c), 0.1f);
    std::uint32_t seed = 1;
    for (float& v : x)
        if (random) v = static_cast<float>((seed = seed * 1664525u + 1013904223u) >> 8) * 0x1p-24f;
    return x;
}
/// Each sum in double, over the axes whose bits `over` has: 4 is A, 2 is B, 1 is C.
std::vector<double> exact(const floats& x, shape s, int over) {
    std::vector<double> sums(static_cast<std::size_t>((over & 4 ? 1 : s.a) * (over & 2 ? 1 : s.b) *
                                                      (over & 1 ? 1 : s.c)));
    std::size_t i = 0;
    for (std::int64_t a = 0; a < s.a; ++a)
        for (std::int64_t b = 0; b < s.b; ++b)
            for (std::int64_t c = 0; c < s.c; ++c) {
                std::int64_t at = over & 4 ? 0 : a;
                if (!(over & 2)) at = at * s.b + b;
                if (!(over & 1)) at = at * s.c + c;
                sums[static_cast<std::size_t>(at)] += static_cast<double>(x[i++]);
            }
    return sums;
}
/// What short_sums adds up, in double.
std::vector<double> exact_pairs(const floats& x, shape s) {
    std::vector<double> sums(static_cast<std::size_t>(s.a), 0.0);
    auto at = [&](std::int64_t a, std::int64_t b, std::int64_t c) {
        return static_cast<double>(x[static_cast<std::size_t>((a * s.b + b) * 3 + c)]);
    };
    for (std::int64_t a = 0; a < s.a; ++a)
        for (std::int64_t b = 0; b < s.b; ++b)
            for (std::int64_t c = 0; c < 3; ++c)
                sums[static_cast<std::size_t>(a)] +=
                    at(a, 0, c) * at(a, 0, c) + at(0, b, c) * at(0, b, c);
    return sums;
}
/// Blocks of 128 additions, their sums pairwise: (128 + log2 n) 2^-24 of the sum of magnitudes.
double bound(std::int64_t n) { return (128 + std::log2(static_cast<double>(n))) * 0x1p-24; }

template <auto model> std::vector<floats> compiled(const floats& x, shape s) {
    etch::function<model> f;
    auto results = f(etch::view(x, {s.a, s.b, s.c}));
    return std::apply(
        [](const auto&... r) {
            auto elements = [](const auto& y) {
                if constexpr (std::is_same_v<std::remove_cvref_t<decltype(y)>, float>)
                    return floats{y};
                else
                    return y.template to_vector<float>();
            };
            return std::vector<floats>{elements(r)...};
        },
        results);
}
template <auto model> std::vector<floats> interpreted(const floats& x, shape s) {
    etch::graph g;
    model(g);
    auto f = etch::compile(g);
    std::vector<floats> all;
    for (const etch::tensor& y : f(etch::view(x, {s.a, s.b, s.c})))
        all.push_back(y.to_vector<float>());
    return all;
}
bool same(const std::vector<floats>& a, const std::vector<floats>& b) {
    bool equal = a.size() == b.size();
    for (std::size_t i = 0; equal && i < a.size(); ++i)
        equal = a[i].size() == b[i].size() &&
                std::memcmp(a[i].data(), b[i].data(), a[i].size() * sizeof(float)) == 0;
    return equal;
}

template <auto model> void check(shape s, int over, std::int64_t summed) {
    for (bool random : {false, true}) {
        INFO(s.a << ' ' << s.b << ' ' << s.c << (random ? " random" : " constant"));
        floats x = numbers(s, random);
        etch::threads(1);
        auto once = compiled<model>(x, s);
        auto wanted = over < 0 ? exact_pairs(x, s) : exact(x, s, over);
        REQUIRE(once[0].size() == wanted.size());
        double worst = 0;
        for (std::size_t i = 0; i < wanted.size(); ++i)
            worst = std::max(worst, std::abs(static_cast<double>(once[0][i]) / wanted[i] - 1));
        CHECK(worst <= bound(summed));
        CHECK(same(once, interpreted<model>(x, s)));
        etch::threads(3);
        CHECK(same(once, compiled<model>(x, s)));
        CHECK(same(once, interpreted<model>(x, s)));
    }
}

}  // namespace

TEST_CASE("the sum of all numbers") {
    for (shape s : {shape{1, 1, 1 << 24}, {1, 1, 100003}, {3, 7, 12345}})
        check<whole>(s, 7, s.a * s.b * s.c);
}
TEST_CASE("sums of rows") {
    for (shape s : {shape{1, 2, 1 << 22}, {1, 3, 2048 * 5}, {1, 3, 2048 * 5 + 1}, {50, 7, 2047}})
        check<rows>(s, 1, s.c);
}
TEST_CASE("sums of columns") {
    for (shape s : {shape{1 << 20, 1, 3}, {128 * 9 + 1, 1, 70}, {127, 2, 33}})
        check<columns>(s, 4, s.a);
}
TEST_CASE("sums of rows that lie in pieces") {
    for (shape s : {shape{2000, 3, 1000}, {500, 2, 2100}, {5000, 2, 40}})
        check<runs>(s, 5, s.a * s.c);
}
TEST_CASE("sums over a short axis, and of these along rows") {
    for (shape s : {shape{1, 1, 3}, {5, 7, 3}, {40, 33, 3}, {3, 5000, 3}, {300, 64, 3}})
        check<short_sums>(s, -1, 6 * s.b);
}
