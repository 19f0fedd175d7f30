// SPDX-License-Identifier: MIT
// A program that can be called, as the rest of a user's program sees it. One class for all models, so that a second
// function costs the C++ compiler next to nothing. Its functions are templates of a type that is always program_view:
// like this they can be compiled once and apart (the CMake targets etch::run_time and etch::interpreter define
// ETCH_RUN_TIME_APART), and cost nothing where they are not called.
#pragma once
#include <etch/cpu/call.hpp>
#include <etch/cpu/thread_count.hpp>
#include <etch/run/profile.hpp>
#include <etch/run/state.hpp>

namespace etch::detail {

/// One output: a tensor, or the bits of a number.
struct result {
    etch::tensor array;
    std::uint64_t number = 0;
};

/// Whether a program multiplies matrices of dtype d.
template <const auto& program> constexpr bool multiplies(dtype d) {
    for (const auto& g : program.gemms)
        if (g.element == d) return true;
    return false;
}
/// The functions for a program's products.
template <const auto& program> const cpu::product_table* products_for() {
    return cpu::products_of<multiplies<program>(dtype::float32),
                            multiplies<program>(dtype::float64)>();
}

/// Says whether a result may be written where the tensor lies that it is assigned to.
struct result_place {
    virtual bool may_write(bool on_device) const = 0;

protected:
    ~result_place() = default;
};

template <class View> class basic_caller {
public:
    /// `p` and `kernels` outlive the caller.
    basic_caller(const View& p, std::span<const cpu::kernel_entry> kernels,
                 const cpu::product_table* products, etch::state parameters, device where);
    ~basic_caller();
    basic_caller(const basic_caller&) = delete;
    basic_caller& operator=(const basic_caller&) = delete;

    const etch::state& parameters() const;
    const program_view& program() const;
    /// "cpu", or the device's name.
    std::string where() const;

    /// The steps as text, with figures for the dims of the last call.
    std::string describe() const;
    /// Times each step from now on; another true begins anew, false stops and keeps what was measured.
    void profile(bool on);
    profile_table profile() const;
    /// See function::nan_guard.
    void nan_guard(bool on);

    /// One call. Outputs of rank 0 become tensors too where `numbers` is false. Whatever goes wrong, parameters are as
    /// before: all is checked first, and they are written last.
    void call(std::span<const argument> arguments, std::span<result> results, bool numbers);
    /// One call of a program with one result and no parameters, of dims and elements that were checked. The result is
    /// written where `into` lies if it has the shape and `place` says so, else `into` becomes a new tensor.
    void assign(std::span<const std::int64_t> dims, std::span<const void* const> inputs,
                etch::tensor& into, const result_place& place);
    /// The first half of a call; on a device the host goes on while it runs.
    void launch(std::span<const argument> arguments, bool numbers);
    /// The second half: the results.
    std::span<result> finish();

private:
    std::unique_ptr<program_runner> runner_;
};

using caller = basic_caller<program_view>;

}  // namespace etch::detail

#ifndef ETCH_RUN_TIME_APART
#include <etch/run/nan_guard.hpp>
#include <etch/run/program_runner.hpp>
#endif
