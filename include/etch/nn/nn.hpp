// SPDX-License-Identifier: MIT
// Layers, losses, optimizers and initializers: formulas over the language, which needs none of them.
#pragma once
#include <etch/nn/initializers.hpp>
#include <etch/nn/layers.hpp>
#include <etch/nn/losses.hpp>
#include <etch/nn/optimizers.hpp>
