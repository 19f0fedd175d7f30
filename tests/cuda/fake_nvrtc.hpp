// SPDX-License-Identifier: MIT
// A table of NVRTC whose "code" is made of the text and the options, and that counts what it compiles.
#pragma once
#include <atomic>
#include <cstring>
#include <string>

#include <etch/expr/model.hpp>

#include <etch/cuda/nvrtc.hpp>

namespace etch_test {

struct fake_program {
    std::string text, options, code;
};

struct fake_state {
    std::atomic<int> compilations{0};
    int major = 13, minor = 0;
    nvrtcResult result = NVRTC_SUCCESS;
    std::string log;
    bool knows_minimal = true;
    std::size_t repeats = 1;           // makes the code longer
    void (*during_compile)() = [] {};  // what else a compilation does
};
inline fake_state fake;

inline fake_program& of(nvrtcProgram p) { return *reinterpret_cast<fake_program*>(p); }

/// The code that the fake makes of a text. Options are those of `options_of`, with a blank after each.
inline std::string fake_code(const std::string& text, const std::string& options) {
    std::string code;
    for (std::size_t i = 0; i < fake.repeats; ++i)
        code += "code " + std::to_string(i) + " of " + text + " with " + options;
    return code;
}

inline nvrtcResult copy_out(char* to, const std::string& from) {
    std::memcpy(to, from.c_str(), from.size());
    return NVRTC_SUCCESS;
}

inline etch::cuda::nvrtc_table fake_nvrtc() {
    etch::cuda::nvrtc_table t;
    t.nvrtcVersion = [](int* major, int* minor) {
        *major = fake.major;
        *minor = fake.minor;
        return NVRTC_SUCCESS;
    };
    t.nvrtcGetErrorString = [](nvrtcResult r) {
        return r == NVRTC_ERROR_COMPILATION ? "NVRTC_ERROR_COMPILATION" : "NVRTC_ERROR_OTHER";
    };
    t.nvrtcGetNumSupportedArchs = [](int* n) {
        *n = 4;
        return NVRTC_SUCCESS;
    };
    t.nvrtcGetSupportedArchs = [](int* all) {
        for (int a : {75, 90, 100, 120}) *all++ = a;
        return NVRTC_SUCCESS;
    };
    t.nvrtcCreateProgram = [](nvrtcProgram* p, const char* text, const char*, int,
                              const char* const*, const char* const*) {
        *p = reinterpret_cast<nvrtcProgram>(new fake_program{text, "", ""});
        return NVRTC_SUCCESS;
    };
    t.nvrtcDestroyProgram = [](nvrtcProgram* p) {
        delete &of(*p);
        *p = nullptr;
        return NVRTC_SUCCESS;
    };
    t.nvrtcCompileProgram = [](nvrtcProgram p, int n, const char* const* options) {
        for (int i = 0; i < n; ++i)
            if (std::strcmp(options[i], "--minimal") == 0 && !fake.knows_minimal)
                return NVRTC_ERROR_INVALID_OPTION;
        for (int i = 0; i < n; ++i) of(p).options += std::string(options[i]) + ' ';
        ++fake.compilations;
        fake.during_compile();
        of(p).code = fake_code(of(p).text, of(p).options);
        return fake.result;
    };
    t.nvrtcGetCUBINSize = [](nvrtcProgram p, std::size_t* n) {
        bool binary = of(p).options.find("=sm_") != std::string::npos;
        *n = binary ? of(p).code.size() : 0;
        return NVRTC_SUCCESS;
    };
    t.nvrtcGetCUBIN = [](nvrtcProgram p, char* to) { return copy_out(to, of(p).code); };
    t.nvrtcGetPTXSize = [](nvrtcProgram p, std::size_t* n) {
        *n = of(p).code.size();
        return NVRTC_SUCCESS;
    };
    t.nvrtcGetPTX = t.nvrtcGetCUBIN;
    t.nvrtcGetProgramLogSize = [](nvrtcProgram, std::size_t* n) {
        *n = fake.log.size() + 1;
        return NVRTC_SUCCESS;
    };
    t.nvrtcGetProgramLog = [](nvrtcProgram, char* to) { return copy_out(to, fake.log + '\0'); };
    return t;
}

/// NVRTC is the fake, in its first state, until it goes.
class with_fake_nvrtc {
public:
    with_fake_nvrtc() {
        fake.compilations = 0;
        fake.major = 13;
        fake.minor = 0;
        fake.result = NVRTC_SUCCESS;
        fake.log.clear();
        fake.knows_minimal = true;
        fake.repeats = 1;
        fake.during_compile = [] {};
        etch::cuda::replace(&table);
    }
    with_fake_nvrtc(const with_fake_nvrtc&) = delete;
    ~with_fake_nvrtc() { etch::cuda::replace<etch::cuda::nvrtc_table>(nullptr); }

private:
    etch::cuda::nvrtc_table table = fake_nvrtc();
};

/// Whether the real NVRTC is here; says that the test is skipped if not.
inline bool have_nvrtc() {
    try {
        etch::cuda::nvrtc();
        return true;
    } catch (const etch::mistake& m) {
        std::printf("etch: skipped: %s\n", m.what());
        return false;
    }
}

}  // namespace etch_test
