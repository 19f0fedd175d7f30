// SPDX-License-Identifier: MIT
// What a program's run with known dims needs beside the device: where everything lies in the executor's memory, the
// launches, and, once the memory is there, addresses, products, functions and the words of the kernels' arguments.
#pragma once
#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

#include <etch/cuda/buffer.hpp>
#include <etch/cuda/factor_sums.hpp>
#include <etch/cuda/gemm.hpp>
#include <etch/cuda/graph.hpp>
#include <etch/cuda/modules.hpp>
#include <etch/cuda/sentences.hpp>

#if __has_include(<cuda.h>) && __has_include(<nvrtc.h>)

namespace etch::cuda {

/// Where things lie for given dims, in bytes: the arena, kernels' partial results, then one block that the host has a copy
/// of: inputs, the failure record, outputs.
struct memory_map {
    static constexpr std::int64_t alignment = 256;
    layout arena;
    std::int64_t scratch = 0, shared = 0, record = 0, bytes = 0;
    std::vector<std::int64_t> inputs, input_bytes, outputs, output_bytes;

    memory_map() = default;
    memory_map(const program_view& p, std::span<const std::int64_t> dims,
               std::int64_t scratch_bytes)
        : arena(arena_layout(p, dims)) {
        bytes = arena.bytes;
        scratch = take(scratch_bytes);
        shared = bytes = up(bytes);
        for (const auto& i : p.inputs) place(p, i.of, dims, inputs, input_bytes);
        record = take(sizeof(failure_record));
        for (const auto& o : p.outputs) place(p, o.of, dims, outputs, output_bytes);
        bytes = up(bytes);
    }
    /// Of the block that the host has a copy of.
    std::int64_t shared_bytes() const { return bytes - shared; }
    /// What goes to the device before a call: the inputs, and the record, cleared.
    std::int64_t sent_bytes() const {
        return record + static_cast<std::int64_t>(sizeof(failure_record)) - shared;
    }

private:
    static std::int64_t up(std::int64_t n) { return (n + alignment - 1) / alignment * alignment; }
    std::int64_t take(std::int64_t size) {
        std::int64_t at = up(bytes);
        bytes = at + size;
        return at;
    }
    void place(const program_view& p, const type& t, std::span<const std::int64_t> dims,
               std::vector<std::int64_t>& at, std::vector<std::int64_t>& sizes) {
        std::int64_t size = row_of(t.element).bytes;
        for (int axis = 0; axis < t.rank; ++axis) size *= p.value_of(t[axis], dims);
        at.push_back(take(size));
        sizes.push_back(size);
    }
};

/// A product of the program with known extents.
struct bound_product {
    std::optional<product> by_library;               // none where there is nothing to multiply
    bool whole = false;                              // does the epilogue, too
    int result = -1;                                 // the storage that it writes
    std::int64_t from_a = 0, from_b = 0, bytes = 0;  // of the first elements, and of the result
};

struct binding {
    std::vector<std::int64_t> dims;
    memory_map map;
    std::vector<range_of> of_step;  // launches of a kernel, or of a product's epilogue
    std::vector<kernel_launch> launches;
    std::int64_t nodes = 0;  // that one call puts on the stream, at most

    // Where the memory lies: void when that, or a parameter, moves.
    int generation = -1;
    std::vector<std::uint64_t> states, addresses;  // of parameters, of storages
    std::vector<bound_product> products;
    std::vector<char> left_out;         // steps whose work products do
    std::vector<CUfunction> functions;  // of launches
    std::vector<range_of> arguments;    // of launches, in words; none where they move with a loop
    std::vector<std::uint64_t> words;
    bool warm = false, recordable = true;
    replay graph;

    /// The part that depends on the dims alone.
    binding(const program_view& p, std::span<const std::int64_t> values,
            const device_limits& limits)
        : dims(values.begin(), values.end()), of_step(p.steps.size()) {
        std::int64_t scratch_words = 0;
        for (std::size_t i = 0; i < p.steps.size(); ++i) {
            const step& s = p.steps[i];
            range_of parts = s.parts;
            if (s.kind == step_kind::gemm) {
                const int epilogue = p.gemms[static_cast<std::size_t>(s.index)].epilogue;
                parts = {epilogue, epilogue < 0 ? 0 : 1};
            }
            of_step[i] = {static_cast<int>(launches.size()), 0};
            if (parts.count == 0) continue;
            for (kernel_launch& l : plan_launches(p, parts, dims, limits)) {
                if (l.blocks == 0) continue;
                scratch_words = std::max(scratch_words, l.scratch_words);
                launches.push_back(std::move(l));
                ++of_step[i].count;
            }
        }
        map = memory_map(p, dims, 8 * scratch_words);
        nodes = p.count(p.all_steps(), dims, [&](const step& s) {
            return 2 + of_step[static_cast<std::size_t>(&s - p.steps.data())].count;
        });
    }
};

/// Fills in what depends on where the memory lies.
class placement {
public:
    placement(const program_view& program, binding& bound) : p(program), b(bound) {}

