// SPDX-License-Identifier: MIT
// The case `digits`: one training step of a net of 784 inputs, 256 hidden relu units and 10 classes. The data are four
// batches that follow each other.
#pragma once
#include <cmath>

#include "worker.hpp"

namespace bench::digits {

inline constexpr int inputs = 784, hidden = 256, classes = 10, batches = 4, checked_steps = 5;
inline constexpr float sgd_rate = 0.01f, adam_rate = 1e-3f;

struct first_values {
    std::vector<float> weight1, weight2;

    static std::vector<float> glorot(int in, int out, std::uint32_t stream) {
        float limit = std::sqrt(6.f / static_cast<float>(in + out));
        return numbers(static_cast<std::size_t>(in) * static_cast<std::size_t>(out), stream, -limit,
                       limit);
    }
    first_values() : weight1(glorot(inputs, hidden, 1)), weight2(glorot(hidden, classes, 2)) {}
};

struct data {
    std::vector<std::vector<float>> images;
    std::vector<std::vector<int>> classes_of;

    explicit data(int batch) {
        for (std::uint32_t i = 0; i < batches; ++i) {
            images.push_back(numbers(static_cast<std::size_t>(batch) * inputs, 10 + i, 0, 1));
            classes_of.push_back(labels(static_cast<std::size_t>(batch), 20 + i, classes));
        }
    }
};

}  // namespace bench::digits
