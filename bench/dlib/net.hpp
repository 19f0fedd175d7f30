// SPDX-License-Identifier: MIT
// A training step of a net of dlib. It is driven by the net's own functions: what dnn_trainer adds, a thread that takes
// batches from a queue, would only cost time here.
#pragma once
#include <dlib/dnn.h>

#include "../worker.hpp"

namespace bench {

/// `Label` is the type that the loss of `Net` takes, `from` the type of the elements it is made from.
template <class Net, class Solver, class Label, class From> class dlib_net {
public:
    dlib_net(arrays in, Solver solver, double rate)
        : in_(std::move(in)), first_(solver), rate_(rate) {
        std::int64_t batches = in_[0].extent(0), rows = in_[0].extent(1),
                     columns = in_[0].size() / (batches * rows);
        for (std::int64_t b = 0; b < batches; ++b) {
            std::vector<dlib::matrix<float>> samples;
            for (std::int64_t i = 0; i < rows; ++i)
                samples.push_back(
                    dlib::mat(in_[0].data() + (b * rows + i) * columns, columns, std::int64_t{1}));
            dlib::resizable_tensor x;
            net_.to_tensor(samples.begin(), samples.end(), x);
            x_.push_back(std::move(x));
            const From* y = in_[1].data<From>() + b * rows;
            y_.emplace_back(y, y + rows);
        }
        net_.compute_parameter_gradients(x_[0], y_[0].begin());  // makes the parameters
    }
    double step() {
        std::size_t at = next_++ % x_.size();
        double loss = net_.compute_parameter_gradients(x_[at], y_[at].begin());
        net_.update_parameters(solvers_, rate_);
        return loss;
    }
    void reset() {
        std::size_t weight = in_.size();
        dlib::visit_layer_parameters(net_, [&](std::size_t, dlib::tensor& t) {
            if (t.size() == 0) return;
            t = 0;
            const array& w = in_[--weight];  // layers come from the last to the first
            std::copy_n(w.data(), w.size(), t.host());
        });
        solvers_.assign(Net::num_computational_layers, first_);
        next_ = 0;
    }

private:
    arrays in_;
    Net net_;
    Solver first_;
    std::vector<Solver> solvers_;
    double rate_;
    std::vector<dlib::resizable_tensor> x_;
    std::vector<std::vector<Label>> y_;
    std::size_t next_ = 0;
};

}  // namespace bench
