// SPDX-License-Identifier: MIT
// The memory of arenas and constants.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace etch::cpu {

/// Memory aligned to cache lines, or to 2 MB pages where it is large: fresh small pages cost more than the work in them.
class aligned_memory {
public:
    aligned_memory() = default;
    explicit aligned_memory(std::int64_t bytes) {
        constexpr std::size_t page = std::size_t{2} << 20;
        auto size = static_cast<std::size_t>(bytes);
        std::size_t alignment = size >= 2 * page ? page : 64;
        size = (std::max<std::size_t>(size, 1) + alignment - 1) / alignment * alignment;
        data_.reset(static_cast<std::byte*>(std::aligned_alloc(alignment, size)));
        if (!data_) throw std::bad_alloc();
#if defined(__linux__)
        if (alignment == page) madvise(data_.get(), size, MADV_HUGEPAGE);
#endif
    }
    std::byte* data() const { return data_.get(); }

private:
    struct release {
        void operator()(std::byte* p) const { std::free(p); }
    };
    std::unique_ptr<std::byte, release> data_;
};

}  // namespace etch::cpu
