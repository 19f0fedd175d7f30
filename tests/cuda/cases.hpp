// SPDX-License-Identifier: MIT
// Models with data for tests of the CUDA back end: between them they have every kind of kernel body in every form that
// extents can ask for.
#pragma once
#include <functional>
#include <memory>

#include <etch/language.hpp>
#include <etch/passes/plan.hpp>

#include "reference/execute.hpp"
#include "reference/random_program.hpp"

namespace etch_test {

/// A model with its data. Not moved once it is made: the view looks into it.
struct device_case {
    std::string name;
    std::unique_ptr<etch::program> arrays;
    etch::program_view view;
    reference::program data;
};

/// Numbers of dtype d that depend on the seed alone; small, so that float32 does not lose much.
inline reference::tensor numbers_of(etch::dtype d, reference::numbers shape, std::uint64_t seed,
                                    int below = 0) {
    reference::dice dice(seed);
    reference::tensor t(d, std::move(shape));
    for (std::size_t k = 0; k < t.count(); ++k)
        t.set(k, t.floating() ? dice.between(-256, 256) / 128.0
                              : dice.below(etch::is_boolean(d) ? 2
                                           : below > 0         ? below
                                                               : 9));
    return t;
}

using model_function = std::function<void(etch::graph&)>;

/// Integer inputs hold numbers below `below`.
inline device_case make_case(std::string name, reference::numbers dims, const model_function& model,
                             int below = 0) {
    etch::graph g;
    model(g);
    device_case c{
        std::move(name), std::make_unique<etch::program>(reference::program_of(g)), {}, {}};
    c.view = etch::view_of(*c.arrays);
    c.data.dims = std::move(dims);
    auto fill = [&](const etch::type& t, std::uint64_t seed) {
        reference::numbers shape;
        for (int i = 0; i < t.rank; ++i) shape.push_back(c.view.value_of(t[i], c.data.dims));
        return numbers_of(t.element, shape, seed, below);
    };
    for (std::size_t i = 0; i < c.view.inputs.size(); ++i)
        c.data.inputs.push_back(fill(c.view.inputs[i].of, 100 + i));
    for (std::size_t i = 0; i < c.view.states.size(); ++i) {
        c.data.parameters.push_back(fill(c.view.states[i].of, 200 + i));
        if (c.view.text_of(c.view.states[i].name) == "random")
            c.data.parameters.back().integral = {12345678901234567, 41};
    }
    return c;
}

inline std::vector<device_case> row_cases() {
    using namespace etch;
    std::vector<device_case> cases;
    auto softmax_of = [](graph& g) {
        auto x = g.input<float>("x", {g.dim("N"), g.dim("M")});
        g.output("y", softmax(x));
    };
    for (std::int64_t m : {1,   2,   3,   5,   10,   16,   31,   32,   33,   64,   100,
                           127, 128, 132, 500, 1024, 1028, 1030, 4096, 5000, 20000})
        for (std::int64_t n : {1, 37}) {
            if (n > 1 && m > 1100) continue;
            cases.push_back(make_case("softmax " + std::to_string(n) + " " + std::to_string(m),
                                      {n, m}, softmax_of));
        }
    for (std::int64_t m : {3, 40, 256, 3000})
        cases.push_back(
            make_case("layer norm, loss and gradient " + std::to_string(m), {19, m}, [](graph& g) {
                auto x = g.input<double>("x", {g.dim("N"), g.dim("M")});
                auto y = normalize(x, -1);
                g.output("y", y);
                g.output("dx", grad(sum(square(y) * 0.5 + y), x));
            }));
    for (int m : {10, 33, 1000})
        cases.push_back(make_case(
            "cross entropy, accuracy and gradient " + std::to_string(m), {45},
            [m](graph& g) {
                auto x = g.input<float>("x", {g.dim("N"), m});
                auto t = g.input<int>("t", {g.dim("N")});
                auto loss = mean(cross_entropy(x, t));
                g.output("loss", loss);
                g.output("accuracy", mean(equal(argmax(x), t)));
                g.output("dx", grad(loss, x));
            },
            m));
    for (std::int64_t m : {1, 7, 65, 2000})
        cases.push_back(make_case("extrema of rows " + std::to_string(m), {23, m}, [](graph& g) {
            auto x = g.input<float>("x", {g.dim("N"), g.dim("M")});
            auto k = g.input<int>("k", {g.dim("N"), g.dim("M")});
            g.output("argmax", argmax(x));
            g.output("max", max(x, -1));
            g.output("min", min(k, -1));
            g.output("prod", prod(0.01 * x + 1, -1));
            g.output("normal", x / sqrt(sum(square(x), -1, keepdims)));
        }));
    cases.push_back(make_case("rows of two axes", {6, 9}, [](graph& g) {
        auto x = g.input<float>("x", {g.dim("N"), 5, g.dim("M"), 4});
        g.output("y", x - mean(x, {2, 3}, keepdims));
        g.output("z", sum(exp(x), {1, 3}));
    }));
    return cases;
}

inline std::vector<device_case> kind_cases() {
    using namespace etch;
    std::vector<device_case> cases;
    for (std::int64_t n : {0, 1, 3, 4, 5, 255, 1023, 1024, 4097})
        cases.push_back(make_case("points of one axis " + std::to_string(n), {n}, [](graph& g) {
            auto N = g.dim("N");
            auto a = g.input<float>("a", {N}), b = g.input<float>("b", {N});
            auto c = g.input<bool>("c", {N});
            g.output("y", where(c, tanh(a) * b, a));
            g.output("less", a < b);
            g.output("wide", cast(a, dtype::float64) * 3);
            g.output("s", sum(a * b));
        }));
    for (std::int64_t m : {1, 3, 4, 32, 513})
        cases.push_back(
            make_case("points of three axes " + std::to_string(m), {3, m}, [](graph& g) {
                auto N = g.dim("N"), M = g.dim("M");
                auto x = g.input<float>("x", {N, 7, M}), row = g.input<float>("row", {M}),
                     column = g.input<float>("column", {7, 1});
                g.output("y", relu(x + row) * column);
                g.output("flipped", flip(x, {2}) - x);
                g.output("cut", slice(x, {etch::all, range(none, none, 2), etch::all}) * 2);
                g.output("rows", concatenate({x, x * 2}, 1));
                g.output("padded", pad(x, {{0, 0}, {1, 2}, {0, 1}}, 7));
            }));
    for (std::int64_t n : {1, 5, 300})
        for (std::int64_t m : {1, 7, 8, 31, 33, 100})
            cases.push_back(make_case("columns " + std::to_string(n) + " " + std::to_string(m),
                                      {n, m}, [](graph& g) {
                                          auto x = g.input<float>("x", {g.dim("N"), g.dim("M")});
                                          g.output("sum", sum(x, 0));
                                          g.output("argmax", argmax(x, 0));
                                          g.output("softmax", softmax(x, 0));
                                          g.output("all", sum(square(sum(x, 0))));
                                      }));
    for (std::int64_t n : {1, 1000, 70000})
        cases.push_back(make_case("scalars " + std::to_string(n), {n}, [](graph& g) {
            auto x = g.input<double>("x", {g.dim("N")});
            auto k = g.input<std::int64_t>("k", {g.dim("N")});
            g.output("mean", mean(x));
            g.output("variance", variance(x));
            g.output("max", max(x));
            g.output("argmax", argmax(x));
            g.output("sum", sum(k));
            g.output("min", min(k + 5) * 2);
        }));
    cases.push_back(make_case("turned", {70, 45}, [](graph& g) {
        auto N = g.dim("N"), M = g.dim("M");
        auto x = g.input<float>("x", {N, M}), y = g.input<float>("y", {M, N});
        auto z = g.input<double>("z", {20, M, N});
        g.output("t", transpose(x) + 1);
        g.output("s", transpose(x) * y + transpose(x));
        g.output("z", transpose(z, {0, 2, 1}) - 1);
        g.output("far", exp(transpose(z, {2, 1, 0})));
    }));
    cases.push_back(make_case(
        "gathered", {50},
        [](graph& g) {
            auto N = g.dim("N");
            auto table = g.param<float>("table", {30, 6}, nn::zeros{});
            auto k = g.input<int>("k", {N});
            auto x = g.input<float>("x", {N, 30});
            auto rows = take(table, k, 0);
            auto picked = take_along_axis(x, expand_dims(k, 1), 1);
            auto loss = sum(square(rows)) + sum(exp(picked));
            g.output("rows", rows);
            g.output("picked", picked);
            g.output("dx", grad(loss, x));
            g.output("one hot", one_hot(k, 30));
            g.update(table, table - 0.1 * grad(loss, table));
        },
        30));
    // Many elements for few places, and more of them than a block has threads; few for many; a place for each thread.
    for (std::int64_t n : {40, 256, 1000})
        for (int places : {1, 3, 300})
            cases.push_back(make_case(
                "counted " + std::to_string(n) + " " + std::to_string(places), {n},
                [places](graph& g) {
                    auto N = g.dim("N");
                    auto k = g.input<int>("k", {N}), pair = g.input<int>("pair", {N, 3});
                    auto x = g.input<float>("x", {N}), rows = g.input<double>("rows", {N, 3, 5});
                    auto table = g.param<float>("table", {places}, nn::zeros{});
                    auto wide = g.param<double>("wide", {places, 5}, nn::zeros{});
                    auto across = g.param<double>("across", {2, places, 4}, nn::zeros{});
                    g.output("histogram", grad(sum(take(table, k, 0) * x), table));
                    g.output("rows", grad(sum(take(wide, pair, 0) * rows), wide));
                    g.output("across", grad(sum(exp(take(across, k, 1))), across));
                },
                places));
    cases.push_back(make_case("drawn", {41}, [](graph& g) {
        auto N = g.dim("N");
        auto u = uniform(g, {N, 7});
        g.output("u", u);
        g.output("turned", transpose(u) * 2);
        g.output("wide", uniform(g, {N, 3}, -1, 1, dtype::float64));
        g.output("mask", bernoulli(g, {N}, 0.3));
        g.output("counted", iota(g, {N, 4}, 1) + iota(g, {N, 4}, 0));
    }));
    cases.push_back(make_case("updated", {8}, [](graph& g) {
        auto x = g.input<double>("x", {g.dim("N"), 12});
        auto h = relu(nn::dense(x, 20, "first"));
        auto y = nn::dense(nn::dense(h, 700, "second"), 3, "third");
        auto loss = mean(square(y));
        g.output("loss", loss);
        g.minimize(loss, nn::adam{.rate = 1e-2});
    }));
    cases.push_back(make_case("many updates", {1}, [](graph& g) {
        auto x = g.input<float>("x", {});
        for (int i = 0; i < 60; ++i) {
            auto w = g.param<float>(name("w", i), {i % 7 + 1, 1 + 13 * (i % 5)}, nn::zeros{});
            g.update(w, w * 0.9 + x);
        }
    }));
    cases.push_back(make_case("looped", {6}, [](graph& g) {
        auto T = g.dim("T");
        auto x = g.input<double>("x", {T, 3, 4});
        auto w = g.param<double>("w", {4, 4}, nn::zeros{});
        auto first = g.input<double>("first", {3, 4});
        auto step = [&](expr x_now, expr h) { return tanh(matmul(h, w) + x_now); };
        auto r = scan(step, x, first);
        g.output("last", r.last);
        g.output("all", r.all);
        g.output("dw", grad(sum(r.last) + sum(square(r.all)), w));
    }));
    return cases;
}

/// All elementwise rows of the op table, each on what it takes.
inline std::vector<device_case> op_cases() {
    using namespace etch;
    std::vector<device_case> cases;
    for (dtype d : {dtype::float32, dtype::float64, dtype::int32, dtype::int64, dtype::boolean})
        for (op_id op = 0; op < op_count; ++op) {
            const op_row& row = row_of(op);
            bool takes = row.takes == accepts::any ||
                         (row.takes == accepts::number && !is_boolean(d)) ||
                         (row.takes == accepts::floating && is_floating(d)) ||
                         (row.takes == accepts::boolean && is_boolean(d)) ||
                         (row.takes == accepts::integer && is_integer(d));
            if (row.kind != op_class::elementwise || row.arity > 2 || !takes ||
                op == op_of<cast_row>() || op == op_of<checked_index_row>())
                continue;
            auto input_of = [&](graph& g, std::string_view name) -> expr {
                dim n = g.dim("N");
                switch (d) {
                case dtype::float64: return g.input<double>(name, {n});
                case dtype::float32: return g.input<float>(name, {n});
                case dtype::boolean: return g.input<bool>(name, {n});
                case dtype::int32: return g.input<std::int32_t>(name, {n});
                case dtype::int64: break;
                }
                return g.input<std::int64_t>(name, {n});
            };
            device_case c = make_case(
                std::string(row.name) + " of " + std::string(name_of(d)), {300}, [&](graph& g) {
                    expr a = input_of(g, "a"), b = input_of(g, "b");
                    int ids[] = {a.id, b.id};
                    g.output("y",
                             detail::append(g, op, {ids, static_cast<std::size_t>(row.arity)}, {}));
                    for (dtype to : {dtype::float32, dtype::float64, dtype::int32, dtype::int64,
                                     dtype::boolean})
                        if (row.name == "identity" && to != d)
                            g.output(name("to", static_cast<int>(to)), cast(a, to));
                });
            for (std::size_t k = 0; k < 2; ++k)
                for (std::size_t i = 0; i < 300; ++i) {
                    const domain in = row.sample[k];
                    reference::dice dice(7 * i + k);
                    double x = in.low + (in.high - in.low) * dice.between(0, 64) / 64;
                    c.data.inputs[k].set(i, is_boolean(d)    ? dice.below(2)
                                            : is_floating(d) ? x
                                                             : std::nearbyint(x));
                }
            cases.push_back(std::move(c));
        }
    return cases;
}

/// Programs of reference/random_program.hpp. Some have extents that ask for other forms of kernels.
inline std::vector<device_case> random_cases(int count) {
    std::vector<device_case> cases;
    for (int i = 0; i < count; ++i) {
        etch::graph g;
        auto seed = 4'000'000 + static_cast<std::uint64_t>(i);
        device_case c{"random program " + std::to_string(seed),
                      nullptr,
                      {},
                      reference::random_program(g, seed)};
        c.arrays = std::make_unique<etch::program>(reference::program_of(g));
        c.view = etch::view_of(*c.arrays);
        cases.push_back(std::move(c));
    }
    return cases;
}

}  // namespace etch_test
