// SPDX-License-Identifier: MIT
// The case `digits` with dlib.
#include "net.hpp"

namespace {

using net = dlib::loss_multiclass_log<
    dlib::fc<10, dlib::relu<dlib::fc<256, dlib::input<dlib::matrix<float>>>>>>;

template <class Solver> bench::task make(bench::arrays in, Solver solver, double rate) {
    return bench::training(std::make_shared<bench::dlib_net<net, Solver, unsigned long, int>>(
        std::move(in), solver, rate));
}

}  // namespace

int main() {
    return bench::serve(
        {{"digits_sgd", [](bench::arrays in) { return make(in, dlib::sgd(0, 0), 0.01); }},
         {"digits_adam",
          [](bench::arrays in) { return make(in, dlib::adam(0, 0.9f, 0.999f), 1e-3); }}});
}
