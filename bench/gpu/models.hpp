// SPDX-License-Identifier: MIT
// The models that are timed on a GPU. All that they read are parameters, which stay on the device,
// and so is what they write, so that a call moves nothing; only rows and products have outputs,
// since an update of a parameter is a kernel of its own, and these are about one kernel. A case is
// a line of words, "elementwise gelu 1048576": see bench/gpu/cases.py for all of them.
#pragma once
#include <etch.hpp>
#include <sstream>

#include <etch/cuda/gemm.hpp>

#include "../worker.hpp"

namespace bench::gpu {

/// The first value of a parameter: numbers of a stream, as bench::numbers and bench::labels give them. All others are 0.
struct filling {
    std::string name;
    std::uint32_t stream;
    float low, high;  // of integers: [0, high)
};

struct model {
    etch::graph graph;
    std::vector<filling> fillings;
    std::vector<std::string> results;  // parameters and outputs that are compared
    etch::cuda::product_options products;
};

/// Throws etch::mistake where the words name no model.
class model_builder {
public:
    explicit model_builder(const std::string& words) : words_(words) {}

    std::unique_ptr<model> make() {
        std::string family, what;
        words_ >> family >> what;
        if (family == "elementwise")
            elementwise(what);
        else if (family == "reduction")
            reduction(what);
        else if (family == "row")
            row(what);
        else if (family == "optimizer")
            optimizer(what);
        else if (family == "mlp")
            mlp(what);
        else if (family == "gemm")
            gemm(what);
        else if (family == "call")
            g.update(result("y", {1}), parameter("y", {1}) + 1);
        else
            throw etch::mistake("no family of cases has the name " + family);
        if (g.failed()) throw etch::mistake(g.first_mistake.view());
        return std::move(made_);
    }

private:
    using expr = etch::expr;
    using shape = std::initializer_list<etch::dim>;

    std::istringstream words_;
    std::unique_ptr<model> made_ = std::make_unique<model>();
    etch::graph& g = made_->graph;
    std::map<std::string, expr> known_;

    int number() {
        int n = 0;
        if (!(words_ >> n) || n <= 0)
            throw etch::mistake("a case needs more numbers than " + words_.str() + " has");
        return n;
    }
    [[noreturn]] static void unknown(const std::string& what) {
        throw etch::mistake("no model has the name " + what);
    }
    template <class T = float> expr parameter(const std::string& name, shape extents) {
        auto [at, fresh] = known_.try_emplace(name);
        if (fresh) at->second = g.param<T>(name, extents, etch::nn::zeros{});
        return at->second;
    }
    expr filled(const std::string& name, shape extents, std::uint32_t stream, float low,
                float high) {
        made_->fillings.push_back({name, stream, low, high});
        return parameter(name, extents);
    }
    expr classes(const std::string& name, int count, int below) {
        made_->fillings.push_back({name, 6, 0, static_cast<float>(below)});
        return parameter<int>(name, {count});
    }
    expr result(const std::string& name, shape extents) {
        made_->results.push_back(name);
        return parameter(name, extents);
    }

    void output(const std::string& name, expr y) {
        made_->results.push_back(name);
        g.output(name, y);
    }

