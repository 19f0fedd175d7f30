// SPDX-License-Identifier: MIT
// What stands behind a caller: a program's parameters, its executor, its results' memory.
#pragma once
#include <etch/cpu/executor.hpp>
#include <etch/run/bind.hpp>
#include <etch/run/caller.hpp>
#include <etch/run/describe.hpp>
#include <etch/run/step_profile.hpp>

namespace etch::detail {

class program_runner {
public:
    /// `p` and `kernels` outlive the runner.
    program_runner(const program_view& p, std::span<const cpu::kernel_entry> kernels,
                   const cpu::product_table* products, etch::state parameters,
                   device where = device::cpu())
        : program_(p),
          state_(std::move(parameters)),
          states_(state_.attach(p)),
          arguments_(p),
          outputs_(p.outputs.size(), nullptr),
          shapes_(p.outputs.size()),
          pool_(buffer_pool::make(2 * p.outputs.size())),
          executor_(program_, kernels),
          device_(make_device_program(program_, where)) {
        executor_.use(products);
    }
    program_runner(const program_runner&) = delete;  // the executor knows where it lies
    program_runner& operator=(const program_runner&) = delete;

    const etch::state& parameters() const { return state_; }
    const program_view& program() const { return program_; }

    // ---- to look at -----------------------------------------------------------------------------------------------
    /// The steps as text, with figures for the dims of the last call.
    std::string describe() const {
        const auto& dims = stand_in_ ? stand_in_->dims_ : dims_;
        return etch::describe(program_, dims);
    }
    /// Times each step from now on; another true begins anew, false stops and keeps what was measured.
    void profile(bool on) {
        if (device_)
            throw mistake("profile: steps are timed on the CPU only, and this function runs on " +
                          device_->name());
        if (on) profile_ = std::make_shared<step_profile>(program_);
        executor_.watch(on ? profile_.get() : nullptr);
    }
    profile_table profile() const { return profile_ ? profile_->table() : profile_table{}; }
    /// Another runner that takes the calls, on the same parameters (see nan_guard.hpp); null for none.
    void stand_in(std::shared_ptr<program_runner> other) { stand_in_ = std::move(other); }
    cpu::executor& steps() { return executor_; }

    /// "cpu", or the device's name.
    std::string where() const { return device_ ? device_->name() : "cpu"; }

    /// One call. Outputs of rank 0 become tensors too where `numbers` is false. Whatever goes wrong, parameters are as
    /// before: all is checked first, and they are written last.
    void call(std::span<const argument> arguments, std::span<result> results, bool numbers) {
        if (stand_in_) return stand_in_->call(arguments, results, numbers);
        etch::state::exclusive held(state_, "call");
        start(arguments, results, numbers);
        wait();
    }
    /// One call of a program with one result and no parameters, of dims and elements that were checked. The result is
    /// written where `into` lies if it has the shape and `place` says so, else `into` becomes a new tensor.
    void assign(std::span<const std::int64_t> dims, std::span<const void* const> inputs,
                etch::tensor& into, const result_place& place) {
        etch::state::exclusive held(state_, "assign");
        arguments_.set(dims, inputs);
        bind();
        dtype element = program_.outputs[0].of.element;
        if (into.element() == element && into.shape() == shapes_[0] &&
            place.may_write(device_ != nullptr)) {
            outputs_[0] = into.bytes_data();
            run();
            return wait();
        }
        etch::tensor fresh(element, shapes_[0], *pool_);
        outputs_[0] = fresh.bytes_data();
        run();
        wait();
        into = std::move(fresh);
    }
    /// The first half of a call; on a device the host goes on while it runs.
    void launch(std::span<const argument> arguments, bool numbers) {
        if (running_) throw mistake("launch: the call before was not waited for: say get()");
        launched_.clear();
        launched_.resize(program_.outputs.size());
        if (stand_in_) return stand_in_->call(arguments, launched_, numbers);
        auto held = std::make_unique<etch::state::exclusive>(state_, "launch");
        start(arguments, launched_, numbers);
        running_ = std::move(held);
    }
    /// The second half: the results.
    std::span<result> finish() {
        if (auto held = std::move(running_)) wait();
        return launched_;
    }

private:
    program_view program_;
    etch::state state_;
    std::vector<void*> states_;
    binder arguments_;
    std::vector<void*> outputs_;
    std::vector<tensor_shape> shapes_;  // of the outputs
    std::vector<std::int64_t> dims_;    // for which the executor is bound
    bool bound_ = false;
    buffer_pool::owner pool_;
    cpu::executor executor_;
    std::unique_ptr<device_program> device_;  // null for the CPU
    std::vector<std::shared_ptr<device_copy>> copies_;
    std::vector<std::uint64_t> addresses_;  // of the copies
    std::uint64_t attached_ = 0;
    std::unique_ptr<etch::state::exclusive>
        running_;                   // while a call is under way that was launched
    std::vector<result> launched_;  // its results
    std::shared_ptr<step_profile> profile_;
    std::shared_ptr<program_runner> stand_in_;

