// SPDX-License-Identifier: MIT
// The functions of the language over live arrays: one line each, which names the function. What it means is said where
// the function is (ops/, expr/formulas.hpp). A function that has no line here is called through etch::map.
#pragma once
#include <etch/live/captured.hpp>

namespace etch {

namespace detail {

/// Axes as a type; they convert to what models take.
template <int... axis> struct along_axes {
    constexpr operator axes() const { return {axis...}; }
    constexpr operator int() const requires(sizeof...(axis) == 1) { return (axis, ...); }
};
/// The one axis of a function that takes one, which is the last where none is named.
template <class W> inline constexpr int one_axis = -1;
template <int axis> inline constexpr int one_axis<along_axes<axis>> = axis;

template <class W> inline constexpr bool are_axes = false;
template <int... axis> inline constexpr bool are_axes<along_axes<axis...>> = true;
template <class W> inline constexpr bool is_one_axis = false;
template <int axis> inline constexpr bool is_one_axis<along_axes<axis>> = true;
template <class W> constexpr void check_axes() {
    static_assert(are_axes<W>,
                  "etch: the axes of a formula over arrays are part of its type: write "
                  "sum(x, etch::along<0>)");
}
template <class W> constexpr void check_axis() {
    check_axes<W>();
    static_assert(!are_axes<W> || is_one_axis<W> || std::same_as<W, along_axes<>>,
                  "etch: this function takes one axis");
}

template <expr (*f)(const operand&), class X> constexpr auto capture(X& x) {
    return capture_call<unary_call<f>>(x);
}
template <expr (*f)(const operand&, const operand&), class A, class B>
constexpr auto capture(A& a, B& b) {
    return capture_call<binary_call<f>>(a, b);
}
template <expr (*f)(const operand&, const operand&, const operand&), class A, class B, class C>
constexpr auto capture(A& a, B& b, C& c) {
    return capture_call<ternary_call<f>>(a, b, c);
}
template <expr (*f)(const operand&, const axes&), class X, class W>
constexpr auto capture_along(X& x, W) {
    check_axes<W>();
    return capture_call<axes_call<f, W>>(x);
}
template <expr (*f)(const operand&, const axes&, keepdims_flag), class X, class W>
constexpr auto capture_kept(X& x, W) {
    check_axes<W>();
    return capture_call<kept_call<f, W>>(x);
}
template <expr (*f)(const operand&, int), class X, class W> constexpr auto capture_axis(X& x, W) {
    check_axis<W>();
    return capture_call<axis_call<f, one_axis<W>>>(x);
}

}  // namespace detail

/// Axes that are known while compiling: sum(x, etch::along<0, -1>). Models take them as well.
template <int... axis> inline constexpr detail::along_axes<axis...> along{};

// ---- ops/elementwise.hpp, ops/logic.hpp: every row of the table (tests/cpu/live.cpp asks for it) -----------------
constexpr auto negative(detail::live auto x) { return detail::capture<negative>(x); }
constexpr auto abs(detail::live auto x) { return detail::capture<abs>(x); }
constexpr auto sign(detail::live auto x) { return detail::capture<sign>(x); }
constexpr auto floor(detail::live auto x) { return detail::capture<floor>(x); }
constexpr auto reciprocal(detail::live auto x) { return detail::capture<reciprocal>(x); }
constexpr auto square(detail::live auto x) { return detail::capture<square>(x); }
constexpr auto sqrt(detail::live auto x) { return detail::capture<sqrt>(x); }
constexpr auto exp(detail::live auto x) { return detail::capture<exp>(x); }
constexpr auto expm1(detail::live auto x) { return detail::capture<expm1>(x); }
constexpr auto log(detail::live auto x) { return detail::capture<log>(x); }
constexpr auto log1p(detail::live auto x) { return detail::capture<log1p>(x); }
constexpr auto sin(detail::live auto x) { return detail::capture<sin>(x); }
constexpr auto cos(detail::live auto x) { return detail::capture<cos>(x); }
constexpr auto tanh(detail::live auto x) { return detail::capture<tanh>(x); }
constexpr auto sigmoid(detail::live auto x) { return detail::capture<sigmoid>(x); }
constexpr auto softplus(detail::live auto x) { return detail::capture<softplus>(x); }
constexpr auto relu(detail::live auto x) { return detail::capture<relu>(x); }
constexpr auto erf(detail::live auto x) { return detail::capture<erf>(x); }
constexpr auto stop_gradient(detail::live auto x) { return detail::capture<stop_gradient>(x); }
constexpr auto identity(detail::live auto x) { return detail::capture<identity>(x); }
template <class A, detail::beside<A> B> constexpr auto add(A a, B b) {
    return detail::capture<add>(a, b);
}
template <class A, detail::beside<A> B> constexpr auto subtract(A a, B b) {
    return detail::capture<subtract>(a, b);
}
template <class A, detail::beside<A> B> constexpr auto multiply(A a, B b) {
    return detail::capture<multiply>(a, b);
}
template <class A, detail::beside<A> B> constexpr auto divide(A a, B b) {
    return detail::capture<divide>(a, b);
}
template <class A, detail::beside<A> B> constexpr auto floor_divide(A a, B b) {
    return detail::capture<floor_divide>(a, b);
}
template <class A, detail::beside<A> B> constexpr auto remainder(A a, B b) {
    return detail::capture<remainder>(a, b);
}
template <class A, detail::beside<A> B> constexpr auto power(A a, B b) {
    return detail::capture<power>(a, b);
}
template <class A, detail::beside<A> B> constexpr auto maximum(A a, B b) {
    return detail::capture<maximum>(a, b);
}
template <class A, detail::beside<A> B> constexpr auto minimum(A a, B b) {
    return detail::capture<minimum>(a, b);
}
template <class A, detail::beside<A> B> constexpr auto less(A a, B b) {
    return detail::capture<less>(a, b);
}
template <class A, detail::beside<A> B> constexpr auto less_equal(A a, B b) {
    return detail::capture<less_equal>(a, b);
}
template <class A, detail::beside<A> B> constexpr auto greater(A a, B b) {
    return detail::capture<greater>(a, b);
}
template <class A, detail::beside<A> B> constexpr auto greater_equal(A a, B b) {
    return detail::capture<greater_equal>(a, b);
}
template <class A, detail::beside<A> B> constexpr auto equal(A a, B b) {
    return detail::capture<equal>(a, b);
}
template <class A, detail::beside<A> B> constexpr auto not_equal(A a, B b) {
    return detail::capture<not_equal>(a, b);
}
template <class A, detail::beside<A> B> constexpr auto logical_and(A a, B b) {
    return detail::capture<logical_and>(a, b);
}
template <class A, detail::beside<A> B> constexpr auto logical_or(A a, B b) {
    return detail::capture<logical_or>(a, b);
}
constexpr auto logical_not(detail::live auto x) { return detail::capture<logical_not>(x); }
template <class C, class A, class B>
requires detail::live_operands<C, A, B>
constexpr auto where(C condition, A a, B b) { return detail::capture<where>(condition, a, b); }
template <class T> constexpr auto cast(detail::live auto x) {
    return detail::capture_call<detail::cast_call<dtype_of<T>>>(x);
}

// ---- operators -----------------------------------------------------------------------------------------------------
template <class A, detail::beside<A> B> constexpr auto operator+(A a, B b) {
    return detail::capture<add>(a, b);
}
template <class A, detail::beside<A> B> constexpr auto operator-(A a, B b) {
    return detail::capture<subtract>(a, b);
}
template <class A, detail::beside<A> B> constexpr auto operator*(A a, B b) {
    return detail::capture<multiply>(a, b);
}
template <class A, detail::beside<A> B> constexpr auto operator/(A a, B b) {
    return detail::capture<divide>(a, b);
}
template <class A, detail::beside<A> B> constexpr auto operator%(A a, B b) {
    return detail::capture<remainder>(a, b);
}
template <class A, detail::beside<A> B> constexpr auto operator<(A a, B b) {
    return detail::capture<less>(a, b);
}
template <class A, detail::beside<A> B> constexpr auto operator<=(A a, B b) {
    return detail::capture<less_equal>(a, b);
}
template <class A, detail::beside<A> B> constexpr auto operator>(A a, B b) {
    return detail::capture<greater>(a, b);
}
template <class A, detail::beside<A> B> constexpr auto operator>=(A a, B b) {
    return detail::capture<greater_equal>(a, b);
}
template <class A, detail::beside<A> B> constexpr auto operator&&(A a, B b) {
    return detail::capture<logical_and>(a, b);
}
template <class A, detail::beside<A> B> constexpr auto operator||(A a, B b) {
    return detail::capture<logical_or>(a, b);
}
constexpr auto operator-(detail::live auto x) { return detail::capture<negative>(x); }
constexpr auto operator+(detail::live auto x) { return detail::capture<detail::same>(x); }
constexpr auto operator!(detail::live auto x) { return detail::capture<logical_not>(x); }

// ---- reductions, movement, products, indexing ------------------------------------------------------------------------
template <detail::live X, class W = detail::along_axes<>> constexpr auto sum(X x, W which = {}) {
    return detail::capture_along<sum>(x, which);
}
template <detail::live X, class W> constexpr auto sum(X x, W which, keepdims_flag) {
    return detail::capture_kept<sum>(x, which);
}
template <detail::live X, class W = detail::along_axes<>> constexpr auto prod(X x, W which = {}) {
    return detail::capture_along<prod>(x, which);
}
template <detail::live X, class W> constexpr auto prod(X x, W which, keepdims_flag) {
    return detail::capture_kept<prod>(x, which);
}
template <detail::live X, class W = detail::along_axes<>> constexpr auto mean(X x, W which = {}) {
    return detail::capture_along<mean>(x, which);
}
template <detail::live X, class W> constexpr auto mean(X x, W which, keepdims_flag) {
    return detail::capture_kept<mean>(x, which);
}
template <detail::live X, class W = detail::along_axes<>> constexpr auto max(X x, W which = {}) {
    return detail::capture_along<max>(x, which);
}
template <detail::live X, class W> constexpr auto max(X x, W which, keepdims_flag) {
    return detail::capture_kept<max>(x, which);
}
template <detail::live X, class W = detail::along_axes<>> constexpr auto min(X x, W which = {}) {
    return detail::capture_along<min>(x, which);
}
template <detail::live X, class W> constexpr auto min(X x, W which, keepdims_flag) {
    return detail::capture_kept<min>(x, which);
}
template <detail::live X, class W = detail::along_axes<>>
constexpr auto variance(X x, W which = {}) {
    return detail::capture_along<variance>(x, which);
}
template <detail::live X, class W> constexpr auto variance(X x, W which, keepdims_flag) {
    return detail::capture_kept<variance>(x, which);
}
template <detail::live X, class W = detail::along_axes<>> constexpr auto argmax(X x, W which = {}) {
    return detail::capture_axis<argmax>(x, which);
}
template <detail::live X, class W = detail::along_axes<>> constexpr auto argmin(X x, W which = {}) {
    return detail::capture_axis<argmin>(x, which);
}
template <detail::live X, class W = detail::along_axes<>>
constexpr auto softmax(X x, W which = {}) {
    return detail::capture_axis<softmax>(x, which);
}
template <detail::live X, class W = detail::along_axes<>>
constexpr auto log_softmax(X x, W which = {}) {
    return detail::capture_axis<log_softmax>(x, which);
}
template <detail::live X, class W = detail::along_axes<>>
constexpr auto logsumexp(X x, W which = {}) {
    return detail::capture_axis<logsumexp>(x, which);
}
template <detail::live X, class W = detail::along_axes<>>
constexpr auto transpose(X x, W which = {}) {
    return detail::capture_along<transpose>(x, which);
}
template <detail::live X, class W = detail::along_axes<>>
constexpr auto squeeze(X x, W which = {}) {
    return detail::capture_along<squeeze>(x, which);
}
template <detail::live X, class W = detail::along_axes<>> constexpr auto flip(X x, W which = {}) {
    return detail::capture_along<flip>(x, which);
}
template <detail::live X, class W> constexpr auto expand_dims(X x, W which) {
    return detail::capture_along<expand_dims>(x, which);
}
constexpr auto matrix_transpose(detail::live auto x) {
    return detail::capture<matrix_transpose>(x);
}
template <class A, detail::beside<A> B> constexpr auto matmul(A a, B b) {
    return detail::capture<matmul>(a, b);
}
template <class A, detail::beside<A> B> constexpr auto dot(A a, B b) {
    return detail::capture<dot>(a, b);
}
template <class A, detail::beside<A> B, class W = detail::along_axes<0>>
constexpr auto take(A x, B indices, W = {}) {
    detail::check_axis<W>();
    return detail::capture_call<detail::indexed_call<take, detail::one_axis<W>>>(x, indices);
}

// ---- formulas ------------------------------------------------------------------------------------------------------
constexpr auto gelu(detail::live auto x) { return detail::capture<gelu>(x); }
constexpr auto gelu_tanh(detail::live auto x) { return detail::capture<gelu_tanh>(x); }
constexpr auto silu(detail::live auto x) { return detail::capture<silu>(x); }
template <class A, detail::beside<A> B> constexpr auto cross_entropy(A a, B b) {
    return detail::capture<cross_entropy>(a, b);
}
template <class A, detail::beside<A> B> constexpr auto binary_cross_entropy(A a, B b) {
    return detail::capture<binary_cross_entropy>(a, b);
}
template <class A, detail::beside<A> B> constexpr auto mean_squared_error(A a, B b) {
    return detail::capture<mean_squared_error>(a, b);
}
template <class X, class A, class B>
requires detail::live_operands<X, A, B>
constexpr auto clip(X x, A low, B high) { return detail::capture<clip>(x, low, high); }

/// Any formula of the language, over arrays and numbers: map<[](auto x, auto y) { return softmax(matmul(x, y)); }>(a, b).
/// It is a constant that takes one expression for each operand and gives one; numbers take the dtype of what is beside.
template <auto formula, class... X>
requires detail::live_operands<X...>
constexpr auto map(X... x) {
    return detail::capture_call<detail::formula_call<formula, detail::operand_type<X>...>>(x...);
}

}  // namespace etch
