// SPDX-License-Identifier: MIT
// Random programs with the data to run them on, from a seed: what passes and back ends compute of them is compared with
// the reference evaluator. A program is evaluated while it is written, so that it stays finite, inside of each op's
// domain and away from kinks: a value that was rounded is never compared with one that is closer than `margin`, hence a
// computation in float32 takes the same branches.
#pragma once
#include <utility>

#include "evaluate.hpp"

namespace reference {

/// splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014): the same everywhere.
class dice {
public:
    explicit dice(std::uint64_t seed) : state(seed) {}
    std::uint64_t word() {
        std::uint64_t z = state += 0x9e3779b97f4a7c15;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
    int below(int n) { return static_cast<int>(word() % static_cast<std::uint64_t>(n)); }
    int between(int low, int high) { return low + below(high - low + 1); }
    bool chance(int percent) { return below(100) < percent; }

private:
    std::uint64_t state;
};

struct program {
    numbers dims;
    std::vector<tensor> inputs, parameters;
};
struct program_options {
    int least_ops = 10, most_ops = 40;
    std::int64_t most_elements = 400;  // of one value
    bool gradients = true, updates = true, draws = true, scans = true, float64 = true,
         integers = true, stop_gradients = true;
};

class program_writer {
    using expr = etch::expr;
    using dtype = etch::dtype;
    struct item {
        expr x;
        tensor value;
        bool exact;  // computed without rounding, also in float32
    };

public:
    program_writer(etch::graph& graph_in, std::uint64_t seed, const program_options& options_in)
        : g(graph_in), dice_(seed), options(options_in), reference_(graph_in) {}

    program write() {
        n = g.dim("N"), m = g.dim("M");
        reference_.dims = {dice_.between(1, 6), dice_.between(1, 5)};
        wide = options.float64 && dice_.chance(20);
        for (int i = dice_.between(2, 4); i-- > 0;)
            add_input(i == 0 ? dtype::float32 : any_dtype());
        for (int i = dice_.between(0, 2); i-- > 0;) add_parameter();
        int ops = dice_.between(options.least_ops, options.most_ops);
        for (int i = 0; i < ops; ++i) add_op();
        for (int i = dice_.between(2, 4); i-- > 0;) {
            const item& last = items[items.size() - 1 -
                                     static_cast<std::size_t>(dice_.below(std::min(6, count())))];
            add_output(last.x);
        }
        if (options.gradients && dice_.chance(60)) add_gradients();
        if (options.updates)
            for (const expr& w : weights)
                if (etch::detail::parameter_of(g, w.id)->update < 0 && dice_.chance(50))
                    g.update(w, 0.5 * w);
        return {reference_.dims, reference_.inputs, reference_.parameters};
    }

private:
    static constexpr double margin = 1e-3;
    etch::graph& g;
    dice dice_;
    program_options options;
    evaluator reference_;
    etch::dim n, m;
    std::vector<item> items;
    std::vector<expr> weights, sources;  // parameters; what may be differentiated by
    bool wide = false;
    int outputs = 0;

