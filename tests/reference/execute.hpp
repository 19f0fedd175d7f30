// SPDX-License-Identifier: MIT
// Runs a program on the CPU back end with the tensors of the reference evaluator, to compare what both compute.
#pragma once
#include <cmath>
#include <cstring>

#include <etch/cpu/executor.hpp>
#include <etch/passes/plan.hpp>

#include "evaluate.hpp"

namespace reference {

template <class F> auto with_element(etch::dtype d, F f) {
    switch (d) {
    case etch::dtype::float64: return f(double{});
    case etch::dtype::float32: return f(float{});
    case etch::dtype::boolean: return f(bool{});
    case etch::dtype::int32: return f(std::int32_t{});
    case etch::dtype::int64: break;
    }
    return f(std::int64_t{});
}
/// The elements as the program holds them, with bytes behind them that must not be touched.
inline std::vector<std::byte> bytes_of(const tensor& t) {
    return with_element(t.element, [&](auto zero) {
        using T = decltype(zero);
        std::vector<std::byte> b(t.count() * sizeof(T) + 64, std::byte{0x5a});
        for (std::size_t i = 0; i < t.count(); ++i) {
            T x = t.floating() ? static_cast<T>(t.real[i]) : static_cast<T>(t.integral[i]);
            std::memcpy(b.data() + i * sizeof(T), &x, sizeof(T));
        }
        return b;
    });
}
inline tensor tensor_of(etch::dtype d, numbers shape, const std::vector<std::byte>& b) {
    return with_element(d, [&](auto x) {
        tensor t(d, shape);
        for (std::size_t i = 0; i < t.count(); ++i) {
            std::memcpy(&x, b.data() + i * sizeof x, sizeof x);
            if (t.floating())
                t.real[i] = static_cast<double>(x);
            else
                t.integral[i] = static_cast<std::int64_t>(x);
        }
        for (auto k = b.size() - 64; k < b.size(); ++k)
            if (b[k] != std::byte{0x5a})
                throw std::logic_error("bytes behind a tensor were written");
        return t;
    });
}

struct results {
    std::vector<tensor> outputs, parameters;
};
inline results execute(const etch::program_view& p,
                       std::span<const etch::cpu::kernel_entry> kernels, const numbers& dims,
                       const std::vector<tensor>& inputs, const std::vector<tensor>& parameters) {
    etch::cpu::executor e(p, kernels);
    e.use(etch::cpu::executor::products_of<true, true>());
    e.bind(dims);
    std::vector<std::vector<std::byte>> in, out, state;
    for (const auto& t : inputs) in.push_back(bytes_of(t));
    for (const auto& t : parameters) state.push_back(bytes_of(t));
    std::vector<numbers> shapes;
    for (const auto& o : p.outputs) {
        numbers shape;
        for (int i = 0; i < o.of.rank; ++i) shape.push_back(p.value_of(o.of[i], dims));
        tensor t(o.of.element, shape);
        for (double& x : t.real) x = 1e30;
        out.push_back(bytes_of(t));
        shapes.push_back(shape);
    }
    auto addresses = [](auto& buffers) {
        std::vector<void*> list;
        for (auto& b : buffers) list.push_back(b.data());
        return list;
    };
    std::vector<void*> in_at = addresses(in), out_at = addresses(out), state_at = addresses(state);
    std::vector<const void*> read(in_at.begin(), in_at.end());
    e.run(read, out_at, state_at);
    results r;
    for (std::size_t i = 0; i < out.size(); ++i)
        r.outputs.push_back(tensor_of(p.outputs[i].of.element, shapes[i], out[i]));
    for (std::size_t i = 0; i < state.size(); ++i)
        r.parameters.push_back(tensor_of(parameters[i].element, parameters[i].shape, state[i]));
    return r;
}

}  // namespace reference
