// SPDX-License-Identifier: MIT
// The libraries of CUDA, opened when the first function of one is used and never linked: one program runs on machines with
// and without them. A table holds the functions that etch uses of a library, under the names and types of its header.
#pragma once
#include <array>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <etch/graph/mistake.hpp>

#if __has_include(<cuda.h>) && __has_include(<nvrtc.h>)
#include <cuda.h>
#include <dlfcn.h>
#include <nvrtc.h>

namespace etch::cuda {

/// Whether etch was compiled where the headers of CUDA are. Without them there are no tables.
inline constexpr bool built_with_cuda = true;

/// What is known of a library before it is opened. Versions are 1000 * major + 10 * minor, as CUDA counts them.
struct library_row {
    const char* title;     // in sentences
    const char* variable;  // of the environment: names the file, and then no other is tried
    std::array<const char*, 3> files;  // sonames, the newest first
    int minimum;
    const char* remedy;  // completes "please ..."
};

/// "13.0" of 13000.
inline std::string version_text(int version) {
    return std::to_string(version / 1000) + '.' + std::to_string(version % 1000 / 10);
}

namespace detail {

/// The folders that are searched after the dynamic loader's own.
inline std::vector<std::string> folders_of_toolkits() {
    std::vector<std::string> roots{"/usr/local/cuda"}, folders;
    if (const char* home = std::getenv("CUDA_HOME"); home && *home && home != roots[0])
        roots.insert(roots.begin(), home);
    for (const std::string& root : roots)
        for (const char* below : {"/lib64", "/lib"}) folders.push_back(root + below);
    return folders;
}

/// Where a library may lie: names for the dynamic loader, then whole paths.
inline std::vector<std::string> candidates(const library_row& row) {
    if (const char* named = std::getenv(row.variable); named && *named) return {named};
    std::vector<std::string> all;
    for (const char* file : row.files) {
        if (!file) continue;
        all.push_back(file);
        for (const std::string& folder : folders_of_toolkits()) all.push_back(folder + '/' + file);
    }
    return all;
}

/// "libx.so.13 and libx.so.12 through the dynamic loader, /usr/local/cuda/lib64, ..."
inline std::string where_looked(const library_row& row) {
    if (const char* named = std::getenv(row.variable); named && *named)
        return std::string(named) + ", which " + row.variable + " names";
    std::string all;
    for (const char* file : row.files)
        if (file) all += (all.empty() ? "" : " and ") + std::string(file);
    all += " through the dynamic loader";
    for (const std::string& folder : folders_of_toolkits()) all += ", in " + folder;
    return all;
}

/// The file from which a function was loaded; empty if that is not known.
template <class Function> std::string file_of(Function* function) {
    Dl_info found{};
    if (!dladdr(reinterpret_cast<void*>(function), &found) || !found.dli_fname) return "";
    return found.dli_fname;
}

/// Fills the table from an open library. Returns what is wrong with it, or nothing.
template <class Table> std::string fill(Table& table, void* library) {
    std::string missing;
    table.each([&](const char* name, auto& function) {
        void* found = dlsym(library, name);
        if constexpr (requires { Table::older_name(name); })
            if (!found)
                if (const char* older = Table::older_name(name)) found = dlsym(library, older);
        if (!found && missing.empty()) missing = name;
        function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(found);
    });
    if (!missing.empty()) return "has no function " + missing + ", so it is not whole or too old";
    int version = 0;
    if (std::string failure = table.version(version); !failure.empty()) return failure;
    if (version < Table::row.minimum) return "is version " + version_text(version);
    return "";
}

/// Opens the first usable library of the row. Throws one sentence if there is none.
template <class Table> Table open_library() {
    const library_row& row = Table::row;
    std::string wrong;  // with the first file that is there
    for (const std::string& file : candidates(row)) {
        std::string reason;
        if (void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL)) {
            Table table;
            reason = fill(table, library);
            if (reason.empty()) return table;
            // Not closed again: the question for its version may have left threads or exit handlers behind.
            reason = file + ' ' + reason;
        } else {
            const char* said = dlerror();
            reason = said ? said : "";
            // The file itself is missing, not one that it needs.
            if (reason.starts_with(file + ": cannot open shared object file: No such file"))
                reason.clear();
        }
        if (wrong.empty()) wrong = reason;
    }
    std::string text = std::string(row.title) + ' ';
    text += wrong.empty() ? "was not found" : "cannot be used (" + wrong + ')';
    text += "; looked for " + where_looked(row) + "; please " + row.remedy + ", version " +
            version_text(row.minimum) + " or newer, or let " + row.variable + " name the file";
    throw mistake(text);
}

template <class Table> struct opened_library {
    std::mutex guard;
    std::atomic<const Table*> current{nullptr};  // what is called: `real` or a replacement
    Table real{};
    bool ready = false;  // real is filled
};
template <class Table> inline constinit opened_library<Table> opened{};

}  // namespace detail

