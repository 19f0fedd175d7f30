// SPDX-License-Identifier: MIT
// Which epilogues of products a library can do while it writes the result: a vector added to every row, relu, gelu in the
// form with tanh. They are recognised by what a body computes, not by how it is written.
#pragma once
#include <array>
#include <cmath>
#include <optional>
#include <vector>

#include <etch/expr/model.hpp>
#include <etch/passes/program.hpp>

namespace etch::cuda {

enum class activation : std::uint8_t { none, relu, gelu };

/// result[row, column] = activation(product[row, column] + bias[column])
struct library_epilogue {
    activation after = activation::none;
    int bias = -1;    // a slot of the program; -1 for none
    int result = -1;  // a storage
};

namespace detail {

/// Walks a body's lines in order and keeps what each is as a function of x = product + bias.
class epilogue_reader {
public:
    epilogue_reader(const program_view& program, const matrix_product& product)
        : p(program), g(product), q(p.parts[at(g.epilogue)]), b(p.bodies[at(q.body)]) {}

    std::optional<library_epilogue> read() {
        if (b.kind != body_kind::pointwise || b.sequential || b.inner != 0) return std::nullopt;
        auto lines = p.code_of(b);
        values.resize(lines.size());
        for (const instruction& k : lines)  // what x is must be known first
            if (k.what == code::load && !take_load(slot_of(k.slot), k.slot)) return std::nullopt;
        int stores = 0, stored = -1;
        for (std::size_t i = 0; i < lines.size(); ++i) {
            const instruction& k = lines[i];
            if (k.what == code::store) {
                const slot& to = slot_of(k.slot);
                if (k.element != g.element || p.storages[at(to.storage)].element != g.element)
                    return std::nullopt;
                found.result = to.storage;
                stored = k.operands[0];
                ++stores;
                continue;
            }
            if (k.element != g.element || !take(k, static_cast<int>(i))) return std::nullopt;
        }
        if (stores != 1) return std::nullopt;
        const value& v = values[at(stored)];
        if (v.what == kind::product && found.bias < 0) return found;
        if (is_x(v)) return found;
        if (v.what == kind::relu) found.after = activation::relu;
        // x / 2 (1 + tanh(...))
        else if (v.what == kind::times_one_and_tanh && near(v.by_power, {0, 0.5, 0, 0}))
            found.after = activation::gelu;
        else
            return std::nullopt;
        return found;
    }

private:
    enum class kind : std::uint8_t {
        other,
        product,
        bias,
        polynomial,         // of x
        relu,               // of x
        tanh,               // of gelu's polynomial
        one_and_tanh,       // 1 + that
        times_one_and_tanh  // a polynomial of x times that
    };
    struct value {
        kind what = kind::other;
        std::array<double, 4> by_power{};
    };
    program_view p;
    const matrix_product& g;
    const part& q;
    const body& b;
    std::vector<value> values;
    library_epilogue found;

    static std::size_t at(int i) { return static_cast<std::size_t>(i); }
    const slot& slot_of(int s) const { return p.slots[at(q.slots.first + s)]; }
    static bool near(const std::array<double, 4>& a, const std::array<double, 4>& c) {
        for (std::size_t i = 0; i < 4; ++i)
            if (!(std::abs(a[i] - c[i]) <= 1e-6 * std::abs(c[i]))) return false;
        return true;
    }
    static bool is_x(const value& v) {
        return v.what == kind::polynomial && v.by_power == std::array<double, 4>{0, 1, 0, 0};
    }
    /// The product itself, where no vector is added to it, is x.
    value operand(const instruction& k, int which) const {
        value v = values[at(k.operands[which])];
        if (v.what == kind::product && found.bias < 0) v = {kind::polynomial, {0, 1, 0, 0}};
        return v;
    }
    /// Whether the slot has one element for each column of the product.
    bool along_columns(const slot& s) const {
        const int last = b.outer - 1;
        if (last < 0 || s.strides[at(last)].code != 1) return false;
        if (b.outer == 1) return g.m.code == 1 && g.batch.code == 1;
        return b.outer == 2 && s.strides[0].code == 0 && q.extents[1] == g.n;
    }
    /// A load is one of the product or the only one of a vector that no loop moves.
    bool take_load(const slot& s, int number) {
        if (s.storage == g.c) return true;
        if (found.bias >= 0 || !along_columns(s) || p.storages[at(s.storage)].where == place::slice)
            return false;
        found.bias = q.slots.first + number;
        return true;
    }
    bool take(const instruction& k, int line) {
        value& v = values[at(line)];
        if (k.what == code::number) {
            // Numbers of floating dtypes are kept as doubles.
            v = {kind::polynomial, {std::bit_cast<double>(k.word), 0, 0, 0}};
            return is_floating(k.element);
        }
        if (k.what == code::load) {
            v.what = slot_of(k.slot).storage == g.c ? kind::product : kind::bias;
            return true;
        }
        if (k.what != code::compute || k.from != g.element) return false;
        value x = operand(k, 0), y = k.operands[1] >= 0 ? operand(k, 1) : value{};
        if (k.op == op_of<relu_row>() && is_x(x))
            v.what = kind::relu;
        else if (k.op == op_of<tanh_row>() && x.what == kind::polynomial &&
                 near(x.by_power, {0, 0.7978845608028654, 0, 0.7978845608028654 * 0.044715}))
            v.what = kind::tanh;
        else if (k.op == op_of<add_row>())
            v = sum(x, y);
        else if (k.op == op_of<multiply_row>())
            v = times(x, y);
        else if (k.op == op_of<square_row>())
            v = times(x, x);
        return v.what != kind::other;
    }
    static value sum(const value& x, const value& y) {
        if ((x.what == kind::product && y.what == kind::bias) ||
            (x.what == kind::bias && y.what == kind::product))
            return {kind::polynomial, {0, 1, 0, 0}};
        if (y.what == kind::polynomial && x.what == kind::tanh) return sum(y, x);
        if (x.what != kind::polynomial) return {};
        if (y.what == kind::tanh && near(x.by_power, {1, 0, 0, 0})) return {kind::one_and_tanh, {}};
        if (y.what != kind::polynomial) return {};
        value v = x;
        for (std::size_t i = 0; i < 4; ++i) v.by_power[i] += y.by_power[i];
        return v;
    }
    static value times(const value& x, const value& y) {
        if (x.what != kind::polynomial) {
            if (y.what != kind::polynomial) return {};
            return times(y, x);
        }
        if (y.what == kind::one_and_tanh) return {kind::times_one_and_tanh, x.by_power};
        if (y.what != kind::polynomial && y.what != kind::times_one_and_tanh) return {};
        value v{y.what, {}};
        for (std::size_t i = 0; i < 4; ++i)
            for (std::size_t j = 0; j < 4; ++j) {
                double term = x.by_power[i] * y.by_power[j];
                if (term == 0) continue;
                if (i + j > 3) return {};
                v.by_power[i + j] += term;
            }
        return v;
    }
};

}  // namespace detail

/// The epilogue of a product, if a library has one that gives its result; the product itself need not be kept then.
inline std::optional<library_epilogue> library_epilogue_of(const program_view& p,
                                                           const matrix_product& g) {
    if (g.epilogue < 0 || !is_floating(g.element)) return std::nullopt;
    return detail::epilogue_reader(p, g).read();
}

}  // namespace etch::cuda
