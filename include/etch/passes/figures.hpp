// SPDX-License-Identifier: MIT
// What can be asserted on a program: how many kernels, how many bytes, which step makes what. A figure compares to a
// compared_figure that knows both numbers, so that `etch::require` can tell the one that was found.
#pragma once
#include <concepts>

#include <etch/graph/mistake.hpp>
#include <etch/passes/check.hpp>
#include <etch/passes/find_step.hpp>
#include <etch/passes/layout.hpp>
#include <etch/passes/traffic.hpp>

namespace etch {

enum class figure_name : std::uint8_t {
    kernels,
    distinct_kernels,
    gemms,
    bytes,
    bytes_moved,
    state_bytes,
    flops,
    operations,
    fused_with
};
inline constexpr fixed_list<std::string_view, 9> figure_names{
    "kernels()", "distinct_kernels()", "gemms()",     "bytes()", "bytes_moved()", "state_bytes()",
    "flops()",   "operations()",       "fused_with()"};

/// A figure beside what was asked of it; true where that holds.
struct compared_figure {
    enum class order : std::uint8_t { less, at_most, more, at_least, exactly, other };
    figure_name what;
    order is;
    std::int64_t actual, wanted;

    constexpr bool holds() const {
        switch (is) {
        case order::less: return actual < wanted;
        case order::at_most: return actual <= wanted;
        case order::more: return actual > wanted;
        case order::at_least: return actual >= wanted;
        case order::exactly: return actual == wanted;
        default: return actual != wanted;
        }
    }
    constexpr operator bool() const { return holds(); }
};

/// A number that knows what it counts. It is an std::int64_t wherever one is wanted.
struct figure {
    figure_name what;
    std::int64_t value;

    constexpr operator std::int64_t() const { return value; }

    template <std::integral T> friend constexpr compared_figure operator<(figure a, T b) {
        return {a.what, compared_figure::order::less, a.value, static_cast<std::int64_t>(b)};
    }
    template <std::integral T> friend constexpr compared_figure operator<=(figure a, T b) {
        return {a.what, compared_figure::order::at_most, a.value, static_cast<std::int64_t>(b)};
    }
    template <std::integral T> friend constexpr compared_figure operator>(figure a, T b) {
        return {a.what, compared_figure::order::more, a.value, static_cast<std::int64_t>(b)};
    }
    template <std::integral T> friend constexpr compared_figure operator>=(figure a, T b) {
        return {a.what, compared_figure::order::at_least, a.value, static_cast<std::int64_t>(b)};
    }
    template <std::integral T> friend constexpr compared_figure operator==(figure a, T b) {
        return {a.what, compared_figure::order::exactly, a.value, static_cast<std::int64_t>(b)};
    }
    template <std::integral T> friend constexpr compared_figure operator!=(figure a, T b) {
        return {a.what, compared_figure::order::other, a.value, static_cast<std::int64_t>(b)};
    }
    template <std::integral T> friend constexpr compared_figure operator<(T a, figure b) {
        return b > a;
    }
    template <std::integral T> friend constexpr compared_figure operator<=(T a, figure b) {
        return b >= a;
    }
    template <std::integral T> friend constexpr compared_figure operator>(T a, figure b) {
        return b < a;
    }
    template <std::integral T> friend constexpr compared_figure operator>=(T a, figure b) {
        return b <= a;
    }
    template <std::integral T> friend constexpr compared_figure operator==(T a, figure b) {
        return b == a;
    }
    template <std::integral T> friend constexpr compared_figure operator!=(T a, figure b) {
        return b != a;
    }
    friend constexpr compared_figure operator<(figure a, figure b) { return a < b.value; }
    friend constexpr compared_figure operator<=(figure a, figure b) { return a <= b.value; }
    friend constexpr compared_figure operator>(figure a, figure b) { return a > b.value; }
    friend constexpr compared_figure operator>=(figure a, figure b) { return a >= b.value; }
    friend constexpr compared_figure operator==(figure a, figure b) { return a == b.value; }
    friend constexpr compared_figure operator!=(figure a, figure b) { return a != b.value; }
};

namespace detail {
/// Empty where the compared_figure holds, else both numbers.
constexpr sentence sentence_of(compared_figure c) {
    if (c.holds()) return {};
    constexpr fixed_list<std::string_view, 6> bounds{"less than ", "at most ", "more than ",
                                                     "at least ",  "exactly ", "anything but "};
    text t;
    t << "plan: " << figure_names[static_cast<int>(c.what)] << " is " << c.actual << ", and "
      << bounds[static_cast<int>(c.is)] << c.wanted << " is required";
    return sentence(t.view());
}
template <compared_figure c> inline constexpr sentence complaint_of = sentence_of(c);
}  // namespace detail

/// True where the compared_figure of a figure holds; else a compile error, whose first line tells the figure:
/// static_assert(etch::require<etch::plan<digits>.kernels() <= 9>). Put > and >= in parentheses.
template <compared_figure c>
inline constexpr bool require = detail::reported<detail::complaint_of<c>>;

namespace detail {
/// The extents of the named dims, in the order in which the model names them; 1 each where the figure needs none.
struct dim_values {
    std::int64_t values[max_dims]{};
    std::size_t count = 0;
    constexpr flat_view<const std::int64_t> view() const { return {values, count}; }
};
template <class... Dims>
constexpr dim_values values_of(const program_view& p, bool any, Dims... dims) {
    static_assert(sizeof...(Dims) <= max_dims, "a model has at most 16 named dims");
    dim_values d;
    d.count = p.dims.size();
    if (sizeof...(Dims) != d.count) {
        if (sizeof...(Dims) != 0 || !any)
            throw mistake("plan: this figure needs an extent for each named dim");
        for (auto& v : d.values) v = 1;
        return d;
    }
    std::size_t i = 0;
    ((d.values[i++] = static_cast<std::int64_t>(dims)), ...);
    return d;
}
}  // namespace detail

/// Figures of one step, which program_figures::find gives. Extents as there; a loop counts what all its steps do.
class step_figures {
    program_view view_;
    int index_;