    /// base: of the memory map. constants: addresses of those storages, in their order.
    void addresses(CUdeviceptr base, std::span<const std::uint64_t> constants) {
        b.addresses.assign(p.storages.size(), 0);
        std::size_t constant = 0;
        for (std::size_t i = 0; i < p.storages.size(); ++i) {
            const storage& s = p.storages[i];
            std::uint64_t& to = b.addresses[i];
            auto index = static_cast<std::size_t>(s.index);
            auto at = [&](std::int64_t offset) {
                return base + static_cast<std::uint64_t>(offset);
            };
            if (s.where == place::constant)
                to = constants[constant++];
            else if (s.alias >= 0)
                continue;
            else if (s.where == place::arena && b.map.arena.offsets[i] >= 0)
                to = at(b.map.arena.offsets[i]);
            else if (s.where == place::input)
                to = at(b.map.inputs[index]);
            else if (s.where == place::output)
                to = at(b.map.outputs[index]);
            else if (s.where == place::state)
                to = b.states[index];
        }
        for (std::size_t i = 0; i < p.storages.size(); ++i)
            if (p.storages[i].alias >= 0)
                b.addresses[i] = b.addresses[at(p.root(static_cast<int>(i)))];
    }

    void products(const std::shared_ptr<product_library>& library, const product_options& options) {
        b.products.clear();
        b.products.resize(p.gemms.size());
        b.left_out.assign(p.steps.size(), 0);
        for (const factor_sum& f : factor_sums_of(p, b.dims)) {
            auto with = product_with_sums(f, library, options);
            if (!with) continue;
            b.products[at(f.product)].by_library.emplace(std::move(*with));
            b.left_out[at(f.step)] = 1;
        }
        for (std::size_t i = 0; i < p.gemms.size(); ++i)
            bind_product(p.gemms[i], b.products[i], library, options);
    }

    /// The launches whose kernels run, those of epilogues that the library does left out.
    std::vector<kernel_launch> needed() const {
        std::vector<kernel_launch> all;
        for (std::size_t i = 0; i < p.steps.size(); ++i)
            if (!by_library(i))
                for (int k = 0; k < b.of_step[i].count; ++k)
                    all.push_back(b.launches[at(b.of_step[i].first + k)]);
        return all;
    }

    void arguments(const loaded_kernels& kernels, std::uint64_t scratch, std::uint64_t ticket,
                   std::uint64_t failure) {
        b.functions.assign(b.launches.size(), nullptr);
        b.arguments.assign(b.launches.size(), {});
        b.words.clear();
        std::vector<std::uint64_t> words;
        for (std::size_t i = 0; i < p.steps.size(); ++i) {
            if (by_library(i)) continue;
            for (int k = 0; k < b.of_step[i].count; ++k) {
                const auto n = at(b.of_step[i].first + k);
                const kernel_launch& l = b.launches[n];
                b.functions[n] = kernels.function(l.name);
                if (moves(l)) continue;
                write_argument(p, l, b.dims, b.addresses, scratch, ticket, failure, words);
                b.arguments[n] = {static_cast<int>(b.words.size()), static_cast<int>(words.size())};
                b.words.insert(b.words.end(), words.begin(), words.end());
            }
        }
    }

private:
    const program_view& p;
    binding& b;

    static std::size_t at(int i) { return static_cast<std::size_t>(i); }
    std::int64_t number(extent e) const { return p.value_of(e, b.dims); }

