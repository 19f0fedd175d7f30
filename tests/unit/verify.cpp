// SPDX-License-Identifier: MIT
// A good graph passes; each way of breaking one is found.
#include <etch/expr/formulas.hpp>
#include <etch/passes/simplify.hpp>
#include <etch/passes/verify.hpp>

#include "catch.hpp"

using namespace etch;

namespace {

struct ones {
    constexpr initial_value initial(std::span<const std::int64_t>) const { return {}; }
};
/// Something of everything: named dims, layers, a loss, a loop with its gradient, draws, slices and indices.
constexpr void build(graph& g) {
    auto n = g.dim("N");
    expr x = g.input<float>("x", {n, 4}), label = g.input<int>("label", {n});
    expr w = g.param<float>("w", {4, 4}, ones{}), b = g.param<float>("b", {4}, ones{});
    expr h = relu(matmul(x, w) + b) * cast<float>(bernoulli(g, {n, 4}, 0.5));
    auto r = scan([&](expr s, expr c) { return tanh(c + s * b); },
                  transpose(matmul(transpose(x), h)), b);
    expr loss = mean(cross_entropy(h, label)) + sum(square(r.last)) +
                sum(slice(h, {etch::all, etch::range(1, 3)})) + sum(take(w, label)) +
                sum(reshape(h, {2 * n, 2})) + sum(concatenate({h, h}, 0));
    auto d = grad(loss, {w, b});
    g.update(w, w - 0.1 * d[0]);
    g.update(b, b - 0.1 * d[1]);
    g.output("loss", loss);
}
bool fails(const graph& g, std::string_view with) {
    text complaint;
    bool good = verify(g, complaint);
    INFO(std::string(complaint.view()));
    CHECK(complaint.view().find(with) != std::string_view::npos);
    return !good;
}
int find(const graph& g, std::string_view op) {
    for (std::size_t i = 0; i < g.nodes.size(); ++i)
        if (row_of(g.nodes[i]).name == op) return static_cast<int>(i);
    throw std::logic_error("no such op");
}

}  // namespace

TEST_CASE("a model passes before and after the passes") {
    graph g, s, d;
    build(g);
    text complaint;
    bool good = verify(g, complaint);
    INFO(std::string(complaint.view()));
    CHECK(good);
    remove_dead_code(g, d);
    good = verify(d, complaint);
    INFO(std::string(complaint.view()));
    CHECK(good);
    simplify(g, s);
    good = verify(s, complaint);
    INFO(std::string(complaint.view()));
    CHECK(good);
}

TEST_CASE("each broken law is found") {
    struct breakage {
        void (*apply)(graph&);
        const char* complaint;
    };
    const breakage list[] = {
        {[](graph& g) { g.nodes[5].op = 999; }, "no such op"},
        {[](graph& g) { g.nodes[5].operands.count = 1000000; }, "pools"},
        {[](graph& g) { g.nodes[5].results.first += 1; }, "next values"},
        {[](graph& g) { g.values[5].node = 3; }, "another node"},
        {[](graph& g) { g.values[5].type = 1000; }, "no type"},
        {[](graph& g) { g.nodes[5].file = 70; }, "file"},
        {[](graph& g) { g.nodes[5].loop = 70; }, "no such loop"},
        {[](graph& g) { g.types[0].rank = 12; }, "type is broken"},
        {[](graph& g) { --g.nodes[static_cast<std::size_t>(find(g, "add"))].operands.count; },
         "number of operands"},
        {[](graph& g) {
             const node& n = g.nodes[static_cast<std::size_t>(find(g, "add"))];
             g.operand_pool[static_cast<std::size_t>(n.operands.first)] = n.results.first;
         },
         "earlier value"},
        {[](graph& g) {
             const node& n = g.nodes[static_cast<std::size_t>(find(g, "relu"))];
             g.values[static_cast<std::size_t>(n.results.first)].type = g.values[0].type + 1;
         },
         ""},
        {[](graph& g) {
             const node& n = g.nodes[static_cast<std::size_t>(find(g, "sum"))];
             g.attribute_pool[static_cast<std::size_t>(n.attributes.first)] = 6;
         },
         "attributes"},
        {[](graph& g) {
             const node& n = g.nodes[static_cast<std::size_t>(find(g, "reshape"))];
             g.attribute_pool[static_cast<std::size_t>(n.attributes.first)] = 6;
         },
         "attributes"},
        {[](graph& g) {
             const node& n = g.nodes[static_cast<std::size_t>(find(g, "slice"))];
             g.attribute_pool[static_cast<std::size_t>(n.attributes.first + 3)] = 9;
         },
         "attributes"},
        {[](graph& g) {
             const node& n = g.nodes[static_cast<std::size_t>(find(g, "transpose"))];
             g.attribute_pool[static_cast<std::size_t>(n.attributes.first)] = 0;
         },
         "attributes"},
        {[](graph& g) {
             const node& n = g.nodes[static_cast<std::size_t>(find(g, "scan"))];
             ++g.attribute_pool[static_cast<std::size_t>(n.attributes.first + 5)];
         },
         "counts"},
        {[](graph& g) {
             const node& n = g.nodes[static_cast<std::size_t>(find(g, "scan"))];
             g.attribute_pool[static_cast<std::size_t>(n.attributes.first + loop_view::header)] = 0;
         },
         "placeholder"},
        {[](graph& g) {
             const node& n = g.nodes[static_cast<std::size_t>(find(g, "scan"))];
             g.operand_pool[static_cast<std::size_t>(n.operands.first + n.operands.count - 1)] = 0;
         },
         "captures"},
        {[](graph& g) { std::swap(g.inputs[0].value, g.inputs[1].value); }, "input 0"},
        {[](graph& g) { g.parameters[0].value = 0; }, "parameter 0"},
        {[](graph& g) { g.parameters[0].update = g.parameters[1].value; }, "parameter w"},
        {[](graph& g) { g.outputs[0].value = 100000; }, "output loss"},
        {[](graph& g) {
             g.outputs[0].value = g.nodes[static_cast<std::size_t>(find(g, "tanh"))].results.first;
         },
         "output loss"},
        {[](graph& g) { g.outputs[0].value = detail::placeholder(g, type{}).id; },
         "nothing gives it a value"},
    };
    int number = 0;
    for (const auto& b : list) {
        INFO("breakage " << number++);
        graph g;
        build(g);
        b.apply(g);
        CHECK(fails(g, b.complaint));
    }
}

namespace {
constexpr bool verified() {
    graph g, s;
    build(g);
    simplify(g, s);
    text complaint;
    return verify(s, complaint);
}
static_assert(verified());
}  // namespace
