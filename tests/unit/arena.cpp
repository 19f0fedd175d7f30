// SPDX-License-Identifier: MIT
// How close the arena comes to what must live at once: the largest sum, over the steps, of the values that are live then.
#include "catch.hpp"

#include <etch/language.hpp>
#include <etch/passes/plan.hpp>

#include "reference/random_program.hpp"

namespace {

using namespace etch;

struct peak {
    std::int64_t bytes, bound;
};
/// Of a model's program. Sizes are rounded up to 64 bytes, as in the arena.
peak peak_of(const program_view& p, std::span<const std::int64_t> dims) {
    peak r{arena_layout(p, dims).bytes, 0};
    for (std::size_t now = 0; now < p.steps.size(); ++now) {
        std::int64_t sum = 0;
        for (const storage& s : p.storages) {
            if (s.where != place::arena || s.alias >= 0 || s.first < 0) continue;
            if (s.first <= static_cast<int>(now) && static_cast<int>(now) <= s.last)
                sum += (p.value_of(s.size, dims) * row_of(s.element).bytes + 63) / 64 * 64;
        }
        r.bound = std::max(r.bound, sum);
    }
    return r;
}
template <class Model> void check(std::string_view name, Model model, std::int64_t batch) {
    graph g;
    model(g);
    program arrays = make_program(g);
    const std::int64_t dims[] = {batch};
    peak k = peak_of(view_of(arrays), dims);
    CAPTURE(name, batch, k.bytes, k.bound);
    CHECK(k.bytes >= k.bound);
    CHECK(static_cast<double>(k.bytes) <= 1.1 * static_cast<double>(k.bound));
}

void mlp(graph& g, int layers, int width) {
    auto x = g.input<float>("x", {g.dim("N"), 784});
    auto t = g.input<int>("t", {g.dim("N")});
    for (int i = 0; i < layers; ++i) x = relu(nn::dense(x, width + 40 * (i % 3), name("layer", i)));
    auto loss = mean(cross_entropy(nn::dense(x, 10, "output"), t));
    g.output("loss", loss);
    g.minimize(loss, nn::adam{});
}
void attention(graph& g) {
    auto N = g.dim("N");
    auto x = g.input<float>("x", {N, 24, 64});
    for (int i = 0; i < 3; ++i) {
        auto s = g.scope("block", i);
        auto y = normalize(x, -1);
        auto q = nn::dense(y, 64, "q"), k = nn::dense(y, 64, "k"), v = nn::dense(y, 64, "v");
        auto a = softmax(matmul(q, transpose(k, {0, 2, 1})) * 0.125);
        x = x + nn::dense(matmul(a, v), 64, "o");
        x = x + nn::dense(gelu(nn::dense(normalize(x, -1), 256, "up")), 64, "down");
    }
    auto loss = mean(square(x));
    g.output("loss", loss);
    g.minimize(loss, nn::adam{});
}

}  // namespace

TEST_CASE("the arena is within a tenth of what must live at once") {
    for (std::int64_t batch : {1, 32, 512}) {
        check(
            "two layers", [](graph& g) { mlp(g, 1, 256); }, batch);
        check(
            "ten layers", [](graph& g) { mlp(g, 10, 200); }, batch);
        check("attention", attention, batch);
    }
}
TEST_CASE("the arenas of random programs stay close to what must live at once") {
    double sum = 0, most = 0;
    int count = 0;
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        graph g;
        auto data = reference::random_program(g, 5'000'000 + seed);
        program arrays = make_program(g);
        peak k = peak_of(view_of(arrays), data.dims);
        if (k.bound == 0) continue;
        double ratio = static_cast<double>(k.bytes) / static_cast<double>(k.bound);
        sum += ratio;
        most = std::max(most, ratio);
        ++count;
    }
    CAPTURE(sum / count, most);
    CHECK(sum / count < 1.02);
    CHECK(most < 1.5);
}
