// SPDX-License-Identifier: MIT
// How the steps of a program are called when one of them fails on the device, and what is said of an index outside of its
// axis. Nothing here runs unless something went wrong, apart from the noting of the step that was begun.
#pragma once
#include <algorithm>
#include <array>

#include <etch/cuda/buffer.hpp>

namespace etch::cuda {

/// What a kernel leaves that met an index outside of its axis; all zero when all is well.
struct failure_record {
    std::int32_t set, part, instruction, unused;
    std::int64_t index, bound;
};

namespace detail {

/// model.cpp:12, or nothing.
inline std::string line_text(const program_view& p, const program_line& l) {
    if (l.file < 0) return "";
    return std::string(p.text_of(p.files[static_cast<std::size_t>(l.file)])) + ':' +
           std::to_string(l.line);
}
/// The first of the user's lines behind a step.
inline std::string line_of_step(const program_view& p, const step& s) {
    auto at = [](int i) { return static_cast<std::size_t>(i); };
    int node = -1;
    if (s.kind == step_kind::gemm) node = p.gemms[at(s.index)].node;
    if (s.kind == step_kind::loop) node = p.loops[at(s.index)].node;
    if (s.kind == step_kind::copy) node = p.storages[at(p.copies[at(s.index)].from)].node;
    if (node >= 0) return line_text(p, p.nodes[at(node)]);
    std::string line;
    if (s.parts.count == 0) return line;
    const part& q = p.parts[at(s.parts.first)];
    for (int i = 0; i < p.bodies[at(q.body)].instructions.count && line.empty(); ++i)
        line = line_text(p, p.lines[at(q.first_line + i)]);
    return line;
}

}  // namespace detail

/// "index 7 is outside of an axis of extent 5 (model.cpp:12)"
inline std::string failure_sentence(const program_view& p, const failure_record& r) {
    std::string text = "index " + std::to_string(r.index) + " is outside of an axis of extent " +
                       std::to_string(r.bound);
    const auto first = p.parts[static_cast<std::size_t>(r.part)].first_line;
    const std::string line =
        detail::line_text(p, p.lines[static_cast<std::size_t>(first + r.instruction)]);
    return line.empty() ? text : text + " (" + line + ')';
}

/// Which step of a program was begun last.
class step_trail {
public:
    explicit step_trail(const program_view& program) : p(program) {}

    /// Before the first step.
    void to_inputs() { depth_ = 0; }
    /// After the last step.
    void to_outputs() { depth_ = after_all; }
    /// What is said of a call that was put on the stream as a whole.
    void to_last() { begin(0, p.top[0] + p.top[1] - 1); }
    /// Step `index`, in so many loops.
    void begin(int loops, int index) {
        const int level = std::min(loops, static_cast<int>(steps_.size()) - 1);
        steps_[static_cast<std::size_t>(level)] = index;
        depth_ = level + 1;
    }
    /// "step 7 (relu add -> output y, model.cpp:12)", counted as describe() counts; "step 7.2" of a loop's body.
    std::string text(std::span<const std::int64_t> dims) const {
        if (depth_ == 0) return "the copy of the inputs";
        if (depth_ == after_all) return "the copy of the outputs";
        if (p.all_steps().count == 0) return "a call without steps";
        std::string number;
        range_of around = p.all_steps();
        const step* now = nullptr;
        for (int k = 0; k < depth_; ++k) {
            const int index = steps_[static_cast<std::size_t>(k)];
            number += (k > 0 ? "." : "") + std::to_string(index - around.first);
            now = &p.steps[static_cast<std::size_t>(index)];
            if (now->kind == step_kind::loop)
                around = p.loops[static_cast<std::size_t>(now->index)].body;
        }
        const std::string line = detail::line_of_step(p, *now);
        return "step " + number + " (" + etch::detail::program_reader(p, dims).short_name(*now) +
               (line.empty() ? "" : ", " + line) + ')';
    }

private:
    static constexpr int after_all = -1;
    const program_view& p;
    std::array<int, 16> steps_{};  // the loops around it, then the step
    int depth_ = 0;
};

#if __has_include(<cuda.h>) && __has_include(<nvrtc.h>)

/// A device_error whose sentence names the step.
struct step_error : device_error {
    step_error(CUresult c, std::string sentence)
        : device_error(c,
                       device_error(c, "").lost()
                           ? sentence.append("; nothing more can run on the device in this process")
                           : sentence) {}
};

/// What is said where the driver refuses to launch a kernel: with what the kernel needs.
inline device_error refused_launch(const device& where, CUresult code, std::string_view kernel,
                                   CUfunction function, unsigned threads) {
    std::string text =
        driver_sentence(code, "cuLaunchKernel") + "; the kernel " + std::string(kernel);
    int registers = 0, shared = 0;
    const driver_table& api = where.api();
    if (api.cuFuncGetAttribute(&registers, CU_FUNC_ATTRIBUTE_NUM_REGS, function) == CUDA_SUCCESS &&
        api.cuFuncGetAttribute(&shared, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, function) ==
            CUDA_SUCCESS)
        text += " uses " + std::to_string(registers) + " registers a thread and " +
                bytes_text(shared) + " of shared memory in blocks of " + std::to_string(threads) +
                " threads";
    return {code, text};
}

#endif

}  // namespace etch::cuda
