// SPDX-License-Identifier: MIT
// What the first call of a training step costs before anything runs on a device: the text of its kernels, NVRTC, and the
// cache on disk. It needs NVRTC and neither a GPU nor a driver.
//   emit [ARCHITECTURE] [NVRTC OPTION...]    90 where none is given; options are added to etch's own
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <thread>

#include <etch/cuda/cache.hpp>
#include <etch/cuda/emit.hpp>
#include <etch/language.hpp>
#include <etch/passes/plan.hpp>

namespace {

using etch::expr;

/// A net of dense layers: 784-256-10 with Adam.
void digits(etch::graph& g) {
    auto image = g.input<float>("image", {g.dim("N"), 784});
    auto label = g.input<int>("label", {g.dim("N")});
    auto loss = mean(cross_entropy(
        etch::nn::dense(relu(etch::nn::dense(image, 256, "hidden")), 10, "output"), label));
    g.output("loss", loss);
    g.minimize(loss, etch::nn::adam{.rate = 1e-3});
}

/// A language model of `depth` blocks of attention: all kinds of kernels, many of them in each block.
void encoder(etch::graph& g, int depth) {
    constexpr int width = 64, heads = 4, words = 100, length = 32;
    auto text = g.input<int>("text", {g.dim("N"), length});
    auto next = g.input<int>("next", {g.dim("N"), length});
    expr h = take(g.param<float>("words", {words, width}, etch::nn::normal{}), text, 0) +
             g.param<float>("places", {length, width}, etch::nn::normal{});
    auto split = [&](const expr& x) {
        return transpose(reshape(x, {-1, length, heads, width / heads}), {0, 2, 1, 3});
    };
    for (int i = 0; i < depth; ++i) {
        auto in = [&](const char* what) { return etch::name(what, i); };
        expr x = etch::nn::layer_norm(h, in("before"));
        expr q = split(etch::nn::dense(x, width, in("query")));
        expr k = split(etch::nn::dense(x, width, in("key")));
        expr v = split(etch::nn::dense(x, width, in("value")));
        expr scores = softmax(matmul(q, transpose(k, {0, 1, 3, 2})) / 4.0);
        expr mixed = reshape(transpose(matmul(scores, v), {0, 2, 1, 3}), {-1, length, width});
        h = h + etch::nn::dropout(etch::nn::dense(mixed, width, in("mix")), 0.1);
        x = etch::nn::layer_norm(h, in("after"));
        h = h + etch::nn::dense(gelu(etch::nn::dense(x, 4 * width, in("up"))), width, in("down"));
    }
    auto loss = mean(cross_entropy(etch::nn::dense(h, words, "output"), next));
    g.output("loss", loss);
    g.minimize(loss, etch::nn::adam{.rate = 1e-3});
}

double wall() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}
double computed() {
    rusage r{};
    getrusage(RUSAGE_SELF, &r);
    auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
    };
    return seconds(r.ru_utime) + seconds(r.ru_stime);
}

/// f(i) for all i below n, by so many threads.
template <class F> void side_by_side(std::size_t n, std::size_t threads, F f) {
    std::vector<std::jthread> all;
    for (std::size_t t = 0; t < threads; ++t)
        all.emplace_back([=] {
            for (std::size_t i = t; i < n; i += threads) f(i);
        });
}

void measure(const char* name, const etch::graph& g, int architecture,
             const std::vector<std::string>& more) {
    etch::program arrays = etch::make_program(g);
    etch::program_view p = etch::view_of(arrays);
    const std::int64_t dims[]{32};
    const etch::cuda::device_limits device{.architecture = architecture};

    const double start = wall();
    std::vector<etch::cuda::kernel_launch> distinct;
    std::size_t launches = 0;
    for (const etch::step& s : p.steps) {
        etch::range_of parts = s.parts;
        if (s.kind == etch::step_kind::gemm) {
            const int epilogue = p.gemms[static_cast<std::size_t>(s.index)].epilogue;
            parts = {epilogue, epilogue < 0 ? 0 : 1};
        }
        if (parts.count == 0) continue;
        for (auto& l : etch::cuda::plan_launches(p, parts, dims, device)) {
            ++launches;
            if (std::none_of(distinct.begin(), distinct.end(),
                             [&](const auto& k) { return k.name == l.name; }))
                distinct.push_back(std::move(l));
        }
    }
    std::size_t characters = etch::cuda::program_text(p, distinct).size();
    const double emitted = wall() - start;
    std::printf("%s: %zu launches, %zu distinct kernels, %zu characters; text %.1f ms\n", name,
                launches, distinct.size(), characters, 1e3 * emitted);

    for (std::size_t threads : {1u, 2u})
        for (std::size_t each :
             {distinct.size(), (distinct.size() + 1) / 2, std::size_t{12}, std::size_t{6}}) {
            if (each > distinct.size()) continue;
            std::vector<std::string> texts;
            for (std::size_t i = 0; i < distinct.size(); i += each)
                texts.push_back(etch::cuda::program_text(
                    p, std::span(distinct).subspan(i, std::min(each, distinct.size() - i))));
            if (threads > texts.size()) continue;
            double best = 1e30, best_cpu = 1e30;
            for (int round = 0; round < 2; ++round) {
                const double from = wall(), cpu = computed();
                side_by_side(texts.size(), threads, [&](std::size_t i) {
                    auto options = etch::cuda::detail::options_of(architecture, {});
                    options.insert(options.end(), more.begin(), more.end());
                    etch::cuda::detail::nvrtc_program made(texts[i], "emit");
                    etch::cuda::detail::compile_with(made, options);
                    if (made.result != NVRTC_SUCCESS) std::printf("%s\n", made.log().c_str());
                });
                best = std::min(best, wall() - from);
                best_cpu = std::min(best_cpu, computed() - cpu);
            }
            std::printf(
                "  NVRTC, %zu programs of %zu kernels, %zu threads: %.3f s, computed %.3f s\n",
                texts.size(), each, threads, best, best_cpu);
        }

    const auto folder = std::filesystem::temp_directory_path() / "etch_bench_emit";
    std::filesystem::remove_all(folder);
    setenv("ETCH_CACHE_DIR", folder.c_str(), 1);
    const std::string text = etch::cuda::program_text(p, distinct);
    etch::cuda::cached(text, architecture, {}, "emit");
    const double from = wall();
    etch::cuda::cached(text, architecture, {}, "emit");
    std::printf("  from the cache: %.2f ms\n", 1e3 * (wall() - from));
    std::filesystem::remove_all(folder);
}

}  // namespace

int main(int count, char** words) {
    std::vector<std::string> more(words + std::min(count, 2), words + count);
    const int architecture = count > 1 ? std::atoi(words[1]) : 90;
    for (int depth : {0, 1, 3}) {
        etch::graph g;
        if (depth == 0)
            digits(g);
        else
            encoder(g, depth);
        if (g.failed()) {
            std::printf("a mistake in the model\n");
            return 1;
        }
        const std::string name = depth == 0 ? "digits" : "encoder " + std::to_string(depth);
        measure(name.c_str(), g, architecture, more);
    }
}
