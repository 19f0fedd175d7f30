// SPDX-License-Identifier: MIT
// The rules of passes/simplify.hpp as one table: a name, when the rule is right, the ops at whose results it is
// tried, and the rewriting. The formula of each stands above its function in rules/. The first rule that applies
// wins: cheap and exact ones come first.
#pragma once
#include <etch/passes/rules/arithmetic.hpp>
#include <etch/passes/rules/constants.hpp>
#include <etch/passes/rules/movement.hpp>
#include <etch/passes/rules/stability.hpp>

namespace etch {

/// The ops at whose results a rule is tried.
struct rule_roots {
    std::array<op_id, 6> ops{};
    int count = 0;
    bool elementwise = false;  // all of that class
    constexpr bool has(op_id op) const {
        for (int i = 0; i < count; ++i)
            if (ops[static_cast<std::size_t>(i)] == op) return true;
        return elementwise && row_of(op).kind == op_class::elementwise;
    }
};
struct rule {
    std::string_view name;
    rule_class when;
    rule_roots roots;
    expr (*rewrite)(graph&, int);
};

namespace rules {
template <class... Row> constexpr rule_roots on() {
    return {{op_of<Row>()...}, sizeof...(Row), false};
}
constexpr rule_roots on_elementwise() { return {{}, 0, true}; }
}  // namespace rules

// clang-format off
inline constexpr auto rule_table = [] {
    using namespace rules;
    using enum rule_class;
    return std::to_array<rule>({
        {"remove_marker", exact, on<identity_row, stop_gradient_row>(), remove_marker},
        {"constant_folding", exact, on_elementwise(), constant_folding},
        {"same_operands", exact, on<maximum_row, minimum_row, logical_and_row, logical_or_row>(), same_operands},

        {"add_zero", signed_zero, on<add_row>(), add_zero},
        {"add_negative", exact, on<add_row>(), add_negative},
        {"subtract_zero", exact, on<subtract_row>(), subtract_zero},
        {"subtract_from_zero", signed_zero, on<subtract_row>(), subtract_from_zero},
        {"subtract_negative", exact, on<subtract_row>(), subtract_negative},
        {"subtract_itself_integer", exact, on<subtract_row>(), subtract_itself_integer},
        {"multiply_by_one", exact, on<multiply_row>(), multiply_by_one},
        {"multiply_by_zero_integer", exact, on<multiply_row>(), multiply_by_zero_integer},
        {"multiply_by_itself", exact, on<multiply_row>(), multiply_by_itself},
        {"divide_by_one", exact, on<divide_row>(), divide_by_one},
        {"divide_into_one", exact, on<divide_row>(), divide_into_one},
        {"divide_by_power_of_two", exact, on<divide_row>(), divide_by_power_of_two},
        {"negatives_cancel", exact, on<multiply_row, divide_row>(), negatives_cancel},
        {"negative_twice", exact, on<negative_row>(), negative_twice},
        {"power_trivial", exact, on<power_row>(), power_trivial},
        {"power_small", stability, on<power_row>(), power_small},

        {"not_twice", exact, on<logical_not_row>(), not_twice},
        {"logic_with_constant", exact, on<logical_and_row, logical_or_row>(), logic_with_constant},
        {"compare_with_itself", exact,
         on<equal_row, not_equal_row, less_row, less_equal_row, greater_row, greater_equal_row>(),
         compare_with_itself},
        {"where_constant", exact, on<where_row>(), where_constant},
        {"where_same", exact, on<where_row>(), where_same},
        {"where_not", exact, on<where_row>(), where_not},
        {"cast_twice", exact, on<cast_row>(), cast_twice},

        {"subtract_itself", finite, on<subtract_row>(), subtract_itself},
        {"multiply_by_zero", finite, on<multiply_row>(), multiply_by_zero},
        {"divide_by_itself", finite, on<divide_row>(), divide_by_itself},
        {"divide_zero", finite, on<divide_row>(), divide_zero},

        {"broadcast_twice", exact, on<broadcast_to_row>(), broadcast_twice},
        {"view_of_scalar", exact,
         on<transpose_row, expand_dims_row, squeeze_row, broadcast_to_row, slice_row, reshape_row>(), view_of_scalar},
        {"transpose_twice", exact, on<transpose_row>(), transpose_twice},
        {"unit_axes_twice", exact, on<expand_dims_row, squeeze_row>(), unit_axes_twice},
        {"view_of_broadcast", exact, on<transpose_row, expand_dims_row, squeeze_row>(), view_of_broadcast},
        {"slice_twice", exact, on<slice_row>(), slice_twice},
        {"reshape_twice", exact, on<reshape_row>(), reshape_twice},
        {"reshape_unit_axes", exact, on<reshape_row>(), reshape_unit_axes},
        {"reshape_of_broadcast", exact, on<reshape_row>(), reshape_of_broadcast},
        {"reshape_of_elementwise", exact, on<reshape_row>(), reshape_of_elementwise},
        {"pull_broadcast", exact, on_elementwise(), pull_broadcast},

        {"reduce_unit_axes", signed_zero, on<sum_row, product_row, max_row, min_row>(), reduce_unit_axes},
        {"extremum_of_broadcast", exact, on<max_row, min_row>(), extremum_of_broadcast},
        {"nested_extremum", exact, on<max_row, min_row>(), reduce_twice},
        {"nested_sum", stability, on<sum_row>(), reduce_twice},
        {"sum_of_broadcast", stability, on<sum_row>(), sum_of_broadcast},
        {"sum_of_negative", signed_zero, on<sum_row>(), sum_of_negative},
        {"one_hot_sum", signed_zero, on<sum_row>(), one_hot_sum},

        {"log_of_exp", stability, on<log_row>(), log_of_exp},
        {"log_one_plus", stability, on<log_row>(), log_one_plus},
        {"log1p_of_exp", stability, on<log1p_row>(), log1p_of_exp},
        {"exp_less_one", stability, on<subtract_row, add_row>(), exp_less_one},
        {"log_of_sigmoid", stability, on<log_row>(), log_of_sigmoid},
        {"one_less_sigmoid", stability, on<subtract_row>(), one_less_sigmoid},
        {"reciprocal_of_one_plus_exp", stability, on<reciprocal_row>(), reciprocal_of_one_plus_exp},
        {"exp_over_one_plus_exp", stability, on<divide_row>(), exp_over_one_plus_exp},
        {"log_of_sum_of_exp", stability, on<log_row>(), log_of_sum_of_exp},
        {"log_of_softmax", stability, on<log_row>(), log_of_softmax},
        {"softmax_of_large", stability, on<divide_row>(), softmax_of_large},
        {"softmax_gradient_of_large", stability, on<multiply_row>(), softmax_gradient_of_large},
    });
}();
// clang-format on

namespace rules {
struct index {
    std::array<std::uint8_t, 16> list{};
    std::size_t count = 0;
    constexpr const std::uint8_t* begin() const { return list.data(); }
    constexpr const std::uint8_t* end() const { return list.data() + count; }
};
/// For each op, the rules that are tried at its results.
inline constexpr std::array<index, op_count> index_table = [] {
    std::array<index, op_count> all{};
    for (std::size_t op = 0; op < op_count; ++op)
        for (std::size_t i = 0; i < rule_table.size(); ++i)
            if (rule_table[i].roots.has(static_cast<op_id>(op)))
                all[op].list[all[op].count++] = static_cast<std::uint8_t>(i);
    return all;
}();
constexpr const index& index_of(op_id op) { return index_table[op]; }
}  // namespace rules

}  // namespace etch
