// SPDX-License-Identifier: MIT
// What a stream was given, recorded as one CUDA graph that is launched at once; and the few sizes that were used last, each
// with what was prepared for it.
#pragma once
#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <etch/cuda/device.hpp>

namespace etch::cuda {

/// What was prepared for the sizes that were used last. Value has a member `dims`, the named extents' values.
template <class Value, std::size_t most = 8> class recent {
public:
    recent() { values_.reserve(most + 1); }

    /// The value of these dims; null for none. It becomes the one that was used last. Allocates nothing.
    Value* find(std::span<const std::int64_t> dims) {
        for (auto i = values_.begin(); i != values_.end(); ++i) {
            if (!std::equal(dims.begin(), dims.end(), (*i)->dims.begin(), (*i)->dims.end()))
                continue;
            std::rotate(values_.begin(), i, i + 1);
            return values_.front().get();
        }
        return nullptr;
    }
    /// Adds a value; the one that was not used for longest goes where there are too many.
    Value& add(std::unique_ptr<Value> value) {
        values_.insert(values_.begin(), std::move(value));
        if (values_.size() > most) values_.pop_back();
        return *values_.front();
    }
    void remove(const Value* value) {
        std::erase_if(values_, [&](const auto& v) { return v.get() == value; });
    }
    std::size_t size() const { return values_.size(); }

private:
    std::vector<std::unique_ptr<Value>> values_;  // the one that was used last is the first
};

#if __has_include(<cuda.h>) && __has_include(<nvrtc.h>)

/// A recorded sequence that can be launched again and again; empty where nothing was recorded.
class replay {
public:
    replay() = default;
    replay(const device& where, CUgraphExec graph) : device_(where), graph_(graph) {}
    replay(replay&& other) noexcept { swap(other); }
    replay& operator=(replay&& other) noexcept {
        replay old(std::move(*this));
        swap(other);
        return *this;
    }
    ~replay() {
        if (!graph_) return;
        try {
            current_device now(*device_);
            device_->api().cuGraphExecDestroy(graph_);
        } catch (const device_error&) {}
    }
    explicit operator bool() const { return graph_ != nullptr; }
    void launch(CUstream stream) const {
        check(device_->api().cuGraphLaunch(graph_, stream), "cuGraphLaunch");
    }

private:
    std::optional<device> device_;
    CUgraphExec graph_ = nullptr;

    void swap(replay& other) noexcept {
        std::swap(device_, other.device_);
        std::swap(graph_, other.graph_);
    }
};

/// Records what `put` gives to the stream, none of which runs; empty where the driver or a library refuses to be
/// recorded. The device is current and the stream idle. Other threads may go on with work of their own.
template <class F> replay capture(const device& where, CUstream stream, F put) {
    const driver_table& api = where.api();
    if (api.cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL) != CUDA_SUCCESS)
        return {};
    bool whole = true;
    try {
        put();
    } catch (
        const device_error&) {  // the same call without a recording says what is wrong, if anything is
        whole = false;
    } catch (...) {
        CUgraph dropped = nullptr;
        if (api.cuStreamEndCapture(stream, &dropped) == CUDA_SUCCESS && dropped)
            api.cuGraphDestroy(dropped);
        throw;
    }
    CUgraph graph = nullptr;
    whole = api.cuStreamEndCapture(stream, &graph) == CUDA_SUCCESS && graph && whole;
    CUgraphExec made = nullptr;
    if (whole && api.cuGraphInstantiateWithFlags(&made, graph, 0) != CUDA_SUCCESS) made = nullptr;
    if (graph) api.cuGraphDestroy(graph);
    return made ? replay(where, made) : replay();
}

#endif

}  // namespace etch::cuda
