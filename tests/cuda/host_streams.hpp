// SPDX-License-Identifier: MIT
// The streams, events and graphs of tests/cuda/host_device.hpp. Work runs when it is given to a
// stream; where streams are `deferred`, when somebody waits for it, so that a wait that is missing
// shows. While a stream is captured its work goes to a graph and nothing runs.
#pragma once
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <cuda.h>

namespace host_device {

/// Objects behind opaque handles.
template <class T> class handles {
public:
    /// The handle of a new object, whose `number` counts from 1.
    T* add() {
        auto made = std::make_unique<T>();
        made->number = ++last_;
        T* handle = made.get();
        all_[handle] = std::move(made);
        return handle;
    }
    template <class Handle> T* find(Handle handle) const {
        auto found = all_.find(reinterpret_cast<const void*>(handle));
        return found == all_.end() ? nullptr : found->second.get();
    }
    void remove(const T* object) { all_.erase(object); }
    std::string remaining(const char* what) const {
        std::string text;
        for (const auto& [handle, object] : all_)
            text += std::string(what) + ' ' + std::to_string(object->number) + '\n';
        return text;
    }
    auto begin() const { return all_.begin(); }
    auto end() const { return all_.end(); }

private:
    std::map<const void*, std::unique_ptr<T>> all_;
    int last_ = 0;
};

using work = std::function<CUresult()>;

struct graph {
    int number = 0;
    std::vector<work> nodes;
};
struct stream;
struct capture {
    graph* to = nullptr;
    stream* origin = nullptr;
    CUstreamCaptureMode mode{};
    std::thread::id by;
    bool valid = true;
};
struct stream {
    int number = 0, device = 0;
    bool blocking = true;  // waits for the null stream
    std::deque<work> queue;
    std::uint64_t given = 0, done = 0;
    std::shared_ptr<capture> captured;
    std::uint64_t position = 0, joined = 0;  // in the capture: what was given, what others wait for
};
/// What an event was when it was last recorded.
struct recorded {
    stream* on = nullptr;
    std::uint64_t ticket = 0;
    bool done = false;
    std::chrono::steady_clock::time_point when;
    std::shared_ptr<capture> captured;
};
struct event {
    int number = 0;
    bool timing = true;
    std::shared_ptr<recorded> last;
};

class queues {
public:
    bool deferred = false;
    CUresult fault = CUDA_SUCCESS;  // of a device: all that comes after it fails like this
    handles<stream> streams;
    handles<event> events;
    handles<graph> graphs, executables;

    /// Gives work to a stream.
    CUresult put(stream& s, work w) {
        if (s.captured) {
            if (!s.captured->valid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
            ++s.position;
            s.captured->to->nodes.push_back(std::move(w));
            return CUDA_SUCCESS;
        }
        const bool null = s.number == 0;
        for (const auto& [handle, other] : streams) {
            if (!null || !other->blocking || other->device != s.device) continue;
            if (other->captured) {
                other->captured->valid = false;
                return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
            }
            drain(*other);
        }
        s.queue.push_back(std::move(w));
        ++s.given;
        if (!deferred || null) drain(s);
        return CUDA_SUCCESS;
    }
    /// Runs what the stream was given, up to piece `last`.
    void drain(stream& s, std::uint64_t last = ~std::uint64_t{0}) {
        while (s.done < last && !s.queue.empty()) {
            work w = std::move(s.queue.front());
            s.queue.pop_front();
            ++s.done;
            if (fault == CUDA_SUCCESS) fault = w();
        }
    }
    void drain_all() {
        for (const auto& [handle, s] : streams) drain(*s);
    }

    // ---- events ---------------------------------------------------------------------------------
    CUresult record(event& e, stream& s) {
        auto r = std::make_shared<recorded>();
        r->on = &s;
        r->captured = s.captured;
        CUresult result = put(s, [r] {
            r->done = true;
            r->when = std::chrono::steady_clock::now();
            return CUDA_SUCCESS;
        });
        if (result != CUDA_SUCCESS) return result;
        r->ticket = s.captured ? s.position : s.given;
        e.last = r;
        return CUDA_SUCCESS;
    }
    CUresult wait(stream& s, const event& e) {
        std::shared_ptr<recorded> r = e.last;
        if (!r) return CUDA_SUCCESS;
        if (r->captured) {  // the stream becomes part of the capture, and r's has been waited for
            if (s.captured && s.captured != r->captured) return CUDA_ERROR_STREAM_CAPTURE_MERGE;
            if (r->on->captured != r->captured) return CUDA_ERROR_CAPTURED_EVENT;
            if (!s.captured) s.position = s.joined = 0;
            s.captured = r->captured;
            ++s.position;
            r->on->joined = std::max(r->on->joined, r->ticket);
            return CUDA_SUCCESS;
        }
        if (s.captured) return invalidate(*s.captured, CUDA_ERROR_STREAM_CAPTURE_ISOLATION);
        return put(s, [this, r] {
            if (!r->done) drain(*r->on, r->ticket);
            return CUDA_SUCCESS;
        });
    }

    // ---- capture --------------------------------------------------------------------------------
    CUresult begin_capture(stream& s, CUstreamCaptureMode mode) {
        if (s.number == 0) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
        if (s.captured) return CUDA_ERROR_ILLEGAL_STATE;
        s.captured = std::make_shared<capture>(
            capture{graphs.add(), &s, mode, std::this_thread::get_id(), true});
        s.position = s.joined = 0;
        return CUDA_SUCCESS;
    }
    CUresult end_capture(stream& s, CUgraph* to) {
        *to = nullptr;
        std::shared_ptr<capture> c = s.captured;
        if (!c) return CUDA_ERROR_ILLEGAL_STATE;
        if (c->origin != &s) return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
        if (c->mode != CU_STREAM_CAPTURE_MODE_RELAXED && c->by != std::this_thread::get_id())
            return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
        bool joined = true;
        for (const auto& [handle, other] : streams) {
            if (other->captured != c) continue;
            joined = joined && (other.get() == &s || other->joined >= other->position);
            other->captured = nullptr;
        }
        if (c->valid && joined) {
            *to = reinterpret_cast<CUgraph>(c->to);
            return CUDA_SUCCESS;
        }
        graphs.remove(c->to);
        return c->valid ? CUDA_ERROR_STREAM_CAPTURE_UNJOINED
                        : CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    }
    static CUresult invalidate(capture& c, CUresult why) {
        c.valid = false;
        return why;
    }
    /// What a call answers that must not come while this thread captures, or any: as the mode says.
    CUresult refuse_in_capture() {
        CUresult answer = CUDA_SUCCESS;
        for (const auto& [handle, s] : streams) {
            if (!s->captured || s->captured->mode == CU_STREAM_CAPTURE_MODE_RELAXED) continue;
            if (s->captured->mode == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL &&
                s->captured->by != std::this_thread::get_id())
                continue;
            answer = invalidate(*s->captured, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
        }
        return answer;
    }
};

}  // namespace host_device
