// SPDX-License-Identifier: MIT
// Fibers of tests/cuda/shim.hpp: stacks that one thread of the host changes between, for the
// address sanitizer too. A fiber runs `run_on_fiber` again and again and is idle in between.
#pragma once
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define ETCH_SHIM_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ETCH_SHIM_ADDRESS_SANITIZER 1
#endif
#endif
#if defined(ETCH_SHIM_ADDRESS_SANITIZER)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace shim {

#if defined(__x86_64__)
// switch_stack(from, to): keeps the registers that a function must keep (System V), stores the
// stack pointer in *from and goes on with `to`.
__attribute__((naked, noinline, noipa)) static void switch_stack(void**, void*) {
    asm volatile("push %%rbp\n push %%rbx\n push %%r12\n push %%r13\n push %%r14\n push %%r15\n"
                 "mov %%rsp, (%%rdi)\n mov %%rsi, %%rsp\n"
                 "pop %%r15\n pop %%r14\n pop %%r13\n pop %%r12\n pop %%rbx\n pop %%rbp\n ret\n" ::
                     : "memory");
}
#endif

struct fiber {
    static constexpr size_t guard = 4096,
                            bytes = 256 * 1024;  // a page that must not be touched, then the stack
    char* memory = nullptr;
    bool idle = false;  // waits for threads that have not started
#if defined(__x86_64__)
    void* stack_pointer = nullptr;
#else
    ucontext_t context;
#endif
    char* stack() const { return memory + guard; }
};

struct host_stack {
#if defined(__x86_64__)
    void* stack_pointer = nullptr;
#else
    ucontext_t context;
#endif
    const void* bottom = nullptr;  // for the address sanitizer
    size_t size = 0;
};

static host_stack host;
static std::vector<fiber*> fibers, idle;
static fiber* entered;  // by the host last
static void run_on_fiber(fiber&);

static void to_host(fiber& f, bool for_ever) {
#if defined(ETCH_SHIM_ADDRESS_SANITIZER)
    void* kept = nullptr;
    __sanitizer_start_switch_fiber(for_ever ? nullptr : &kept, host.bottom, host.size);
#endif
#if defined(__x86_64__)
    switch_stack(&f.stack_pointer, host.stack_pointer);
#else
    swapcontext(&f.context, &host.context);
#endif
#if defined(ETCH_SHIM_ADDRESS_SANITIZER)
    __sanitizer_finish_switch_fiber(kept, &host.bottom, &host.size);
#endif
    (void)for_ever;
}
static void to_fiber(fiber& f) {
#if defined(ETCH_SHIM_ADDRESS_SANITIZER)
    void* kept = nullptr;
    __sanitizer_start_switch_fiber(&kept, f.stack(), fiber::bytes);
#endif
#if defined(__x86_64__)
    switch_stack(&host.stack_pointer, f.stack_pointer);
#else
    swapcontext(&host.context, &f.context);
#endif
#if defined(ETCH_SHIM_ADDRESS_SANITIZER)
    __sanitizer_finish_switch_fiber(kept, nullptr, nullptr);
#endif
    if (f.idle) idle.push_back(&f);
}

static void fiber_main() {
#if defined(ETCH_SHIM_ADDRESS_SANITIZER)
    __sanitizer_finish_switch_fiber(nullptr, &host.bottom, &host.size);
#endif
    fiber& self = *entered;
    for (;;) {
        run_on_fiber(self);
        self.idle = true;
        to_host(self, false);
        self.idle = false;
    }
}

static fiber* make_fiber() {
    auto* f = new fiber;
    void* memory = mmap(nullptr, fiber::guard + fiber::bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory, fiber::guard, PROT_NONE) != 0) {
        perror("shim: stack of a fiber");
        abort();
    }
    f->memory = static_cast<char*>(memory);
#if defined(__x86_64__)
    // As switch_stack leaves a stack: six registers, then where to return to. Back traces end at a
    // return address of 0.
    auto** top = reinterpret_cast<void**>(f->stack() + fiber::bytes);
    *--top = nullptr;  // stands where a caller's address does: the stack is aligned as after a call
    *--top = reinterpret_cast<void*>(&fiber_main);
    for (int i = 0; i < 6; ++i) *--top = nullptr;
    f->stack_pointer = top;
#else
    getcontext(&f->context);
    f->context.uc_stack.ss_sp = f->stack();
    f->context.uc_stack.ss_size = fiber::bytes;
    f->context.uc_link = nullptr;
    makecontext(&f->context, &fiber_main, 0);
#endif
    fibers.push_back(f);
    return f;
}
static void release_fibers() {
    for (fiber* f : fibers) {
#if defined(ETCH_SHIM_ADDRESS_SANITIZER)
        __asan_unpoison_memory_region(f->stack(), fiber::bytes);
#endif
        munmap(f->memory, fiber::guard + fiber::bytes);
        delete f;
    }
    fibers.clear();
    idle.clear();
}
static struct at_unload {
    ~at_unload() { release_fibers(); }
} release_at_unload;

}  // namespace shim
