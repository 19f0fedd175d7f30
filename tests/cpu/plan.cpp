// SPDX-License-Identifier: MIT
// A plan's figures are what an executor really runs; a step that a back end does not know is refused by name; a call that
// fails changes nothing, and one whose results are dropped allocates nothing.
#include "catch.hpp"

#include "counting.hpp"

#include <atomic>

#include <etch.hpp>
#include <etch/cpu/interpret.hpp>
#include <etch/run/program_runner.hpp>

#include "reference/execute.hpp"

namespace {

using floats = std::vector<float>;

constexpr auto digits = [](etch::graph& g) {
    auto N = g.dim("N");
    auto image = g.input<float>("image", {N, 20});
    auto label = g.input<int>("label", {N});
    auto h = relu(etch::nn::dense(image, 16, "hidden"));
    auto logits = etch::nn::dense(h, 10, "output");
    auto loss = mean(cross_entropy(logits, label));
    g.output("loss", loss);
    g.output("logits", logits);
    g.minimize(loss, etch::nn::adam{.rate = 1e-2});
};
constexpr auto recurrent = [](etch::graph& g) {
    auto T = g.dim("T"), N = g.dim("N");
    auto x = g.input<float>("x", {T, N, 8});
    auto w = g.param<float>("w", {8, 8}, etch::nn::normal{});
    auto r = etch::scan([&](etch::expr xt, etch::expr h) { return tanh(xt + matmul(h, w)); }, x,
                        broadcast_to(etch::constant<float>(g, {}, {0}), {N, 8}));
    auto loss = sum(square(r.last));
    g.output("loss", loss);
    g.update(w, w - 0.1 * grad(loss, w));
};
constexpr auto reductions = [](etch::graph& g) {
    auto N = g.dim("N");
    auto x = g.input<float>("x", {N, 6});
    g.output("y", softmax(x) * sum(x, 0));
    g.output("all", sum(square(x)));
};

/// Counts what the steps of a program do.
class tracer : public etch::cpu::executor {
public:
    using executor::executor;
    std::int64_t kernels = 0, products = 0, operations = 0;

    /// The same walk as that of the executor, with kernels that count.
    void trace(std::span<const std::int64_t> dims) {
        bind(dims);
        walk(p.all_steps());
    }

private:
    void walk(etch::range_of r) {
        for (int i = 0; i < r.count; ++i) {
            const auto& s = p.steps[at(r.first + i)];
            if (s.kind == etch::step_kind::kernel) ++kernels;
            for (int q = 0; q < s.parts.count; ++q) part(s.parts.first + q);
            if (s.kind == etch::step_kind::gemm) {
                const auto& m = p.gemms[at(s.index)];
                ++products;
                for (std::int64_t b = 0; b < number(m.batch); ++b)
                    operations += 2 * number(m.m) * number(m.n) * number(m.k);
                if (m.epilogue >= 0) part(m.epilogue);
            }
            if (s.kind == etch::step_kind::loop)
                for (std::int64_t k = 0; k < number(p.loops[at(s.index)].steps); ++k)
                    walk(p.loops[at(s.index)].body);
        }
    }
    /// Each point once, an operation for each line that is computed there.
    void part(int q) {
        const auto& b = p.bodies[at(p.parts[at(q)].body)];
        const auto& call = parts[at(q)].call;
        std::int64_t points = 1, rows = 1;
        for (int a = 0; a < b.outer + b.inner; ++a) {
            points *= call.extents[a];
            if (a < b.outer) rows *= call.extents[a];
        }
        auto lines = p.code_of(b);
        for (const auto& i : lines) {
            if (i.what != etch::code::compute && i.what != etch::code::reduce) continue;
            auto level = i.what == etch::code::reduce ? lines[at(i.operands[0])].at : i.at;
            operations += level == etch::level::uniform ? 1
                          : level == etch::level::row   ? rows
                                                        : points;
        }
    }
};

/// Calls through entries that count, so that what is counted is what the executor really runs.
struct counted {
    inline static int runs = 0;
    static void run(const etch::cpu::kernel_call& call, const etch::cpu::kernel_entry& e,
                    std::int64_t first, std::int64_t last, std::int64_t task) {
        if (task == 0) ++runs;
        const auto& real = *static_cast<const etch::cpu::kernel_entry*>(e.context);
        real.run(call, real, first, last, task);
    }
    static void finish(const etch::cpu::kernel_call& call, const etch::cpu::kernel_entry& e,
                       std::int64_t tasks) {
        const auto& real = *static_cast<const etch::cpu::kernel_entry*>(e.context);
        if (tasks == 0) ++runs;
        real.finish(call, real, tasks);
    }
};

template <auto model> void compare_with_plan(std::vector<std::int64_t> dims, auto figures) {
    const auto& view = etch::plan<model>.view();
    auto kernels =
        etch::cpu::kernels_of<etch::detail::planned<model, etch::plan_options{}>::frozen>();
    std::vector<etch::cpu::kernel_entry> entries(kernels.begin(), kernels.end());
    for (std::size_t i = 0; i < entries.size(); ++i)
        entries[i] = {&counted::run, kernels[i].finish ? &counted::finish : nullptr, &kernels[i]};
    tracer t(view, entries);
    t.use(etch::cpu::products_of<true, true>());
    t.trace(dims);
    auto [k, m, f, b] = figures;
    CHECK(k == t.kernels);
    CHECK(m == t.products);
    CHECK(f == t.operations);
    CHECK(b == t.bytes());

    std::vector<std::vector<std::int64_t>> memory;
    auto room = [&](const etch::type& of) -> void* {
        std::int64_t n = 1;
        for (int i = 0; i < of.rank; ++i) n *= view.value_of(of[i], dims);
        memory.emplace_back(static_cast<std::size_t>(n + 1), 0);
        return memory.back().data();
    };
    std::vector<const void*> inputs;
    std::vector<void*> outputs, states;
    for (const auto& i : view.inputs) inputs.push_back(room(i.of));
    for (const auto& o : view.outputs) outputs.push_back(room(o.of));
    for (const auto& s : view.states) states.push_back(room(s.of));
    std::int64_t parts = 0;
    auto count_parts = [&](auto& self, etch::range_of r) -> void {
        for (const auto& s : view.steps_of(r)) {
            parts += s.parts.count;
            if (s.kind == etch::step_kind::gemm &&
                view.gemms[static_cast<std::size_t>(s.index)].epilogue >= 0)
                ++parts;
            if (s.kind == etch::step_kind::loop) {
                const auto& l = view.loops[static_cast<std::size_t>(s.index)];
                for (std::int64_t i = 0; i < view.value_of(l.steps, dims); ++i) self(self, l.body);
            }
        }
    };
    count_parts(count_parts, view.all_steps());
    counted::runs = 0;
    t.run(inputs, outputs, states);
    CHECK(counted::runs == parts);
}

}  // namespace

