// SPDX-License-Identifier: MIT
// A model on the device: its parameters in device memory, and the executor that runs its program.
#pragma once
#include "models.hpp"

#include "launch_clock.hpp"

namespace bench::gpu {

inline std::int64_t size_of(const etch::type& t) {
    std::int64_t n = 1;
    for (int axis = 0; axis < t.rank; ++axis) n *= t[axis].code;
    return n;
}

/// The first elements of a filled parameter; larger ones repeat them, which no timing notices.
inline constexpr std::int64_t fresh_elements = 1 << 20;

class session {
public:
    /// `like`: another session, of the same model, whose parameters are used.
    explicit session(const model& m, const session* like = nullptr)
        : program_(etch::make_program(m.graph)), view_(etch::view_of(program_)), where_(0) {
        if (!like)
            for (const auto& s : view_.states)
                memory_.emplace_back(where_, size_of(s.of) * etch::row_of(s.of.element).bytes);
        for (std::size_t i = 0; i < view_.states.size(); ++i)
            addresses_.push_back(like ? like->addresses_[i] : memory_[i].address());
        if (!like) fill(m);
        executor_.emplace(view_, where_, etch::cuda::emit_options{}, m.products);
    }

    /// Outputs are not kept, only copied to where the host could read them.
    void run() {
        outputs_.assign(view_.outputs.size(), nullptr);
        executor_->run({}, {}, outputs_, addresses_);
    }
    void run_and_keep() {
        kept_.resize(view_.outputs.size());
        outputs_.clear();
        for (std::size_t i = 0; i < kept_.size(); ++i) {
            kept_[i].resize(static_cast<std::size_t>(size_of(view_.outputs[i].of)));
            outputs_.push_back(kept_[i].data());
        }
        executor_->run({}, {}, outputs_, addresses_);
    }
    const etch::program_view& program() const { return view_; }
    etch::cuda::executor& executor() { return *executor_; }
    /// Of parameters.
    std::int64_t bytes() const {
        std::int64_t sum = 0;
        for (const auto& m : memory_) sum += m.bytes();
        return sum;
    }

    /// A parameter, or an output of a call that was kept.
    std::vector<float> read(const std::string& name) const {
        for (std::size_t k = 0; k < kept_.size(); ++k)
            if (view_.text_of(view_.outputs[k].name) == name) return kept_[k];
        const std::size_t i = index_of(name);
        std::vector<float> all(static_cast<std::size_t>(size_of(view_.states[i].of)));
        etch::cuda::current_device now(where_);
        etch::cuda::check(
            where_.api().cuMemcpyDtoHAsync(all.data(), addresses_[i], 4 * all.size(), nullptr),
            "cuMemcpyDtoHAsync");
        wait();
        return all;
    }

private:
    etch::program program_;
    etch::program_view view_;
    etch::cuda::device where_;
    std::vector<etch::cuda::device_memory> memory_;
    std::vector<std::uint64_t> addresses_;
    std::optional<etch::cuda::executor> executor_;
    std::vector<void*> outputs_;
    std::vector<std::vector<float>> kept_;

    std::size_t index_of(const std::string& name) const {
        for (std::size_t i = 0; i < view_.states.size(); ++i)
            if (view_.text_of(view_.states[i].name) == name) return i;
        throw etch::mistake("the model has no parameter " + name);
    }
    void wait() const {
        etch::cuda::check(where_.api().cuStreamSynchronize(nullptr), "cuStreamSynchronize");
    }
    void fill(const model& m) {
        using etch::cuda::check;
        const auto& api = where_.api();
        etch::cuda::current_device now(where_);
        for (std::size_t i = 0; i < memory_.size(); ++i)
            check(api.cuMemsetD8Async(addresses_[i], 0,
                                      static_cast<std::size_t>(memory_[i].bytes()), nullptr),
                  "cuMemsetD8Async");
        for (const filling& f : m.fillings) {
            const std::size_t i = index_of(f.name);
            const auto all = static_cast<std::size_t>(memory_[i].bytes());
            const std::size_t n = std::min<std::size_t>(all / 4, fresh_elements);
            const bool whole = view_.states[i].of.element == etch::dtype::int32;
            std::vector<float> real;
            std::vector<int> integers;
            if (whole)
                integers = labels(n, f.stream, static_cast<int>(f.high));
            else
                real = numbers(n, f.stream, f.low, f.high);
            const void* from = whole ? static_cast<const void*>(integers.data()) : real.data();
            check(api.cuMemcpyHtoDAsync(addresses_[i], from, 4 * n, nullptr), "cuMemcpyHtoDAsync");
            wait();
            for (std::size_t done = 4 * n; done < all;) {
                const std::size_t more = std::min(done, all - done);
                check(api.cuMemcpyDtoDAsync(addresses_[i] + done, addresses_[i], more, nullptr),
                      "cuMemcpyDtoDAsync");
                done += more;
            }
        }
        wait();
    }
};

/// The same model on the CPU.
class host_session {
public:
    explicit host_session(const model& m) : function_(etch::compile(m.graph, etch::device::cpu())) {
        for (const filling& f : m.fillings) {
            const etch::tensor before = function_.state()[f.name];
            const auto n = static_cast<std::size_t>(before.size());
            if (before.element() == etch::dtype::int32)
                function_.state().set(f.name, labels(n, f.stream, static_cast<int>(f.high)));
            else
                function_.state().set(f.name, numbers(n, f.stream, f.low, f.high));
        }
    }
    void run() { results_ = function_(); }
    std::vector<float> read(const std::string& name) {
        for (const auto& o : function_.program().outputs)
            if (function_.program().text_of(o.name) == name)
                return results_.get(name).to_vector<float>();
        return function_.state()[name].to_vector<float>();
    }

private:
    etch::callable function_;
    etch::named_results results_;
};

}  // namespace bench::gpu
