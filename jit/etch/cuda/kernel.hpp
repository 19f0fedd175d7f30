// SPDX-License-Identifier: MIT
// How the parts of a step run on the device: which form of the kernel's text (a `variant`), how many blocks, and the words
// of its argument. Nothing here calls a library.
#pragma once
#include <compare>
#include <string>
#include <vector>

#include <etch/passes/program.hpp>

namespace etch::cuda {

/// What the choice of a variant and of a grid needs to know of a device.
struct device_limits {
    int architecture = 90;  // compute capability, 10 * major + minor
    int processors = 132;   // multiprocessors
    int shared_bytes = 48 * 1024;
};

struct emit_options {
    bool fast_math = false;
    bool report = false;  // the log of a compilation tells registers and spills of each kernel
    auto operator<=>(const emit_options&) const = default;
};

/// On what the text of a kernel depends beside the bodies of its parts. Extents and strides are arguments: text depends
/// on them only through the choice of one of these.
struct variant {
    bool wide = false;            // 64 bit indices
    std::uint8_t vector = 1;      // elements of one load or store along the vectorised axis
    std::uint16_t threads = 256;  // of a block
    std::uint16_t lanes = 1;      // threads that share a row; columns side by side
    std::uint8_t items =
        0;  // packs of a row that a thread keeps in registers; 0: the row is read in every pass
    std::uint8_t ordered =
        0;               // scatter: bit a, elements along axis a may meet, and are added in order
    bool owned = false;  // scatter: by the block that owns the place; else by one thread
    std::int8_t tile = -1;    // transposed through shared memory with this axis; -1 for none
    std::uint32_t tiled = 0;  // bit s: slot s is read through the tile
    auto operator<=>(const variant&) const = default;
};

/// One launch: parts of one step side by side, each in a range of blocks.
struct kernel_launch {
    range_of step_parts;                    // those of the step, of which `parts` are launched here
    std::vector<int> parts;                 // equal ones side by side
    std::vector<variant> variants;          // of each part
    std::vector<std::int64_t> first_block;  // of each part, and the number of blocks in the end
    unsigned blocks = 1, threads = 256;
    std::int64_t scratch_words =
        0;                 // 8 byte words of device memory for partial results; need not be cleared
    bool ticket = false;   // needs a 4 byte counter in device memory, 0 before the first launch
    bool guarded = false;  // writes parameters: does nothing after a failure
    std::string name;      // of the kernel in the text
};

}  // namespace etch::cuda