    /// Whether the library does all that kernels of the step would do.
    bool by_library(std::size_t index) const {
        const step& s = p.steps[index];
        return b.left_out[index] != 0 ||
               (s.kind == step_kind::gemm && b.products[at(s.index)].whole);
    }
    /// A product's shape, alone; empty, or with a k of 0, where there is nothing to multiply.
    product_shape shape_of(const matrix_product& g, const product_options& options) const {
        if (g.element != dtype::float32 && g.element != dtype::float64)
            throw mistake("gemm: the CUDA back end has none for " +
                          std::string(name_of(g.element)));
        product_shape s;
        s.element = g.element;
        s.transpose_a = g.transpose_a;
        s.transpose_b = g.transpose_b;
        s.m = number(g.m), s.n = number(g.n), s.k = number(g.k);
        s.lda = number(g.lda), s.ldb = number(g.ldb);
        s.batch = number(g.batch);
        s.stride_a = number(g.stride_a), s.stride_b = number(g.stride_b);
        s.options = options;
        if (s.empty() || s.k <= 0) return s;
        s.join_batch();
        const std::int64_t bytes = row_of(g.element).bytes;
        s.align_a = aligned(g.a, number(g.offset_a) * bytes, s.batch > 1 ? s.stride_a * bytes : 0);
        s.align_b = aligned(g.b, number(g.offset_b) * bytes, s.batch > 1 ? s.stride_b * bytes : 0);
        s.align_c = aligned(g.c, 0, s.batch > 1 ? s.m * s.n * bytes : 0);
        return s;
    }
    int aligned(int storage, std::int64_t offset, std::int64_t stride) const {
        return alignment_of(bits_of(storage) | static_cast<std::uint64_t>(offset | stride));
    }
    /// Where a slot that moves along one axis begins.
    std::uint64_t address_of(int slot) const {
        const etch::slot& from = p.slots[at(slot)];
        return b.addresses[at(from.storage)] +
               static_cast<std::uint64_t>(number(from.offset) *
                                          row_of(p.storages[at(from.storage)].element).bytes);
    }
    std::optional<product> product_with_sums(const factor_sum& f,
                                             const std::shared_ptr<product_library>& library,
                                             const product_options& options) const {
        product_shape s = shape_of(p.gemms[at(f.product)], options);
        if (s.empty() || s.k <= 0 || s.batch != 1) return {};
        s.sums = f.of_a ? summed_factor::a : summed_factor::b;
        const std::uint64_t to = address_of(f.slot);
        s.align_bias = alignment_of(to);
        product with(library, s, to);
        if (!with.found()) return {};
        return with;
    }
    void bind_product(const matrix_product& g, bound_product& to,
                      const std::shared_ptr<product_library>& library,
                      const product_options& options) const {
        const product_shape s = shape_of(g, options);
        const std::int64_t bytes = row_of(g.element).bytes;
        to.result = g.c;
        to.from_a = number(g.offset_a) * bytes;
        to.from_b = number(g.offset_b) * bytes;
        if (s.empty()) return;
        to.bytes = s.m * s.n * s.batch * bytes;
        if (s.k <= 0 || to.by_library) return;
        if (auto e = library_epilogue_of(p, g); e && s.batch == 1 && apart(g, *e)) {
            product_shape with = s;
            with.after = e->after;
            with.bias = e->bias >= 0;
            with.align_c = aligned(e->result, 0, 0);
            const std::uint64_t bias = with.bias ? address_of(e->bias) : 0;
            if (with.bias) with.align_bias = alignment_of(bias);
            product whole(library, with, bias);
            if (whole.found()) {
                to.by_library.emplace(std::move(whole));
                to.whole = true;
                to.result = e->result;
                return;
            }
        }
        to.by_library.emplace(library, s);
        if (to.by_library->found()) return;
        const std::string line = g.node >= 0 ? detail::line_text(p, p.nodes[at(g.node)]) : "";
        throw mistake("cuBLASLt has no algorithm for the product of " + std::to_string(s.m) +
                      " x " + std::to_string(s.k) + " by " + std::to_string(s.k) + " x " +
                      std::to_string(s.n) + " of " + std::string(name_of(s.element)) +
                      ", batch of " + std::to_string(s.batch) +
                      (line.empty() ? "" : " (" + line + ")"));
    }
    /// The storage in whose memory this one lies, slices of a loop too.
    int owner(int s) const {
        s = p.root(s);
        return p.storages[at(s)].where == place::slice ? owner(p.storages[at(s)].index) : s;
    }
    /// All bits that may be set in the storage's address, wherever a loop moves it.
    std::uint64_t bits_of(int s) const {
        const storage& k = p.storages[at(p.root(s))];
        if (k.where != place::slice) return b.addresses[at(p.root(s))];
        return bits_of(k.index) |
               static_cast<std::uint64_t>(number(k.size) * row_of(k.element).bytes);
    }
    /// Whether the library may write the epilogue's result while it reads the rest.
    bool apart(const matrix_product& g, const library_epilogue& e) const {
        const int to = owner(e.result);
        return to != owner(g.a) && to != owner(g.b) &&
               (e.bias < 0 || to != owner(p.slots[at(e.bias)].storage));
    }
    bool moves(const kernel_launch& l) const {
        for (int part : l.parts)
            for (const slot& s : p.slots_of(p.parts[at(part)]))
                if (s.storage >= 0 && p.storages[at(p.root(s.storage))].where == place::slice)
                    return true;
        return false;
    }
};

}  // namespace etch::cuda

#endif