    // ---- values -----------------------------------------------------------------------------------------------
    int count() const { return static_cast<int>(items.size()); }
    std::int64_t size_of(const etch::type& t) const {
        std::int64_t product = 1;
        for (int i = 0; i < t.rank; ++i) product *= reference_.extent(t[i].code);
        return product;
    }
    std::int64_t size_of(expr x, int axis) const {
        return reference_.extent(x.size(axis).size.code);
    }
    tensor value_of(expr x) {
        while (reference_.parameters.size() <
               g.parameters.size())  // the key, made by the first draw
            reference_.parameters.emplace_back(dtype::int64, numbers{2}, std::vector<double>{7, 3});
        return reference_.value(x);
    }
    static bool finite(const tensor& t) {
        return std::all_of(t.real.begin(), t.real.end(), [](double x) { return std::isfinite(x); });
    }
    static double largest(const tensor& t) {
        double most = 0;
        for (double x : t.elements()) most = std::max(most, std::fabs(x));
        return most;
    }
    bool within(const item& i, etch::domain d) const {
        auto all = i.value.elements();
        return std::all_of(all.begin(), all.end(),
                           [&](double x) { return x >= d.low && x <= d.high; });
    }
    /// Takes x into the pool, made smaller where it grows.
    void keep(expr x, bool exact = false) {
        if (!x.valid() || size_of(x.of()) > options.most_elements) return;
        tensor t = value_of(x);
        if (!finite(t)) return;
        if (double most = largest(t); t.floating() && most > 20) {
            x = dice_.chance(50) ? tanh(x) : sin(0.125 * x);
            if (most > 1e6) return;
            exact = false;
            t = value_of(x);
        } else if (etch::is_integer(t.element) && most > 5000) {
            x = x % 97;
            t = value_of(x);
        }
        items.push_back({x, t, exact || !t.floating()});
    }
    bool smooth(expr distance, bool exact) {
        if (exact) return true;
        tensor t = value_of(distance);
        return std::all_of(t.real.begin(), t.real.end(),
                           [](double x) { return std::fabs(x) > margin; });
    }
    bool distinct(expr a, expr b, bool exact) { return exact || smooth(a - b, false); }
    /// Whether x is nowhere close to an integer.
    bool between_integers(expr x, bool exact) {
        if (exact) return true;
        for (double v : value_of(x).real)
            if (std::fabs(v - std::round(v)) < margin) return false;
        return true;
    }

    // ---- choices ----------------------------------------------------------------------------------------------
    dtype any_dtype() {
        int k = dice_.below(100);
        if (k < 55 || !options.integers)
            return wide && k % 3 == 0 ? dtype::float64 : dtype::float32;
        return k < 75 ? dtype::int32 : k < 85 ? dtype::int64 : dtype::boolean;
    }
    std::vector<etch::dim> any_shape(int most_rank, bool named) {
        std::vector<etch::dim> shape;
        int rank = dice_.below(20) == 0 ? 4 : dice_.between(0, most_rank);
        for (int i = 0; i < rank; ++i) {
            int k = dice_.below(100);
            shape.push_back(named && k < 30   ? n
                            : named && k < 42 ? m
                                              : etch::dim(dice_.between(1, rank > 2 ? 4 : 7)));
        }
        return shape;
    }
    item any() { return items[static_cast<std::size_t>(dice_.below(count()))]; }
    template <class Predicate> item any(Predicate wanted) {
        for (int i = 0; i < 12; ++i)
            if (item x = any(); wanted(x)) return x;
        return items[0];  // the first input: floating
    }
    static bool floating(const item& i) { return i.value.floating(); }
    item any_floating(int least_rank = 0) {
        return any([&](const item& i) { return floating(i) && i.x.rank() >= least_rank; });
    }
    int any_axis(expr x) { return dice_.between(-x.rank(), x.rank() - 1); }
    etch::axes some_axes(expr x) {
        std::vector<int> list;
        for (int i = 0; i < x.rank(); ++i)
            if (dice_.chance(50)) list.push_back(dice_.chance(30) ? i - x.rank() : i);
        if (dice_.chance(30)) std::reverse(list.begin(), list.end());
        return list.empty() ? etch::axes{} : etch::axes(list);
    }
    bool joins(const item& a, const item& b) {
        dtype s = a.x.element(), t = b.x.element();
        if (s != t && ((etch::is_floating(s) && etch::is_floating(t)) ||
                       (etch::is_integer(s) && etch::is_integer(t))))
            return false;
        etch::type u = a.x.of(), v = b.x.of();
        std::int64_t elements = 1;
        for (int i = 1; i <= std::max(u.rank, v.rank); ++i) {
            etch::extent e = i <= u.rank ? u[u.rank - i] : etch::extent{1};
            etch::extent f = i <= v.rank ? v[v.rank - i] : etch::extent{1};
            if (!(e == f) && e.code != 1 && f.code != 1) return false;
            elements *= std::max(reference_.extent(e.code), reference_.extent(f.code));
        }
        return elements <= options.most_elements;
    }
    /// Something that a may be combined with.
    item partner(const item& a) {
        for (int i = 0; i < 10; ++i)
            if (item b = any(); joins(a, b)) return b;
        return a;
    }
    static double quarter(int k) { return 0.25 * k; }
    /// x moved into a domain, where it is not there already.
    item moved_into(const item& i, etch::domain d) {
        if (within(i, d)) return i;
        expr x = i.x;
        if (d.low == -d.high)
            x = d.high * (dice_.chance(50) ? tanh(x) : sin(x));
        else
            x = d.low + (d.high - d.low) * sigmoid(x);
        return {x, value_of(x), false};
    }

