// SPDX-License-Identifier: MIT
// The pipeline on one page: a model becomes a program. For a constexpr model it runs inside the C++ compiler and the
// program is a constant, `etch::plan<model>`, that a user can assert on; for a graph built at run time the same
// functions run then.
#pragma once
#include <etch/passes/check.hpp>
#include <etch/passes/figures.hpp>
#include <etch/passes/hoist.hpp>
#include <etch/passes/memory.hpp>
#include <etch/passes/schedule.hpp>
#include <etch/passes/unroll.hpp>

namespace etch {

struct plan_options {
    simplify_options simplify{};
    memory_options memory{};
};

namespace detail {
/// Room from the start: constant evaluation is slowest at moving elements when a vector grows.
constexpr void reserve(program& p) {
    constexpr std::size_t many = 1024;
    for (auto* v : {&p.lines, &p.nodes}) v->reserve(4 * many);
    p.instructions.reserve(4 * many);
    p.slots.reserve(2 * many);
    p.storages.reserve(many);
    p.steps.reserve(many);
    p.parts.reserve(many);
    p.bodies.reserve(many);
    p.copies.reserve(many);
    p.gemms.reserve(many);
    p.words.reserve(many);
}
}  // namespace detail

namespace detail {
/// A simplified graph as a program: its values are grouped into kernels, the kernels ordered, their results placed.
constexpr program lower(graph& g, plan_options options) {
    program p;
    if (std::is_constant_evaluated()) reserve(p);
    scheduler(g, p).run();
    p.polynomials = g.polynomials;
    p.dims = g.dims;
    p.files = g.files;
    p.characters = g.characters;
    for (const auto& i : g.inputs) p.inputs.push_back({i.name, g.type_of(i.value)});
    for (const auto& s : g.parameters)
        p.states.push_back(
            {s.name, g.type_of(s.value), s.initial, s.update >= 0 && s.update != s.value});
    for (const auto& c : g.conditions) p.conditions.push_back({c.size, c.minimum, c.sentence});
    // A parameter's storage knows it by its number.
    memory_planner(p, options.memory).run();
    return p;
}
constexpr program unroll_and_lower(graph& g, plan_options options) {
    if (!has_short_axes(g)) return lower(g, options);
    graph unrolled;
    unroll(g, unrolled, options.simplify);
    return lower(unrolled, options);
}
}  // namespace detail

/// graph -> program. The derivatives were appended while the model was written; here the graph is simplified, products
/// that need not wait leave their loops, short sums are written out, and what is left becomes kernels.
constexpr program make_program(const graph& model, plan_options options = {}) {
    graph g;
    simplify(model, g, options.simplify);
    if (!hoist(g)) return detail::unroll_and_lower(g, options);
    graph hoisted;
    simplify(g, hoisted, options.simplify);
    return detail::unroll_and_lower(hoisted, options);
}

namespace detail {

/// Calls f(x.array, y.array) for each array of two programs.
template <class X, class Y, class F> constexpr void each_array(X& x, Y& y, F f) {
    f(x.polynomials, y.polynomials), f(x.dims, y.dims), f(x.files, y.files),
        f(x.characters, y.characters);
    f(x.inputs, y.inputs), f(x.outputs, y.outputs), f(x.states, y.states),
        f(x.conditions, y.conditions);
    f(x.storages, y.storages), f(x.words, y.words), f(x.steps, y.steps), f(x.parts, y.parts),
        f(x.slots, y.slots);
    f(x.bodies, y.bodies), f(x.instructions, y.instructions), f(x.lines, y.lines),
        f(x.nodes, y.nodes);
    f(x.gemms, y.gemms), f(x.copies, y.copies), f(x.loops, y.loops), f(x.top, y.top);
}

/// How long each array of a program is.
struct program_sizes {
    std::size_t polynomials = 0, dims = 0, files = 0, characters = 0, inputs = 0, outputs = 0,
                states = 0, conditions = 0, storages = 0, words = 0, steps = 0, parts = 0,
                slots = 0, bodies = 0, instructions = 0, lines = 0, nodes = 0, gemms = 0,
                copies = 0, loops = 0, top = 0;
};

/// A program in exactly sized arrays.
template <program_sizes n> struct frozen_program {
    fixed_list<polynomial, n.polynomials> polynomials{};
    fixed_list<range_of, n.dims> dims{};
    fixed_list<range_of, n.files> files{};
    fixed_list<char, n.characters> characters{};
    fixed_list<program_input, n.inputs> inputs{};
    fixed_list<program_output, n.outputs> outputs{};
    fixed_list<program_state, n.states> states{};
    fixed_list<program_condition, n.conditions> conditions{};
    fixed_list<etch::storage, n.storages> storages{};
    fixed_list<std::int64_t, n.words> words{};
    fixed_list<step, n.steps> steps{};
    fixed_list<part, n.parts> parts{};
    fixed_list<slot, n.slots> slots{};
    fixed_list<body, n.bodies> bodies{};
    fixed_list<instruction, n.instructions> instructions{};
    fixed_list<program_line, n.lines> lines{};
    fixed_list<program_line, n.nodes> nodes{};
    fixed_list<matrix_product, n.gemms> gemms{};
    fixed_list<copy, n.copies> copies{};
    fixed_list<loop, n.loops> loops{};
    fixed_list<int, n.top> top{};
};

}  // namespace detail

/// A program's arrays, to be read.
template <class Program> constexpr program_view view_of(const Program& p) {
    program_view v;
    detail::each_array(v, p, [](auto& to, const auto& from) { to = {from.data(), from.size()}; });
    return v;
}

namespace detail {

/// What one run of a model and of the passes leaves in a constant: the sentence of its first mistake, or the program in
/// arrays with room to spare. One run is all: a second one, only to count, would double the compile time.
template <program_sizes room> struct roomy_program {
    sentence mistake;
    program_sizes used;
    bool fits = true;
    frozen_program<room> arrays;
};
template <auto model, plan_options options, program_sizes room>
constexpr roomy_program<room> run_passes() {
    roomy_program<room> r;
    graph g;
    model(g);
    r.mistake = sentence(g.first_mistake.view());
    graph nothing;  // stands for a mistaken model, so that no other error follows
    program p = make_program(g.failed() ? nothing : g, options);
    each_array(r.used, p, [](std::size_t& to, const auto& from) { to = from.size(); });
    each_array(r.arrays, p, [&](auto& to, const auto& from) {
        if (from.size() > to.size())
            r.fits = false;
        else
            for (std::size_t i = 0; i < from.size(); ++i) to[i] = from[i];
    });
    return r;
}
constexpr program_sizes room_for(std::size_t nodes) {
    program_sizes n;
    n.polynomials = n.inputs = n.outputs = n.conditions = nodes / 4;
    n.dims = max_dims;
    n.files = n.loops = n.gemms = nodes / 8;
    n.characters = 16 * nodes;
    n.states = n.copies = n.steps = n.parts = n.bodies = nodes / 2;
    n.storages = n.nodes = n.words = nodes;
    n.slots = n.instructions = n.lines = 2 * nodes;
    n.top = 2;
    return n;
}
/// The program of a model in exactly sized arrays. A model that outgrows the room of the first run is run once more,
/// with the room that the first one measured.
template <auto model, plan_options options> struct frozen_model {
    static constexpr auto roomy = run_passes<model, options, room_for(4000)>();
    static constexpr sentence mistake = roomy.mistake;
    static constexpr auto exact() {
        if constexpr (roomy.fits) {
            frozen_program<roomy.used> f;
            each_array(f, roomy.arrays, [](auto& to, const auto& from) {
                for (std::size_t i = 0; i < to.size(); ++i) to[i] = from[i];
            });
            return f;
        } else {
            return run_passes<model, options, roomy.used>().arrays;
        }
    }
};
template <auto model, plan_options options> struct planned {
    static_assert(std::invocable<decltype(model), graph&>,
                  "a model is a function of one etch::graph&");
    static constexpr sentence mistake = frozen_model<model, options>::mistake;
    static_assert(reported<mistake>);
    static constexpr auto frozen = frozen_model<model, options>::exact();
};

}  // namespace detail

/// Figures of a model's plan, which also finds steps by name while compiling.
template <auto model, plan_options options> class plan_figures : public program_figures {
    template <name_text name>
    static constexpr detail::found_step
        found = detail::find_step(view_of(detail::planned<model, options>::frozen), name.view());
    template <name_text name> static constexpr detail::sentence complaint = found<name>.complaint;

public:
    constexpr plan_figures() : program_figures(view_of(detail::planned<model, options>::frozen)) {}
    using program_figures::find;
    /// The step of an output, a parameter, a scope or an input: see program_figures::find. A name that the plan does
    /// not have is a compile error, whose first line lists names that are near.
    template <name_text name> constexpr step_figures find() const {
        static_assert(detail::reported<complaint<name>>);
        return {view(), found<name>.step};
    }
};

/// The optimised program of a model, a constant: static_assert(etch::plan<digits>.kernels() <= 9). To be told the figure
/// where it fails: static_assert(etch::require<etch::plan<digits>.kernels() <= 9>).
template <auto model, plan_options options = plan_options{}>
inline constexpr plan_figures<model, options> plan{};

}  // namespace etch
