// SPDX-License-Identifier: MIT
// etch: a model written as mathematics, compiled by the C++ compiler. This is all that a user includes, and the whole
// flow:
//
//   1  constexpr auto model = [](etch::graph& g) { ... };     the user's formulas append nodes to a graph
//        graph/ expr/ ops/ nn/                                each op is one row of one table: shape, derivative, code
//   2  g.minimize(loss, etch::nn::adam{...})                  derivatives and updates are more nodes of the same graph
//        passes/derivative.hpp
//   3  etch::simplify(model, fresh)                           equal values once, cancelled, stable, dead ones gone
//        passes/simplify.hpp, passes/rules/, passes/hoist.hpp, passes/unroll.hpp
//   4  scheduler                                              values grouped into kernels, kernels in order
//        passes/fuse.hpp, passes/lower.hpp, passes/schedule.hpp
//   5  memory planner                                         where each result lives, in one arena
//        passes/memory.hpp
//   6  etch::plan<model>                                      the program: plain arrays, a constant to assert on
//        passes/plan.hpp
//   7  etch::function<model> f;  auto [loss] = f(x, y);       each distinct kernel is instantiated once, and run
//        run/function.hpp, cpu/
//
// 1 to 6 run inside the compiler and need nothing but the standard library: <etch/language.hpp> alone has them. For a
// graph that is built at run time the same functions run then: auto f = etch::compile(g).
//
// Formulas over data that is at hand need no model: etch::array<float, 1> x, b, y;  y = tanh(a * x + b);  The right side is
// captured as a type, and that type is the model: live/, run/array.hpp.
#pragma once
#include <etch/language.hpp>
#include <etch/run/array.hpp>
#include <etch/run/compile.hpp>
#include <etch/run/function.hpp>
#include <etch/run/permutation.hpp>
