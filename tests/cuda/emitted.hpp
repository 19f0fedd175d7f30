// SPDX-License-Identifier: MIT
// A program whose steps run as emitted kernel text on the host: the launches, arguments and text are those that a GPU
// gets; only memory and products are the test's own.
#pragma once
#include <cstring>
#include <stdexcept>

#include <etch/cuda/emit.hpp>
#include <etch/passes/plan.hpp>

#include "cuda/host_library.hpp"
#include "reference/execute.hpp"

namespace etch_test {

/// As in the prelude of kernel text.
struct failure_record {
    std::int32_t set = 0, part = 0, instruction = 0, unused = 0;
    std::int64_t index = 0, bound = 0;
};

class emitted_program {
public:
    using numbers = reference::numbers;

    emitted_program(const etch::program_view& program, numbers values,
                    const etch::cuda::device_limits& device, bool wide = false)
        : p(program), dims(std::move(values)), of_step(p.steps.size()) {
        std::vector<etch::cuda::kernel_launch> all;
        for (std::size_t i = 0; i < p.steps.size(); ++i) {
            const etch::step& s = p.steps[i];
            etch::range_of parts = s.parts;
            if (s.kind == etch::step_kind::gemm) {
                int epilogue = p.gemms[at(s.index)].epilogue;
                parts = {epilogue, epilogue < 0 ? 0 : 1};
            }
            if (parts.count == 0) continue;
            of_step[i] = etch::cuda::plan_launches(p, parts, dims, device);
            for (auto& l : of_step[i]) {
                for (auto& v : l.variants) v.wide = v.wide || wide;
                if (wide) l.name = etch::cuda::detail::emitter(p).add(l);
                all.push_back(l);
            }
        }
        text = etch::cuda::program_text(p, all);
    }

    etch::program_view p;
    numbers dims;
    std::vector<std::vector<etch::cuda::kernel_launch>> of_step;
    std::string text;

    /// Throws std::runtime_error with what the shim says, and etch::mistake after an index outside of its axis.
    reference::results run(const host_device::host_library& library,
                           const std::vector<reference::tensor>& inputs,
                           const std::vector<reference::tensor>& parameters, unsigned seed = 0,
                           std::string_view text_to_run = {}) {
        library_ = &library;
        seed_ = seed;
        text_ = text_to_run.empty() ? text : std::string(text_to_run);
        failure_ = {};
        ticket_ = 0;
        auto layout = etch::arena_layout(p, dims);
        arena_.assign(static_cast<std::size_t>(layout.bytes) + 64, std::byte{0xCD});
        std::vector<std::vector<std::byte>> in, out, state, constants;
        for (const auto& t : inputs) in.push_back(aligned(reference::bytes_of(t)));
        for (const auto& t : parameters) state.push_back(aligned(reference::bytes_of(t)));
        std::vector<numbers> shapes;
        for (const auto& o : p.outputs) {
            numbers shape;
            for (int i = 0; i < o.of.rank; ++i) shape.push_back(p.value_of(o.of[i], dims));
            out.push_back(aligned(reference::bytes_of(reference::tensor(o.of.element, shape))));
            shapes.push_back(shape);
        }
        constants.reserve(p.storages.size());
        addresses_.assign(p.storages.size(), 0);
        for (std::size_t i = 0; i < p.storages.size(); ++i) {
            const etch::storage& s = p.storages[i];
            if (s.alias >= 0) continue;
            if (s.where == etch::place::arena && layout.offsets[i] >= 0)
                addresses_[i] = address(arena_) + static_cast<std::uint64_t>(layout.offsets[i]);
            if (s.where == etch::place::input) addresses_[i] = address(in[at(s.index)]);
            if (s.where == etch::place::output) addresses_[i] = address(out[at(s.index)]);
            if (s.where == etch::place::state) addresses_[i] = address(state[at(s.index)]);
            if (s.where == etch::place::constant) {
                constants.push_back(constant(s));
                addresses_[i] = address(constants.back());
            }
        }
        for (std::size_t i = 0; i < p.storages.size(); ++i)
            if (p.storages[i].alias >= 0)
                addresses_[i] = addresses_[at(p.root(static_cast<int>(i)))];
        run_steps(p.all_steps());
        reference::results r;
        parameters_.clear();
        for (std::size_t i = 0; i < out.size(); ++i)
            r.outputs.push_back(
                reference::tensor_of(p.outputs[i].of.element, shapes[i], shifted(out[i])));
        for (std::size_t i = 0; i < state.size(); ++i)
            r.parameters.push_back(reference::tensor_of(parameters[i].element, parameters[i].shape,
                                                        shifted(state[i])));
        parameters_ = r.parameters;
        if (failure_.set != 0)
            throw etch::mistake("index " + std::to_string(failure_.index) +
                                " is outside of an axis of extent " +
                                std::to_string(failure_.bound));
        return r;
    }
    const failure_record& failure() const { return failure_; }
    /// Floating parameter i after the last run, whatever became of it.
    const std::vector<double>& state_of(std::size_t i) const { return parameters_[i].real; }

private:
    const host_device::host_library* library_ = nullptr;
    unsigned seed_ = 0;
    std::string text_;
    failure_record failure_;
    std::vector<reference::tensor> parameters_;
    std::uint32_t ticket_ = 0;
    std::vector<std::byte> arena_;
    std::vector<std::uint64_t> addresses_;

