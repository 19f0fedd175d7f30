// SPDX-License-Identifier: MIT
// The real NVRTC on the texts that tests run on the host: each must compile for the architectures that etch is made for,
// with no register spilled to memory. What was found right is remembered beside the host's kernels (host_library.hpp).
#pragma once
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include <etch/cuda/nvrtc.hpp>

#include "cuda/host_library.hpp"

namespace host_device {

inline constexpr int checked_architectures[] = {80, 90, 100, 120};

namespace detail {

/// NVRTC itself, whatever stands in its place; none where it is not installed, where what a sanitizer needs is loaded, or
/// with ETCH_TEST_NVRTC=0.
inline const etch::cuda::nvrtc_table* real_nvrtc() {
    static const std::optional<etch::cuda::nvrtc_table> opened =
        []() -> std::optional<etch::cuda::nvrtc_table> {
        const char* wanted = std::getenv("ETCH_TEST_NVRTC");
        if (std::getenv("ETCH_TEST_SANITIZE") || (wanted && std::string_view(wanted) == "0"))
            return {};
        try {
            return etch::cuda::detail::open_library<etch::cuda::nvrtc_table>();
        } catch (const etch::mistake&) {
            return {};
        }
    }();
    return opened ? &*opened : nullptr;
}
/// Kernels that may spill so many bytes, by the words in their names: around calls of functions for wide division and of
/// exp in double precision, where ptxas keeps a register or two.
inline constexpr struct {
    std::string_view words;
    int bytes;
} known_spills[] = {{"etch_checked_index_exp_", 8},      {"etch_max_subtract_exp_", 4},
                    {"etch_sum_argmax_max_", 4},         {"etch_sum_divide_max_", 4},
                    {"etch_multiply_add_remainder_", 8}, {"etch_remainder_add_checked_index_", 4}};

/// What ptxas says of a kernel that spills more than it may.
inline std::string spills_in(const std::string& log) {
    const std::string_view of = "Function properties for ", spilled = " bytes spill stores";
    std::size_t kernels = 0;
    for (auto at = log.find(spilled); at != log.npos; at = log.find(spilled, at + 1), ++kernels) {
        const auto number = log.find_last_of(' ', at - 1) + 1, named = log.rfind(of, at);
        const auto name = named == log.npos ? 0 : named + of.size();
        int allowed = 0;
        for (const auto& k : known_spills)
            if (log.compare(name, k.words.size(), k.words) == 0) allowed = k.bytes;
        if (std::atoi(log.c_str() + number) > allowed)
            return "registers are spilled: " + log.substr(name, log.find('\n', at) - name);
    }
    return kernels > 0 ? "" : "the log says nothing of registers: " + log;
}
inline std::string compile_with_nvrtc(const etch::cuda::nvrtc_table& n, const std::string& text,
                                      const std::vector<std::string>& options) {
    nvrtcProgram program = nullptr;
    if (n.nvrtcCreateProgram(&program, text.c_str(), "test", 0, nullptr, nullptr) != NVRTC_SUCCESS)
        return "nvrtcCreateProgram failed";
    std::vector<const char*> words;
    for (const std::string& o : options) words.push_back(o.c_str());
    nvrtcResult result = NVRTC_SUCCESS;
    {
        etch::cuda::detail::locale_kept keep;
        result = n.nvrtcCompileProgram(program, static_cast<int>(words.size()), words.data());
    }
    std::size_t size = 0;
    n.nvrtcGetProgramLogSize(program, &size);
    std::string log(size, '\0');
    n.nvrtcGetProgramLog(program, log.data());
    while (!log.empty() && log.back() == '\0') log.pop_back();
    n.nvrtcDestroyProgram(&program);
    if (result != NVRTC_SUCCESS) return n.nvrtcGetErrorString(result) + ("\n" + log);
    return spills_in(log);
}

}  // namespace detail

/// What NVRTC has against the text; nothing where it is content, or not there. Any thread may ask.
inline std::string nvrtc_complaint(const std::string& text, int architecture,
                                   bool fast_math = false) {
    const etch::cuda::nvrtc_table* n = detail::real_nvrtc();
    if (!n) return "";
    int version = 0;
    n->version(version);
    std::vector<std::string> options{"--gpu-architecture=sm_" + std::to_string(architecture),
                                     "--std=c++17",
                                     "-default-device",
                                     "--fmad=true",
                                     "--ptxas-options=-v",
                                     "--minimal"};
    if (fast_math) options.push_back("--use_fast_math");
    std::string key = text + std::to_string(version);
    for (const std::string& o : options) key += o;
    const auto right = detail::folder() / ("nvrtc_" + detail::hash_text(key));
    if (std::filesystem::exists(right)) {
        std::error_code ignored;
        std::filesystem::last_write_time(right, std::filesystem::file_time_type::clock::now(),
                                         ignored);
        return "";
    }
    std::string said = detail::compile_with_nvrtc(*n, text, options);
    if (!said.empty()) return "sm_" + std::to_string(architecture) + ": " + said;
    std::ofstream(right) << "";
    return "";
}

}  // namespace host_device
