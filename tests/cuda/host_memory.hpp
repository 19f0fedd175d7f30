// SPDX-License-Identifier: MIT
// The memory of tests/cuda/host_device.hpp: blocks of the host that stand for memory of a device
// and for pinned memory. Fresh blocks hold 0xCD in their first and last 2 MiB, and bytes around a
// block tell when somebody wrote there.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

#include "cuda/host_library.hpp"

namespace host_device {

enum class memory_kind : std::uint8_t { device, pinned };

struct memory_block {
    memory_kind kind = memory_kind::device;
    int number = 0, device = 0;
    std::size_t bytes = 0;
    unsigned char* whole = nullptr;  // with the bytes around it
    std::string name() const {
        return (kind == memory_kind::device ? "block " : "pinned ") + std::to_string(number);
    }
};

class memory_registry {
public:
    memory_registry() = default;
    memory_registry(const memory_registry&) = delete;
    ~memory_registry() {
        for (const auto& [address, b] : blocks_) std::free(b.whole);
    }

    /// Aligned to 256 bytes; null where the host has no memory either.
    void* allocate(memory_kind kind, std::size_t bytes, int device) {
        if (bytes > SIZE_MAX - 2 * guard) return nullptr;
        void* whole = nullptr;
        if (posix_memalign(&whole, alignment, bytes + 2 * guard) != 0) return nullptr;
        memory_block b{kind, ++last_[static_cast<int>(kind)], device, bytes,
                       static_cast<unsigned char*>(whole)};
        std::memset(b.whole, guard_byte, guard);
        // Of large ones the ends: nobody reads all of a workspace, and to touch it takes long.
        const std::size_t part = std::min(bytes, std::size_t{2} << 20);
        std::memset(b.whole + guard, fresh_byte, part);
        std::memset(b.whole + guard + bytes - part, fresh_byte, part);
        std::memset(b.whole + guard + bytes, guard_byte, guard);
        auto address = reinterpret_cast<std::uintptr_t>(b.whole) + guard;
        blocks_[address] = b;
        return b.whole + guard;
    }
    /// Whether a block of that kind begins there; it is gone then.
    bool release(memory_kind kind, std::uintptr_t address) {
        auto found = blocks_.find(address);
        if (found == blocks_.end() || found->second.kind != kind) return false;
        std::free(found->second.whole);
        blocks_.erase(found);
        return true;
    }
    /// The block in which all of these bytes lie; null for none.
    const memory_block* find(std::uintptr_t address, std::size_t bytes) const {
        auto next = blocks_.upper_bound(address);
        if (next == blocks_.begin()) return nullptr;
        const auto& [first, b] = *--next;
        return address - first <= b.bytes && bytes <= b.bytes - (address - first) ? &b : nullptr;
    }
    /// "block 3+16", the same in every run; "host" for memory that is not registered.
    std::string name(std::uintptr_t address) const {
        const memory_block* b = find(address, 0);
        if (!b) return "host";
        auto offset = address - reinterpret_cast<std::uintptr_t>(b->whole) - guard;
        return b->name() + (offset > 0 ? "+" + std::to_string(offset) : "");
    }
    std::size_t used(int device) const {
        std::size_t sum = 0;
        for (const auto& [address, b] : blocks_)
            if (b.kind == memory_kind::device && b.device == device) sum += b.bytes;
        return sum;
    }
    /// The first block around which something was written, by name; empty for none.
    std::string overwritten() const {
        for (const auto& [address, b] : blocks_) {
            if (!is_guard(b.whole)) return b.name() + ": bytes before it were written";
            if (!is_guard(b.whole + guard + b.bytes))
                return b.name() + ": bytes after it were written";
        }
        return "";
    }
    /// What was not released, one line each.
    std::string remaining() const {
        std::string all;
        for (const auto& [address, b] : blocks_)
            all += b.name() + ", " + std::to_string(b.bytes) + " bytes\n";
        return all;
    }

private:
    static constexpr std::size_t alignment = 256;
    const std::size_t guard = sanitized() ? 0 : 256;  // the address sanitizer has its own
    static constexpr unsigned char fresh_byte = 0xCD, guard_byte = 0xA5;

    std::map<std::uintptr_t, memory_block> blocks_;
    int last_[2]{};

    bool is_guard(const unsigned char* at) const {
        for (std::size_t i = 0; i < guard; ++i)
            if (at[i] != guard_byte) return false;
        return true;
    }
};

}  // namespace host_device
