// SPDX-License-Identifier: MIT
// The case `gemm`: products of matrices, named by m, n and k; "ta" and "tb" say that A or B is stored transposed. The
// first ones are those of a training step of the case `digits`.
#pragma once
#include <memory>

#include "worker.hpp"

namespace bench::gemm {

struct problem {
    int m, n, k;
    bool transpose_a = false, transpose_b = false;
    std::vector<float> a = {}, b = {}, c = {};

    int lda() const { return transpose_a ? m : k; }
    int ldb() const { return transpose_b ? k : n; }
    static std::size_t area(int rows, int columns) {
        return static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns);
    }
    void fill() {
        a = numbers(area(m, k), 1, -1, 1);
        b = numbers(area(k, n), 2, -1, 1);
        c.assign(area(m, n), 0);
    }
    std::string name() const {
        return std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k) +
               (transpose_a ? "ta" : "") + (transpose_b ? "tb" : "");
    }
};

inline const problem problems[] = {{32, 256, 784},
                                   {784, 256, 32, true},
                                   {32, 784, 256, false, true},
                                   {32, 10, 256},
                                   {256, 10, 32, true},
                                   {32, 256, 10, false, true},
                                   {512, 256, 784},
                                   {784, 256, 512, true},
                                   {512, 784, 256, false, true},
                                   {512, 10, 256},
                                   {256, 10, 512, true},
                                   {1, 256, 784},
                                   {1, 784, 256, false, true},
                                   {784, 1, 256, true},
                                   {8, 64, 64},
                                   {8, 64, 2},
                                   {64, 64, 64},
                                   {128, 128, 128},
                                   {256, 256, 256},
                                   {512, 512, 512},
                                   {1024, 1024, 1024},
                                   {2048, 2048, 2048},
                                   {4096, 32, 32}};

/// Tasks that call multiply(problem&), which writes c.
inline tasks all(void (*multiply)(problem&)) {
    tasks list;
    for (const problem& p : problems)
        list.emplace(p.name(), [&p, multiply] {
            auto held = std::make_shared<problem>(p);
            held->fill();
            return task{[=] { multiply(*held); },
                        [=] {
                            std::vector<double> elements;
                            multiply(*held);
                            sample_elements(elements, held->c.data(), held->c.size());
                            return elements;
                        }};
        });
    return list;
}

}  // namespace bench::gemm
