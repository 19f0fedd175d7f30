// SPDX-License-Identifier: MIT
// The arguments of one call meet the inputs of a program: named dims get their values, every shape is checked, and each
// input gets a pointer to elements that lie row by row. Nothing is allocated unless an argument must be copied.
#pragma once
#include <etch/graph/print.hpp>
#include <etch/passes/program.hpp>
#include <etch/run/arguments.hpp>

namespace etch::detail {

class binder {
public:
    explicit binder(const program_view& p)
        : program_(p),
          dims_(p.dims.size(), unknown),
          sources_(p.dims.size(), -1),
          inputs_(p.inputs.size(), nullptr),
          words_(p.inputs.size(), 0),
          copies_(p.inputs.size()) {
        for (const auto& s : p.states) updates_ = updates_ || s.updated;
    }

    void bind(std::span<const argument> arguments) {
        arguments_ = arguments;
        if (arguments.size() != program_.inputs.size()) refuse_count();
        if (same_as_before()) return place_all();
        known_.clear();
        for (int i = 0; i < count(); ++i) check_kind(i);
        std::fill(dims_.begin(), dims_.end(), unknown);
        while (solve_all()) {}
        for (int d = 0; d < static_cast<int>(dims_.size()); ++d)
            if (dims_[at(d)] == unknown) refuse_unknown(d);
        for (int i = 0; i < count(); ++i) check_extents(i);
        known_.assign(arguments.begin(), arguments.end());
        place_all();
    }
    /// The same for a caller who has checked all, and whose elements lie row by row.
    void set(std::span<const std::int64_t> dims, std::span<const void* const> inputs) {
        std::copy(dims.begin(), dims.end(), dims_.begin());
        std::copy(inputs.begin(), inputs.end(), inputs_.begin());
    }
    std::span<const std::int64_t> dims() const { return dims_; }
    std::span<const void* const> inputs() const { return inputs_; }

    /// What only a call can check: conditions that ops asked for.
    void check_conditions() const {
        for (const auto& c : program_.conditions) {
            if (program_.value_of(c.size, dims_) >= c.minimum) continue;
            text t;
            t << "call: " << program_.text_of(c.sentence);
            append_dims(t);
            throw mistake(t.view());
        }
    }

private:
    static constexpr std::int64_t unknown = -1;

    program_view program_;
    std::span<const argument> arguments_;
    std::vector<std::int64_t> dims_;
    std::vector<int> sources_;  // the input that told each dim
    std::vector<const void*> inputs_;
    std::vector<std::uint64_t> words_;  // numbers
    std::vector<argument> known_;       // the last ones that were right, for dims_
    std::vector<etch::tensor> copies_;  // of arguments that do not lie row by row
    bool updates_ = false;

    int count() const { return static_cast<int>(arguments_.size()); }
    const argument& given(int i) const { return arguments_[at(i)]; }
    const type& wanted(int i) const { return program_.inputs[at(i)].of; }
    std::string_view name(int i) const { return program_.text_of(program_.inputs[at(i)].name); }
    std::string_view dim_name(int d) const { return program_.text_of(program_.dims[at(d)]); }

    /// The extent of axis `axis`; a vector of Eigen for an input of one axis counts as that axis.
    static std::int64_t given_extent(const argument& a, const type& t, int axis) {
        return t.rank == 1 && is_vector(a) ? a.extents[0] * a.extents[1] : a.extents[axis];
    }
    static bool is_vector(const argument& a) {
        return a.kind == argument_kind::matrix && (a.extents[0] == 1 || a.extents[1] == 1);
    }

    /// Whether dims and shapes are those of the last call: then all was checked.
    bool same_as_before() const {
        if (known_.size() != arguments_.size()) return false;
        for (std::size_t i = 0; i < known_.size(); ++i)
            if (!known_[i].is_like(arguments_[i])) return false;
        return !known_.empty();
    }
    void check_kind(int i) const {
        const argument& a = given(i);
        const type& t = wanted(i);
        if (a.kind == argument_kind::number) {
            if (t.rank != 0) refuse_kind(i, text{} << " is a number");
        } else if (a.element != t.element) {
            refuse_kind(i, text{} << " has elements of " << row_of(a.element).name);
        } else if (!a.flat && a.rank != t.rank && !(t.rank == 1 && is_vector(a))) {
            text shape;
            refuse_kind(i, text{} << " has the shape " << print(shape, a.shape()),
                        ": etch::view(data, {...}) gives another");
        }
    }

