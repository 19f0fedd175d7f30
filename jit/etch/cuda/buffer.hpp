// SPDX-License-Identifier: MIT
// Memory of a device, memory of the host that a device copies from and to without waiting, and what is said when a
// program's tensors do not fit.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <span>
#include <utility>

#include <etch/cuda/device.hpp>
#include <etch/run/program_reader.hpp>

namespace etch::cuda {

/// 1.5 GiB, 12 MiB, 300 bytes.
inline std::string bytes_text(std::int64_t bytes) {
    constexpr std::pair<int, const char*> units[] = {{30, " GiB"}, {20, " MiB"}, {10, " KiB"}};
    for (auto [bits, name] : units) {
        if (bytes < std::int64_t{1} << bits) continue;
        char text[40];
        double value = static_cast<double>(bytes) / static_cast<double>(std::int64_t{1} << bits);
        std::snprintf(text, sizeof text, value < 10 ? "%.1f%s" : "%.0f%s", value, name);
        return text;
    }
    return std::to_string(bytes) + (bytes == 1 ? " byte" : " bytes");
}

/// The largest values that live while the arena of a program is fullest, for dims in the order in which the model names
/// them: "relu add 1.5 GiB (model.cpp:12), dot 1.0 GiB (model.cpp:9)". Empty where nothing is stored.
inline std::string largest_values(const program_view& p, std::span<const std::int64_t> dims,
                                  std::size_t most = 5) {
    struct value {
        std::size_t storage;
        std::int64_t bytes;
    };
    std::vector<value> all, fullest;
    for (std::size_t i = 0; i < p.storages.size(); ++i) {
        const storage& s = p.storages[i];
        if (s.where == place::arena && s.alias < 0 && s.first >= 0)
            all.push_back({i, p.value_of(s.size, dims) * row_of(s.element).bytes});
    }
    std::int64_t top = -1;
    for (const value& moment : all) {  // the sum grows only where a storage begins
        const int now = p.storages[moment.storage].first;
        std::vector<value> live;
        std::int64_t sum = 0;
        for (const value& v : all) {
            const storage& s = p.storages[v.storage];
            if (s.first > now || s.last < now) continue;
            live.push_back(v);
            sum += v.bytes;
        }
        if (sum > top) top = sum, fullest = std::move(live);
    }
    std::stable_sort(fullest.begin(), fullest.end(),
                     [](const value& a, const value& b) { return a.bytes > b.bytes; });
    std::string text;
    etch::detail::program_reader reader(p, dims);
    for (std::size_t i = 0; i < std::min(most, fullest.size()); ++i) {
        const storage& s = p.storages[fullest[i].storage];
        text += i > 0 ? ", " : "";
        const program_line* line =
            s.node >= 0 ? &p.nodes[static_cast<std::size_t>(s.node)] : nullptr;
        text += line ? std::string(row_of(line->op).name)
                     : reader.name_of(static_cast<int>(fullest[i].storage));
        text += ' ' + bytes_text(fullest[i].bytes);
        if (line && reader.has_line(*line)) text += " (" + reader.line_of(*line) + ')';
    }
    return text;
}

#if __has_include(<cuda.h>) && __has_include(<nvrtc.h>)

/// A piece of a device's memory, aligned to at least 256 bytes; nothing for 0 bytes.
class device_memory {
public:
    device_memory() = default;
    /// Throws device_error, with the code CUDA_ERROR_OUT_OF_MEMORY where it does not fit.
    device_memory(const device& where, std::int64_t bytes) : device_(where), bytes_(bytes) {
        if (bytes <= 0) return;
        current_device now(where);
        check(where.api().cuMemAlloc(&address_, static_cast<std::size_t>(bytes)), "cuMemAlloc");
    }
    device_memory(device_memory&& other) noexcept { swap(other); }
    device_memory& operator=(device_memory&& other) noexcept {
        device_memory old(std::move(*this));
        swap(other);
        return *this;
    }
    ~device_memory() {
        if (!address_) return;
        try {
            current_device now(*device_);
            device_->api().cuMemFree(address_);  // its failure is one of an earlier call
        } catch (const device_error&) {}
    }
    CUdeviceptr address() const { return address_; }
    std::int64_t bytes() const { return bytes_; }

private:
    std::optional<device> device_;
    CUdeviceptr address_ = 0;
    std::int64_t bytes_ = 0;

    void swap(device_memory& other) noexcept {
        std::swap(device_, other.device_);
        std::swap(address_, other.address_);
        std::swap(bytes_, other.bytes_);
    }
};

/// Memory of the host that stays where it is, so that copies to and from a device need not wait for the host.
class pinned_memory {
public:
    pinned_memory() = default;
    pinned_memory(const device& where, std::int64_t bytes) : device_(where), bytes_(bytes) {
        if (bytes <= 0) return;
        current_device now(where);
        void* data = nullptr;
        check(where.api().cuMemHostAlloc(&data, static_cast<std::size_t>(bytes),
                                         CU_MEMHOSTALLOC_PORTABLE),
              "cuMemHostAlloc");
        data_ = static_cast<std::byte*>(data);
    }
    pinned_memory(pinned_memory&& other) noexcept { swap(other); }
    pinned_memory& operator=(pinned_memory&& other) noexcept {
        pinned_memory old(std::move(*this));
        swap(other);
        return *this;
    }
    ~pinned_memory() {
        if (!data_) return;
        try {
            current_device now(*device_);
            device_->api().cuMemFreeHost(data_);
        } catch (const device_error&) {}
    }
    std::byte* data() const { return data_; }
    std::int64_t bytes() const { return bytes_; }

private:
    std::optional<device> device_;
    std::byte* data_ = nullptr;
    std::int64_t bytes_ = 0;

    void swap(pinned_memory& other) noexcept {
        std::swap(device_, other.device_);
        std::swap(data_, other.data_);
        std::swap(bytes_, other.bytes_);
    }
};

/// What is said instead of CUDA_ERROR_OUT_OF_MEMORY: how much was asked for, how much is there, and what takes it.
inline device_error out_of_memory(const program_view& p, std::span<const std::int64_t> dims,
                                  const device& where, std::int64_t bytes) {
    std::string text = "device cuda:" + std::to_string(where.index()) + " (" + where.name() +
                       ") is out of memory: this call needs " + bytes_text(bytes);
    for (std::size_t d = 0; d < dims.size() && d < p.dims.size(); ++d)
        text += (d == 0 ? " with " : ", ") + std::string(p.text_of(p.dims[d])) + " = " +
                std::to_string(dims[d]);
    std::size_t free = 0, all = 0;
    if (where.api().cuMemGetInfo(&free, &all) == CUDA_SUCCESS)
        text += ", and of " + bytes_text(static_cast<std::int64_t>(all)) + ", " +
                bytes_text(static_cast<std::int64_t>(free)) + " are free";
    const std::string values = largest_values(p, dims);
    if (!values.empty()) text += "; the largest values that live at once: " + values;
    return {CUDA_ERROR_OUT_OF_MEMORY, text};
}

#endif

}  // namespace etch::cuda
