// SPDX-License-Identifier: MIT
// The case `digits` with etch.
#include <etch.hpp>
#include <memory>

#include "digits.hpp"

namespace {

namespace digits = bench::digits;

struct training_step {
    bool adam;
    constexpr void operator()(etch::graph& g) const {
        auto n = g.dim("N");
        auto image = g.input<float>("image", {n, digits::inputs});
        auto label = g.input<int>("label", {n});
        auto h = relu(etch::nn::dense(image, digits::hidden, "hidden"));
        auto loss = mean(cross_entropy(etch::nn::dense(h, digits::classes, "output"), label));
        g.output("loss", loss);
        if (adam)
            g.minimize(loss, etch::nn::adam{.rate = 1e-3});
        else
            g.minimize(loss, etch::nn::sgd{.rate = 0.01});
    }
};

template <bool adam> bench::task make(int batch) {
    struct held {
        etch::function<training_step{adam}> step;
        digits::data data;
        std::size_t next = 0;
        explicit held(int n) : data(n) {}
        float run() {
            std::size_t i = next++ % digits::batches;
            return step(data.images[i], data.classes_of[i]);
        }
        void reset() {
            digits::first_values first;
            etch::state s = step.state();
            for (const auto& name : s.names()) {
                etch::tensor t = s[name];
                std::memset(t.bytes_data(), 0, t.bytes());
            }
            s.set("hidden/weight", first.weight1);
            s.set("output/weight", first.weight2);
            next = 0;
        }
    };
    auto all = std::make_shared<held>(batch);
    return {[all] { all->run(); },
            [all] {
                std::vector<double> losses;
                for (int i = 0; i < digits::checked_steps; ++i)
                    losses.push_back(static_cast<double>(all->run()));
                return losses;
            },
            [all] { all->reset(); }};
}

}  // namespace

int main() {
    return bench::serve({{"sgd_32", [] { return make<false>(32); }},
                         {"sgd_512", [] { return make<false>(512); }},
                         {"adam_32", [] { return make<true>(32); }},
                         {"adam_512", [] { return make<true>(512); }}});
}
