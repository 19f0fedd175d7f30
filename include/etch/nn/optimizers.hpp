// SPDX-License-Identifier: MIT
// Optimizers: given parameters and the gradients of a loss, they say what each parameter becomes. g.minimize calls
// one; `optimizer(g, parameters, gradients)` does the same for some of the parameters. What an optimizer keeps
// between calls (its slots) are parameters that nothing trains, "hidden/weight/adam/m". The update of one parameter
// and its slots is one elementwise chain: what depends on the step alone is computed once, at rank 0, and broadcast.
//
// Every optimizer has these members:
//   rate          a number, or an expression of rank 0: an input fed at each call, a formula over a step count
//   clip_value    > 0: each element of a gradient is held inside [-clip_value, clip_value]
//   clip_norm     > 0: then all gradients together are scaled down to this length where they are longer (Pascanu,
//                 Mikolov, Bengio: On the difficulty of training recurrent neural networks, 2013)
//   weight_decay  > 0: then weight_decay * p is added to the gradient of p, the derivative of weight_decay / 2 |p|^2;
//                 adamw decays apart from the gradient
#pragma once
#include <etch/nn/initializers.hpp>

namespace etch::nn {

/// A number, or an expression of rank 0; it follows the dtype of each parameter.
struct learning_rate {
    bool is_number;
    double number = 0;
    expr formula{};
    constexpr learning_rate(double n) : is_number(true), number(n) {}  // NOLINT: .rate = 1e-3
    constexpr learning_rate(expr x)
        : is_number(false), formula(x) {}  // NOLINT: .rate = g.input<float>("rate", {})
};

/// sqrt of the sum of the squares of all elements of all tensors, a scalar: float64 where one of them is.
constexpr expr global_norm(flat_view<const expr> tensors,
                           std::source_location at = std::source_location::current()) {
    graph* g = tensors.empty() ? nullptr : tensors[0].g;
    located here(g, at);
    dtype wide = dtype::float32;
    for (expr x : tensors) {
        if (!x.valid()) return etch::detail::poison(g);
        if (x.element() == dtype::float64) wide = dtype::float64;
    }
    expr total{};
    for (expr x : tensors) {
        expr part = cast(sum(square(x)), wide);
        total = total.g ? total + part : part;
    }
    return total.g ? sqrt(total) : total;
}

namespace detail {

struct gradient_rules {
    double clip_value, clip_norm, weight_decay;
};

/// The gradients as the members above ask for them; none where something is wrong.
constexpr expr_list prepared(graph& g, std::string_view optimizer, flat_view<const expr> parameters,
                             flat_view<const expr> gradients, const gradient_rules& rules) {
    if (parameters.size() != gradients.size())
        g.fail(text{} << optimizer << ": " << parameters.size() << " parameters and "
                      << gradients.size() << " gradients");
    if (!(rules.clip_value >= 0 && rules.clip_norm >= 0 && rules.weight_decay >= 0))
        g.fail(text{} << optimizer
                      << ": clip_value, clip_norm and weight_decay must not be negative");
    if (g.failed()) return {};
    expr_list result;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
        expr p = parameters[i], d = gradients[i];
        if (!etch::detail::stands_outside(g, optimizer, p)) return {};
        if (!etch::detail::stands_outside(g, optimizer, d)) return {};
        if (!etch::detail::parameter_of(g, p.id) || !is_floating(p.element()))
            g.fail(text{} << optimizer << ": takes floating parameters, not "
                          << name_of(p.element()) << ' ' << etch::detail::described(g, p.id));
        else if (!(p.of() == d.of()))
            g.fail(text{} << optimizer << ": the gradient of " << etch::detail::described(g, p.id)
                          << ", " << name_of(p.element()) << ' ' << shape_text(g, p.of()) << ", is "
                          << name_of(d.element()) << ' ' << shape_text(g, d.of()));
        if (g.failed()) return {};
        result.push_back(rules.clip_value > 0 ? clip(d, -rules.clip_value, rules.clip_value) : d);
    }
    if (rules.clip_norm > 0 && !result.empty()) {
        // 1 where the norm is small, and never a division by 0.
        expr factor = rules.clip_norm / maximum(global_norm(result), rules.clip_norm);
        for (expr& d : result) d = d * cast(factor, d.element());
    }
    if (rules.weight_decay > 0)
        for (std::size_t i = 0; i < result.size(); ++i)
            result[i] = result[i] + rules.weight_decay * parameters[i];
    return result;
}

/// Names made while it lives are whole: a stored name has its prefix already.
class without_prefix {
public:
    constexpr explicit without_prefix(graph& graph_in) : g(graph_in) {
        kept.characters.swap(g.prefix.characters);
    }
    constexpr ~without_prefix() { kept.characters.swap(g.prefix.characters); }
    without_prefix(const without_prefix&) = delete;
    without_prefix& operator=(const without_prefix&) = delete;

private:
    graph& g;
    text kept;
};

/// A new parameter "parameter/optimizer/slot" of the parameter's type, at first 0.
constexpr expr slot(expr parameter, std::string_view optimizer, std::string_view name) {
    graph& g = *parameter.g;
    text full;
    full << g.name(etch::detail::parameter_of(g, parameter.id)->name) << '/' << optimizer << '/'
         << name;
    without_prefix whole(g);
    return etch::detail::new_parameter(g, full.view(), parameter.of(), initial_value{}, false);
}

/// The number of this call, 1 in the first: the parameter "optimizer/step", int64, plus 1. Two uses of an optimizer
/// in one scope count together, since one call makes the updates of both.
constexpr expr step(graph& g, std::string_view optimizer) {
    text name, full;
    name << optimizer << "/step";
    full << g.prefix.view() << name.view();
    type count{dtype::int64, 0, {}};
    for (const auto& p : g.parameters)
        if (!p.trainable && p.update >= 0 && g.name(p.name) == full.view() &&
            g.type_of(p.value) == count)
            return {&g, p.update};
    expr before = etch::detail::new_parameter(g, name.view(), count, initial_value{}, false);
    expr now = before.valid() ? before + 1 : before;
    g.update(before, now);
    return now;
}

/// The rate in dtype d.
constexpr expr rate_in(graph& g, std::string_view optimizer, const learning_rate& rate, dtype d) {
    if (rate.is_number) return scalar(g, d, rate.number);
    expr r = rate.formula;
    if (!etch::detail::stands_outside(g, optimizer, r)) return etch::detail::poison(&g);
    if (r.rank() != 0 || is_boolean(r.element())) {
        g.fail(text{} << optimizer << ": the rate is a number or an expression of rank 0, not "
                      << name_of(r.element()) << ' ' << shape_text(g, r.of()));
        return etch::detail::poison(&g);
    }
    return cast(r, d);
}

constexpr void check_fraction(graph& g, std::string_view optimizer, std::string_view name,
                              double x) {
    if (!(x >= 0 && x < 1)) g.fail(text{} << optimizer << ": " << name << " must lie in [0, 1)");
}

/// log(x) for 0 < x <= 1: x = m 2^e with m in (2/3, 4/3], log m = 2 artanh((m - 1) / (m + 1)), as its power series.
constexpr double logarithm(double x) {
    int e = 0;
    for (; x <= 2.0 / 3; x *= 2) --e;
    double s = (x - 1) / (x + 1), power = s, sum = 0;
    for (int k = 1; k < 48; k += 2, power *= s * s) sum += power / k;
    return 2 * sum + e * 0.6931471805599453;
}

/// 1 - beta^t in dtype d, as -expm1(t log beta): 1 - power(beta, t) would cancel where beta is near 1, three of
/// float32's seven digits in the first steps of beta = 0.999.
constexpr expr one_minus_power(expr t, double beta, dtype d) {
    if (beta == 0) return scalar(*t.g, d, 1);
    return -expm1(logarithm(beta) * cast(t, d));
}

struct adam_numbers {
    learning_rate rate;
    double beta1, beta2, epsilon, decoupled_decay;
};
constexpr void adam_updates(graph& g, std::string_view optimizer, flat_view<const expr> parameters,
                            const expr_list& gradients, const adam_numbers& n) {
    check_fraction(g, optimizer, "beta1", n.beta1);
    check_fraction(g, optimizer, "beta2", n.beta2);
    if (!(n.decoupled_decay >= 0))
        g.fail(text{} << optimizer << ": weight_decay must not be negative");
    if (g.failed() || gradients.empty()) return;
    expr t = step(g, optimizer), rate{}, size{}, spread{};
    for (std::size_t i = 0; i < gradients.size() && t.valid(); ++i) {
        expr p = parameters[i], d = gradients[i];
        if (!rate.g || rate.element() != p.element()) {
            rate = rate_in(g, optimizer, n.rate, p.element());
            if (!rate.valid()) return;
            size = rate / one_minus_power(t, n.beta1, p.element());
            spread = 1 / sqrt(one_minus_power(t, n.beta2, p.element()));
        }
        expr m = slot(p, optimizer, "m"), v = slot(p, optimizer, "v");
        expr m_now = n.beta1 * m + (1 - n.beta1) * d,
             v_now = n.beta2 * v + (1 - n.beta2) * square(d);
        expr from = n.decoupled_decay > 0 ? p - n.decoupled_decay * rate * p : p;
        g.update(m, m_now);
        g.update(v, v_now);
        g.update(p, from - size * m_now / (sqrt(v_now) * spread + n.epsilon));
    }
}

}  // namespace detail

