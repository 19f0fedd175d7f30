// SPDX-License-Identifier: MIT
// A deliberately simple evaluator of a graph: one node after the other, from its attributes as the rows document them,
// with no code of the passes or of the back ends. What they compute is compared with what this computes. Values are
// computed when they are asked for, so that what nothing needs may be undefined.
#pragma once
#include <algorithm>
#include <bit>
#include <stdexcept>
#include <string>
#include <unordered_map>

#include <etch/expr/formulas.hpp>

#include "scalar.hpp"
#include "tensor.hpp"

namespace reference {

class evaluator {
public:
    std::vector<std::int64_t> dims;  // in the order of the graph's
    std::vector<tensor> inputs, parameters;
    bool rounding = false;  // float32 results are rounded to float after each op

    explicit evaluator(const etch::graph& graph_in, numbers dims_in = {},
                       std::vector<tensor> inputs_in = {}, std::vector<tensor> parameters_in = {},
                       bool rounding_in = false)
        : dims(std::move(dims_in)),
          inputs(std::move(inputs_in)),
          parameters(std::move(parameters_in)),
          rounding(rounding_in),
          g(graph_in) {}

    tensor value(int id) { return get(id, top); }
    tensor value(etch::expr x) { return get(x.id, top); }
    double number(etch::expr x) { return get(x.id, top)[0]; }
    /// From now on the value is this one, whatever its node says; the values computed so far are forgotten.
    void replace(etch::expr x, tensor fixed_value) {
        fixed[x.id] = std::move(fixed_value);
        top.values.clear();
    }
    tensor output(std::string_view name) {
        for (const auto& o : g.outputs)
            if (g.name(o.name) == name) return value(o.value);
        throw std::logic_error("reference: no output " + std::string(name));
    }
    std::vector<tensor> outputs() {
        std::vector<tensor> all;
        for (const auto& o : g.outputs) all.push_back(value(o.value));
        return all;
    }
    /// All parameters as they are after the call.
    std::vector<tensor> updates() {
        std::vector<tensor> all;
        for (std::size_t i = 0; i < g.parameters.size(); ++i)
            all.push_back(g.parameters[i].update < 0 ? parameters.at(i)
                                                     : value(g.parameters[i].update));
        return all;
    }
    /// Whether the dims fulfil the conditions that the model recorded.
    bool conditions_hold() const {
        for (const auto& c : g.conditions)
            if (extent(c.size.code) < c.minimum) return false;
        return true;
    }
    /// The number that an extent's code stands for.
    std::int64_t extent(std::int64_t code) const {
        if (code >= 0) return code;
        const auto& p = g.polynomials[static_cast<std::size_t>(-1 - code)];
        std::int64_t sum = 0;
        for (int i = 0; i < p.count; ++i) {
            auto [product, powers] = p.terms[static_cast<std::size_t>(i)];
            for (std::size_t d = 0; d < etch::max_dims; ++d)
                for (auto n = (powers >> (4 * d)) & 15; n > 0; --n) product *= dims.at(d);
            sum += product;
        }
        return sum;
    }
    numbers shape_of(int id) const {
        const auto& t = g.type_of(id);
        numbers shape;
        for (int i = 0; i < t.rank; ++i) shape.push_back(extent(t[i].code));
        return shape;
    }

private:
    /// What is known while one step of a loop runs, or outside of all loops.
    struct frame {
        int loop = -1;
        frame* outer = nullptr;
        std::int64_t step = 0;
        std::unordered_map<int, tensor> values{};
        std::unordered_map<int, int> slices{};  // placeholder -> the sequence, in the outer frame
    };
    const etch::graph& g;
    frame top;
    std::unordered_map<int, tensor> fixed;

