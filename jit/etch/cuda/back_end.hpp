// SPDX-License-Identifier: MIT
// Makes GPUs known to the program: functions then run on the first one that can be used, unless they are told otherwise.
// The CMake target etch::cuda compiles this once; without CMake, one file of a program includes it. Where the headers of
// CUDA are missing it compiles too, and says so when a GPU is asked for.
#pragma once
#include <etch/run/device.hpp>

#if __has_include(<cuda.h>) && __has_include(<nvrtc.h>) && __has_include(<cublasLt.h>)
#include <etch/cuda/executor.hpp>
#endif

namespace etch::cuda {

#if __has_include(<cuda.h>) && __has_include(<nvrtc.h>) && __has_include(<cublasLt.h>)

/// A parameter in a device's memory of its own, shared by all functions on the device.
class parameter_copy : public etch::detail::device_copy {
public:
    parameter_copy(device on, std::string name, std::int64_t bytes)
        : on_(std::move(on)), name_(std::move(name)), memory_(on_, bytes) {}
    std::uint64_t address() const override { return memory_.address(); }
    const std::string& where() const override { return name_; }

protected:
    // Parameters are copied when a user has looked at them, and so seldom that a wait does no harm. Work of functions is
    // done by then: a call ends before its state is free.
    void upload(const void* from) override {
        if (memory_.bytes() == 0) return;
        current_device now(on_);
        check(on_.api().cuMemcpyHtoDAsync(memory_.address(), from, size(), nullptr),
              "cuMemcpyHtoDAsync");
        check(on_.api().cuStreamSynchronize(nullptr), "cuStreamSynchronize");
    }
    void download(void* to) override {
        if (memory_.bytes() == 0) return;
        current_device now(on_);
        check(on_.api().cuMemcpyDtoHAsync(to, memory_.address(), size(), nullptr),
              "cuMemcpyDtoHAsync");
        check(on_.api().cuStreamSynchronize(nullptr), "cuStreamSynchronize");
    }

private:
    device on_;
    std::string name_;
    device_memory memory_;
    std::size_t size() const { return static_cast<std::size_t>(memory_.bytes()); }
};

class program_on_device : public etch::detail::device_program {
public:
    program_on_device(const program_view& p, const etch::device& asked)
        : executor_(p, device(asked.index()), {.fast_math = asked.fast_math()},
                    {.tensor_float32 = asked.tf32()}),
          name_("cuda:" + std::to_string(asked.index()) + " (" + executor_.where().name() + ")") {}
    const std::string& name() const override { return name_; }
    std::shared_ptr<etch::detail::device_copy> make_copy(std::int64_t bytes) const override {
        return std::make_shared<parameter_copy>(executor_.where(), name_, bytes);
    }
    void start(std::span<const std::int64_t> dims, std::span<const void* const> inputs,
               std::span<void* const> outputs, std::span<const std::uint64_t> states) override {
        ticket_ = executor_.launch(dims, inputs, outputs, states);
    }
    void finish() override { std::exchange(ticket_, {}).wait(); }

private:
    executor executor_;
    std::string name_;
    executor::ticket ticket_;
};

inline constexpr etch::detail::device_back_end back_end{
    [](std::string& why, bool& expected) {
        expected = false;
        if (!driver_available(&why)) return false;
        expected = true;
        try {
            nvrtc();
            cublaslt();
            return true;
        } catch (const mistake& m) {
            why = m.what();
            return false;
        }
    },
    [](const program_view& p, etch::device where) -> std::unique_ptr<etch::detail::device_program> {
        return std::make_unique<program_on_device>(p, where);
    }};

#else

inline constexpr etch::detail::device_back_end back_end{
    [](std::string& why, bool& expected) {
        why = "etch was compiled without the headers of CUDA (cuda.h, nvrtc.h, cublasLt.h): "
              "install the "
              "CUDA toolkit, or name its include folder, and compile again";
        expected = false;
        return false;
    },
    nullptr};

#endif

inline const bool known = (etch::detail::cuda_back_end = &back_end, true);

}  // namespace etch::cuda
