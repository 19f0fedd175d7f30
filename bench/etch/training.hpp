// SPDX-License-Identifier: MIT
// A training step with etch. Arguments of the task: batches of the first input, of the second, weights of the layers.
#pragma once
#include "functions.hpp"

namespace bench {

template <class T> auto batch(const array& a, std::int64_t i) {
    return etch::view(a.data<T>() + i * (a.size() / a.extent(0)),
                      etch::tensor_shape(std::span(a.shape).subspan(1)));
}

/// Layers are named "1", "2" ...; biases begin with zeros. `Label` is the type of the second input's elements.
template <auto model, class Label> class trained_net {
public:
    explicit trained_net(arrays given) : in_(std::move(given)) {
        for (std::int64_t i = 0; i < in_[0].extent(0); ++i)
            batches_.emplace_back(batch<float>(in_[0], i), batch<Label>(in_[1], i));
    }
    float step() {
        const auto& [x, y] = batches_[next_++ % batches_.size()];
        return f_(x, y);
    }
    void reset() {
        set_zero(f_.state());
        for (std::size_t i = 2; i < in_.size(); ++i)
            f_.state().set(std::to_string(i - 1) + "/weight",
                           etch::view(in_[i].data(), etch::tensor_shape(in_[i].shape)));
        next_ = 0;
    }

private:
    using examples = decltype(batch<float>(std::declval<array>(), 0));
    using labels = decltype(batch<Label>(std::declval<array>(), 0));
    arrays in_;
    etch::function<model> f_;
    std::vector<std::pair<examples, labels>> batches_;
    std::size_t next_ = 0;
};

template <auto model, class Label> task trained(arrays in) {
    return training(std::make_shared<trained_net<model, Label>>(std::move(in)));
}

}  // namespace bench
