// SPDX-License-Identifier: MIT
// All of a program that knows of CUDA, compiled once.
#include <etch/cuda/back_end.hpp>