/// p <- p - rate g.
struct sgd {
    learning_rate rate = 0.01;
    double weight_decay = 0, clip_value = 0, clip_norm = 0;

    constexpr void operator()(graph& g, flat_view<const expr> parameters,
                              flat_view<const expr> gradients,
                              std::source_location at = std::source_location::current()) const {
        located here(&g, at);
        auto d = detail::prepared(g, "sgd", parameters, gradients,
                                  {clip_value, clip_norm, weight_decay});
        for (std::size_t i = 0; i < d.size(); ++i) {
            expr p = parameters[i];
            g.update(p, p - detail::rate_in(g, "sgd", rate, p.element()) * d[i]);
        }
    }
};

/// v <- momentum v - rate g, p <- p + v (Polyak: Some methods of speeding up the convergence of iteration methods,
/// 1964).
struct momentum {
    learning_rate rate = 0.01;
    double momentum = 0.9, weight_decay = 0, clip_value = 0, clip_norm = 0;

    constexpr void operator()(graph& g, flat_view<const expr> parameters,
                              flat_view<const expr> gradients,
                              std::source_location at = std::source_location::current()) const {
        located here(&g, at);
        auto d = detail::prepared(g, "momentum", parameters, gradients,
                                  {clip_value, clip_norm, weight_decay});
        for (std::size_t i = 0; i < d.size() && !g.failed(); ++i) {
            expr p = parameters[i], v = detail::slot(p, "momentum", "v");
            expr now = momentum * v - detail::rate_in(g, "momentum", rate, p.element()) * d[i];
            g.update(v, now);
            g.update(p, p + now);
        }
    }
};

