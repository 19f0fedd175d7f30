// SPDX-License-Identifier: MIT
// What a rule's class promises, at the values where it is hard to keep: infinities, nan, both zeros, denormal and huge
// numbers. A rule of the class `exact` gives the same bits, one of `signed_zero` the same numbers.
#include <cmath>
#include <limits>

#include "catch.hpp"
#include "evaluate.hpp"
#include "simplify_cases.hpp"

using namespace etch;
using namespace simplify_cases;

namespace {

constexpr double nan_value = std::numeric_limits<double>::quiet_NaN();
const double reals[] = {0.0,   -0.0,   1,      -1,      inf, -inf,  nan_value,
                        1e300, -1e300, 5e-324, -1e-310, 0.5, -2.25, 3};
const double integers[] = {0, 1, -1, 7, -8, 2147483647, -2147483648.0, 2, -3, 5};

/// The value of v where the elements of inputs and parameters run through the edges, beginning at `turn`.
reference::numbers at_edges(const graph& g, int v, std::size_t turn) {
    reference::interpreter run{g};
    for (const node& n : g.nodes) {
        if (row_of(n).name != "input") continue;
        int x = n.results.first;
        bool label = g.type_of(x).rank == 1 && is_integer(g.type_of(x).element);
        if (label) continue;  // an index: the interpreter's own is valid
        auto which = static_cast<std::size_t>(g.attributes(n).back());
        reference::numbers values(run.count(run.shape(x)));
        for (std::size_t i = 0; i < values.size(); ++i) {
            std::size_t k = (i * (which + 1) + turn * (2 * which + 1) + which) * 3;
            values[i] = is_floating(g.type_of(x).element) ? reals[k % std::size(reals)]
                                                          : integers[k % std::size(integers)];
        }
        run.known[x] = values;
    }
    return run.value(v);
}
bool same_bits(double a, double b) {
    return (std::isnan(a) && std::isnan(b)) ||
           std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}
bool same_number(double a, double b) { return (std::isnan(a) && std::isnan(b)) || a == b; }

}  // namespace

TEST_CASE("exact rules keep every bit, signed_zero rules every number") {
    int compared = 0;
    for (const auto& c : cases)
        for (const rule& r : rule_table) {
            if (r.name != c.rule || r.name == "constant_folding") continue;  // in its dtype
            if (r.when != rule_class::exact && r.when != rule_class::signed_zero) continue;
            graph g;
            leaves l{g};
            expr v = c.fires(l);
            expr w = r.rewrite(g, v.id);
            // where() and the like leave markers among the operands: such cases are tried in simplify.cpp.
            if (!r.roots.has(g.node_of(v.id).op) || !w.valid() || w.id == v.id) continue;
            ++compared;
            for (std::size_t turn = 0; turn < 14; ++turn) {
                auto before = at_edges(g, v.id, turn), after = at_edges(g, w.id, turn);
                REQUIRE(before.size() == after.size());
                for (std::size_t i = 0; i < before.size(); ++i) {
                    INFO(c.rule << " turn " << turn << ": " << before[i] << " became " << after[i]);
                    if (r.when == rule_class::exact && is_floating(v.element()))
                        CHECK(same_bits(before[i], after[i]));
                    else
                        CHECK(same_number(before[i], after[i]));
                }
            }
        }
    CHECK(compared > 100);
}
