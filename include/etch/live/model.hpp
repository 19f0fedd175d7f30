// SPDX-License-Identifier: MIT
// A captured formula as a model. Every axis of every array is a dim of its own at first; the shape rules of the ops that
// the formula calls say which of them must be equal (graph::agree), and those become one dim. So `a + b` makes one dim of
// the last axes of both, and a call need only check what was joined, by sentences about the op that joined it.
#pragma once
#include <array>

#include <etch/live/captured.hpp>

namespace etch::detail {

template <class X> struct leaves_of {  // a number
    static constexpr int leaves = 1, axes = 0;
};
template <class T, int rank> struct leaves_of<array<T, rank>> {
    static constexpr int leaves = 1, axes = rank;
};
template <class F, class... X> struct leaves_of<captured<F, X...>> {
    static constexpr int leaves = (leaves_of<X>::leaves + ... + 0),
                         axes = (leaves_of<X>::axes + ... + 0);
};

/// What is known of an axis: the first axis that it equals, and its extent where the formula has it as a number.
struct joined_axis {
    int same_as = 0;
    std::int64_t extent = -1;
};
/// An extent in a sentence: a number, or -1 - k for axis k; `unknown` for anything else.
using axis_or_number = std::int64_t;
inline constexpr axis_or_number unknown_extent = std::numeric_limits<std::int64_t>::min();
/// Two extents that must be equal, and what the sentence says where they are not.
struct live_joint {
    std::string_view op, what;
    int ranks[2]{};
    axis_or_number shapes[2][max_rank]{};
    axis_or_number a = 0, b = 0;
};

/// Appends a formula's nodes.
class live_builder {
public:
    constexpr live_builder(graph& graph_in, flat_view<const joined_axis> joined)
        : g(graph_in), axes(joined) {}

    /// X, whose first leaf and first axis have these numbers.
    template <class X> constexpr operand build(int leaf, int axis) {
        return build(static_cast<X*>(nullptr), leaf, axis);
    }
    /// Whether a dim was lacking; only where the graph notes joints, which another round then has less need of.
    constexpr bool exhausted() const { return exhausted_; }
    constexpr axis_or_number axis_of(extent e) const {
        if (e.is_static()) return e.code;
        const polynomial& p = g.polynomials[at(e.polynomial())];
        for (std::size_t d = 0; d < axis_of_dim.size(); ++d)
            if (p == polynomial::of_dim(static_cast<int>(d))) return -1 - axis_of_dim[d];
        return unknown_extent;
    }

private:
    graph& g;
    flat_view<const joined_axis> axes;
    flat_list<int> axis_of_dim;
    bool exhausted_ = false;