/// The table of a library, which is opened if this is its first use. Any thread may call it.
/// Throws etch::mistake: the library's name, where it was looked for and what is needed. The next call tries again.
template <class Table> const Table& library() {
    detail::opened_library<Table>& o = detail::opened<Table>;
    if (const Table* t = o.current.load(std::memory_order_acquire)) return *t;
    std::lock_guard lock(o.guard);
    if (const Table* t = o.current.load(std::memory_order_acquire)) return *t;
    if (!o.ready) o.real = detail::open_library<Table>();
    o.ready = true;
    o.current.store(&o.real, std::memory_order_release);
    return o.real;
}

/// Puts another table in the place of the library's, for tests; a null pointer brings the real one back. The table must
/// live as long as it is in use, and no other thread may be calling functions of the library.
template <class Table> void replace(const Table* table) {
    detail::opened_library<Table>& o = detail::opened<Table>;
    std::lock_guard lock(o.guard);
    o.current.store(table ? table : o.ready ? &o.real : nullptr, std::memory_order_release);
}

// A table is a list of names. cuda.h renames many of its functions by macros (cuMemAlloc is cuMemAlloc_v2): members have
// the names after that, and so does what is looked up, because the text is made of the expanded name.
#define ETCH_TEXT(name) #name
#define ETCH_MEMBER(name) decltype(&::name) name = nullptr;
#define ETCH_VISIT(name) visit(ETCH_TEXT(name), name);

#define ETCH_DRIVER(row)                                                                           \
    row(cuInit) row(cuDriverGetVersion) row(cuGetErrorName) row(cuGetErrorString)                  \
        row(cuDeviceGetCount) row(cuDeviceGet) row(cuDeviceGetName) row(cuDeviceGetAttribute)      \
            row(cuDeviceTotalMem) row(cuDevicePrimaryCtxRetain) row(cuDevicePrimaryCtxRelease)     \
                row(cuCtxSetCurrent) row(cuCtxGetCurrent) row(cuMemAlloc) row(cuMemFree) row(      \
                    cuMemGetInfo) row(cuMemHostAlloc) row(cuMemFreeHost) row(cuMemcpyHtoDAsync)    \
                    row(cuMemcpyDtoHAsync) row(cuMemcpyDtoDAsync) row(cuMemsetD8Async)             \
                        row(cuStreamCreate) row(cuStreamDestroy) row(cuStreamSynchronize)          \
                            row(cuStreamQuery) row(cuStreamWaitEvent) row(cuStreamBeginCapture)    \
                                row(cuStreamEndCapture) row(cuGraphInstantiateWithFlags)           \
                                    row(cuGraphLaunch) row(cuGraphExecDestroy) row(cuGraphDestroy) \
                                        row(cuEventCreate) row(cuEventDestroy) row(cuEventRecord)  \
                                            row(cuEventSynchronize) row(cuEventElapsedTime)        \
                                                row(cuModuleLoadData) row(cuModuleUnload)          \
                                                    row(cuModuleGetFunction)                       \
                                                        row(cuFuncSetAttribute)                    \
                                                            row(cuFuncGetAttribute)                \
                                                                row(cuLaunchKernel)

#define ETCH_NVRTC(row)                                                                            \
    row(nvrtcVersion) row(nvrtcGetErrorString) row(nvrtcGetNumSupportedArchs)                      \
        row(nvrtcGetSupportedArchs) row(nvrtcCreateProgram) row(nvrtcDestroyProgram)               \
            row(nvrtcCompileProgram) row(nvrtcGetCUBINSize) row(nvrtcGetCUBIN)                     \
                row(nvrtcGetPTXSize) row(nvrtcGetPTX) row(nvrtcGetProgramLogSize)                  \
                    row(nvrtcGetProgramLog)

/// The functions of the driver that etch uses.
struct driver_table {
    static constexpr library_row row{"the CUDA driver",
                                     "ETCH_CUDA_DRIVER",
                                     {"libcuda.so.1"},
                                     12010,  // arguments of more than 4 KB
                                     "install NVIDIA's driver for CUDA"};
    ETCH_DRIVER(ETCH_MEMBER)

    /// Calls visit(name, pointer) for each function.
    template <class F> void each(F visit) { ETCH_DRIVER(ETCH_VISIT) }