/// Nesterov's accelerated gradient as Sutskever, Martens, Dahl, Hinton have it (On the importance of initialization
/// and momentum in deep learning, 2013, equations 3 and 4): v <- momentum v - rate g(q + momentum v), q <- q + v. The
/// parameter is where the gradient is taken, p = q + momentum v, thus p <- p + momentum v - rate g with the new v
/// (Bengio, Boulanger-Lewandowski, Pascanu: Advances in optimizing recurrent networks, 2013).
struct nesterov {
    learning_rate rate = 0.01;
    double momentum = 0.9, weight_decay = 0, clip_value = 0, clip_norm = 0;

    constexpr void operator()(graph& g, flat_view<const expr> parameters,
                              flat_view<const expr> gradients,
                              std::source_location at = std::source_location::current()) const {
        located here(&g, at);
        auto d = detail::prepared(g, "nesterov", parameters, gradients,
                                  {clip_value, clip_norm, weight_decay});
        for (std::size_t i = 0; i < d.size() && !g.failed(); ++i) {
            expr p = parameters[i], v = detail::slot(p, "nesterov", "v");
            expr step = detail::rate_in(g, "nesterov", rate, p.element()) * d[i],
                 now = momentum * v - step;
            g.update(v, now);
            g.update(p, p + (momentum * now - step));
        }
    }
};

