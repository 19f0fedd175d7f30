// SPDX-License-Identifier: MIT
// What the tests of random compiled models compare, in apart.cpp.
#pragma once
#include <string>

#include <etch/cpu/call.hpp>

namespace reference {

/// What is wrong with the compiled kernels of random_model{seed}, whose program this is: results and updates against the
/// reference evaluator and against the interpreter, for several batch sizes. Empty where nothing is.
std::string wrong_with_random_model(unsigned seed, const etch::program_view& program,
                                    std::span<const etch::cpu::kernel_entry> kernels);

}  // namespace reference
