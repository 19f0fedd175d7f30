// SPDX-License-Identifier: MIT
// The law of a program, checked for given dims by playing its steps: what is read was written before and nothing else
// was written over it meanwhile, and no slot or product leaves its storage. Loops are played twice, since a second round
// finds what the first left.
#pragma once
#include <string>

#include <etch/passes/memory.hpp>

namespace reference {

/// Empty where the program keeps the law for these dims.
std::string law_of(const etch::program_view& p, std::span<const std::int64_t> dims);

}  // namespace reference
