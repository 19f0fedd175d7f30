// SPDX-License-Identifier: MIT
// Where the time of calls goes: a watcher that times each step, and the table that is read from it.
#pragma once
#include <chrono>
#include <cstdio>
#include <ostream>

#include <etch/cpu/executor.hpp>
#include <etch/run/describe.hpp>

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

namespace detail {

/// Times the steps of one executor.
class step_profile : public cpu::step_watcher {
public:
    explicit step_profile(const program_view& program)
        : step_watcher{[](step_watcher& w, cpu::executor& e, int step) {
              static_cast<step_profile&>(w).time(e, step);
          }},
          p(program),
          totals_(p.steps.size()),
          costs_(p.steps.size()) {}

    void time(cpu::executor& e, int step) {
        if (!counted_ || !std::equal(dims_.begin(), dims_.end(), e.dims().begin())) count(e.dims());
        auto before = clock::now();
        e.run_step(p.steps[at(step)]);
        auto after = clock::now();
        totals& t = totals_[at(step)];
        ++t.calls;
        t.nanoseconds +=
            std::chrono::duration_cast<std::chrono::nanoseconds>(after - before).count();
        t.bytes += costs_[at(step)].bytes;
        t.flops += costs_[at(step)].flops;
    }
    profile_table table() const {
        profile_table t;
        program_reader reader(p);
        list(reader, t, p.all_steps(), 0);
        double all = t.microseconds();
        for (auto& r : t.rows) r.share = all > 0 ? r.microseconds / all : 0;
        return t;
    }

private:
    using clock = std::chrono::steady_clock;
    struct totals {
        std::int64_t calls = 0, nanoseconds = 0, bytes = 0, flops = 0;
    };
    struct cost {
        std::int64_t bytes = 0, flops = 0;
    };
    program_view p;
    std::vector<totals> totals_;
    std::vector<cost> costs_;  // of one run of a step, for dims_
    std::vector<std::int64_t> dims_;
    bool counted_ = false;

    void count(std::span<const std::int64_t> dims) {
        dims_.assign(dims.begin(), dims.end());
        program_reader reader(p, dims_);
        for (std::size_t i = 0; i < p.steps.size(); ++i) {
            if (p.steps[i].kind == step_kind::loop) continue;
            costs_[i].bytes =
                (reader.step_bytes(p.steps[i], false) + reader.step_bytes(p.steps[i], true))
                    .evaluate(dims_);
            costs_[i].flops = p.step_flops(p.steps[i], dims_);
        }
        counted_ = true;
    }
    void list(program_reader& reader, profile_table& t, range_of r, int depth) const {
        for (int i = r.first; i < r.first + r.count; ++i) {
            const step& s = p.steps[at(i)];
            const totals& from = totals_[at(i)];
            profile_row row;
            row.step = i;
            row.depth = depth;
            row.kind = s.kind;
            row.name = reader.short_name(s);
            row.calls = from.calls;
            row.microseconds = static_cast<double>(from.nanoseconds) / 1e3;
            row.bytes = from.bytes;
            row.flops = from.flops;
            t.rows.push_back(row);
            if (s.kind == step_kind::loop) list(reader, t, p.loops[at(s.index)].body, depth + 1);
        }
    }
};

}  // namespace detail
}  // namespace etch