    void elementwise(const std::string& formula) {
        const int n = number();
        if (formula == "adam") {
            expr p = filled("x", {n}, 1, -2, 2), d = filled("dy", {n}, 3, -1, 1);
            made_->results = {"x"};
            etch::nn::adam{.rate = 1e-3}(g, {&p, 1}, {&d, 1});
            return;
        }
        expr x = filled("x", {n}, 1, -2, 2);
        auto z = [&] { return filled("z", {n}, 2, -2, 2); };
        auto store = [&](expr y) { g.update(result("y", {n}), y); };
        if (formula == "affine") {
            store(1.5 * x - 0.5 * z() + 0.25);
        } else if (formula == "tanh") {
            store(tanh(1.5 * x - 0.5));
        } else if (formula == "gelu") {
            store(gelu_tanh(x));
        } else if (formula == "wave") {
            expr w = z();
            store(sqrt(x * x + w * w) * exp(-x * x) + w);
        } else {
            unknown(formula);
        }
    }
    void reduction(const std::string& what) {
        const int rows = number(), columns = number();
        expr x = filled("x", {rows, columns}, 1, -2, 2);
        if (what == "all")
            g.update(result("y", {}), sum(x));
        else if (what == "rows")
            g.update(result("y", {rows}), sum(x, 1));
        else if (what == "columns")
            g.update(result("y", {columns}), sum(x, 0));
        else
            unknown(what);
    }
    void row(const std::string& what) {
        const int rows = number(), columns = number();
        expr x = filled("x", {rows, columns}, 1, -4, 4);
        auto dy = [&] { return filled("dy", {rows, columns}, 3, -1, 1); };
        if (what == "softmax") {
            output("y", softmax(x));
        } else if (what == "softmax_gradient") {
            expr y = softmax(x);
            output("y", y);
            output("dx", grad(sum(y * dy()), x));
        } else if (what == "layer_norm" || what == "layer_norm_gradient") {
            expr gain = filled("gain", {columns}, 4, 0.5f, 1.5f),
                 offset = filled("offset", {columns}, 5, -1, 1);
            expr y = etch::nn::layer_norm(x, gain, offset);
            output("y", y);
            if (what == "layer_norm") return;
            auto d = grad(sum(y * dy()), {x, gain, offset});
            output("dx", d[0]);
            output("dgain", d[1]);
            output("doffset", d[2]);
        } else if (what == "cross_entropy") {
            expr loss = mean(cross_entropy(x, classes("label", rows, columns)));
            output("loss", loss);
            output("dx", grad(loss, x));
        } else {
            unknown(what);
        }
    }
    /// An update of many tensors of sizes that repeat: some fill a kernel, most do not.
    void optimizer(const std::string& how) {
        const int count = number(), largest = number();
        std::vector<expr> p, d;
        for (int i = 0; i < count; ++i) {
            const int n = std::max(1, largest >> (3 * (i % 5)));
            const auto stream = static_cast<std::uint32_t>(i);
            p.push_back(filled("p" + std::to_string(i), {n}, 100 + stream, -1, 1));
            d.push_back(filled("d" + std::to_string(i), {n}, 1100 + stream, -1, 1));
            if (i < 5) made_->results.push_back("p" + std::to_string(i));
        }
        update(how, p, d);
    }
    void update(const std::string& how, const std::vector<expr>& p, const std::vector<expr>& d) {
        if (how == "adam")
            etch::nn::adam{.rate = 1e-3}(g, p, d);
        else if (how == "sgd")
            etch::nn::sgd{.rate = 0.01}(g, p, d);
        else
            unknown(how);
    }
    void mlp(const std::string& how) {
        constexpr int in = 784, hidden = 256, out = 10;
        const int n = number();
        expr image = filled("image", {n, in}, 10, 0, 1), label = classes("label", n, out);
        auto weight = [&](const char* name, int from, int to, std::uint32_t stream) {
            const float limit = std::sqrt(6.f / static_cast<float>(from + to));
            return filled(name, {from, to}, stream, -limit, limit);
        };
        std::vector<expr> p{weight("w1", in, hidden, 1), parameter("b1", {hidden}),
                            weight("w2", hidden, out, 2), parameter("b2", {out})};
        expr h = relu(etch::nn::dense(image, p[0], p[1]));
        expr loss = mean(cross_entropy(etch::nn::dense(h, p[2], p[3]), label));
        g.update(result("loss", {}), loss);
        made_->results.push_back("w2");
        std::vector<expr> d;
        etch::expr_list gradients = grad(loss, etch::expr_list{p.begin(), p.end()});
        for (expr e : gradients) d.push_back(e);
        update(how, p, d);
    }
    void gemm(const std::string& after) {
        const int n = number();
        std::string precision;
        words_ >> precision;
        made_->products.tensor_float32 = precision == "tf32";
        expr x = filled("x", {n, n}, 1, -1, 1), w = filled("w", {n, n}, 7, -0.1f, 0.1f);
        expr y = matmul(x, w) + filled("b", {n}, 8, -1, 1);
        if (after == "relu")
            y = relu(y);
        else if (after == "gelu")
            y = gelu_tanh(y);
        else
            unknown(after);
        output("y", y);
    }
};

}  // namespace bench::gpu
