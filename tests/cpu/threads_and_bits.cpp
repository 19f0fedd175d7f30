// SPDX-License-Identifier: MIT
// Training gives the same bits with any number of threads, the same from the same seed, and others from another.
// also: clang races
#include "catch.hpp"

#include <etch/language.hpp>
#include <etch/run/function.hpp>

namespace {

using floats = std::vector<float>;

struct mlp {
    bool training = true;
    constexpr void operator()(etch::graph& g) const {
        auto N = g.dim("N");
        auto x = g.input<float>("x", {N, 100});
        auto label = g.input<int>("label", {N});
        auto h = relu(etch::nn::dense(x, 96, "hidden"));
        h = etch::nn::dropout(h, 0.25, training);
        h = etch::nn::layer_norm(tanh(etch::nn::dense(h, 64, "second")), "norm");
        auto logits = etch::nn::dense(h, 10, "output");
        auto loss = mean(cross_entropy(logits, label));
        g.output("loss", loss);
        g.output("logits", logits);
        g.output("columns", sum(h, 0));
        if (training) g.minimize(loss, etch::nn::adam{.rate = 1e-3});
    }
};

struct batch {
    floats x;
    std::vector<int> label;
};
batch examples(int n, unsigned seed) {
    batch b;
    for (int i = 0; i < n * 100; ++i) {
        seed = seed * 1664525u + 1013904223u;  // Numerical Recipes
        b.x.push_back(static_cast<float>(seed >> 8) * 0x1p-23f - 1);
    }
    for (int i = 0; i < n; ++i)
        b.label.push_back(static_cast<int>(b.x[static_cast<std::size_t>(i) * 100] * 5 + 5));
    return b;
}

struct trained {
    floats losses, logits, columns, weights;
    bool operator==(const trained& other) const {
        auto same = [](const floats& a, const floats& b) {
            return a.size() == b.size() &&
                   std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
        };
        return same(losses, other.losses) && same(logits, other.logits) &&
               same(columns, other.columns) && same(weights, other.weights);
    }
};
trained train(int threads, std::uint64_t seed, int examples_in_batch = 300) {
    etch::threads(threads);
    etch::function<mlp{}> f{etch::seed(seed)};
    trained t;
    for (unsigned step = 0; step < 20; ++step) {
        auto b = examples(examples_in_batch, step % 4);
        auto [loss, logits, columns] = f(b.x, b.label);
        t.losses.push_back(loss);
        t.logits = logits.template to_vector<float>();
        t.columns = columns.template to_vector<float>();
    }
    for (auto name : {"hidden/weight", "hidden/bias", "second/weight", "second/bias", "norm/gain",
                      "norm/offset", "output/weight", "output/bias", "hidden/weight/adam/m",
                      "hidden/weight/adam/v"})
        for (float w : f.state()[name].to_vector<float>()) t.weights.push_back(w);
    etch::threads(1);
    return t;
}

constexpr auto wide =
    [](etch::graph& g) {  // every kind of reduction, over spaces that are cut into many tasks
        auto N = g.dim("N"), M = g.dim("M");
        auto x = g.input<float>("x", {N, M});
        auto y = sin(x) * exp(-square(x));
        g.output("all", sum(y));
        g.output("largest", max(y));
        g.output("rows", sum(y, 1));
        g.output("columns", sum(y, 0));
        g.output("where", argmax(reshape(y, {-1}), 0));
        g.output("best", argmax(y, 0));
        g.output("normal", etch::softmax(x, 0));
    };

}  // namespace

TEST_CASE("training gives the same bits with 1, 2, 3 and 7 threads") {
    auto one = train(1, 5);
    CHECK(one.losses.back() < one.losses.front());
    for (int threads : {2, 3, 7}) {
        INFO(threads << " threads");
        CHECK(train(threads, 5) == one);
    }
}

TEST_CASE("the same seed gives the same bits, another seed others") {
    auto one = train(2, 5, 32);
    CHECK(train(2, 5, 32) == one);
    CHECK(!(train(2, 6, 32) == one));
}

TEST_CASE("reductions over large spaces give the same bits with any number of threads") {
    etch::function<wide> f;
    for (std::int64_t n : {1000, 3, 40001}) {
        std::int64_t m = n == 3 ? 50000 : n == 1000 ? 777 : 5;
        etch::tensor x(etch::dtype::float32, {n, m});
        for (std::int64_t i = 0; i < n * m; ++i)
            x.data<float>()[i] = static_cast<float>((i * 7919) % 10007) / 5000 - 1;
        auto run = [&](int threads) {
            etch::threads(threads);
            auto [all, largest, rows, columns, where, best, normal] = f(x);
            floats values{all, largest, static_cast<float>(where)};
            for (const auto* t : {&rows, &columns, &normal})
                for (float v : t->template to_vector<float>()) values.push_back(v);
            for (int v : best.template to_vector<int>()) values.push_back(static_cast<float>(v));
            return values;
        };
        auto one = run(1);
        double sum = 0;
        for (std::size_t i = 3; i < 3 + static_cast<std::size_t>(n); ++i) sum += one[i];
        CHECK(one[0] == Approx(sum).epsilon(1e-4));
        for (int threads : {2, 3, 7}) CHECK(run(threads) == one);
    }
    etch::threads(1);
}

TEST_CASE("two functions share what they train") {
    etch::threads(2);
    etch::function<mlp{}> f{etch::seed(1)};
    etch::function<mlp{false}> test{f.state()};
    auto b = examples(64, 9);
    float before = std::get<0>(test(b.x, b.label));
    auto old = f.state().clone();
    for (int i = 0; i < 30; ++i) f(b.x, b.label);
    float after = std::get<0>(test(b.x, b.label));
    CHECK(after < before);
    CHECK(std::get<0>(test(b.x, b.label)) == after);
    etch::function<mlp{false}> as_before{old};
    CHECK(std::get<0>(as_before(b.x, b.label)) == before);
    etch::threads(1);
}

TEST_CASE("a scatter gives the same bits with any number of threads") {
    constexpr auto embedding = [](etch::graph& g) {
        auto N = g.dim("N");
        auto token = g.input<int>("token", {N});
        auto dy = g.input<float>("dy", {N, 600});
        auto table = g.param<float>("table", {7, 600}, etch::nn::zeros{});
        g.output("slope", grad(sum(etch::take(table, token, 0) * dy), table));
    };
    constexpr int count = 500;
    floats dy, wanted(7 * 600, 0.0f);
    std::vector<int> token;
    for (int i = 0; i < count; ++i) token.push_back(i * i % 7);
    for (int i = 0; i < count * 600; ++i) dy.push_back(1.0f / static_cast<float>(i % 977 + 1));
    for (int i = 0; i < count; ++i)  // in this order, for each place
        for (int j = 0; j < 600; ++j)
            wanted[static_cast<std::size_t>(token[static_cast<std::size_t>(i)] * 600 + j)] +=
                dy[static_cast<std::size_t>(i * 600 + j)];
    for (int threads : {1, 2, 3, 7}) {
        etch::threads(threads);
        etch::function<embedding> f;
        etch::tensor slope = f(token, dy);
        CHECK(slope.to_vector<float>() == wanted);
    }
    etch::threads(1);
}
