// SPDX-License-Identifier: MIT
// What a row of the op table says. A row is a class; this header has the bases that fill in what is common, and the
// plain record (`op_row`) that passes read. Rows are collected in ops/table.hpp.
#pragma once
#include <cstdint>
#include <string_view>

#include <etch/expr/expr.hpp>

namespace etch {

/// How a value of the op is computed, as far as the passes must know it.
enum class op_class : std::uint8_t {
    leaf,         // has no operands: input, parameter, constant, placeholder
    elementwise,  // all operands and the result have one shape
    reduction,    // one operand, attributes = the axes that go, sorted
    view,         // the result's elements are elements of the operand at affine indices
    gather,       // the result's elements are elements of operand 0 at indices that operand 1 holds
    counter,  // the result depends on the index of the element alone, and on scalars: iota, random
    opaque    // a step of its own: dot, concatenate, pad, scatter, reshape, scan
};
/// What operands an elementwise op takes. Integers and bool join float32 where only floating is taken.
enum class accepts : std::uint8_t { floating, number, boolean, integer, any };
/// dtype of an elementwise result.
enum class gives : std::uint8_t { same, boolean };

/// The interval that tests may draw operands from.
struct domain {
    double low = -2, high = 2;
};

/// What a shape rule sees: the operands' types and the attributes; it returns the result's type, or fails.
struct inference {
    graph& g;
    flat_view<const int> operands;
    flat_view<const std::int64_t> attributes;
    bool failed = false;

    constexpr const type& operand(int i) const {
        return g.type_of(operands[static_cast<std::size_t>(i)]);
    }
    constexpr std::int64_t attribute(int i) const {
        return attributes[static_cast<std::size_t>(i)];
    }
    constexpr type fail(const text& sentence) {
        failed = true;
        g.fail(sentence);
        return {};
    }
};

/// What a derivative rule sees. dy is the cotangent of the (first) result; the rule returns the cotangent of operand k.
template <class E> struct pullback {
    graph& g;
    int node;
    int k;                            // the operand that is asked for
    flat_view<const int> cotangents;  // per result, -1 where nothing depends on it

    constexpr E operand(int i) const {
        return {&g,
                g.operands(g.nodes[static_cast<std::size_t>(node)])[static_cast<std::size_t>(i)]};
    }
    constexpr E result(int r = 0) const {
        return {&g, g.nodes[static_cast<std::size_t>(node)].results.first + r};
    }
    constexpr E dy(int r = 0) const { return {&g, cotangents[static_cast<std::size_t>(r)]}; }
    constexpr std::int64_t attribute(int i) const {
        return g.attributes(g.nodes[static_cast<std::size_t>(node)])[static_cast<std::size_t>(i)];
    }
    constexpr int attribute_count() const {
        return g.nodes[static_cast<std::size_t>(node)].attributes.count;
    }
};

/// One row as the passes see it.
struct op_row {
    std::string_view name;
    int arity;  // -1: any number
    op_class kind;
    accepts takes;
    gives result;
    bool cuts;  // no derivative flows through it
    int cost;  // scalar operations of one element, roughly; recomputing is weighed against storing with it
    domain sample[3];
    std::string_view cuda;
    type (*infer)(inference&);
    expr (*derivative)(const pullback<expr>&);
};

/// Bases of rows: what they leave out, a row must say, or it does not build.
struct any_row {
    static constexpr bool cuts = false;
    static constexpr int cost = 1;
    static constexpr domain sample[3]{};
    static constexpr accepts takes = accepts::any;
    static constexpr gives result = gives::same;
};
struct unary : any_row {
    static constexpr int arity = 1;
    static constexpr op_class kind = op_class::elementwise;
    static constexpr accepts takes = accepts::floating;
};
struct binary : any_row {
    static constexpr int arity = 2;
    static constexpr op_class kind = op_class::elementwise;
    static constexpr accepts takes = accepts::number;
};
struct comparison : binary {
    static constexpr gives result = gives::boolean;
    static constexpr bool cuts = true;
};

/// A list of rows; each file of ops/ ends with one.
template <class... Row> struct rows {};

// ---- defined in ops/table.hpp, once all rows are known ----------------------------------------------------------
/// Appends Row's op to the graph, by the row's own shape rule; a poisoned operand gives a poisoned result.
template <class Row>
constexpr expr apply(graph& g, flat_view<const int> operands,
                     flat_view<const std::int64_t> attributes = {});
template <class Row>
constexpr expr apply(std::initializer_list<expr> operands,
                     flat_view<const std::int64_t> attributes = {});

template <class Row> constexpr op_id op_of();
constexpr op_id op_of_constant();
constexpr op_id op_of_extent();

}  // namespace etch
