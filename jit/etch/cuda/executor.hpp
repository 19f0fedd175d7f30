// SPDX-License-Identifier: MIT
// Runs a program's steps on a CUDA device. The first call with some dims prepares all that depends on them (see
// cuda/binding.hpp) and runs the steps one by one; the second records the same as a CUDA graph, which later ones replay.
// Such a call allocates nothing, makes no text and waits for the device once.
#pragma once
#include <exception>

#include <etch/cuda/binding.hpp>
#include <etch/cuda/constants.hpp>

#if __has_include(<cuda.h>) && __has_include(<nvrtc.h>)

namespace etch::cuda {

class executor {
public:
    class ticket;

    /// The program must outlive the executor. ETCH_CUDA_GRAPH=0: steps are always put on the stream one by one.
    /// ETCH_CUDA_SYNCHRONOUS=1: so they are, and each is waited for, so that an error of the device names its step.
    /// Throws etch::mistake where the device cannot be used.
    executor(const program_view& program, device where, emit_options kernels = {},
             product_options products = {})
        : p(program),
          device_(std::move(where)),
          api(device_.api()),
          product_options_(products),
          kernels_(p, device_, kernels),
          synchronous_(detail::switched_on("ETCH_CUDA_SYNCHRONOUS")) {
        const char* graphs = std::getenv("ETCH_CUDA_GRAPH");
        graphs_ = !synchronous_ && !(graphs && std::string_view(graphs) == "0");
        for (const step& s : p.steps) refuse_unknown(s);
        current_device now(device_);
        check(api.cuStreamCreate(&stream_, CU_STREAM_NON_BLOCKING), "cuStreamCreate");
        try {
            fixed_.emplace(p, device_, stream_);
        } catch (...) {
            api.cuStreamDestroy(stream_);
            throw;
        }
    }
    ~executor() {
        try {
            current_device now(device_);
            api.cuStreamSynchronize(stream_);
            api.cuStreamDestroy(stream_);
        } catch (const device_error&) {}
    }
    executor(const executor&) = delete;  // tickets know where it lies
    executor& operator=(const executor&) = delete;

    /// Runs all steps and waits for the outputs. Pointers are in order of the program's inputs, outputs and states: of the
    /// host those of inputs and outputs (an output may be null: it is left out), addresses on the device, aligned to 16
    /// bytes or more, those of states. Throws etch::mistake with the user's line for an index outside of its axis;
    /// states are as before then, and after any error that comes before the steps that write them.
    void run(std::span<const std::int64_t> dims, std::span<const void* const> inputs,
             std::span<void* const> outputs, std::span<const std::uint64_t> states);
    /// The same without waiting: inputs have been read when it returns, outputs are written by the ticket's wait(). One
    /// call runs at a time: the next launch waits for the one before, and writes its outputs.
    ticket launch(std::span<const std::int64_t> dims, std::span<const void* const> inputs,
                  std::span<void* const> outputs, std::span<const std::uint64_t> states);

    const program_view& program() const { return p; }
    const device& where() const { return device_; }
    /// Where the steps run, for work that must come before or after them.
    CUstream stream() const { return stream_; }
    /// Of the device's memory that the executor holds.
    std::int64_t bytes() const { return work_.bytes() + fixed_->bytes() + workspace_.bytes(); }

private:
    program_view p;
    device device_;
    const driver_table& api;
    product_options product_options_;
    CUstream stream_ = nullptr;
    loaded_kernels kernels_;
    std::shared_ptr<product_library> library_;
    std::optional<constant_memory> fixed_;
    device_memory work_, workspace_;  // of the memory map, of products
    pinned_memory staging_;           // inputs, failure record, outputs
    int generation_ = 0;              // of the memory: counts its moves
    recent<binding> bindings_;
    binding* now_ = nullptr;
    std::vector<std::uint64_t> argument_;
    step_trail trail_{p};
    bool synchronous_, graphs_ = true;

    // The call that runs, and errors of earlier ones that nobody has asked for.
    struct unasked {
        std::uint64_t number;
        std::exception_ptr error;
    };
    std::uint64_t calls_ = 0, finished_ = 0;
    std::vector<void*> outputs_;
    bool wanted_ = false;
    std::vector<unasked> errors_;

