// SPDX-License-Identifier: MIT
// The element types. One dtype is one row of this table; everything else asks the table.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace etch {

enum class dtype : std::uint8_t { float64, float32, boolean, int32, int64 };

/// What arithmetic a dtype takes part in.
enum class dtype_kind : std::uint8_t { floating, boolean, integer };

struct dtype_row {
    std::string_view name;
    int bytes;
    dtype_kind kind;
    std::string_view cuda;  // how kernel text spells the type
};

inline constexpr fixed_list<dtype_row, 5> dtype_table{{
    {"float64", 8, dtype_kind::floating, "double"},
    {"float32", 4, dtype_kind::floating, "float"},
    {"bool", 1, dtype_kind::boolean, "bool"},
    {"int32", 4, dtype_kind::integer, "int"},
    {"int64", 8, dtype_kind::integer, "int64"},
}};

constexpr const dtype_row& row_of(dtype d) { return dtype_table[static_cast<std::size_t>(d)]; }
constexpr bool is_floating(dtype d) { return row_of(d).kind == dtype_kind::floating; }
constexpr bool is_integer(dtype d) { return row_of(d).kind == dtype_kind::integer; }
constexpr bool is_boolean(dtype d) { return row_of(d).kind == dtype_kind::boolean; }

namespace detail {
template <class T> constexpr dtype dtype_of() {
    using U = std::remove_cv_t<T>;
    if constexpr (std::is_same_v<U, double>)
        return dtype::float64;
    else if constexpr (std::is_same_v<U, float>)
        return dtype::float32;
    else if constexpr (std::is_same_v<U, bool>)
        return dtype::boolean;
    else if constexpr (std::is_integral_v<U> && std::is_signed_v<U> && sizeof(U) == 4)
        return dtype::int32;
    else if constexpr (std::is_integral_v<U> && std::is_signed_v<U> && sizeof(U) == 8)
        return dtype::int64;
    else
        static_assert(!sizeof(U), "etch has no dtype for this C++ type: use double, float, bool, "
                                  "std::int32_t or std::int64_t");
}
template <dtype d> struct element;
template <> struct element<dtype::float64> { using type = double; };
template <> struct element<dtype::float32> { using type = float; };
template <> struct element<dtype::boolean> { using type = bool; };
template <> struct element<dtype::int32> { using type = std::int32_t; };
template <> struct element<dtype::int64> { using type = std::int64_t; };
}  // namespace detail

/// The dtype that a C++ type stands for; any other type does not compile.
template <class T> inline constexpr dtype dtype_of = detail::dtype_of<T>();
/// The C++ type of one element of a dtype.
template <dtype d> using element_of = typename detail::element<d>::type;

}  // namespace etch
