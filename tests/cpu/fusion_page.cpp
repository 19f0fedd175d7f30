// SPDX-License-Identifier: MIT
// docs/fusion.md shows programs as they were written and as they run. What it shows is made here; to write it anew after a
// change of the passes:  ETCH_WRITE_DOCUMENTATION=1 <this program>
#include "catch.hpp"

#include <cstdlib>
#include <fstream>
#include <sstream>

#include <etch/language.hpp>
#include <etch/passes/debugprint.hpp>
#include <etch/passes/plan.hpp>
#include <etch/run/describe.hpp>

#include "reference/execute.hpp"

namespace {

using namespace etch;

#line 1 "model.cpp"
constexpr auto classifier = [](graph& g) {
    auto x = g.input<float>("x", {g.dim("N"), 10});
    auto label = g.input<int>("label", {g.dim("N")});
    auto loss = mean(cross_entropy(x, label));
    g.output("loss", loss);
    g.output("slope", grad(loss, x));
};
#line 1 "model.cpp"
constexpr auto layer = [](graph& g) {
    auto x = g.input<float>("x", {g.dim("N"), 512});
    auto w = g.input<float>("w", {512, 512}), b = g.input<float>("b", {512});
    auto y = gelu_tanh(matmul(x, w) + b);
    g.output("y", y);
};
#line 1 "model.cpp"
constexpr auto update = [](graph& g) {
    auto x = g.input<float>("x", {g.dim("N"), 64});
    auto loss = mean(square(nn::dense(x, 32, "only")));
    g.minimize(loss, nn::adam{.rate = 1e-3});
};
#line 44 "fusion_page.cpp"

constexpr std::string_view begin = "<!-- made by tests/cpu/fusion_page.cpp: ", end = "<!-- end -->";

/// As written: every op that the formulas stand for. As it runs: describe().
template <class Model> std::string shown(Model model) {
    graph g;
    model(g);
    std::string before;
    for (const auto& o : g.outputs)
        before += std::string(debugprint_text(g, o.value).view()) + "\n";
    for (const auto& p : g.parameters)
        if (p.update >= 0 && before.empty())
            before += std::string(debugprint_text(g, p.update).view()) + "\n";
    std::size_t ops = 0;
    for (const node& n : g.nodes) ops += row_of(n).kind != op_class::leaf ? 1u : 0u;
    while (before.ends_with('\n')) before.pop_back();
    program p = reference::program_of(g);
    std::string after = describe(view_of(p), {});
    while (after.ends_with('\n')) after.pop_back();
    return "As it was written, " + std::to_string(ops) + " operations in all:\n\n```\n" + before +
           "\n```\n\nAs it runs:\n\n```\n" + after + "\n```\n";
}
/// The page with what is made here in its places.
std::string with_programs(const std::string& page) {
    std::string made;
    std::size_t from = 0;
    for (auto at = page.find(begin); at != page.npos; at = page.find(begin, from)) {
        auto name_at = at + begin.size(), line = page.find('\n', at) + 1, stop = page.find(end, at);
        REQUIRE(stop != page.npos);
        std::string name = page.substr(name_at, page.find(' ', name_at) - name_at);
        made += page.substr(from, line - from);
        if (name == "classifier") made += shown(classifier);
        if (name == "layer") made += shown(layer);
        if (name == "update") made += shown(update);
        from = stop;
    }
    return made + page.substr(from);
}

}  // namespace

TEST_CASE("the programs in docs/fusion.md are those that run") {
    const std::string path = std::string(ETCH_TEST_SOURCE) + "/docs/fusion.md";
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    const std::string page = text.str(), made = with_programs(page);
    if (std::getenv("ETCH_WRITE_DOCUMENTATION")) {
        std::ofstream(path) << made;
        return;
    }
    CHECK(page == made);
    CHECK(page.find("As it runs") != page.npos);
}