    // ---- leaves -----------------------------------------------------------------------------------------------
    expr declare(dtype d, std::string_view name, std::span<const etch::dim> shape) {
        switch (d) {
        case dtype::float64: return g.input<double>(name, shape);
        case dtype::float32: return g.input<float>(name, shape);
        case dtype::boolean: return g.input<bool>(name, shape);
        case dtype::int32: return g.input<std::int32_t>(name, shape);
        case dtype::int64: break;
        }
        return g.input<std::int64_t>(name, shape);
    }
    tensor data_for(expr x) {
        tensor t(x.element(), reference_.shape_of(x.id));
        for (std::size_t i = 0; i < t.count(); ++i)
            t.set(i, t.floating()                  ? dice_.between(-128, 128) / 64.0
                     : etch::is_boolean(t.element) ? dice_.below(2)
                                                   : dice_.between(-5, 9));
        return t;
    }
    void add_input(dtype d) {
        auto shape = any_shape(3, true);
        expr x = declare(d, etch::name("x", static_cast<int>(g.inputs.size())), shape);
        reference_.inputs.push_back(data_for(x));
        if (etch::is_floating(d)) sources.push_back(x);
        items.insert(etch::is_floating(d) ? items.begin() : items.end(),
                     item{x, reference_.inputs.back(), true});
    }
    void add_parameter() {
        struct zeros {
            static constexpr etch::initial_value initial(std::span<const std::int64_t>) {
                return {};
            }
        };
        auto shape = any_shape(2, false);
        auto name = etch::name("w", static_cast<int>(g.parameters.size()));
        expr w = wide && dice_.chance(30)
                     ? g.param<double>(name, std::span<const etch::dim>(shape), zeros{})
                     : g.param<float>(name, std::span<const etch::dim>(shape), zeros{});
        reference_.parameters.push_back(data_for(w));
        weights.push_back(w);
        sources.push_back(w);
        items.push_back({w, reference_.parameters.back(), true});
    }
    void add_output(expr x) { g.output(etch::name("y", outputs++), x); }

    // ---- ops --------------------------------------------------------------------------------------------------
    void add_op() {
        using step = void (program_writer::*)();
        static constexpr std::pair<int, step> steps[] = {
            {16, &program_writer::arithmetic}, {16, &program_writer::row_of_table},
            {5, &program_writer::kink},        {5, &program_writer::compare},
            {5, &program_writer::choose},      {8, &program_writer::reduction},
            {3, &program_writer::extremum},    {5, &program_writer::permutation},
            {7, &program_writer::part},        {5, &program_writer::reshaped},
            {4, &program_writer::joined},      {3, &program_writer::padded},
            {6, &program_writer::product},     {4, &program_writer::lookup},
            {4, &program_writer::converted},   {5, &program_writer::along_rows},
            {3, &program_writer::entropy},     {4, &program_writer::spread},
            {2, &program_writer::counted},     {2, &program_writer::drawn},
            {2, &program_writer::loop},
        };
        int total = 0;
        for (const auto& s : steps) total += s.first;
        int k = dice_.below(total);
        for (const auto& [weight, write_one] : steps)
            if ((k -= weight) < 0) return (this->*write_one)();
    }

