// SPDX-License-Identifier: MIT
// Layers. Each is a formula over given weights; a second form makes the parameters, in the scope of the layer's name,
// and calls the first. Parameters take the dtype of x, float32 where x is not floating.
#pragma once
#include <etch/nn/initializers.hpp>

namespace etch::nn {

/// In the place of an initializer: the layer has no bias.
struct no_bias_flag {};
inline constexpr no_bias_flag no_bias{};

namespace detail {

template <initializer Initializer>
constexpr expr parameter_for(expr x, std::string_view name, dim extent_of, const Initializer& how) {
    if (x.element() == dtype::float64) return x.g->param<double>(name, {extent_of}, how);
    return x.g->param<float>(name, {extent_of}, how);
}
template <initializer Initializer>
constexpr expr parameter_for(expr x, std::string_view name, dim in, dim out,
                             const Initializer& how) {
    if (x.element() == dtype::float64) return x.g->param<double>(name, {in, out}, how);
    return x.g->param<float>(name, {in, out}, how);
}

/// Whether parameters can be made for the last axis of x.
constexpr bool has_features(std::string_view layer, expr x, std::string_view name) {
    if (!x.valid()) return false;
    graph& g = *x.g;
    type t = x.of();
    if (name.empty()) {
        g.fail(text{} << layer << ": a name is needed");
        return false;
    }
    if (t.rank == 0) {
        g.fail(text{} << layer << ": " << g.prefix.view() << name
                      << " is given a scalar, which has no last axis");
        return false;
    }
    if (!t[t.rank - 1].is_static()) {
        g.fail(text{} << layer << ": " << g.prefix.view() << name << " is given "
                      << shape_text(g, t) << ": the last extent, " << extent_text(g, t[t.rank - 1])
                      << ", must be a number, since parameters have static shapes");
        return false;
    }
    return true;
}

}  // namespace detail

// ---- dense --------------------------------------------------------------------------------------------------------

/// x w: {A..., in} by {in, units} gives {A..., units}.
constexpr expr dense(const operand& x, const operand& w) {
    located here(x);
    return matmul(x, w);
}
/// x w + b: {A..., in}, {in, units} and {units} give {A..., units}.
constexpr expr dense(const operand& x, const operand& w, const operand& b) {
    located here(x);
    return matmul(x, w) + b;
}

/// x w + b with the new parameters "name/weight" {in, units} and "name/bias" {units}: {A..., in} gives {A..., units}.
/// The last extent of x must be a number. Beneath a relu, he{} is the better first weight.
template <initializer Weight = glorot, initializer Bias = zeros>
constexpr expr dense(const operand& x, dim units, std::string_view name, Weight weight = {},
                     Bias bias = {}) {
    located here(x);
    expr t = etch::detail::tensor(x, "dense");
    if (!detail::has_features("dense", t, name)) return etch::detail::poison(t.g);
    auto inside = t.g->scope(name);
    expr w = detail::parameter_for(t, "weight", t.size(-1), units, weight);
    expr b = detail::parameter_for(t, "bias", units, bias);
    return dense(t, w, b);
}
/// x w with the new parameter "name/weight" {in, units}: what stands beneath a normalization needs no bias.
template <initializer Weight = glorot>
constexpr expr dense(const operand& x, dim units, std::string_view name, Weight weight,
                     no_bias_flag) {
    located here(x);
    expr t = etch::detail::tensor(x, "dense");
    if (!detail::has_features("dense", t, name)) return etch::detail::poison(t.g);
    auto inside = t.g->scope(name);
    return dense(t, detail::parameter_for(t, "weight", t.size(-1), units, weight));
}
constexpr expr dense(const operand& x, dim units, std::string_view name, no_bias_flag) {
    return dense(x, units, name, glorot{}, no_bias);
}

// ---- dropout ------------------------------------------------------------------------------------------------------

/// 0 with the given probability, else x / (1 - probability), so that the mean stays x and a test needs no factor: the
/// inverted form of Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov: Dropout, 2014. Same shape and dtype as
/// x. Each call has a mask of its own, drawn anew whenever the function is called.
constexpr expr dropout(const operand& x, double probability) {
    located here(x);
    expr t = etch::detail::tensor(x, "dropout");
    if (!t.valid()) return t;
    graph& g = *t.g;
    if (!(probability >= 0 && probability < 1)) {
        g.fail(text{} << "dropout: the probability to drop must lie in [0, 1)");
        return etch::detail::poison(&g);
    }
    if (probability == 0) return t;
    flat_list<dim> shape;
    for (int axis = 0; axis < t.rank(); ++axis) shape.push_back(t.size(axis));
    double kept = 1 - probability;
    return where(bernoulli(g, flat_view<const dim>(shape), kept), t / kept, 0);
}
/// Dropout where `training` holds, x itself where not: the two functions of one model are the model twice, with a
/// member that says which:
///
///     struct net {
///         bool training;
///         constexpr void operator()(etch::graph& g) const { ... h = nn::dropout(h, 0.5, training); ... }
///     };
///     etch::function<net{true}> train;
///     etch::function<net{false}> test{train.state()};
constexpr expr dropout(const operand& x, double probability, bool training) {
    located here(x);
    if (training) return dropout(x, probability);
    expr t = etch::detail::tensor(x, "dropout");
    if (t.valid() && !(probability >= 0 && probability < 1))
        t.g->fail(text{} << "dropout: the probability to drop must lie in [0, 1)");
    return t;
}

// ---- layer normalization ------------------------------------------------------------------------------------------

/// gain (x - mean) / sqrt(variance + epsilon) + offset, over the last axis: {A..., n}, {n} and {n} give {A..., n}
/// (Ba, Kiros, Hinton: Layer Normalization, 2016).
constexpr expr layer_norm(const operand& x, const operand& gain, const operand& offset,
                          double epsilon = 1e-5) {
    located here(x);
    return normalize(x, -1, epsilon) * gain + offset;
}
/// The same with the new parameters "name/gain" {n}, at first 1, and "name/offset" {n}, at first 0.
constexpr expr layer_norm(const operand& x, std::string_view name, double epsilon = 1e-5) {
    located here(x);
    expr t = etch::detail::tensor(x, "layer_norm");
    if (!detail::has_features("layer_norm", t, name)) return etch::detail::poison(t.g);
    auto inside = t.g->scope(name);
    expr gain = detail::parameter_for(t, "gain", t.size(-1), constant{1});
    expr offset = detail::parameter_for(t, "offset", t.size(-1), zeros{});
    return layer_norm(t, gain, offset, epsilon);
}

}  // namespace etch::nn
