// SPDX-License-Identifier: MIT
// Runs a program on the CPU back end with the tensors of the reference evaluator, to compare what both compute. The
// functions are in apart.cpp.
#pragma once
#include <cmath>
#include <cstring>

#include <etch/cpu/call.hpp>
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
/// Runs a program on the CPU back end, with the kernels of its bodies.
results execute(const etch::program_view& p, std::span<const etch::cpu::kernel_entry> kernels,
                const numbers& dims, const std::vector<tensor>& inputs,
                const std::vector<tensor>& parameters);
/// etch::make_program, compiled once for all tests.
etch::program program_of(const etch::graph& g, etch::plan_options options = {});

}  // namespace reference
