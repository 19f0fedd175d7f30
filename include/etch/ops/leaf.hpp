// SPDX-License-Identifier: MIT
// Values without operands. Their types are written in the attributes: {dtype, rank, extents..., ...}.
#pragma once

#include <etch/ops/logic.hpp>

namespace etch {

namespace detail {
/// {dtype, rank, extents...} .
constexpr flat_list<std::int64_t> type_words(const type& t) {
    flat_list<std::int64_t> a{static_cast<std::int64_t>(t.element), t.rank};
    for (int i = 0; i < t.rank; ++i) a.push_back(t[i].code);
    return a;
}
constexpr type type_from_words(const inference& i, int first = 0) {
    type t;
    t.element = static_cast<dtype>(i.attribute(first));
    auto rank = static_cast<int>(i.attribute(first + 1));
    for (int axis = 0; axis < rank; ++axis) t.push({i.attribute(first + 2 + axis)});
    return t;
}
}  // namespace detail

struct leaf : any_row {
    static constexpr int arity = 0;
    static constexpr op_class kind = op_class::leaf;
    static constexpr bool cuts = true;
    static constexpr int cost = 0;
    static constexpr std::string_view cuda = "";  // loaded, not computed
    static constexpr type infer(inference& i) { return detail::type_from_words(i); }
};
struct input_row : leaf {  // {type..., index of the input}
    static constexpr std::string_view name = "input";
};
struct parameter_row : leaf {  // {type..., index of the parameter}
    static constexpr std::string_view name = "parameter";
};
struct placeholder_row
    : leaf {  // {type..., ordinal}: stands for a loop's slice or carry, or for a seed of jvp
    static constexpr std::string_view name = "placeholder";
};
struct constant_row : leaf {  // {type..., elements...}
    static constexpr std::string_view name = "constant";
};
struct extent_value_row : any_row {  // {dtype, extent}: an extent as a number
    static constexpr std::string_view name = "extent";
    static constexpr int arity = 0;
    static constexpr op_class kind = op_class::leaf;
    static constexpr bool cuts = true;
    static constexpr std::string_view cuda = "";
    static constexpr type infer(inference& i) {
        type t;
        t.element = static_cast<dtype>(i.attribute(0));
        return t;
    }
};
struct iota_row : any_row {  // {type..., axis}
    static constexpr std::string_view name = "iota";
    static constexpr int arity = 0;
    static constexpr op_class kind = op_class::counter;
    static constexpr bool cuts = true;
    static constexpr std::string_view cuda = "$r($i)";
    static constexpr type infer(inference& i) { return detail::type_from_words(i); }
};

namespace detail {
/// A value that something else will stand for: a loop's slice or carry, or a seed of jvp. Never merged.
constexpr expr placeholder(graph& g, const type& t, int loop = -1) {
    auto a = type_words(t);
    a.push_back(g.ordinal++);
    expr x = apply<placeholder_row>(g, flat_view<const int>{}, a);
    g.nodes.back().loop = loop;
    return x;
}

constexpr expr number_input(graph& g, int ordinal, dtype d) {
    text name;
    name << 'x' << ordinal;
    for (const auto& i : g.inputs)
        if (g.name(i.name) == name.view() && g.type_of(i.value).element == d) return {&g, i.value};
    std::int64_t a[] = {static_cast<std::int64_t>(d), 0, std::ssize(g.inputs)};
    expr x = apply<input_row>(g, flat_view<const int>{}, a);
    g.inputs.push_back({x.id, g.store(name.view())});
    return x;
}

/// The number that x is everywhere, where it is a constant, broadcast or not.
constexpr bool constant_number(const graph& g, int v, double& number);
}  // namespace detail

/// Whether x has one and the same constant at every index, and which.
constexpr bool is_constant(expr x, double& number) {
    return x.valid() && detail::constant_number(*x.g, x.id, number);
}

/// A tensor of x's shape and dtype, full of `number`.
constexpr expr full_like(expr x, double number) {
    if (!x.valid()) return x;
    return detail::broadcast(scalar(*x.g, x.element(), number), x.of());
}
constexpr expr zeros_like(expr x) { return full_like(x, 0); }
constexpr expr ones_like(expr x) { return full_like(x, 1); }

using leaf_rows =
    rows<input_row, parameter_row, placeholder_row, constant_row, extent_value_row, iota_row>;

}  // namespace etch
