// SPDX-License-Identifier: MIT
// The functions behind etch::compile and nan_guard, compiled once: the CMake target etch::interpreter.
#ifndef ETCH_RUN_TIME_APART
#define ETCH_RUN_TIME_APART
#endif
#include <etch/language.hpp>
#include <etch/run/compile_graph.hpp>
#include <etch/run/nan_guard.hpp>

namespace etch {

template void detail::basic_caller<program_view>::nan_guard(bool);
template std::shared_ptr<detail::caller> detail::compile_graph(const graph&, plan_options,
                                                               const state&, device);
template cpu::interpreter_kernels::interpreter_kernels(const program_view&);

}  // namespace etch
