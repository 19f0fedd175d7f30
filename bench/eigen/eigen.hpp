// SPDX-License-Identifier: MIT
// The arrays of a job as Eigen sees them. Arrays begin at cache lines, so maps may be aligned.
#pragma once
#include <Eigen/Core>

#include "../worker.hpp"

namespace bench {

using vector = Eigen::Map<Eigen::ArrayXf, Eigen::Aligned64>;
template <class T>
using plain_matrix = Eigen::Array<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T> using matrix_of = Eigen::Map<plain_matrix<T>, Eigen::Aligned64>;
using matrix = matrix_of<float>;

inline vector flat(array& a) { return {a.data(), a.size()}; }
/// The last axis and all others.
template <class T = float> matrix_of<T> rows_of(array& a) {
    std::int64_t columns = a.extent(a.shape.size() - 1);
    return {a.data<T>(), a.size() / columns, columns};
}

}  // namespace bench