    template <class T> constexpr operand build(live_number<T>*, int leaf, int) {
        return operand::given_number(
            g, std::is_integral_v<T> ? operand::kind::integral : operand::kind::real, leaf);
    }
    template <class T, int rank> constexpr operand build(array<T, rank>*, int leaf, int axis) {
        flat_list<dim> shape;
        for (int i = 0; i < rank; ++i) {
            const joined_axis& j = axes[at(axis + i)];
            shape.push_back(j.extent >= 0 ? dim(j.extent) : dim_of(j.same_as));
        }
        if (exhausted_) return {poison(&g), std::source_location{}};
        text name;
        name << 'x' << leaf;
        return {g.input<T>(name.view(), flat_view<const dim>(shape), std::source_location{}),
                std::source_location{}};
    }
    constexpr dim dim_of(int axis) {
        for (std::size_t d = 0; d < axis_of_dim.size(); ++d)
            if (axis_of_dim[d] == axis)
                return {&g, g.intern(polynomial::of_dim(static_cast<int>(d)))};
        if (g.joints && axis_of_dim.size() == max_dims) {
            exhausted_ = true;
            return {&g, extent{1}};
        }
        axis_of_dim.push_back(axis);
        text name;
        name << 'n' << axis;
        return g.dim(name.view(), std::source_location{});
    }
    template <class F, class... X> constexpr operand build(captured<F, X...>*, int leaf, int axis) {
        return call<F, X...>(std::index_sequence_for<X...>{}, leaf, axis);
    }
    /// The operand with most axes first, so that few dims are open at once: x * (x * (x * y)).
    template <class F, class... X, std::size_t... i>
    constexpr operand call(std::index_sequence<i...>, int leaf, int axis) {
        constexpr int leaf_counts[] = {leaves_of<X>::leaves...}, sizes[] = {leaves_of<X>::axes...};
        int leaves[sizeof...(X)]{}, first_axes[sizeof...(X)]{};
        std::size_t largest = 0;
        for (std::size_t k = 0; k < sizeof...(X); ++k) {
            leaves[k] = leaf, first_axes[k] = axis;
            leaf += leaf_counts[k], axis += sizes[k];
            if (sizes[k] > sizes[largest]) largest = k;
        }
        operand made[] = {((void)sizeof(X*), operand(0, std::source_location{}))...};
        auto one = [&]<class Y>(Y*, std::size_t k) {
            made[k] = build<Y>(leaves[k], first_axes[k]);
        };
        ((i == largest ? one(static_cast<X*>(nullptr), i) : void()), ...);
        ((i != largest ? one(static_cast<X*>(nullptr), i) : void()), ...);
        if (exhausted_) return {poison(&g), std::source_location{}};
        return F::apply(g, made);
    }
};

/// All that is known of a formula's axes.
template <int count> struct joined_axes {
    fixed_list<joined_axis, static_cast<std::size_t>(count)> axes{};
    fixed_list<live_joint, static_cast<std::size_t>(count)> joints{};
    int joint_count = 0;

    constexpr int root(axis_or_number axis) const {
        return axes[static_cast<std::size_t>(-1 - axis)].same_as;
    }
    /// Whether it was news.
    constexpr bool join(axis_or_number a, axis_or_number b) {
        if (a == unknown_extent || b == unknown_extent || (a >= 0 && b >= 0)) return false;
        if (a >= 0) std::swap(a, b);
        int to = root(a);
        std::int64_t extent = axes[at(to)].extent;
        if (b >= 0) {
            if (extent >= 0) return false;
            extent = b;
        } else {
            int other = root(b);
            if (other == to) return false;
            if (extent < 0) extent = axes[at(other)].extent;
            if (other < to) std::swap(to, other);
            for (auto& x : axes)
                if (x.same_as == other) x.same_as = to;
        }
        for (auto& x : axes)
            if (x.same_as == to) x.extent = extent;
        return true;
    }
};
template <class E> constexpr auto join_axes() {
    joined_axes<leaves_of<E>::axes> found;
    for (std::size_t i = 0; i < found.axes.size(); ++i) found.axes[i].same_as = static_cast<int>(i);
    for (bool news = true; news;) {
        news = false;
        graph g;
        flat_list<joint> joints;
        g.joints = &joints;
        live_builder b(g, found.axes);
        b.build<E>(0, 0);
        for (const joint& j : joints) {
            live_joint said{j.op, j.what,         {j.first.rank, j.second.rank},
                            {},   b.axis_of(j.a), b.axis_of(j.b)};
            if (!found.join(said.a, said.b)) continue;
            news = true;
            for (int i = 0; i < j.first.rank; ++i) said.shapes[0][i] = b.axis_of(j.first[i]);
            for (int i = 0; i < j.second.rank; ++i) said.shapes[1][i] = b.axis_of(j.second[i]);
            found.joints[at(found.joint_count++)] = said;
        }
    }
    return found;
}

/// The model of a captured formula of type E. Its inputs are the leaves, each under the name x and its number.
template <class E> struct live_model {
    static constexpr auto joined = join_axes<E>();
    constexpr void operator()(graph& g) const {
        operand y = live_builder(g, joined.axes).template build<E>(0, 0);
        y.where = {};
        g.output("y", y);
    }
};

}  // namespace etch::detail
