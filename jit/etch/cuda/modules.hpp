// SPDX-License-Identifier: MIT
// The kernels of a program that are loaded on its device. What a call needs is compiled together, by several threads where it is
// much; what is there already is not compiled again.
#pragma once
#include <algorithm>
#include <exception>
#include <map>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <etch/cuda/cache.hpp>
#include <etch/cuda/device.hpp>
#include <etch/cuda/emit.hpp>

#if __has_include(<cuda.h>) && __has_include(<nvrtc.h>)

namespace etch::cuda {

class loaded_kernels {
public:
    /// The program outlives the kernels.
    loaded_kernels(const program_view& p, const device& where, const emit_options& options)
        : p_(p), device_(where), options_(options) {}
    ~loaded_kernels() {
        try {
            current_device now(device_);
            for (CUmodule m : modules_) device_.api().cuModuleUnload(m);
        } catch (const device_error&) {}
    }
    loaded_kernels(const loaded_kernels&) = delete;
    loaded_kernels& operator=(const loaded_kernels&) = delete;

    /// Loads those of the launches' kernels that are not there, and the one for copies where it is wanted. The device is
    /// current. Throws etch::mistake where NVRTC or the driver refuses.
    void require(const std::vector<kernel_launch>& launches, bool copies) {
        std::vector<kernel_launch> missing;
        std::set<std::string_view> named;
        for (const kernel_launch& l : launches)
            if (l.blocks > 0 && !functions_.contains(l.name) && named.insert(l.name).second)
                missing.push_back(l);
        copies = copies && !functions_.contains(copy_name);
        if (missing.empty() && !copies) return;
        const std::vector<std::string> codes = compiled(missing, copies);
        const std::size_t each = per_program(missing.size());
        for (std::size_t i = 0; i < codes.size(); ++i) {
            CUmodule loaded = nullptr;
            check(device_.api().cuModuleLoadData(&loaded, codes[i].data()), "cuModuleLoadData");
            modules_.push_back(loaded);
            for (std::size_t k = i * each; k < std::min((i + 1) * each, missing.size()); ++k)
                take(loaded, missing[k].name);
            if (copies && i == 0) take(loaded, copy_name);
        }
    }
    /// A kernel that was required.
    CUfunction function(const std::string& name) const { return functions_.find(name)->second; }
    CUfunction copy() const { return function(copy_name); }
    std::size_t modules() const { return modules_.size(); }

private:
    inline static const std::string copy_name = "etch_copy";

    const program_view& p_;
    device device_;
    emit_options options_;
    std::vector<CUmodule> modules_;
    std::map<std::string, CUfunction, std::less<>> functions_;

    /// Kernels of one NVRTC program: some 30 ms each, which several programs spend side by side; each has 20 ms for what
    /// stands before the kernels, so that few kernels are one program.
    static std::size_t per_program(std::size_t kernels) {
        constexpr std::size_t few = 4;
        const std::size_t threads = std::max(std::thread::hardware_concurrency(), 1u);
        const std::size_t programs = std::clamp((kernels + few - 1) / few, std::size_t{1}, threads);
        return std::max<std::size_t>((kernels + programs - 1) / programs, 1);
    }
    /// The code of each program; the kernel for copies is in the first. Of several failures the first program's is thrown.
    std::vector<std::string> compiled(const std::vector<kernel_launch>& missing,
                                      bool copies) const {
        const std::size_t each = per_program(missing.size());
        const std::size_t programs = std::max<std::size_t>((missing.size() + each - 1) / each, 1);
        std::vector<std::string> codes(programs);
        std::vector<std::exception_ptr> errors(programs);
        auto make = [&](std::size_t i) {
            try {
                const std::size_t first = i * each, last = std::min(first + each, missing.size());
                const std::string text = program_text(
                    p_, std::span(missing).subspan(first, last - first), copies && i == 0);
                codes[i] = cached(text, device_.limits().architecture, options_, program_name());
            } catch (...) {
                errors[i] = std::current_exception();
            }
        };
        {
            std::vector<std::jthread> others;
            for (std::size_t i = 1; i < programs; ++i) others.emplace_back(make, i);
            make(0);
        }
        for (const auto& e : errors)
            if (e) std::rethrow_exception(e);
        return codes;
    }
    void take(CUmodule from, const std::string& name) {
        CUfunction found = nullptr;
        check(device_.api().cuModuleGetFunction(&found, from, name.c_str()), "cuModuleGetFunction");
        functions_[name] = found;
    }
    /// The user's file, for messages.
    std::string program_name() const {
        return p_.files.empty() ? "a program" : std::string(base_name(p_.text_of(p_.files[0])));
    }
};

}  // namespace etch::cuda

#endif
