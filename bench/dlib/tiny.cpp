// SPDX-License-Identifier: MIT
// The case `tiny` with dlib.
#include "net.hpp"

namespace {

using net = dlib::loss_mean_squared<dlib::fc<
    1, dlib::htan<dlib::fc<64, dlib::htan<dlib::fc<64, dlib::input<dlib::matrix<float>>>>>>>>;

bench::task make(bench::arrays in) {
    return bench::training(std::make_shared<bench::dlib_net<net, dlib::sgd, float, float>>(
        std::move(in), dlib::sgd(0, 0), 0.02));  // its gradient is that of half of the loss
}

}  // namespace

int main() { return bench::serve({{"tiny_sgd", make}}); }