    constexpr const step& found() const { return view_.steps[index_]; }
    constexpr range_of itself() const { return {index_, 1}; }

public:
    constexpr step_figures(const program_view& v, int index) : view_(v), index_(index) {}

    constexpr step_kind kind() const { return found().kind; }
    /// Its place in the order in which steps run, from 0; those of loops' bodies do not count.
    constexpr int index() const { return index_ - view_.top[0]; }
    /// Bytes that it reads and writes.
    template <class... Dims> constexpr figure bytes_moved(Dims... dims) const {
        auto d = detail::values_of(view_, false, dims...);
        detail::traffic t(view_);
        return {figure_name::bytes_moved, view_.count(itself(), d.view(), [&](const step& s) {
                    return t.bytes_moved(s, d.view());
                })};
    }
    /// As program_figures::flops.
    template <class... Dims> constexpr figure flops(Dims... dims) const {
        auto d = detail::values_of(view_, false, dims...);
        return {figure_name::flops, view_.count(itself(), d.view(), [&](const step& s) {
                    return view_.step_flops(s, d.view());
                })};
    }
    /// Operations that were fused into it, each counted once; a product's are those of its epilogue.
    constexpr figure operations() const {
        std::int64_t n = 0;
        detail::for_each_part(view_, found(), [&](const part& q) {
            for (const auto& i : view_.code_of(view_.bodies[q.body]))
                n += i.what == code::compute || i.what == code::reduce;
        });
        return {figure_name::operations, n};
    }
    /// Other values that it stores.
    constexpr figure fused_with() const {
        std::int64_t n = 0;
        detail::each_access(view_, found(), [&](int, bool written) { n += written; });
        return {figure_name::fused_with, n - 1};
    }
};

/// Figures of a program. Extents of named dims are given in the order in which the model names them; a figure that does
/// not depend on them needs none.
class program_figures {
    program_view view_;

public:
    constexpr explicit program_figures(const program_view& v) : view_(v) {}

    /// Fused kernels that one call runs.
    template <class... Dims> constexpr figure kernels(Dims... dims) const {
        auto d = detail::values_of(view_, view_.loops.empty(), dims...);
        return {figure_name::kernels, view_.kernels(d.view())};
    }
    /// Kernel bodies that are compiled: equal kernels are one.
    constexpr figure distinct_kernels() const {
        return {figure_name::distinct_kernels, std::ssize(view_.bodies)};
    }
    /// Products of matrices that one call runs.
    template <class... Dims> constexpr figure gemms(Dims... dims) const {
        auto d = detail::values_of(view_, view_.loops.empty(), dims...);
        return {figure_name::gemms, view_.gemm_count(d.view())};
    }
    /// Bytes of the arena at its fullest.
    template <class... Dims> constexpr figure bytes(Dims... dims) const {
        auto d = detail::values_of(view_, false, dims...);
        return {figure_name::bytes, arena_layout(view_, d.view()).bytes};
    }
    /// Bytes that all steps of one call read and write: each storage once for a step and a direction, of gathered ones
    /// the most that can be read.
    template <class... Dims> constexpr figure bytes_moved(Dims... dims) const {
        auto d = detail::values_of(view_, false, dims...);
        detail::traffic t(view_);
        return {figure_name::bytes_moved,
                view_.count(view_.all_steps(), d.view(),
                            [&](const step& s) { return t.bytes_moved(s, d.view()); })};
    }
    /// Bytes of parameters and of what optimizers keep.
    constexpr figure state_bytes() const { return {figure_name::state_bytes, view_.state_bytes()}; }
    /// 2 for each multiply-add of products, one for each other scalar operation.
    template <class... Dims> constexpr figure flops(Dims... dims) const {
        auto d = detail::values_of(view_, false, dims...);
        return {figure_name::flops, view_.flops(d.view())};
    }
    /// The step that makes the output or updates the parameter of that name; of a parameter without an update, of an
    /// input and of a scope (its parameters) the first that reads it. Throws a mistake that lists near names.
    constexpr step_figures find(std::string_view name) const {
        auto f = detail::find_step(view_, name);
        if (f.step < 0) throw mistake(f.complaint.view());
        return {view_, f.step};
    }
    constexpr const program_view& view() const { return view_; }
};

}  // namespace etch
