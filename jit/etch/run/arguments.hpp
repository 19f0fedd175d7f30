// SPDX-License-Identifier: MIT
// What may stand between the brackets of a call, made into one plain record: a number, elements in a row, or elements
// with a shape and strides. Nothing of Eigen is included: its objects are known by their members.
#pragma once
#include <concepts>
#include <limits>

#include <etch/run/tensor.hpp>

namespace etch {

namespace detail {
/// Elements with a shape, see etch::view.
template <class T> struct viewed {
    const T* elements;
    tensor_shape shape;
};

enum class argument_kind : std::uint8_t {
    number,
    tensor,
    view,
    array,   // of C, any rank
    matrix,  // of Eigen
    eigen_tensor,
    row,            // data() and size()
    bits,           // std::vector<bool>: no bool has an address
    expression,     // of Eigen: has no memory
    unknown_order,  // rows and columns, and nothing says which lie side by side
    other
};

template <class T> inline constexpr bool is_viewed = false;
template <class T> inline constexpr bool is_viewed<viewed<T>> = true;

/// An etch::array.
template <class T>
concept typed_tensor = requires(const T& x) {
    { x.tensor() } -> std::same_as<const etch::tensor&>;
};
template <class T>
concept has_rows_and_columns = requires(const T& x) {
    x.rows(), x.cols();
};
template <class T>
concept eigen_matrix = has_rows_and_columns<T> && requires(const T& x) {
    x.data(), x.innerStride(), x.outerStride(), static_cast<bool>(T::IsRowMajor);
};
template <class T>
concept any_eigen_tensor = requires(const T& x) {
    x.data(), x.dimensions(), x.dimension(0), T::Layout, x.rank();
};

template <class T> constexpr argument_kind kind_of() {
    if constexpr (std::is_arithmetic_v<T>)
        return argument_kind::number;
    else if constexpr (std::is_same_v<T, etch::tensor>)
        return argument_kind::tensor;
    else if constexpr (is_viewed<T> || typed_tensor<T>)
        return argument_kind::view;
    else if constexpr (std::is_array_v<T>)
        return argument_kind::array;
    else if constexpr (std::is_same_v<T, std::vector<bool>>)
        return argument_kind::bits;
    else if constexpr (eigen_matrix<T>)
        return argument_kind::matrix;
    else if constexpr (any_eigen_tensor<T>)
        return argument_kind::eigen_tensor;
    else if constexpr (has_rows_and_columns<T>)
        return contiguous<T> ? argument_kind::unknown_order : argument_kind::expression;
    else if constexpr (contiguous<T>)
        return argument_kind::row;
    else
        return argument_kind::other;
}

template <class T> struct pointee {
    using type = std::remove_cvref_t<decltype(*std::declval<const T&>().data())>;
};
template <class T>
requires std::is_arithmetic_v<T>
struct pointee<T> {
    using type = T;
};
template <class T, std::size_t n> struct pointee<T[n]> {
    using type = std::remove_all_extents_t<std::remove_cv_t<T>>;
};
template <class T> struct pointee<viewed<T>> { using type = T; };
template <> struct pointee<etch::tensor> { using type = void; };
/// The C++ type of the elements of an argument; void for a tensor, whose dtype is known at run time.
template <class T> using pointee_of = std::remove_cv_t<typename pointee<T>::type>;

/// Whether an argument of kind `k` has elements that can be read.
constexpr bool is_readable(argument_kind k) {
    return k != argument_kind::bits && k != argument_kind::expression &&
           k != argument_kind::unknown_order && k != argument_kind::other;
}

/// Why an argument is none, whatever the model.
constexpr std::string_view why_unreadable(argument_kind k) {
    if (k == argument_kind::bits)
        return "is a std::vector<bool>, which has bits and no bools: use a std::span<const bool>";
    if (k == argument_kind::expression)
        return "is an expression of Eigen: evaluate it with .eval()";
    if (k == argument_kind::unknown_order)
        return "is a matrix of unknown storage order: use etch::view(data, {...})";
    return "is nothing that a call reads: pass contiguous elements, an Eigen object, an "
           "etch::tensor or a number";
}

}  // namespace detail

/// Contiguous elements, row by row, with a shape: etch::view(pixels, {32, 28, 28}).
template <class Values>
requires(detail::kind_of<std::remove_cvref_t<Values>>() ==
         detail::argument_kind::row) auto view(Values&& data, tensor_shape shape) {
    using T = std::remove_cvref_t<decltype(*data.data())>;
    if (std::cmp_not_equal(data.size(), shape.elements())) {
        text t;
        t << "view: " << data.size() << " elements for the shape ";
        throw mistake(detail::print(t, shape).view());
    }
    return detail::viewed<T>{data.data(), shape};
}
/// The same from where the elements begin.
template <class T> detail::viewed<std::remove_cv_t<T>> view(T* data, tensor_shape shape) {
    return {data, shape};
}

namespace detail {

/// One argument, whatever it was.
struct argument {
    argument_kind kind = argument_kind::number;
    dtype element = dtype::float32;
    bool flat = false;      // `extents[0]` elements in a row, whose shape the model knows
    bool live = false;      // a parameter's own buffer
    bool integral = false;  // a number: `integer` holds it, else `real`
    int rank = 0;
    const void* data = nullptr;
    std::int64_t extents[max_rank]{}, strides[max_rank]{};  // strides in elements
    double real = 0;
    std::int64_t integer = 0;

