// SPDX-License-Identifier: MIT
// Rules of algebra: constants that join, terms and factors that cancel, signs that move, powers. What wraps around
// (integers) may be reordered freely; of floats only what stays exact, or what `reassociate` asks for.
#pragma once
#include <etch/passes/rules/arithmetic.hpp>

namespace etch::rules {

constexpr bool is_constant_value(const graph& g, int v) {
    double c = 0;
    return detail::constant_number(g, v, c);
}
/// Whether v is Row's op, of a constant and of x, in either order.
template <class Row> constexpr bool with_constant(const graph& g, int v, int& x, int& c) {
    if (!is<Row>(g, v)) return false;
    for (int k = 0; k < 2; ++k) {
        x = operand_of(g, v, 1 - k);
        c = operand_of(g, v, k);
        if (is_constant_value(g, c) && !is_constant_value(g, x)) return true;
    }
    return false;
}
/// Whether c is a normal number of its dtype whose neighbours are so, too: products of two of them are finite.
constexpr bool is_moderate(const graph& g, int v) {
    double c = 0;
    if (!detail::constant_number(g, v, c)) return false;
    double limit = g.type_of(v).element == dtype::float32 ? 1e18 : 1e150;
    double a = c < 0 ? -c : c;
    return a < limit && a > 1 / limit;
}
/// The exponent of c where it is 2^e and moderate, of either sign.
constexpr bool is_power_of_two(const graph& g, int v, int& e) {
    double c = 0;
    if (!is_moderate(g, v) || !detail::constant_number(g, v, c)) return false;
    auto bits = std::bit_cast<std::uint64_t>(c);
    e = static_cast<int>((bits >> 52) & 0x7ff) - 1023;
    return (bits << 12) == 0;
}

// ---- constants ----------------------------------------------------------------------------------------------------

// x - c -> x + -c
constexpr expr subtract_constant(graph& g, int v) {
    int x = operand_of(g, v), c = operand_of(g, v, 1);
    double number = 0;
    if (!detail::constant_number(g, c, number) || number == 0) return refuse(g);
    return make<add_row>(at(g, x), make<negative_row>(g, c));
}
/// (x op a) op b -> x op (a op b), where both constants suit.
template <class Row, class Suits> constexpr expr join_constants(graph& g, int v, Suits suits) {
    int u = -1, b = -1, x = -1, a = -1;
    if (!with_constant<Row>(g, v, u, b) || !with_constant<Row>(g, u, x, a) || !suits(a) ||
        !suits(b))
        return refuse(g);
    return make<Row>(at(g, x), make<Row>(g, a, b));
}
// (n + a) + b -> n + (a + b), (n * a) * b -> n * (a * b), for integers
constexpr expr join_integer_constants(graph& g, int v) {
    if (floating(g, v)) return refuse(g);
    auto any = [](int) { return true; };
    return is<add_row>(g, v) ? join_constants<add_row>(g, v, any)
                             : join_constants<multiply_row>(g, v, any);
}
// (x * 2^a) * 2^b -> x * 2^(a + b): exact but where the first product leaves the normal numbers
constexpr expr join_powers_of_two(graph& g, int v) {
    if (!floating(g, v)) return refuse(g);
    int e = 0;
    return join_constants<multiply_row>(g, v, [&](int c) { return is_power_of_two(g, c, e); });
}
// (x + a) + b -> x + (a + b), (x * a) * b -> x * (a * b)
constexpr expr join_any_constants(graph& g, int v) {
    if (!floating(g, v)) return refuse(g);
    auto suits = [&](int c) { return is_moderate(g, c); };
    return is<add_row>(g, v) ? join_constants<add_row>(g, v, suits)
                             : join_constants<multiply_row>(g, v, suits);
}
// x / c -> x * (1 / c)
constexpr expr divide_by_constant(graph& g, int v) {
    int c = operand_of(g, v, 1);
    return is_moderate(g, c)
               ? make<multiply_row>(at(g, operand_of(g, v)), make<reciprocal_row>(g, c))
               : refuse(g);
}

// ---- signs --------------------------------------------------------------------------------------------------------

// -(a - b) -> b - a: -(a - a) is -0
constexpr expr negative_of_difference(graph& g, int v) {
    int u = operand_of(g, v);
    if (!is<subtract_row>(g, u)) return refuse(g);
    return make<subtract_row>(g, operand_of(g, u, 1), operand_of(g, u));
}
// -(x * c) -> x * -c
constexpr expr negative_of_constant_product(graph& g, int v) {
    int x = -1, c = -1;
    if (!with_constant<multiply_row>(g, operand_of(g, v), x, c)) return refuse(g);
    return make<multiply_row>(at(g, x), make<negative_row>(g, c));
}
// -x * c -> x * -c
constexpr expr negative_times_constant(graph& g, int v) {
    int u = -1, c = -1, x = -1;
    if (!with_constant<multiply_row>(g, v, u, c) || !is<negative_row>(g, u, x)) return refuse(g);
    return make<multiply_row>(at(g, x), make<negative_row>(g, c));
}
/// Whether a float is >= +0 or nan, whatever its operands are.
constexpr bool never_negative(const graph& g, int v) {
    if (!floating(g, v)) return false;
    v = below_views(g, v);
    return is<exp_row>(g, v) || is<abs_row>(g, v) || is<relu_row>(g, v) || is<square_row>(g, v) ||
           is<sigmoid_row>(g, v) || is<softplus_row>(g, v);
}
// abs(exp(x)) -> exp(x), relu(exp(x)) -> exp(x), and other ops that are never negative
constexpr expr magnitude_of_nonnegative(graph& g, int v) {
    int u = operand_of(g, v);
    bool again = g.node_of(u).op == g.node_of(v).op;  // of integers, too
    return again || never_negative(g, u) ? at(g, u) : refuse(g);
}
// abs(-x) -> abs(x), square(-x) -> square(x), cos(-x) -> cos(x), and the same of abs(x)
constexpr expr even_of_negative(graph& g, int v) {
    int u = operand_of(g, v), x = -1;
    if (!is<negative_row>(g, u, x) && !is<abs_row>(g, u, x)) return refuse(g);
    op_id op = g.node_of(v).op;
    return detail::append(g, op, flat_view<const int>(&x, 1), {});
}
// |a| * |b| -> |a * b|, |a| / |b| -> |a / b|, for floats: integers wrap
constexpr expr join_magnitudes(graph& g, int v) {
    int a = -1, b = -1;
    if (!floating(g, v) || !is<abs_row>(g, operand_of(g, v), a) ||
        !is<abs_row>(g, operand_of(g, v, 1), b))
        return refuse(g);
    return make<abs_row>(is<multiply_row>(g, v) ? make<multiply_row>(g, a, b)
                                                : make<divide_row>(g, a, b));
}
// |x| * sign(x) -> x
constexpr expr sign_times_magnitude(graph& g, int v) {
    for (int k = 0; k < 2; ++k) {
        int x = -1, y = -1;
        if (is<abs_row>(g, operand_of(g, v, k), x) && is<sign_row>(g, operand_of(g, v, 1 - k), y) &&
            x == y)
            return at(g, x);
    }
    return refuse(g);
}

// ---- terms and factors that cancel --------------------------------------------------------------------------------

// x + x -> 2 * x
constexpr expr add_to_itself(graph& g, int v) {
    int x = operand_of(g, v);
    return x == operand_of(g, v, 1) ? make<multiply_row>(at(g, x), filled(g, v, 2)) : refuse(g);
}
// (a + b) - a -> b, (a - b) + b -> a, a - (a - b) -> b, a - (a + b) -> -b, (a - b) - a -> -b
constexpr expr cancel_terms(graph& g, int v) {
    int p = operand_of(g, v), q = operand_of(g, v, 1);
    if (is<add_row>(g, v)) {
        for (int k = 0; k < 2; ++k) {
            int u = operand_of(g, v, k), w = operand_of(g, v, 1 - k);
            if (is<subtract_row>(g, u) && operand_of(g, u, 1) == w) return at(g, operand_of(g, u));
        }
        return refuse(g);
    }
    if (is<add_row>(g, p))
        for (int k = 0; k < 2; ++k)
            if (operand_of(g, p, k) == q) return at(g, operand_of(g, p, 1 - k));
    if (is<subtract_row>(g, p) && operand_of(g, p) == q)
        return make<negative_row>(g, operand_of(g, p, 1));
    if (is<subtract_row>(g, q) && operand_of(g, q) == p) return at(g, operand_of(g, q, 1));
    if (is<add_row>(g, q))
        for (int k = 0; k < 2; ++k)
            if (operand_of(g, q, k) == p) return make<negative_row>(g, operand_of(g, q, 1 - k));
    return refuse(g);
}
/// v as x * c, c constant: its factors, c = -1 for none.
struct scaled_term {
    int x, c;
};
constexpr scaled_term term_of(const graph& g, int v) {
    int x = -1, c = -1;
    return with_constant<multiply_row>(g, v, x, c) ? scaled_term{x, c} : scaled_term{v, -1};
}
// a * x + b * x -> (a + b) * x, a * x - x -> (a - 1) * x
constexpr expr like_terms(graph& g, int v) {
    scaled_term p = term_of(g, operand_of(g, v)), q = term_of(g, operand_of(g, v, 1));
    if (p.x != q.x || (p.c < 0 && q.c < 0)) return refuse(g);
    expr a = p.c < 0 ? filled(g, v, 1) : at(g, p.c), b = q.c < 0 ? filled(g, v, 1) : at(g, q.c);
    return make<multiply_row>(at(g, p.x),
                              is<add_row>(g, v) ? make<add_row>(a, b) : make<subtract_row>(a, b));
}
/// A rule for integers, which wrap around, and the same one for floats.
template <expr (*rule)(graph&, int)> constexpr expr for_integers(graph& g, int v) {
    return floating(g, v) ? refuse(g) : rule(g, v);
}
template <expr (*rule)(graph&, int)> constexpr expr for_floats(graph& g, int v) {
    return floating(g, v) ? rule(g, v) : refuse(g);
}
// (a * b) / b -> a, (a / b) * b -> a
constexpr expr cancel_factors(graph& g, int v) {
    if (is<divide_row>(g, v)) {
        int u = operand_of(g, v), b = operand_of(g, v, 1);
        if (is<multiply_row>(g, u))
            for (int k = 0; k < 2; ++k)
                if (operand_of(g, u, k) == b) return at(g, operand_of(g, u, 1 - k));
        return refuse(g);
    }
    if (!floating(g, v)) return refuse(g);
    for (int k = 0; k < 2; ++k) {
        int u = operand_of(g, v, k);
        if (is<divide_row>(g, u) && operand_of(g, u, 1) == operand_of(g, v, 1 - k))
            return at(g, operand_of(g, u));
    }
    return refuse(g);
}
// (a / b) / c -> a / (b * c), a / (b / c) -> a * c / b
constexpr expr quotient_of_quotient(graph& g, int v) {
    int a = operand_of(g, v), b = operand_of(g, v, 1);
    if (is<divide_row>(g, a))
        return make<divide_row>(at(g, operand_of(g, a)),
                                make<multiply_row>(g, operand_of(g, a, 1), b));
    if (!is<divide_row>(g, b)) return refuse(g);
    return make<divide_row>(make<multiply_row>(g, a, operand_of(g, b, 1)), at(g, operand_of(g, b)));
}
// exp(a) * exp(b) -> exp(a + b), exp(a) / exp(b) -> exp(a - b)
constexpr expr join_exponentials(graph& g, int v) {
    int a = -1, b = -1;
    if (!is<exp_row>(g, operand_of(g, v), a) || !is<exp_row>(g, operand_of(g, v, 1), b))
        return refuse(g);
    return make<exp_row>(is<multiply_row>(g, v) ? make<add_row>(g, a, b)
                                                : make<subtract_row>(g, a, b));
}

// ---- integer division ---------------------------------------------------------------------------------------------

// n // 1 -> n, n // 0 -> 0, 0 // n -> 0: division by 0 gives 0
constexpr expr floor_divide_integers(graph& g, int v) {
    int n = operand_of(g, v), d = operand_of(g, v, 1);
    if (floating(g, v)) return refuse(g);
    if (is_number(g, d, 1)) return at(g, n);
    return is_number(g, d, 0) || is_number(g, n, 0) ? filled(g, v, 0) : refuse(g);
}
// n % 1 -> 0, n % -1 -> 0, n % 0 -> 0, 0 % n -> 0, n % n -> 0
constexpr expr remainder_of_integers(graph& g, int v) {
    int n = operand_of(g, v), d = operand_of(g, v, 1);
    if (floating(g, v)) return refuse(g);
    bool zero = n == d || is_number(g, d, 1) || is_number(g, d, -1) || is_number(g, d, 0) ||
                is_number(g, n, 0);
    return zero ? filled(g, v, 0) : refuse(g);
}

// ---- powers -------------------------------------------------------------------------------------------------------

// power(1, x) -> 1, of nan, too
constexpr expr power_of_one(graph& g, int v) {
    return is_number(g, operand_of(g, v), 1) ? filled(g, v, 1) : refuse(g);
}
// power(x, 0.5) -> sqrt(x), power(x, -0.5) -> 1 / sqrt(x); at -inf power is inf and 0, where sqrt is nan
constexpr expr power_half(graph& g, int v) {
    int x = operand_of(g, v), y = operand_of(g, v, 1);
    bool inverse = is_number(g, y, -0.5);
    if (!inverse && !is_number(g, y, 0.5)) return refuse(g);
    constexpr double infinity = std::numeric_limits<double>::infinity();
    expr root = make<sqrt_row>(g, x), least = make<equal_row>(at(g, x), filled(g, x, -infinity));
    if (!inverse) return apply<where_row>({least, filled(g, x, infinity), root});
    expr zero = make<equal_row>(at(g, x), filled(g, x, 0));  // 1 / sqrt(-0) would be -inf
    expr rest = apply<where_row>({least, filled(g, x, 0), make<reciprocal_row>(root)});
    return apply<where_row>({zero, filled(g, x, infinity), rest});
}
/// x^n by squaring, n > 0; each product is rounded once.
constexpr expr power_by_products(expr x, int n) {
    graph& g = *x.g;
    expr result = refuse(g);
    for (;; n /= 2) {
        if (n % 2 == 1) result = result.valid() ? make<multiply_row>(result, x) : x;
        if (n == 1) return result;
        x = make<square_row>(x);
    }
}
constexpr expr power_between(graph& g, int v, int low, int high) {
    double c = 0;
    if (!detail::constant_number(g, operand_of(g, v, 1), c)) return refuse(g);
    if (!(c >= -high && c <= high)) return refuse(g);
    int n = static_cast<int>(c), m = n < 0 ? -n : n;
    if (n != c || m < low || n == 2 || n == -1) return refuse(g);
    expr x = at(g, operand_of(g, v));
    // The inverse first: x^m may overflow where x^-m is a denormal number.
    return power_by_products(n < 0 ? make<reciprocal_row>(x) : x, m);
}
// power(x, 3) -> x * square(x), up to 4 and down to -4: within 2.5 units of the last place
constexpr expr power_integral(graph& g, int v) { return power_between(g, v, 2, 4); }
// The same up to 16.
constexpr expr power_of_many(graph& g, int v) { return power_between(g, v, 5, 16); }

}  // namespace etch::rules
