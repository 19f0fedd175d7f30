// SPDX-License-Identifier: MIT
// Reads gzip'd IDX files (Yann LeCun's format of the MNIST digits): 0, 0, type, rank, extents as big-endian 32-bit
// numbers, then the elements.
#pragma once
#include <zlib.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace examples {

struct idx {
    std::vector<std::int64_t> shape;
    std::vector<std::uint8_t> bytes;
};

/// The whole file, or an exception that says what is wrong with which file.
inline idx read_idx(const std::string& path) {
    std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose);
    if (!file) throw std::runtime_error(path + ": cannot be opened");
    auto fail = [&](const std::string& what) -> void {
        throw std::runtime_error(path + ": " + what);
    };
    auto read = [&](void* to, std::size_t n) {
        int got = gzread(file.get(), to, static_cast<unsigned>(n));
        if (got < 0 || static_cast<std::size_t>(got) != n)
            fail("the file ends after " + std::to_string(got < 0 ? 0 : got) + " of " +
                 std::to_string(n) + " bytes");
    };
    std::uint8_t head[4];
    read(head, 4);
    if (head[0] != 0 || head[1] != 0 || head[2] != 8 || head[3] < 1 || head[3] > 4)
        fail("is not an IDX file of bytes");
    idx r;
    std::size_t size = 1;
    for (int axis = 0; axis < head[3]; ++axis) {
        std::uint8_t b[4];
        read(b, 4);
        std::int64_t extent = (std::int64_t{b[0]} << 24) | (b[1] << 16) | (b[2] << 8) | b[3];
        r.shape.push_back(extent);
        size *= static_cast<std::size_t>(extent);
        if (size > std::size_t{1} << 30) fail("claims more than a gigabyte");
    }
    r.bytes.resize(size);
    read(r.bytes.data(), size);
    std::uint8_t more;
    if (gzread(file.get(), &more, 1) == 1) fail("goes on after its last element");
    return r;
}

/// Images as floats in [0, 1], one row each, with their labels.
struct labelled_images {
    std::vector<float> images;
    std::vector<int> labels;
    std::int64_t count = 0, size = 0;
};
inline labelled_images read_images(const std::string& images, const std::string& labels,
                                   int classes) {
    idx x = read_idx(images), y = read_idx(labels);
    if (x.shape.size() != 3) throw std::runtime_error(images + ": is not a list of pictures");
    if (y.shape.size() != 1 || y.shape[0] != x.shape[0])
        throw std::runtime_error(labels + ": does not have a label for each of the " +
                                 std::to_string(x.shape[0]) + " pictures");
    labelled_images r;
    r.count = x.shape[0];
    r.size = x.shape[1] * x.shape[2];
    for (auto b : x.bytes) r.images.push_back(static_cast<float>(b) / 255.0f);
    for (auto b : y.bytes) {
        if (b >= classes)
            throw std::runtime_error(labels + ": label " + std::to_string(b) + " of " +
                                     std::to_string(classes) + " classes");
        r.labels.push_back(b);
    }
    return r;
}

}  // namespace examples
