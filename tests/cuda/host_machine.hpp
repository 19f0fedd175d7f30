// SPDX-License-Identifier: MIT
// What the functions of tests/cuda/host_device.hpp share: the state of a machine with CUDA devices
// that are not there, the list of calls, and calls that are told to fail.
#pragma once
#include <cstdarg>
#include <cstdio>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "cuda/host_library.hpp"
#include "cuda/host_memory.hpp"
#include "cuda/host_streams.hpp"

namespace host_device {

/// What a machine has and does.
struct settings {
    int devices = 1;
    int capability = 90;  // 10 * major + minor
    int processors = 132;
    std::size_t memory = std::size_t{16} << 30;  // of a device, in bytes
    int version = 99000;      // of driver and NVRTC, as no real one says it: caches tell them apart
    bool run_kernels = true;  // false: launches are only recorded, nothing is compiled
    bool deferred = false;    // work runs when it is waited for
    unsigned seed = 0;        // of the order of threads, blocks and warps; see tests/cuda/shim.hpp
    std::set<int> refused = {};    // cublasLtEpilogue_t for which cuBLASLt has no algorithm
    std::size_t workspace = 4096;  // that each product takes
    build_options build = {};
};

struct function {
    std::string name;
    host_kernel kernel;
    bool loaded = true;
};
struct module {
    int number = 0;
    std::string text;
    std::map<std::string, std::shared_ptr<function>, std::less<>> functions;
};

/// Compiled texts, for all devices of a test program.
inline host_library& texts() {
    static host_library all;
    return all;
}

class machine {
public:
    explicit machine(const settings& s) : options(s) { work_queues.deferred = s.deferred; }

    settings options;
    std::recursive_mutex guard;
    std::vector<std::string> calls, problems;
    memory_registry memory;
    queues work_queues;
    handles<module> modules;
    std::map<int, stream*> null_streams;
    unsigned launches = 0;
    int others = 0;  // objects of NVRTC and cuBLASLt that are not destroyed

    /// What a test must see: said at once, and kept.
    void problem(const std::string& text) {
        std::fprintf(stderr, "host device: %s\n", text.c_str());
        problems.push_back(text);
    }

    // ---- calls that fail ------------------------------------------------------------------------
    struct failure {
        std::string name;
        int code, after;
    };
    std::vector<failure> failures;
    /// The code that this call was told to answer; 0 for none.
    int told_to_fail(std::string_view name) {
        int code = 0;
        for (auto f = failures.begin(); f != failures.end();) {
            if (f->name == name && --f->after == 0) {
                code = f->code;
                f = failures.erase(f);
            } else {
                ++f;
            }
        }
        return code;
    }

    // ---- contexts: each device's own, the same for all machines ---------------------------------
    static CUcontext context(int device) {
        static char places[64];
        return reinterpret_cast<CUcontext>(places + device);
    }
    static CUcontext& current() {
        static thread_local CUcontext of_thread = nullptr;
        return of_thread;
    }
    /// The device of the thread's context; -1 for none.
    int device() const {
        for (int i = 0; i < options.devices; ++i)
            if (current() == context(i)) return i;
        return -1;
    }

    /// The stream of a handle, on the current device; null where it is not one.
    stream* stream_of(CUstream handle) {
        std::lock_guard lock(guard);
        if (handle) return work_queues.streams.find(handle);
        stream*& null = null_streams[device()];
        if (!null) {
            null = &all_null_streams.emplace_back();
            null->device = device();
        }
        return null;
    }

    std::string leaks() const {
        std::string all =
            memory.remaining() + work_queues.streams.remaining("stream") +
            work_queues.events.remaining("event") + work_queues.graphs.remaining("graph") +
            work_queues.executables.remaining("executable graph") + modules.remaining("module");
        if (others != 0) all += std::to_string(others) + " objects of NVRTC or cuBLASLt\n";
        return all;
    }

private:
    std::deque<stream> all_null_streams;
};

inline machine* now = nullptr;  // the one whose functions are in the tables

/// Stands at the beginning of each function: locks the machine, keeps the call, and knows whether
/// it must fail.
class call {
public:
    enum needs { nothing, context };
    call(const char* name, const std::string& arguments, needs what = context) : lock_(now->guard) {
        now->calls.push_back(name + (arguments.empty() ? "" : " " + arguments));
        code = now->told_to_fail(name);
        told = code != 0;
        if (told || what == nothing) return;
        if (now->device() < 0) code = CUDA_ERROR_INVALID_CONTEXT;
        if (now->work_queues.fault != CUDA_SUCCESS) code = now->work_queues.fault;
    }
    int code = 0;
    bool told = false;  // to fail
    template <class Result> Result as() const { return static_cast<Result>(code); }
    CUresult result() const { return as<CUresult>(); }

private:
    std::lock_guard<std::recursive_mutex> lock_;
};

inline std::string number(auto n) { return std::to_string(n); }
inline std::string name_of(const stream* s) { return "stream " + (s ? number(s->number) : "?"); }
inline std::string name_of(CUdeviceptr address) {
    std::lock_guard lock(now->guard);
    return now->memory.name(address);
}
inline std::string name_of(const void* address) {
    return name_of(reinterpret_cast<CUdeviceptr>(address));
}

}  // namespace host_device