    bool inside(int loop, int outer) const {
        while (loop >= 0 && loop != outer) loop = g.loop_parents[static_cast<std::size_t>(loop)];
        return loop == outer;
    }
    tensor get(int id, frame& asked) {
        if (auto known = fixed.find(id); known != fixed.end()) return known->second;
        const etch::node& n = g.node_of(id);
        frame* f = &asked;
        while (f->outer && !inside(n.loop, f->loop)) f = f->outer;
        if (auto known = f->values.find(id); known != f->values.end()) return known->second;
        tensor result;
        if (auto s = f->slices.find(id); s != f->slices.end())
            result = element(get(s->second, *f->outer), f->step);
        else
            result = compute(n, id, *f);
        if (rounding && result.element == etch::dtype::float32)
            for (double& x : result.real) x = static_cast<float>(x);
        if (result.shape != shape_of(id) || result.element != g.type_of(id).element)
            throw std::logic_error("reference: another type than the graph says: " + name_of(n));
        f->values[id] = result;
        return result;
    }
    static std::string name_of(const etch::node& n) { return std::string(etch::row_of(n).name); }
    /// x[i]
    static tensor element(const tensor& x, std::int64_t i) {
        tensor result(x.element, numbers(x.shape.begin() + 1, x.shape.end()));
        auto first = static_cast<std::size_t>(i) * result.count();
        for (std::size_t k = 0; k < result.count(); ++k) result.copy(k, x, first + k);
        return result;
    }

    tensor compute(const etch::node& n, int id, frame& f) {
        const std::string name = name_of(n);
        const auto words = g.attributes(n);
        const numbers a(words.begin(), words.end());
        if (name == "scan") return scan(n, id - n.results.first, f);
        tensor y(g.type_of(id).element, shape_of(id));
        if (etch::row_of(n).arity == 0) return leaf(name, a, y);
        std::vector<tensor> x;
        for (int v : g.operands(n)) x.push_back(get(v, f));
        if (name == "random") {
            for (std::size_t i = 0; i < y.count(); ++i)
                y.real[i] = uniform(y.element, i, static_cast<std::uint64_t>(a.back()),
                                    static_cast<std::uint64_t>(x[0].integral[1]),
                                    static_cast<std::uint64_t>(x[0].integral[0]));
            return y;
        }
        if (name == "cast") return cast(x[0], y);
        if (name == "where") {
            for (std::size_t i = 0; i < y.count(); ++i)
                y.copy(i, x[0].integral[i] ? x[1] : x[2], i);
            return y;
        }
        if (name == "checked_index") return checked_index(x[0], x[1], a[0] != 0);
        if (etch::row_of(n).kind == etch::op_class::elementwise) return elementwise(name, x, y);
        if (etch::row_of(n).kind == etch::op_class::reduction) return reduce(name, a, x[0], y);
        if (name == "dot") return dot(x[0], x[1], y);
        if (name == "reshape" || name == "expand_dims" || name == "squeeze") {
            x[0].shape = y.shape;
            return x[0];
        }
        return move(name, a, x, y);
    }

    tensor leaf(const std::string& name, const numbers& a, tensor y) {
        if (name == "input") return inputs.at(static_cast<std::size_t>(a.back()));
        if (name == "parameter") return parameters.at(static_cast<std::size_t>(a.back()));
        if (name == "constant") {
            for (std::size_t i = 0; i < y.count(); ++i) {
                auto word = a[2 + y.shape.size() + i];
                if (y.floating())
                    y.real[i] = std::bit_cast<double>(word);
                else
                    y.integral[i] = word;
            }
            return y;
        }
        if (name == "extent") {
            y.set(0, static_cast<double>(extent(a[1])));
            return y;
        }
        if (name == "iota") {
            for (index_walk i(y.shape); i.inside(); i.next())
                y.set(i.position(), static_cast<double>(i.at[static_cast<std::size_t>(a.back())]));
            return y;
        }
        throw std::logic_error("reference: no value for " + name);
    }

    static tensor cast(const tensor& x, tensor y) {
        for (std::size_t i = 0; i < y.count(); ++i) {
            if (y.floating())
                y.real[i] = x[i];
            else if (x.floating() && etch::is_boolean(y.element))
                y.integral[i] = x.real[i] != 0;
            else if (x.floating())
                y.integral[i] = truncated(y.element, x.real[i]);
            else
                y.integral[i] = wrapped(y.element, x.integral[i]);
        }
        return y;
    }

    static tensor elementwise(const std::string& name, const std::vector<tensor>& x, tensor y) {
        const tensor &a = x[0], &b = x.back();
        for (std::size_t i = 0; i < y.count(); ++i) {
            if (!a.floating())
                y.integral[i] =
                    wrapped(y.element, integer_functions().at(name)(a.integral[i], b.integral[i]));
            else if (y.floating())
                y.real[i] = real_functions().at(name)(a.real[i], b.real[i]);
            else
                y.integral[i] = real_questions().at(name)(a.real[i], b.real[i]);
        }
        return y;
    }

