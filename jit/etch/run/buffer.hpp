// SPDX-License-Identifier: MIT
// The memory of tensors: a counted block, and the pool to which the blocks of a function's results return, so that a
// loop that drops its results allocates nothing after its first round.
#pragma once
#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace etch::detail {

class buffer_pool;

inline constexpr std::size_t buffer_alignment = 64;

/// The header of a block; its elements follow.
struct alignas(buffer_alignment) buffer {
    std::atomic<int> owners{1};
    bool live = false;            // a parameter: functions write to it
    std::size_t capacity = 0;     // in bytes
    buffer_pool* home = nullptr;  // where it goes when nobody holds it any more

    std::byte* data() { return reinterpret_cast<std::byte*>(this + 1); }

    static buffer* make(std::size_t bytes) {
        bytes = (bytes + buffer_alignment - 1) / buffer_alignment * buffer_alignment;
        auto before = space_before(bytes);
        void* memory = ::operator new(before + sizeof(buffer) + bytes, alignment_of(bytes));
#if defined(__linux__)
        if (bytes >= large) madvise(memory, before + sizeof(buffer) + bytes, MADV_HUGEPAGE);
#endif
        auto* b = ::new (static_cast<std::byte*>(memory) + before) buffer;
        b->capacity = bytes;
        b->before = before;
        return b;
    }
    static void destroy(buffer* b) noexcept {
        auto alignment = alignment_of(b->capacity);
        void* memory = reinterpret_cast<std::byte*>(b) - b->before;
        b->~buffer();
        ::operator delete(memory, alignment);
    }

private:
    std::size_t before = 0;  // bytes of the memory that lie before the header

    /// Large blocks take 2 MB pages: the first touch of as many small ones costs more than the work in them.
    static constexpr std::size_t page = std::size_t{2} << 20, large = 2 * page;
    static std::align_val_t alignment_of(std::size_t bytes) {
        return std::align_val_t{bytes >= large ? page : buffer_alignment};
    }
    /// Large blocks begin at different places of their pages, and far from where the first byte of a page is, as other
    /// allocations begin there: a load waits for a store shortly before it to the same place of another page.
    static std::size_t space_before(std::size_t bytes) {
        static std::atomic<std::size_t> made{0};
        if (bytes < large) return 0;
        return (32 + made.fetch_add(1, std::memory_order_relaxed) * 9) % 64 * 64;
    }
};

/// Keeps at most as many free blocks as it is told. Blocks may outlive the function that made them: the pool ends with
/// its owner and the last of its blocks.
class buffer_pool {
public:
    struct closer {
        void operator()(buffer_pool* p) const noexcept { p->close(); }
    };
    using owner = std::unique_ptr<buffer_pool, closer>;
    static owner make(std::size_t most) { return owner(new buffer_pool(most)); }

    /// The free block that fits best and is not far too large, else a new one.
    buffer* take(std::size_t bytes) {
        std::lock_guard lock(mutex_);
        auto best = free_.size();
        for (std::size_t i = 0; i < free_.size(); ++i) {
            auto room = free_[i]->capacity;
            if (room >= bytes && room <= 2 * bytes + buffer_alignment &&
                (best == free_.size() || room < free_[best]->capacity))
                best = i;
        }
        buffer* b = nullptr;
        if (best < free_.size()) {
            b = free_[best];
            free_.erase(free_.begin() + static_cast<std::ptrdiff_t>(best));
            b->owners.store(1, std::memory_order_relaxed);
        } else {
            b = buffer::make(bytes);
            b->home = this;
        }
        ++held_;
        return b;
    }
    void give(buffer* b) noexcept {
        buffer* dropped = nullptr;
        bool last = false;
        {
            std::lock_guard lock(mutex_);
            --held_;
            if (closed_) {
                dropped = b;
                last = held_ == 0;
            } else {
                if (free_.size() == most_) {  // of an earlier size, most likely
                    dropped = free_.front();
                    free_.erase(free_.begin());
                }
                free_.push_back(b);
            }
        }
        if (dropped) buffer::destroy(dropped);
        if (last) delete this;
    }

private:
    std::mutex mutex_;
    std::vector<buffer*> free_;  // the one that waits longest first
    std::size_t most_, held_ = 0;
    bool closed_ = false;

    explicit buffer_pool(std::size_t most) : most_(most > 0 ? most : 1) { free_.reserve(most_); }
    ~buffer_pool() {
        for (buffer* b : free_) buffer::destroy(b);
    }
    void close() noexcept {
        bool last = false;
        {
            std::lock_guard lock(mutex_);
            for (buffer* b : free_) buffer::destroy(b);
            free_.clear();
            closed_ = true;
            last = held_ == 0;
        }
        if (last) delete this;
    }
};

}  // namespace etch::detail
