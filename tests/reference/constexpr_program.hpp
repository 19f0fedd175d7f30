// SPDX-License-Identifier: MIT
// Small random programs that the C++ compiler can write: `struct random_model { seed }` is a model. Values stay inside of
// a few units by construction, since nothing can be evaluated here; kinks and comparisons are on inputs alone.
#pragma once
#include <etch/language.hpp>

namespace reference {

/// splitmix64, as in random_program.hpp.
struct constexpr_dice {
    std::uint64_t state;
    constexpr std::uint64_t word() {
        std::uint64_t z = state += 0x9e3779b97f4a7c15;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
    constexpr int below(int n) { return static_cast<int>(word() % static_cast<std::uint64_t>(n)); }
};

struct random_model {
    unsigned seed;

    /// Inputs: x {N, 6}, row {6}, column {N, 1}, cube {2, N, 6}, label {N} of int in [0, 6); parameter w {6, 6}.
    constexpr void operator()(etch::graph& g) const {
        using etch::expr;
        constexpr_dice dice{seed};
        auto N = g.dim("N");
        expr x = g.input<float>("x", {N, 6}), row = g.input<float>("row", {6}),
             column = g.input<float>("column", {N, 1}), cube = g.input<float>("cube", {2, N, 6}),
             label = g.input<int>("label", {N});
        expr w = g.param<float>("w", {6, 6}, etch::nn::normal{});
        std::vector<expr> tables;  // of {N, 6}
        tables.push_back(x);
        tables.push_back(slice(cube, {dice.below(2)}));
        auto any = [&] {
            return tables[static_cast<std::size_t>(dice.below(static_cast<int>(tables.size())))];
        };
        for (int i = 0; i < 6; ++i) {
            expr a = any();
            expr b = any();
            expr y = a;
            switch (dice.below(19)) {
            case 0: y = tanh(a * b + row); break;
            case 1: y = sin(a) - column * b; break;
            case 2: y = softmax(a); break;
            case 3: y = softmax(a, 0) + b; break;
            case 4: y = normalize(a, -1, 0.1); break;
            case 5: y = a - mean(b, 0); break;
            case 6: y = tanh(matmul(a, w) + row); break;
            case 7: y = matmul(sigmoid(a), matmul(transpose(a), b) / N); break;
            case 8: y = where(x > 0.25, a, 0.5 * b); break;
            case 9: y = etch::flip(a, dice.below(2)) * 0.5 + b; break;
            case 10: y = sigmoid(a) * max(x, 1, etch::keepdims); break;
            case 11:
                y = tanh(b + mean(take(a, label, 1), 1, etch::keepdims));
                break;  // {N, N} in between
            case 12: y = sum(cube * tanh(a), 0); break;
            case 13: y = exp(-square(a)) + log(1 + exp(b)); break;
            case 14:
                y = etch::concatenate({slice(a, {etch::all, etch::range(2, etch::none)}),
                                       slice(b, {etch::all, etch::range(0, 2)})},
                                      1);
                break;
            case 15: y = reshape(tanh(reshape(a, {3, -1}) + 0.5), {N, 6}) + b; break;
            case 16:
                y = slice(pad(a, {{1, 0}, {0, 2}}, 0.5), {etch::range(0, N), etch::range(1, 7)});
                break;
            case 17:
                y = a * cast(equal(expand_dims(label, 1), etch::iota(g, {N, 6}, 1)),
                             etch::dtype::float32) +
                    b;
                break;
            default: {
                auto r = etch::scan([&](expr t, expr c) { return tanh(t + 0.5 * c); }, a, row);
                y = r.all;
            }
            }
            tables.push_back(tanh(0.5 * y) + 0.125 * y / (1 + abs(x)));
        }
        expr last = tables.back();
        g.output("last", last);
        g.output("rows", sum(any(), 1));
        g.output("columns", mean(any(), 0));
        expr loss = dice.below(2) == 0 ? mean(cross_entropy(last, label)) : sum(square(last)) / N;
        g.output("loss", loss);
        auto d = etch::grad(loss, {x, w}, etch::allow_disconnected);
        g.output("slope", d[0]);
        g.update(w, w - 0.125 * d[1]);
    }
};

}  // namespace reference
