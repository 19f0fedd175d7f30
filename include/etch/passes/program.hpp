// SPDX-License-Identifier: MIT
// What the passes produce and back ends run: plain arrays of steps, storages and kernel bodies. The same records are
// held in vectors while they are made (`program`), in exactly sized arrays in a constant (`frozen_program`, see
// passes/plan.hpp), and are read through spans (`program_view`).
#pragma once
#include <compare>

#include <etch/passes/index_map.hpp>

namespace etch {

/// Where a storage's memory is.
enum class place : std::uint8_t {
    arena,     // the function's own memory, at an offset that the memory pass chooses
    input,     // the argument `index`
    output,    // the result `index`
    state,     // the parameter `index`
    constant,  // words of the program, `index` is the first
    slice      // of storage `index`, moved by `stride` elements at each step of the loop that runs
};

/// A contiguous, row-major piece of memory.
struct storage {
    dtype element = dtype::float32;
    place where = place::arena;
    int index = 0;
    int alias = -1;             // lives where this other storage lives
    int first = -1, last = -1;  // the steps between which it must be kept
    extent size{};              // in elements
    int node = -1;              // names the user's line; -1 for none
    constexpr bool operator==(const storage&) const = default;
};

/// Values of a kernel exist once (uniform), once a row, or at every point of the iteration space.
enum class level : std::uint8_t { uniform, row, point };

/// What an instruction does; `compute` and `reduce` look the op up in the table.
enum class code : std::uint8_t {
    load,
    gather,
    index,
    random,
    number,
    size,
    compute,
    reduce,
    store,
    store_add
};

/// A load whose elements lie this far apart reads all between them and keeps its own; a stride beyond, or one that is
/// not static, is a number of the call.
inline constexpr std::int8_t most_even_stride = 8, any_stride = 127;

/// One line of a kernel body. Operands are earlier lines. Bodies hold no names and no buffers, so that equal kernels
/// have equal bodies.
struct instruction {
    code what = code::compute;
    op_id op = 0;
    dtype element = dtype::float32;  // of the result
    dtype from = dtype::float32;     // of the operands
    level at = level::point;
    bool after = false;  // uniform, but known only after the loop
    std::uint8_t pass =
        0;  // row and point: the pass over the row in which the value is known first
    std::uint16_t passes = 0;  // point: bit p says that pass p computes it
    std::int8_t stride =
        1;  // of the vector axis, load and store: up to most_even_stride, or any_stride
    int operands[3]{-1, -1, -1};
    int slot = -1;
    std::int64_t word = 0;  // a constant's bits, or an attribute
    constexpr bool operator==(const instruction&) const = default;
};

/// How the lanes of a pack lie in the iteration space.
enum class body_kind : std::uint8_t {
    pointwise,  // no rows: the innermost axis is vectorised
    rows,       // reductions along the innermost axes: lanes lie in the row
    columns     // reductions along axes outside of the innermost: each lane is a row of its own
};

struct body {
    body_kind kind = body_kind::pointwise;
    int outer = 0, inner = 0;  // axes of the space: outer ones, then those of a row
    int passes = 1;            // over each row
    bool sequential = false;   // points must be visited in order (scatter)
    range_of instructions;
    int slots = 0;
    constexpr bool same_shape(const body& b) const {
        return kind == b.kind && outer == b.outer && inner == b.inner && passes == b.passes &&
               sequential == b.sequential && slots == b.slots &&
               instructions.count == b.instructions.count;
    }
};

/// Where a load, store or counter of a body finds element (i0, i1, ...): offset + sum of strides * index.
struct slot {
    int storage = -1;  // -1: the number itself
    extent offset{};
    fixed_list<extent, max_rank> strides{};
    extent bound{};  // gather: extent of the indexed axis; its stride is `step`
    extent step{};
    constexpr bool operator==(const slot&) const = default;
};

/// A body over an iteration space, with its buffers.
struct part {
    int body = 0;
    range_of slots;
    fixed_list<extent, max_rank> extents{};
    int first_line = 0;  // of the instructions' lines
};

struct matrix_product {
    int a = -1, b = -1, c = -1;  // storages
    dtype element = dtype::float32;
    bool transpose_a = false, transpose_b = false;
    extent m{}, n{}, k{}, batch{1};
    extent offset_a{}, offset_b{};
    extent lda{}, ldb{};
    extent stride_a{}, stride_b{};  // from one of the batch to the next, in elements
    int epilogue = -1;              // a part that runs on the result
    int node = -1;
};

struct copy {
    int from = -1, to = -1;
};

struct loop {
    extent steps{};
    bool reverse = false;
    range_of body;    // steps
    range_of slices;  // storages that move with the loop
    int node = -1;
};

/// A step kind is one name here; a back end that does not know it refuses it by name.
enum class step_kind : std::uint8_t { kernel, gemm, loop, copy };
inline constexpr fixed_list<std::string_view, 4> step_kind_names{"kernel", "gemm", "loop", "copy"};
constexpr std::string_view name_of(step_kind k) {
    auto i = static_cast<std::size_t>(k);
    return i < step_kind_names.size() ? step_kind_names[i] : "unknown";
}

/// What runs one after the other: `parts` of a kernel, or the one gemm, loop or copy at `index`.
struct step {
    step_kind kind = step_kind::kernel;
    range_of parts;
    int index = -1;
};

struct program_input {
    range_of name;
    type of;
};
struct program_output {
    range_of name;
    type of;
    int storage = -1;
};
struct program_state {
    range_of name;
    type of;
    initial_value initial;
    bool updated = false;
};
struct program_condition {
    extent size;
    std::int64_t minimum = 0;
    range_of sentence;
};
struct program_line {
    int file = -1, line = 0;
    op_id op = 0;
};

/// The list of all arrays, in one place: F is called with a name's member pointer-like accessor for each.
template <template <class> class Array> struct program_arrays {
    Array<polynomial> polynomials;
    Array<range_of> dims;
    Array<range_of> files;
    Array<char> characters;
    Array<program_input> inputs;
    Array<program_output> outputs;
    Array<program_state> states;
    Array<program_condition> conditions;
    Array<storage> storages;
    Array<std::int64_t> words;
    Array<step> steps;
    Array<part> parts;
    Array<slot> slots;
    Array<body> bodies;
    Array<instruction> instructions;
    Array<program_line> lines;  // of instructions of parts, in order of the parts
    Array<program_line> nodes;  // that storages and steps name
    Array<matrix_product> gemms;
    Array<copy> copies;
    Array<loop> loops;
    Array<int> top;  // the first step, and how many there are outside of loops
};

namespace detail {
template <class T> using vector_of = flat_list<T>;
template <class T> using span_of = flat_view<const T>;
constexpr std::size_t at(int i) { return static_cast<std::size_t>(i); }
}  // namespace detail

using program = program_arrays<detail::vector_of>;

/// A program to be read.
struct program_view : program_arrays<detail::span_of> {
    /// Sums f over the steps, those of loops as often as they run.
    template <class F>
    constexpr std::int64_t count(range_of r, flat_view<const std::int64_t> dim_values, F f) const {
        std::int64_t sum = 0;
        for (const step& s : steps_of(r)) {
            sum += f(s);
            if (s.kind == step_kind::loop) {
                const loop& l = loops[s.index];
                sum += value_of(l.steps, dim_values) * count(l.body, dim_values, f);
            }
        }
        return sum;
    }
    constexpr std::string_view text_of(range_of r) const {
        return {characters.data() + r.first, static_cast<std::size_t>(r.count)};
    }
    constexpr std::int64_t value_of(extent e, flat_view<const std::int64_t> dim_values) const {
        return e.is_static() ? e.code : polynomials[e.polynomial()].evaluate(dim_values);
    }
    constexpr flat_view<const step> steps_of(range_of r) const {
        return steps.subspan(detail::at(r.first), detail::at(r.count));
    }
    constexpr range_of all_steps() const { return {top[0], top[1]}; }
    constexpr flat_view<const instruction> code_of(const body& b) const {
        return instructions.subspan(detail::at(b.instructions.first),
                                    detail::at(b.instructions.count));
    }
    constexpr flat_view<const slot> slots_of(const part& p) const {
        return slots.subspan(detail::at(p.slots.first), detail::at(p.slots.count));
    }
    /// The storage whose memory this one uses.
    constexpr int root(int s) const {
        while (storages[s].alias >= 0) s = storages[s].alias;
        return s;
    }

