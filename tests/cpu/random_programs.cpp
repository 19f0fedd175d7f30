// SPDX-License-Identifier: MIT
// Thousands of random programs through all passes and the interpreter: what comes out is what the reference evaluator
// computes, the simplified graph and the program keep their laws, and neither where values lie nor how many threads there
// are changes a bit. ETCH_LONG in the environment asks for ten times as many.
#include "catch.hpp"

#include <cstdlib>

#include <etch/cpu/interpret.hpp>
#include <etch/passes/verify.hpp>

#include "reference/execute.hpp"
#include "reference/law.hpp"
#include "reference/random_program.hpp"

namespace {

int programs(int normally) { return std::getenv("ETCH_LONG") ? 10 * normally : normally; }

/// Stability rules that apply to some value of the graph as it was written: where results differ, they say why they may.
/// The graph is not worth anything afterwards.
std::string rules_that_fire(etch::graph& g) {
    std::string names;
    for (const auto& r : etch::rule_table) {
        if (r.when != etch::rule_class::stability) continue;
        for (std::size_t v = 0, count = g.values.size(); v < count; ++v) {
            if (!r.roots.has(g.node_of(static_cast<int>(v)).op)) continue;
            etch::expr w = r.rewrite(g, static_cast<int>(v));
            if (!w.valid() || w.id == static_cast<int>(v)) continue;
            names += ' ' + std::string(r.name);
            break;
        }
    }
    return names;
}
bool same_bits(const std::vector<reference::tensor>& a, const std::vector<reference::tensor>& b) {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (a[i].integral != b[i].integral || a[i].real.size() != b[i].real.size()) return false;
        for (std::size_t k = 0; k < a[i].real.size(); ++k)
            if (std::bit_cast<std::uint64_t>(a[i].real[k]) != std::bit_cast<std::uint64_t>(b[i].real[k])) return false;
    }
    return true;
}

/// Whether some float64 value comes from float32.
bool widens(const etch::graph& g) {
    for (const auto& n : g.nodes)
        if (n.op == etch::op_of<etch::cast_row>() && g.type_of(g.operands(n)[0]).element == etch::dtype::float32) return true;
    return false;
}
/// The worst of |a - exact| in units of what rounding may do: where the evaluator, rounding each op's result to float32,
/// strays itself, `spread`, other orders of the same sums may stray too.
double excess(const etch::graph& g, const reference::tensor& a, const reference::tensor& exact,
              const reference::tensor& rounded) {
    if (!a.floating() || a.shape != exact.shape || a.element != exact.element) return reference::difference(a, exact);
    bool single = a.element == etch::dtype::float32 || widens(g);
    double most = 0, largest = 0, spread = 0, tolerance = single ? 1e-5 : 1e-13;
    for (std::size_t i = 0; i < a.count(); ++i) {
        largest = std::max(largest, std::fabs(exact.real[i]));
        spread = std::max(spread, std::fabs(exact.real[i] - rounded.real[i]));
    }
    for (std::size_t i = 0; i < a.count(); ++i) {
        if (a.real[i] == exact.real[i]) continue;
        double d = std::fabs(a.real[i] - exact.real[i]) / (tolerance * (1 + largest) + 16 * spread);
        most = std::max(most, std::isnan(d) ? HUGE_VAL : d);
    }
    return most;
}

struct runs {
    etch::program arrays;
    etch::program_view view;
    etch::cpu::interpreter_kernels kernels;
    explicit runs(const etch::graph& g, etch::plan_options options = {})
        : arrays(etch::make_program(g, options)), view(etch::view_of(arrays)), kernels(view) {}
    runs(const runs&) = delete;
    reference::results operator()(const reference::program& data) const {
        return reference::execute(view, kernels.entries(), data.dims, data.inputs, data.parameters);
    }
};

int ill_conditioned = 0;  // programs that were compared by the second measure

