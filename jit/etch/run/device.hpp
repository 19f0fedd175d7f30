// SPDX-License-Identifier: MIT
// Where a function runs. The CPU is always there; another back end comes into a program by being linked to it (the CMake
// target etch::cuda does so) or by one file that includes <etch/cuda/back_end.hpp>. Nothing of it
// is opened before the first function is made.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <etch/passes/program.hpp>

namespace etch {

/// etch::function<model> f{etch::device::cuda(1)}. A device that is not named is the one in the environment's ETCH_DEVICE
/// (cpu, cuda or cuda:n), else the first GPU that can be used, else the CPU.
class device {
public:
    enum class kind : std::uint8_t { any, cpu, cuda };

    constexpr device() = default;
    static constexpr device cpu() { return device(kind::cpu, 0); }
    static constexpr device cuda(int index = 0) { return device(kind::cuda, index); }
    /// "cpu", "cuda" (the first) or "cuda:1". Throws etch::mistake on anything else.
    explicit device(std::string_view name) : device(parsed(name, "device")) {}

    /// The same device with less accurate arithmetic, for a GPU only: --use_fast_math in fused kernels (docs/cuda.md says
    /// what is lost); products of float32 with 10 bits of their factors' fractions, in TensorFloat-32 units.
    constexpr device with_fast_math() const {
        device d = *this;
        d.fast_math_ = true;
        return d;
    }
    constexpr device with_tf32() const {
        device d = *this;
        d.tf32_ = true;
        return d;
    }
    constexpr bool fast_math() const { return fast_math_; }
    constexpr bool tf32() const { return tf32_; }

    constexpr kind what() const { return kind_; }
    constexpr int index() const { return index_; }

    /// The device of ETCH_DEVICE where none is named and the variable is set.
    device or_from_environment() const {
        const char* variable = kind_ == kind::any ? std::getenv("ETCH_DEVICE") : nullptr;
        if (!variable || !*variable) return *this;
        device d = parsed(variable, "ETCH_DEVICE");
        d.fast_math_ = fast_math_;
        d.tf32_ = tf32_;
        return d;
    }

private:
    kind kind_ = kind::any;
    int index_ = 0;
    bool fast_math_ = false, tf32_ = false;

    constexpr device(kind what, int index) : kind_(what), index_(index) {}
    static device parsed(std::string_view name, std::string_view source) {
        if (name == "cpu") return cpu();
        if (name == "cuda") return cuda();
        int number = 0;
        bool good = name.starts_with("cuda:") && name.size() > 5 && name.size() < 10;
        for (char c : name.substr(good ? 5 : name.size())) {
            good = good && c >= '0' && c <= '9';
            number = 10 * number + (c - '0');
        }
        if (good) return cuda(number);
        throw mistake(std::string(source) + ": it is \"" + std::string(name) +
                      "\", and must be cpu, cuda or cuda:n");
    }
};

namespace detail {

/// A parameter's elements on a device, beside those on the host.
class device_copy {
public:
    enum class newest : std::uint8_t { both, host, device };

    virtual ~device_copy() = default;
    virtual std::uint64_t address() const = 0;
    virtual const std::string& where() const = 0;
    newest which = newest::host;

    void to_device(const void* host) {
        if (which == newest::host) upload(host);
        if (which == newest::host) which = newest::both;
    }
    void to_host(void* host) {
        if (which == newest::device) download(host);
        if (which == newest::device) which = newest::both;
    }

protected:
    virtual void upload(const void* from) = 0;
    virtual void download(void* to) = 0;
};

/// A program on a device.
class device_program {
public:
    virtual ~device_program() = default;
    /// cuda:0 (the device's name).
    virtual const std::string& name() const = 0;
    virtual std::shared_ptr<device_copy> make_copy(std::int64_t bytes) const = 0;
    /// Starts a call; inputs have been read when it returns. States are addresses on the device.
    virtual void start(std::span<const std::int64_t> dims, std::span<const void* const> inputs,
                       std::span<void* const> outputs, std::span<const std::uint64_t> states) = 0;
    /// Waits for the call that was started; its outputs are written then. Throws what went wrong in it.
    virtual void finish() = 0;
};

struct device_back_end {
    /// Whether programs can run; `why` not, in a sentence. `expected`: there is a device, so a user would wonder.
    bool (*available)(std::string& why, bool& expected);
    /// The program must outlive what is made.
    std::unique_ptr<device_program> (*make)(const program_view& p, device where);
};
/// Set by <etch/cuda/back_end.hpp>.
inline const device_back_end* cuda_back_end = nullptr;

/// The program on the device that was asked for; null for the CPU.
inline std::unique_ptr<device_program> make_device_program(const program_view& p, device asked) {
    device where = asked.or_from_environment();
    if (where.what() == device::kind::cpu) return nullptr;
    bool named = where.what() == device::kind::cuda;
    if (!cuda_back_end) {
        if (!named) return nullptr;
        throw mistake(
            "device cuda: this program was built without the CUDA back end: link the CMake "
            "target etch::cuda, or include <etch/cuda/back_end.hpp> in one file");
    }
    std::string why;
    bool expected = false;
    if (cuda_back_end->available(why, expected)) return cuda_back_end->make(p, where);
    if (named) throw mistake("device cuda: " + why);
    static bool said = false;
    if (expected && !said) std::fprintf(stderr, "etch: %s; the CPU is used\n", why.c_str());
    said = said || expected;
    return nullptr;
}

}  // namespace detail
}  // namespace etch
