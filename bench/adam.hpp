// SPDX-License-Identifier: MIT
// Adam's update of one array, for programs that write it by hand: rate 1e-3, beta 0.9 and 0.999, epsilon 1e-8.
#pragma once
#include <cmath>

#include "worker.hpp"

namespace bench {

/// size and spread of a step: p -= size * m / (sqrt(v) * spread + 1e-8).
struct adam_scale {
    float size, spread;
    explicit adam_scale(float step)
        : size(1e-3f / (1 - std::pow(0.9f, step))),
          spread(1 / std::sqrt(1 - std::pow(0.999f, step))) {}
};

struct adam_state {
    array gradient, first, p, m, v;
    float steps = 0;

    explicit adam_state(arrays in)
        : gradient(std::move(in[0])),
          first(std::move(in[1])),
          p(first),
          m(array::zeros(p.shape)),
          v(array::zeros(p.shape)) {}
    adam_scale next() { return adam_scale(++steps); }
    void reset() {
        p = first, m = array::zeros(p.shape), v = array::zeros(p.shape);
        steps = 0;
    }
};

inline std::function<task(arrays)> adam_task(void (*update)(adam_state&)) {
    return [update](arrays in) {
        auto state = std::make_shared<adam_state>(std::move(in));
        return task{[=] { update(*state); },
                    [=] {
                        for (int i = 0; i < 3; ++i) update(*state);
                        std::vector<double> sampled;
                        sample_elements(sampled, state->p.data(), state->p.size());
                        return sampled;
                    },
                    [=] { state->reset(); }};
    };
}

}  // namespace bench
