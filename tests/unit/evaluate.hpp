// SPDX-License-Identifier: MIT
// A plain interpreter of graphs in double, for tests that compare a program before and after a pass. Inputs and
// parameters hold distinct small numbers, integers a valid index; each named dim is 3.
#pragma once
#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include <etch/ops/table.hpp>

namespace reference {

using numbers = std::vector<double>;

struct interpreter {
    const etch::graph& g;
    std::map<int, numbers> known{};

    std::int64_t size(etch::extent e) const {
        std::vector<std::int64_t> dims(g.dims.size(), 3);
        return g.polynomial_of(e).evaluate(dims);
    }
    std::vector<std::int64_t> shape(int v) const {
        std::vector<std::int64_t> s;
        for (int i = 0; i < g.type_of(v).rank; ++i) s.push_back(size(g.type_of(v)[i]));
        return s;
    }
    static std::size_t count(const std::vector<std::int64_t>& s) {
        std::size_t n = 1;
        for (auto e : s) n *= static_cast<std::size_t>(e);
        return n;
    }
    static std::vector<std::int64_t> index(std::size_t flat, const std::vector<std::int64_t>& s) {
        std::vector<std::int64_t> i(s.size(), 0);
        for (std::size_t a = s.size(); a-- > 0;) {
            i[a] = static_cast<std::int64_t>(flat) % s[a];
            flat /= static_cast<std::size_t>(s[a]);
        }
        return i;
    }
    static std::size_t flat(const std::vector<std::int64_t>& i,
                            const std::vector<std::int64_t>& s) {
        std::size_t f = 0;
        for (std::size_t a = 0; a < s.size(); ++a)
            f = f * static_cast<std::size_t>(s[a]) + static_cast<std::size_t>(i[a]);
        return f;
    }
    static double apply(std::string_view op, double a, double b, double c) {
        if (op == "identity" || op == "stop_gradient") return a;
        if (op == "negative") return -a;
        if (op == "abs") return std::abs(a);
        if (op == "sign") return a > 0 ? 1 : a < 0 ? -1 : a;
        if (op == "reciprocal") return 1 / a;
        if (op == "square") return a * a;
        if (op == "sqrt") return std::sqrt(a);
        if (op == "add") return a + b;
        if (op == "subtract") return a - b;
        if (op == "multiply") return a * b;
        if (op == "divide") return a / b;
        if (op == "power") return std::pow(a, b);
        if (op == "maximum") return a > b || a != a ? a : b;  // nan where one is nan
        if (op == "minimum") return a < b || a != a ? a : b;
        if (op == "exp") return std::exp(a);
        if (op == "expm1") return std::expm1(a);
        if (op == "log") return std::log(a);
        if (op == "log1p") return std::log1p(a);
        if (op == "tanh") return std::tanh(a);
        if (op == "sin") return std::sin(a);
        if (op == "cos") return std::cos(a);
        if (op == "floor") return std::floor(a);
        if (op == "floor_divide") return b == 0 ? 0 : std::floor(a / b);
        if (op == "remainder") return b == 0 ? 0 : a - b * std::floor(a / b);
        if (op == "sigmoid") return 1 / (1 + std::exp(-a));
        if (op == "softplus") return std::max(a, 0.0) + std::log1p(std::exp(-std::abs(a)));
        if (op == "relu") return a <= 0 ? 0 : a;
        if (op == "less") return a < b;
        if (op == "less_equal") return a <= b;
        if (op == "greater") return a > b;
        if (op == "greater_equal") return a >= b;
        if (op == "equal") return a == b;
        if (op == "not_equal") return a != b;
        if (op == "logical_and") return a != 0 && b != 0;
        if (op == "logical_or") return a != 0 || b != 0;
        if (op == "logical_not") return a == 0;
        if (op == "where") return a != 0 ? b : c;
        if (op == "checked_index") return a;
        throw std::logic_error("the interpreter does not know " + std::string(op));
    }
    numbers compute(int v) {
        const auto& n = g.node_of(v);
        const auto& row = etch::row_of(n);
        auto a = g.attributes(n);
        auto s = shape(v);
        numbers r(count(s), 0.0);
        auto operand = [&](int k) { return g.operands(n)[static_cast<std::size_t>(k)]; };
        if (row.name == "input" || row.name == "parameter") {
            bool whole = !etch::is_floating(g.type_of(v).element);
            for (std::size_t i = 0; i < r.size(); ++i)
                r[i] = whole ? static_cast<double>(i % 2)
                             : 0.3 * std::sin(static_cast<double>(7 * i + 1) +
                                              3.0 * static_cast<double>(a.back())) +
                                   0.4;
        } else if (row.name == "constant") {
            for (std::size_t i = 0; i < r.size(); ++i)
                r[i] = etch::detail::number_of(g.type_of(v).element, a[2 + s.size() + i]);
        } else if (row.name == "extent") {
            r[0] = static_cast<double>(size({a[1]}));
        } else if (row.name == "iota") {
            for (std::size_t i = 0; i < r.size(); ++i)
                r[i] = static_cast<double>(index(i, s)[static_cast<std::size_t>(a.back())]);
        } else if (row.name == "cast") {
            auto d = g.type_of(v).element;
            const auto& x = value(operand(0));
            for (std::size_t i = 0; i < r.size(); ++i)
                r[i] = etch::is_boolean(d)   ? x[i] != 0
                       : etch::is_integer(d) ? std::trunc(x[i])
                                             : x[i];
        } else if (row.kind == etch::op_class::elementwise) {
            numbers x[3];
            for (int k = 0; k < n.operands.count; ++k) x[k] = value(operand(k));
            for (std::size_t i = 0; i < r.size(); ++i)
                r[i] = apply(row.name, x[0][i], x[1].empty() ? 0 : x[1][i],
                             x[2].empty() ? 0 : x[2][i]);
        } else if (row.name == "reshape" || row.name == "expand_dims" || row.name == "squeeze") {
            r = value(operand(0));
        } else if (row.kind == etch::op_class::view) {
            const auto& x = value(operand(0));
            auto from = shape(operand(0));
            for (std::size_t i = 0; i < r.size(); ++i) {
                auto at = index(i, s), source = at;
                for (std::size_t axis = 0; axis < s.size(); ++axis) {
                    if (row.name == "transpose")
                        source[static_cast<std::size_t>(a[axis])] = at[axis];
                    else if (row.name == "broadcast_to")
                        source[axis] = from[axis] == 1 ? 0 : at[axis];
                    else
                        source[axis] = size({a[3 * axis]}) + a[3 * axis + 1] * at[axis];
                }
                r[i] = x[flat(source, from)];
            }
        } else if (row.kind == etch::op_class::reduction) {
            const auto& x = value(operand(0));
            auto from = shape(operand(0));
            for (auto& y : r)
                y = row.name == "max"   ? -INFINITY
                    : row.name == "min" ? INFINITY
                                        : row.name == "prod";
            for (std::size_t i = 0; i < x.size(); ++i) {
                auto at = index(i, from);
                std::vector<std::int64_t> kept;
                for (std::size_t axis = 0; axis < from.size(); ++axis)
                    if (std::find(a.begin(), a.end(), static_cast<std::int64_t>(axis)) == a.end())
                        kept.push_back(at[axis]);
                double& y = r[flat(kept, s)];
                y = row.name == "sum" ? y + x[i]
                    : row.name == "prod"
                        ? y * x[i]
                        : apply(row.name == "max" ? "maximum" : "minimum", y, x[i], 0);
            }
        } else if (row.name == "take_along_axis") {
            const auto &x = value(operand(0)), &k = value(operand(1));
            auto from = shape(operand(0));
            for (std::size_t i = 0; i < r.size(); ++i) {
                auto at = index(i, s);
                at[static_cast<std::size_t>(a[0])] = static_cast<std::int64_t>(k[i]);
                r[i] = x[flat(at, from)];
            }
        } else if (row.name == "concatenate") {
            auto axis = static_cast<std::size_t>(a[0]);
            std::int64_t start = 0;
            for (int k = 0; k < n.operands.count; ++k) {
                const auto& x = value(operand(k));
                auto from = shape(operand(k));
                for (std::size_t i = 0; i < x.size(); ++i) {
                    auto at = index(i, from);
                    at[axis] += start;
                    r[flat(at, s)] = x[i];
                }
                start += from[axis];
            }
        } else if (row.name == "pad") {
            const auto& x = value(operand(0));
            auto from = shape(operand(0));
            std::fill(r.begin(), r.end(), value(operand(1))[0]);
            for (std::size_t i = 0; i < x.size(); ++i) {
                auto at = index(i, from);
                for (std::size_t axis = 0; axis < at.size(); ++axis)
                    at[axis] = size({a[3 * axis]}) + a[3 * axis + 1] * at[axis];
                r[flat(at, s)] = x[i];
            }
        } else if (row.name == "dot") {
            const auto &x = value(operand(0)), &y = value(operand(1));
            auto p = shape(operand(0));
            auto rank = s.size();
            auto m = static_cast<std::size_t>(s[rank - 2]),
                 c = static_cast<std::size_t>(s[rank - 1]),
                 inner = static_cast<std::size_t>(p[rank - 1]);
            for (std::size_t i = 0; i < r.size(); ++i)
                for (std::size_t j = 0; j < inner; ++j)
                    r[i] += x[i / (m * c) * m * inner + i / c % m * inner + j] *
                            y[i / (m * c) * inner * c + j * c + i % c];
        } else {
            throw std::logic_error("the interpreter does not know " + std::string(row.name));
        }
        return r;
    }
    const numbers& value(int v) {
        if (!known.contains(v)) {
            auto r = compute(v);
            known[v] = r;
        }
        return known[v];
    }
};

inline numbers evaluate(const etch::graph& g, int v) { return interpreter{g}.value(v); }

}  // namespace reference
