// SPDX-License-Identifier: MIT
// CUDA's dialect on the host: a host compiler compiles the very text that NVRTC gets with this
// header before it, and each CUDA thread of a block runs on a fiber. Threads go straight on until
// they wait, so that a kernel without barriers costs a call per thread. What would be a hang or a
// fault on a GPU becomes a sentence: barriers and shuffles that not all threads reach, addresses
// that are not aligned, indices out of an array's bounds.
// Blocks run one after the other. A seed shuffles blocks, warps and lanes, and how far a warp runs
// ahead of the others; with seed 0 all are in order. Shared memory is filled with 0xCD before a
// block. Only for the objects that tests/cuda/host_library.hpp makes. State is static: each has its
// own.
#pragma once
#include <link.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <mutex>
#include <type_traits>

#include "shim_fibers.hpp"

struct uint3 {
    unsigned x, y, z;
};

namespace shim {

// ---- state --------------------------------------------------------------------------------------

enum class state : unsigned char { fresh, ready, at_barrier, at_collective, finished };
enum class collective : unsigned char { sync, shuffle, ballot };

struct cuda_thread {
    state now = state::fresh;
    collective what = collective::sync;
    fiber* on = nullptr;
    const char* name = "";  // of what it waits for
    int line = 0;
    unsigned mask = 0;
    int source = 0;  // lane
    unsigned long long sent = 0, received = 0;
};

// What a test finds of a kernel in an object; declared again in tests/cuda/host_library.hpp.
struct kernel_entry {
    const char *name, *file;
    size_t argument_bytes;
    void (*body)(const void* argument);
    // Returns null, or a sentence that is good until the next launch.
    const char* (*launch)(const kernel_entry*, const unsigned* grid, const unsigned* block,
                          const void* argument, unsigned seed);
};

static std::mutex one_launch;
static uint3 thread_index, block_index, block_extents, grid_extents;
static unsigned current, thread_count, finished;
static std::vector<cuda_thread> threads;
static std::vector<unsigned> order;  // of threads, warps together
static unsigned next_fresh, end_fresh;
static const kernel_entry* kernel;
static const void* argument;
static bool waited;  // since shared memory was filled
static unsigned long long random_state;
static char error[4096];

static void add_error(const char* format, ...) {
    size_t used = strlen(error);
    va_list list;
    va_start(list, format);
    vsnprintf(error + used, sizeof error - used, format, list);
    va_end(list);
}
static unsigned next_random(unsigned bound) {
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return static_cast<unsigned>((random_state >> 33) % bound);
}
static void make_current(unsigned t) {
    current = t;
    if (t < block_extents.x)
        thread_index = {t, 0, 0};
    else
        thread_index = {t % block_extents.x, t / block_extents.x % block_extents.y,
                        t / (block_extents.x * block_extents.y)};
}

static void run_on_fiber(fiber& self) {
    while (next_fresh < end_fresh) {
        unsigned t = order[next_fresh++];
        make_current(t);
        threads[t].on = &self;
        kernel->body(argument);
        threads[current].now = state::finished;
        ++finished;
    }
}

// A thread waits: called on its fiber.
static void wait_as(state s, const char* name, int line) {
    waited = true;
    cuda_thread& t = threads[current];
    t.now = s;
    t.name = name;
    t.line = line;
    to_host(*t.on, false);
}
// The launch ends with this sentence: called on a fiber, and does not come back.
[[noreturn]] static void fail() {
    to_host(*threads[current].on, true);
    abort();
}
static void begin_error() {
    error[0] = 0;
    add_error("kernel %s (%s), block (%u, %u, %u): ", kernel->name, kernel->file, block_index.x,
              block_index.y, block_index.z);
}
[[noreturn]] static void fail(const char* what, const char* file, unsigned line) {
    begin_error();
    add_error("thread (%u, %u, %u): %s at %s:%u", thread_index.x, thread_index.y, thread_index.z,
              what, file, line);
    fail();
}

// ---- the order of things ------------------------------------------------------------------------

// Lets lanes go on when all have come that their mask names, but for those that have finished.
static bool release_collectives(unsigned warp, unsigned lanes) {
    unsigned alive = 0, waiting = 0;
    cuda_thread* lane = &threads[warp];
    for (unsigned i = 0; i < lanes; ++i) {
        if (lane[i].now != state::finished) alive |= 1u << i;
        if (lane[i].now == state::at_collective) waiting |= 1u << i;
    }
    bool moved = false;
    for (unsigned i = 0; i < lanes; ++i) {
        if (!(waiting >> i & 1)) continue;
        cuda_thread& first = lane[i];
        unsigned named = first.mask & alive;
        bool together = (named & ~waiting) == 0;
        for (unsigned k = 0; together && k < lanes; ++k)
            if (named >> k & 1)
                together = lane[k].mask == first.mask && lane[k].line == first.line &&
                           lane[k].name == first.name;
        if (!together) continue;
        unsigned votes = 0;
        for (unsigned k = 0; k < lanes; ++k)
            if (named >> k & 1) votes |= static_cast<unsigned>(lane[k].sent & 1) << k;
        for (unsigned k = 0; k < lanes; ++k) {
            if (!(named >> k & 1)) continue;
            auto from = static_cast<unsigned>(lane[k].source);
            // What a lane sends that is not part of it is not defined.
            lane[k].received = first.what == collective::ballot   ? votes
                               : from < 32 && (named >> from & 1) ? lane[from].sent
                                                                  : 0xCDCDCDCDCDCDCDCDull;
            lane[k].now = state::ready;
        }
        waiting &= ~named;
        moved = true;
    }
    return moved;
}

// Every thread of the warp runs until it waits; `first` is where the warp begins in `order`.
static bool sweep(unsigned first, unsigned lanes) {
    bool moved = false;
    unsigned finished_before = finished;
    next_fresh = first;
    end_fresh = threads[order[first]].now == state::fresh ? first + lanes : first;
    while (error[0] == 0 && next_fresh < end_fresh) {
        moved = true;
        if (idle.empty()) {
            entered = make_fiber();
        } else {
            entered = idle.back();
            idle.pop_back();
        }
        to_fiber(*entered);
    }
    if (finished - finished_before == lanes) return false;
    for (unsigned i = first; error[0] == 0 && i < first + lanes; ++i)
        if (threads[order[i]].now == state::ready) {
            moved = true;
            make_current(order[i]);
            to_fiber(*threads[order[i]].on);
        }
    if (error[0] != 0) return false;
    return release_collectives(order[first] / 32 * 32, lanes) || moved;
}

// Says who waits for what.
static void describe_stop() {
    begin_error();
    add_error("threads wait for each other for ever:");
    int said = 0;
    for (unsigned i = 0; i < thread_count; ++i) {
        const cuda_thread& t = threads[i];
        if (t.now != state::at_barrier && t.now != state::at_collective) continue;
        if (i > 0) {
            const cuda_thread& before = threads[i - 1];
            if (before.now == t.now && before.line == t.line && before.name == t.name &&
                (before.mask == t.mask || t.now == state::at_barrier))
                continue;  // waits with the one before it
        }
        if (++said > 8) break;
        add_error(" from thread %u on: %s", i, t.name);
        if (t.now == state::at_collective) add_error("(%#x)", t.mask);
        add_error(" in line %d;", t.line);
    }
    add_error(" finished: %u of %u", finished, thread_count);
}

static bool release_barrier() {
    const cuda_thread* first = nullptr;
    for (const cuda_thread& t : threads) {
        if (t.now == state::finished) continue;
        if (t.now != state::at_barrier || (first && first->line != t.line)) return false;
        first = &t;
    }
    for (cuda_thread& t : threads)
        if (t.now == state::at_barrier) t.now = state::ready;
    return first != nullptr;
}

static void run_block(bool shuffled) {
    threads.resize(thread_count);
    for (cuda_thread& t : threads) t.now = state::fresh;
    finished = 0;
    unsigned warps = (thread_count + 31) / 32;
    static std::vector<unsigned> warp_order;
    warp_order.resize(warps);
    order.resize(thread_count);
    for (unsigned w = 0; w < warps; ++w) warp_order[w] = w;
    for (unsigned w = warps; shuffled && w-- > 1;) {
        unsigned other = next_random(w + 1), kept = warp_order[w];
        warp_order[w] = warp_order[other];
        warp_order[other] = kept;
    }
    unsigned at = 0;
    for (unsigned w : warp_order) {
        unsigned first = at, lanes = thread_count - 32 * w < 32 ? thread_count - 32 * w : 32;
        for (unsigned i = 0; i < lanes; ++i) order[at++] = 32 * w + i;
        for (unsigned i = lanes; shuffled && i-- > 1;) {
            unsigned other = next_random(i + 1), kept = order[first + i];
            order[first + i] = order[first + other];
            order[first + other] = kept;
        }
    }
    for (;;) {
        bool moved = false;
        for (unsigned first = 0; first < thread_count && error[0] == 0;) {
            unsigned w = order[first] / 32;
            unsigned lanes = thread_count - 32 * w < 32 ? thread_count - 32 * w : 32;
            bool again = true;
            while (again && sweep(first, lanes)) {
                moved = true;
                again = !shuffled || next_random(4) > 0;
            }
            first += lanes;
        }
        if (error[0] != 0) return;
        if (finished == thread_count) return;
        if (!moved && !release_barrier()) return describe_stop();
    }
}

#if !defined(ETCH_SHIM_ADDRESS_SANITIZER)
// Shared memory is all that this object has of thread-local memory.
static thread_local char in_shared_memory;
static void fill_shared_memory() {
    in_shared_memory = 1;  // makes the system allocate it
    dl_iterate_phdr(
        [](dl_phdr_info* object, size_t, void*) {
            bool ours = false;
            auto here = reinterpret_cast<uintptr_t>(&one_launch);
            for (int i = 0; i < object->dlpi_phnum; ++i) {
                auto& part = object->dlpi_phdr[i];
                uintptr_t from = object->dlpi_addr + part.p_vaddr;
                ours =
                    ours || (part.p_type == PT_LOAD && here >= from && here < from + part.p_memsz);
            }
            for (int i = 0; ours && i < object->dlpi_phnum; ++i)
                if (object->dlpi_phdr[i].p_type == PT_TLS && object->dlpi_tls_data)
                    memset(object->dlpi_tls_data, 0xCD, object->dlpi_phdr[i].p_memsz);
            return ours ? 1 : 0;
        },
        nullptr);
}
#else
static void fill_shared_memory() {}
#endif

// Runs all blocks.
static const char* launch(const kernel_entry* entry, const unsigned* grid, const unsigned* block,
                          const void* words, unsigned seed) {
    std::lock_guard<std::mutex> lock(one_launch);
    kernel = entry;
    argument = words;
    error[0] = 0;
    grid_extents = {grid[0], grid[1], grid[2]};
    block_extents = {block[0], block[1], block[2]};
    thread_count = block[0] * block[1] * block[2];
    if (thread_count == 0 || thread_count > 1024)
        return "a block has at least 1 thread and at most 1024";
    random_state = seed;
    waited = true;
    uint64_t blocks = uint64_t{grid[0]} * grid[1] * grid[2], step = 1, at = 0;
    if (seed != 0 && blocks > 1) {
        auto common = [](uint64_t a, uint64_t b) {
            while (b != 0) {
                uint64_t rest = a % b;
                a = b;
                b = rest;
            }
            return a;
        };
        auto bound = static_cast<unsigned>(blocks < 0x7fffffff ? blocks : 0x7fffffff);
        at = next_random(bound);
        do step = 1 + next_random(bound);
        while (common(step, blocks) != 1);
    }
    for (uint64_t i = 0; i < blocks && error[0] == 0; ++i, at = (at + step) % blocks) {
        block_index = {static_cast<unsigned>(at % grid[0]),
                       static_cast<unsigned>(at / grid[0] % grid[1]),
                       static_cast<unsigned>(at / grid[0] / grid[1])};
        if (waited) fill_shared_memory();
        waited = false;
        run_block(seed != 0);
    }
    if (error[0] == 0) return nullptr;
    release_fibers();  // some were left in the middle of a kernel
    return error;
}

template <class F> struct parameter;
template <class T> struct parameter<void (*)(T)> { using type = T; };
template <auto function> void call(const void* argument) {
    function(*static_cast<const typename parameter<decltype(function)>::type*>(argument));
}

}  // namespace shim

