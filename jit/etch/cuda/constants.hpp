// SPDX-License-Identifier: MIT
// What an executor keeps on the device from its first call to its last: the program's constants, and the counter with
// which the last block of a kernel finds out that it is the last.
#pragma once
#include <bit>
#include <cstddef>
#include <cstring>
#include <vector>

#include <etch/cuda/buffer.hpp>

#if __has_include(<cuda.h>) && __has_include(<nvrtc.h>)

namespace etch::cuda {

class constant_memory {
public:
    /// Uploads over the stream and waits for it. The device is current.
    constant_memory(const program_view& p, const device& where, CUstream stream) {
        std::vector<std::byte> image(alignment);  // the counter, 0
        std::vector<std::size_t> offsets;
        for (const storage& s : p.storages) {
            if (s.where != place::constant) continue;
            const auto bytes = static_cast<std::size_t>(row_of(s.element).bytes),
                       size = static_cast<std::size_t>(s.size.code),
                       first = static_cast<std::size_t>(s.index), at = image.size();
            offsets.push_back(at);
            image.resize(at + (size * bytes + alignment - 1) / alignment * alignment);
            for (std::size_t k = 0; k < size; ++k)
                write_word(image.data() + at + k * bytes, s.element, p.words[first + k]);
        }
        memory_ = device_memory(where, static_cast<std::int64_t>(image.size()));
        check(where.api().cuMemcpyHtoDAsync(memory_.address(), image.data(), image.size(), stream),
              "cuMemcpyHtoDAsync");
        check(where.api().cuStreamSynchronize(stream), "cuStreamSynchronize");
        for (std::size_t at : offsets) addresses_.push_back(memory_.address() + at);
    }
    /// Of a word that is 0 whenever no kernel runs; kernels of one stream share it.
    std::uint64_t counter() const { return memory_.address(); }
    /// Of the program's storages that hold constants, in their order.
    std::span<const std::uint64_t> addresses() const { return addresses_; }
    std::int64_t bytes() const { return memory_.bytes(); }

private:
    static constexpr std::size_t alignment = 256;
    device_memory memory_;
    std::vector<std::uint64_t> addresses_;

    /// A word of the program as an element; those of floating dtypes are kept as doubles.
    static void write_word(std::byte* to, dtype d, std::int64_t word) {
        auto put = [&](auto x) { std::memcpy(to, &x, sizeof x); };
        switch (d) {
        case dtype::float64: return put(std::bit_cast<double>(word));
        case dtype::float32: return put(static_cast<float>(std::bit_cast<double>(word)));
        case dtype::boolean: return put(word != 0);
        case dtype::int32: return put(static_cast<std::int32_t>(word));
        case dtype::int64: return put(word);
        }
    }
};

}  // namespace etch::cuda

#endif
