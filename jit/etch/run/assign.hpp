// SPDX-License-Identifier: MIT
// What happens when a captured formula is assigned: its type becomes a model, the model a program, as for any function,
// and the program runs over the arrays that the formula holds. Each thread has a caller of its own for each formula.
#pragma once
#include <etch/cpu/kernels.hpp>
#include <etch/live/functions.hpp>
#include <etch/live/model.hpp>
#include <etch/run/caller.hpp>

namespace etch::detail {

/// An operand at the time of an assignment: the tensor of an array, or a number.
struct leaf_value {
    const etch::tensor* array = nullptr;
    int rank = 0;
    double real = 0;
    std::int64_t integer = 0;
    bool integral = false;
};

/// What a formula's type says, as data.
struct formula_tables {
    std::span<const live_joint> joints;
    std::span<const bool> overwritable;  // by leaf: the result may be written over it
    bool may_fail = false;               // while running: nothing is then written in place
};

/// Of a program with one output: by input, whether the output may lie where the input does.
template <std::size_t inputs> struct places_of_result {
    std::array<bool, inputs> may_lie_over{};
    bool may_fail = false;
};
template <std::size_t inputs>
constexpr places_of_result<inputs> find_places(const program_view& p) {
    places_of_result<inputs> found;
    for (const instruction& i : p.instructions)
        if (i.op == op_of<checked_index_row>() && i.what == code::compute) found.may_fail = true;
    if (!p.loops.empty() || p.outputs.empty()) return found;
    int result = p.outputs[0].storage;
    auto slot_of = [&](const part& q, const instruction& i) {
        return i.slot < 0 ? -1 : p.slots[at(q.slots.first + i.slot)].storage;
    };
    for (std::size_t input = 0; input < inputs; ++input) {
        bool good = true, written = false;
        auto touches = [&](int s) {
            if (s < 0) return;
            const storage& k = p.storages[at(p.root(s))];
            // Once the result is written, the input is gone.
            if (k.where == place::input && k.index == static_cast<int>(input) && written)
                good = false;
        };
        auto is_input = [&](int s) {
            return s >= 0 && p.storages[at(p.root(s))].where == place::input &&
                   p.storages[at(p.root(s))].index == static_cast<int>(input);
        };
        for (const step& k : p.steps) {
            int readers = 0, writers = 0, over = 0;
            auto visit = [&](const part& q) {
                int reads = -1;
                bool writes = false;
                for (const instruction& i : p.code_of(p.bodies[at(q.body)])) {
                    int s = slot_of(q, i);
                    touches(s);
                    if (is_input(s)) reads = s;
                    writes = writes || (s >= 0 && p.root(s) == p.root(result) &&
                                        (i.what == code::store || i.what == code::store_add));
                }
                readers += reads >= 0, writers += writes;
                over += reads >= 0 && writes && may_overwrite(p, q, reads, result);
            };
            for (int i = 0; i < k.parts.count; ++i) visit(p.parts[at(k.parts.first + i)]);
            if (k.kind == step_kind::gemm) {
                const matrix_product& m = p.gemms[at(k.index)];
                for (int s : {m.a, m.b}) {
                    touches(s);
                    readers += is_input(s);
                }
                writers += p.root(m.c) == p.root(result);
                if (m.epilogue >= 0) visit(p.parts[at(m.epilogue)]);
            } else if (k.kind == step_kind::copy) {
                const copy& c = p.copies[at(k.index)];
                touches(c.from);
                readers += is_input(c.from);
                writers += p.root(c.to) == p.root(result);
            }
            // In the step that writes the result, one part alone may read the input, where it writes.
            if (writers > 0 && readers > 0 && !(readers == 1 && over == 1 && writers == 1))
                good = false;
            written = written || writers > 0;
        }
        found.may_lie_over[input] = good;
    }
    return found;
}

/// The program of a captured formula of type E.
template <class E> struct live_program {
    using model = live_model<E>;
    using planned = detail::planned<model{}, plan_options{}>;
    static constexpr const auto& frozen = planned::frozen;
    static constexpr sentence stateful =
        frozen.states.empty()
            ? sentence()
            : sentence("map: a formula over arrays keeps nothing between calls: parameters and "
                       "random numbers are for etch::function");
    static_assert(reported<stateful>);

    /// dtype and rank of the result; of a mistaken formula anything.
    static constexpr type result = [] {
        if constexpr (frozen.outputs.size() == 1)
            return frozen.outputs[0].of;
        else
            return type{};
    }();
    using element = element_of<result.element>;
    static constexpr std::size_t leaf_count = static_cast<std::size_t>(leaves_of<E>::leaves);
    static constexpr auto places = find_places<frozen.inputs.size()>(view_of(frozen));
    /// The leaf of each input, which its name tells: x and the number.
    static constexpr auto leaf_of_input = [] {
        std::array<int, frozen.inputs.size()> leaves{};
        for (std::size_t i = 0; i < leaves.size(); ++i)
            for (char c : view_of(frozen).text_of(frozen.inputs[i].name).substr(1))
                leaves[i] = 10 * leaves[i] + (c - '0');
        return leaves;
    }();
    static constexpr auto overwritable = [] {
        std::array<bool, leaf_count> all{};
        for (std::size_t i = 0; i < leaf_of_input.size(); ++i)
            all[at(leaf_of_input[i])] = places.may_lie_over[i];
        return all;
    }();
    static constexpr formula_tables tables{
        std::span(model::joined.joints).first(at(model::joined.joint_count)), overwritable,
        places.may_fail};
};

/// Whether the result of a formula may be written where the tensor lies that it is assigned to: where no other handle sees
/// it, and the program reads none of it afterwards.
class formula_place final : public result_place {
public:
    formula_place(const formula_tables& formula, std::span<const leaf_value> leaves,
                  const etch::tensor& into, bool formula_dies)
        : formula_(formula), leaves_(leaves), into_(into), formula_dies_(formula_dies) {}
    bool may_write(bool on_device) const override {
        int own = 1;
        for (std::size_t i = 0; i < leaves_.size(); ++i) {
            if (!leaves_[i].array || leaves_[i].array->bytes_data() != into_.bytes_data()) continue;
            if (!on_device && !formula_.overwritable[i]) return false;
            own += formula_dies_ ? 1 : 0;
        }
        return into_.handles() == own && !formula_.may_fail;
    }

private:
    const formula_tables& formula_;
    std::span<const leaf_value> leaves_;
    const etch::tensor& into_;
    bool formula_dies_;
};

/// Runs the program of one formula. One class for all of them.
class live_caller {
public:
    live_caller(const program_view& p, std::span<const cpu::kernel_entry> kernels,
                const cpu::product_table* products, std::span<const int> leaf_of_input,
                const formula_tables& formula)
        : tables_(formula),
          caller_(p, kernels, products, etch::state(), device{}),
          dims_(p.dims.size(), 0),
          inputs_(p.inputs.size(), nullptr),
          words_(p.inputs.size(), 0) {
        for (std::size_t i = 0; i < p.inputs.size(); ++i) {
            input x{leaf_of_input[i], p.inputs[i].of, {}};
            for (int axis = 0; axis < x.of.rank; ++axis) x.dims[at(axis)] = dim_of(p, x.of[axis]);
            list_.push_back(x);
        }
    }
    /// `handles`: how many of the formula's handles will be gone after the assignment.
    void assign(std::span<const leaf_value> leaves, etch::tensor& into, bool formula_dies) {
        for (const live_joint& j : tables_.joints)
            if (extent_of(leaves, j.a) != extent_of(leaves, j.b)) refuse(leaves, j);
        for (std::size_t i = 0; i < list_.size(); ++i) {
            const input& x = list_[i];
            const leaf_value& leaf = leaves[at(x.leaf)];
            if (!leaf.array) {
                set_number(i, leaf);
                continue;
            }
            inputs_[i] = leaf.array->bytes_data();
            for (int axis = 0; axis < x.of.rank; ++axis)
                if (int d = x.dims[at(axis)]; d >= 0) dims_[at(d)] = leaf.array->shape()[at(axis)];
        }
        caller_.assign(dims_, inputs_, into, formula_place(tables_, leaves, into, formula_dies));
    }
    const detail::caller& runs() const { return caller_; }

private:
    struct input {
        int leaf;
        type of;
        std::array<int, max_rank> dims;  // of each axis, -1 where the extent is a number
    };
    formula_tables tables_;
    detail::caller caller_;
    std::vector<input> list_;
    std::vector<std::int64_t> dims_;
    std::vector<const void*> inputs_;
    std::vector<std::uint64_t> words_;  // numbers