    // ---- figures; dims in the order in which the model names them ----------------------------------------------
    /// Fused kernels that one call runs.
    constexpr std::int64_t kernels(flat_view<const std::int64_t> dim_values) const {
        return count(all_steps(), dim_values,
                     [](const step& s) { return s.kind == step_kind::kernel ? 1 : 0; });
    }
    /// Products of matrices that one call runs; one of a batch is one.
    constexpr std::int64_t gemm_count(flat_view<const std::int64_t> dim_values) const {
        return count(all_steps(), dim_values,
                     [](const step& s) { return s.kind == step_kind::gemm ? 1 : 0; });
    }
    /// Bytes of parameters and of what optimizers keep.
    constexpr std::int64_t state_bytes() const {
        std::int64_t sum = 0;
        for (const auto& s : states) {
            std::int64_t n = row_of(s.of.element).bytes;
            for (int i = 0; i < s.of.rank; ++i) n *= s.of[i].code;
            sum += n;
        }
        return sum;
    }
    /// 2 per multiply-add of products, one per other scalar operation.
    constexpr std::int64_t flops(flat_view<const std::int64_t> dim_values) const {
        return count(all_steps(), dim_values,
                     [&](const step& s) { return step_flops(s, dim_values); });
    }
    /// The same of one run of a step; 0 for a loop, whose body has steps of its own.
    constexpr std::int64_t step_flops(const step& s,
                                      flat_view<const std::int64_t> dim_values) const {
        std::int64_t sum = 0;
        if (s.kind == step_kind::gemm) {
            const matrix_product& m = gemms[s.index];
            sum = 2 * value_of(m.m, dim_values) * value_of(m.n, dim_values) *
                  value_of(m.k, dim_values) * value_of(m.batch, dim_values);
            if (m.epilogue >= 0) sum += part_flops(parts[m.epilogue], dim_values);
        }
        for (int p = 0; p < s.parts.count; ++p)
            sum += part_flops(parts[s.parts.first + p], dim_values);
        return sum;
    }
    constexpr std::int64_t part_flops(const part& p,
                                      flat_view<const std::int64_t> dim_values) const {
        const body& b = bodies[p.body];
        std::int64_t outer = 1, points = 1, sum = 0;
        for (int i = 0; i < b.outer; ++i) outer *= value_of(p.extents[i], dim_values);
        for (int i = 0; i < b.outer + b.inner; ++i) points *= value_of(p.extents[i], dim_values);
        auto code_lines = code_of(b);
        for (const auto& i : code_lines) {
            if (i.what != code::compute && i.what != code::reduce) continue;
            level at = i.what == code::reduce ? code_lines[i.operands[0]].at : i.at;
            sum += at == level::uniform ? 1 : at == level::row ? outer : points;
        }
        return sum;
    }
};

}  // namespace etch