    static std::size_t at(int i) { return static_cast<std::size_t>(i); }
    std::int64_t number(extent e) const { return p.value_of(e, now_->dims); }

    static void refuse_unknown(const step& s) {
        switch (s.kind) {
        case step_kind::kernel:
        case step_kind::gemm:
        case step_kind::loop:
        case step_kind::copy: return;
        }
        throw mistake("the CUDA back end has no step of the kind " + std::string(name_of(s.kind)));
    }

    // ---- memory -------------------------------------------------------------------------------------------------
    device_memory allocate(std::int64_t bytes, std::span<const std::int64_t> dims) const {
        try {
            return device_memory(device_, bytes);
        } catch (const device_error& e) {
            if (e.code != CUDA_ERROR_OUT_OF_MEMORY) throw;
        }
        throw out_of_memory(p, dims, device_, bytes);
    }
    /// Memory only grows; the old piece goes first, so that both need not fit.
    void make_room(const binding& b) {
        if (work_.bytes() < b.map.bytes) {
            work_ = {};
            ++generation_;
            work_ = allocate(b.map.bytes, b.dims);
        }
        if (staging_.bytes() < b.map.shared_bytes()) {
            staging_ = {};
            ++generation_;
            staging_ = pinned_memory(device_, b.map.shared_bytes());
        }
    }

    // ---- preparing a call ---------------------------------------------------------------------------------------
    binding& bind(std::span<const std::int64_t> dims, std::span<const std::uint64_t> states) {
        binding* b = bindings_.find(dims);
        if (!b) b = &bindings_.add(std::make_unique<binding>(p, dims, device_.limits()));
        if (b->generation != generation_ ||
            !std::equal(states.begin(), states.end(), b->states.begin(), b->states.end())) {
            b->generation = -1;
            make_room(*b);
            b->states.assign(states.begin(), states.end());
            prepare(*b);
            b->generation = generation_;
        }
        now_ = b;
        return *b;
    }
    void prepare(binding& b) {
        b.graph = {};
        b.warm = false;
        b.recordable = b.nodes <= (1 << 16);
        placement place(p, b);
        place.addresses(work_.address(), fixed_->addresses());
        if (!p.gemms.empty() && !library_) {
            library_ = product_library::of(device_);
            workspace_ = allocate(library_->workspace_bytes(), b.dims);
        }
        place.products(library_, product_options_);
        bool to_states = false;
        for (const step& s : p.steps)
            to_states =
                to_states || (s.kind == step_kind::copy && is_state(p.copies[at(s.index)].to));
        kernels_.require(place.needed(), to_states);
        place.arguments(kernels_, scratch(b), fixed_->counter(), failure(b));
    }
    bool is_state(int s) const { return p.storages[at(p.root(s))].where == place::state; }
    std::uint64_t at_map(std::int64_t offset) const {
        return work_.address() + static_cast<std::uint64_t>(offset);
    }
    std::uint64_t scratch(const binding& b) const { return at_map(b.map.scratch); }
    std::uint64_t failure(const binding& b) const { return at_map(b.map.record); }
    /// The host's copy of a place in the memory map.
    std::byte* staged(const binding& b, std::int64_t offset) const {
        return staging_.data() + (offset - b.map.shared);
    }

