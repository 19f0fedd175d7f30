// SPDX-License-Identifier: MIT
// The handles that a user holds: `expr` (a value of a graph), `dim` (a named extent, or a number) and `operand`, what
// every function takes: an expression, a literal that will take the dtype of the tensor beside it, or a dim used as a
// number. An operand also remembers the user's line.
#pragma once
#include <concepts>
#include <initializer_list>
#include <source_location>
#include <type_traits>

#include <etch/graph/graph.hpp>

namespace etch {

/// An extent that the user may compute with: `4 * N`, `N - 1`, `N * T`. Integers convert to it.
class dim {
public:
    graph* g = nullptr;
    extent size{};

    constexpr dim() = default;
    constexpr dim(graph* owner, extent e) : g(owner), size(e) {}
    template <std::integral I>
    constexpr dim(I n) : size{static_cast<std::int64_t>(n)} {}  // NOLINT: 784 is a shape

    friend constexpr dim operator+(dim a, dim b) { return made(a, b, a.value() + b.value()); }
    friend constexpr dim operator-(dim a, dim b) { return made(a, b, a.value() - b.value()); }
    friend constexpr dim operator*(dim a, dim b) { return made(a, b, a.value() * b.value()); }

private:
    constexpr polynomial value() const {
        return g ? g->polynomial_of(size) : polynomial::of_number(size.code);
    }
    static constexpr dim made(dim a, dim b, const polynomial& p) {
        if (graph* owner = a.g ? a.g : b.g) return {owner, owner->intern(p)};
        return {nullptr, {p.number()}};
    }
};

/// A value of a graph: the handle that models compute with. Copying it copies nothing but two words.
struct expr {
    graph* g = nullptr;
    int id = -1;  // -1: stands for a value that a mistake made impossible

    constexpr bool valid() const { return id >= 0; }
    constexpr type of() const { return valid() ? g->type_of(id) : type{}; }
    constexpr int rank() const { return of().rank; }
    constexpr dtype element() const { return of().element; }
    /// The extent of one axis; negative axes count from the end.
    constexpr dim size(int axis,
                       std::source_location where = std::source_location::current()) const;
};

/// What functions of the language take. Shapes and dtypes are those of the tensor; a literal has rank 0.
struct operand {
    enum class kind : std::uint8_t { tensor, integral, real, size } what = kind::tensor;
    graph* g = nullptr;
    int id = -1;
    double real = 0;
    std::int64_t integral = 0;
    extent size{};
    std::source_location where{};

    constexpr operand(expr e, std::source_location at = std::source_location::current())
        : g(e.g), id(e.id), where(at) {}
    constexpr operand(dim d, std::source_location at = std::source_location::current())
        : what(d.g ? kind::size : kind::integral),
          g(d.g),
          integral(d.size.code),
          size(d.size),
          where(at) {}
    template <class T>
    requires std::is_arithmetic_v<T>
    constexpr operand(T number, std::source_location at = std::source_location::current())
        : what(std::is_integral_v<T> ? kind::integral : kind::real),
          real(static_cast<double>(number)),
          where(at) {
        if constexpr (std::is_integral_v<T>) integral = static_cast<std::int64_t>(number);
    }
    constexpr bool is_tensor() const { return what == kind::tensor; }

    /// A number that is not known yet: like a literal it takes the dtype of the tensor beside it, and the graph gets an
    /// input for it, whose name is x and the ordinal.
    static constexpr operand given_number(graph& owner, kind of, int ordinal) {
        operand x(0, std::source_location{});
        x.what = of;
        x.g = &owner;
        x.id = number_of(ordinal);
        return x;
    }
    constexpr bool is_given_number() const { return !is_tensor() && id < -1; }
    static constexpr int number_of(int id) { return -2 - id; }  // its own inverse
};

/// Holds while one of the language's functions runs: nodes made meanwhile belong to the user's line, however deep in
/// formulas they are made.
class located {
public:
    constexpr located(graph* graph_in, const std::source_location& where) : g(graph_in) {
        if (g && g->depth++ == 0) g->locate(where);
    }
    constexpr explicit located(const operand& x) : located(x.g, x.where) {}
    constexpr ~located() {
        if (g && g->depth > 0) --g->depth;
    }
    located(const located&) = delete;
    located& operator=(const located&) = delete;

private:
    graph* g;
};

constexpr dim expr::size(int axis, std::source_location where) const {
    located here(g, where);
    type t = of();
    int a = axis < 0 ? axis + t.rank : axis;
    if (a >= 0 && a < t.rank) return {g, t[a]};
    if (valid()) g->fail(text{} << "size: axis " << axis << " of a tensor of rank " << t.rank);
    return {g, {1}};
}

/// Prefixes the names of parameters and draws made while it lives: "block0/".
class scope_guard {
public:
    constexpr scope_guard(graph& graph_in, const text& name)
        : g(&graph_in), length(graph_in.prefix.characters.size()) {
        g->prefix << name.view() << '/';
    }
    constexpr ~scope_guard() { g->prefix.characters.resize(length); }
    scope_guard(const scope_guard&) = delete;
    scope_guard& operator=(const scope_guard&) = delete;

private:
    graph* g;
    std::size_t length;
};

/// A list of tensors or literals: `etch::concatenate({a, b}, 0)`.
using expr_list = flat_list<expr>;

/// One or several axes; all of them where none are named.
struct axes {
    int list[max_rank]{};
    int count = 0;
    bool all = false;
    constexpr axes() : all(true) {}
    constexpr axes(int axis) : list{axis}, count(1) {}  // NOLINT: sum(x, 0)
    constexpr axes(std::initializer_list<int> some) : axes(some.begin(), some.size()) {}
    constexpr explicit axes(flat_view<const int> some) : axes(some.data(), some.size()) {}
    constexpr const int* begin() const { return list; }
    constexpr const int* end() const { return list + count; }

private:
    constexpr axes(const int* first, std::size_t n) {
        if (n > max_rank)
            detail::more_axes_than_a_tensor_can_have("axes: more than a tensor can have");
        for (std::size_t i = 0; i < n; ++i) list[count++] = first[i];
    }
};

/// Flags of reductions and of grad.
struct keepdims_flag {};
inline constexpr keepdims_flag keepdims{};
struct allow_disconnected_flag {};
inline constexpr allow_disconnected_flag allow_disconnected{};

}  // namespace etch
