// SPDX-License-Identifier: MIT
// A tensor whose dtype and number of axes the C++ compiler knows, so that formulas over it are compiled:
//     etch::array<float, 1> x{1, 2, 3}, y;
//     y = tanh(a * x + b);                    // one loop, no temporaries
// A copy is another handle to the same elements, as for a tensor. An assignment never changes what another handle sees: it
// writes in place where no other handle shares the elements, and makes new ones otherwise.
#pragma once
#include <etch/run/assign.hpp>

namespace etch {

template <class T, int axes_of> class array {
    static_assert(detail::element_type<T>,
                  "etch has no dtype for this C++ type: use double, float, bool, std::int32_t or "
                  "std::int64_t");
    static_assert(axes_of >= 0 && axes_of <= max_rank, "etch: an array has 0 to 8 axes");

public:
    using value_type = T;
    static constexpr int rank() { return axes_of; }

    /// No elements; of rank 0 a zero.
    array() : values_(etch::tensor::zeros<T>(no_elements())) {}
    /// The elements of a tensor, shared with it. Throws where dtype or rank are others.
    array(etch::tensor x) : values_(std::move(x)) {  // NOLINT: as of results
        if (values_.element() == dtype_of<T> && values_.rank() == axes_of) return;
        text t;
        t << "array: a tensor of " << row_of(values_.element()).name << ' ';
        detail::print(t, values_.shape())
            << " is no array of " << row_of(dtype_of<T>).name << " with " << axes_of
            << (axes_of == 1 ? " axis" : " axes");
        throw mistake(t.view());
    }
    /// The one result of a function.
    template <std::convertible_to<etch::tensor> Result>
    requires(!detail::live<Result> && !std::same_as<std::remove_cvref_t<Result>, etch::tensor>)
        array(Result&& x)
        : array(etch::tensor(std::forward<Result>(x))) {}  // NOLINT
    /// A copy of contiguous elements, row by row.
    template <detail::contiguous Values>
    array(const Values& values, tensor_shape shape) : array(etch::tensor(values, shape)) {}
    array(const std::vector<bool>& values, tensor_shape shape)
        : array(etch::tensor(values, shape)) {}
    /// array<float, 1> x{1, 2, 3}
    array(std::initializer_list<T> values) requires(axes_of == 1)
        : values_(values, {static_cast<std::int64_t>(values.size())}) {}
    /// array<float, 2> x{{1, 2}, {3, 4}}
    array(std::initializer_list<std::initializer_list<T>> rows) requires(axes_of == 2)
        : values_(dtype_of<T>,
                  {static_cast<std::int64_t>(rows.size()),
                   static_cast<std::int64_t>(rows.size() == 0 ? 0 : rows.begin()->size())}) {
        T* to = values_.template data<T>();
        for (const auto& row : rows) {
            if (std::cmp_not_equal(row.size(), values_.shape()[1]))
                throw mistake("array: rows of different lengths");
            to = std::copy(row.begin(), row.end(), to);
        }
    }
    array(T number) requires(axes_of == 0) : values_(etch::tensor::full<T>({}, number)) {}
    /// What a formula gives.
    template <detail::captured_formula E> array(E&& formula) : values_(nothing()) {
        assign(std::forward<E>(formula));
    }

    static array full(tensor_shape shape, T value) {
        return array(etch::tensor::full<T>(shape, value));
    }
    static array zeros(tensor_shape shape) { return full(shape, T{}); }

    /// In place where the shape fits and no other handle shares the elements, even where the formula reads this array.
    template <detail::captured_formula E> array& operator=(E&& formula) {
        assign(std::forward<E>(formula));
        return *this;
    }
    template <class X> array& operator+=(X x) { return *this = *this + std::move(x); }
    template <class X> array& operator-=(X x) { return *this = *this - std::move(x); }
    template <class X> array& operator*=(X x) { return *this = *this * std::move(x); }
    template <class X> array& operator/=(X x) { return *this = *this / std::move(x); }
    template <class X> array& operator%=(X x) { return *this = *this % std::move(x); }

    const tensor_shape& shape() const { return values_.shape(); }
    std::int64_t size() const { return values_.size(); }
    /// The elements, row by row. They are shared: what is written here, every handle sees.
    T* data() const { return values_.template data<T>(); }
    std::span<const T> elements() const { return values_.template as<T>(); }
    std::vector<T> to_vector() const { return values_.template to_vector<T>(); }
    /// The one element.
    T item() const { return values_.template item<T>(); }
    operator T() const requires(axes_of == 0) { return item(); }
    /// A copy with elements of its own.
    array clone() const { return array(values_.clone()); }
    const etch::tensor& tensor() const { return values_; }
    operator etch::tensor() const { return values_; }

    friend std::ostream& operator<<(std::ostream& out, const array& x) { return out << x.values_; }

private:
    etch::tensor values_;

    static tensor_shape no_elements() {
        tensor_shape s;
        for (int i = 0; i < axes_of; ++i) s.push_back(0);
        return s;
    }
    /// What no result is written over.
    static etch::tensor nothing() { return {}; }

    template <class E> void assign(E&& formula) {
        using F = std::remove_cvref_t<E>;
        if constexpr (detail::live_program<F>::planned::mistake.size() == 0)
            static_assert(detail::reported<wrong_result<F>>);
        detail::assign(formula, values_, !std::is_lvalue_reference_v<E>);
    }
    template <class F> static constexpr detail::sentence sentence_of_result() {
        const type& r = detail::live_program<F>::result;
        if (r.element == dtype_of<T> && r.rank == axes_of) return {};
        text t;
        t << "assign: the formula gives " << name_of(r.element) << " with " << r.rank
          << (r.rank == 1 ? " axis" : " axes") << ", the array has " << name_of(dtype_of<T>)
          << " with " << axes_of << (axes_of == 1 ? " axis" : " axes");
        return detail::sentence(t.view());
    }
    template <class F> static constexpr detail::sentence wrong_result = sentence_of_result<F>();
};

template <class F, class... X>
array(detail::captured<F, X...>)
    -> array<typename detail::live_program<detail::captured<F, X...>>::element,
             detail::live_program<detail::captured<F, X...>>::result.rank>;

namespace detail {

template <class E> auto evaluated(const E& formula) {
    return array<typename live_program<E>::element, live_program<E>::result.rank>(formula);
}
template <class E>
inline constexpr sentence no_number =
    live_program<E>::result.rank == 0
        ? sentence()
        : sentence("a formula whose result has axes is no number: assign it to an array");
template <class N, class E> N evaluated_number(const E& formula) {
    static_assert(reported<no_number<E>>);
    if constexpr (no_number<E>.size() == 0)
        return static_cast<N>(evaluated(formula).item());
    else
        return N{};
}
template <class E> constexpr program_figures plan_of_formula(const E*) {
    return program_figures(view_of(live_program<E>::frozen));
}
template <captured_formula E> std::ostream& operator<<(std::ostream& out, const E& formula) {
    return out << formula.eval();
}

}  // namespace detail
}  // namespace etch
