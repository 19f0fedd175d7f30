// SPDX-License-Identifier: MIT
// Every elementwise row of the op table, on every dtype that it takes, as a compiled kernel and interpreted, against the
// scalar functions of reference/scalar.hpp: on the row's domain and on edge values. A new row is tested by existing.
// Then reductions over each axis with nan and inf, operands that are broadcast, transposed or cut, and sizes around the
// lanes of a pack; and derivatives of all rows, compiled, against the evaluator.
#include "catch.hpp"

#include <etch.hpp>
#include <etch/cpu/interpret.hpp>

#include "reference/execute.hpp"
#include "reference/random_program.hpp"

namespace {

using etch::dtype;
using etch::expr;
using etch::op_id;
using reference::tensor;

inline constexpr dtype dtypes[] = {dtype::boolean, dtype::int32, dtype::int64, dtype::float32,
                                   dtype::float64};

constexpr bool takes(const etch::op_row& row, dtype d) {
    switch (row.takes) {
    case etch::accepts::floating: return etch::is_floating(d);
    case etch::accepts::number: return !etch::is_boolean(d);
    case etch::accepts::boolean: return etch::is_boolean(d);
    case etch::accepts::integer: return etch::is_integer(d);
    case etch::accepts::any: break;
    }
    return true;
}
/// Whether the row is a function of one or two numbers of one dtype.
constexpr bool plain(op_id op) {
    const auto& row = etch::row_of(op);
    return row.kind == etch::op_class::elementwise && row.arity <= 2 &&
           op != etch::op_of<etch::cast_row>() && op != etch::op_of<etch::checked_index_row>();
}
constexpr expr input_of(etch::graph& g, dtype d, std::string_view name,
                        std::span<const etch::dim> shape) {
    switch (d) {
    case dtype::float64: return g.input<double>(name, shape);
    case dtype::float32: return g.input<float>(name, shape);
    case dtype::boolean: return g.input<bool>(name, shape);
    case dtype::int32: return g.input<std::int32_t>(name, shape);
    case dtype::int64: break;
    }
    return g.input<std::int64_t>(name, shape);
}
constexpr expr applied(op_id op, expr a, expr b) {
    int ids[] = {a.id, b.id};
    return etch::detail::append(*a.g, op, {ids, static_cast<std::size_t>(etch::row_of(op).arity)},
                                {});
}

/// All rows that take dtype d, of two operands of {N}.
struct all_rows_of {
    dtype d;
    constexpr void operator()(etch::graph& g) const {
        etch::dim shape[] = {g.dim("N")};
        expr a = input_of(g, d, "a", shape), b = input_of(g, d, "b", shape);
        for (op_id op = 0; op < etch::op_count; ++op)
            if (plain(op) && takes(etch::row_of(op), d))
                g.output(etch::row_of(op).name, applied(op, a, b));
        for (dtype to : dtypes)
            if (to != d) g.output(etch::name("to", static_cast<int>(to)), cast(a, to));
        g.output("where", where(not_equal(a, b), a, b));
    }
};

/// Numbers of dtype d: of a domain, and of the edges.
std::vector<double> samples(dtype d, etch::domain in, std::size_t count, unsigned seed) {
    reference::dice dice(seed);
    std::vector<double> all;
    while (all.size() < count) {
        double x = in.low + (in.high - in.low) * dice.between(0, 4096) / 4096;
        if (etch::is_boolean(d))
            x = dice.below(2);
        else if (!etch::is_floating(d))
            x = std::nearbyint(x);
        else if (d == dtype::float32)
            x = static_cast<float>(x);
        all.push_back(x);
    }
    return all;
}
std::vector<double> edges(dtype d) {
    if (etch::is_boolean(d)) return {0, 1};
    if (d == dtype::int32)
        return {0, 1, -1, 2, -3, 7, INT32_MAX, INT32_MIN, INT32_MIN + 1.0, 65536, 46341, -46341};
    if (d == dtype::int64)
        return {0, 1, -1, 2, -3, 7, 0x1p62, -0x1p63, 4294967296.0, -4294967297.0, 3037000500.0};
    double inf = HUGE_VAL;
    std::vector<double> all{
        0.0,      -0.0,    inf,      -inf,  std::nan(""), 1,     -1,     0.5,  -0.5,  2,
        -2.5,     88,      -88,      100,   -110,         1e-20, -1e-20, 1e20, -1e20, 1 + 0x1p-23,
        16777216, 3.25e38, -3.25e38, 1e-38, -1e-38,       3e9,   -3e9,   1e19, -1e19};
    if (d == dtype::float64)
        for (double x : {1e300, -1e300, 1e-300, -1e-300, 708.0, -745.0, 1e-310, 4.9e-324})
            all.push_back(x);
    else
        for (double x : {1e-40, -1e-40, 1.4e-45}) all.push_back(static_cast<float>(x));
    for (double& x : all)
        if (d == dtype::float32) x = static_cast<float>(x);
    return all;
}

/// |x - y| in units of the last place of y, of a float32 or float64.
double ulps(dtype d, double x, double y) {
    if (x == y || (std::isnan(x) && std::isnan(y))) return 0;
    if (d == dtype::float32) {
        float rounded = static_cast<float>(y);  // overflows to inf, as float32 does
        if (static_cast<double>(rounded) == x) return 0;
    }
    if (!std::isfinite(x) || !std::isfinite(y)) {
        double most = d == dtype::float32 ? 3.4028234663852886e38 : 1.7976931348623157e308;
        // One of them overflows where the other almost does.
        return std::isinf(x) && std::fabs(y) > most * (1 - 1e-6) && (x > 0) == (y > 0) ? 1
                                                                                       : HUGE_VAL;
    }
    int digits = d == dtype::float32 ? 24 : 53, least = d == dtype::float32 ? -125 : -1021,
        exponent = 0;
    std::frexp(y, &exponent);
    return std::fabs(x - y) / std::ldexp(1.0, std::max(exponent, least) - digits);
}
/// How far results may be off: sums of a few roundings; the rest is exact. float64 has libm's functions.
double allowed(std::string_view name, dtype d) {
    // Operands are exact, so that the nearest float is at most half a unit away.
    static constexpr std::string_view exact[] = {
        "identity", "stop_gradient", "negative", "abs",      "sign",      "floor",
        "square",   "add",           "subtract", "multiply", "maximum",   "minimum",
        "relu",     "where",         "divide",   "sqrt",     "reciprocal"};
    for (auto e : exact)
        if (name == e) return d == dtype::float32 ? 0.5001 : 0;
    return name == "tanh" ? 5 : 4;
}
/// Where an op's value is not asked for: beyond what its reduction of the argument is made for.
bool undefined(std::string_view name, dtype d, double a, double b) {
    if (d == dtype::float32 && (name == "sin" || name == "cos")) return std::fabs(a) > 1e4;
    // The quotient is rounded before floor, the remainder loses its digits.
    if (name == "floor_divide" || name == "remainder")
        return std::fabs(a / b) > 1e5 || std::isnan(a / b) || std::fabs(b) < 1e-30 ||
               std::isinf(b) || std::fabs(a) < 1e-30;
    return false;
}

void check_value(std::string_view name, dtype d, dtype to, double a, double b, double x, double y) {
    if (undefined(name, d, a, b)) return;
    double most = etch::is_floating(to) ? allowed(name, to) : 0;
    double off = etch::is_floating(to) ? ulps(to, x, y) : x == y ? 0 : HUGE_VAL;
    if (off <= most) return;
    CAPTURE(name, etch::name_of(d), a, b, x, y, off);
    CHECK(off <= most);
}

/// The value that reference/scalar.hpp gives.
double expected(std::string_view name, dtype d, dtype to, double a, double b) {
    if (name == "where") return a != b ? a : b;
    if (name.starts_with("to")) {
        if (etch::is_floating(to))
            return to == dtype::float32 ? static_cast<double>(static_cast<float>(a)) : a;
        if (etch::is_boolean(to)) return a != 0;
        if (etch::is_floating(d)) return static_cast<double>(reference::truncated(to, a));
        return static_cast<double>(reference::wrapped(to, static_cast<std::int64_t>(a)));
    }
    if (!etch::is_floating(d))
        return static_cast<double>(reference::wrapped(
            to, reference::integer_functions().at(name)(static_cast<std::int64_t>(a),
                                                        static_cast<std::int64_t>(b))));
    if (etch::is_boolean(to)) return reference::real_questions().at(name)(a, b);
    return reference::real_functions().at(name)(a, b);
}

template <dtype d> void check_rows() {
    static constexpr all_rows_of model{d};
    static constexpr const auto& frozen =
        etch::detail::planned<model, etch::plan_options{}>::frozen;
    const auto& view = etch::plan<model>.view();
    auto kernels = etch::cpu::kernels_of<frozen>();
    etch::cpu::interpreter_kernels interpreted(view);

    std::vector<double> list = edges(d);
    auto compare = [&](const std::vector<double>& a, const std::vector<double>& b,
                       bool on_domain_of = false, op_id op = 0) {
        reference::numbers dims{std::ssize(a)};
        std::vector<tensor> inputs{tensor(d, dims, a), tensor(d, dims, b)};
        auto compiled = reference::execute(view, kernels, dims, inputs, {});
        auto other = reference::execute(view, interpreted.entries(), dims, inputs, {});
        for (std::size_t k = 0; k < view.outputs.size(); ++k) {
            auto name = view.text_of(view.outputs[k].name);
            if (on_domain_of && name != etch::row_of(op).name) continue;
            auto to = view.outputs[k].of.element;
            const tensor &x = compiled.outputs[k], &z = other.outputs[k];
            for (std::size_t i = 0; i < a.size(); ++i) {
                check_value(name, d, to, inputs[0][i], inputs[1][i], x[i],
                            expected(name, d, to, inputs[0][i], inputs[1][i]));
                if (etch::is_floating(to) ? !(ulps(to, z[i], x[i]) <= 2) : z[i] != x[i]) {
                    CAPTURE(name, etch::name_of(d), inputs[0][i], inputs[1][i]);
                    CHECK(z[i] == x[i]);
                }
            }
        }
    };
    std::vector<double> left, right;
    for (double a : list)
        for (double b : list) {
            left.push_back(a);
            right.push_back(b);
        }
    compare(left, right);
    for (op_id op = 0; op < etch::op_count; ++op)
        if (plain(op) && takes(etch::row_of(op), d))
            compare(samples(d, etch::row_of(op).sample[0], 1000, 1),
                    samples(d, etch::row_of(op).sample[1], 1000, 2), true, op);
    const int w = etch::cpu::lanes;
    for (int n : {0, 1, w - 1, w, w + 1, 2 * w + 3, 5003}) {
        auto count = static_cast<std::size_t>(n);
        compare(samples(d, {-2, 2}, count, 3), samples(d, {1, 3}, count, 4));
    }
}

/// Every row of float32 on operands that are read in other ways than side by side, and every derivative.
struct other_ways {
    constexpr void operator()(etch::graph& g) const {
        auto N = g.dim("N"), M = g.dim("M");
        auto x = g.input<float>("x", {N, M}), y = g.input<float>("y", {M, N}),
             row = g.input<float>("row", {M}), column = g.input<float>("column", {N, 1}),
             wide = g.input<float>("wide", {N, 7});
        auto t = transpose(y);
        g.output("transposed", x + t);
        g.output("row", x * row);
        g.output("column", x - column);
        g.output("both", row * column);
        g.output("reversed", etch::flip(x) + 2 * etch::flip(x, 0) + 3 * etch::flip(t, 1));
        g.output("strided", slice(wide, {etch::all, etch::range(0, etch::none, 3)}) * column);
        g.output("cut",
                 slice(x, {etch::range(1, etch::none)}) / slice(t, {etch::range(1, etch::none)}));
        g.output("one", slice(wide, {etch::all, 4}) + slice(wide, {etch::all, -1}));
        g.output("gathered", take(row, argmax(x)) + slice(column, {etch::all, 0}));
    }
};

template <dtype d> struct reductions_of {
    constexpr void operator()(etch::graph& g) const {
        etch::dim shape[] = {g.dim("A"), g.dim("B"), g.dim("C")};
        expr x = input_of(g, d, "x", shape);
        int k = 0;
        auto put = [&](expr e) { g.output(etch::name("y", k++), e); };
        for (etch::axes a : {etch::axes(0), etch::axes(1), etch::axes(2), etch::axes({0, 2}),
                             etch::axes({1, 2}), etch::axes()}) {
            put(sum(x, a));
            put(max(x, a, etch::keepdims));
            put(min(x, a));
            put(prod(x, a, etch::keepdims));
        }
        for (int axis : {0, 1, 2}) put(argmax(x, axis));
        put(mean(x, 1));
    }
};

template <auto model>
void compare_with_evaluator(const reference::numbers& dims, const std::vector<tensor>& inputs,
                            double tolerance) {
    static constexpr const auto& frozen =
        etch::detail::planned<model, etch::plan_options{}>::frozen;
    const auto& view = etch::plan<model>.view();
    etch::graph g;
    model(g);
    reference::evaluator exact(g, dims, inputs);
    auto expected_outputs = exact.outputs();
    auto compiled = reference::execute(view, etch::cpu::kernels_of<frozen>(), dims, inputs, {});
    etch::cpu::interpreter_kernels interpreted(view);
    auto other = reference::execute(view, interpreted.entries(), dims, inputs, {});
    for (std::size_t i = 0; i < expected_outputs.size(); ++i) {
        INFO(view.text_of(view.outputs[i].name));
        CHECK(reference::difference(compiled.outputs[i], expected_outputs[i]) <= tolerance);
        CHECK(reference::difference(other.outputs[i], compiled.outputs[i]) <= tolerance / 4);
    }
}
tensor filled(dtype d, reference::numbers shape, unsigned seed, double low = -2, double high = 2) {
    tensor t(d, std::move(shape));
    auto values = samples(d, {low, high}, t.count(), seed);
    for (std::size_t i = 0; i < t.count(); ++i) t.set(i, values[i]);
    return t;
}
template <dtype d> void check_reductions() {
    for (const reference::numbers& dims :
         {reference::numbers{3, 5, 7}, {1, 1, 1}, {2, 17, 33}, {40, 2, 16}, {16, 70, 3}}) {
        tensor x = filled(d, dims, 5);
        compare_with_evaluator<reductions_of<d>{}>(dims, {x}, 2e-5);
        if (!x.floating()) continue;
        for (std::size_t i = 0; i < x.count(); i += 11)
            x.real[i] = i % 3 == 0 ? HUGE_VAL : -HUGE_VAL;
        compare_with_evaluator<reductions_of<d>{}>(dims, {x}, 2e-5);
        for (std::size_t i = 2; i < x.count(); i += 17) x.real[i] = std::nan("");
        compare_with_evaluator<reductions_of<d>{}>(dims, {x}, 2e-5);
    }
}

/// The derivative of the sum of every smooth row by its operands, on the row's domain.
struct derivatives {
    constexpr void operator()(etch::graph& g) const {
        auto N = g.dim("N");
        auto u = g.input<float>("u", {N}), v = g.input<float>("v", {N});  // in [0, 1]
        for (op_id op = 0; op < etch::op_count; ++op) {
            const auto& row = etch::row_of(op);
            if (!plain(op) || row.cuts || !takes(row, dtype::float32) ||
                op == etch::op_of<etch::identity_row>())
                continue;
            expr a = row.sample[0].low + (row.sample[0].high - row.sample[0].low) * u;
            expr b = row.sample[1].low + (row.sample[1].high - row.sample[1].low) * v;
            auto d = etch::grad(sum(applied(op, a, b) * (1 + u)), {u, v}, etch::allow_disconnected);
            g.output(etch::name(row.name, 0), d[0]);
            g.output(etch::name(row.name, 1), d[1]);
        }
    }
};

}  // namespace

