// SPDX-License-Identifier: MIT
// Kernels that read or write with gaps visit some rows together: every element is visited once, whatever the extents and
// however the work is cut; and what is summed over an axis with gaps is summed by columns.
// also: sanitize
#include "catch.hpp"

#include <etch/language.hpp>
#include <etch/run/function.hpp>

namespace {

constexpr auto turned = [](etch::graph& g) {
    auto A = g.dim("A"), B = g.dim("B");
    auto x = g.input<float>("x", {A, B});
    auto c = g.input<float>("c", {A});
    g.output("y", transpose(x) * 2 + c);
};
constexpr auto column_sums = [](etch::graph& g) {
    auto x = g.input<float>("x", {g.dim("A"), g.dim("B")});
    auto w = g.input<float>("w", {g.dim("A"), 1});
    g.output("y", sum(x * w, 0));
};

}  // namespace

TEST_CASE("transposed elements of every size") {
    for (int threads : {1, 2}) {
        etch::threads(threads);
        etch::function<turned> f;
        for (int a : {1, 7, 15, 16, 17, 31, 32, 50, 300})
            for (int b : {1, 2, 15, 16, 17, 33, 400}) {
                auto n = static_cast<std::size_t>(a * b);
                std::vector<float> x(n), c(static_cast<std::size_t>(a));
                for (std::size_t i = 0; i < n; ++i) x[i] = static_cast<float>(i);
                for (std::size_t i = 0; i < c.size(); ++i) c[i] = 0.5f * static_cast<float>(i);
                etch::tensor y = f(etch::view(x, {a, b}), c);
                REQUIRE(y.shape() == etch::tensor_shape{b, a});
                std::size_t wrong = 0, at = 0;
                auto got = y.as<float>();
                for (int j = 0; j < b; ++j)
                    for (int i = 0; i < a; ++i)
                        wrong += got[at++] !=
                                 static_cast<float>(i * b + j) * 2 + 0.5f * static_cast<float>(i);
                INFO(a << ' ' << b);
                CHECK(wrong == 0);
            }
    }
}

TEST_CASE("an axis with gaps is summed by columns") {
    constexpr auto p = etch::plan<column_sums>.view();
    REQUIRE(p.bodies.size() == 1);
    CHECK(p.bodies[0].kind == etch::body_kind::columns);
}
