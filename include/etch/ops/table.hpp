// SPDX-License-Identifier: MIT
// The op table: all rows, in the order of their numbers, as the passes and back ends read them. A row that leaves
// something out fails to build here.
#pragma once
#include <utility>

#include <etch/ops/loop.hpp>

namespace etch {

namespace detail {
template <class... Lists> struct join;
template <class... A> struct join<rows<A...>> { using type = rows<A...>; };
template <class... A, class... B, class... Rest> struct join<rows<A...>, rows<B...>, Rest...> {
    using type = typename join<rows<A..., B...>, Rest...>::type;
};
}  // namespace detail

using all_rows =
    detail::join<leaf_rows, elementwise_rows, logic_rows, movement_rows, reduction_rows,
                 contraction_rows, indexing_rows, random_rows, loop_rows>::type;

namespace detail {
template <class Row> constexpr type infer_type(inference& i) {
    if constexpr (requires { Row::infer(i); }) {
        return Row::infer(i);
    } else {
        static_assert(Row::kind == op_class::elementwise,
                      "only elementwise rows share one shape rule");
        type t = i.operand(0);
        if (Row::result == gives::boolean) t.element = dtype::boolean;
        return t;
    }
}
template <class Row> constexpr expr derivative_of(const pullback<expr>& p) {
    if constexpr (Row::cuts)
        return p.dy();
    else if constexpr (requires { Row::derivative(p); })
        return Row::derivative(p);
    else if constexpr (Row::arity == 1)
        return Row::derivative(p.k, p.dy(), p.operand(0), p.result());
    else if constexpr (Row::arity == 2)
        return Row::derivative(p.k, p.dy(), p.operand(0), p.operand(1), p.result());
    else
        return Row::derivative(p.k, p.dy(), p.operand(0), p.operand(1), p.operand(2), p.result());
}
// Whether Row has a member of the name cpu, of whatever parameters: then the name is ambiguous beside another one.
struct other_cpu {
    void cpu();
};
template <class Row> struct with_other_cpu : Row, other_cpu {};
template <class Row> inline constexpr bool has_cpu = !requires { &with_other_cpu<Row>::cpu; };

template <class Row> consteval op_row make_row() {
    static_assert(!Row::name.empty(), "a row has a name");
    static_assert(Row::kind != op_class::elementwise || !Row::cuda.empty(),
                  "an elementwise row has CUDA text");
    static_assert(Row::kind != op_class::elementwise || has_cpu<Row>,
                  "an elementwise row has CPU code");
    return {Row::name,          Row::arity,
            Row::kind,          Row::takes,
            Row::result,        Row::cuts,
            Row::cost,          {Row::sample[0], Row::sample[1], Row::sample[2]},
            Row::cuda,          &infer_type<Row>,
            &derivative_of<Row>};
}
template <class... Row> constexpr fixed_list<op_row, sizeof...(Row)> make_table(rows<Row...>) {
    return {make_row<Row>()...};
}
template <class... Row> consteval std::size_t count(rows<Row...>) { return sizeof...(Row); }
template <op_id number, class Row> struct numbered {};
template <class Numbers, class... Row> struct numbering;
template <std::size_t... i, class... Row>
struct numbering<std::index_sequence<i...>, Row...> : numbered<static_cast<op_id>(i), Row>... {};
template <class... Row>
numbering<std::index_sequence_for<Row...>, Row...> number_rows(rows<Row...>);
template <op_id number, class Row> Row row_numbered(numbered<number, Row>);
template <class Row, op_id number>
std::integral_constant<op_id, number> number_of_row(numbered<number, Row>*);
template <class Row> std::integral_constant<op_id, op_id(-1)> number_of_row(...);
using numbered_rows = decltype(number_rows(all_rows{}));
}  // namespace detail

inline constexpr std::size_t op_count = detail::count(all_rows{});
inline constexpr fixed_list<op_row, op_count> op_table = detail::make_table(all_rows{});

/// The row of a number, as a type: back ends take its code from it.
template <op_id number>
using row_type = decltype(detail::row_numbered<number>(detail::numbered_rows{}));

/// The number of a row.
template <class Row> constexpr op_id op_of() {
    constexpr op_id i =
        decltype(detail::number_of_row<Row>(static_cast<detail::numbered_rows*>(nullptr)))::value;
    static_assert(i < op_count,
                  "the row is not in the table: name it in the list at the end of its file");
    return i;
}
constexpr op_id op_of_constant() { return op_of<constant_row>(); }
constexpr op_id op_of_extent() { return op_of<extent_value_row>(); }

constexpr const op_row& row_of(op_id op) { return op_table[op]; }
constexpr const op_row& row_of(const node& n) { return op_table[n.op]; }
constexpr op_class detail::kind_of(op_id op) { return op_table[op].kind; }

namespace detail {
constexpr expr append(graph& g, op_id op, flat_view<const int> operands,
                      flat_view<const std::int64_t> attributes) {
    for (int v : operands)
        if (v < 0) return poison(&g);
    inference i{g, operands, attributes};
    type t = row_of(op).infer(i);
    if (i.failed) return poison(&g);
    return {&g, g.append(op, operands, attributes, flat_view<const type>(&t, 1))};
}

constexpr bool constant_number(const graph& g, int v, double& number) {
    for (;;) {
        const node& n = g.node_of(v);
        if (row_of(n).kind == op_class::view && n.op != op_of<slice_row>()) {
            v = g.operands(n)[0];
            continue;
        }
        if (n.op != op_of<constant_row>()) return false;
        auto a = g.attributes(n);
        auto first = static_cast<std::size_t>(2 + a[1]);
        for (auto i = first; i < a.size(); ++i)
            if (a[i] != a[first]) return false;
        if (first == a.size()) return false;
        number = number_of(static_cast<dtype>(a[0]), a[first]);
        return true;
    }
}
}  // namespace detail

template <class Row>
constexpr expr apply(graph& g, flat_view<const int> operands,
                     flat_view<const std::int64_t> attributes) {
    return detail::append(g, op_of<Row>(), operands, attributes);
}
template <class Row>
constexpr expr apply(std::initializer_list<expr> operands,
                     flat_view<const std::int64_t> attributes) {
    int ids[4]{};
    std::size_t n = 0;
    graph* g = nullptr;
    for (expr x : operands) {
        g = x.g;
        ids[n++] = x.id;
    }
    return detail::append(*g, op_of<Row>(), {ids, n}, attributes);
}

namespace detail {
// Functions above this file call apply<Row> before it can be defined. clang evaluates such a call in a constant only
// after a use that follows the definition: these are the uses.
template <class... Row> constexpr std::size_t instantiate(rows<Row...>) {
    using applied = expr (*)(graph&, flat_view<const int>, flat_view<const std::int64_t>);
    using listed = expr (*)(std::initializer_list<expr>, flat_view<const std::int64_t>);
    applied a[] = {static_cast<applied>(&apply<Row>)...};
    listed b[] = {static_cast<listed>(&apply<Row>)...};
    op_id c[] = {op_of<Row>()...};
    return std::size(a) + std::size(b) + std::size(c);
}
static_assert(instantiate(all_rows{}) == 3 * op_count);
}  // namespace detail

}  // namespace etch
