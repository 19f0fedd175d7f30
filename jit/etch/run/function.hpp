// SPDX-License-Identifier: MIT
// A model that can be called. The program and its kernels come from the C++ compiler; what is checked here at compile
// time is that the arguments are of the kind and the dtype that the model takes, by sentences as for the model itself.
#pragma once
#include <tuple>
#include <utility>

#include <etch/cpu/kernels.hpp>
#include <etch/passes/plan.hpp>
#include <etch/run/caller.hpp>
#include <etch/run/describe.hpp>

namespace etch {

/// What a call returns: a number for each output of rank 0, an etch::tensor for each other.
template <class... Types> class results : public std::tuple<Types...> {
public:
    using std::tuple<Types...>::tuple;
};
template <class Type> class results<Type> : public std::tuple<Type> {
public:
    using std::tuple<Type>::tuple;
    operator Type() const { return std::get<0>(*this); }
};

}  // namespace etch

template <class... Types>
struct std::tuple_size<etch::results<Types...>>
    : std::integral_constant<std::size_t, sizeof...(Types)> {};
template <std::size_t i, class... Types> struct std::tuple_element<i, etch::results<Types...>> {
    using type = std::tuple_element_t<i, std::tuple<Types...>>;
};

namespace etch {
namespace detail {

/// The types of a program's results.
template <const auto& program, std::size_t i> struct result_type {
    static constexpr etch::type of = program.outputs[i].of;
    using type = std::conditional_t<of.rank == 0, element_of<of.element>, etch::tensor>;
};

/// "call: argument 1 (label) " ..., what is wrong with an argument of type T; empty where nothing is.
template <class T> constexpr sentence argument_sentence(const program_view& p, std::size_t i) {
    constexpr argument_kind kind = kind_of<T>();
    const type& t = p.inputs[i].of;
    text wrong;
    if constexpr (!is_readable(kind)) {
        wrong << why_unreadable(kind);
    } else if constexpr (kind == argument_kind::number) {
        if (t.rank != 0)
            wrong << "is a number";
        else if (is_boolean(t.element) != std::is_same_v<T, bool> ||
                 (is_integer(t.element) && !std::is_integral_v<T>))
            wrong << "is a number of another kind";
    } else if constexpr (!std::is_same_v<T, etch::tensor>) {
        using E = pointee_of<T>;
        if constexpr (!element_type<E>)
            wrong << "has elements of a type that etch has no dtype for";
        else if (etch::dtype_of<E> != t.element)
            wrong << "has elements of " << row_of(etch::dtype_of<E>).name;
    }
    if (wrong.empty()) return {};
    text s;
    s << "call: argument " << i << " (" << p.text_of(p.inputs[i].name) << ") " << wrong.view();
    if (is_readable(kind)) {
        graph g;
        g.polynomials.assign(p.polynomials);
        g.dims.assign(p.dims);
        g.characters.assign(p.characters);
        s << ", the model takes " << row_of(t.element).name << ' ' << shape_text(g, t).view();
    }
    return sentence(s.view());
}
constexpr sentence count_sentence(const program_view& p, std::size_t count) {
    if (count == p.inputs.size()) return {};
    text s;
    s << "call: " << count << (count == 1 ? " argument" : " arguments") << " for "
      << p.inputs.size() << (p.inputs.size() == 1 ? " input" : " inputs");
    for (std::size_t i = 0; i < p.inputs.size(); ++i)
        s << (i == 0 ? ": " : ", ") << p.text_of(p.inputs[i].name);
    return sentence(s.view());
}
template <const auto& program, std::size_t i, class T>
inline constexpr sentence argument_mistake = argument_sentence<T>(view_of(program), i);
template <const auto& program, std::size_t count>
inline constexpr sentence count_mistake = count_sentence(view_of(program), count);

/// A record of the argument of input i; a compile error where it cannot be one.
template <const auto& program, std::size_t i, class T> argument argument_for(const T& x) {
    static_assert(reported<argument_mistake<program, i, T>>);
    if constexpr (argument_mistake<program, i, T>.size() == 0)
        return argument_of(x);
    else
        return {};
}

template <class T> T result_as(result& r) {
    if constexpr (std::is_same_v<T, etch::tensor>) {
        return std::move(r.array);
    } else {
        T value;
        std::memcpy(&value, &r.number, sizeof value);
        return value;
    }
}

}  // namespace detail

/// A call that was launched. It must not outlive its function.
template <class Function> class pending {
public:
    pending(detail::caller& runs, std::span<const detail::argument> arguments) : runs_(&runs) {
        runs.launch(arguments, true);
    }
    pending(pending&& other) noexcept : runs_(std::exchange(other.runs_, nullptr)) {}
    pending& operator=(pending&&) = delete;
    /// One that nobody waited for is waited for here; its results are dropped, and so is what went wrong.
    ~pending() {
        if (!runs_) return;
        try {
            runs_->finish();
        } catch (const std::exception&) {}
    }
    /// Waits for the results, once. Throws what went wrong in the call.
    auto get() {
        if (!runs_) throw mistake("launch: the results were taken before");
        auto made = std::exchange(runs_, nullptr)->finish();
        return Function::results_of(made.data(),
                                    std::make_index_sequence<Function::output_count()>{});
    }

private:
    detail::caller* runs_;
};

/// etch::function<digits> train;  auto [loss, accuracy] = train(image, label);
template <auto model, plan_options options = plan_options{}> class function {
    using planned = detail::planned<model, options>;
    static_assert(detail::reported<planned::mistake>);

public:
    /// With parameters of its own, whose first values follow from the seed.
    function() : function(etch::state()) {}
    explicit function(device where) : function(etch::state(), where) {}
    explicit function(seed s, device where = {}) : function(etch::state(s), where) {}
    /// With the parameters of other functions, by name.
    explicit function(const etch::state& shared, device where = {});
    function(function&&) noexcept = default;
    function& operator=(function&&) noexcept = default;
    ~function();

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

    /// One argument for each input of the model, in order; one result for each output.
    template <class... Arguments> auto operator()(const Arguments&... arguments) {
        constexpr const auto& program = planned::frozen;
        if constexpr (planned::mistake.size() == 0)
            static_assert(detail::reported<detail::count_mistake<program, sizeof...(Arguments)>>);
        if constexpr (sizeof...(Arguments) == program.inputs.size())
            return call(std::index_sequence_for<Arguments...>{},
                        std::make_index_sequence<program.outputs.size()>{}, arguments...);
    }

    /// As a call, but on a GPU the host goes on while it runs: auto step = f.launch(x); ... auto [loss] = step.get().
    /// Arguments are copied before it returns. One call of a function may be under way; on the CPU it is done at once.
    template <class... Arguments> auto launch(const Arguments&... arguments) {
        constexpr const auto& program = planned::frozen;
        if constexpr (planned::mistake.size() == 0)
            static_assert(detail::reported<detail::count_mistake<program, sizeof...(Arguments)>>);
        if constexpr (sizeof...(Arguments) == program.inputs.size())
            return launch(std::index_sequence_for<Arguments...>{}, arguments...);
    }

private:
    std::unique_ptr<detail::caller> caller_;

    template <std::size_t... i, class... Arguments>
    auto launch(std::index_sequence<i...>, const Arguments&... arguments) {
        constexpr const auto& program = planned::frozen;
        const detail::argument list[sizeof...(i) + 1] = {
            detail::argument_for<program, i>(arguments)..., {}};
        return pending<function>(runs(), {list, sizeof...(i)});
    }
    template <class> friend class pending;
    static constexpr std::size_t output_count() { return planned::frozen.outputs.size(); }
    template <std::size_t... o>
    static auto results_of(detail::result* made, std::index_sequence<o...>) {
        return results<typename detail::result_type<planned::frozen, o>::type...>(
            detail::result_as<typename detail::result_type<planned::frozen, o>::type>(made[o])...);
    }

    detail::caller& runs() const {
        if (!caller_) throw mistake("function: it was moved from");
        return *caller_;
    }
    template <std::size_t... i, std::size_t... o, class... Arguments>
    auto call(std::index_sequence<i...>, std::index_sequence<o...>, const Arguments&... arguments) {
        constexpr const auto& program = planned::frozen;
        const detail::argument list[sizeof...(i) + 1] = {
            detail::argument_for<program, i>(arguments)..., {}};
        detail::result made[sizeof...(o) + 1];
        runs().call({list, sizeof...(i)}, {made, sizeof...(o)}, true);
        return results_of(made, std::index_sequence<o...>{});
    }
};

// Not inline, so that `extern template class etch::function<model>` leaves the kernels to one translation unit.
template <auto model, plan_options options>
function<model, options>::function(const etch::state& shared, device where)
    : caller_(std::make_unique<detail::caller>(
          view_of(planned::frozen), cpu::kernels_of<planned::frozen>(),
          detail::products_for<planned::frozen>(), shared, where)) {}
template <auto model, plan_options options> function<model, options>::~function() = default;

}  // namespace etch