// Stands at the end of the text, once for each kernel.
#define ETCH_SHIM_KERNEL(function)                                                                 \
    extern "C" __attribute__((visibility("default")))                                              \
    const shim::kernel_entry function##_entry = {                                                  \
        #function, __FILE__, sizeof(shim::parameter<decltype(&function)>::type),                   \
        &shim::call<&function>, &shim::launch};

#if !defined(ETCH_SHIM_ADDRESS_SANITIZER)
// What -fsanitize=alignment,bounds calls. A GPU faults where the first is wrong; where the second
// is, it takes memory of something else.
struct shim_source {
    const char* file;
    unsigned line, column;
};
struct shim_type {
    unsigned short kind, information;
    char name[1];
};
struct shim_mismatch {
    shim_source where;
    const shim_type* type;
    unsigned char log_alignment, kind;
};
struct shim_bounds {
    shim_source where;
    const shim_type *array, *index;
};
extern "C" __attribute__((visibility("hidden"), noreturn)) void
__ubsan_handle_type_mismatch_v1_abort(shim_mismatch* data, void* pointer) {
    char what[512];
    snprintf(what, sizeof what, "address %p is not aligned to the %u bytes of %s", pointer,
             1u << data->log_alignment, data->type->name);
    shim::fail(what, data->where.file, data->where.line);
}
extern "C" __attribute__((visibility("hidden"), noreturn)) void
__ubsan_handle_out_of_bounds_abort(shim_bounds* data, void* index) {
    char what[512];
    snprintf(what, sizeof what, "index %lld is out of the bounds of %s",
             static_cast<long long>(reinterpret_cast<intptr_t>(index)), data->array->name);
    shim::fail(what, data->where.file, data->where.line);
}
#endif

#include "shim_functions.hpp"
