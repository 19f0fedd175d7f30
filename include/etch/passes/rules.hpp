// SPDX-License-Identifier: MIT
// The rules of passes/simplify.hpp as one table: a name, when the rule is right, the ops at whose results it is
// tried, and the rewriting. The formula of each stands above its function in rules/. The first rule that applies
// wins: cheap and exact ones come first. What needs to know how often a value is used is no rule: see simplify.hpp.
#pragma once
#include <etch/passes/rules/algebra.hpp>
#include <etch/passes/rules/cancel.hpp>
#include <etch/passes/rules/constants.hpp>
#include <etch/passes/rules/exponentials.hpp>
#include <etch/passes/rules/logic.hpp>
#include <etch/passes/rules/pieces.hpp>
#include <etch/passes/rules/reductions.hpp>

namespace etch {

/// The ops at whose results a rule is tried.
struct rule_roots {
    fixed_list<op_id, 6> ops{};
    int count = 0;
    bool elementwise = false;  // all of that class
    bool number = false;       // only where an operand is the same number everywhere
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
    return {{op_of<Row>()...}, sizeof...(Row), false, false};
}
template <class... Row> constexpr rule_roots on_number() {
    return {{op_of<Row>()...}, sizeof...(Row), false, true};
}
constexpr rule_roots on_elementwise() { return {{}, 0, true, false}; }
}  // namespace rules

