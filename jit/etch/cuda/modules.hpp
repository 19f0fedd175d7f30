// SPDX-License-Identifier: MIT
// The kernels of a program that are loaded on its device. What a call needs is compiled together, what is there already
// is not compiled again.
#pragma once
#include <map>
#include <set>
#include <string>
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
        if (missing.empty() && (!copies || functions_.contains(copy_name))) return;
        const std::string text = program_text(p_, missing, options_);
        const std::string code =
            cached(text, device_.limits().architecture, options_, program_name());
        CUmodule loaded = nullptr;
        check(device_.api().cuModuleLoadData(&loaded, code.data()), "cuModuleLoadData");
        modules_.push_back(loaded);
        for (const kernel_launch& l : missing) take(loaded, l.name);
        if (copies && !functions_.contains(copy_name)) take(loaded, copy_name);
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
