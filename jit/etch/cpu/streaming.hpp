// SPDX-License-Identifier: MIT
// Which results go past the caches. That writes a line without reading it first, and leaves the caches to what is read.
#pragma once
#include <algorithm>
#include <cstdint>

#include <etch/passes/program.hpp>

#if defined(__linux__)
#include <unistd.h>
#endif

namespace etch::cpu {

/// Of the last cache, what may be counted on: some systems name the sum of all such caches of a processor.
inline std::int64_t last_cache_bytes() {
    constexpr std::int64_t most = std::int64_t{32} << 20;
#if defined(_SC_LEVEL3_CACHE_SIZE)
    static const std::int64_t named = sysconf(_SC_LEVEL3_CACHE_SIZE);
    return named > 0 ? std::min(named, most) : most;
#else
    return most;
#endif
}

/// Whether what a part stores should go past the caches: it is larger than they are, or they cannot hold it beside
/// what the part reads and it is a result of the function, and the part does not read it itself.
inline bool goes_past_caches(const program_view& p, const part& q,
                             std::span<const std::int64_t> dims) {
    auto at = [](int i) { return static_cast<std::size_t>(i); };
    auto storage_of = [&](const instruction& i) {
        return i.slot < 0 ? -1 : p.slots[at(q.slots.first + i.slot)].storage;
    };
    const body& b = p.bodies[at(q.body)];
    std::int64_t stored = 0, kept = 0, read = 0;
    for (const instruction& i : p.code_of(b)) {
        int s = storage_of(i);
        if (s < 0) continue;
        int root = p.root(s);
        std::int64_t bytes = p.value_of(p.storages[at(s)].size, dims) * row_of(i.element).bytes;
        bool stores = i.what == code::store && i.at == level::point;
        (stores ? stored : read) += bytes;
        if (!stores) continue;
        if (p.storages[at(root)].where != place::output) kept += bytes;
        for (const instruction& o : p.code_of(b))
            if (o.what == code::load || o.what == code::gather)
                if (int from = storage_of(o); from >= 0 && p.root(from) == root) return false;
    }
    return stored > last_cache_bytes() ||
           (kept == 0 && stored > 0 && stored + read >= last_cache_bytes());
}

}  // namespace etch::cpu