    // ---- a call -------------------------------------------------------------------------------------------------
    void start(binding& b) {
        if (!b.graph && graphs_ && b.warm && b.recordable) {
            b.graph = capture(device_, stream_, [&] { put_all(b); });
            b.recordable = static_cast<bool>(b.graph);
        }
        trail_.to_last();
        if (b.graph) return b.graph.launch(stream_);
        put_all(b);
        b.warm = true;
    }
    void put_all(const binding& b) {
        const memory_map& m = b.map;
        trail_.to_inputs();
        check(api.cuMemcpyHtoDAsync(at_map(m.shared), staging_.data(),
                                    static_cast<std::size_t>(m.sent_bytes()), stream_),
              "cuMemcpyHtoDAsync");
        run_steps(p.all_steps(), 0);
        trail_.to_outputs();
        check(api.cuMemcpyDtoHAsync(staged(b, m.record), failure(b),
                                    static_cast<std::size_t>(m.bytes - m.record), stream_),
              "cuMemcpyDtoHAsync");
    }
    void run_steps(range_of r, int loops) {
        for (int i = r.first; i < r.first + r.count; ++i) {
            trail_.begin(loops, i);
            run_step(i, loops);
            if (!synchronous_) continue;
            if (CUresult e = api.cuStreamSynchronize(stream_); e != CUDA_SUCCESS)
                throw step_error(e, driver_sentence(e, "cuStreamSynchronize") + ", while running " +
                                        trail_.text(now_->dims));
        }
    }
    void run_step(int index, int loops) {
        const step& s = p.steps[at(index)];
        switch (s.kind) {
        case step_kind::kernel:
            if (now_->left_out[at(index)] != 0) return;
            return run_launches(now_->of_step[at(index)]);
        case step_kind::gemm: return run_gemm(s.index, now_->of_step[at(index)]);
        case step_kind::loop: return run_loop(p.loops[at(s.index)], loops + 1);
        case step_kind::copy: return run_copy(p.copies[at(s.index)]);
        }
        refuse_unknown(s);
    }
    void run_launches(range_of r) {
        for (int i = r.first; i < r.first + r.count; ++i) {
            const range_of words = now_->arguments[at(i)];
            std::uint64_t* argument = now_->words.data() + words.first;
            if (words.count == 0) {
                write_argument(p, now_->launches[at(i)], now_->dims, now_->addresses,
                               scratch(*now_), fixed_->counter(), failure(*now_), argument_);
                argument = argument_.data();
            }
            const kernel_launch& l = now_->launches[at(i)];
            void* arguments[]{argument};
            CUfunction f = now_->functions[at(i)];
            CUresult e = api.cuLaunchKernel(f, l.blocks, 1, 1, l.threads, 1, 1, 0, stream_,
                                            arguments, nullptr);
            if (e != CUDA_SUCCESS) throw refused_launch(device_, e, l.name, f, l.threads);
        }
    }
    void run_gemm(int index, range_of epilogue) {
        const matrix_product& g = p.gemms[at(index)];
        const bound_product& q = now_->products[at(index)];
        const std::uint64_t to = now_->addresses[at(q.result)];
        if (q.by_library)
            q.by_library->run(stream_,
                              now_->addresses[at(g.a)] + static_cast<std::uint64_t>(q.from_a),
                              now_->addresses[at(g.b)] + static_cast<std::uint64_t>(q.from_b), to,
                              workspace_.address());
        else if (q.bytes > 0)  // a sum of nothing
            check(api.cuMemsetD8Async(to, 0, static_cast<std::size_t>(q.bytes), stream_),
                  "cuMemsetD8Async");
        if (!q.whole) run_launches(epilogue);
    }
    void run_copy(const copy& c) {
        const storage& s = p.storages[at(c.from)];
        const std::int64_t bytes = number(s.size) * row_of(s.element).bytes;
        const std::uint64_t from = now_->addresses[at(c.from)], to = now_->addresses[at(c.to)];
        if (bytes <= 0 || from == to) return;
        if (!is_state(c.to))
            return check(api.cuMemcpyDtoDAsync(to, from, static_cast<std::size_t>(bytes), stream_),
                         "cuMemcpyDtoDAsync");
        // Not the driver's copy: parameters stay as they are after a failure.
        struct {
            std::uint64_t to, from;
            std::int64_t bytes;
            std::uint64_t failure;
        } argument{to, from, bytes, failure(*now_)};
        void* arguments[]{&argument};
        const std::int64_t blocks =
            std::clamp<std::int64_t>(bytes / 4096, 1, 8 * device_.limits().processors);
        check(api.cuLaunchKernel(kernels_.copy(), static_cast<unsigned>(blocks), 1, 1, 256, 1, 1, 0,
                                 stream_, arguments, nullptr),
              "cuLaunchKernel of etch_copy");
    }
    void run_loop(const loop& l, int loops) {
        const std::int64_t steps = number(l.steps);
        for (std::int64_t i = 0; i < steps; ++i) {
            const std::int64_t now = l.reverse ? steps - 1 - i : i;
            for (int k = l.slices.first; k < l.slices.first + l.slices.count; ++k) {
                const storage& s = p.storages[at(k)];
                now_->addresses[at(k)] =
                    now_->addresses[at(s.index)] +
                    static_cast<std::uint64_t>(now * number(s.size) * row_of(s.element).bytes);
            }
            run_steps(l.body, loops);
        }
    }