// clang-format off
namespace rules {
using enum rule_class;
inline constexpr rule all_rules[]{
        {"remove_marker", exact, on<identity_row, stop_gradient_row>(), remove_marker},
        {"constant_folding", exact, on_elementwise(), constant_folding},
        {"same_operands", exact, on<maximum_row, minimum_row, logical_and_row, logical_or_row>(), same_operands},

        {"add_zero", signed_zero, on_number<add_row>(), add_zero},
        {"add_negative", exact, on<add_row>(), add_negative},
        {"subtract_zero", exact, on_number<subtract_row>(), subtract_zero},
        {"subtract_from_zero", signed_zero, on_number<subtract_row>(), subtract_from_zero},
        {"subtract_negative", exact, on<subtract_row>(), subtract_negative},
        {"subtract_itself_integer", exact, on<subtract_row>(), subtract_itself_integer},
        {"subtract_constant", exact, on_number<subtract_row>(), subtract_constant},
        {"join_integer_constants", exact, on_number<add_row, multiply_row>(), join_integer_constants},
        {"cancel_integer_terms", exact, on<add_row, subtract_row>(), for_integers<cancel_terms>},
        {"like_integer_terms", exact, on<add_row, subtract_row>(), for_integers<like_terms>},
        {"add_to_itself", exact, on<add_row>(), add_to_itself},
        {"multiply_by_one", exact, on_number<multiply_row>(), multiply_by_one},
        {"multiply_by_zero_integer", exact, on_number<multiply_row>(), multiply_by_zero_integer},
        {"multiply_by_itself", exact, on<multiply_row>(), multiply_by_itself},
        {"join_powers_of_two", stability, on_number<multiply_row>(), join_powers_of_two},
        {"join_magnitudes", exact, on<multiply_row, divide_row>(), join_magnitudes},
        {"sign_times_magnitude", exact, on<multiply_row>(), sign_times_magnitude},
        {"negative_times_constant", exact, on_number<multiply_row>(), negative_times_constant},
        {"divide_by_one", exact, on_number<divide_row>(), divide_by_one},
        {"divide_into_one", exact, on_number<divide_row>(), divide_into_one},
        {"divide_by_power_of_two", exact, on_number<divide_row>(), divide_by_power_of_two},
        {"negatives_cancel", exact, on<multiply_row, divide_row>(), negatives_cancel},
        {"negative_twice", exact, on<negative_row>(), negative_twice},
        {"negative_of_difference", signed_zero, on<negative_row>(), negative_of_difference},
        {"negative_of_constant_product", exact, on<negative_row>(), negative_of_constant_product},
        {"magnitude_of_nonnegative", exact, on<abs_row, relu_row>(), magnitude_of_nonnegative},
        {"even_of_negative", exact, on<abs_row, square_row, cos_row>(), even_of_negative},
        {"floor_divide_integers", exact, on_number<floor_divide_row>(), floor_divide_integers},
        {"remainder_of_integers", exact, on<remainder_row>(), remainder_of_integers},
        {"power_trivial", exact, on_number<power_row>(), power_trivial},
        {"power_small", stability, on_number<power_row>(), power_small},
        {"power_of_one", exact, on_number<power_row>(), power_of_one},
        {"power_half", stability, on_number<power_row>(), power_half},
        {"power_integral", stability, on_number<power_row>(), power_integral},

        {"not_twice", exact, on<logical_not_row>(), not_twice},
        {"not_of_comparison", exact, on<logical_not_row>(), not_of_comparison},
        {"logic_complement", exact, on<logical_and_row, logical_or_row>(), logic_complement},
        {"logic_absorb", exact, on<logical_and_row, logical_or_row>(), logic_absorb},
        {"compare_boolean", exact, on_number<equal_row, not_equal_row>(), compare_boolean},
        {"extremum_twice", signed_zero, on<maximum_row, minimum_row>(), extremum_twice},
        {"extremum_absorb", exact, on<maximum_row, minimum_row>(), extremum_absorb},
        {"extremum_of_negatives", signed_zero, on<maximum_row, minimum_row>(), extremum_of_negatives},
        {"maximum_with_zero", signed_zero, on_number<maximum_row>(), maximum_with_zero},
        {"logic_with_constant", exact, on_number<logical_and_row, logical_or_row>(), logic_with_constant},
        {"compare_with_itself", exact,
     on<equal_row, not_equal_row, less_row, less_equal_row, greater_row, greater_equal_row>(),
     compare_with_itself},
        {"where_constant", exact, on_number<where_row>(), where_constant},
        {"where_same", exact, on<where_row>(), where_same},
        {"where_not", exact, on<where_row>(), where_not},
        {"where_of_booleans", exact, on_number<where_row>(), where_of_booleans},
        {"where_twice", exact, on<where_row>(), where_twice},
        {"where_joined", exact, on<where_row>(), where_joined},
        {"cast_twice", exact, on<cast_row>(), cast_twice},

        {"subtract_itself", finite, on<subtract_row>(), subtract_itself},
        {"multiply_by_zero", finite, on_number<multiply_row>(), multiply_by_zero},
        {"divide_by_itself", finite, on<divide_row>(), divide_by_itself},
        {"divide_zero", finite, on_number<divide_row>(), divide_zero},
        {"exp_of_log", finite, on<exp_row, expm1_row>(), exp_of_log},
        {"square_of_sqrt", finite, on<square_row>(), square_of_sqrt},
        {"zero_of_where", finite, on<multiply_row, divide_row>(), zero_of_where},

        {"join_any_constants", rounding, on_number<add_row, multiply_row>(), join_any_constants},
        {"divide_by_constant", rounding, on_number<divide_row>(), divide_by_constant},
        {"cancel_any_terms", rounding, on<add_row, subtract_row>(), for_floats<cancel_terms>},
        {"like_any_terms", rounding, on<add_row, subtract_row>(), for_floats<like_terms>},
        {"cancel_factors", rounding, on<multiply_row, divide_row>(), cancel_factors},
        {"join_exponentials", rounding, on<multiply_row, divide_row>(), join_exponentials},
        {"quotient_of_quotient", rounding, on<divide_row>(), quotient_of_quotient},
        {"power_of_many", rounding, on_number<power_row>(), power_of_many},
        {"sum_of_scaled", rounding, on<sum_row>(), sum_of_scaled},
        {"nested_product", rounding, on<product_row>(), reduce_twice},

        {"broadcast_twice", exact, on<broadcast_to_row>(), broadcast_twice},
        {"view_of_scalar", exact,
     on<transpose_row, expand_dims_row, squeeze_row, broadcast_to_row, slice_row, reshape_row>(), view_of_scalar},
        {"transpose_twice", exact, on<transpose_row>(), transpose_twice},
        {"unit_axes_twice", exact, on<expand_dims_row, squeeze_row>(), unit_axes_twice},
        {"view_of_broadcast", exact, on<transpose_row, expand_dims_row, squeeze_row>(), view_of_broadcast},
        {"slice_twice", exact, on<slice_row>(), slice_twice},
        {"slice_of_broadcast", exact, on<slice_row>(), slice_of_broadcast},
        {"slice_of_concatenate", exact, on<slice_row>(), slice_of_concatenate},
        {"slice_of_pad", exact, on<slice_row>(), slice_of_pad},
        {"pad_of_nothing", exact, on<pad_row>(), pad_of_nothing},
        {"concatenate_twice", exact, on<concatenate_row>(), concatenate_twice},
        {"concatenate_of_slices", exact, on<concatenate_row>(), concatenate_of_slices},
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
        {"extremum_of_negative", signed_zero, on<max_row, min_row>(), extremum_of_negative},
        {"sum_of_scaled_integers", exact, on<sum_row>(), sum_of_scaled_integers},
        {"sum_of_doubled", stability, on<sum_row>(), sum_of_doubled},
        {"extremum_of_transpose", exact, on<max_row, min_row>(), reduce_of_transpose},
        {"sum_of_transpose", stability, on<sum_row>(), reduce_of_transpose},
        {"extremum_of_reshape", exact, on<max_row, min_row>(), reduce_of_reshape},
        {"sum_of_reshape", stability, on<sum_row>(), reduce_of_reshape},
        {"sum_of_products", stability, on<sum_row>(), sum_of_products},
        {"dot_of_outer", signed_zero, on<dot_row>(), dot_of_outer},
        {"one_hot_sum", signed_zero, on<sum_row>(), one_hot_sum},

        {"log_of_exp", stability, on<log_row>(), log_of_exp},
        {"log_one_plus", stability, on<log_row>(), log_one_plus},
        {"log_one_less", stability, on<log_row>(), log_one_less},
        {"log1p_of_expm1", stability, on<log1p_row>(), log1p_of_expm1},
        {"log1p_of_negative_sigmoid", stability, on<log1p_row>(), log1p_of_negative_sigmoid},
        {"log_one_less_exp", stability, on<log_row, log1p_row>(), log_one_less_exp},
        {"log_of_root_or_square", stability, on<log_row>(), log_of_root_or_square},
        {"log_of_added_exp", stability, on<log_row>(), log_of_added_exp},
        {"log_of_mean_of_exp", stability, on<log_row>(), log_of_mean_of_exp},
        {"log_of_picked_softmax", stability, on<log_row>(), log_of_picked_softmax},
        {"sqrt_of_square", stability, on<sqrt_row>(), sqrt_of_square},
        {"log1p_of_exp", stability, on<log1p_row>(), log1p_of_exp},
        {"exp_less_one", stability, on_number<subtract_row, add_row>(), exp_less_one},
        {"one_less_exp", stability, on_number<subtract_row>(), one_less_exp},
        {"reciprocal_of_exp", stability, on<reciprocal_row>(), reciprocal_of_exp},
        {"tanh_of_exponentials", stability, on<divide_row>(), tanh_of_exponentials},
        {"softplus_less_itself", stability, on<subtract_row>(), softplus_less_itself},
        {"variance_of_large", stability, on<subtract_row>(), variance_of_large},
        {"cancel_positive_factor", stability, on<multiply_row>(), cancel_positive_factor},
        {"distribute_positive_factor", stability, on<multiply_row>(), distribute_positive_factor},
        {"sum_over_total", stability, on<sum_row>(), sum_over_total},
        {"quotient_by_share", stability, on<divide_row>(), quotient_by_share},
        {"log_of_sigmoid", stability, on<log_row>(), log_of_sigmoid},
        {"one_less_sigmoid", stability, on_number<subtract_row>(), one_less_sigmoid},
        {"reciprocal_of_one_plus_exp", stability, on<reciprocal_row>(), reciprocal_of_one_plus_exp},
        {"exp_over_one_plus_exp", stability, on<divide_row>(), exp_over_one_plus_exp},
        {"log_of_sum_of_exp", stability, on<log_row>(), log_of_sum_of_exp},
        {"log_of_softmax", stability, on<log_row>(), log_of_softmax},
        {"softmax_of_large", stability, on<divide_row>(), softmax_of_large},
        {"softmax_gradient_of_large", stability, on<multiply_row>(), softmax_gradient_of_large},
};
}  // namespace rules
// clang-format on
inline constexpr flat_view<const rule> rule_table = rules::all_rules;

namespace rules {
struct index {
    fixed_list<std::uint8_t, 32> list{};
    std::size_t count = 0;
    constexpr const std::uint8_t* begin() const { return list.data(); }
    constexpr const std::uint8_t* end() const { return list.data() + count; }
};
/// For each op, the rules that are tried at its results.
inline constexpr fixed_list<index, op_count> index_table = [] {
    fixed_list<index, op_count> all{};
    for (std::size_t op = 0; op < op_count; ++op)
        for (std::size_t i = 0; i < rule_table.size(); ++i)
            if (rule_table[i].roots.has(static_cast<op_id>(op)))
                all[op].list[all[op].count++] = static_cast<std::uint8_t>(i);
    return all;
}();
constexpr const index& index_of(op_id op) { return index_table[op]; }
}  // namespace rules

}  // namespace etch
