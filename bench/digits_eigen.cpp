// SPDX-License-Identifier: MIT
// The case `digits` as one writes it by hand with Eigen: all memory is made once, products go where they are wanted
// without temporaries, the rest are array expressions.
#include <Eigen/Core>
#include <memory>

#include "digits.hpp"

namespace {

namespace digits = bench::digits;
using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using row = Eigen::Matrix<float, 1, Eigen::Dynamic>;
using column = Eigen::Matrix<float, Eigen::Dynamic, 1>;

/// A parameter with what Adam keeps of it.
template <class Matrix> struct parameter {
    Matrix value, gradient, m, v;

    parameter(Eigen::Index rows, Eigen::Index columns)
        : value(Matrix::Zero(rows, columns)),
          gradient(rows, columns),
          m(Matrix::Zero(rows, columns)),
          v(Matrix::Zero(rows, columns)) {}
    void reset() { value.setZero(), m.setZero(), v.setZero(); }
    void adam(float size, float spread) {
        m.array() = 0.9f * m.array() + 0.1f * gradient.array();
        v.array() = 0.999f * v.array() + 0.001f * gradient.array().square();
        value.array() -= size * m.array() / (v.array().sqrt() * spread + 1e-8f);
    }
};

class net {
public:
    net(int batch, bool with_adam)
        : data(batch),
          n(batch),
          adam(with_adam),
          h(n, digits::hidden),
          dh(n, digits::hidden),
          z(n, digits::classes),
          greatest(n),
          sum(n) {}

    float step() {
        std::size_t at = next++ % digits::batches;
        Eigen::Map<const matrix> image(data.images[at].data(), n, digits::inputs);
        const auto& label = data.classes_of[at];

        h.noalias() = image * w1.value;
        h.rowwise() += b1.value;
        h = h.cwiseMax(0.f);
        z.noalias() = h * w2.value;
        z.rowwise() += b2.value;
        greatest = z.rowwise().maxCoeff();
        z.colwise() -= greatest;
        float loss = 0;
        for (Eigen::Index i = 0; i < n; ++i) loss -= z(i, label[static_cast<std::size_t>(i)]);
        z = z.array().exp();
        sum = z.rowwise().sum();
        loss = (loss + sum.array().log().sum()) / static_cast<float>(n);

        z.array().colwise() /= sum.array() * static_cast<float>(n);  // the gradient of the logits
        for (Eigen::Index i = 0; i < n; ++i)
            z(i, label[static_cast<std::size_t>(i)]) -= 1 / static_cast<float>(n);
        dh.noalias() = z * w2.value.transpose();
        dh = (h.array() > 0).select(dh, 0.f);
        if (!adam) {
            w1.value.noalias() -= digits::sgd_rate * (image.transpose() * dh);
            b1.value.noalias() -= digits::sgd_rate * dh.colwise().sum();
            w2.value.noalias() -= digits::sgd_rate * (h.transpose() * z);
            b2.value.noalias() -= digits::sgd_rate * z.colwise().sum();
            return loss;
        }
        w1.gradient.noalias() = image.transpose() * dh;
        b1.gradient.noalias() = dh.colwise().sum();
        w2.gradient.noalias() = h.transpose() * z;
        b2.gradient.noalias() = z.colwise().sum();
        ++steps;
        float size = digits::adam_rate / (1 - std::pow(0.9f, steps)),
              spread = 1 / std::sqrt(1 - std::pow(0.999f, steps));
        w1.adam(size, spread), b1.adam(size, spread), w2.adam(size, spread), b2.adam(size, spread);
        return loss;
    }
    void reset() {
        digits::first_values first;
        w1.reset(), b1.reset(), w2.reset(), b2.reset();
        std::copy(first.weight1.begin(), first.weight1.end(), w1.value.data());
        std::copy(first.weight2.begin(), first.weight2.end(), w2.value.data());
        next = 0;
        steps = 0;
    }

private:
    digits::data data;
    Eigen::Index n;
    bool adam;
    float steps = 0;
    std::size_t next = 0;
    parameter<matrix> w1{digits::inputs, digits::hidden}, w2{digits::hidden, digits::classes};
    parameter<row> b1{1, digits::hidden}, b2{1, digits::classes};
    matrix h, dh, z;
    column greatest, sum;
};

bench::task make(int batch, bool adam) {
    auto all = std::make_shared<net>(batch, adam);
    return {[all] { all->step(); },
            [all] {
                std::vector<double> losses;
                for (int i = 0; i < digits::checked_steps; ++i)
                    losses.push_back(static_cast<double>(all->step()));
                return losses;
            },
            [all] { all->reset(); }};
}

}  // namespace

int main() {
    return bench::serve({{"sgd_32", [] { return make(32, false); }},
                         {"sgd_512", [] { return make(512, false); }},
                         {"adam_32", [] { return make(32, true); }},
                         {"adam_512", [] { return make(512, true); }}});
}