    // ---- dims ---------------------------------------------------------------------------------------------------
    /// The value of dim d for which e is v, the other dims as they are: what stands in a * d + b = v. Nothing where d
    /// is not linear in e or another dim is unknown; -1 where no number fits.
    std::optional<std::int64_t> solve(extent e, int d, std::int64_t v) const {
        if (e.is_static()) return std::nullopt;
        const polynomial& p = program_.polynomials[at(e.polynomial())];
        std::int64_t a = 0, b = 0;
        for (int i = 0; i < p.count; ++i) {
            auto [product, powers] = p.terms[at(i)];
            auto degree = (powers >> (4 * d)) & 15;
            if (degree > 1) return std::nullopt;
            for (int other = 0; powers != 0; ++other, powers >>= 4)
                for (auto n = other == d ? 0 : powers & 15; n > 0; --n) {
                    if (dims_[at(other)] == unknown) return std::nullopt;
                    product *= dims_[at(other)];
                }
            (degree == 1 ? a : b) += product;
        }
        if (a == 0) return std::nullopt;
        return (v - b) % a == 0 && (v - b) / a >= 0 ? (v - b) / a : -1;
    }
    /// The one dim of e that has no value yet; -1 for none, -2 for several.
    int unknown_dim(extent e) const {
        if (e.is_static()) return -1;
        const polynomial& p = program_.polynomials[at(e.polynomial())];
        int found = -1;
        for (int i = 0; i < p.count; ++i) {
            auto powers = p.terms[at(i)].powers;
            for (int d = 0; powers != 0; ++d, powers >>= 4)
                if ((powers & 15) != 0 && dims_[at(d)] == unknown && d != found) {
                    if (found >= 0) return -2;
                    found = d;
                }
        }
        return found;
    }

    /// Whether some dim got its value. Shapes speak first, in the order of the inputs.
    bool solve_all() {
        bool progress = false;
        for (int i = 0; i < count(); ++i)
            for (int axis = 0;
                 !given(i).flat && given(i).kind != argument_kind::number && axis < wanted(i).rank;
                 ++axis) {
                extent e = wanted(i)[axis];
                int d = unknown_dim(e);
                if (d < 0) continue;
                auto v = given_extent(given(i), wanted(i), axis);
                auto n = solve(e, d, v);
                if (!n) continue;
                if (*n < 0) refuse_extent(i, axis, v);
                dims_[at(d)] = *n, sources_[at(d)] = i, progress = true;
            }
        if (progress) return true;
        for (int i = 0; i < count(); ++i) {
            if (!given(i).flat) continue;
            auto [axis, rest] = open_axis(wanted(i));
            if (axis < 0 || rest <= 0) continue;
            extent e = wanted(i)[axis];
            int d = unknown_dim(e);
            auto v = given(i).extents[0];
            if (d < 0 || (v % rest == 0 && !solve(e, d, v / rest))) continue;
            auto n = v % rest == 0 ? *solve(e, d, v / rest) : -1;
            if (n < 0) refuse_count_of_elements(i, d);
            dims_[at(d)] = n, sources_[at(d)] = i;
            return true;
        }
        return false;
    }
    struct open {
        int axis;
        std::int64_t rest;  // the product of the other extents
    };
    /// The only axis whose extent is not known yet; -1 for none or several.
    open open_axis(const type& t) const {
        open found{-1, 1};
        for (int axis = 0; axis < t.rank; ++axis) {
            if (unknown_dim(t[axis]) == -1) {
                found.rest *= program_.value_of(t[axis], dims_);
            } else {
                if (found.axis >= 0) return {-1, 0};
                found.axis = axis;
            }
        }
        return found;
    }

    void check_extents(int i) const {
        const argument& a = given(i);
        const type& t = wanted(i);
        if (a.kind == argument_kind::number) return;
        if (!a.flat) {
            for (int axis = 0; axis < t.rank; ++axis) {
                auto v = given_extent(a, t, axis);
                if (program_.value_of(t[axis], dims_) != v) refuse_extent(i, axis, v);
            }
            return;
        }
        std::int64_t product = 1;
        for (int axis = 0; axis < t.rank; ++axis) product *= program_.value_of(t[axis], dims_);
        if (product != a.extents[0]) refuse_count_of_elements(i, -1);
    }

    // ---- elements -----------------------------------------------------------------------------------------------
    void place_all() {
        for (int i = 0; i < count(); ++i) place(i);
    }
    void place(int i) {
        static constexpr std::uint64_t nothing = 0;
        const argument& a = given(i);
        const void*& to = inputs_[at(i)];
        if (a.kind == argument_kind::number) {
            if (!number_as(a, wanted(i).element, &words_[at(i)])) refuse_number(i);
            to = &words_[at(i)];
        } else if (a.size() == 0) {
            to = &nothing;
        } else if (a.is_row_major() && !(a.live && updates_)) {
            to = a.data;
        } else {
            etch::tensor& copy = copies_[at(i)];
            if (copy.element() != a.element || copy.shape() != a.shape())
                copy = etch::tensor(a.element, a.shape());
            a.copy_to(copy.bytes_data());
            to = copy.bytes_data();
        }
    }