    // ---- the end of a call --------------------------------------------------------------------------------------
    bool running() const { return finished_ != calls_; }
    /// Waits for the call that runs; throws what went wrong with it.
    void finish() {
        finished_ = calls_;
        trail_.to_last();
        if (CUresult e = api.cuStreamSynchronize(stream_); e != CUDA_SUCCESS)
            throw step_error(e, driver_sentence(e, "cuStreamSynchronize") + ", while running " +
                                    trail_.text(now_->dims) +
                                    (synchronous_ ? ""
                                                  : " or one before it; "
                                                    "ETCH_CUDA_SYNCHRONOUS=1 tells which"));
        failure_record record;
        std::memcpy(&record, staged(*now_, now_->map.record), sizeof record);
        if (record.set != 0) throw mistake(failure_sentence(p, record));
        if (!wanted_) return;
        for (std::size_t i = 0; i < outputs_.size(); ++i)
            if (outputs_[i] && now_->map.output_bytes[i] > 0)
                std::memcpy(outputs_[i], staged(*now_, now_->map.outputs[i]),
                            static_cast<std::size_t>(now_->map.output_bytes[i]));
    }
    void finish_earlier() {
        if (!running()) return;
        try {
            finish();
        } catch (...) {
            if (wanted_) errors_.push_back({calls_, std::current_exception()});
        }
    }
    void wait_for(std::uint64_t call) {
        if (running() && call == calls_) {
            current_device now(device_);
            return finish();
        }
        for (std::size_t i = 0; i < errors_.size(); ++i) {
            if (errors_[i].number != call) continue;
            std::exception_ptr error = errors_[i].error;
            errors_.erase(errors_.begin() + static_cast<std::ptrdiff_t>(i));
            std::rethrow_exception(error);
        }
    }
    void drop(std::uint64_t call) {
        if (call == calls_) wanted_ = false;
        std::erase_if(errors_, [&](const unasked& u) { return u.number == call; });
    }
};

/// A call that was started. It must not outlive its executor; if it goes without wait(), the call's outputs and errors are
/// dropped, and the call still ends.
class executor::ticket {
public:
    ticket() = default;
    ticket(ticket&& other) noexcept : of_(std::exchange(other.of_, nullptr)), call_(other.call_) {}
    ticket& operator=(ticket&& other) noexcept {
        std::swap(of_, other.of_);
        std::swap(call_, other.call_);
        return *this;
    }
    ~ticket() {
        if (of_) of_->drop(call_);
    }
    /// Ends the call: its outputs are there afterwards. Throws what run() throws. A second wait does nothing.
    void wait() {
        if (executor* e = std::exchange(of_, nullptr)) e->wait_for(call_);
    }

private:
    friend class executor;
    executor* of_ = nullptr;
    std::uint64_t call_ = 0;
    ticket(executor* of, std::uint64_t call) : of_(of), call_(call) {}
};

inline executor::ticket executor::launch(std::span<const std::int64_t> dims,
                                         std::span<const void* const> inputs,
                                         std::span<void* const> outputs,
                                         std::span<const std::uint64_t> states) {
    current_device now(device_);
    finish_earlier();
    binding& b = bind(dims, states);
    for (std::size_t i = 0; i < inputs.size(); ++i)
        if (b.map.input_bytes[i] > 0)
            std::memcpy(staged(b, b.map.inputs[i]), inputs[i],
                        static_cast<std::size_t>(b.map.input_bytes[i]));
    std::memset(staged(b, b.map.record), 0, sizeof(failure_record));
    try {
        start(b);
    } catch (const step_error&) {
        throw;  // the stream was waited for
    } catch (const device_error& e) {
        std::string text = std::string(e.what()) + ", while starting " + trail_.text(now_->dims);
        if (e.lost()) text += " or running one before it";
        api.cuStreamSynchronize(stream_);  // what was begun still reads the staging memory
        throw step_error(e.code, text);
    }
    outputs_.assign(outputs.begin(), outputs.end());
    wanted_ = true;
    return {this, ++calls_};
}

inline void executor::run(std::span<const std::int64_t> dims, std::span<const void* const> inputs,
                          std::span<void* const> outputs, std::span<const std::uint64_t> states) {
    current_device now(device_);
    launch(dims, inputs, outputs, states).wait();
}

}  // namespace etch::cuda

#endif
