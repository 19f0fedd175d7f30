// SPDX-License-Identifier: MIT
// The arrays of a job as xtensor sees them.
#pragma once
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#include <xtensor/xadapt.hpp>
#include <xtensor/xarray.hpp>
#include <xtensor/xmath.hpp>
#include <xtensor/xnoalias.hpp>
#include <xtensor/xsort.hpp>
#include <xtensor/xview.hpp>
#pragma GCC diagnostic pop

#include "../worker.hpp"

namespace bench {

template <std::size_t rank, class T = float> auto adapted(array& a) {
    std::array<std::size_t, rank> shape;
    for (std::size_t i = 0; i < rank; ++i) shape[i] = static_cast<std::size_t>(a.shape[i]);
    return xt::adapt(a.data<T>(), static_cast<std::size_t>(a.size()), xt::no_ownership(), shape);
}

}  // namespace bench
