// SPDX-License-Identifier: MIT
// All that a model is written with, and what the compiler makes of it. Nothing here needs Eigen or anything of jit/.
#pragma once
#include <etch/expr/formulas.hpp>
#include <etch/nn/nn.hpp>
#include <etch/passes/check.hpp>
#include <etch/passes/plan.hpp>
