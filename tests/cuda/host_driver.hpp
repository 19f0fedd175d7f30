// SPDX-License-Identifier: MIT
// The driver of tests/cuda/host_device.hpp: each function as cuda.h describes it, on the host.
#pragma once
#include <cstring>

#include <etch/cuda/libraries.hpp>

#include "cuda/host_machine.hpp"

namespace host_device::driver {

// ---- devices and contexts -----------------------------------------------------------------------

inline CUresult init(unsigned) { return call("cuInit", "", call::nothing).result(); }
inline CUresult driver_version(int* version) {
    call c("cuDriverGetVersion", "", call::nothing);
    *version = now->options.version;
    return c.result();
}
inline const char* text_of(CUresult code, bool name) {
    switch (code) {
    case CUDA_SUCCESS: return name ? "CUDA_SUCCESS" : "no error";
    case CUDA_ERROR_INVALID_VALUE: return name ? "CUDA_ERROR_INVALID_VALUE" : "invalid argument";
    case CUDA_ERROR_OUT_OF_MEMORY: return name ? "CUDA_ERROR_OUT_OF_MEMORY" : "out of memory";
    case CUDA_ERROR_INVALID_HANDLE:
        return name ? "CUDA_ERROR_INVALID_HANDLE" : "invalid resource handle";
    case CUDA_ERROR_INVALID_CONTEXT:
        return name ? "CUDA_ERROR_INVALID_CONTEXT" : "invalid device context";
    case CUDA_ERROR_ILLEGAL_ADDRESS:
        return name ? "CUDA_ERROR_ILLEGAL_ADDRESS" : "an illegal memory access was encountered";
    case CUDA_ERROR_MISALIGNED_ADDRESS:
        return name ? "CUDA_ERROR_MISALIGNED_ADDRESS" : "misaligned address";
    case CUDA_ERROR_LAUNCH_FAILED:
        return name ? "CUDA_ERROR_LAUNCH_FAILED" : "unspecified launch failure";
    case CUDA_ERROR_LAUNCH_TIMEOUT:
        return name ? "CUDA_ERROR_LAUNCH_TIMEOUT" : "the launch timed out and was terminated";
    case CUDA_ERROR_NO_BINARY_FOR_GPU:
        return name ? "CUDA_ERROR_NO_BINARY_FOR_GPU"
                    : "no kernel image is available for execution on the device";
    case CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES:
        return name ? "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES"
                    : "too many resources requested for launch";
    default: return name ? "CUDA_ERROR_UNKNOWN" : "unknown error";
    }
}
inline CUresult error_name(CUresult code, const char** text) {
    *text = text_of(code, true);
    return CUDA_SUCCESS;
}
inline CUresult error_string(CUresult code, const char** text) {
    *text = text_of(code, false);
    return CUDA_SUCCESS;
}
inline CUresult device_count(int* count) {
    call c("cuDeviceGetCount", "", call::nothing);
    *count = c.code == 0 ? now->options.devices : 0;
    return c.result();
}
inline CUresult device_get(CUdevice* device, int index) {
    call c("cuDeviceGet", number(index), call::nothing);
    if (c.code) return c.result();
    if (index < 0 || index >= now->options.devices) return CUDA_ERROR_INVALID_DEVICE;
    *device = index;
    return CUDA_SUCCESS;
}
inline CUresult device_name(char* text, int length, CUdevice device) {
    call c("cuDeviceGetName", number(device), call::nothing);
    std::snprintf(text, static_cast<std::size_t>(length), "host device");
    return c.result();
}
inline CUresult device_attribute(int* value, CUdevice_attribute which, CUdevice device) {
    call c("cuDeviceGetAttribute", number(static_cast<int>(which)), call::nothing);
    if (c.code) return c.result();
    if (device < 0 || device >= now->options.devices) return CUDA_ERROR_INVALID_DEVICE;
    switch (which) {
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *value = now->options.capability / 10; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *value = now->options.capability % 10; break;
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *value = now->options.processors; break;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK: *value = 48 * 1024; break;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: *value = 227 * 1024; break;
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *value = 1024; break;
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR: *value = 2048; break;
    case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK: *value = 65536; break;
    case CU_DEVICE_ATTRIBUTE_WARP_SIZE: *value = 32; break;
    case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE: *value = 50 << 20; break;
    default: return CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
}
inline CUresult total_memory(std::size_t* bytes, CUdevice device) {
    call c("cuDeviceTotalMem", number(device), call::nothing);
    *bytes = now->options.memory;
    return c.result();
}
inline CUresult retain(CUcontext* context, CUdevice device) {
    call c("cuDevicePrimaryCtxRetain", number(device), call::nothing);
    if (c.code) return c.result();
    if (device < 0 || device >= now->options.devices) return CUDA_ERROR_INVALID_DEVICE;
    *context = machine::context(device);
    return CUDA_SUCCESS;
}
inline CUresult release(CUdevice device) {
    return call("cuDevicePrimaryCtxRelease", number(device), call::nothing).result();
}
inline CUresult set_current(CUcontext context) {
    call c("cuCtxSetCurrent", context ? "" : "none", call::nothing);
    if (c.code == 0) machine::current() = context;
    return c.result();
}
inline CUresult get_current(CUcontext* context) {
    call c("cuCtxGetCurrent", "", call::nothing);
    *context = machine::current();
    return c.result();
}

// ---- memory -------------------------------------------------------------------------------------

inline CUresult allocate(CUdeviceptr* address, std::size_t bytes) {
    call c("cuMemAlloc", number(bytes));
    if (c.code) return c.result();
    if (CUresult r = now->work_queues.refuse_in_capture(); r != CUDA_SUCCESS) return r;
    if (bytes == 0) return CUDA_ERROR_INVALID_VALUE;
    const int device = now->device();
    if (bytes > now->options.memory - now->memory.used(device)) return CUDA_ERROR_OUT_OF_MEMORY;
    void* made = now->memory.allocate(memory_kind::device, bytes, device);
    *address = reinterpret_cast<CUdeviceptr>(made);
    return made ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}
inline CUresult free_block(memory_kind kind, std::uintptr_t address, CUresult before) {
    if (CUresult r = now->work_queues.refuse_in_capture(); r != CUDA_SUCCESS) return r;
    now->work_queues.drain_all();
    if (std::string text = now->memory.overwritten(); !text.empty()) now->problem(text);
    if (address == 0 || now->memory.release(kind, address)) return before;
    now->problem("memory is freed that was not allocated, or twice");
    return CUDA_ERROR_INVALID_VALUE;
}
// As all that gives something back, these do so after a fault as well.
inline CUresult free(CUdeviceptr address) {
    call c("cuMemFree", name_of(address));
    return free_block(memory_kind::device, address, c.result());
}
inline CUresult memory_info(std::size_t* free, std::size_t* total) {
    call c("cuMemGetInfo", "");
    *total = now->options.memory;
    *free = c.code ? 0 : *total - now->memory.used(now->device());
    return c.result();
}
inline CUresult host_allocate(void** address, std::size_t bytes, unsigned) {
    call c("cuMemHostAlloc", number(bytes));
    if (c.code) return c.result();
    if (CUresult r = now->work_queues.refuse_in_capture(); r != CUDA_SUCCESS) return r;
    if (bytes == 0) return CUDA_ERROR_INVALID_VALUE;
    *address = now->memory.allocate(memory_kind::pinned, bytes, now->device());
    return *address ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}
inline CUresult host_free(void* address) {
    call c("cuMemFreeHost", name_of(address));
    return free_block(memory_kind::pinned, reinterpret_cast<std::uintptr_t>(address), c.result());
}

/// Whether the bytes lie in one block of a device; says it where they do not.
inline bool is_inside(const char* what, CUdeviceptr address, std::size_t bytes) {
    const memory_block* b = now->memory.find(address, bytes);
    if (b && b->kind == memory_kind::device) return true;
    now->problem(std::string(what) + ": " + number(bytes) + " bytes at " + name_of(address) +
                 " do not lie in a block of a device");
    return false;
}
enum class side { to_device, to_host };
inline CUresult copy(const char* name, CUdeviceptr device, void* host, std::size_t bytes,
                     CUstream handle, side where) {
    stream* s = now->stream_of(handle);
    const bool to_host = where == side::to_host;
    const std::string ends = to_host ? name_of(host) + " from " + name_of(device)
                                     : name_of(device) + " from " + name_of(host);
    call c(name, ends + ", " + number(bytes) + " bytes, " + name_of(s));
    if (c.code) return c.result();
    if (!s) return CUDA_ERROR_INVALID_HANDLE;
    if (!is_inside(name, device, bytes)) return CUDA_ERROR_INVALID_VALUE;
    const bool pinned = now->memory.find(reinterpret_cast<std::uintptr_t>(host), bytes) != nullptr;
    if (!pinned && s->captured)
        return queues::invalidate(*s->captured, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    // What is not pinned has been read when the call returns, or was waited for.
    std::vector<unsigned char> kept;
    if (!pinned && !to_host)
        kept.assign(static_cast<unsigned char*>(host), static_cast<unsigned char*>(host) + bytes);
    CUresult r = now->work_queues.put(*s, [=, kept = std::move(kept)] {
        if (!is_inside(name, device, bytes)) return CUDA_ERROR_ILLEGAL_ADDRESS;
        void* block = reinterpret_cast<void*>(device);
        std::memcpy(to_host ? host : block,
                    to_host        ? block
                    : kept.empty() ? host
                                   : kept.data(),
                    bytes);
        return CUDA_SUCCESS;
    });
    if (!pinned && to_host) now->work_queues.drain(*s);
    return r;
}
inline CUresult copy_to_device(CUdeviceptr to, const void* from, std::size_t bytes, CUstream s) {
    return copy("cuMemcpyHtoDAsync", to, const_cast<void*>(from), bytes, s, side::to_device);
}
inline CUresult copy_to_host(void* to, CUdeviceptr from, std::size_t bytes, CUstream s) {
    return copy("cuMemcpyDtoHAsync", from, to, bytes, s, side::to_host);
}
inline CUresult copy_on_device(CUdeviceptr to, CUdeviceptr from, std::size_t bytes,
                               CUstream handle) {
    stream* s = now->stream_of(handle);
    call c("cuMemcpyDtoDAsync",
           name_of(to) + " from " + name_of(from) + ", " + number(bytes) + " bytes, " + name_of(s));
    if (c.code) return c.result();
    if (!s) return CUDA_ERROR_INVALID_HANDLE;
    auto inside = [=] {
        return is_inside("cuMemcpyDtoDAsync", to, bytes) &&
               is_inside("cuMemcpyDtoDAsync", from, bytes);
    };
    if (!inside()) return CUDA_ERROR_INVALID_VALUE;
    return now->work_queues.put(*s, [=] {
        if (!inside()) return CUDA_ERROR_ILLEGAL_ADDRESS;
        std::memmove(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from), bytes);
        return CUDA_SUCCESS;
    });
}
inline CUresult fill(CUdeviceptr to, unsigned char byte, std::size_t bytes, CUstream handle) {
    stream* s = now->stream_of(handle);
    call c("cuMemsetD8Async",
           name_of(to) + ", " + number(int{byte}) + ", " + number(bytes) + " bytes, " + name_of(s));
    if (c.code) return c.result();
    if (!s) return CUDA_ERROR_INVALID_HANDLE;
    if (!is_inside("cuMemsetD8Async", to, bytes)) return CUDA_ERROR_INVALID_VALUE;
    return now->work_queues.put(*s, [=] {
        if (!is_inside("cuMemsetD8Async", to, bytes)) return CUDA_ERROR_ILLEGAL_ADDRESS;
        std::memset(reinterpret_cast<void*>(to), byte, bytes);
        return CUDA_SUCCESS;
    });
}

}  // namespace host_device::driver