TEST_CASE("figures of a plan are what is run") {
    auto of = []<auto model>(std::integral_constant<decltype(model), model>, auto... d) {
        constexpr const auto& p = etch::plan<model>;
        compare_with_plan<model>({d...}, std::array<std::int64_t, 4>{p.kernels(d...), p.gemms(d...),
                                                                     p.flops(d...), p.bytes(d...)});
    };
    for (int n : {1, 7, 32}) of(std::integral_constant<decltype(digits), digits>{}, n);
    for (int n : {1, 9}) of(std::integral_constant<decltype(reductions), reductions>{}, n);
    of(std::integral_constant<decltype(recurrent), recurrent>{}, 5, 3);
    of(std::integral_constant<decltype(recurrent), recurrent>{}, 1, 4);
}

TEST_CASE("a step that the back end does not know is refused by name") {
    etch::graph g;
    auto x = g.input<float>("x", {4});
    g.output("y", exp(x));
    auto p = reference::program_of(g);
    auto& unknown = p.steps[static_cast<std::size_t>(p.top[0])];
    unknown.kind = static_cast<etch::step_kind>(99);
    auto view = etch::view_of(p);
    etch::cpu::interpreter_kernels kernels(view);
    etch::cpu::executor e(view, kernels.entries());
    e.bind({});
    float in[4]{}, out[4]{};
    const void* inputs[]{in};
    void* outputs[]{out};
    CHECK_THROWS_WITH(e.run(inputs, outputs, {}),
                      "the CPU back end has no step of the kind unknown");
    CHECK_THROWS_AS(e.run(inputs, outputs, {}), etch::mistake);
    CHECK(etch::name_of(static_cast<etch::step_kind>(99)) == "unknown");
    CHECK(etch::name_of(etch::step_kind::loop) == "loop");
}

TEST_CASE("a call that fails leaves parameters and what the optimizer keeps as they were") {
    etch::function<digits> f{etch::seed(3)};
    const floats image(5 * 20, 0.25f);
    f(image, std::vector<int>{0, 1, 2, 3, 9});
    auto bytes = [&] {
        std::vector<double> all;
        for (const auto& s : f.program().states) {
            auto t = f.state()[f.program().text_of(s.name)];
            if (t.element() == etch::dtype::int64)
                all.push_back(static_cast<double>(t.item<std::int64_t>()));
            else
                for (float x : t.to_vector<float>()) all.push_back(x);
        }
        return all;
    };
    auto before = bytes();
    CHECK(before.size() == 3 * (20 * 16 + 16 + 16 * 10 + 10) + 1);
    for (int wrong : {10, -11, 1 << 30}) {
        CHECK_THROWS_AS(f(image, std::vector<int>{0, 1, 2, 3, wrong}), etch::mistake);
        CHECK(bytes() == before);
    }
    f(image, std::vector<int>{0, 1, 2, 3, 4});
    CHECK(bytes() != before);
}

TEST_CASE("a call whose results are dropped allocates nothing") {
    if (!ETCH_TEST_COUNTS) {
        WARN("etch: skipped: allocations cannot be counted here");
        return;
    }
    etch::function<digits> f;
    const floats image(64 * 20, 0.5f), small(2 * 20, 0.5f);
    const std::vector<int> label(64, 3), few(2, 1);
    for (int threads : {1, 3}) {
        etch::threads(threads);
        for (int i = 0; i < 5; ++i) f(image, label);
        long start = allocations;
        for (int i = 0; i < 20; ++i) f(image, label);
        CHECK(allocations == start);
    }
    etch::threads(1);
    f(small, few);
    f(small, few);
    long start = allocations;
    for (int i = 0; i < 20; ++i) f(small, few);
    CHECK(allocations == start);
}
