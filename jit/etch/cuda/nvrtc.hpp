// SPDX-License-Identifier: MIT
// The text of kernels to code for a device, by NVRTC.
#pragma once
#include <algorithm>
#include <cstdio>
#include <locale.h>
#include <string>
#include <string_view>
#include <vector>

#include <etch/cuda/kernel.hpp>
#include <etch/cuda/libraries.hpp>

#if __has_include(<cuda.h>) && __has_include(<nvrtc.h>)

namespace etch::cuda {

/// What NVRTC made: code that cuModuleLoadData takes (a CUBIN, or PTX for a device that is newer than NVRTC), and what
/// it had to say.
struct compiled {
    std::string cubin;
    std::string log;
};

namespace detail {

/// "NVRTC 13.0 (/usr/local/cuda/lib64/libnvrtc.so.13)"
inline std::string name_of_nvrtc() {
    int version = 0;
    nvrtc().version(version);
    std::string file = file_of(nvrtc().nvrtcVersion);
    return "NVRTC " + version_text(version) + (file.empty() ? "" : " (" + file + ')');
}

/// "9.0" of 90, as NVIDIA writes compute capabilities.
inline std::string capability_text(int architecture) {
    return std::to_string(architecture / 10) + '.' + std::to_string(architecture % 10);
}

/// What the option for the architecture says: the device's own where NVRTC knows it, else the newest older one as PTX,
/// which the driver compiles on. Throws a sentence where there is none.
inline std::string target_of(int architecture) {
    int count = 0;
    if (nvrtc().nvrtcGetNumSupportedArchs(&count) != NVRTC_SUCCESS) count = 0;
    std::vector<int> known(static_cast<std::size_t>(std::max(count, 0)), 0);
    if (known.empty() || nvrtc().nvrtcGetSupportedArchs(known.data()) != NVRTC_SUCCESS)
        throw mistake(name_of_nvrtc() + " does not say for which devices it compiles; please "
                                        "reinstall it or let ETCH_NVRTC name another");
    int newest = 0;
    for (int a : known) {
        if (a == architecture) return "sm_" + std::to_string(a);
        if (a < architecture) newest = std::max(newest, a);
    }
    if (newest > 0) return "compute_" + std::to_string(newest);
    throw mistake(name_of_nvrtc() + " compiles for devices of compute capability " +
                  capability_text(*std::min_element(known.begin(), known.end())) +
                  " or newer, and this one has " + capability_text(architecture) +
                  "; please install an older NVRTC and let ETCH_NVRTC name it");
}

inline constexpr std::string_view minimal_option = "--minimal";

/// The options of a compilation, which belong to the key of the cache. Throws what target_of throws.
inline std::vector<std::string> options_of(int architecture, const emit_options& options) {
    std::vector<std::string> all{"--gpu-architecture=" + target_of(architecture), "--std=c++17",
                                 "-default-device", "--fmad=true"};
    if (options.fast_math) all.push_back("--use_fast_math");
    if (options.report) all.push_back("--ptxas-options=-v");
    // No declarations that no text of etch uses: a quarter of the time of a small program.
    all.push_back(std::string(minimal_option));
    return all;
}

/// The text with a number before each line, as compilers count them.
inline std::string numbered(std::string_view text) {
    std::string all;
    for (int line = 1; !text.empty(); ++line) {
        std::size_t end = std::min(text.find('\n'), text.size());
        char number[16];
        std::snprintf(number, sizeof number, "%5d  ", line);
        all.append(number).append(text.substr(0, end)).push_back('\n');
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return all;
}

/// Whether a switch of the environment is on: set, and neither empty nor 0.
inline bool switched_on(const char* variable) {
    const char* value = std::getenv(variable);
    return value && *value && std::string_view(value) != "0";
}

/// With ETCH_PRINT_KERNELS=1 the text goes to stderr. what: "compiled" or "loaded".
inline void print_kernels(std::string_view text, std::string_view program_name, int architecture,
                          const char* what) {
    if (!switched_on("ETCH_PRINT_KERNELS")) return;
    std::string all = "// etch: kernels of " + std::string(program_name) + ", " + what +
                      " for sm_" + std::to_string(architecture) + '\n';
    all.append(text);
    if (!all.ends_with('\n')) all += '\n';
    std::fwrite(all.data(), 1, all.size(), stderr);  // in one piece, as other threads print too
}

/// NVRTC before 12.6.2 changes the locale of the thread that compiles.
struct locale_kept {
    locale_t before = uselocale(static_cast<locale_t>(nullptr));
    locale_kept() = default;
    locale_kept(const locale_kept&) = delete;
    ~locale_kept() { uselocale(before); }
};

/// One program of NVRTC.
class nvrtc_program {
public:
    nvrtc_program(const std::string& text, const std::string& name) {
        result =
            nvrtc().nvrtcCreateProgram(&handle, text.c_str(), name.c_str(), 0, nullptr, nullptr);
    }
    nvrtc_program(const nvrtc_program&) = delete;
    ~nvrtc_program() {
        if (handle) nvrtc().nvrtcDestroyProgram(&handle);
    }
    void compile(const std::vector<std::string>& options) {
        if (result != NVRTC_SUCCESS) return;
        std::vector<const char*> words;
        for (const std::string& option : options) words.push_back(option.c_str());
        locale_kept keep;
        result = nvrtc().nvrtcCompileProgram(handle, static_cast<int>(words.size()), words.data());
    }
    /// What get_size and get tell of the program.
    template <class GetSize, class Get> std::string read(GetSize get_size, Get get) {
        std::size_t size = 0;
        if (!handle || get_size(handle, &size) != NVRTC_SUCCESS || size == 0) return "";
        std::string all(size, '\0');
        return get(handle, all.data()) == NVRTC_SUCCESS ? all : "";
    }
    /// The log without the end that C strings have, nor empty lines there.
    std::string log() {
        std::string all = read(nvrtc().nvrtcGetProgramLogSize, nvrtc().nvrtcGetProgramLog);
        while (!all.empty() && (all.back() == '\0' || all.back() == '\n')) all.pop_back();
        return all;
    }
    nvrtcResult result = NVRTC_SUCCESS;

private:
    nvrtcProgram handle = nullptr;
};

/// The program after NVRTC tried it: once, or twice where this NVRTC is too old for --minimal.
inline void compile_with(nvrtc_program& program, std::vector<std::string> options) {
    program.compile(options);
    if (program.result != NVRTC_ERROR_INVALID_OPTION) return;
    std::erase(options, minimal_option);
    program.result = NVRTC_SUCCESS;
    program.compile(options);
}

[[noreturn]] inline void refuse(nvrtc_program& program, std::string_view text,
                                std::string_view program_name, const std::string& target) {
    const char* said = nvrtc().nvrtcGetErrorString(program.result);
    std::string name = said ? said : "nvrtcResult " + std::to_string(program.result);
    std::string log = program.log();
    if (program.result == NVRTC_ERROR_BUILTIN_OPERATION_FAILURE)
        throw mistake(name_of_nvrtc() + " cannot compile (" + name + ": " + log +
                      "); its libnvrtc-builtins must lie beside it: please reinstall NVRTC, or let "
                      "ETCH_NVRTC name a whole one");
    std::string all = name_of_nvrtc() + " could not compile the kernels of " +
                      std::string(program_name) + " for " + target + ": " + name;
    if (!log.empty()) all += '\n' + log;
    if (program.result == NVRTC_ERROR_COMPILATION) all += "\nthe text:\n" + numbered(text);
    throw mistake(all);
}

}  // namespace detail

/// Compiles CUDA C++ text that includes no header for a device of this architecture (10 * major + minor of its compute
/// capability). program_name stands in messages. Any number of threads may compile at once.
/// Throws etch::mistake: what `library` and the choice of the architecture say, or NVRTC's log and the text with the
/// numbers of its lines.
inline compiled compile(std::string_view text, int architecture, const emit_options& options,
                        std::string_view program_name) {
    std::vector<std::string> all = detail::options_of(architecture, options);
    std::string target = all[0].substr(all[0].find('=') + 1);
    detail::print_kernels(text, program_name, architecture, "compiled");
    detail::nvrtc_program program{std::string(text), std::string(program_name)};
    detail::compile_with(program, all);
    if (program.result != NVRTC_SUCCESS) detail::refuse(program, text, program_name, target);
    const nvrtc_table& n = nvrtc();
    bool binary = target.starts_with("sm_");
    compiled made{binary ? program.read(n.nvrtcGetCUBINSize, n.nvrtcGetCUBIN)
                         : program.read(n.nvrtcGetPTXSize, n.nvrtcGetPTX),
                  program.log()};
    if (made.cubin.empty())
        throw mistake(detail::name_of_nvrtc() + " made no code of the kernels of " +
                      std::string(program_name) + " for " + target);
    return made;
}

}  // namespace etch::cuda

#endif