    void arithmetic() {
        item a = any(), b = partner(a);
        bool swap = dice_.chance(50);
        double literal = quarter(dice_.between(-8, 8));
        switch (dice_.below(9)) {
        case 0: return keep(a.x + b.x);
        case 1: return keep(a.x - b.x);
        case 2: return keep(a.x * b.x);
        case 3:
            if (a.x.element() == dtype::float64 && !floating(b))
                return;  // a quotient of integers is float32
            return keep(a.x / moved_into(b, {0.5, 12}).x);
        case 4: return keep(swap ? a.x * literal : literal - a.x);
        case 5: return keep(swap ? a.x + dice_.between(-3, 3) : dice_.between(-3, 3) * a.x);
        case 6: return keep(a.x * n);
        case 7: return keep(a.x / n);
        default: break;
        }
        if (!floating(a) && !floating(b)) return keep(swap ? a.x % b.x : floor_divide(a.x, b.x));
        keep(power(moved_into(a, {0.3, 3}).x,
                   dice_.chance(50) ? etch::operand(2) : etch::operand(literal)));
    }
    /// Any smooth elementwise row on floating operands: one that is added to the table is drawn from then on.
    void row_of_table() {
        auto op = static_cast<etch::op_id>(dice_.below(static_cast<int>(etch::op_count)));
        const auto& row = etch::row_of(op);
        for (std::string_view kink :
             {"abs", "sign", "floor", "floor_divide", "remainder", "maximum", "minimum", "relu"})
            if (row.name == kink) return;
        if (row.kind != etch::op_class::elementwise || row.arity > 2 || row.name == "identity" ||
            row.name == "cast" || row.result == etch::gives::boolean ||
            row.takes == etch::accepts::boolean || row.takes == etch::accepts::integer ||
            (row.name == "stop_gradient" && !options.stop_gradients))
            return;
        item a = any_floating();
        item b = any([&](const item& i) { return i.x.of() == a.x.of(); });
        if (!(b.x.of() == a.x.of())) b = a;
        a = moved_into(a, row.sample[0]), b = moved_into(b, row.sample[1]);
        int ids[] = {a.x.id, b.x.id};
        keep(etch::detail::append(
            g, op, std::span<const int>(ids, static_cast<std::size_t>(row.arity)), {}));
    }
    void kink() {
        item a = any(), b = partner(a);
        expr x = a.x, y = b.x;
        bool exact = a.exact && b.exact, real = floating(a);
        switch (dice_.below(8)) {
        case 0: return smooth(x, a.exact) ? keep(relu(x), a.exact) : void();
        case 1: return smooth(x, a.exact) ? keep(abs(x), a.exact) : void();
        case 2: return smooth(x, a.exact) ? keep(sign(x), a.exact) : void();
        case 3: return real && between_integers(x, a.exact) ? keep(floor(x), a.exact) : void();
        case 4: return distinct(x, y, exact) ? keep(maximum(x, y), exact) : void();
        case 5: return distinct(x, y, exact) ? keep(minimum(x, y), exact) : void();
        case 6:
            if (!real || !between_integers(x / 1.5, false)) return;
            return dice_.chance(50) ? keep(remainder(x, 1.5)) : keep(floor_divide(x, 1.5), true);
        default: return real && a.exact ? keep(clip(x, -0.75, 0.5), true) : void();
        }
    }
    void compare() {
        item a = any(), b = partner(a);
        bool exact = a.exact && b.exact;
        if (!distinct(a.x, b.x, exact)) return;
        switch (dice_.below(7)) {
        case 0: return keep(a.x < b.x);
        case 1: return keep(a.x <= b.x);
        case 2: return keep(a.x > b.x);
        case 3: return keep(a.x >= b.x);
        case 4: return keep(equal(a.x, b.x));
        case 5: return keep(not_equal(a.x, b.x));
        default: return a.exact ? keep(a.x > 0.25) : void();
        }
    }
    void choose() {
        auto boolean = [](const item& i) { return etch::is_boolean(i.x.element()); };
        item c = any(boolean);
        if (!boolean(c)) return;
        item d = any(boolean), a = any([&](const item&i) { return joins(c, i); });
        if (!joins(c, a)) return;
        if (dice_.chance(25) && boolean(d) && joins(c, d)) {
            return keep(dice_.chance(50) ? c.x && d.x : dice_.chance(50) ? c.x || d.x : !c.x);
        }
        if (dice_.chance(40)) return keep(where(c.x, a.x, quarter(dice_.between(-4, 4))), a.exact);
        expr x = where(c.x, a.x, 0);
        item first{x, value_of(x), a.exact}, b = partner(first);
        keep(where(c.x, first.x, b.x), a.exact && b.exact && a.x.element() == b.x.element());
    }
    void reduction() {
        item a = any();
        auto axes = some_axes(a.x);
        bool kept = dice_.chance(40);
        switch (dice_.below(4)) {
        case 0: return keep(kept ? sum(a.x, axes, etch::keepdims) : sum(a.x, axes));
        case 1: return keep(kept ? mean(a.x, axes, etch::keepdims) : mean(a.x, axes));
        case 2: return keep(kept ? variance(a.x, axes, etch::keepdims) : variance(a.x, axes));
        default: break;
        }
        expr x = floating(a) ? moved_into(a, {0.5, 1.5}).x : sign(a.x);
        keep(kept ? prod(x, axes, etch::keepdims) : prod(x, axes));
    }
    void extremum() {
        item a = any();
        bool exact = a.exact;
        if (!exact) {
            auto all = a.value.elements();  // no two elements are close, whichever meet
            std::sort(all.begin(), all.end());
            for (std::size_t i = 1; i < all.size(); ++i)
                if (all[i] - all[i - 1] < margin) return;
        }
        auto axes = some_axes(a.x);
        switch (dice_.below(4)) {
        case 0: return keep(max(a.x, axes), exact);
        case 1: return keep(min(a.x, axes, etch::keepdims), exact);
        case 2: return a.x.rank() > 0 ? keep(argmax(a.x, any_axis(a.x))) : void();
        default: return a.x.rank() > 0 ? keep(argmin(a.x, any_axis(a.x))) : void();
        }
    }
    void permutation() {
        item a = any([](const item& i) { return i.x.rank() > 1; });
        if (a.x.rank() < 2) return keep(identity(a.x), a.exact);
        std::vector<int> order;
        for (int i = 0; i < a.x.rank(); ++i) order.insert(order.begin() + dice_.between(0, i), i);
        keep(dice_.chance(30) ? transpose(a.x) : transpose(a.x, etch::axes(order)), a.exact);
    }
    void part() {
        item a = any([](const item& i) { return i.x.rank() > 0; });
        if (dice_.chance(25)) return keep(flip(a.x, some_axes(a.x)), a.exact);
        std::vector<etch::slice_item> list;
        for (int axis = 0; axis < a.x.rank(); ++axis) {
            auto extent = static_cast<int>(size_of(a.x, axis));
            bool named = !a.x.size(axis).size.is_static();
            int from = dice_.below(extent), length = dice_.between(1, extent - from);
            switch (dice_.below(6)) {
            case 0: list.push_back(dice_.chance(50) ? from : from - extent); break;
            case 1: list.push_back(etch::range(from, etch::none)); break;
            case 2:
                list.push_back(
                    etch::range(from, named ? from + length : from + length + dice_.below(3)));
                break;
            case 3:
                list.push_back(
                    etch::range(etch::none, etch::none, named ? -1 : -dice_.between(1, 3)));
                break;
            case 4:
                if (named)
                    list.push_back(etch::range(etch::none, a.x.size(axis) - from));
                else
                    list.push_back(etch::range(from, etch::none, dice_.between(1, 3)));
                break;
            default: list.push_back(etch::all);
            }
        }
        keep(slice(a.x, std::span<const etch::slice_item>(list)), a.exact);
    }
    void reshaped() {
        item a = any();
        std::vector<etch::dim> shape;
        if (a.x.rank() == 0 || dice_.chance(30)) {
            shape.push_back(-1);
            if (dice_.chance(30)) shape.insert(shape.begin() + dice_.below(2), etch::dim(1));
        } else {  // two neighbours joined, or one axis cut
            int axis = dice_.below(a.x.rank());
            etch::dim e = a.x.size(axis);
            for (int i = 0; i < a.x.rank(); ++i) {
                if (i != axis) {
                    shape.push_back(a.x.size(i));
                } else if (i > 0 && dice_.chance(50)) {
                    shape.back() = shape.back() * e;
                } else if (int factor = dice_.between(2, 3);
                           e.size.is_static() && e.size.code % factor == 0) {
                    shape.push_back(factor);
                    shape.push_back(e.size.code / factor);
                } else {
                    shape.push_back(e);
                    shape.push_back(1);
                }
            }
        }
        keep(reshape(a.x, std::span<const etch::dim>(shape)), a.exact);
    }
    void joined() {
        item a = any();
        item b = any([&](const item& i) { return i.x.of() == a.x.of(); });
        if (!(b.x.of() == a.x.of())) b = a;
        bool exact = a.exact && b.exact;
        if (a.x.rank() < 4 && dice_.chance(40)) {
            return keep(etch::stack({a.x, b.x}, dice_.between(-a.x.rank() - 1, a.x.rank())), exact);
        }
        if (a.x.rank() == 0) return;
        int axis = any_axis(a.x);
        if (dice_.chance(40)) {
            std::vector<etch::slice_item> list(static_cast<std::size_t>(a.x.rank()), etch::all);
            list[static_cast<std::size_t>(axis < 0 ? axis + a.x.rank() : axis)] = etch::range(0, 1);
            b.x = slice(b.x, std::span<const etch::slice_item>(list));
        }
        keep(etch::concatenate({a.x, b.x, a.x}, axis), exact);
    }
    void padded() {
        item a = any();
        etch::dim p = dice_.below(3), q = dice_.below(2);
        switch (a.x.rank()) {
        case 1: return keep(pad(a.x, {{p, q}}), a.exact);
        case 2: return keep(pad(a.x, {{q, p}, {p, 0}}, 1), a.exact);
        case 3: return keep(pad(a.x, {{0, 1}, {q, q}, {p, 0}}), a.exact);
        default: return;
        }
    }
    void product() {
        item a = any([](const item& i) { return i.x.rank() > 0; });
        if (a.x.rank() == 0) return;
        auto fits = [&](const item& b) {
            int rank = b.x.rank();
            if (rank == 0 || !(a.x.size(-1).size == b.x.size(rank == 1 ? 0 : -2).size))
                return false;
            if (rank > 2) return a.x.of() == b.x.of();
            return b.x.element() == a.x.element() &&
                   size_of(a.x.of()) * (rank == 1 ? 1 : size_of(b.x, -1)) <= 3000;
        };
        if (item b = any(fits); fits(b))
            return keep(dice_.chance(70) ? matmul(a.x, b.x) : dot(a.x, b.x));
        if (a.x.rank() < 2 || size_of(a.x.of()) * size_of(a.x, -2) > 3000) return;
        keep(dice_.chance(50) ? matmul(a.x, matrix_transpose(a.x))
                              : matmul(matrix_transpose(a.x), a.x));
    }
    void lookup() {
        item a = any([](const item& i) { return i.x.rank() > 0; });
        item i =
            any([](const item& x) { return etch::is_integer(x.x.element()) && x.x.rank() <= 2; });
        if (a.x.rank() == 0 || a.x.rank() + i.x.rank() > 5 || !etch::is_integer(i.x.element()))
            return;
        int axis = any_axis(a.x);
        expr at = remainder(i.x, size(a.x, axis));
        if (dice_.chance(30)) at = at - size(a.x, axis);
        keep(take(a.x, at, axis), a.exact);
        if (a.x.rank() > 3) return;
        keep(take_along_axis(a.x, remainder(etch::iota(g, shape_of(a.x), axis), size(a.x, axis)),
                             axis),
             a.exact);
    }
    std::vector<etch::dim> shape_of(expr x) const {
        std::vector<etch::dim> shape;
        for (int i = 0; i < x.rank(); ++i) shape.push_back(x.size(i));
        return shape;
    }
    void converted() {
        item a = any();
        dtype d = any_dtype();
        if (floating(a) && etch::is_boolean(d) && !smooth(a.x, a.exact)) return;
        if (floating(a) && etch::is_integer(d) && !between_integers(a.x, a.exact)) return;
        keep(cast(a.x, d), a.exact);
    }
    void along_rows() {
        item a = any_floating(1);
        if (a.x.rank() == 0) return;
        int axis = any_axis(a.x);
        switch (dice_.below(6)) {
        case 0: return keep(softmax(a.x, axis));
        case 1: return keep(log_softmax(a.x, axis));
        case 2: return keep(logsumexp(a.x, axis));
        case 3: return keep(normalize(a.x, axis, 0.01));
        case 4: return keep(gelu(a.x));
        default: return keep(silu(a.x));
        }
    }
    void entropy() {
        item a = any_floating(1);
        if (a.x.rank() == 0) return;
        if (dice_.chance(30)) return keep(cross_entropy(a.x, softmax(a.x * 0.5)));
        auto shape = shape_of(a.x);
        shape.pop_back();
        expr label =
            shape.empty()
                ? etch::constant<int>(g, {}, {dice_.below(9)})
                : 2 * etch::iota(g, shape, dice_.below(static_cast<int>(shape.size()))) + 1;
        keep(cross_entropy(a.x, remainder(label, a.x.size(-1))));
    }
    void spread() {
        item a = any();
        if (a.x.rank() < 4 && dice_.chance(50))
            return keep(expand_dims(a.x, dice_.between(-a.x.rank() - 1, a.x.rank())), a.exact);
        if (dice_.chance(40)) return keep(squeeze(a.x), a.exact);
        auto shape = shape_of(a.x);
        for (auto& e : shape)
            if (e.size.code == 1) e = n;
        if (shape.size() < 4) shape.insert(shape.begin(), m);
        keep(broadcast_to(a.x, std::span<const etch::dim>(shape)), a.exact);
    }
    void counted() {
        auto shape = any_shape(2, true);
        if (shape.empty()) return keep(etch::constant<float>(g, {3}, {-1, 0.5, 2}), true);
        dtype d = any_dtype();
        if (!etch::is_boolean(d))
            keep(etch::iota(g, shape, dice_.below(static_cast<int>(shape.size())), d), true);
    }
    void drawn() {
        if (!options.draws) return;
        item a = any_floating();
        auto shape = shape_of(a.x);
        switch (dice_.below(3)) {
        case 0: return keep(etch::uniform(g, shape, -1, 1, a.x.element()));
        case 1: return keep(etch::normal(g, shape, 0, 1, a.x.element()));
        default: return keep(where(etch::bernoulli(g, shape, 0.75), a.x / 0.75, 0));
        }
    }
    void loop() {
        item a = any_floating(1), b = any_floating();
        if (!options.scans || a.x.rank() == 0 || b.x.element() != a.x.element()) return;
        expr first = slice(a.x, {0}), captured = tanh(mean(b.x));
        expr column = a.x;  // of the last axis' extent, and a square matrix of it
        while (column.rank() > 1) column = mean(column, 0);
        expr matrix = tanh(expand_dims(column, 1) * expand_dims(column, 0));
        int kind = dice_.below(a.x.rank() == 1 ? 3 : 5);
        auto step = [&](expr x, expr c) {
            if (kind == 3) return tanh(matmul(x, matrix) + captured * c);
            if (kind == 4) return tanh(matmul(0.5 * c, matrix) + matmul(sin(x), matrix));
            if (kind == 0) return tanh(x + captured * c);
            if (kind == 1) return 0.5 * c + sin(x);
            return c * sigmoid(x) + 0.25 * x;
        };
        auto r = etch::scan(step, a.x, first);
        keep(r.last);
        keep(r.all);
    }

