// SPDX-License-Identifier: MIT
// The case `sea_water` with etch: salinity and temperature have three axes, pressure the last one.
#include "functions.hpp"

#include "../sea_water.hpp"

namespace {

template <bool derivatives> struct density {
    constexpr void operator()(etch::graph& g) const {
        namespace water = bench::sea_water;
        etch::dim a = g.dim("A"), b = g.dim("B"), c = g.dim("C");
        auto s = g.input<double>("s", {a, b, c}), t = g.input<double>("t", {a, b, c});
        auto p = broadcast_to(g.input<double>("p", {c}), {a, b, c});
        auto root = sqrt(s);
        auto rho = water::denominator(s, t, p, root) / water::numerator(s, t, p, root);
        g.output("rho", rho);
        if (!derivatives) return;
        auto by = grad(sum(rho), {s, t, p});
        g.output("by s", by[0]);
        g.output("by t", by[1]);
        g.output("by p", by[2]);
    }
};

}  // namespace

int main() {
    return bench::serve({{"density", bench::etch_function<density<false>{}>::make},
                         {"density_derivatives", bench::etch_function<density<true>{}>::make}});
}
