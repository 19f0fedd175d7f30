// SPDX-License-Identifier: MIT
#include "regression.hpp"

template class etch::function<line>;

float regression::step(std::span<const float> x, std::span<const float> y) {
    auto [loss] = train_(x, y);
    return loss;
}

float mean_of_mlp(std::span<const float> x) {
    etch::function<mlp{5}> f;
    auto [mean] = f(x);
    return mean;
}
