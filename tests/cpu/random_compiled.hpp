// SPDX-License-Identifier: MIT
// Random models as compiled kernels: each gives what the reference evaluator gives, and what the interpreter gives. The
// seeds are shared among random_compiled_*.cpp, so that no file takes long to compile.
#pragma once
#include <etch/cpu/kernels.hpp>
#include <etch/passes/plan.hpp>

#include "reference/constexpr_program.hpp"
#include "reference/random_model.hpp"

namespace reference {

template <unsigned seed> void check_compiled() {
    static constexpr random_model model{seed};
    static constexpr const auto& frozen =
        etch::detail::planned<model, etch::plan_options{}>::frozen;
    INFO("seed " << seed);
    CHECK(wrong_with_random_model(seed, etch::view_of(frozen), etch::cpu::kernels_of<frozen>()) ==
          "");
}
template <unsigned first, unsigned... i>
void check_compiled_from(std::integer_sequence<unsigned, i...>) {
    (check_compiled<first + i>(), ...);
}

}  // namespace reference
