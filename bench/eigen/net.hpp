// SPDX-License-Identifier: MIT
// What nets written by hand with Eigen share. All memory is made once, products go where they are wanted without
// temporaries, the rest are array expressions.
#pragma once
#include <Eigen/Core>

#include "../adam.hpp"

namespace bench {

using dense_matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using row_vector = Eigen::Matrix<float, 1, Eigen::Dynamic>;
using batch_map = Eigen::Map<const dense_matrix>;

/// A parameter with what Adam keeps of it.
template <class Matrix> struct parameter {
    Matrix value, gradient, m, v;

    parameter(Eigen::Index rows, Eigen::Index columns)
        : value(Matrix::Zero(rows, columns)),
          gradient(rows, columns),
          m(Matrix::Zero(rows, columns)),
          v(Matrix::Zero(rows, columns)) {}
    void reset() { value.setZero(), m.setZero(), v.setZero(); }
    void adam(adam_scale s) {
        m.array() = 0.9f * m.array() + 0.1f * gradient.array();
        v.array() = 0.999f * v.array() + 0.001f * gradient.array().square();
        value.array() -= s.size * m.array() / (v.array().sqrt() * s.spread + 1e-8f);
    }
};

struct dense_layer {
    parameter<dense_matrix> w;
    parameter<row_vector> b;
    const array& first;

    explicit dense_layer(const array& weight)
        : w(weight.extent(0), weight.extent(1)), b(1, weight.extent(1)), first(weight) {}
    void reset() {
        w.reset(), b.reset();
        std::copy(first.data(), first.data() + first.size(), w.value.data());
    }
    template <class In> void forward(const In& x, dense_matrix& y) const {
        y.noalias() = x * w.value;
        y.rowwise() += b.value;
    }
    /// p -= rate * gradient, without a place for the gradient.
    template <class In> void descend(const In& x, const dense_matrix& dy) {
        w.value.noalias() -= 0.01f * (x.transpose() * dy);
        b.value.noalias() -= 0.01f * dy.colwise().sum();
    }
    template <class In> void adam(const In& x, const dense_matrix& dy, adam_scale s) {
        w.gradient.noalias() = x.transpose() * dy;
        b.gradient.noalias() = dy.colwise().sum();
        w.adam(s), b.adam(s);
    }
};

/// Batch i, whose rows are those of the first input.
inline batch_map batch(const array& a, std::int64_t i) {
    std::int64_t rows = a.extent(1), columns = a.size() / (a.extent(0) * rows);
    return {a.data() + i * rows * columns, rows, columns};
}

}  // namespace bench
