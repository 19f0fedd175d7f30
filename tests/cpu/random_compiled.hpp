// SPDX-License-Identifier: MIT
// Random models as compiled kernels: each gives what the reference evaluator gives, and what the interpreter gives. The
// seeds are shared among random_compiled_*.cpp, so that no file takes long to compile.
#pragma once
#include <etch.hpp>

#include "reference/constexpr_program.hpp"
#include "reference/execute.hpp"
#include "reference/law.hpp"
#include "reference/random_program.hpp"

namespace reference {

inline tensor some(etch::dtype d, numbers shape, dice& dice) {
    tensor t(d, std::move(shape));
    for (std::size_t i = 0; i < t.count(); ++i)
        t.set(i, t.floating() ? dice.between(-127, 128) / 64.0 : dice.below(6));
    return t;
}
/// The largest difference, in units of what rounding may do.
inline double excess(const std::vector<tensor>& a, const std::vector<tensor>& exact,
                     const std::vector<tensor>& rounded) {
    double most = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        double d = difference(a[i], exact[i]);
        double spread = difference(rounded[i], exact[i]);
        most = std::max(most, d == 0 ? 0 : d / (2e-5 + 16 * spread));
    }
    return most;
}

/// All but the model's own constants and kernels, which are all that is compiled once a seed.
inline void check_compiled(unsigned seed, const etch::program_view& view,
                           std::span<const etch::cpu::kernel_entry> kernels) {
    etch::cpu::interpreter_kernels interpreted(view);
    etch::graph g;
    random_model{seed}(g);
    for (std::int64_t n : {1, 5, 18, 64}) {
        INFO("seed " << seed << ", N = " << n);
        dice dice(seed + static_cast<std::uint64_t>(n));
        using etch::dtype;
        std::vector<tensor> inputs{
            some(dtype::float32, {n, 6}, dice), some(dtype::float32, {6}, dice),
            some(dtype::float32, {n, 1}, dice), some(dtype::float32, {2, n, 6}, dice),
            some(dtype::int32, {n}, dice)};
        std::vector<tensor> parameters{some(dtype::float32, {6, 6}, dice)};
        numbers dims{n};
        CHECK(law_of(view, dims).empty());
        evaluator exact(g, dims, inputs, parameters), rounding = exact;
        rounding.rounding = true;
        auto compiled = execute(view, kernels, dims, inputs, parameters);
        auto other = execute(view, interpreted.entries(), dims, inputs, parameters);
        auto y = exact.outputs(), y_rounded = rounding.outputs(), u = exact.updates(),
             u_rounded = rounding.updates();
        CHECK(excess(compiled.outputs, y, y_rounded) <= 1);
        CHECK(excess(compiled.parameters, u, u_rounded) <= 1);
        CHECK(excess(other.outputs, compiled.outputs, compiled.outputs) <= 0.1);
        CHECK(excess(other.parameters, compiled.parameters, compiled.parameters) <= 0.1);
    }
}
template <unsigned seed> void check_compiled() {
    static constexpr random_model model{seed};
    static constexpr const auto& frozen =
        etch::detail::planned<model, etch::plan_options{}>::frozen;
    check_compiled(seed, etch::plan<model>.view(), etch::cpu::kernels_of<frozen>());
}
template <unsigned first, unsigned... i>
void check_compiled_from(std::integer_sequence<unsigned, i...>) {
    (check_compiled<first + i>(), ...);
}

}  // namespace reference