/// Kingma, Ba: Adam: a method for stochastic optimization, 2015, algorithm 1. In call t, counted in "adam/step",
///     m <- beta1 m + (1 - beta1) g,    v <- beta2 v + (1 - beta2) g^2,
///     p <- p - rate m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon).
/// Two functions that share their state but train apart count apart where each calls g.minimize in a g.scope.
struct adam {
    learning_rate rate = 1e-3;
    double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
    double weight_decay = 0, clip_value = 0, clip_norm = 0;

    constexpr void operator()(graph& g, flat_view<const expr> parameters,
                              flat_view<const expr> gradients,
                              std::source_location at = std::source_location::current()) const {
        located here(&g, at);
        auto d = detail::prepared(g, "adam", parameters, gradients,
                                  {clip_value, clip_norm, weight_decay});
        detail::adam_updates(g, "adam", parameters, d, {rate, beta1, beta2, epsilon, 0});
    }
};

/// Adam whose decay does not pass through m and v: p <- p - rate weight_decay p - (adam's step) (Loshchilov, Hutter:
/// Decoupled weight decay regularization, 2019, algorithm 2, whose schedule is part of the rate here).
struct adamw {
    learning_rate rate = 1e-3;
    double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
    double weight_decay = 0.01, clip_value = 0, clip_norm = 0;

    constexpr void operator()(graph& g, flat_view<const expr> parameters,
                              flat_view<const expr> gradients,
                              std::source_location at = std::source_location::current()) const {
        located here(&g, at);
        auto d = detail::prepared(g, "adamw", parameters, gradients, {clip_value, clip_norm, 0});
        detail::adam_updates(g, "adamw", parameters, d,
                             {rate, beta1, beta2, epsilon, weight_decay});
    }
};

/// s <- decay s + (1 - decay) g^2, p <- p - rate g / (sqrt(s) + epsilon) (Tieleman, Hinton: Neural networks for
/// machine learning, lecture 6.5, 2012).
struct rmsprop {
    learning_rate rate = 1e-3;
    double decay = 0.9, epsilon = 1e-8;
    double weight_decay = 0, clip_value = 0, clip_norm = 0;

    constexpr void operator()(graph& g, flat_view<const expr> parameters,
                              flat_view<const expr> gradients,
                              std::source_location at = std::source_location::current()) const {
        located here(&g, at);
        detail::check_fraction(g, "rmsprop", "decay", decay);
        auto d = detail::prepared(g, "rmsprop", parameters, gradients,
                                  {clip_value, clip_norm, weight_decay});
        for (std::size_t i = 0; i < d.size() && !g.failed(); ++i) {
            expr p = parameters[i], s = detail::slot(p, "rmsprop", "s");
            expr now = decay * s + (1 - decay) * square(d[i]);
            g.update(s, now);
            g.update(p, p - detail::rate_in(g, "rmsprop", rate, p.element()) * d[i] /
                                (sqrt(now) + epsilon));
        }
    }
};

/// s <- s + g^2, p <- p - rate g / (sqrt(s) + epsilon) (Duchi, Hazan, Singer: Adaptive subgradient methods for online
/// learning and stochastic optimization, 2011; epsilon keeps a gradient that was always 0 from dividing by 0).
struct adagrad {
    learning_rate rate = 0.01;
    double epsilon = 1e-10;
    double weight_decay = 0, clip_value = 0, clip_norm = 0;

    constexpr void operator()(graph& g, flat_view<const expr> parameters,
                              flat_view<const expr> gradients,
                              std::source_location at = std::source_location::current()) const {
        located here(&g, at);
        auto d = detail::prepared(g, "adagrad", parameters, gradients,
                                  {clip_value, clip_norm, weight_decay});
        for (std::size_t i = 0; i < d.size() && !g.failed(); ++i) {
            expr p = parameters[i], s = detail::slot(p, "adagrad", "s");
            expr now = s + square(d[i]);
            g.update(s, now);
            g.update(p, p - detail::rate_in(g, "adagrad", rate, p.element()) * d[i] /
                                (sqrt(now) + epsilon));
        }
    }
};

}  // namespace etch::nn