    void make_results(std::span<result> results, bool numbers) {
        for (std::size_t i = 0; i < outputs_.size(); ++i) {
            if (numbers && shapes_[i].rank() == 0) {
                outputs_[i] = &results[i].number;
            } else {
                results[i].array = etch::tensor(program_.outputs[i].of.element, shapes_[i], *pool_);
                outputs_[i] = results[i].array.bytes_data();
            }
        }
    }
    void start(std::span<const argument> arguments, std::span<result> results, bool numbers) {
        arguments_.bind(arguments);
        bind();
        make_results(results, numbers);
        run();
    }
    void bind() {
        if (!bound_ || !std::equal(dims_.begin(), dims_.end(), arguments_.dims().begin()))
            use_dims();
    }
    void run() {
        if (!device_) {
            if (state_.attached() > 0) state_.to_host(program_);
            return executor_.run(arguments_.inputs(), outputs_, states_);
        }
        if (copies_.size() != states_.size() || attached_ != state_.attached()) {
            copies_ = state_.attach(program_, *device_);
            attached_ = state_.attached();
            addresses_.clear();
            for (const auto& c : copies_) addresses_.push_back(c->address());
        }
        for (std::size_t i = 0; i < copies_.size(); ++i) copies_[i]->to_device(states_[i]);
        device_->start(dims_, arguments_.inputs(), outputs_, addresses_);
    }
    void wait() {
        if (!device_) return;
        device_->finish();
        for (std::size_t i = 0; i < copies_.size(); ++i)
            if (program_.states[i].updated) copies_[i]->which = device_copy::newest::device;
    }
    void use_dims() {
        bound_ = false;
        arguments_.check_conditions();
        auto dims = arguments_.dims();
        for (std::size_t i = 0; i < shapes_.size(); ++i) {
            const type& t = program_.outputs[i].of;
            shapes_[i] = {};
            for (int axis = 0; axis < t.rank; ++axis)
                shapes_[i].push_back(program_.value_of(t[axis], dims));
        }
        if (!device_) executor_.bind(dims);
        dims_.assign(dims.begin(), dims.end());
        bound_ = true;
    }
};

template <class View>
basic_caller<View>::basic_caller(const View& p, std::span<const cpu::kernel_entry> kernels,
                                 const cpu::product_table* products, etch::state parameters,
                                 device where)
    : runner_(
          std::make_unique<program_runner>(p, kernels, products, std::move(parameters), where)) {}
template <class View> basic_caller<View>::~basic_caller() = default;
template <class View> const etch::state& basic_caller<View>::parameters() const {
    return runner_->parameters();
}
template <class View> const program_view& basic_caller<View>::program() const {
    return runner_->program();
}
template <class View> std::string basic_caller<View>::where() const { return runner_->where(); }
template <class View> std::string basic_caller<View>::describe() const {
    return runner_->describe();
}
template <class View> void basic_caller<View>::profile(bool on) { runner_->profile(on); }
template <class View> profile_table basic_caller<View>::profile() const {
    return runner_->profile();
}
template <class View>
void basic_caller<View>::call(std::span<const argument> arguments, std::span<result> results,
                              bool numbers) {
    runner_->call(arguments, results, numbers);
}
template <class View>
void basic_caller<View>::assign(std::span<const std::int64_t> dims,
                                std::span<const void* const> inputs, etch::tensor& into,
                                const result_place& place) {
    runner_->assign(dims, inputs, into, place);
}
template <class View>
void basic_caller<View>::launch(std::span<const argument> arguments, bool numbers) {
    runner_->launch(arguments, numbers);
}
template <class View> std::span<result> basic_caller<View>::finish() { return runner_->finish(); }

}  // namespace etch::detail