    void add_gradients() {
        item a = any_floating();
        if (items.size() > 6)
            for (std::size_t i = items.size() - 1; i > items.size() - 6; --i)
                if (floating(items[i])) a = items[i];
        expr loss = dice_.chance(50) ? mean(square(a.x)) : sum(tanh(a.x));
        auto d = etch::grad(loss, sources, etch::allow_disconnected);
        if (dice_.chance(25)) {
            expr total = sum(cast<double>(square(d[0])));
            for (expr e : d) total = total + sum(cast<double>(tanh(e)));
            d = etch::grad(total, sources, etch::allow_disconnected);
        }
        for (std::size_t i = 0; i < d.size(); ++i) {
            tensor t = value_of(d[i]);
            if (!finite(t) || largest(t) > 1e4) continue;
            bool is_weight = etch::detail::parameter_of(g, sources[i].id) != nullptr;
            if (options.updates && is_weight && dice_.chance(60))
                g.update(sources[i], sources[i] - 0.03125 * d[i]);
            else
                add_output(d[i]);
        }
        add_output(loss);
    }
};

/// Writes a program into an empty graph.
inline program random_program(etch::graph& g, std::uint64_t seed,
                              const program_options& options = {}) {
    return program_writer(g, seed, options).write();
}

}  // namespace reference