/// What is wrong with program `seed`; empty where nothing is.
std::string wrong_with(std::uint64_t seed, const reference::program_options& options = {}) {
    etch::graph g;
    auto data = reference::random_program(g, seed, options);
    etch::graph simple;
    etch::simplify(g, simple);
    etch::text complaint;
    if (!etch::verify(simple, complaint)) return "verify: " + std::string(complaint.view());

    runs usual(g);
    if (auto c = reference::law_of(usual.view, data.dims); !c.empty()) return "law: " + c;
    reference::numbers others{data.dims[0] + 3, data.dims[1] + 2};
    reference::evaluator larger(g, others);
    if (larger.conditions_hold())
        if (auto c = reference::law_of(usual.view, others); !c.empty()) return "law, larger: " + c;

    etch::threads(1);
    auto r = usual(data);
    reference::evaluator exact(g, data.dims, data.inputs, data.parameters), rounding = exact;
    rounding.rounding = true;
    auto y = exact.outputs(), y_rounded = rounding.outputs();
    auto w = exact.updates(), w_rounded = rounding.updates();
    bool strays = false;
    for (int i = 0; i < 8; ++i) {
        std::string wrong;
        auto compare = [&](std::string_view what, auto& results, auto& expected, auto& spread) {
            for (std::size_t k = 0; k < expected.size(); ++k)
                if (double e = excess(g, results[k], expected[k], spread[k]); !(e <= 1))
                    wrong = std::string(what) + std::to_string(k) + " is off by " + std::to_string(e);
        };
        compare("output ", r.outputs, y, y_rounded);
        compare("update ", r.parameters, w, w_rounded);
        if (wrong.empty()) break;
        if (i == 7) return wrong + "; stability rules:" + rules_that_fire(g);
        // Not so if a change in the last bit of the inputs does as much.
        strays = true;
        reference::dice dice(seed + static_cast<std::uint64_t>(i));
        auto nudged = data;
        for (auto* list : {&nudged.inputs, &nudged.parameters})
            for (auto& t : *list)
                for (double& x : t.real) x *= 1 + dice.between(-2, 2) * 6e-8;
        reference::evaluator near(g, nudged.dims, nudged.inputs, nudged.parameters);
        y_rounded = near.outputs(), w_rounded = near.updates();
    }
    ill_conditioned += strays;

    runs apart(g, {.memory = {.in_place = false}});
    if (auto c = reference::law_of(apart.view, data.dims); !c.empty()) return "law, not in place: " + c;
    auto s = apart(data);
    if (!same_bits(r.outputs, s.outputs) || !same_bits(r.parameters, s.parameters)) return "other bits out of place";
    etch::threads(3);
    auto t = usual(data);
    etch::threads(1);
    if (!same_bits(r.outputs, t.outputs) || !same_bits(r.parameters, t.parameters)) return "other bits with 3 threads";
    return {};
}
void check_all(std::uint64_t first, int count, const reference::program_options& options) {
    int bad = 0;
    for (std::uint64_t seed = first; seed < first + static_cast<std::uint64_t>(programs(count)); ++seed) {
        std::string wrong;
        try {
            wrong = wrong_with(seed, options);
        } catch (const std::exception& e) {
            wrong = std::string("thrown: ") + e.what();
        }
        if (wrong.empty()) continue;
        UNSCOPED_INFO("seed " << seed << ": " << wrong);
        if (++bad == 20) break;
    }
    CHECK(bad == 0);
    CHECK(ill_conditioned <= 1 + programs(count) / 500);
    ill_conditioned = 0;
}

}  // namespace

TEST_CASE("random programs give what the evaluator gives") { check_all(0, 1500, {}); }
TEST_CASE("short random programs give what the evaluator gives") {
    check_all(1'000'000, 500, {.least_ops = 1, .most_ops = 6});
}
TEST_CASE("random programs without gradients give what the evaluator gives") {
    check_all(2'000'000, 500, {.gradients = false});
}
