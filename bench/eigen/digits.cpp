// SPDX-License-Identifier: MIT
// The case `digits` as one writes it by hand with Eigen.
#include <cmath>

#include "net.hpp"

namespace {

class net {
public:
    net(bench::arrays in, bool with_adam)
        : in_(std::move(in)),
          n(in_[0].extent(1)),
          adam(with_adam),
          h(n, in_[2].extent(1)),
          dh(n, in_[2].extent(1)),
          z(n, in_[3].extent(1)),
          greatest(n),
          sum(n) {}

    float step() {
        std::int64_t at = next++ % in_[0].extent(0);
        bench::batch_map image = bench::batch(in_[0], at);
        const int* label = in_[1].data<int>() + at * n;

        first.forward(image, h);
        h = h.cwiseMax(0.f);
        second.forward(h, z);
        greatest = z.rowwise().maxCoeff();
        z.colwise() -= greatest;
        float loss = 0;
        for (Eigen::Index i = 0; i < n; ++i) loss -= z(i, label[i]);
        z = z.array().exp();
        sum = z.rowwise().sum();
        loss = (loss + sum.array().log().sum()) / static_cast<float>(n);

        z.array().colwise() /= sum.array() * static_cast<float>(n);  // the gradient of the logits
        for (Eigen::Index i = 0; i < n; ++i) z(i, label[i]) -= 1 / static_cast<float>(n);
        dh.noalias() = z * second.w.value.transpose();
        dh = (h.array() > 0).select(dh, 0.f);
        if (adam) {
            bench::adam_scale scale(++steps);
            first.adam(image, dh, scale);
            second.adam(h, z, scale);
        } else {
            first.descend(image, dh);
            second.descend(h, z);
        }
        return loss;
    }
    void reset() {
        first.reset(), second.reset();
        next = 0;
        steps = 0;
    }

private:
    bench::arrays in_;
    Eigen::Index n;
    bool adam;
    float steps = 0;
    std::int64_t next = 0;
    bench::dense_layer first{in_[2]}, second{in_[3]};
    bench::dense_matrix h, dh, z;
    Eigen::VectorXf greatest, sum;
};

template <bool adam> bench::task make(bench::arrays in) {
    return bench::training(std::make_shared<net>(std::move(in), adam));
}

}  // namespace

int main() { return bench::serve({{"digits_sgd", make<false>}, {"digits_adam", make<true>}}); }
