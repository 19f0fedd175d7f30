// SPDX-License-Identifier: MIT
// Ops whose result at an index depends on the operands at that index alone. Each op is one struct, its row, followed by
// the function that users call. In a row, `derivative(k, dy, operands..., y)` is the cotangent of operand k where y is
// the result; `cpu` is written over packs of the operands' dtype; in `cuda`, $0 $1 $2 are operands, $t is the type and
// $f is f for float32. Kinks and ties follow JAX: see docs/language.md.
#pragma once
#include <etch/expr/promote.hpp>

namespace etch {

// ---- conversions --------------------------------------------------------------------------------------------------

struct identity_row : unary {
    static constexpr std::string_view name = "identity";
    static constexpr accepts takes = accepts::any;
    static constexpr auto derivative(int, auto dy, auto, auto) { return dy; }
    static constexpr auto cpu(auto x) { return x; }
    static constexpr std::string_view cuda = "$0";
};
/// A distinct copy of x: never merged with another value, so that grad can tell two uses of x apart.
constexpr expr identity(const operand& x) {
    located here(x);
    if (!detail::usable(x, "identity")) return detail::poison(x.g);
    std::int64_t a[] = {x.g->ordinal++};
    int id[] = {x.id};
    return apply<identity_row>(*x.g, id, a);
}

struct stop_gradient_row : unary {
    static constexpr std::string_view name = "stop_gradient";
    static constexpr accepts takes = accepts::any;
    static constexpr bool cuts = true;
    static constexpr auto derivative(int, auto dy, auto, auto) { return dy; }
    static constexpr auto cpu(auto x) { return x; }
    static constexpr std::string_view cuda = "$0";
};
/// x, through which no derivative flows (Theano: disconnected_grad).
constexpr expr stop_gradient(const operand& x) { return detail::map<stop_gradient_row>(x); }

// ---- arithmetic ---------------------------------------------------------------------------------------------------

struct negative_row : unary {
    static constexpr std::string_view name = "negative";
    static constexpr accepts takes = accepts::number;
    static constexpr auto derivative(int, auto dy, auto, auto) { return -dy; }
    static constexpr auto cpu(auto x) { return -x; }
    static constexpr std::string_view cuda = "-$0";
};
constexpr expr negative(const operand& x) { return detail::map<negative_row>(x); }

struct abs_row : unary {
    static constexpr std::string_view name = "abs";
    static constexpr accepts takes = accepts::number;
    static constexpr auto derivative(int, auto dy, auto x, auto) { return dy * sign(x); }
    static constexpr auto cpu(auto x) { return abs(x); }
    static constexpr std::string_view cuda = "etch_abs($0)";
};
/// |x|; its derivative at 0 is 0.
constexpr expr abs(const operand& x) { return detail::map<abs_row>(x); }

struct sign_row : unary {
    static constexpr std::string_view name = "sign";
    static constexpr accepts takes = accepts::number;
    static constexpr auto derivative(int, auto, auto x, auto) { return zeros_like(x); }
    static constexpr auto cpu(auto x) {
        using P = decltype(x);
        return select(x > P(0), P(1),
                      select(x < P(0), P(-1), x));  // 0, -0 and nan stay what they are
    }
    static constexpr std::string_view cuda = "($0 > $t(0) ? $t(1) : $0 < $t(0) ? $t(-1) : $0)";
};
/// -1, 0 or 1.
constexpr expr sign(const operand& x) { return detail::map<sign_row>(x); }

struct floor_row : unary {
    static constexpr std::string_view name = "floor";
    static constexpr auto derivative(int, auto, auto x, auto) { return zeros_like(x); }
    static constexpr auto cpu(auto x) { return floor(x); }
    static constexpr std::string_view cuda = "floor$f($0)";
};
constexpr expr floor(const operand& x) { return detail::map<floor_row>(x); }

struct reciprocal_row : unary {
    static constexpr std::string_view name = "reciprocal";
    static constexpr domain sample[3]{{0.5, 3}};
    static constexpr auto derivative(int, auto dy, auto, auto y) { return -(dy * (y * y)); }
    static constexpr auto cpu(auto x) { return decltype(x)(1) / x; }
    static constexpr std::string_view cuda = "$t(1) / $0";
};
constexpr expr reciprocal(const operand& x) { return detail::map<reciprocal_row>(x); }

struct square_row : unary {
    static constexpr std::string_view name = "square";
    static constexpr accepts takes = accepts::number;
    static constexpr auto derivative(int, auto dy, auto x, auto) { return dy * (2 * x); }
    static constexpr auto cpu(auto x) { return x * x; }
    static constexpr std::string_view cuda = "$0 * $0";
};
constexpr expr square(const operand& x) { return detail::map<square_row>(x); }

struct sqrt_row : unary {
    static constexpr std::string_view name = "sqrt";
    static constexpr int cost = 4;
    static constexpr domain sample[3]{{0.2, 4}};
    static constexpr auto derivative(int, auto dy, auto, auto y) { return dy * (0.5 / y); }
    static constexpr auto cpu(auto x) { return sqrt(x); }
    static constexpr std::string_view cuda = "sqrt$f($0)";
};
constexpr expr sqrt(const operand& x) { return detail::map<sqrt_row>(x); }

struct add_row : binary {
    static constexpr std::string_view name = "add";
    static constexpr auto derivative(int, auto dy, auto, auto, auto) { return dy; }
    static constexpr auto cpu(auto a, auto b) { return a + b; }
    static constexpr std::string_view cuda = "$0 + $1";
};
constexpr expr add(const operand& a, const operand& b) { return detail::map<add_row>(a, b); }

struct subtract_row : binary {
    static constexpr std::string_view name = "subtract";
    static constexpr auto derivative(int k, auto dy, auto, auto, auto) { return k == 0 ? dy : -dy; }
    static constexpr auto cpu(auto a, auto b) { return a - b; }
    static constexpr std::string_view cuda = "$0 - $1";
};
constexpr expr subtract(const operand& a, const operand& b) {
    return detail::map<subtract_row>(a, b);
}

struct multiply_row : binary {
    static constexpr std::string_view name = "multiply";
    static constexpr auto derivative(int k, auto dy, auto a, auto b, auto) {
        return dy * (k == 0 ? b : a);
    }
    static constexpr auto cpu(auto a, auto b) { return a * b; }
    static constexpr std::string_view cuda = "$0 * $1";
};
constexpr expr multiply(const operand& a, const operand& b) {
    return detail::map<multiply_row>(a, b);
}

struct divide_row : binary {
    static constexpr std::string_view name = "divide";
    static constexpr accepts takes = accepts::floating;
    static constexpr int cost = 2;
    static constexpr domain sample[3]{{-2, 2}, {0.5, 3}};
    static constexpr auto derivative(int k, auto dy, auto, auto b, auto y) {
        return k == 0 ? dy / b : -(dy * y / b);
    }
    static constexpr auto cpu(auto a, auto b) { return a / b; }
    static constexpr std::string_view cuda = "$0 / $1";
};
/// a / b; of integers it is float32, as in NumPy's true division.
constexpr expr divide(const operand& a, const operand& b) { return detail::map<divide_row>(a, b); }

struct floor_divide_row : binary {
    static constexpr std::string_view name = "floor_divide";
    static constexpr int cost = 3;
    static constexpr domain sample[3]{{-20, 20}, {1, 5}};
    static constexpr auto derivative(int k, auto, auto a, auto b, auto) {
        return zeros_like(k == 0 ? a : b);
    }
    static constexpr auto cpu(auto a, auto b) { return floor_divide(a, b); }
    static constexpr std::string_view cuda = "etch_floor_divide($0, $1)";
};
/// floor(a / b); integers stay integers, and division by an integer 0 gives 0.
constexpr expr floor_divide(const operand& a, const operand& b) {
    return detail::map<floor_divide_row>(a, b);
}

struct remainder_row : binary {
    static constexpr std::string_view name = "remainder";
    static constexpr int cost = 4;
    static constexpr domain sample[3]{{-20, 20}, {1, 5}};
    static constexpr auto derivative(int k, auto dy, auto a, auto b, auto) {
        return k == 0 ? dy : -(dy * floor_divide(a, b));
    }
    static constexpr auto cpu(auto a, auto b) { return remainder(a, b); }
    static constexpr std::string_view cuda = "etch_remainder($0, $1)";
};
/// a - b * floor(a / b): the result has b's sign, as in NumPy; by an integer 0 it is 0.
constexpr expr remainder(const operand& a, const operand& b) {
    return detail::map<remainder_row>(a, b);
}

struct power_row : binary {
    static constexpr std::string_view name = "power";
    static constexpr accepts takes = accepts::floating;
    static constexpr int cost = 20;
    static constexpr domain sample[3]{{0.3, 3}, {-2, 2}};
    static constexpr auto derivative(int k, auto dy, auto a, auto b, auto y) {
        if (k == 1) return dy * y * log(where(equal(a, 0), 1, a));
        double c = 0;
        if (is_constant(b, c)) return dy * (c == 0 ? zeros_like(a) : b * power(a, b - 1));
        auto zero = equal(b, 0);  // 0 * power(0, -1) would be nan
        return dy * where(zero, 0, b * power(a, where(zero, 1, b - 1)));
    }
    static constexpr auto cpu(auto a, auto b) { return power(a, b); }
    static constexpr std::string_view cuda = "pow$f($0, $1)";
};
/// a to the power b, on floating dtypes.
constexpr expr power(const operand& a, const operand& b) { return detail::map<power_row>(a, b); }
/// The same, by its name in C.
constexpr expr pow(const operand& a, const operand& b) { return power(a, b); }

struct maximum_row : binary {
    static constexpr std::string_view name = "maximum";
    static constexpr auto derivative(int k, auto dy, auto a, auto b, auto) {
        return where(k == 0 ? a > b : b > a, dy, where(equal(a, b), 0.5 * dy, 0));
    }
    static constexpr auto cpu(auto a, auto b) { return select((a > b) || (a != a), a, b); }
    static constexpr std::string_view cuda = "($0 > $1 || $0 != $0 ? $0 : $1)";
};
/// The larger; nan where one is nan. At a tie half of the derivative goes to each.
constexpr expr maximum(const operand& a, const operand& b) {
    return detail::map<maximum_row>(a, b);
}

struct minimum_row : binary {
    static constexpr std::string_view name = "minimum";
    static constexpr auto derivative(int k, auto dy, auto a, auto b, auto) {
        return where(k == 0 ? a < b : b < a, dy, where(equal(a, b), 0.5 * dy, 0));
    }
    static constexpr auto cpu(auto a, auto b) { return select((a < b) || (a != a), a, b); }
    static constexpr std::string_view cuda = "($0 < $1 || $0 != $0 ? $0 : $1)";
};
/// The smaller; nan where one is nan. At a tie half of the derivative goes to each.
constexpr expr minimum(const operand& a, const operand& b) {
    return detail::map<minimum_row>(a, b);
}

// ---- transcendental functions ---------------------------------------------------------------------------------------

struct exp_row : unary {
    static constexpr std::string_view name = "exp";
    static constexpr int cost = 10;
    static constexpr auto derivative(int, auto dy, auto, auto y) { return dy * y; }
    static constexpr auto cpu(auto x) { return exp(x); }
    static constexpr std::string_view cuda = "exp$f($0)";
};
constexpr expr exp(const operand& x) { return detail::map<exp_row>(x); }

struct expm1_row : unary {
    static constexpr std::string_view name = "expm1";
    static constexpr int cost = 12;
    static constexpr auto derivative(int, auto dy, auto, auto y) { return dy * (y + 1); }
    static constexpr auto cpu(auto x) { return expm1(x); }
    static constexpr std::string_view cuda = "expm1$f($0)";
};
/// exp(x) - 1, accurate near 0.
constexpr expr expm1(const operand& x) { return detail::map<expm1_row>(x); }

struct log_row : unary {
    static constexpr std::string_view name = "log";
    static constexpr int cost = 10;
    static constexpr domain sample[3]{{0.2, 4}};
    static constexpr auto derivative(int, auto dy, auto x, auto) { return dy / x; }
    static constexpr auto cpu(auto x) { return log(x); }
    static constexpr std::string_view cuda = "log$f($0)";
};
constexpr expr log(const operand& x) { return detail::map<log_row>(x); }

struct log1p_row : unary {
    static constexpr std::string_view name = "log1p";
    static constexpr int cost = 12;
    static constexpr domain sample[3]{{-0.7, 3}};
    static constexpr auto derivative(int, auto dy, auto x, auto) { return dy / (1 + x); }
    static constexpr auto cpu(auto x) { return log1p(x); }
    static constexpr std::string_view cuda = "log1p$f($0)";
};
/// log(1 + x), accurate near 0.
constexpr expr log1p(const operand& x) { return detail::map<log1p_row>(x); }

struct sin_row : unary {
    static constexpr std::string_view name = "sin";
    static constexpr int cost = 12;
    static constexpr auto derivative(int, auto dy, auto x, auto) { return dy * cos(x); }
    static constexpr auto cpu(auto x) { return sin(x); }
    static constexpr std::string_view cuda = "sin$f($0)";
};
/// Sine of x in radians.
constexpr expr sin(const operand& x) { return detail::map<sin_row>(x); }

struct cos_row : unary {
    static constexpr std::string_view name = "cos";
    static constexpr int cost = 12;
    static constexpr auto derivative(int, auto dy, auto x, auto) { return -(dy * sin(x)); }
    static constexpr auto cpu(auto x) { return cos(x); }
    static constexpr std::string_view cuda = "cos$f($0)";
};
/// Cosine of x in radians.
constexpr expr cos(const operand& x) { return detail::map<cos_row>(x); }

struct tanh_row : unary {
    static constexpr std::string_view name = "tanh";
    static constexpr int cost = 10;
    static constexpr auto derivative(int, auto dy, auto, auto y) { return dy * (1 - y * y); }
    static constexpr auto cpu(auto x) { return tanh(x); }
    static constexpr std::string_view cuda = "tanh$f($0)";
};
constexpr expr tanh(const operand& x) { return detail::map<tanh_row>(x); }

struct sigmoid_row : unary {
    static constexpr std::string_view name = "sigmoid";
    static constexpr int cost = 12;
    static constexpr auto derivative(int, auto dy, auto, auto y) { return dy * (y * (1 - y)); }
    static constexpr auto cpu(auto x) {
        using P = decltype(x);
        return P(1) / (P(1) + exp(-x));  // exp overflows to inf at x << 0, and 1 / inf is the limit
    }
    static constexpr std::string_view cuda = "$t(1) / ($t(1) + exp$f(-$0))";
};
/// 1 / (1 + exp(-x))
constexpr expr sigmoid(const operand& x) { return detail::map<sigmoid_row>(x); }

struct softplus_row : unary {
    static constexpr std::string_view name = "softplus";
    static constexpr int cost = 22;
    static constexpr auto derivative(int, auto dy, auto x, auto) { return dy * sigmoid(x); }
    static constexpr auto cpu(auto x) {
        using P = decltype(x);
        return select(x > P(0), x, select(x <= P(0), P(0), x)) + log1p(exp(-abs(x)));
    }
    static constexpr std::string_view cuda =
        "($0 > $t(0) ? $0 : $0 <= $t(0) ? $t(0) : $0) + log1p$f(exp$f(-fabs$f($0)))";
};
/// log(1 + exp(x)), without overflow.
constexpr expr softplus(const operand& x) { return detail::map<softplus_row>(x); }

struct relu_row : unary {
    static constexpr std::string_view name = "relu";
    static constexpr accepts takes = accepts::number;
    static constexpr auto derivative(int, auto dy, auto, auto y) { return where(y > 0, dy, 0); }
    static constexpr auto cpu(auto x) {
        using P = decltype(x);
        return select(x <= P(0), P(0), x);
    }
    static constexpr std::string_view cuda = "($0 <= $t(0) ? $t(0) : $0)";
};
/// maximum(x, 0); its derivative at 0 is 0.
constexpr expr relu(const operand& x) { return detail::map<relu_row>(x); }

struct erf_row : unary {
    static constexpr std::string_view name = "erf";
    static constexpr int cost = 20;
    static constexpr auto derivative(int, auto dy, auto x, auto) {
        return dy * (1.1283791670955126 * exp(-(x * x)));  // 2 / sqrt(pi) exp(-x^2), DLMF 7.2.1
    }
    static constexpr auto cpu(auto x) { return erf(x); }
    static constexpr std::string_view cuda = "erf$f($0)";
};
/// The error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x.
constexpr expr erf(const operand& x) { return detail::map<erf_row>(x); }

using elementwise_rows =
    rows<identity_row, stop_gradient_row, negative_row, abs_row, sign_row, floor_row,
         reciprocal_row, square_row, sqrt_row, add_row, subtract_row, multiply_row, divide_row,
         floor_divide_row, remainder_row, power_row, maximum_row, minimum_row, exp_row, expm1_row,
         log_row, log1p_row, sin_row, cos_row, tanh_row, sigmoid_row, softplus_row, relu_row,
         erf_row>;

}  // namespace etch
