// SPDX-License-Identifier: MIT
// Every kernel of kernels.cpp, compiled by NVRTC for the architectures that etch is made for: no errors, no registers
// spilled to memory. Kernels that run on a host device are compiled where they run (host_nvrtc.hpp).
#include "catch.hpp"

#include <etch/cuda/nvrtc.hpp>
#include <etch/language.hpp>

#include "cuda/cases.hpp"

#if !__has_include(<cuda.h>) || !__has_include(<nvrtc.h>)

TEST_CASE("kernels for all architectures") { WARN("etch: skipped: no headers of CUDA"); }

#else

#include <algorithm>
#include <set>
#include <thread>

#include <etch/cuda/emit.hpp>

#include "cuda/every_architecture.hpp"

namespace {

/// The launches of a program on a device; each distinct kernel once in all programs.
struct collection {
    std::set<std::string> known;
    std::vector<std::string> texts;

    void add(const etch_test::device_case& c, const etch::cuda::device_limits& device,
             bool wide = false) {
        std::vector<etch::cuda::kernel_launch> fresh;
        auto plan = [&](etch::range_of parts) {
            for (auto& l : etch::cuda::plan_launches(c.view, parts, c.data.dims, device)) {
                for (auto& v : l.variants) v.wide = v.wide || wide;
                if (wide) l.name = etch::cuda::detail::emitter(c.view).add(l);
                if (known.insert(l.name).second) fresh.push_back(l);
            }
        };
        for (const etch::step& s : c.view.steps) {
            if (s.parts.count > 0) plan(s.parts);
            if (s.kind != etch::step_kind::gemm) continue;
            int epilogue = c.view.gemms[static_cast<std::size_t>(s.index)].epilogue;
            if (epilogue >= 0) plan({epilogue, 1});
        }
        // Each with a few others in one program, as a function has them.
        for (std::size_t i = 0; i < fresh.size(); i += 24)
            texts.push_back(etch::cuda::program_text(
                c.view, {fresh.data() + i, std::min<std::size_t>(24, fresh.size() - i)},
                texts.empty()));
    }
};

}  // namespace

TEST_CASE("kernels for all architectures") {
    if (!host_device::detail::real_nvrtc()) {
        WARN("etch: skipped: NVRTC is not there");
        return;
    }
    collection all;
    for (int processors : {1, 132}) {
        const etch::cuda::device_limits device{.architecture = 90, .processors = processors};
        for (auto* cases : {&etch_test::row_cases, &etch_test::kind_cases, &etch_test::op_cases})
            for (auto& c : (*cases)()) all.add(c, device);
        const int random = processors == 1 ? 100 : 12;
        for (auto& c : etch_test::random_cases(std::getenv("ETCH_LONG") ? 20 * random : random))
            all.add(c, device);
    }
    for (auto& c : etch_test::kind_cases()) all.add(c, {.processors = 1}, true);
    std::vector<std::string> wrong;
    std::mutex guard;
    std::size_t next = 0;
    constexpr std::size_t count = std::size(host_device::checked_architectures);
    auto work = [&] {
        for (;;) {
            std::size_t i = 0;
            {
                std::lock_guard lock(guard);
                if (next == all.texts.size() * count) return;
                i = next++;
            }
            std::string said = host_device::nvrtc_complaint(
                all.texts[i / count], host_device::checked_architectures[i % count]);
            if (said.empty()) continue;
            std::lock_guard lock(guard);
            wrong.push_back(said);
        }
    };
    {
        std::vector<std::jthread> others;
        for (unsigned i = 1; i < std::clamp(std::thread::hardware_concurrency(), 2u, 16u); ++i)
            others.emplace_back(work);
        work();
    }
    CAPTURE(all.known.size(), all.texts.size());
    for (const auto& w : wrong) UNSCOPED_INFO(w);
    CHECK(wrong.empty());
    CHECK(all.known.size() > 200);
}

#endif
