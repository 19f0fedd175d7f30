// SPDX-License-Identifier: MIT
// The first steps of a fresh process on a GPU, as a user writes them: the net of bench/digits.hpp with Adam, 512 examples
// from host memory. One line of JSON; bench/gpu/run starts it with an empty and with a warm cache of kernels.
#include <etch.hpp>

#include <etch/cuda/back_end.hpp>

#include "../worker.hpp"
#include "on_host.hpp"

namespace {

constexpr auto training_step = [](etch::graph& g) {
    auto n = g.dim("N");
    auto image = g.input<float>("image", {n, 784});
    auto label = g.input<int>("label", {n});
    auto h = relu(etch::nn::dense(image, 256, "hidden"));
    auto loss = mean(cross_entropy(etch::nn::dense(h, 10, "output"), label));
    g.output("loss", loss);
    g.minimize(loss, etch::nn::adam{.rate = 1e-3});
};

}  // namespace

int main() {
    const double begin = bench::now();
    bench::gpu::device_under_test device;
    try {
        constexpr int batch = bench::gpu::is_fake ? 4 : 512;
        const auto image = bench::numbers(std::size_t{batch} * 784, 10, 0, 1);
        const auto label = bench::labels(batch, 20, 10);
        const double ready = bench::now();
        etch::function<training_step> train{etch::device::cuda(0)};
        const double made = bench::now();
        float first = train(image, label);
        const double called = bench::now();
        for (int i = 0; i < 3; ++i) train(image, label);
        const double steady = bench::now();
        float last = train(image, label);
        const double end = bench::now();
        if (const std::string wrong = device.verdict(); !wrong.empty()) throw etch::mistake(wrong);
        if (!(last < first)) throw etch::mistake("the loss does not fall");
        std::printf("{\"where\": \"%s\", \"data_s\": %.6g, \"make_s\": %.6g, \"first_call_s\": "
                    "%.6g, \"call_from_host_s\": %.6g, \"loss\": [%.6g, %.6g]}\n",
                    train.where().c_str(), ready - begin, made - ready, called - made, end - steady,
                    static_cast<double>(first), static_cast<double>(last));
    } catch (const std::exception& e) {
        std::fprintf(stderr, "%s\n", e.what());
        return 1;
    }
}
