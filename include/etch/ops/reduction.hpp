// SPDX-License-Identifier: MIT
// Ops that combine the elements along axes. Attributes are the axes that go, sorted. A row says how two partial results
// join (`combine`) and what an empty one is (`neutral`); `cuda` is the joining of $0 and $1.
#pragma once
#include <limits>

#include <etch/expr/operators.hpp>
#include <etch/ops/movement.hpp>

namespace etch {

struct reduction : any_row {
    static constexpr int arity = 1;
    static constexpr op_class kind = op_class::reduction;
    static constexpr type infer(inference& i) {
        type t = i.operand(0), r{t.element, 0, {}};
        for (int axis = 0; axis < t.rank; ++axis) {
            bool gone = false;
            for (auto a : i.attributes) gone = gone || a == axis;
            if (!gone) r.push(t[axis]);
        }
        return r;
    }
    /// dy, or the result, in the operand's shape.
    template <class E> static constexpr E spread(const pullback<E>& p, E y) {
        detail::words a;
        for (int i = 0; i < p.attribute_count(); ++i) a.push_back(p.attribute(i));
        return detail::broadcast(detail::view<expand_dims_row>(y, a), p.operand(0).of());
    }
};

struct sum_row : reduction {
    static constexpr std::string_view name = "sum";
    template <class T> static constexpr T neutral() { return T(0); }
    static constexpr auto combine(auto a, auto b) { return a + b; }
    static constexpr std::string_view cuda = "$0 + $1";
    template <class E> static constexpr E derivative(const pullback<E>& p) {
        return spread(p, p.dy());
    }
};
struct product_row : reduction {
    static constexpr std::string_view name = "prod";
    static constexpr domain sample[3]{{0.5, 1.5}};
    template <class T> static constexpr T neutral() { return T(1); }
    static constexpr auto combine(auto a, auto b) { return a * b; }
    static constexpr std::string_view cuda = "$0 * $1";
    template <class E> static constexpr E derivative(const pullback<E>& p) {
        // The product of the others: y / x; where the only 0 stands, the product of what is not 0; at one of two zeros
        // the other one (0, but not its derivative) times that; else 0.
        E x = p.operand(0), zero = equal(x, 0), filled = where(zero, 1, x);
        flat_list<int> reduced;
        for (int i = 0; i < p.attribute_count(); ++i)
            reduced.push_back(static_cast<int>(p.attribute(i)));
        const axes which(reduced);
        E nonzero = spread(p, prod(filled, which)),
          zeros = spread(p, sum(cast(zero, x.element()), which));
        E other_zero = spread(p, sum(where(zero, x, 0), which)) - x;
        E at_zero =
            where(equal(zeros, 1), nonzero, where(equal(zeros, 2), nonzero * other_zero, 0));
        return spread(p, p.dy()) * where(zero, at_zero, spread(p, p.result()) / filled);
    }
};
struct extremum : reduction {
    template <class E> static constexpr E derivative(const pullback<E>& p) {
        E x = p.operand(0), chosen = cast(equal(x, spread(p, p.result())), x.element());
        flat_list<int> reduced;
        for (int i = 0; i < p.attribute_count(); ++i)
            reduced.push_back(static_cast<int>(p.attribute(i)));
        return chosen * spread(p, p.dy() / sum(chosen, axes(reduced)));
    }
};
struct max_row : extremum {
    static constexpr std::string_view name = "max";
    template <class T> static constexpr T neutral() {
        if constexpr (std::numeric_limits<T>::has_infinity)
            return -std::numeric_limits<T>::infinity();
        else
            return std::numeric_limits<T>::lowest();
    }
    static constexpr auto combine(auto a, auto b) { return maximum_row::cpu(a, b); }
    static constexpr std::string_view cuda = maximum_row::cuda;
};
struct min_row : extremum {
    static constexpr std::string_view name = "min";
    template <class T> static constexpr T neutral() {
        if constexpr (std::numeric_limits<T>::has_infinity)
            return std::numeric_limits<T>::infinity();
        else
            return std::numeric_limits<T>::max();
    }
    static constexpr auto combine(auto a, auto b) { return minimum_row::cpu(a, b); }
    static constexpr std::string_view cuda = minimum_row::cuda;
};
struct argmax_row : reduction {  // keeps the index beside the value: back ends know it by name
    static constexpr std::string_view name = "argmax";
    static constexpr bool cuts = true;
    static constexpr type infer(inference& i) {
        type t = reduction::infer(i);
        t.element = dtype::int32;
        return t;
    }
    template <class T> static constexpr T neutral() { return max_row::neutral<T>(); }
    static constexpr auto combine(auto a, auto b) { return maximum_row::cpu(a, b); }
    static constexpr std::string_view cuda =
        "($1 > $0 || ($1 != $1 && $0 == $0))";  // whether the new one wins
    template <class E> static constexpr E derivative(const pullback<E>& p) { return p.dy(); }
};

namespace detail {
template <class Row>
constexpr expr reduce(expr x, const axes& which, bool keep, bool needs_one = false) {
    graph& g = *x.g;
    if (!x.valid()) return x;
    type t = x.of();
    auto sorted = normalize_axes(g, Row::name, which, t.rank);
    if (g.failed()) return poison(&g);
    if (sorted.empty())
        return Row::name == argmax_row::name ? cast(zeros_like(x), dtype::int32) : x;
    words a(sorted.begin(), sorted.end());
    if (needs_one)
        for (int axis : sorted) {
            text sentence;
            sentence << Row::name << ": axis " << axis << " of " << shape_text(g, t) << " is empty";
            g.require(t[axis], 1, sentence.view());
        }
    if (g.failed()) return poison(&g);
    expr r = view<Row>(x, a);
    return keep ? expand_dims(r, axes(sorted)) : r;
}
constexpr expr countable(expr x) {
    return x.valid() && is_boolean(x.element()) ? cast(x, dtype::int32) : x;
}
}  // namespace detail

/// Sum over axes (all, where none are named). bool is counted as int32; other dtypes stay. Of nothing it is 0.
constexpr expr sum(const operand& x, const axes& which = {}) {
    located here(x);
    return detail::reduce<sum_row>(detail::countable(detail::tensor(x, "sum")), which, false);
}
constexpr expr sum(const operand& x, const axes& which, keepdims_flag) {
    located here(x);
    return detail::reduce<sum_row>(detail::countable(detail::tensor(x, "sum")), which, true);
}
/// Product over axes. Of nothing it is 1.
constexpr expr prod(const operand& x, const axes& which = {}) {
    located here(x);
    return detail::reduce<product_row>(detail::countable(detail::tensor(x, "prod")), which, false);
}
constexpr expr prod(const operand& x, const axes& which, keepdims_flag) {
    located here(x);
    return detail::reduce<product_row>(detail::countable(detail::tensor(x, "prod")), which, true);
}
/// Largest element over axes; nan where one is nan. A tie shares the derivative. The axes must not be empty.
constexpr expr max(const operand& x, const axes& which = {}) {
    located here(x);
    return detail::reduce<max_row>(detail::countable(detail::tensor(x, "max")), which, false, true);
}
constexpr expr max(const operand& x, const axes& which, keepdims_flag) {
    located here(x);
    return detail::reduce<max_row>(detail::countable(detail::tensor(x, "max")), which, true, true);
}
/// Smallest element over axes; nan where one is nan. A tie shares the derivative. The axes must not be empty.
constexpr expr min(const operand& x, const axes& which = {}) {
    located here(x);
    return detail::reduce<min_row>(detail::countable(detail::tensor(x, "min")), which, false, true);
}
constexpr expr min(const operand& x, const axes& which, keepdims_flag) {
    located here(x);
    return detail::reduce<min_row>(detail::countable(detail::tensor(x, "min")), which, true, true);
}
/// int32 index of the first largest element along an axis, the last where none is named.
constexpr expr argmax(const operand& x, int axis = -1) {
    located here(x);
    return detail::reduce<argmax_row>(detail::countable(detail::tensor(x, "argmax")), axis, false,
                                      true);
}
/// int32 index of the first smallest element along an axis, the last where none is named.
constexpr expr argmin(const operand& x, int axis = -1) {
    located here(x);
    return argmax(negative(x), axis);
}

namespace detail {
/// How many elements a reduction over `which` joins.
constexpr dim count_along(expr x, const axes& which) {
    dim n = 1;
    type t = x.of();
    for (int axis : normalize_axes(*x.g, "mean", which, t.rank)) n = n * dim(x.g, t[axis]);
    return n;
}
constexpr expr mean(const operand& x, const axes& which, bool keep) {
    located here(x);
    expr t = tensor(x, "mean");
    if (!t.valid()) return t;
    if (!is_floating(t.element())) t = cast(t, dtype::float32);
    expr s = reduce<sum_row>(t, which, keep);
    if (!s.valid()) return s;
    return map<divide_row>(operand(s), operand(count_along(t, which)));
}
}  // namespace detail
/// Arithmetic mean over axes; of bool and integers it is float32, of nothing nan.
constexpr expr mean(const operand& x, const axes& which = {}) {
    return detail::mean(x, which, false);
}
constexpr expr mean(const operand& x, const axes& which, keepdims_flag) {
    return detail::mean(x, which, true);
}

using reduction_rows = rows<sum_row, product_row, max_row, min_row, argmax_row>;

}  // namespace etch