    static int dim_of(const program_view& p, extent e) {
        if (e.is_static()) return -1;
        int d = 0;
        for (auto powers = p.polynomials[at(e.polynomial())].terms[0].powers; powers > 15; ++d)
            powers >>= 4;
        return d;
    }
    static std::int64_t extent_of(std::span<const leaf_value> leaves, axis_or_number e) {
        if (e >= 0) return e;
        auto axis = static_cast<std::size_t>(-1 - e);
        for (const leaf_value& l : leaves) {
            if (!l.array) continue;
            auto rank = static_cast<std::size_t>(l.rank);
            if (axis < rank) return l.array->shape()[axis];
            axis -= rank;
        }
        return 0;
    }
    void set_number(std::size_t i, const leaf_value& n) {
        dtype d = list_[i].of.element;
        inputs_[i] = &words_[i];
        if (d == dtype::int32 && !std::in_range<std::int32_t>(n.integer)) {
            text t;
            t << "assign: the number " << n.integer << " is outside of int32";
            throw mistake(t.view());
        }
        with_element(d, [&](auto zero) {
            using T = decltype(zero);
            T value{};
            if constexpr (std::is_floating_point_v<T>)  // as a literal: through double
                value = static_cast<T>(n.integral ? static_cast<double>(n.integer) : n.real);
            else
                value = static_cast<T>(n.integer);
            std::memcpy(&words_[i], &value, sizeof value);
        });
    }
    [[noreturn]] static void refuse(std::span<const leaf_value> leaves, const live_joint& j) {
        text t;
        t << j.op << ": ";
        for (int k : {0, 1}) {
            t << (k == 0 ? "{" : " and {");
            for (int i = 0; i < j.ranks[k]; ++i) {
                t << (i > 0 ? ", " : "");
                if (j.shapes[k][i] == unknown_extent)
                    t << '?';
                else
                    t << extent_of(leaves, j.shapes[k][i]);
            }
            t << '}';
        }
        std::int64_t a = extent_of(leaves, j.a), b = extent_of(leaves, j.b);
        t << " do not " << j.what << ": " << a << " is not " << b;
        if (j.what == "broadcast" && (a == 1 || b == 1))
            t << "; an array's extent of 1 is not repeated: leave the axis out, or make it by "
                 "expand_dims(x, etch::along<...>)";
        throw mistake(t.view());
    }
};

template <class T, int rank> void put_leaf(leaf_value*& to, const array<T, rank>& x) {
    if (x.tensor().rank() != rank) throw mistake("assign: the array was moved from");
    *to++ = {&x.tensor(), rank, 0, 0, false};
}
template <class T> void put_leaf(leaf_value*& to, const live_number<T>& x) {
    if constexpr (std::is_integral_v<T>)
        *to++ = {nullptr, 0, 0, x.value, true};
    else
        *to++ = {nullptr, 0, x.value, 0, false};
}
template <class F, class... X> void put_leaf(leaf_value*& to, const captured<F, X...>& x) {
    x.operands.each([&](const auto& operand) { put_leaf(to, operand); });
}

template <class E> live_caller& caller_of() {
    using made = live_program<E>;
    static thread_local live_caller runs(view_of(made::frozen), cpu::kernels_of<made::frozen>(),
                                         products_for<made::frozen>(), made::leaf_of_input,
                                         made::tables);
    return runs;
}

/// Computes a formula into a tensor; `dies`: the formula is a temporary, whose handles need not keep what they see.
template <class E> void assign(const E& formula, etch::tensor& into, bool dies) {
    if constexpr (live_program<E>::planned::mistake.size() == 0) {
        leaf_value leaves[live_program<E>::leaf_count];
        leaf_value* end = leaves;
        put_leaf(end, formula);
        caller_of<E>().assign(leaves, into, dies);
    }
}

}  // namespace etch::detail
