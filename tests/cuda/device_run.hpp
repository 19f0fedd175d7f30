// SPDX-License-Identifier: MIT
// A program on a CUDA device, with the tensors of the reference evaluator; which device there is, is the test's business
// (see host_device.hpp).
#pragma once
#include <memory>
#include <string>
#include <vector>

#include <etch/cpu/interpret.hpp>
#include <etch/cuda/executor.hpp>

#include "cuda/cases.hpp"
#include "reference/execute.hpp"

namespace etch_test {

class device_run {
public:
    using numbers = reference::numbers;
    using tensors = std::vector<reference::tensor>;

    /// The case outlives it.
    explicit device_run(const device_case& of, etch::cuda::product_options products = {})
        : p(of.view), of_(of), executor(p, etch::cuda::device(0), {}, products) {
        move_parameters(of.data.parameters);
    }

    const etch::program_view& p;

private:
    const device_case& of_;

public:
    etch::cuda::executor executor;

    /// Gives the parameters new memory, with these values.
    void move_parameters(const tensors& values) {
        std::vector<etch::cuda::device_memory> before = std::move(memory_);
        memory_.clear();
        states.clear();
        for (const auto& t : values) {
            auto bytes = reference::bytes_of(t);
            const auto size = bytes.size() - 64;
            memory_.emplace_back(executor.where(), static_cast<std::int64_t>(size));
            states.push_back(memory_.back().address());
            if (size == 0) continue;
            etch::cuda::current_device now(executor.where());
            etch::cuda::check(
                etch::cuda::driver().cuMemcpyHtoDAsync(states.back(), bytes.data(), size, nullptr),
                "cuMemcpyHtoDAsync");
            etch::cuda::check(etch::cuda::driver().cuStreamSynchronize(nullptr),
                              "cuStreamSynchronize");
        }
    }
    /// What the parameters hold.
    tensors parameters() const {
        tensors all;
        for (std::size_t i = 0; i < states.size(); ++i) {
            const reference::tensor& like = of_.data.parameters[i];
            auto bytes = reference::bytes_of(like);
            if (bytes.size() > 64) {
                etch::cuda::current_device now(executor.where());
                etch::cuda::check(etch::cuda::driver().cuMemcpyDtoHAsync(
                                      bytes.data(), states[i], bytes.size() - 64, nullptr),
                                  "cuMemcpyDtoHAsync");
            }
            all.push_back(reference::tensor_of(like.element, like.shape, bytes));
        }
        return all;
    }

    /// A call that was started; outputs() ends it.
    struct started {
        std::vector<std::vector<std::byte>> bytes;
        std::vector<numbers> shapes;
        etch::cuda::executor::ticket ticket;
        const etch::program_view* p;

        tensors outputs() {
            ticket.wait();
            tensors all;
            for (std::size_t i = 0; i < bytes.size(); ++i)
                all.push_back(reference::tensor_of(p->outputs[i].of.element, shapes[i], bytes[i]));
            return all;
        }
    };
    started start(const numbers& dims, const tensors& inputs) {
        started s;
        s.p = &p;
        std::vector<std::vector<std::byte>> in;
        std::vector<const void*> from;
        std::vector<void*> to;
        for (const auto& t : inputs) in.push_back(reference::bytes_of(t));
        for (const auto& b : in) from.push_back(b.data());
        for (const auto& o : p.outputs) {
            numbers shape;
            for (int i = 0; i < o.of.rank; ++i) shape.push_back(p.value_of(o.of[i], dims));
            s.bytes.push_back(reference::bytes_of(reference::tensor(o.of.element, shape)));
            s.shapes.push_back(shape);
        }
        for (auto& b : s.bytes) to.push_back(b.data());
        s.ticket = executor.launch(dims, from, to, states);
        return s;  // the inputs have been read
    }
    tensors call(const numbers& dims, const tensors& inputs) {
        return start(dims, inputs).outputs();
    }
    tensors call() { return call(of_.data.dims, of_.data.inputs); }

    std::vector<std::uint64_t> states;

private:
    std::vector<etch::cuda::device_memory> memory_;
};

/// What the CPU back end makes of a case with these parameters.
inline reference::results on_cpu(const device_case& c,
                                 const std::vector<reference::tensor>& parameters) {
    etch::cpu::interpreter_kernels kernels(c.view);
    return reference::execute(c.view, kernels.entries(), c.data.dims, c.data.inputs, parameters);
}

/// Which of the results differ by more than rounding; empty for none.
inline std::string differences(const std::vector<reference::tensor>& a,
                               const std::vector<reference::tensor>& expected, const char* what) {
    if (a.size() != expected.size()) return std::string("not as many of ") + what;
    std::string wrong;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const double d = reference::difference(a[i], expected[i]);
        if (!(d <= (a[i].element == etch::dtype::float32 ? 2e-5 : 1e-12)))
            wrong += what + std::to_string(i) + " is off by " + std::to_string(d) + "; ";
    }
    return wrong;
}

}  // namespace etch_test
