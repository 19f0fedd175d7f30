// SPDX-License-Identifier: MIT
// The operators of the language, each a name for a function of ops/.
#pragma once
#include <etch/ops/logic.hpp>

namespace etch {

constexpr expr operator+(const operand& a, const operand& b) { return add(a, b); }
constexpr expr operator-(const operand& a, const operand& b) { return subtract(a, b); }
constexpr expr operator*(const operand& a, const operand& b) { return multiply(a, b); }
constexpr expr operator/(const operand& a, const operand& b) { return divide(a, b); }
constexpr expr operator%(const operand& a, const operand& b) { return remainder(a, b); }
constexpr expr operator-(const operand& a) { return negative(a); }
constexpr expr operator+(const operand& a) { return {a.g, a.id}; }
constexpr expr operator<(const operand& a, const operand& b) { return less(a, b); }
constexpr expr operator<=(const operand& a, const operand& b) { return less_equal(a, b); }
constexpr expr operator>(const operand& a, const operand& b) { return greater(a, b); }
constexpr expr operator>=(const operand& a, const operand& b) { return greater_equal(a, b); }
/// Both sides are computed: there is no short circuit over tensors.
constexpr expr operator&&(const operand& a, const operand& b) { return logical_and(a, b); }
constexpr expr operator||(const operand& a, const operand& b) { return logical_or(a, b); }
constexpr expr operator!(const operand& a) { return logical_not(a); }

}  // namespace etch
