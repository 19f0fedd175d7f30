// SPDX-License-Identifier: MIT
// What happens to operands before an elementwise op sees them: literals take a dtype, bool and integers join a float,
// shapes are broadcast by NumPy's rules. Afterwards all have one dtype and one shape; every conversion is a node.
#pragma once
#include <bit>
#include <initializer_list>

#include <etch/expr/expr.hpp>
#include <etch/graph/print.hpp>
#include <etch/ops/row.hpp>

namespace etch {

// The rows that conversions are made of; they are written in ops/.
struct constant_row;
struct extent_value_row;
struct cast_row;
struct expand_dims_row;
struct broadcast_to_row;

namespace detail {

/// The 64-bit word that a constant of dtype d is stored as: the number for integers and bool, else a double's bits,
/// rounded to float32 where the dtype is.
constexpr std::int64_t word_of(dtype d, double x) {
    if (d == dtype::float32)
        return std::bit_cast<std::int64_t>(static_cast<double>(static_cast<float>(x)));
    if (d == dtype::float64) return std::bit_cast<std::int64_t>(x);
    return static_cast<std::int64_t>(x);
}
constexpr double number_of(dtype d, std::int64_t word) {
    return is_floating(d) ? std::bit_cast<double>(word) : static_cast<double>(word);
}

constexpr expr constant_word(graph& g, dtype d, std::int64_t word) {
    std::int64_t a[] = {static_cast<std::int64_t>(d), 0, word};
    return apply<constant_row>(g, flat_view<const int>{}, a);
}

constexpr expr poison(graph* g) { return {g, -1}; }
/// What has no value although nothing failed was never given one.
constexpr void without_value(graph& g, std::string_view op) {
    g.fail(text{} << op << ": takes an expr that was never given a value");
}

}  // namespace detail

/// A constant of rank 0.
constexpr expr scalar(graph& g, dtype d, double x) {
    return detail::constant_word(g, d, detail::word_of(d, x));
}

/// x as dtype d. To integers it truncates towards zero, to bool it asks whether x is not 0. The derivative of a cast
/// between floating dtypes is a cast back; other casts cut the path.
constexpr expr cast(const operand& x, dtype d);
template <class T> constexpr expr cast(const operand& x) { return cast(x, dtype_of<T>); }

namespace detail {

/// A number that a call gives, as a tensor of rank 0: see operand::given_number.
constexpr expr number_input(graph& g, int ordinal, dtype d);

/// A literal or a dim as a tensor of rank 0.
constexpr expr materialize(graph& g, const operand& x, dtype d) {
    if (x.is_given_number()) return number_input(g, operand::number_of(x.id), d);
    switch (x.what) {
    case operand::kind::tensor: return {x.g, x.id};
    case operand::kind::integral:
        if (is_floating(d)) return scalar(g, d, static_cast<double>(x.integral));
        return constant_word(g, d, is_boolean(d) ? x.integral != 0 : x.integral);
    case operand::kind::real: return scalar(g, d, x.real);
    case operand::kind::size: break;
    }
    if (x.size.is_static()) return materialize(g, operand(x.size.code), d);
    std::int64_t a[] = {static_cast<std::int64_t>(d), x.size.code};
    return apply<extent_value_row>(g, flat_view<const int>{}, a);
}

/// x broadcast to `shape` (its rank may be smaller).
constexpr expr broadcast(expr x, const type& shape) {
    if (!x.valid()) return x;
    type t = x.of();
    if (t.same_shape(shape)) return x;
    graph& g = *x.g;
    if (int missing = shape.rank - t.rank; missing > 0) {
        std::int64_t a[max_rank]{};
        for (int i = 0; i < missing; ++i) a[i] = i;
        x = apply<expand_dims_row>(
            {x}, flat_view<const std::int64_t>(a, static_cast<std::size_t>(missing)));
        t = x.of();
        if (t.same_shape(shape)) return x;
    }
    std::int64_t a[max_rank]{};
    for (int i = 0; i < shape.rank; ++i) a[i] = shape[i].code;
    int id[] = {x.id};
    return apply<broadcast_to_row>(
        g, id, flat_view<const std::int64_t>(a, static_cast<std::size_t>(shape.rank)));
}

struct promoted {
    graph* g = nullptr;
    bool failed = true;
    expr x[3]{};
};

constexpr graph& graph_among(std::string_view op, std::initializer_list<const operand*> list) {
    for (const operand* x : list)
        if (x->g) return *x->g;
    none_of_the_operands_is_a_tensor((text{} << op << ": none of the operands is a tensor").view());
}

/// The tensor that x must be. A number is a mistake, kept by the graph of another operand where x has none.
constexpr expr tensor(const operand& x, std::string_view op, graph* beside = nullptr) {
    graph* g = x.g ? x.g : beside;
    if (!g)
        none_of_the_operands_is_a_tensor((text{} << op << ": takes a tensor, not a number").view());
    if (!x.is_tensor())
        g->fail(text{} << op << ": takes a tensor, not a number");
    else if (x.id < 0)
        without_value(*g, op);
    return {g, x.is_tensor() ? x.id : -1};
}
constexpr bool usable(const operand& x, std::string_view op) { return tensor(x, op).valid(); }

/// The shape that all operands broadcast to; `failed` where they do not.
constexpr type common_shape(graph& g, std::string_view op, flat_view<const type> shapes,
                            bool& failed) {
    type result;
    const type* widest = nullptr;
    for (const type& t : shapes)
        if (!widest || t.rank > result.rank) {
            widest = &t;
            result.rank = t.rank;
        }
    for (int i = 0; i < result.rank; ++i) result[i] = {1};
    for (const type& t : shapes)
        for (int i = 0; i < t.rank; ++i) {
            extent& to = result[result.rank - t.rank + i];
            if (to == t[i] || t[i].code == 1) continue;
            if (to.code == 1) {
                to = t[i];
                continue;
            }
            const type* other = nullptr;
            for (const type& s : shapes) {
                int axis = s.rank - t.rank + i;
                if (axis >= 0 && s[axis] == to) {
                    other = &s;
                    break;
                }
            }
            if (g.agree(op, "broadcast", *other, t, to, t[i])) continue;
            g.fail(text{} << op << ": " << shape_text(g, *other) << " and " << shape_text(g, t)
                          << " do not broadcast: " << extent_text(g, to) << " is not "
                          << extent_text(g, t[i]));
            failed = true;
            return result;
        }
    return result;
}

/// Whether operands of the dtype are taken as they are.
constexpr bool takes_as_is(accepts takes, dtype d) {
    switch (takes) {
    case accepts::floating: return is_floating(d);
    case accepts::number: return !is_boolean(d);
    case accepts::boolean: return is_boolean(d);
    case accepts::integer: return is_integer(d);
    case accepts::any: break;
    }
    return true;
}
/// The commonest case, tensors of one type, decided without looking at shapes: the compile time of long models.
constexpr bool alike(const graph& g, accepts takes, std::initializer_list<const operand*> list) {
    int same = -1;
    for (const operand* x : list) {
        if (!x->is_tensor() || x->id < 0 || x->g != &g) return false;
        int t = g.values[static_cast<std::size_t>(x->id)].type;
        if (same >= 0 && t != same) return false;
        same = t;
    }
    return takes_as_is(takes, g.types[static_cast<std::size_t>(same)].element);
}

constexpr promoted promote(std::string_view op, accepts takes,
                           std::initializer_list<const operand*> list) {
    promoted p;
    graph& g = graph_among(op, list);
    p.g = &g;
    if (alike(g, takes, list)) {
        std::size_t i = 0;
        for (const operand* x : list) p.x[i++] = {&g, x->id};
        p.failed = false;
        return p;
    }
    bool any[5]{}, real_literal = false, tensors = false, numbers = false;
    for (const operand* x : list) {
        if (x->is_tensor()) {
            if (x->id < 0) {
                without_value(g, op);
                return p;
            }
            if (x->g != &g) {
                g.fail(text{} << op << ": the operands belong to two different graphs");
                return p;
            }
            any[static_cast<std::size_t>(g.type_of(x->id).element)] = tensors = true;
        } else {
            (x->what == operand::kind::real ? real_literal : numbers) = true;
        }
    }
    auto has = [&](dtype d) { return any[static_cast<std::size_t>(d)]; };
    if (has(dtype::float64) && has(dtype::float32)) {
        g.fail(
            text{} << op
                   << ": float32 and float64 do not mix: write cast<double>(x) or cast<float>(x)");
        return p;
    }
    if (has(dtype::int32) && has(dtype::int64)) {
        g.fail(text{} << op
                      << ": int32 and int64 do not mix: write cast<std::int64_t>(x) or "
                         "cast<std::int32_t>(x)");
        return p;
    }
    dtype d = has(dtype::float64)   ? dtype::float64
              : has(dtype::float32) ? dtype::float32
              : has(dtype::int64)   ? dtype::int64
              : has(dtype::int32)   ? dtype::int32
                                    : dtype::boolean;
    if (!tensors || (real_literal && !is_floating(d))) d = dtype::float32;
    if (numbers && is_boolean(d) && takes != accepts::boolean) d = dtype::int32;
    if (takes == accepts::floating && !is_floating(d)) d = dtype::float32;
    if (takes == accepts::number && is_boolean(d)) d = dtype::int32;
    if ((takes == accepts::boolean && !is_boolean(d)) ||
        (takes == accepts::integer && !is_integer(d))) {
        g.fail(text{} << op << ": takes " << (takes == accepts::boolean ? "bool" : "integers")
                      << ", not " << name_of(d));
        return p;
    }
    type shapes[3]{};
    std::size_t n = 0;
    for (const operand* x : list) shapes[n++] = x->is_tensor() ? g.type_of(x->id) : type{};
    bool failed = false;
    type shape = common_shape(g, op, {shapes, n}, failed);
    if (failed) return p;
    n = 0;
    for (const operand* x : list) p.x[n++] = broadcast(cast(materialize(g, *x, d), d), shape);
    p.failed = false;
    return p;
}

template <class... Rest>
constexpr std::source_location first_where(const operand& x, const Rest&...) {
    return x.where;
}
/// Applies an elementwise row to promoted operands.
template <class Row, class... Operand> constexpr expr map(const Operand&... x) {
    graph& g = graph_among(Row::name, {&x...});
    located here(&g, first_where(x...));
    promoted p = promote(Row::name, Row::takes, {&x...});
    if (p.failed) return poison(&g);
    int ids[sizeof...(x)];
    for (std::size_t i = 0; i < sizeof...(x); ++i) ids[i] = p.x[i].id;
    return apply<Row>(g, flat_view<const int>(ids), flat_view<const std::int64_t>{});
}

}  // namespace detail
}  // namespace etch
