// SPDX-License-Identifier: MIT
// Comparisons, logic on bool, selection and conversion of dtypes. See ops/elementwise.hpp for how a row reads.
#pragma once
#include <etch/ops/elementwise.hpp>

namespace etch {

struct less_row : comparison {
    static constexpr std::string_view name = "less";
    static constexpr auto cpu(auto a, auto b) { return a < b; }
    static constexpr std::string_view cuda = "$0 < $1";
};
struct less_equal_row : comparison {
    static constexpr std::string_view name = "less_equal";
    static constexpr auto cpu(auto a, auto b) { return a <= b; }
    static constexpr std::string_view cuda = "$0 <= $1";
};
struct greater_row : comparison {
    static constexpr std::string_view name = "greater";
    static constexpr auto cpu(auto a, auto b) { return a > b; }
    static constexpr std::string_view cuda = "$0 > $1";
};
struct greater_equal_row : comparison {
    static constexpr std::string_view name = "greater_equal";
    static constexpr auto cpu(auto a, auto b) { return a >= b; }
    static constexpr std::string_view cuda = "$0 >= $1";
};
struct equal_row : comparison {
    static constexpr std::string_view name = "equal";
    static constexpr accepts takes = accepts::any;
    static constexpr auto cpu(auto a, auto b) { return a == b; }
    static constexpr std::string_view cuda = "$0 == $1";
};
struct not_equal_row : comparison {
    static constexpr std::string_view name = "not_equal";
    static constexpr accepts takes = accepts::any;
    static constexpr auto cpu(auto a, auto b) { return a != b; }
    static constexpr std::string_view cuda = "$0 != $1";
};
constexpr expr less(const operand& a, const operand& b) { return detail::map<less_row>(a, b); }
constexpr expr less_equal(const operand& a, const operand& b) {
    return detail::map<less_equal_row>(a, b);
}
constexpr expr greater(const operand& a, const operand& b) {
    return detail::map<greater_row>(a, b);
}
constexpr expr greater_equal(const operand& a, const operand& b) {
    return detail::map<greater_equal_row>(a, b);
}
/// Elementwise ==, as bool.
constexpr expr equal(const operand& a, const operand& b) { return detail::map<equal_row>(a, b); }
/// Elementwise !=, as bool; true where one is nan.
constexpr expr not_equal(const operand& a, const operand& b) {
    return detail::map<not_equal_row>(a, b);
}

struct logical : binary {
    static constexpr accepts takes = accepts::boolean;
    static constexpr bool cuts = true;
};
struct logical_and_row : logical {
    static constexpr std::string_view name = "logical_and";
    static constexpr auto cpu(auto a, auto b) { return a && b; }
    static constexpr std::string_view cuda = "$0 && $1";
};
struct logical_or_row : logical {
    static constexpr std::string_view name = "logical_or";
    static constexpr auto cpu(auto a, auto b) { return a || b; }
    static constexpr std::string_view cuda = "$0 || $1";
};
struct logical_not_row : logical {
    static constexpr std::string_view name = "logical_not";
    static constexpr int arity = 1;
    static constexpr auto cpu(auto a) { return !a; }
    static constexpr std::string_view cuda = "!$0";
};
constexpr expr logical_and(const operand& a, const operand& b) {
    return detail::map<logical_and_row>(a, b);
}
constexpr expr logical_or(const operand& a, const operand& b) {
    return detail::map<logical_or_row>(a, b);
}
constexpr expr logical_not(const operand& a) { return detail::map<logical_not_row>(a); }

struct where_row : any_row {
    static constexpr std::string_view name = "where";
    static constexpr int arity = 3;
    static constexpr op_class kind = op_class::elementwise;
    static constexpr type infer(inference& i) { return i.operand(1); }
    static constexpr auto derivative(int k, auto dy, auto c, auto, auto, auto) {
        return k == 1 ? where(c, dy, 0) : where(c, 0, dy);
    }
    static constexpr auto cpu(auto c, auto a, auto b) { return select(c, a, b); }
    static constexpr std::string_view cuda = "($0 ? $1 : $2)";
};
/// a where the bool condition holds, else b; a and b are promoted to one dtype and all three broadcast.
constexpr expr where(const operand& condition, const operand& a, const operand& b) {
    graph& g = detail::graph_among("where", {&condition, &a, &b});
    located here(&g, condition.where);
    if (!detail::tensor(condition, "where", &g).valid()) return detail::poison(&g);
    if (!is_boolean(g.type_of(condition.id).element)) {
        g.fail(text{} << "where: the condition is bool, not "
                      << name_of(g.type_of(condition.id).element));
        return detail::poison(&g);
    }
    detail::promoted p;
    if ((a.g && !a.is_given_number()) || (b.g && !b.is_given_number())) {
        p = detail::promote("where", accepts::any, {&a, &b});
        if (p.failed) return detail::poison(&g);
    } else {
        dtype d = a.what == operand::kind::integral && b.what == operand::kind::integral
                      ? dtype::int32
                      : dtype::float32;
        p.x[0] = detail::materialize(g, a, d);
        p.x[1] = detail::materialize(g, b, d);
    }
    bool failed = false;
    type shapes[] = {g.type_of(condition.id), p.x[0].of(), p.x[1].of()};
    type shape = detail::common_shape(g, "where", shapes, failed);
    if (failed) return detail::poison(&g);
    return apply<where_row>({detail::broadcast({&g, condition.id}, shape),
                             detail::broadcast(p.x[0], shape), detail::broadcast(p.x[1], shape)});
}

struct cast_row : any_row {  // attributes: the dtype
    static constexpr std::string_view name = "cast";
    static constexpr int arity = 1;
    static constexpr op_class kind = op_class::elementwise;
    static constexpr type infer(inference& i) {
        type t = i.operand(0);
        t.element = static_cast<dtype>(i.attribute(0));
        return t;
    }
    static constexpr auto derivative(int, auto dy, auto x, auto) { return cast(dy, x.element()); }
    static constexpr auto cpu(auto x) {
        return x;
    }  // the conversion is made where the result is stored
    static constexpr std::string_view cuda = "$r($0)";
};
constexpr expr cast(const operand& x, dtype d) {
    located here(x);
    if (!detail::usable(x, "cast")) return detail::poison(x.g);
    if (x.g->type_of(x.id).element == d) return {x.g, x.id};
    std::int64_t a[] = {static_cast<std::int64_t>(d)};
    int id[] = {x.id};
    return apply<cast_row>(*x.g, id, a);
}

using logic_rows =
    rows<less_row, less_equal_row, greater_row, greater_equal_row, equal_row, not_equal_row,
         logical_and_row, logical_or_row, logical_not_row, where_row, cast_row>;

}  // namespace etch
