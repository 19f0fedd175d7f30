// SPDX-License-Identifier: MIT
// Random numbers, counter based: element i of draw d in step s is Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel
// Random Numbers: As Easy as 1, 2, 3, SC 2011) of the counter (i / 4, d, s) under the key. Key and step are a parameter
// of the model named "random", int64 {2} = {key, step}; a call that draws advances the step by one. Each call of a
// function here is a draw of its own.
#pragma once
#include <etch/ops/indexing.hpp>

namespace etch {

struct random_row : any_row {  // operand: {key, step}; {type..., ordinal of the draw}
    static constexpr std::string_view name = "random";
    static constexpr int arity = 1;
    static constexpr op_class kind = op_class::counter;
    static constexpr bool cuts = true;
    static constexpr int cost = 20;
    static constexpr std::string_view cuda = "etch_uniform<$r>($0, $1, $i, $e)";
    static constexpr type infer(inference& i) { return detail::type_from_words(i); }
};

namespace detail {
constexpr expr random_key(graph& g);  // in expr/model.hpp: it is a parameter

constexpr expr draw(graph& g, flat_view<const dim> shape, dtype d) {
    type t = shape_from(g, "random", d, shape);
    if (!is_floating(d))
        g.fail(text{} << "random: numbers of dtype " << name_of(d)
                      << ": draw floating ones and cast");
    expr key = random_key(g);
    if (g.failed() || !key.valid()) return poison(&g);
    auto a = type_words(t);
    a.push_back(g.ordinal++);
    int id[] = {key.id};
    expr x = apply<random_row>(g, id, a);
    if (g.open_loop >= 0) {
        g.fail(text{}
               << "random: a draw inside of a scan is not supported yet: draw all steps before it");
        return poison(&g);
    }
    return x;
}
}  // namespace detail

/// Uniform numbers in [low, high): 24 random bits of a float32, 53 of a float64.
constexpr expr uniform(graph& g, flat_view<const dim> shape, double low = 0, double high = 1,
                       dtype d = dtype::float32,
                       std::source_location where = std::source_location::current()) {
    located here(&g, where);
    expr u = detail::draw(g, shape, d);
    if (!u.valid() || (low == 0 && high == 1)) return u;
    return low + (high - low) * u;
}
constexpr expr uniform(graph& g, std::initializer_list<dim> shape, double low = 0, double high = 1,
                       dtype d = dtype::float32,
                       std::source_location where = std::source_location::current()) {
    return uniform(g, flat_view<const dim>(shape.begin(), shape.size()), low, high, d, where);
}

/// Normal numbers: mean + deviation * sqrt(-2 log(1 - u)) cos(2 pi v), of two draws u, v (Box and Muller, 1958).
constexpr expr normal(graph& g, flat_view<const dim> shape, double mean = 0, double deviation = 1,
                      dtype d = dtype::float32,
                      std::source_location where = std::source_location::current()) {
    located here(&g, where);
    expr u = detail::draw(g, shape, d), v = detail::draw(g, shape, d);
    if (!u.valid() || !v.valid()) return u;
    return mean + deviation * (sqrt(-2 * log(1 - u)) * cos(6.283185307179586 * v));
}
constexpr expr normal(graph& g, std::initializer_list<dim> shape, double mean = 0,
                      double deviation = 1, dtype d = dtype::float32,
                      std::source_location where = std::source_location::current()) {
    return normal(g, flat_view<const dim>(shape.begin(), shape.size()), mean, deviation, d, where);
}

/// bool, true with the given probability.
constexpr expr bernoulli(graph& g, flat_view<const dim> shape, double probability,
                         std::source_location where = std::source_location::current()) {
    located here(&g, where);
    expr u = detail::draw(g, shape, dtype::float32);
    return u.valid() ? u < probability : u;
}
constexpr expr bernoulli(graph& g, std::initializer_list<dim> shape, double probability,
                         std::source_location where = std::source_location::current()) {
    return bernoulli(g, flat_view<const dim>(shape.begin(), shape.size()), probability, where);
}

using random_rows = rows<random_row>;

}  // namespace etch
