// SPDX-License-Identifier: MIT
// What a model says of itself through its graph: dims, inputs, parameters, outputs and updates.
#pragma once
#include <span>  // what initializers of a user take

#include <etch/passes/derivative.hpp>

namespace etch {

namespace detail {

/// prefix + name, stored; a mistake where it is empty or (among `taken`) used already.
template <class Records>
constexpr range_of new_name(graph& g, std::string_view what, std::string_view name,
                            const Records& taken) {
    text full;
    full << g.prefix.view() << name;
    if (name.empty()) g.fail(text{} << what << ": a name is needed");
    for (const auto& r : taken)
        if (g.name(r.name) == full.view())
            g.fail(text{} << what << ": the name " << full.view() << " is taken");
    return g.store(full.view());
}

constexpr expr new_parameter(graph& g, std::string_view name, const type& t, initial_value initial,
                             bool trainable) {
    for (int axis = 0; axis < t.rank; ++axis)
        if (!t[axis].is_static()) {
            g.fail(text{} << "param: " << name << " has the shape " << shape_text(g, t)
                          << ": parameters have static shapes");
            return poison(&g);
        }
    auto stored = new_name(g, "param", name, g.parameters);
    if (g.failed()) return poison(&g);
    auto a = type_words(t);
    a.push_back(std::ssize(g.parameters));
    expr x = apply<parameter_row>(g, flat_view<const int>{}, a);
    g.parameters.push_back({x.id, stored, initial, -1, trainable});
    return x;
}

/// Whether x is a value of this graph and of no loop's body.
constexpr bool stands_outside(graph& g, std::string_view op, expr x) {
    if (!x.valid())
        without_value(g, op);
    else if (x.g != &g)
        g.fail(text{} << op << ": takes no expr of another graph");
    else if (g.node_of(x.id).loop >= 0)
        g.fail(text{} << op << ": takes no value of the body of a scan");
    else
        return true;
    return false;
}

constexpr graph_parameter* parameter_of(graph& g, int v) {
    const node& n = g.node_of(v);
    return n.op == op_of<parameter_row>()
               ? &g.parameters[static_cast<std::size_t>(g.attributes(n).back())]
               : nullptr;
}

constexpr expr random_key(graph& g) {
    if (g.key < 0) {
        text prefix;  // one key a model, whatever scope draws first
        prefix << g.prefix.view();
        g.prefix = {};
        type t{dtype::int64, 0, {}};
        t.push({2});
        expr key = new_parameter(g, "random", t, {}, false);
        g.prefix << prefix.view();
        if (!key.valid()) return key;
        g.key = key.id;
        std::int64_t one_step[] = {static_cast<std::int64_t>(dtype::int64), 1, 2, 0, 1};
        expr next = key + apply<constant_row>(g, flat_view<const int>{}, one_step);
        parameter_of(g, key.id)->update = next.id;
    }
    return {&g, g.key};
}

}  // namespace detail

/// A number made of a word and an index, for names in constant evaluation: name("layer", 3) is "layer3".
struct indexed_name {
    char characters[64]{};
    std::size_t length = 0;
    constexpr operator std::string_view() const { return {characters, length}; }
};
constexpr indexed_name name(std::string_view word, int number) {
    text t;
    t << word << number;
    indexed_name n;
    for (char c : t.characters)
        if (n.length < sizeof n.characters) n.characters[n.length++] = c;
    return n;
}

/// A named extent, bound when the function is called; the same name is the same dim.
constexpr dim graph::dim(std::string_view dim_name, std::source_location where) {
    located here(this, where);
    for (std::size_t i = 0; i < dims.size(); ++i)
        if (name(dims[i]) == dim_name)
            return {this, intern(polynomial::of_dim(static_cast<int>(i)))};
    if (dims.size() == max_dims) {
        fail(text{} << "dim: a model has at most " << max_dims << " named dims");
        return {this, extent{1}};
    }
    dims.push_back(store(dim_name));
    return {this, intern(polynomial::of_dim(static_cast<int>(dims.size()) - 1))};
}

/// An argument of the function: arguments are in the order of the inputs.
template <class T>
constexpr expr graph::input(std::string_view input_name, flat_view<const etch::dim> shape,
                            std::source_location where) {
    located here(this, where);
    type t = detail::shape_from(*this, "input", dtype_of<T>, shape);
    auto stored = detail::new_name(*this, "input", input_name, inputs);
    if (failed()) return detail::poison(this);
    auto a = detail::type_words(t);
    a.push_back(std::ssize(inputs));
    expr x = apply<input_row>(*this, flat_view<const int>{}, a);
    inputs.push_back({x.id, stored});
    return x;
}
template <class T>
constexpr expr graph::input(std::string_view input_name, std::initializer_list<etch::dim> shape,
                            std::source_location where) {
    return input<T>(input_name, flat_view<const etch::dim>(shape.begin(), shape.size()), where);
}

/// A tensor that stays between calls and that functions share by name. The initializer gives its first value.
template <class T, class Initializer>
constexpr expr graph::param(std::string_view parameter_name, flat_view<const etch::dim> shape,
                            Initializer initializer, std::source_location where) {
    located here(this, where);
    type t = detail::shape_from(*this, "param", dtype_of<T>, shape);
    if (failed()) return detail::poison(this);
    std::int64_t sizes[max_rank]{};
    for (int axis = 0; axis < t.rank; ++axis) sizes[axis] = t[axis].is_static() ? t[axis].code : 1;
    auto initial =
        initializer.initial(flat_view<const std::int64_t>(sizes, static_cast<std::size_t>(t.rank)));
    return detail::new_parameter(*this, parameter_name, t, initial, is_floating(t.element));
}
template <class T, class Initializer>
constexpr expr graph::param(std::string_view parameter_name, std::initializer_list<etch::dim> shape,
                            Initializer initializer, std::source_location where) {
    return param<T>(parameter_name, flat_view<const etch::dim>(shape.begin(), shape.size()),
                    initializer, where);
}

/// A parameter that is there already, such as one that a layer has made: g.parameter("hidden/weight"). The name is the whole
/// one, whatever scope is open.
constexpr expr graph::parameter(std::string_view parameter_name, std::source_location where) {
    located here(this, where);
    for (const auto& p : parameters)
        if (name(p.name) == parameter_name) return {this, p.value};
    text t;
    t << "parameter: the model has none of the name " << parameter_name;
    for (std::size_t i = 0; i < parameters.size() && i < 8; ++i)
        t << (i == 0 ? "; there are " : ", ") << name(parameters[i].name);
    if (parameters.size() > 8) t << ", ...";
    fail(t);
    return detail::poison(this);
}
/// The parameters that are trained, in the order in which they were made: grad(loss, g.trainable()).
constexpr flat_list<expr> graph::trainable() {
    expr_list list;
    for (const auto& p : parameters)
        if (p.trainable) list.push_back({this, p.value});
    return list;
}

/// Names a result of the function.
constexpr void graph::output(std::string_view output_name, const operand& x) {
    located here(this, x.where);
    auto stored = detail::new_name(*this, "output", output_name, outputs);
    if (!x.is_tensor()) {
        fail(text{} << "output: " << output_name << " is a number, not a tensor");
        return;
    }
    if (!detail::stands_outside(*this, "output", expr{x.g, x.id})) return;
    outputs.push_back({x.id, stored});
}

/// After each call the parameter takes the value of x, computed from old values. A number is broadcast.
constexpr void graph::update(expr parameter, const operand& x) {
    located here(this, x.where);
    if (!detail::stands_outside(*this, "update", parameter)) return;
    if (x.is_tensor() && !detail::stands_outside(*this, "update", expr{x.g, x.id})) return;
    auto* p = detail::parameter_of(*this, parameter.id);
    if (!p) {
        fail(text{} << "update: takes a parameter, not " << detail::described(*this, parameter.id));
        return;
    }
    type t = parameter.of();
    expr fresh = detail::materialize(*this, x, t.element);
    if (!fresh.valid()) return;
    if (!(fresh.of() == t) && !(fresh.rank() == 0 && fresh.element() == t.element)) {
        fail(text{} << "update: parameter " << name(p->name) << " is " << name_of(t.element) << ' '
                    << shape_text(*this, t) << ", its new value " << name_of(fresh.element()) << ' '
                    << shape_text(*this, fresh.of()));
        return;
    }
    if (p->update >= 0) {
        fail(text{} << "update: parameter " << name(p->name) << " is updated twice");
        return;
    }
    p->update = detail::broadcast(fresh, t).id;
    p = detail::parameter_of(*this, parameter.id);
}

/// Gradients of the loss by every trainable parameter, and the optimizer's updates with them (nn/optimizers.hpp). A
/// parameter that the loss does not depend on is a mistake.
template <class Optimizer>
constexpr void graph::minimize(const operand& loss, Optimizer optimizer) {
    located here(this, loss.where);
    if (loss.is_tensor() && loss.id < 0) return;
    expr_list free;  // not updated by the model itself
    for (const auto& p : parameters)
        if (p.trainable && p.update < 0) free.push_back({this, p.value});
    if (free.empty()) {
        fail(text{} << "minimize: the model has no parameters");
        return;
    }
    auto gradients = detail::gradient(loss, free, false, "minimize");
    if (failed()) return;
    optimizer(*this, flat_view<const expr>(free), flat_view<const expr>(gradients));
}

/// Prefixes names while the guard lives: g.scope("block", 2) makes "block2/...".
constexpr scope_guard graph::scope(std::string_view word) {
    text t;
    t << word;
    return {*this, t};
}
constexpr scope_guard graph::scope(std::string_view word, int number) {
    text t;
    t << word << number;
    return {*this, t};
}

/// An extent as a number that expressions may use.
constexpr dim size(const operand& x, int axis) {
    located here(x);
    return detail::tensor(x, "size").size(axis);
}

/// A constant tensor, row by row: etch::constant<int>(g, {2, 2}, {0, 1, 1, 0}). One element fills any shape.
template <class T>
constexpr expr constant(graph& g, flat_view<const dim> shape, flat_view<const T> elements,
                        std::source_location where = std::source_location::current()) {
    located here(&g, where);
    type t = detail::shape_from(g, "constant", dtype_of<T>, shape);
    if (g.failed()) return detail::poison(&g);
    if (elements.size() == 1 && t.rank > 0) {
        expr x = detail::constant_word(
            g, t.element, detail::word_of(t.element, static_cast<double>(elements[0])));
        return detail::broadcast(x, t);
    }
    extent n = g.size_of(t);
    if (!(n == extent{std::ssize(elements)})) {
        g.fail(text{} << "constant: " << elements.size() << " elements for the shape "
                      << shape_text(g, t));
        return detail::poison(&g);
    }
    auto a = detail::type_words(t);
    for (T e : elements) {
        if constexpr (std::is_floating_point_v<T>)
            a.push_back(detail::word_of(t.element, static_cast<double>(e)));
        else
            a.push_back(static_cast<std::int64_t>(e));
    }
    return apply<constant_row>(g, flat_view<const int>{}, a);
}
template <class T>
constexpr expr constant(graph& g, std::initializer_list<dim> shape,
                        std::initializer_list<T> elements,
                        std::source_location where = std::source_location::current()) {
    return constant<T>(g, flat_view<const dim>(shape.begin(), shape.size()),
                       flat_view<const T>(elements.begin(), elements.size()), where);
}

}  // namespace etch