    static tensor checked_index(tensor i, const tensor& size, bool wraps) {
        for (std::size_t k = 0; k < i.count(); ++k) {
            auto& at = i.integral[k];
            auto n = size.integral[k];
            if (at < (wraps ? -n : 0) || at >= n)
                throw std::out_of_range("reference: index " + std::to_string(at));
            if (at < 0) at += n;
        }
        return i;
    }

    static tensor reduce(const std::string& name, const numbers& gone, const tensor& x, tensor y) {
        numbers kept_axes;
        for (std::int64_t axis = 0; axis < std::ssize(x.shape); ++axis)
            if (std::find(gone.begin(), gone.end(), axis) == gone.end()) kept_axes.push_back(axis);
        std::vector<std::vector<std::size_t>> groups(
            y.count());  // which elements each result joins, in order
        for (index_walk i(x.shape); i.inside(); i.next()) {
            numbers at;
            for (auto axis : kept_axes) at.push_back(i.at[static_cast<std::size_t>(axis)]);
            groups[offset_of(y.shape, at)].push_back(i.position());
        }
        for (std::size_t k = 0; k < y.count(); ++k) {
            if (name == "argmax") {
                std::size_t best = 0;
                for (std::size_t j = 1; j < groups[k].size(); ++j) {
                    auto to = groups[k][j], from = groups[k][best];
                    bool nan = x.floating() && std::isnan(x.real[from]);
                    if (!nan && (x.floating() ? x.real[to] > x.real[from] || std::isnan(x.real[to])
                                              : x.integral[to] > x.integral[from]))
                        best = j;
                }
                y.integral[k] = static_cast<std::int64_t>(best);
                continue;
            }
            const bool extremum = name == "max" || name == "min";
            const std::string join = name == "sum"    ? "add"
                                     : name == "prod" ? "multiply"
                                                      : name + "imum";
            if (extremum && groups[k].empty())
                throw std::logic_error("reference: " + name + " of nothing");
            if (extremum)
                y.copy(k, x, groups[k][0]);
            else
                y.set(k, name == "sum" ? 0 : 1);
            for (auto j : groups[k]) {
                if (x.floating())
                    y.real[k] = real_functions().at(join)(y.real[k], x.real[j]);
                else
                    y.integral[k] = wrapped(
                        y.element, integer_functions().at(join)(y.integral[k], x.integral[j]));
            }
        }
        return y;
    }

    static tensor dot(const tensor& a, const tensor& b, tensor y) {
        if (!y.floating()) throw std::logic_error("reference: dot of integers");
        auto rank = y.shape.size();
        auto m = static_cast<std::size_t>(y.shape[rank - 2]),
             n = static_cast<std::size_t>(y.shape[rank - 1]),
             k = static_cast<std::size_t>(a.shape[rank - 1]);
        for (std::size_t c = 0; c < y.count(); ++c) {
            auto batch = c / (m * n), row = c / n % m, column = c % n;
            for (std::size_t i = 0; i < k; ++i)
                y.real[c] +=
                    a.real[(batch * m + row) * k + i] * b.real[(batch * k + i) * n + column];
        }
        return y;
    }

