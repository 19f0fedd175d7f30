// SPDX-License-Identifier: MIT
// The values that the reference evaluator computes with: floating elements are doubles whatever their dtype, integers
// and bool are exact. Row by row, no strides, nothing clever.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <vector>

#include <etch/graph/dtype.hpp>

namespace reference {

using numbers = std::vector<std::int64_t>;

struct tensor {
    etch::dtype element = etch::dtype::float64;
    numbers shape;
    std::vector<double> real;  // the elements of floating tensors
    numbers integral;          // those of the others

    tensor() = default;
    tensor(etch::dtype d, numbers extents) : element(d), shape(std::move(extents)) {
        auto n = static_cast<std::size_t>(size());
        if (floating())
            real.assign(n, 0.0);
        else
            integral.assign(n, 0);
    }
    tensor(etch::dtype d, numbers extents, const std::vector<double>& elements)
        : tensor(d, std::move(extents)) {
        if (elements.size() != static_cast<std::size_t>(size()))
            throw std::logic_error("reference: wrong size");
        for (std::size_t i = 0; i < elements.size(); ++i) set(i, elements[i]);
    }

    bool floating() const { return etch::is_floating(element); }
    std::int64_t size() const {
        std::int64_t n = 1;
        for (auto e : shape) n *= e;
        return n;
    }
    std::size_t count() const { return static_cast<std::size_t>(size()); }
    double operator[](std::size_t i) const {
        return floating() ? real[i] : static_cast<double>(integral[i]);
    }
    void set(std::size_t i, double x) {
        if (floating())
            real[i] = x;
        else
            integral[i] = static_cast<std::int64_t>(x);
    }
    /// Element i becomes element j of a tensor of the same dtype.
    void copy(std::size_t i, const tensor& from, std::size_t j) {
        if (floating())
            real[i] = from.real[j];
        else
            integral[i] = from.integral[j];
    }
    std::vector<double> elements() const {
        std::vector<double> all;
        for (std::size_t i = 0; i < count(); ++i) all.push_back((*this)[i]);
        return all;
    }
};

/// Walks all indices of a shape, row by row.
class index_walk {
public:
    numbers at;
    explicit index_walk(const numbers& extents) : at(extents.size(), 0), shape(extents) {
        for (auto e : shape) left *= e;
    }
    bool inside() const { return left > 0; }
    std::size_t position() const { return done; }
    void next() {
        --left, ++done;
        for (auto axis = shape.size(); axis-- > 0;) {
            if (++at[axis] < shape[axis]) return;
            at[axis] = 0;
        }
    }

private:
    numbers shape;
    std::int64_t left = 1;
    std::size_t done = 0;
};

inline std::size_t offset_of(const numbers& shape, const numbers& at) {
    std::int64_t offset = 0;
    for (std::size_t axis = 0; axis < shape.size(); ++axis)
        offset = offset * shape[axis] + at[axis];
    return static_cast<std::size_t>(offset);
}

/// The largest difference, relative to 1 + the expected number; integers must be equal. Infinite where nan or inf differ.
inline double difference(const tensor& a, const tensor& expected) {
    if (a.element != expected.element || a.shape != expected.shape) return HUGE_VAL;
    if (!a.floating()) return a.integral == expected.integral ? 0 : HUGE_VAL;
    double most = 0;
    for (std::size_t i = 0; i < a.count(); ++i) {
        double x = a.real[i], y = expected.real[i];
        if (x == y || (std::isnan(x) && std::isnan(y))) continue;
        double d = std::fabs(x - y) / (1 + std::fabs(y));
        most = std::max(most, std::isnan(d) ? HUGE_VAL : d);
    }
    return most;
}

}  // namespace reference
