// SPDX-License-Identifier: MIT
// A watcher that times each step.
#pragma once
#include <chrono>

#include <etch/cpu/executor.hpp>
#include <etch/run/profile.hpp>
#include <etch/run/program_reader.hpp>

namespace etch::detail {

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

}  // namespace etch::detail
