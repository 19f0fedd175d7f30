// SPDX-License-Identifier: MIT
// NVRTC of tests/cuda/host_device.hpp: its code is the text itself, behind a line that tells for
// which architecture it was "compiled".
#pragma once
#include "cuda/every_architecture.hpp"
#include "cuda/host_execution.hpp"

namespace host_device::nvrtc {

struct program {
    std::string text, code, log;
};
inline program& of(nvrtcProgram p) { return *reinterpret_cast<program*>(p); }

inline nvrtcResult version(int* major, int* minor) {
    call c("nvrtcVersion", "", call::nothing);
    *major = now->options.version / 1000;
    *minor = now->options.version % 1000 / 10;
    return c.as<nvrtcResult>();
}
inline const char* error_string(nvrtcResult r) {
    return r == NVRTC_SUCCESS                ? "NVRTC_SUCCESS"
           : r == NVRTC_ERROR_COMPILATION    ? "NVRTC_ERROR_COMPILATION"
           : r == NVRTC_ERROR_INVALID_OPTION ? "NVRTC_ERROR_INVALID_OPTION"
                                             : "NVRTC_ERROR unknown";
}
inline constexpr int architectures[] = {75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121};
inline nvrtcResult architecture_count(int* count) {
    *count = static_cast<int>(std::size(architectures));
    return NVRTC_SUCCESS;
}
inline nvrtcResult supported_architectures(int* all) {
    std::copy(std::begin(architectures), std::end(architectures), all);
    return NVRTC_SUCCESS;
}
inline nvrtcResult create(nvrtcProgram* p, const char* text, const char* name, int headers,
                          const char* const*, const char* const*) {
    call c("nvrtcCreateProgram", name ? name : "", call::nothing);
    if (c.code) return c.as<nvrtcResult>();
    if (headers != 0) return NVRTC_ERROR_INVALID_INPUT;
    *p = reinterpret_cast<nvrtcProgram>(new program{text, "", ""});
    ++now->others;
    return NVRTC_SUCCESS;
}
inline nvrtcResult destroy(nvrtcProgram* p) {
    call c("nvrtcDestroyProgram", "", call::nothing);
    if (!*p) return NVRTC_ERROR_INVALID_PROGRAM;
    delete &of(*p);
    *p = nullptr;
    --now->others;
    return c.as<nvrtcResult>();
}
/// In texts of etch, and not in those of tests of the device itself.
inline constexpr std::string_view etch_kernels = "// ---- kernels\n";
inline nvrtcResult compile(nvrtcProgram p, int count, const char* const* options) {
    std::string all;
    for (int i = 0; i < count; ++i) all += (i > 0 ? " " : "") + std::string(options[i]);
    call c("nvrtcCompileProgram", all, call::nothing);
    of(p).log = c.code ? "this compilation was told to fail" : "";
    if (c.code) return c.as<nvrtcResult>();
    std::string target;
    for (std::string_view begin : {"--gpu-architecture=sm_", "--gpu-architecture=compute_"})
        if (auto at = all.find(begin); at != all.npos) {
            at += std::string_view("--gpu-architecture=").size();
            target = all.substr(at, all.find(' ', at) - at);
        }
    if (target.empty()) return NVRTC_ERROR_INVALID_OPTION;
    if (target.starts_with("sm_")) target = target.substr(3);
    of(p).code = std::string(driver::image_begin) + target + '\n' + of(p).text;
#ifndef ETCH_GPU_BENCH_FAKE
    // What the host runs must be what a device could run.
    if (of(p).text.find(etch_kernels) != std::string::npos)
        for (int architecture : checked_architectures)
            if (std::string said = nvrtc_complaint(of(p).text, architecture); !said.empty()) {
                static std::mutex guard;
                std::lock_guard lock(guard);
                now->problem("NVRTC: " + said);
            }
#endif
    return NVRTC_SUCCESS;
}
inline nvrtcResult code_size(nvrtcProgram p, std::size_t* bytes) {
    const std::string& code = of(p).code;
    const bool virtual_only = code.find("compute_") < code.find('\n');
    *bytes = virtual_only ? 0 : code.size();
    return NVRTC_SUCCESS;
}
inline nvrtcResult ptx_size(nvrtcProgram p, std::size_t* bytes) {
    *bytes = of(p).code.size();
    return NVRTC_SUCCESS;
}
inline nvrtcResult code(nvrtcProgram p, char* to) {
    std::copy(of(p).code.begin(), of(p).code.end(), to);
    return NVRTC_SUCCESS;
}
inline nvrtcResult log_size(nvrtcProgram p, std::size_t* bytes) {
    *bytes = of(p).log.size() + 1;
    return NVRTC_SUCCESS;
}
inline nvrtcResult log(nvrtcProgram p, char* to) {
    std::memcpy(to, of(p).log.c_str(), of(p).log.size() + 1);
    return NVRTC_SUCCESS;
}

inline etch::cuda::nvrtc_table table() {
    etch::cuda::nvrtc_table t;
    t.nvrtcVersion = version;
    t.nvrtcGetErrorString = error_string;
    t.nvrtcGetNumSupportedArchs = architecture_count;
    t.nvrtcGetSupportedArchs = supported_architectures;
    t.nvrtcCreateProgram = create;
    t.nvrtcDestroyProgram = destroy;
    t.nvrtcCompileProgram = compile;
    t.nvrtcGetCUBINSize = code_size;
    t.nvrtcGetCUBIN = code;
    t.nvrtcGetPTXSize = ptx_size;
    t.nvrtcGetPTX = code;
    t.nvrtcGetProgramLogSize = log_size;
    t.nvrtcGetProgramLog = log;
    return t;
}

}  // namespace host_device::nvrtc
