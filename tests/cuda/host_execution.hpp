// SPDX-License-Identifier: MIT
// The rest of the driver of tests/cuda/host_device.hpp: streams, events, graphs, modules and
// launches. A module's image is the text of its kernels, which runs as tests/cuda/shim.hpp says.
#pragma once
#include "cuda/host_driver.hpp"

namespace host_device::driver {

// ---- streams ------------------------------------------------------------------------------------

inline CUresult stream_create(CUstream* handle, unsigned flags) {
    call c("cuStreamCreate", flags == CU_STREAM_NON_BLOCKING ? "non-blocking" : "blocking");
    if (c.code) return c.result();
    stream* s = now->work_queues.streams.add();
    s->device = now->device();
    s->blocking = flags != CU_STREAM_NON_BLOCKING;
    *handle = reinterpret_cast<CUstream>(s);
    return CUDA_SUCCESS;
}
inline CUresult stream_destroy(CUstream handle) {
    stream* s = now->stream_of(handle);
    call c("cuStreamDestroy", name_of(s));
    if (!handle || !s) return CUDA_ERROR_INVALID_HANDLE;
    now->work_queues.drain(*s);
    now->work_queues.streams.remove(s);
    return c.result();
}
inline CUresult stream_wait(CUstream handle) {
    stream* s = now->stream_of(handle);
    call c("cuStreamSynchronize", name_of(s));
    if (c.code) return c.result();
    if (!s) return CUDA_ERROR_INVALID_HANDLE;
    queues& q = now->work_queues;
    if (s->captured) return queues::invalidate(*s->captured, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    q.drain(*s);
    return q.fault;
}
inline CUresult stream_query(CUstream handle) {
    stream* s = now->stream_of(handle);
    call c("cuStreamQuery", name_of(s));
    if (c.code) return c.result();
    if (!s) return CUDA_ERROR_INVALID_HANDLE;
    queues& q = now->work_queues;
    if (s->captured) return queues::invalidate(*s->captured, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    if (s->queue.empty()) return q.fault;
    q.drain(*s, s->done + 1);  // who asks again and again gets there
    return q.fault != CUDA_SUCCESS ? q.fault : CUDA_ERROR_NOT_READY;
}
inline CUresult begin_capture(CUstream handle, CUstreamCaptureMode mode) {
    stream* s = now->stream_of(handle);
    call c("cuStreamBeginCapture", name_of(s));
    if (c.code) return c.result();
    return s ? now->work_queues.begin_capture(*s, mode) : CUDA_ERROR_INVALID_HANDLE;
}
inline CUresult end_capture(CUstream handle, CUgraph* to) {
    stream* s = now->stream_of(handle);
    call c("cuStreamEndCapture", name_of(s));
    if (!s) return CUDA_ERROR_INVALID_HANDLE;
    CUresult r = now->work_queues.end_capture(*s, to);
    return c.code ? c.result() : r;
}

// ---- graphs -------------------------------------------------------------------------------------

inline std::string name_of(const graph* g) { return g ? number(g->number) : "?"; }
inline CUresult graph_instantiate(CUgraphExec* to, CUgraph handle, unsigned long long) {
    graph* g = now->work_queues.graphs.find(handle);
    call c("cuGraphInstantiateWithFlags",
           name_of(g) + ", " + number(g ? g->nodes.size() : 0) + " nodes");
    if (c.code) return c.result();
    if (!g) return CUDA_ERROR_INVALID_VALUE;
    graph* made = now->work_queues.executables.add();
    made->nodes = g->nodes;
    *to = reinterpret_cast<CUgraphExec>(made);
    return CUDA_SUCCESS;
}
inline CUresult graph_launch(CUgraphExec handle, CUstream on) {
    graph* g = now->work_queues.executables.find(handle);
    stream* s = now->stream_of(on);
    call c("cuGraphLaunch", name_of(g) + ", " + host_device::name_of(s));
    if (c.code) return c.result();
    if (!g || !s) return CUDA_ERROR_INVALID_HANDLE;
    return now->work_queues.put(*s, [nodes = g->nodes] {
        for (const work& w : nodes)
            if (CUresult r = w(); r != CUDA_SUCCESS) return r;
        return CUDA_SUCCESS;
    });
}
inline CUresult graph_release(CUgraphExec handle) {
    graph* g = now->work_queues.executables.find(handle);
    call c("cuGraphExecDestroy", name_of(g));
    if (!g) return CUDA_ERROR_INVALID_VALUE;
    now->work_queues.executables.remove(g);
    return c.result();
}
inline CUresult graph_destroy(CUgraph handle) {
    graph* g = now->work_queues.graphs.find(handle);
    call c("cuGraphDestroy", name_of(g));
    if (!g) return CUDA_ERROR_INVALID_VALUE;
    now->work_queues.graphs.remove(g);
    return c.result();
}

// ---- events -------------------------------------------------------------------------------------

inline std::string name_of(const event* e) { return "event " + (e ? number(e->number) : "?"); }
inline CUresult event_create(CUevent* handle, unsigned flags) {
    call c("cuEventCreate", "");
    if (c.code) return c.result();
    event* e = now->work_queues.events.add();
    e->timing = (flags & CU_EVENT_DISABLE_TIMING) == 0;
    *handle = reinterpret_cast<CUevent>(e);
    return CUDA_SUCCESS;
}
inline CUresult event_destroy(CUevent handle) {
    event* e = now->work_queues.events.find(handle);
    call c("cuEventDestroy", name_of(e));
    if (!e) return CUDA_ERROR_INVALID_HANDLE;
    now->work_queues.events.remove(e);
    return c.result();
}
inline CUresult event_record(CUevent handle, CUstream on) {
    event* e = now->work_queues.events.find(handle);
    stream* s = now->stream_of(on);
    call c("cuEventRecord", name_of(e) + ", " + host_device::name_of(s));
    if (c.code) return c.result();
    return e && s ? now->work_queues.record(*e, *s) : CUDA_ERROR_INVALID_HANDLE;
}
inline CUresult stream_wait_event(CUstream on, CUevent handle, unsigned) {
    event* e = now->work_queues.events.find(handle);
    stream* s = now->stream_of(on);
    call c("cuStreamWaitEvent", host_device::name_of(s) + ", " + name_of(e));
    if (c.code) return c.result();
    return e && s ? now->work_queues.wait(*s, *e) : CUDA_ERROR_INVALID_HANDLE;
}
inline CUresult event_wait(CUevent handle) {
    event* e = now->work_queues.events.find(handle);
    call c("cuEventSynchronize", name_of(e));
    if (c.code) return c.result();
    if (!e) return CUDA_ERROR_INVALID_HANDLE;
    if (!e->last) return CUDA_SUCCESS;
    if (e->last->captured) return CUDA_ERROR_CAPTURED_EVENT;
    if (!e->last->done) now->work_queues.drain(*e->last->on, e->last->ticket);
    return now->work_queues.fault;
}
inline CUresult elapsed_time(float* milliseconds, CUevent from, CUevent to) {
    event *a = now->work_queues.events.find(from), *b = now->work_queues.events.find(to);
    call c("cuEventElapsedTime", name_of(a) + ", " + name_of(b));
    if (c.code) return c.result();
    if (!a || !b || !a->timing || !b->timing || !a->last || !b->last)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!a->last->done || !b->last->done) return CUDA_ERROR_NOT_READY;
    *milliseconds = std::chrono::duration<float, std::milli>(b->last->when - a->last->when).count();
    return CUDA_SUCCESS;
}

// ---- modules and kernels ------------------------------------------------------------------------

// Stands at the beginning of an image, and after it the architecture: 90, or compute_90 for PTX.
inline constexpr std::string_view image_begin = "// kernels for a host device: ";

inline CUresult module_load(CUmodule* handle, const void* image) {
    call c("cuModuleLoadData", "");
    if (c.code) return c.result();
    if (CUresult r = now->work_queues.refuse_in_capture(); r != CUDA_SUCCESS) return r;
    std::string_view text = static_cast<const char*>(image);
    if (!text.starts_with(image_begin)) return CUDA_ERROR_INVALID_IMAGE;
    text.remove_prefix(image_begin.size());
    std::string_view target = text.substr(0, text.find('\n'));
    const bool any_newer = target.starts_with("compute_");
    target.remove_prefix(target.find('_') + 1);
    int architecture = 0;
    std::from_chars(target.data(), target.data() + target.size(), architecture);
    if (any_newer ? architecture > now->options.capability
                  : architecture != now->options.capability)
        return CUDA_ERROR_NO_BINARY_FOR_GPU;
    module* m = now->modules.add();
    m->text = text.substr(text.find('\n') + 1);
    *handle = reinterpret_cast<CUmodule>(m);
    return CUDA_SUCCESS;
}
inline CUresult module_unload(CUmodule handle) {
    module* m = now->modules.find(handle);
    call c("cuModuleUnload", m ? number(m->number) : "?");
    if (!m) return CUDA_ERROR_INVALID_HANDLE;
    now->work_queues.drain_all();
    for (auto& [name, f] : m->functions) f->loaded = false;
    now->modules.remove(m);
    return c.result();
}
inline CUresult get_function(CUfunction* handle, CUmodule from, const char* name) {
    module* m = now->modules.find(from);
    call c("cuModuleGetFunction", name);
    if (c.code) return c.result();
    if (!m) return CUDA_ERROR_INVALID_HANDLE;
    std::shared_ptr<function> f;
    if (auto known = m->functions.find(name); known != m->functions.end()) {
        f = known->second;
    } else {
        auto made = std::make_shared<function>();
        made->name = name;
        if (now->options.run_kernels) {
            try {
                texts().add({m->text}, now->options.build);
            } catch (const std::runtime_error& e) {
                now->problem(e.what());
                return CUDA_ERROR_INVALID_SOURCE;
            }
            if (const host_kernel* k = texts().find(m->text, name)) made->kernel = *k;
        } else {
            for (const auto& k : detail::kernels_of(detail::canonical(m->text)))
                if (k.name == name) made->kernel.most_threads = k.most_threads;
        }
        const bool there = now->options.run_kernels
                               ? made->kernel.entry != nullptr
                               : m->text.find(std::string(name) + '(') != std::string::npos;
        if (!there) return CUDA_ERROR_NOT_FOUND;
        f = m->functions[name] = std::move(made);
    }
    *handle = reinterpret_cast<CUfunction>(f.get());
    return CUDA_SUCCESS;
}
inline std::shared_ptr<function> function_of(CUfunction handle) {
    for (const auto& [key, m] : now->modules)
        for (const auto& [name, f] : m->functions)
            if (f.get() == reinterpret_cast<const function*>(handle)) return f;
    return nullptr;
}
inline CUresult set_function_attribute(CUfunction handle, CUfunction_attribute which, int value) {
    auto f = function_of(handle);
    call c("cuFuncSetAttribute",
           (f ? f->name : "?") + ", " + number(static_cast<int>(which)) + " = " + number(value));
    return c.code ? c.result() : f ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}
inline CUresult get_function_attribute(int* value, CUfunction_attribute which, CUfunction handle) {
    auto f = function_of(handle);
    call c("cuFuncGetAttribute", (f ? f->name : "?") + ", " + number(static_cast<int>(which)));
    if (c.code) return c.result();
    if (!f) return CUDA_ERROR_INVALID_HANDLE;
    *value = which == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK
                 ? static_cast<int>(f->kernel.most_threads)
             : which == CU_FUNC_ATTRIBUTE_NUM_REGS ? 32
                                                   : 0;
    return CUDA_SUCCESS;
}

/// Runs a kernel, and looks whether it wrote where it must not.
inline CUresult run_kernel(const function& f, std::array<unsigned, 3> grid,
                           std::array<unsigned, 3> block, const void* argument) {
    if (!f.loaded) {
        now->problem("kernel " + f.name + " runs after its module was unloaded");
        return CUDA_ERROR_ILLEGAL_ADDRESS;
    }
    if (int code = now->told_to_fail("kernel")) return static_cast<CUresult>(code);
    unsigned seed = now->options.seed;
    if (seed != 0) seed += 7919 * ++now->launches;
    std::string said = f.kernel.run(grid, block, argument, seed);
    if (std::string text = now->memory.overwritten(); said.empty() && !text.empty())
        said = "after kernel " + f.name + ": " + text;
    if (said.empty()) return CUDA_SUCCESS;
    now->problem(said);
    return said.find("not aligned") != said.npos ? CUDA_ERROR_MISALIGNED_ADDRESS
           : said.find("for ever") != said.npos  ? CUDA_ERROR_LAUNCH_TIMEOUT
                                                 : CUDA_ERROR_ILLEGAL_ADDRESS;
}
inline CUresult launch(CUfunction handle, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                       unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared,
                       CUstream on, void** arguments, void** extra) {
    auto f = function_of(handle);
    stream* s = now->stream_of(on);
    auto extents = [](unsigned x, unsigned y, unsigned z) {
        return number(x) + (y == 1 && z == 1 ? "" : "x" + number(y) + "x" + number(z));
    };
    call c("cuLaunchKernel", (f ? f->name : "?") + ", " + extents(grid_x, grid_y, grid_z) +
                                 " blocks of " + extents(block_x, block_y, block_z) + ", " +
                                 host_device::name_of(s));
    if (c.code) return c.result();
    if (!f || !s || s->device != now->device()) return CUDA_ERROR_INVALID_HANDLE;
    const auto threads = std::uint64_t{block_x} * block_y * block_z;
    if (grid_x == 0 || grid_y == 0 || grid_z == 0 || threads == 0 || threads > 1024 ||
        block_z > 64 || grid_x > 0x7fffffff || grid_y > 0xffff || grid_z > 0xffff || shared != 0 ||
        threads > f->kernel.most_threads || !arguments || !arguments[0] || extra)
        return CUDA_ERROR_INVALID_VALUE;
    if (!now->options.run_kernels) return now->work_queues.put(*s, [] { return CUDA_SUCCESS; });
    const std::size_t bytes = f->kernel.entry->argument_bytes;
    if (bytes > 32764) return CUDA_ERROR_INVALID_VALUE;  // what a kernel's parameters may take
    std::array<unsigned, 3> grid{grid_x, grid_y, grid_z}, block{block_x, block_y, block_z};
    // The driver has copied the argument when the call returns.
    std::vector<std::uint64_t> words((bytes + 7) / 8);
    std::memcpy(words.data(), arguments[0], bytes);
    return now->work_queues.put(
        *s, [=, words = std::move(words)] { return run_kernel(*f, grid, block, words.data()); });
}

inline etch::cuda::driver_table table() {
    etch::cuda::driver_table t;
    t.cuInit = init;
    t.cuDriverGetVersion = driver_version;
    t.cuGetErrorName = error_name;
    t.cuGetErrorString = error_string;
    t.cuDeviceGetCount = device_count;
    t.cuDeviceGet = device_get;
    t.cuDeviceGetName = device_name;
    t.cuDeviceGetAttribute = device_attribute;
    t.cuDeviceTotalMem = total_memory;
    t.cuDevicePrimaryCtxRetain = retain;
    t.cuDevicePrimaryCtxRelease = release;
    t.cuCtxSetCurrent = set_current;
    t.cuCtxGetCurrent = get_current;
    t.cuMemAlloc = allocate;
    t.cuMemFree = free;
    t.cuMemGetInfo = memory_info;
    t.cuMemHostAlloc = host_allocate;
    t.cuMemFreeHost = host_free;
    t.cuMemcpyHtoDAsync = copy_to_device;
    t.cuMemcpyDtoHAsync = copy_to_host;
    t.cuMemcpyDtoDAsync = copy_on_device;
    t.cuMemsetD8Async = fill;
    t.cuStreamCreate = stream_create;
    t.cuStreamDestroy = stream_destroy;
    t.cuStreamSynchronize = stream_wait;
    t.cuStreamQuery = stream_query;
    t.cuStreamWaitEvent = stream_wait_event;
    t.cuStreamBeginCapture = begin_capture;
    t.cuStreamEndCapture = end_capture;
    t.cuGraphInstantiateWithFlags = graph_instantiate;
    t.cuGraphLaunch = graph_launch;
    t.cuGraphExecDestroy = graph_release;
    t.cuGraphDestroy = graph_destroy;
    t.cuEventCreate = event_create;
    t.cuEventDestroy = event_destroy;
    t.cuEventRecord = event_record;
    t.cuEventSynchronize = event_wait;
    t.cuEventElapsedTime = elapsed_time;
    t.cuModuleLoadData = module_load;
    t.cuModuleUnload = module_unload;
    t.cuModuleGetFunction = get_function;
    t.cuFuncSetAttribute = set_function_attribute;
    t.cuFuncGetAttribute = get_function_attribute;
    t.cuLaunchKernel = launch;
    return t;
}

}  // namespace host_device::driver
