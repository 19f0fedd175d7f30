// SPDX-License-Identifier: MIT
// What etch::compile does: the passes, and the interpreter's kernels.
#pragma once
#include <etch/cpu/interpret.hpp>
#include <etch/run/compile.hpp>
#include <etch/run/program_runner.hpp>

namespace etch::detail {

/// A program and what its kernels refer to.
struct owned_program {
    program arrays;
    program_view view;
    cpu::interpreter_kernels kernels;

    template <std::same_as<program> Program>
    explicit owned_program(Program&& p)
        : arrays(std::move(p)), view(view_of(arrays)), kernels(view) {}
    owned_program(const owned_program&) = delete;
    owned_program& operator=(const owned_program&) = delete;
};

/// A caller behind its program, so that the program goes last.
struct owning_caller {
    owned_program program;
    caller runs;

    template <std::same_as<graph> Graph>
    owning_caller(const Graph& g, plan_options options, const state& shared, device where)
        : program(make_program(g, options)),
          runs(program.view, program.kernels.entries(),
               cpu::products_of<std::same_as<Graph, graph>, std::same_as<Graph, graph>>(), shared,
               where) {}
};

template <std::same_as<graph> Graph>
std::shared_ptr<caller> compile_graph(const Graph& g, plan_options options, const state& shared,
                                      device where) {
    auto made = std::make_shared<owning_caller>(g, options, shared, where);
    return {made, &made->runs};
}

}  // namespace etch::detail
