// SPDX-License-Identifier: MIT
// Which device runs a program, what it can do, and what a failed call of the driver says. A device's primary context is
// the one that the CUDA runtime and other libraries use too; it is retained once and kept as long as the process runs.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include <etch/cuda/kernel.hpp>
#include <etch/cuda/libraries.hpp>
#include <etch/expr/model.hpp>

namespace etch::cuda {

#if __has_include(<cuda.h>) && __has_include(<nvrtc.h>)

/// A call of the driver or of a library on it that failed. `code` is CUDA_ERROR_UNKNOWN where the driver gave none.
struct device_error : mistake {
    CUresult code;
    device_error(CUresult c, std::string_view sentence) : mistake(sentence), code(c) {}
    /// After these nothing more runs in the device's context.
    bool lost() const {
        return code == CUDA_ERROR_ILLEGAL_ADDRESS || code == CUDA_ERROR_LAUNCH_TIMEOUT ||
               code == CUDA_ERROR_ASSERT || code == CUDA_ERROR_HARDWARE_STACK_ERROR ||
               code == CUDA_ERROR_ILLEGAL_INSTRUCTION || code == CUDA_ERROR_MISALIGNED_ADDRESS ||
               code == CUDA_ERROR_INVALID_ADDRESS_SPACE || code == CUDA_ERROR_INVALID_PC ||
               code == CUDA_ERROR_LAUNCH_FAILED || code == CUDA_ERROR_ECC_UNCORRECTABLE;
    }
};

/// Throws device_error where a call of the driver, named by `what`, did not succeed.
inline void check(CUresult result, const char* what) {
    if (result != CUDA_SUCCESS) throw device_error(result, driver_sentence(result, what));
}

/// How many devices the driver has. Starts the driver; throws where there is none.
inline int device_count() {
    int count = 0;
    check(driver().cuInit(0), "cuInit");
    check(driver().cuDeviceGetCount(&count), "cuDeviceGetCount");
    return count;
}

namespace detail {
struct device_record {
    const driver_table* api;
    int index;
    std::string name;
    device_limits limits;
    CUcontext context = nullptr;

    int attribute(CUdevice_attribute which, CUdevice of) const {
        int value = 0;
        check(api->cuDeviceGetAttribute(&value, which, of), "cuDeviceGetAttribute");
        return value;
    }
    explicit device_record(int number) : api(&driver()), index(number) {
        const int count = device_count();
        if (number < 0 || number >= count)
            throw mistake("device cuda:" + std::to_string(number) + ": there " +
                          (count == 1 ? "is 1 CUDA device"
                                      : "are " + std::to_string(count) + " CUDA devices") +
                          ", numbered from 0");
        CUdevice found{};
        check(api->cuDeviceGet(&found, number), "cuDeviceGet");
        char text[256]{};
        check(api->cuDeviceGetName(text, sizeof text - 1, found), "cuDeviceGetName");
        name = text;
        limits.architecture = 10 * attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, found) +
                              attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, found);
        limits.processors = attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, found);
        limits.shared_bytes = attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, found);
    }
    void retain() {
        CUdevice found{};
        check(api->cuDeviceGet(&found, index), "cuDeviceGet");
        check(api->cuDevicePrimaryCtxRetain(&context, found), "cuDevicePrimaryCtxRetain");
    }
    bool same(const device_record& o) const {
        return api == o.api && index == o.index && name == o.name &&
               limits.architecture == o.limits.architecture &&
               limits.processors == o.limits.processors &&
               limits.shared_bytes == o.limits.shared_bytes;
    }
};
}  // namespace detail

/// A handle of a device, copied freely and used from any thread.
class device {
public:
    /// Device `index` of those that the driver shows. Throws etch::mistake where there is no such device or no driver.
    explicit device(int index = 0) : record_(find(index)) {}

    int index() const { return record_->index; }
    const std::string& name() const { return record_->name; }
    const device_limits& limits() const { return record_->limits; }
    CUcontext context() const { return record_->context; }
    /// The driver that the device was found with.
    const driver_table& api() const { return *record_->api; }
    bool operator==(const device& other) const { return record_ == other.record_; }

private:
    std::shared_ptr<const detail::device_record> record_;

    /// The driver is asked each time: a table that tests put in its place may stand at the address of an earlier one.
    static std::shared_ptr<const detail::device_record> find(int index) {
        static std::mutex guard;
        static std::map<std::pair<const driver_table*, int>,
                        std::shared_ptr<const detail::device_record>>
            known;
        auto fresh = std::make_shared<detail::device_record>(index);
        std::lock_guard lock(guard);
        auto& kept = known[{fresh->api, index}];
        if (!kept || !kept->same(*fresh)) {
            fresh->retain();
            kept = std::move(fresh);
        }
        return kept;
    }
};

/// Makes a device's context current on this thread. Another one that was current comes back in the end; where there was
/// none it stays, as with the CUDA runtime.
class current_device {
public:
    explicit current_device(const device& d) : api_(d.api()) {
        check(api_.cuCtxGetCurrent(&before_), "cuCtxGetCurrent");
        changed_ = before_ != d.context();
        if (changed_) check(api_.cuCtxSetCurrent(d.context()), "cuCtxSetCurrent");
    }
    ~current_device() {
        if (changed_ && before_) api_.cuCtxSetCurrent(before_);
    }
    current_device(const current_device&) = delete;
    current_device& operator=(const current_device&) = delete;

private:
    const driver_table& api_;
    CUcontext before_ = nullptr;
    bool changed_ = false;
};

#endif

}  // namespace etch::cuda