    static std::size_t at(int i) { return static_cast<std::size_t>(i); }
    std::int64_t number(etch::extent e) const { return p.value_of(e, dims); }

    // Vectors of bytes are not aligned to more than 16: 64 bytes before and after make room.
    static std::vector<std::byte> aligned(const std::vector<std::byte>& b) {
        std::vector<std::byte> r(b.size() + 64);
        std::memcpy(reinterpret_cast<void*>(address(r)), b.data(), b.size());
        return r;
    }
    static std::uint64_t address(const std::vector<std::byte>& b) {
        return (reinterpret_cast<std::uint64_t>(b.data()) + 63) / 64 * 64;
    }
    static std::vector<std::byte> shifted(const std::vector<std::byte>& b) {
        auto* from = reinterpret_cast<const std::byte*>(address(b));
        return {from, from + b.size() - 64};
    }
    std::vector<std::byte> constant(const etch::storage& s) const {
        reference::tensor t(s.element, {s.size.code});
        for (std::size_t k = 0; k < t.count(); ++k) {
            auto word = p.words[at(s.index) + k];
            if (t.floating())
                t.real[k] = std::bit_cast<double>(word);
            else
                t.integral[k] = word;
        }
        return aligned(reference::bytes_of(t));
    }

    void run_steps(etch::range_of r) {
        for (int i = r.first; i < r.first + r.count; ++i) {
            const etch::step& s = p.steps[at(i)];
            switch (s.kind) {
            case etch::step_kind::kernel: launch(i); break;
            case etch::step_kind::gemm:
                reference::with_element(p.gemms[at(s.index)].element, [&](auto zero) {
                    multiply<decltype(zero)>(p.gemms[at(s.index)]);
                });
                launch(i);
                break;
            case etch::step_kind::copy: {
                const etch::copy& c = p.copies[at(s.index)];
                const etch::storage& from = p.storages[at(c.from)];
                bool to_state = p.storages[at(p.root(c.to))].where == etch::place::state;
                if (to_state && failure_.set != 0) break;
                std::memmove(
                    reinterpret_cast<void*>(addresses_[at(c.to)]),
                    reinterpret_cast<void*>(addresses_[at(c.from)]),
                    static_cast<std::size_t>(number(from.size) * etch::row_of(from.element).bytes));
                break;
            }
            case etch::step_kind::loop: {
                const etch::loop& l = p.loops[at(s.index)];
                std::int64_t steps = number(l.steps);
                for (std::int64_t k = 0; k < steps; ++k) {
                    std::int64_t now = l.reverse ? steps - 1 - k : k;
                    for (int j = l.slices.first; j < l.slices.first + l.slices.count; ++j) {
                        const etch::storage& slice = p.storages[at(j)];
                        addresses_[at(j)] =
                            addresses_[at(slice.index)] +
                            static_cast<std::uint64_t>(now * number(slice.size) *
                                                       etch::row_of(slice.element).bytes);
                    }
                    run_steps(l.body);
                }
                break;
            }
            }
        }
    }
    void launch(int step) {
        for (const auto& l : of_step[at(step)]) {
            std::vector<std::uint64_t> words,
                scratch(static_cast<std::size_t>(l.scratch_words) + 1);
            etch::cuda::write_argument(p, l, dims, addresses_,
                                       reinterpret_cast<std::uint64_t>(scratch.data()),
                                       reinterpret_cast<std::uint64_t>(&ticket_),
                                       reinterpret_cast<std::uint64_t>(&failure_), words);
            const auto* kernel = library_->find(text_, l.name);
            if (!kernel) throw std::runtime_error("no kernel " + l.name);
            std::string said =
                kernel->run({l.blocks, 1, 1}, {l.threads, 1, 1}, words.data(), seed_);
            if (!said.empty()) throw std::runtime_error(l.name + ": " + said);
            if (ticket_ != 0) throw std::runtime_error(l.name + ": the ticket is not 0 again");
        }
    }
    template <class T> void multiply(const etch::matrix_product& g) {
        if constexpr (std::is_floating_point_v<T>) {
            std::int64_t m = number(g.m), n = number(g.n), k = number(g.k), lda = number(g.lda),
                         ldb = number(g.ldb);
            for (std::int64_t i = 0; i < number(g.batch); ++i) {
                auto* a = reinterpret_cast<const T*>(addresses_[at(g.a)]) + number(g.offset_a) +
                          i * number(g.stride_a);
                auto* b = reinterpret_cast<const T*>(addresses_[at(g.b)]) + number(g.offset_b) +
                          i * number(g.stride_b);
                T* c = reinterpret_cast<T*>(addresses_[at(g.c)]) + i * m * n;
                for (std::int64_t row = 0; row < m; ++row)
                    for (std::int64_t column = 0; column < n; ++column) {
                        double sum = 0;
                        for (std::int64_t j = 0; j < k; ++j)
                            sum += static_cast<double>(
                                       a[g.transpose_a ? j * lda + row : row * lda + j]) *
                                   static_cast<double>(
                                       b[g.transpose_b ? column * ldb + j : j * ldb + column]);
                        c[row * n + column] = static_cast<T>(sum);
                    }
            }
        }
    }
};

}  // namespace etch_test