    /// The name by which older drivers have the same function with the same arguments.
    static constexpr const char* older_name(std::string_view name) {
        return name == "cuEventElapsedTime_v2" ? "cuEventElapsedTime" : nullptr;
    }
    /// Returns what is wrong, or nothing.
    std::string version(int& number) const {
        CUresult result = cuDriverGetVersion(&number);
        if (result == CUDA_SUCCESS) return "";
        if (result == CUDA_ERROR_STUB_LIBRARY)
            return "is the toolkit's stub for linking and not a driver";
        return "cannot say its version: CUresult " + std::to_string(static_cast<int>(result));
    }
};

/// The functions of NVRTC, which compiles the text of kernels.
struct nvrtc_table {
    static constexpr library_row row{"NVRTC",
                                     "ETCH_NVRTC",
                                     {"libnvrtc.so.13", "libnvrtc.so.12"},
                                     12010,
                                     "install NVRTC of the CUDA toolkit"};
    ETCH_NVRTC(ETCH_MEMBER)

    /// Calls visit(name, pointer) for each function.
    template <class F>
    void each(F visit){ETCH_NVRTC(ETCH_VISIT)}

    /// Returns what is wrong, or nothing.
    std::string version(int& number) const {
        int major = 0, minor = 0;
        nvrtcResult result = nvrtcVersion(&major, &minor);
        number = 1000 * major + 10 * minor;
        return result == NVRTC_SUCCESS ? "" : "cannot say its version";
    }
};

#undef ETCH_NVRTC
#undef ETCH_DRIVER
#undef ETCH_VISIT
#undef ETCH_MEMBER
#undef ETCH_TEXT

/// The driver's functions; opens the driver on first use (see `library`).
inline const driver_table& driver() { return library<driver_table>(); }
/// NVRTC's functions; opens NVRTC on first use (see `library`).
inline const nvrtc_table& nvrtc() { return library<nvrtc_table>(); }

/// What a failed call of the driver means: `what` was done, the code's name, number and meaning, and, where a driver
/// refuses code that a newer NVRTC made, both versions and what helps. Never throws for want of a library.
inline std::string driver_sentence(CUresult code, std::string_view what) {
    const driver_table* d = detail::opened<driver_table>.current.load(std::memory_order_acquire);
    const nvrtc_table* n = detail::opened<nvrtc_table>.current.load(std::memory_order_acquire);
    const char *name = nullptr, *meaning = nullptr;
    if (d && d->cuGetErrorName) d->cuGetErrorName(code, &name);
    if (d && d->cuGetErrorString) d->cuGetErrorString(code, &meaning);
    std::string text = std::string(driver_table::row.title) + ": " + std::string(what) +
                       " failed with " + (name ? name : "CUresult") + " (" +
                       std::to_string(static_cast<int>(code)) + ')';
    if (meaning) text += std::string(": ") + meaning;
    bool refused = code == CUDA_ERROR_INVALID_IMAGE || code == CUDA_ERROR_NO_BINARY_FOR_GPU ||
                   code == CUDA_ERROR_INVALID_PTX || code == CUDA_ERROR_UNSUPPORTED_PTX_VERSION;
    int have = 0, need = 0;
    if (refused && d && n && d->version(have).empty() && n->version(need).empty() && have < need)
        text += "; the driver is for CUDA " + version_text(have) + " and NVRTC is " +
                version_text(need) + ": please install a driver for CUDA " + version_text(need) +
                " or newer, or let " + nvrtc_table::row.variable + " name an NVRTC of CUDA " +
                version_text(have) + " or older";
    return text;
}

/// One sentence on why no device can be used: no driver, it does not start, it has no device. Empty if one can.
inline std::string unavailable_reason() {
    try {
        const driver_table& d = driver();
        if (CUresult r = d.cuInit(0); r != CUDA_SUCCESS) return driver_sentence(r, "cuInit");
        int devices = 0;
        if (CUresult r = d.cuDeviceGetCount(&devices); r != CUDA_SUCCESS)
            return driver_sentence(r, "cuDeviceGetCount");
        return devices > 0 ? "" : "the CUDA driver has no device";
    } catch (const mistake& m) {
        return m.what();
    }
}

}  // namespace etch::cuda

#else

namespace etch::cuda {
inline constexpr bool built_with_cuda = false;
inline std::string unavailable_reason() {
    return "etch was compiled without CUDA headers: the compiler did not find cuda.h and nvrtc.h; "
           "please install the "
           "CUDA toolkit's headers and compile with their folder on the include path";
}
}  // namespace etch::cuda

#endif

namespace etch::cuda {

/// Whether there is a driver that starts and has a device. Does not throw; `why` receives unavailable_reason().
inline bool driver_available(std::string* why = nullptr) {
    std::string reason = unavailable_reason();
    if (why) *why = reason;
    return reason.empty();
}

}  // namespace etch::cuda
