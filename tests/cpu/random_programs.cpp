// SPDX-License-Identifier: MIT
// Thousands of random programs through all passes and the interpreter: what comes out is what the reference evaluator
// computes, the simplified graph and the program keep their laws, and neither where values lie nor how many threads there
// are changes a bit. ETCH_LONG in the environment asks for ten times as many.
// also: clang sanitize
#include "catch.hpp"

#include <cstdlib>

#include <etch/cpu/interpret.hpp>
#include <etch/cpu/thread_count.hpp>
#include <etch/passes/verify.hpp>

#include "reference/execute.hpp"
#include "reference/law.hpp"
#include "reference/random_program.hpp"

namespace {

int programs(int normally) {
#if defined(__SANITIZE_ADDRESS__)
    normally /= 4;
#endif
    return std::getenv("ETCH_LONG") ? 10 * normally : normally;
}

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
            if (std::bit_cast<std::uint64_t>(a[i].real[k]) !=
                std::bit_cast<std::uint64_t>(b[i].real[k]))
                return false;
    }
    return true;
}

/// The worst of |a - exact| in units of what rounding may do: where the evaluator, rounding each op's result to float32,
/// strays itself, `spread`, other orders of the same sums may stray too.
double excess(const reference::tensor& a, const reference::tensor& exact,
              const reference::tensor& rounded, double tolerance) {
    if (!a.floating() || a.shape != exact.shape || a.element != exact.element)
        return reference::difference(a, exact);
    double most = 0, largest = 0, spread = 0;
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
/// The same program in float64 throughout: then rounding hides nothing.
void widen(etch::graph& g, reference::program& data) {
    using etch::op_of;
    for (auto& t : g.types)
        if (t.element == etch::dtype::float32) t.element = etch::dtype::float64;
    for (const auto& n : g.nodes) {
        bool names_dtype = n.op == op_of<etch::cast_row>() || n.op == op_of<etch::random_row>() ||
                           n.op == op_of<etch::iota_row>() ||
                           etch::row_of(n).kind == etch::op_class::leaf;
        if (!names_dtype || n.attributes.count == 0) continue;
        auto& word = g.attribute_pool[static_cast<std::size_t>(n.attributes.first)];
        if (word == static_cast<std::int64_t>(etch::dtype::float32))
            word = static_cast<std::int64_t>(etch::dtype::float64);
    }
    for (auto* list : {&data.inputs, &data.parameters})
        for (auto& t : *list)
            if (t.floating()) t.element = etch::dtype::float64;
}

struct runs {
    etch::program arrays;
    etch::program_view view;
    etch::cpu::interpreter_kernels kernels;
    explicit runs(const etch::graph& g, etch::plan_options options = {})
        : arrays(reference::program_of(g, options)), view(etch::view_of(arrays)), kernels(view) {}
    runs(const runs&) = delete;
    reference::results operator()(const reference::program& data) const {
        return reference::execute(view, kernels.entries(), data.dims, data.inputs, data.parameters);
    }
};

int ill_conditioned = 0;  // programs that rounding to float32 changes more than expected

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
    std::string strays;
    auto compare = [&](auto& results, auto& expected, auto& spread, std::string_view what,
                       double tolerance) {
        for (std::size_t k = 0; k < expected.size(); ++k)
            if (double e = excess(results[k], expected[k], spread[k], tolerance); !(e <= 1))
                strays = std::string(what) + std::to_string(k) + " is off by " + std::to_string(e);
    };
    compare(r.outputs, y, y_rounded, "output ", 1e-5);
    compare(r.parameters, w, w_rounded, "update ", 1e-5);
    ill_conditioned += !strays.empty();

    runs apart(g, {.memory = {.in_place = false}});
    if (auto c = reference::law_of(apart.view, data.dims); !c.empty())
        return "law, not in place: " + c;
    auto s = apart(data);
    if (!same_bits(r.outputs, s.outputs) || !same_bits(r.parameters, s.parameters))
        return "other bits out of place";
    etch::threads(3);
    auto t = usual(data);
    etch::threads(1);
    if (!same_bits(r.outputs, t.outputs) || !same_bits(r.parameters, t.parameters))
        return "other bits with 3 threads";

    etch::graph h;
    auto wide = reference::random_program(h, seed, options);
    widen(h, wide);
    reference::evaluator precise(h, wide.dims, wide.inputs, wide.parameters);
    auto z = precise.outputs(), v = precise.updates();
    auto s64 = runs(h)(wide);
    std::string in_float32 = std::exchange(strays, {});
    compare(s64.outputs, z, z, "in float64, output ", 1e-10);
    compare(s64.parameters, v, v, "in float64, update ", 1e-10);
    if (!strays.empty())
        return strays + "; " + in_float32 + "; stability rules:" + rules_that_fire(g);
    return {};
}
/// The same program with dims so large that its kernels are cut into tasks: whatever it computes then, it is the same with
/// more threads and with nothing in place. False where the program does not allow the dims.
bool same_when_large(std::uint64_t seed) {
    etch::graph g;
    auto data = reference::random_program(g, seed);
    data.dims = {120, 90};
    reference::evaluator shapes(g, data.dims);
    if (!shapes.conditions_hold()) return false;
    reference::dice dice(seed);
    for (std::size_t i = 0; i < g.inputs.size(); ++i) {
        reference::tensor t(data.inputs[i].element, shapes.shape_of(g.inputs[i].value));
        if (t.count() > 2'000'000) return false;
        for (std::size_t k = 0; k < t.count(); ++k)
            t.set(k, t.floating() ? dice.between(-128, 128) / 64.0
                                  : dice.below(etch::is_boolean(t.element) ? 2 : 9));
        data.inputs[i] = t;
    }
    runs usual(g), apart(g, {.memory = {.in_place = false}});
    std::int64_t bytes = etch::arena_layout(usual.view, data.dims).bytes;
    for (const auto& o : usual.view.outputs) {
        std::int64_t n = 8;
        for (int i = 0; i < o.of.rank; ++i) n *= usual.view.value_of(o.of[i], data.dims);
        bytes += n;
    }
    if (bytes > 20'000'000) return false;
    if (auto c = reference::law_of(usual.view, data.dims); !c.empty())
        FAIL("seed " << seed << ": law: " << c);
    try {
        etch::threads(1);
        auto one = usual(data), other = apart(data);
        etch::threads(3);
        auto three = usual(data);
        etch::threads(1);
        INFO("seed " << seed);
        CHECK(same_bits(one.outputs, three.outputs));
        CHECK(same_bits(one.parameters, three.parameters));
        CHECK(same_bits(one.outputs, other.outputs));
        CHECK(same_bits(one.parameters, other.parameters));
    } catch (const etch::mistake&) {
        return false;  // an index that is outside for these numbers
    }
    return true;
}

void check_all(std::uint64_t first, int count, const reference::program_options& options) {
    int bad = 0;
    for (std::uint64_t seed = first; seed < first + static_cast<std::uint64_t>(programs(count));
         ++seed) {
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

TEST_CASE("random programs give what the evaluator gives") { check_all(0, 4000, {}); }
TEST_CASE("short random programs give what the evaluator gives") {
    check_all(1'000'000, 1000, {.least_ops = 1, .most_ops = 6});
}
TEST_CASE("random programs without gradients give what the evaluator gives") {
    check_all(2'000'000, 1000, {.gradients = false});
}
TEST_CASE("large random programs give the same bits with more threads and with nothing in place") {
    int compared = 0;
    for (int seed = 0; seed < programs(150); ++seed)
        compared += same_when_large(3'000'000 + static_cast<std::uint64_t>(seed));
    CHECK(compared > programs(150) / 4);
}
