// SPDX-License-Identifier: MIT
// Where the time of calls went, step by step.
#pragma once
#include <cstdio>
#include <ostream>
#include <string>
#include <vector>

#include <etch/passes/program.hpp>

namespace etch {

/// What a function's calls spent on one step.
struct profile_row {
    int step = 0;   // in the program's list of steps
    int depth = 0;  // in how many loops it stands; a loop's time holds that of its steps
    step_kind kind = step_kind::kernel;
    std::string name;  // its ops and what it writes
    std::int64_t calls = 0;
    double microseconds = 0;  // of all calls
    double share = 0;         // of the time of all steps
    std::int64_t bytes = 0;   // read and written by all calls
    std::int64_t flops = 0;   // of all calls
    double mean() const { return calls > 0 ? microseconds / static_cast<double>(calls) : 0; }
    double gigabytes_per_second() const { return rate(bytes); }
    double gigaflops_per_second() const { return rate(flops); }

private:
    double rate(std::int64_t n) const {
        return microseconds > 0 ? static_cast<double>(n) / microseconds / 1e3 : 0;
    }
};

/// What f.profile() returns, in the order in which the steps run: std::cout << f.profile().
struct profile_table {
    std::vector<profile_row> rows;
    /// Of all steps outside of loops, in microseconds.
    double microseconds() const {
        double sum = 0;
        for (const auto& r : rows) sum += r.depth == 0 ? r.microseconds : 0;
        return sum;
    }
    /// One line a step: calls, time in all and for each call in microseconds, share, GB/s of what it reads and writes
    /// (GFLOP/s of products), what it is.
    std::string text() const {
        std::string s =
            "step kind     calls    total us     mean us  share    GB/s  GFLOP/s  name\n";
        char line[96];
        for (const auto& r : rows) {
            auto kind = name_of(r.kind);
            std::snprintf(line, sizeof line, "%4d %-6.*s %7lld %11.1f %11.2f %5.1f%%", r.step,
                          static_cast<int>(kind.size()), kind.data(),
                          static_cast<long long>(r.calls), r.microseconds, r.mean(), 100 * r.share);
            s += line;
            if (r.kind == step_kind::loop)
                std::snprintf(line, sizeof line, "%8s %8s  ", "", "");
            else if (r.kind == step_kind::gemm)
                std::snprintf(line, sizeof line, "%8.1f %8.1f  ", r.gigabytes_per_second(),
                              r.gigaflops_per_second());
            else
                std::snprintf(line, sizeof line, "%8.1f %8s  ", r.gigabytes_per_second(), "");
            s += line;
            s.append(2 * static_cast<std::size_t>(r.depth), ' ') += r.name + '\n';
        }
        std::snprintf(line, sizeof line, "all %29.1f us\n", microseconds());
        return s + line;
    }
    friend std::ostream& operator<<(std::ostream& out, const profile_table& t) {
        return out << t.text();
    }
};

}  // namespace etch
