// SPDX-License-Identifier: MIT
// Every kernel of the tests' cases, of random programs and of the digits model, compiled by NVRTC for the architectures
// that etch is made for: no errors, no registers spilled to memory.
#include "catch.hpp"

#include <etch/cuda/nvrtc.hpp>
#include <etch/language.hpp>

#include "cuda/cases.hpp"

#if !__has_include(<cuda.h>) || !__has_include(<nvrtc.h>)

TEST_CASE("kernels for all architectures") { WARN("etch: skipped: no headers of CUDA"); }

#else

#include <set>
#include <thread>

#include <etch/cuda/emit.hpp>

namespace {

constexpr int architectures[] = {80, 90, 100, 120};

/// The launches of a program on a device; each distinct kernel once in all programs.
struct collection {
    std::set<std::string> known;
    std::vector<std::string> texts;

    void add(const etch_test::device_case& c, const etch::cuda::device_limits& device) {
        std::vector<etch::cuda::kernel_launch> fresh;
        auto plan = [&](etch::range_of parts) {
            for (auto& l : etch::cuda::plan_launches(c.view, parts, c.data.dims, device))
                if (known.insert(l.name).second) fresh.push_back(l);
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
                c.view, {fresh.data() + i, std::min<std::size_t>(24, fresh.size() - i)}));
    }
};

}  // namespace

TEST_CASE("kernels for all architectures") {
    try {
        etch::cuda::nvrtc();
    } catch (const etch::mistake& m) {
        WARN("etch: skipped: " << m.what());
        return;
    }
    collection all;
    for (int processors : {1, 132}) {
        const etch::cuda::device_limits device{.architecture = 90, .processors = processors};
        for (auto* cases : {&etch_test::row_cases, &etch_test::kind_cases, &etch_test::op_cases})
            for (auto& c : (*cases)()) all.add(c, device);
        for (auto& c : etch_test::random_cases(std::getenv("ETCH_LONG") ? 400 : 12))
            all.add(c, device);
    }
    std::vector<std::string> wrong;
    std::mutex guard;
    std::size_t next = 0;
    auto work = [&] {
        for (;;) {
            std::size_t i = 0;
            {
                std::lock_guard lock(guard);
                if (next == all.texts.size() * std::size(architectures)) return;
                i = next++;
            }
            int architecture = architectures[i % std::size(architectures)];
            std::string said;
            try {
                auto made = etch::cuda::compile(all.texts[i / std::size(architectures)],
                                                architecture, {.report = true}, "test");
                if (made.cubin.empty()) said = "nothing was made";
                for (auto at = made.log.find("bytes spill stores"); at != std::string::npos;
                     at = made.log.find("bytes spill stores", at + 1))
                    if (made.log.substr(at - 3, 3) != " 0 ") said = made.log;
                if (made.log.find("bytes spill stores") == std::string::npos)
                    said = "the log says nothing of registers: " + made.log;
            } catch (const std::exception& e) {
                said = e.what();
            }
            if (said.empty()) continue;
            std::lock_guard lock(guard);
            wrong.push_back("sm_" + std::to_string(architecture) + ": " + said);
        }
    };
    {
        std::jthread other(work);
        work();
    }
    CAPTURE(all.known.size(), all.texts.size());
    for (const auto& w : wrong) UNSCOPED_INFO(w);
    CHECK(wrong.empty());
    CHECK(all.known.size() > 200);
}

#endif