TEST_CASE("rows on float32") { check_rows<dtype::float32>(); }
TEST_CASE("rows on float64") { check_rows<dtype::float64>(); }
TEST_CASE("rows on int32") { check_rows<dtype::int32>(); }
TEST_CASE("rows on int64") { check_rows<dtype::int64>(); }
TEST_CASE("rows on bool") { check_rows<dtype::boolean>(); }

TEST_CASE("operands that are broadcast, transposed, reversed or cut") {
    for (const reference::numbers& dims :
         {reference::numbers{5, 3}, {1, 1}, {17, 33}, {2, 100}, {70, 16}}) {
        auto n = dims[0], m = dims[1];
        compare_with_evaluator<other_ways{}>(
            dims,
            {filled(dtype::float32, {n, m}, 6), filled(dtype::float32, {m, n}, 7, 1, 3),
             filled(dtype::float32, {m}, 8), filled(dtype::float32, {n, 1}, 9),
             filled(dtype::float32, {n, 7}, 10)},
            1e-6);
    }
}

TEST_CASE("reductions of float32 over each axis, with inf and nan") {
    check_reductions<dtype::float32>();
}
TEST_CASE("reductions of int64 over each axis") { check_reductions<dtype::int64>(); }

TEST_CASE("compiled derivatives of all rows are the evaluator's") {
    for (std::int64_t n : {1, 37, 400})
        compare_with_evaluator<derivatives{}>({n},
                                              {filled(dtype::float32, {n}, 11, 0.05, 0.95),
                                               filled(dtype::float32, {n}, 12, 0.05, 0.95)},
                                              2e-4);
}
