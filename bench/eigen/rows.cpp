// SPDX-License-Identifier: MIT
// The case `rows` as array expressions of Eigen, a row at a time while it is in cache.
#include "eigen.hpp"

#include <cmath>

namespace {

using bench::job;
using bench::rows_of;

void softmax(job& j) {
    bench::matrix x = rows_of(j.in[0]), y = rows_of(j.out[0]);
    for (Eigen::Index i = 0; i < x.rows(); ++i) {
        y.row(i) = (x.row(i) - x.row(i).maxCoeff()).exp();
        y.row(i) *= 1 / y.row(i).sum();
    }
}
void layer_norm(job& j) {
    bench::matrix x = rows_of(j.in[0]), y = rows_of(j.out[0]), gain = rows_of(j.in[1]),
                  offset = rows_of(j.in[2]);
    for (Eigen::Index i = 0; i < x.rows(); ++i) {
        float mean = x.row(i).mean(), variance = (x.row(i) - mean).square().mean();
        y.row(i) =
            (x.row(i) - mean) * (1 / std::sqrt(variance + 1e-5f)) * gain.row(0) + offset.row(0);
    }
}
void cross_entropy(job& j) {
    bench::matrix x = rows_of(j.in[0]), y = rows_of(j.out[0]);
    const int* label = j.in[1].data<int>();
    float loss = 0, share = 1 / static_cast<float>(x.rows());
    for (Eigen::Index i = 0; i < x.rows(); ++i) {
        float greatest = x.row(i).maxCoeff();
        y.row(i) = (x.row(i) - greatest).exp();
        float sum = y.row(i).sum();
        y.row(i) *= share / sum;
        y(i, label[i]) -= share;
        loss += (std::log(sum) + greatest - x(i, label[i])) * share;
    }
    j.out[1].data()[0] = loss;
}
bench::arrays gradient_and_loss(const bench::arrays& in) {
    return {bench::array::zeros(in[0].shape), bench::array::zeros({1})};
}

}  // namespace

int main() {
    return bench::serve({{"softmax", bench::pure(bench::like_first, softmax)},
                         {"layer_norm", bench::pure(bench::like_first, layer_norm)},
                         {"cross_entropy", bench::pure(gradient_and_loss, cross_entropy)}});
}
