// SPDX-License-Identifier: MIT
// When an instruction of a kernel body runs: once before all rows, for each row, at each point of a pass over a row, or
// once in the end. Back ends walk a body by these questions alone.
#pragma once
#include <etch/passes/program.hpp>

namespace etch::detail {

/// The level of what is visited: for a reduction, of what it joins.
constexpr level over(const instruction& i) {
    return i.what == code::reduce ? static_cast<level>(i.word) : i.at;
}
constexpr bool is_scalar_reduction(const instruction& i) {
    return i.what == code::reduce && i.at == level::uniform;
}
constexpr bool is_row_reduction(const instruction& i) {
    return i.what == code::reduce && i.at == level::row;
}
/// For each pack of pass p over a row.
constexpr bool in_pass(const instruction& i, int p) {
    return over(i) == level::point && (i.passes >> p & 1);
}
/// For each row, before pass p; after the last one for p = passes.
constexpr bool in_row_stage(const instruction& i, int p) {
    if (i.pass != p) return false;
    return i.at == level::row || (i.what == code::reduce && over(i) == level::row);
}
constexpr bool is_uniform_store(const instruction& i) {
    return i.at == level::uniform && (i.what == code::store || i.what == code::store_add);
}
/// Once before all rows, and again before what stands at the end.
constexpr bool is_before(const instruction& i) {
    return i.at == level::uniform && i.what != code::reduce && !i.after && !is_uniform_store(i);
}
/// Once when all tasks are done.
constexpr bool is_at_end(const instruction& i) {
    return i.at == level::uniform && i.what != code::reduce && (i.after || is_uniform_store(i));
}

/// Reductions to a scalar in a body: each has two words in a task's partial results.
constexpr int scalar_reductions(flat_view<const instruction> code_lines) {
    int n = 0;
    for (const auto& i : code_lines) n += i.what == code::reduce && i.at == level::uniform ? 1 : 0;
    return n;
}
/// Which of them instruction `at` is.
constexpr int scalar_reduction_number(flat_view<const instruction> code_lines, int at) {
    return scalar_reductions(code_lines.first(static_cast<std::size_t>(at)));
}

}  // namespace etch::detail
