// SPDX-License-Identifier: MIT
// The case `tiny` as one writes it by hand with Eigen.
#include "net.hpp"

namespace {

class net {
public:
    explicit net(bench::arrays in)
        : in_(std::move(in)),
          n(in_[0].extent(1)),
          h1(n, 64),
          h2(n, 64),
          d1(n, 64),
          d2(n, 64),
          y(n, 1) {}

    float step() {
        std::int64_t at = next++ % in_[0].extent(0);
        bench::batch_map x = bench::batch(in_[0], at), target = bench::batch(in_[1], at);
        a.forward(x, h1);
        h1 = h1.array().tanh();
        b.forward(h1, h2);
        h2 = h2.array().tanh();
        c.forward(h2, y);
        y -= target;
        float loss = y.array().square().mean();
        y *= 2 / static_cast<float>(n);
        d2.noalias() = y * c.w.value.transpose();
        d2.array() *= 1 - h2.array().square();
        d1.noalias() = d2 * b.w.value.transpose();
        d1.array() *= 1 - h1.array().square();
        a.descend(x, d1), b.descend(h1, d2), c.descend(h2, y);
        return loss;
    }
    void reset() {
        a.reset(), b.reset(), c.reset();
        next = 0;
    }

private:
    bench::arrays in_;
    Eigen::Index n;
    std::int64_t next = 0;
    bench::dense_layer a{in_[2]}, b{in_[3]}, c{in_[4]};
    bench::dense_matrix h1, h2, d1, d2, y;
};

bench::task make(bench::arrays in) { return bench::training(std::make_shared<net>(std::move(in))); }

}  // namespace

int main() { return bench::serve({{"tiny_sgd", make}}); }
