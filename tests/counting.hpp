// SPDX-License-Identifier: MIT
// Counts the allocations of a test program; included in its one source file, since it stands in for the allocator.
#pragma once
#include <atomic>
#include <cstdlib>

// Every allocation of the program is counted, on a system whose allocator can be stood in for.
#if defined(__SANITIZE_ADDRESS__)
#define ETCH_TEST_COUNTS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define ETCH_TEST_COUNTS 0
#endif
#endif
#if !defined(ETCH_TEST_COUNTS) && defined(__GLIBC__)
#define ETCH_TEST_COUNTS 1
#endif

inline std::atomic<long> allocations{0};
#if ETCH_TEST_COUNTS
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void* malloc(std::size_t n) { return ++allocations, __libc_malloc(n); }
void* calloc(std::size_t n, std::size_t size) { return ++allocations, __libc_calloc(n, size); }
void* realloc(void* p, std::size_t n) { return ++allocations, __libc_realloc(p, n); }
void* aligned_alloc(std::size_t alignment, std::size_t n) {
    return ++allocations, __libc_memalign(alignment, n);
}
}
#endif