    std::int64_t size() const {
        std::int64_t n = 1;
        for (int i = 0; i < rank; ++i) n *= extents[i];
        return n;
    }
    tensor_shape shape() const {
        return std::span<const std::int64_t>(extents, static_cast<std::size_t>(rank));
    }
    /// Whether `other` is of the same kind, dtype and shape.
    bool is_like(const argument& other) const {
        return kind == other.kind && element == other.element && flat == other.flat &&
               rank == other.rank && std::equal(extents, extents + rank, other.extents);
    }
    /// Whether the elements lie row by row without gaps.
    bool is_row_major() const {
        std::int64_t stride = 1;
        for (int i = rank; i-- > 0;) {
            if (extents[i] == 0) return true;
            if (extents[i] != 1 && strides[i] != stride) return false;
            stride *= extents[i];
        }
        return true;
    }
    void set_shape(const tensor_shape& s) {
        rank = s.rank();
        std::int64_t stride = 1;
        for (int i = rank; i-- > 0;) {
            extents[i] = s[static_cast<std::size_t>(i)];
            strides[i] = stride;
            stride *= extents[i];
        }
    }
    void set_flat(std::int64_t n) { flat = true, set_shape({n}); }
    /// Writes the elements row by row.
    void copy_to(void* to) const {
        if (size() == 0) return;
        with_element(element, [&](auto zero) {
            using T = decltype(zero);
            copy_axis(static_cast<const T*>(data), static_cast<T*>(to), 0);
        });
    }

private:
    template <class T> T* copy_axis(const T* from, T* to, int axis) const {
        if (axis == rank) return *to = *from, to + 1;
        for (std::int64_t i = 0; i < extents[axis]; ++i, from += strides[axis])
            to = copy_axis(from, to, axis + 1);
        return to;
    }
};

template <class T, std::size_t n>
void set_array(argument& a, tensor_shape& shape, const T (&x)[n]) {
    shape.push_back(static_cast<std::int64_t>(n));
    if constexpr (std::is_array_v<T>)
        set_array(a, shape, x[0]);
    else
        a.data = x;
}

/// `x` must be readable and of elements that have a dtype.
template <class T> argument argument_of(const T& x) {
    argument a;
    a.kind = kind_of<T>();
    if constexpr (!std::is_same_v<T, etch::tensor> && kind_of<T>() != argument_kind::number)
        a.element = etch::dtype_of<pointee_of<T>>;
    if constexpr (kind_of<T>() == argument_kind::number) {
        a.integral = std::is_integral_v<T>;
        if constexpr (std::is_same_v<T, bool>)
            a.element = dtype::boolean;
        else if constexpr (std::is_integral_v<T>)
            a.element = dtype::int64;
        else
            a.element = dtype::float64;
        if constexpr (std::is_integral_v<T>) {
            if constexpr (std::is_unsigned_v<T> && sizeof(T) == 8)
                if (x > static_cast<T>(std::numeric_limits<std::int64_t>::max()))
                    throw mistake("call: a number is larger than int64 holds");
            a.integer = static_cast<std::int64_t>(x);
        } else {
            a.real = static_cast<double>(x);
        }
    } else if constexpr (kind_of<T>() == argument_kind::tensor) {
        a.element = x.element();
        a.data = x.bytes_data();
        a.live = x.is_live();
        a.set_shape(x.shape());
    } else if constexpr (typed_tensor<T>) {
        a.data = x.data();
        a.live = x.tensor().is_live();
        a.set_shape(x.shape());
    } else if constexpr (kind_of<T>() == argument_kind::view) {
        a.data = x.elements;
        a.set_shape(x.shape);
    } else if constexpr (kind_of<T>() == argument_kind::array) {
        tensor_shape shape;
        set_array(a, shape, x);
        if (shape.rank() == 1)
            a.set_flat(shape[0]);
        else
            a.set_shape(shape);
    } else if constexpr (kind_of<T>() == argument_kind::matrix) {
        a.data = x.data();
        a.rank = 2;
        a.extents[0] = x.rows(), a.extents[1] = x.cols();
        a.strides[0] = T::IsRowMajor ? x.outerStride() : x.innerStride();
        a.strides[1] = T::IsRowMajor ? x.innerStride() : x.outerStride();
    } else if constexpr (kind_of<T>() == argument_kind::eigen_tensor) {
        a.data = x.data();
        tensor_shape shape;
        constexpr bool by_rows = static_cast<int>(T::Layout) == 1;  // Eigen::RowMajor
        for (int i = 0; i < static_cast<int>(x.rank()); ++i)
            shape.push_back(static_cast<std::int64_t>(x.dimension(static_cast<std::size_t>(i))));
        a.set_shape(shape);
        std::int64_t stride = 1;
        for (int i = 0; !by_rows && i < a.rank; ++i) a.strides[i] = stride, stride *= a.extents[i];
    } else {
        a.data = x.data();
        a.set_flat(static_cast<std::int64_t>(x.size()));
    }
    return a;
}

/// Where the kind of the argument is the only thing that must be right before the program runs.
template <class T> argument checked_argument(const T& x) {
    constexpr auto kind = kind_of<T>();
    static_assert(kind != argument_kind::bits,
                  "etch: a std::vector<bool> has bits and no bools: use a std::span<const bool>");
    static_assert(kind != argument_kind::expression,
                  "etch: an expression of Eigen: evaluate it with .eval()");
    static_assert(kind != argument_kind::unknown_order,
                  "etch: a matrix of unknown storage order: use etch::view(data, {...})");
    static_assert(kind != argument_kind::other,
                  "etch: nothing that a call reads: pass contiguous elements, an Eigen "
                  "object, an etch::tensor or a number");
    if constexpr (is_readable(kind))
        return argument_of(x);
    else
        return {};
}

/// The bits of a number as an element of dtype d; false where it is none.
inline bool number_as(const argument& a, dtype d, void* to) {
    if (is_boolean(d) != (a.element == dtype::boolean) || (is_integer(d) && !a.integral))
        return false;
    if (d == dtype::int32 && !std::in_range<std::int32_t>(a.integer)) return false;
    with_element(d, [&](auto zero) {
        using T = decltype(zero);
        T value = a.integral ? static_cast<T>(a.integer) : static_cast<T>(a.real);
        std::memcpy(to, &value, sizeof value);
    });
    return true;
}

}  // namespace detail
}  // namespace etch
