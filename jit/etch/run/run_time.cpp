// SPDX-License-Identifier: MIT
// The functions behind etch::function and etch::array, compiled once: the CMake target etch::run_time.
#ifndef ETCH_RUN_TIME_APART
#define ETCH_RUN_TIME_APART
#endif
#include <etch/language.hpp>
#include <etch/run/program_runner.hpp>

namespace etch {

template class detail::basic_caller<program_view>;
template const cpu::product_table* cpu::products_of<false, false>();
template const cpu::product_table* cpu::products_of<true, false>();
template const cpu::product_table* cpu::products_of<false, true>();
template const cpu::product_table* cpu::products_of<true, true>();

}  // namespace etch
