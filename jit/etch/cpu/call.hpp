// SPDX-License-Identifier: MIT
// How a kernel body is run on the CPU, by whatever runs it: the C++ compiler's instance of it (cpu/kernel.hpp) or the
// interpreter (cpu/interpret.hpp).
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include <etch/passes/stages.hpp>

namespace etch::cpu {

/// A slot with this call's numbers: strides in elements, one an axis of the body.
struct bound_slot {
    std::byte* data = nullptr;  // the storage's first element; null where the slot is a number
    std::int64_t offset = 0;
    std::int64_t strides[max_rank]{};
    std::int64_t step = 0, bound = 0;  // of a gathered axis
};

/// One part of a step. The space is cut into units: rows, or for pointwise bodies and columns pieces of `block` elements
/// of the vectorised axis. Units are grouped into tasks by the extents alone, so that results do not depend on threads.
struct kernel_call {
    const bound_slot* slots = nullptr;
    std::int64_t extents[max_rank]{};
    std::int64_t rows = 1;    // combinations of the outer axes, the vectorised one excepted
    std::int64_t blocks = 1;  // pieces of the vectorised axis, where it is an outer one
    std::int64_t block = 1;
    bool stream = false;  // results go past the caches, where they are aligned to registers
    std::int64_t* partials =
        nullptr;  // of each task, for each reduction to a scalar: value and index
    const part* of = nullptr;
};

/// Body i of a program: units [first, last) of task `task`, and what follows when all tasks are done.
struct kernel_entry {
    void (*run)(const kernel_call&, const kernel_entry&, std::int64_t first, std::int64_t last,
                std::int64_t task);
    void (*finish)(const kernel_call&, const kernel_entry&, std::int64_t tasks);
    const void* context = nullptr;  // the interpreter's
};

/// An index outside of its axis; the executor knows the line.
struct index_outside {
    int instruction;
    std::int64_t index, bound;
    const part* of;
};

class executor;

/// How products are run: of the dtypes that a program has, so that others are not instantiated.
struct product_table {
    void (*run)(executor&, const matrix_product&);
};
/// Products of float32 where `single`, of float64 where `twice`. Defined in cpu/executor.hpp.
template <bool single, bool twice> const product_table* products_of();

using etch::detail::scalar_reduction_number;
using etch::detail::scalar_reductions;

}  // namespace etch::cpu