    /// Ops whose result holds elements of the first operand at other places, or sums of them.
    tensor move(const std::string& name, const numbers& a, const std::vector<tensor>& x, tensor y) {
        if (name == "concatenate") return concatenate(static_cast<std::size_t>(a[0]), x, y);
        const tensor& from = x[0];
        const bool scatters = name == "pad" || name.starts_with("scatter_add");
        if (name == "pad")
            for (std::size_t i = 0; i < y.count(); ++i) y.copy(i, x[1], 0);
        // The walk is over the smaller side: the result where elements are read, the operand where they are put.
        for (index_walk i(scatters ? from.shape : y.shape); i.inside(); i.next()) {
            numbers at = i.at;
            if (name == "transpose") {
                for (std::size_t k = 0; k < at.size(); ++k)
                    at[static_cast<std::size_t>(a[k])] = i.at[k];
            } else if (name == "broadcast_to") {
                for (std::size_t k = 0; k < at.size(); ++k) at[k] = from.shape[k] == 1 ? 0 : at[k];
            } else if (name == "slice" || name == "pad") {
                for (std::size_t k = 0; k < at.size(); ++k)
                    at[k] = extent(a[3 * k]) + a[3 * k + 1] * at[k];
            } else if (name == "take" || name == "scatter_add") {
                auto first = at.begin() + a[0], last = first + std::ssize(x[1].shape);
                auto index = x[1].integral[offset_of(x[1].shape, numbers(first, last))];
                at.insert(at.erase(first, last), index);
            } else if (name == "take_along_axis" || name == "scatter_add_along_axis") {
                at[static_cast<std::size_t>(a[0])] = x[1].integral[offset_of(x[1].shape, i.at)];
            } else {
                throw std::logic_error("reference: no op " + name);
            }
            const auto& other = scatters ? y.shape : from.shape;
            for (std::size_t k = 0; k < at.size(); ++k)
                if (at[k] < 0 || at[k] >= other[k]) throw std::out_of_range("reference: " + name);
            auto there = offset_of(other, at), here = i.position();
            if (!scatters)
                y.copy(here, from, there);
            else if (name == "pad")
                y.copy(there, from, here);
            else if (y.floating())
                y.real[there] += from.real[here];
            else
                y.integral[there] =
                    wrapped(y.element, wrapped_sum(y.integral[there], from.integral[here]));
        }
        return y;
    }
    static tensor concatenate(std::size_t axis, const std::vector<tensor>& x, tensor y) {
        std::int64_t start = 0;
        for (const tensor& t : x) {
            for (index_walk i(t.shape); i.inside(); i.next()) {
                numbers at = i.at;
                at[axis] += start;
                y.copy(offset_of(y.shape, at), t, i.position());
            }
            start += t.shape[axis];
        }
        return y;
    }

    /// One result of a loop: its body step by step, and of the carries those that the result needs.
    tensor scan(const etch::node& n, int result, frame& f) {
        const auto span = g.attributes(n);
        const numbers words(span.begin(), span.end());
        const auto count = [&](std::size_t i) { return static_cast<std::size_t>(words[i]); };
        const int loop = static_cast<int>(words[0]);
        const bool reverse = words[1] != 0;
        const auto steps = extent(words[2]);
        const std::size_t sequences = count(3), carries = count(4),
                          wanted = static_cast<std::size_t>(result);
        const auto operands = g.operands(n);
        const auto word = [&](std::size_t i) { return static_cast<int>(words[7 + i]); };
        const auto carry = [&](std::size_t c) { return word(sequences + c); };
        const auto next = [&](std::size_t c) { return word(sequences + carries + c); };
        const bool is_stack = wanted >= carries;
        const int stacked = is_stack ? word(sequences + 2 * carries + (wanted - carries)) : -1;

        std::vector<char> live(carries, 0), seen(g.values.size(), 0);
        std::vector<int> todo;
        if (is_stack) {
            todo.push_back(stacked);
        } else {
            live[wanted] = 1;
            todo.push_back(next(wanted));
        }
        while (!todo.empty()) {
            int v = todo.back();
            todo.pop_back();
            if (seen[static_cast<std::size_t>(v)] || !inside(g.node_of(v).loop, loop)) continue;
            seen[static_cast<std::size_t>(v)] = 1;
            for (int u : g.operands(g.node_of(v))) todo.push_back(u);
            for (std::size_t c = 0; c < carries; ++c)
                if (carry(c) == v && !live[c]) {
                    live[c] = 1;
                    todo.push_back(next(c));
                }
        }
        std::vector<tensor> now(carries);
        for (std::size_t c = 0; c < carries; ++c)
            if (live[c]) now[c] = get(operands[sequences + c], f);
        int id = n.results.first + result;
        tensor y(g.type_of(id).element, shape_of(id));
        for (std::int64_t k = 0; k < steps; ++k) {
            frame body{loop, &f, reverse ? steps - 1 - k : k};
            for (std::size_t s = 0; s < sequences; ++s) body.slices[word(s)] = operands[s];
            for (std::size_t c = 0; c < carries; ++c)
                if (live[c]) body.values[carry(c)] = now[c];
            if (is_stack) {
                tensor part = get(stacked, body);
                for (std::size_t i = 0; i < part.count(); ++i)
                    y.copy(static_cast<std::size_t>(body.step) * part.count() + i, part, i);
            }
            for (std::size_t c = 0; c < carries; ++c)
                if (live[c]) now[c] = get(next(c), body);
        }
        return is_stack ? y : now[wanted];
    }
};

}  // namespace reference