    // ---- mistakes -----------------------------------------------------------------------------------------------
    /// The tables of extents and names as a graph, for what prints types.
    void tables(graph& g) const {
        g.polynomials.assign(program_.polynomials);
        g.dims.assign(program_.dims);
        g.characters.assign(program_.characters);
    }
    text shape_of(const type& t) const {
        graph g;
        tables(g);
        return shape_text(g, t);
    }
    text described(const type& t) const {
        text s;
        s << row_of(t.element).name << ' ' << shape_of(t);
        return s;
    }
    text extent_of(extent e) const {
        graph g;
        tables(g);
        return extent_text(g, e);
    }
    void append_dims(text& t) const {
        for (int d = 0; d < static_cast<int>(dims_.size()); ++d)
            if (dims_[at(d)] != unknown)
                t << (d == 0 ? ", with " : ", ") << dim_name(d) << " = " << dims_[at(d)];
    }
    [[noreturn]] void refuse_count() const {
        text t;
        t << "call: " << arguments_.size() << (arguments_.size() == 1 ? " argument" : " arguments")
          << " for " << program_.inputs.size()
          << (program_.inputs.size() == 1 ? " input" : " inputs");
        for (std::size_t i = 0; i < program_.inputs.size(); ++i)
            t << (i == 0 ? ": " : ", ") << name(static_cast<int>(i));
        throw mistake(t.view());
    }
    [[noreturn]] void refuse_kind(int i, const text& what, std::string_view advice = {}) const {
        text t;
        t << "call: " << name(i) << what << ", the model takes " << described(wanted(i)) << advice;
        throw mistake(t.view());
    }
    [[noreturn]] void refuse_number(int i) const {
        const argument& a = given(i);
        text t;
        t << "call: " << name(i) << " is ";
        if (a.element == dtype::boolean)
            t << "a bool";
        else if (a.integral)
            t << a.integer;
        else
            t << "a floating number";
        t << ", the model takes " << row_of(wanted(i).element).name;
        throw mistake(t.view());
    }
    [[noreturn]] void refuse_unknown(int d) const {
        text t;
        t << "call: ";
        for (int i = 0; i < count(); ++i) {
            if (!given(i).flat) continue;
            bool unsure = false;
            for (int axis = 0; axis < wanted(i).rank; ++axis)
                unsure = unsure || unknown_dim(wanted(i)[axis]) != -1;
            if (!unsure) continue;
            t << given(i).extents[0] << " elements of " << name(i) << " do not tell " << dim_name(d)
              << " in its shape " << shape_of(wanted(i)) << ": etch::view(data, {...}) does";
            throw mistake(t.view());
        }
        t << "no argument tells " << dim_name(d);
        throw mistake(t.view());
    }
    /// Where a dim that an earlier argument told has another value in this one: N is 32 in image and 31 in label.
    void refuse_dim(int i, extent e, std::int64_t v) const {
        for (int d = 0; d < static_cast<int>(dims_.size()); ++d) {
            if (dims_[at(d)] == unknown) continue;
            auto n = solve(e, d, v);
            if (!n || *n < 0 || *n == dims_[at(d)]) continue;
            text t;
            t << "call: " << dim_name(d) << " is " << dims_[at(d)];
            if (sources_[at(d)] != i) t << " in " << name(sources_[at(d)]);
            t << " and " << *n << " in " << name(i);
            throw mistake(t.view());
        }
    }
    [[noreturn]] void refuse_extent(int i, int axis, std::int64_t v) const {
        extent e = wanted(i)[axis];
        refuse_dim(i, e, v);
        text t;
        t << "call: axis " << axis << " of " << name(i) << " is " << v << ", the model takes "
          << described(wanted(i));
        append_dims(t);
        throw mistake(t.view());
    }
    [[noreturn]] void refuse_count_of_elements(int i, int solving) const {
        auto v = given(i).extents[0];
        const type& t = wanted(i);
        for (int axis = 0; solving < 0 && axis < t.rank; ++axis) {
            std::int64_t rest = 1;
            for (int other = 0; other < t.rank; ++other)
                if (other != axis) rest *= program_.value_of(t[other], dims_);
            if (!t[axis].is_static() && rest > 0 && v % rest == 0) refuse_dim(i, t[axis], v / rest);
        }
        text s;
        s << "call: " << name(i) << " has " << v << " elements, which do not divide into its shape "
          << shape_of(t);
        append_dims(s);
        s << ": etch::view(data, {...}) says another";
        throw mistake(s.view());
    }
};

}  // namespace etch::detail
