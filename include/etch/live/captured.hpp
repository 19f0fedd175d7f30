// SPDX-License-Identifier: MIT
// The second front end: a formula over live arrays, captured as a type when it is written and computed when it is
// assigned. `tanh(a * x + b)` is a captured<F, X...>: F names what is called, X are the operands, which are arrays (held
// by their handles), numbers, or captured formulas. All that the compiler needs is in the type (what is called, dtypes,
// ranks), so that each formula is compiled once; numbers and extents come with each assignment.
#pragma once
#include <concepts>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

#include <etch/expr/formulas.hpp>

namespace etch {

template <class T, int axes_of> class array;  // run/array.hpp
class tensor;

namespace detail {

/// A number beside arrays: an integer, a floating number, or a bool.
template <class T> struct live_number { T value; };
template <class T>
using widest = std::conditional_t<std::same_as<T, bool>, bool,
                                  std::conditional_t<std::is_integral_v<T>, std::int64_t, double>>;
template <class T> constexpr live_number<widest<T>> number_from(T x) {
    if constexpr (std::unsigned_integral<T> && sizeof(T) == 8)
        if (x > static_cast<T>(std::numeric_limits<std::int64_t>::max()))
            throw mistake("assign: a number is larger than int64 holds");
    return {static_cast<widest<T>>(x)};
}

template <std::size_t i, class X> struct held_operand { X value; };
template <class Indices, class... X> struct held_operands;
template <std::size_t... i, class... X>
struct held_operands<std::index_sequence<i...>, X...> : held_operand<i, X>... {
    template <class V> constexpr void each(V&& visit) const {
        (visit(static_cast<const held_operand<i, X>&>(*this).value), ...);
    }
};

/// F over operands. F has a function apply(graph&, const operand*) that appends its nodes.
template <class F, class... X> struct captured {
    held_operands<std::index_sequence_for<X...>, X...> operands;

    /// The result as an array of its own.
    auto eval() const { return evaluated(*this); }
    /// Figures of the program that the formula is compiled to: kernels(), gemms() ... as etch::plan has them.
    static constexpr auto plan() { return plan_of_formula(static_cast<const captured*>(nullptr)); }
    /// A new tensor.
    template <std::same_as<etch::tensor> Tensor> operator Tensor() const {
        return evaluated(*this);
    }
    /// The number that a formula of rank 0 is.
    template <class T>
    requires std::is_arithmetic_v<T>
    operator T() const { return evaluated_number<T>(*this); }
};

template <class X> inline constexpr bool is_array = false;
template <class T, int axes_of> inline constexpr bool is_array<array<T, axes_of>> = true;
template <class X> inline constexpr bool is_captured = false;
template <class F, class... X> inline constexpr bool is_captured<captured<F, X...>> = true;
template <class X> inline constexpr bool is_live = is_array<X> || is_captured<X>;

/// An array or a captured formula.
template <class X>
concept live = is_live<std::remove_cvref_t<X>>;
template <class X>
concept captured_formula = is_captured<std::remove_cvref_t<X>>;
/// Whether X are operands of which at least one is live; a tensor is taken here, to be refused by a sentence.
template <class... X>
concept live_operands = (live<X> || ...) &&
                        ((live<X> || std::is_arithmetic_v<std::remove_cvref_t<X>> ||
                          std::same_as<std::remove_cvref_t<X>, etch::tensor>)&&...);

/// B may stand beside A.
template <class B, class A>
concept beside = live_operands<A, B>;

template <class X> constexpr auto as_operand(X&& x) {
    static_assert(!std::same_as<X, etch::tensor>,
                  "etch: a formula over arrays is compiled for a dtype and a rank, which a tensor "
                  "has at run time only: write etch::array<float, 2>(x)");
    if constexpr (std::is_arithmetic_v<X>)
        return number_from(x);
    else
        return X(std::move(x));
}
template <class X> using operand_type = decltype(as_operand(std::declval<X>()));

template <class F, std::size_t... i, class... X>
constexpr captured<F, operand_type<X>...> capture_each(std::index_sequence<i...>, X&... x) {
    return {{held_operand<i, operand_type<X>>{as_operand(std::move(x))}...}};
}
/// Takes the operands over: so a formula has one handle for each use of an array, however it was nested.
template <class F, class... X> constexpr auto capture_call(X&... x) {
    return capture_each<F>(std::index_sequence_for<X...>{}, x...);
}

// ---- what is called: a function of the language, as a type ------------------------------------------------------

template <expr (*f)(const operand&)> struct unary_call {
    static constexpr operand apply(graph&, const operand* x) { return {f(x[0]), x[0].where}; }
};
template <expr (*f)(const operand&, const operand&)> struct binary_call {
    static constexpr operand apply(graph&, const operand* x) { return {f(x[0], x[1]), x[0].where}; }
};
template <expr (*f)(const operand&, const operand&, const operand&)> struct ternary_call {
    static constexpr operand apply(graph&, const operand* x) {
        return {f(x[0], x[1], x[2]), x[0].where};
    }
};
constexpr expr same(const operand& x) { return {x.g, x.is_tensor() ? x.id : -1}; }
template <expr (*f)(const operand&, const axes&), class Along> struct axes_call {
    static constexpr operand apply(graph&, const operand* x) {
        return {f(x[0], Along()), x[0].where};
    }
};
template <expr (*f)(const operand&, const axes&, keepdims_flag), class Along> struct kept_call {
    static constexpr operand apply(graph&, const operand* x) {
        return {f(x[0], Along(), keepdims), x[0].where};
    }
};
template <expr (*f)(const operand&, int), int axis> struct axis_call {
    static constexpr operand apply(graph&, const operand* x) { return {f(x[0], axis), x[0].where}; }
};
template <expr (*f)(const operand&, const operand&, int), int axis> struct indexed_call {
    static constexpr operand apply(graph&, const operand* x) {
        return {f(x[0], x[1], axis), x[0].where};
    }
};
template <dtype d> struct cast_call {
    static constexpr operand apply(graph&, const operand* x) { return {cast(x[0], d), x[0].where}; }
};
/// A formula of the user's own, which has lines of its own.
template <auto formula, class... X> struct formula_call {
    static constexpr operand apply(graph& g, const operand* x) {
        operand y = call(x, std::index_sequence_for<X...>{});
        g.file = -1;
        return y;
    }

private:
    template <std::size_t... i>
    static constexpr operand call(const operand* x, std::index_sequence<i...>) {
        return {formula(argument<X>(x[i])...), std::source_location{}};
    }
    template <class A> static constexpr auto argument(const operand& x) {
        if constexpr (is_live<A>)
            return expr{x.g, x.id};
        else
            return x;
    }
};

}  // namespace detail
}  // namespace etch
