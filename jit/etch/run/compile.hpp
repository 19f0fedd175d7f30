// SPDX-License-Identifier: MIT
// A graph that was built at run time, made into something that can be called. The passes are those that run in the C++
// compiler for a constexpr model; kernel bodies are interpreted. Only who calls `compile` pays for the passes and the
// interpreter, hence the templates here.
#pragma once
#include <etch/passes/plan.hpp>
#include <etch/run/caller.hpp>

namespace etch {

namespace detail {
/// A caller of a graph's program, which it owns. Defined in run/compile_graph.hpp.
template <std::same_as<graph> Graph>
std::shared_ptr<caller> compile_graph(const Graph& g, plan_options options, const state& shared,
                                      device where);
}  // namespace detail

/// The outputs of a call, in the order of the model.
class named_results {
public:
    std::size_t size() const { return tensors_.size(); }
    auto begin() const { return tensors_.begin(); }
    auto end() const { return tensors_.end(); }
    const tensor& operator[](std::size_t i) const { return tensors_.at(i); }
    const tensor& get(std::string_view name) const {
        const auto& outputs = caller_->program().outputs;
        for (std::size_t i = 0; i < outputs.size(); ++i)
            if (caller_->program().text_of(outputs[i].name) == name) return tensors_[i];
        text t;
        t << "call: no output has the name " << name << "; there are ";
        for (std::size_t i = 0; i < outputs.size(); ++i)
            t << (i == 0 ? "" : ", ") << caller_->program().text_of(outputs[i].name);
        throw mistake(t.view());
    }
    /// The one element of an output of rank 0, by its name.
    template <class T> T item(std::string_view name) const { return get(name).template item<T>(); }
    /// The one element of the one output.
    template <class T> T item() const {
        if (tensors_.size() != 1) throw mistake("call: item() of several outputs: say item(name)");
        return tensors_[0].item<T>();
    }

private:
    friend class callable;
    std::vector<tensor> tensors_;
    std::shared_ptr<const detail::caller> caller_;  // whose program knows the names
};

/// auto f = etch::compile(g);  for (etch::tensor y : f(x)) ...
class callable {
public:
    explicit callable(std::shared_ptr<detail::caller> runs) : caller_(std::move(runs)) {}
    callable(callable&&) noexcept = default;
    callable& operator=(callable&&) noexcept = default;

    etch::state state() const { return runs().parameters(); }
    const program_view& program() const { return runs().program(); }
    /// Where calls run: "cpu", or a GPU by its name.
    std::string where() const { return runs().where(); }

    /// What runs, step by step, as text: kernels with their instructions, what they read and write, the user's lines.
    std::string describe() const { return runs().describe(); }
    /// Times each step of the calls from now on, from zero; false stops it. Calls under nan_guard are not timed.
    void profile(bool on) { runs().profile(on); }
    /// What the timed calls spent on each step: std::cout << f.profile().
    profile_table profile() const { return runs().profile(); }
    /// Makes calls stop at the first step that stores NaN or infinity, by a mistake that names the op, its operands, the
    /// tensor and the user's line, or the input or parameter that held one already. Parameters, optimizer state, key and
    /// step are then as before the call. Results are the same; calls are somewhat slower and take more memory. An
    /// infinity that the model itself writes as a number, as a mask does, may pass.
    /// A template, so that an explicit instantiation of the class leaves the interpreter out.
    template <std::same_as<bool> Flag> void nan_guard(Flag on) { runs().nan_guard(on); }

    /// One argument for each input of the graph, in order.
    template <class... Arguments> named_results operator()(const Arguments&... arguments) {
        const detail::argument list[sizeof...(Arguments) + 1] = {
            detail::checked_argument(arguments)..., {}};
        return call({list, sizeof...(Arguments)});
    }

private:
    std::shared_ptr<detail::caller> caller_;

    detail::caller& runs() const {
        if (!caller_) throw mistake("function: it was moved from");
        return *caller_;
    }
    named_results call(std::span<const detail::argument> arguments) {
        std::vector<detail::result> made(runs().program().outputs.size());
        runs().call(arguments, made, false);
        named_results r;
        r.caller_ = caller_;
        for (auto& m : made) r.tensors_.push_back(std::move(m.array));
        return r;
    }
};

/// What can be called, of a graph that need not live on. Functions that are compiled with one state share parameters.
template <std::same_as<graph> Graph>
callable compile(const Graph& g, plan_options options = {}, const state& shared = state(),
                 device where = {}) {
    return callable(detail::compile_graph(g, options, shared, where));
}
template <std::same_as<graph> Graph>
callable compile(const Graph& g, const state& shared, device where = {}) {
    return compile(g, plan_options{}, shared, where);
}
template <std::same_as<graph> Graph> callable compile(const Graph& g, seed s, device where = {}) {
    return compile(g, plan_options{}, state(s), where);
}
template <std::same_as<graph> Graph> callable compile(const Graph& g, device where) {
    return compile(g, plan_options{}, state(), where);
}

}  // namespace etch

#ifndef ETCH_RUN_TIME_APART
#include <etch/run/compile_graph.hpp>
#endif
