// SPDX-License-Identifier: MIT
// Derivatives against central differences in double: every row of the op table, then every op whose derivative is more
// than a formula of scalars, then what is decided about ties, paths and equality.
#include "catch.hpp"

#include "reference/random_program.hpp"

using namespace etch;
using reference::evaluator;
using reference::tensor;
using reals = std::vector<double>;

namespace {

tensor of(reference::numbers shape, const reals& elements) {
    return {dtype::float64, std::move(shape), elements};
}
/// Irregular numbers in a domain, the same in every run; `start` picks another stretch of them.
tensor sampled(reference::numbers shape, domain d = {-2, 2}, double start = 0.1) {
    tensor t(dtype::float64, std::move(shape));
    for (std::size_t i = 0; i < t.count(); ++i) {
        double u = start + 0.6180339887498949 * static_cast<double>(i + 1);
        t.real[i] = d.low + (d.high - d.low) * (u - std::floor(u));
    }
    return t;
}
/// A constant of y's type whose elements differ.
expr weights(expr y, double frequency) {
    std::vector<dim> shape;
    for (int i = 0; i < y.rank(); ++i) shape.push_back(y.size(i));
    extent n = y.g->size_of(y.of());
    return reshape(cos(frequency * (1 + iota(*y.g, {dim(y.g, n)}, 0, y.element()))),
                   std::span<const dim>(shape));
}
expr total(const expr_list& xs, const expr_list& factors) {
    expr sum_of_all = sum(xs[0] * factors[0]);
    for (std::size_t i = 1; i < xs.size(); ++i) sum_of_all = sum_of_all + sum(xs[i] * factors[i]);
    return sum_of_all;
}

/// The derivative of f at 0, of fourth order in h.
template <class F> double difference(F f, double h = 1e-4) {
    return (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h);
}
Approx about(double x) { return Approx(x).epsilon(1e-6).margin(1e-7); }

/// Whether the ds are the derivatives of the scalar y by all inputs.
void compare(const graph& g, const std::vector<tensor>& data, expr y, const expr_list& ds) {
    evaluator at(g, {}, data);
    for (std::size_t k = 0; k < data.size(); ++k) {
        tensor d = at.value(ds[k]);
        for (std::size_t i = 0; i < d.count(); ++i) {
            INFO("input " << k << ", element " << i);
            CHECK(d.real[i] == about(difference([&](double h) {
                      auto moved = data;
                      moved[k].real[i] += h;
                      return evaluator(g, {}, moved).number(y);
                  })));
        }
    }
}
/// First and second derivatives, jvp, vjp and the Hessian's product of a function of float64 tensors.
template <class F> void check(const std::vector<tensor>& data, F function) {
    graph g;
    expr_list xs, vs;
    for (const tensor& t : data) {
        std::vector<dim> shape(t.shape.begin(), t.shape.end());
        xs.push_back(g.input<double>(name("x", static_cast<int>(xs.size())), shape));
        vs.push_back(weights(xs.back(), 0.9));
    }
    expr y = function(xs);
    expr loss = sum(y * weights(y, 1));
    auto first = grad(loss, xs, allow_disconnected);
    {
        INFO("first derivative");
        compare(g, data, loss, first);
    }
    expr slope = total(first, vs);
    auto second = grad(slope, xs, allow_disconnected);
    {
        INFO("second derivative");
        compare(g, data, slope, second);
    }
    evaluator at(g, {}, data);
    expr u = weights(y, 0.7), forward = jvp({y}, xs, vs)[0];
    CHECK(at.number(sum(u * forward)) == about(at.number(total(vjp({y}, xs, {u}), vs))));
    auto products = hessian_vector_product(loss, xs, vs);
    for (std::size_t k = 0; k < xs.size(); ++k)
        CHECK(at.number(sum(abs(products[k] - second[k]))) == Approx(0).margin(1e-7));
}
/// An op that is linear in its operand has no second derivative of its own: it is put between two functions that have.
template <class F> void check_movement(reference::numbers shape, F op) {
    check({sampled(shape)}, [&](const expr_list& x) { return square(op(sin(x[0]))); });
}
/// The derivative of sum(f(x)) at some numbers.
template <class F> reals slopes(F f, const reals& x) {
    graph g;
    expr v = g.input<double>("x", {x.size()});
    return evaluator(g, {}, {of({std::ssize(x)}, x)}).value(grad(sum(f(v)), v)).elements();
}
template <class F> std::string sentence_of(F f) {
    try {
        f();
    } catch (const mistake& m) {
        return m.what();
    }
    return "no mistake";
}

}  // namespace

TEST_CASE("every elementwise row has the derivative that differences have") {
    int rows_seen = 0;
    for (std::size_t op = 0; op < op_count; ++op) {
        const auto& row = op_table[op];
        if (row.kind != op_class::elementwise || row.cuts || row.arity > 2 || row.name == "cast")
            continue;
        INFO(row.name);
        ++rows_seen;
        std::vector<tensor> data;
        for (int k = 0; k < row.arity; ++k)
            data.push_back(sampled({7}, row.sample[k], 0.1 + 0.37 * k));
        check(data, [&](const expr_list& xs) {
            std::vector<int> ids;
            for (expr x : xs) ids.push_back(x.id);
            std::int64_t ordinal[] = {
                xs[0].g->ordinal++};  // identity's; the others have no attributes
            auto count = static_cast<std::size_t>(row.name == "identity");
            return detail::append(*xs[0].g, static_cast<op_id>(op), ids,
                                  std::span<const std::int64_t>(ordinal, count));
        });
    }
    CHECK(rows_seen >= 27);
}

TEST_CASE("the other elementwise ops") {
    check({sampled({6}), sampled({6}, {-2, 2}, 0.3)},
          [](const expr_list& x) { return where(x[0] < x[1], square(x[0]), sin(x[1]) * x[0]); });
    check({sampled({6})},
          [](const expr_list& x) { return cast<double>(cast<float>(square(x[0]))); });
    check({sampled({6})}, [](const expr_list& x) { return clip(x[0] * x[0], -1, 1.5); });
    check({sampled({6})}, [](const expr_list& x) { return leaky_relu(x[0]) * x[0]; });
    check({sampled({6})}, [](const expr_list& x) { return gelu(x[0]); });
    check({sampled({6})}, [](const expr_list& x) { return gelu_tanh(x[0]); });
    check({sampled({6})}, [](const expr_list& x) { return silu(x[0]); });
    check({sampled({2, 3}), sampled({3}), sampled({})},  // broadcast
          [](const expr_list& x) { return x[0] * x[1] + square(x[1]) * x[2] / (2 + cos(x[0])); });
}

TEST_CASE("reductions") {
    check({sampled({2, 3, 2})}, [](const expr_list& x) { return square(sum(sin(x[0]), {0, -1})); });
    check({sampled({2, 3, 2})},
          [](const expr_list& x) { return x[0] * square(mean(x[0], 1, keepdims)); });
    check({sampled({2, 3})}, [](const expr_list& x) { return prod(x[0], 1); });
    check({sampled({2, 3, 2})}, [](const expr_list& x) {
        return prod(x[0], {0, 2}, keepdims) * x[0];
    });
    check({sampled({2, 3})}, [](const expr_list& x) { return square(max(x[0], 1)); });
    check({sampled({2, 3})}, [](const expr_list& x) { return square(min(x[0])); });
    check({sampled({2, 3})}, [](const expr_list& x) { return variance(x[0], 1); });
    check({sampled({2, 3})}, [](const expr_list& x) { return normalize(x[0]); });
    check({sampled({2, 3})}, [](const expr_list& x) { return normalize(x[0], {0, 1}); });
    check({sampled({2, 3})}, [](const expr_list& x) { return softmax(x[0]); });
    check({sampled({2, 3})}, [](const expr_list& x) { return log_softmax(x[0], 0); });
    check({sampled({2, 3})}, [](const expr_list& x) { return logsumexp(x[0], 0); });
    check({sampled({4, 3})}, [](const expr_list& x) {
        return cross_entropy(x[0], constant<int>(*x[0].g, {4}, {2, 0, 1, 2}));
    });
    check({sampled({4, 3}), sampled({4, 3})},
          [](const expr_list& x) { return cross_entropy(x[0], softmax(x[1])); });
    check({sampled({4}), sampled({4}, {0, 1})},
          [](const expr_list& x) { return binary_cross_entropy(x[0], x[1]); });
    check({sampled({4}), sampled({4}, {0, 1})},
          [](const expr_list& x) { return mean_squared_error(x[0], x[1]); });
}

TEST_CASE("movement") {
    check_movement({2, 3, 2}, [](expr x) { return transpose(x, {1, 2, 0}); });
    check_movement({2, 3}, [](expr x) { return transpose(x); });
    check_movement({2, 3}, [](expr x) { return expand_dims(x, {0, -1}); });
    check_movement({2, 1, 3}, [](expr x) { return squeeze(x); });
    check_movement({2, 1, 3}, [](expr x) { return broadcast_to(x, {4, 2, 2, 3}); });
    check_movement({7, 3}, [](expr x) { return slice(x, {range(5, none, -2), 1}); });
    check_movement({7, 3}, [](expr x) {
        return slice(x, {range(1, -1, 3), range(none, none, -1)});
    });
    check_movement({2, 3}, [](expr x) { return flip(x); });
    check_movement({2, 3}, [](expr x) { return reshape(x, {3, -1}); });
    check({sampled({2, 3}), sampled({})}, [](const expr_list& x) {
        return square(pad(sin(x[0]), {{1, 0}, {0, 2}}, square(x[1])));
    });
    check({sampled({2, 2}), sampled({1, 2})}, [](const expr_list& x) {
        return square(concatenate({sin(x[0]), x[1] * x[1], sin(x[0])}, 0));
    });
    check({sampled({2}), sampled({2}, {-1, 1})}, [](const expr_list& x) {
        return square(stack({sin(x[0]), x[1] * x[0]}, 1));
    });
}

TEST_CASE("products of matrices") {
    auto product = [](reference::numbers a, reference::numbers b) {
        check({sampled(a), sampled(b, {-2, 2}, 0.3)},
              [](const expr_list& x) { return matmul(sin(x[0]), square(x[1])); });
    };
    product({2, 3}, {3, 4});
    product({3}, {3, 2});
    product({2, 3}, {3});
    product({3}, {3});
    product({2, 2, 3}, {3, 2});
    product({2, 2, 3}, {2, 3, 2});
    product({2, 3}, {2, 3, 2});
    product({1, 2, 3}, {2, 1, 3, 2});
    check({sampled({2, 3}), sampled({2, 3, 2})},
          [](const expr_list& x) { return dot(sin(x[0]), square(x[1])); });
    check({sampled({2, 3}), sampled({})},
          [](const expr_list& x) { return dot(sin(x[0]), square(x[1])); });
}

TEST_CASE("indices that are data") {
    check_movement({3, 2}, [](expr x) {
        return take(x, constant<int>(*x.g, {2, 2}, {2, 0, -1, 2}));
    });
    check_movement({3, 2}, [](expr x) { return take(x, constant<int>(*x.g, {3}, {1, 1, 0}), 1); });
    check_movement({3, 2}, [](expr x) {
        return take_along_axis(x, constant<int>(*x.g, {2, 2}, {2, 1, 2, -3}), 0);
    });
    check({sampled({3, 2}), sampled({2, 2})},
          [](const expr_list& x) {  // the transposes, which grad makes
              expr i = constant<int>(*x[0].g, {2}, {2, 2});
              expr y = sum(take(sin(x[0]), i) * square(x[1]));
              return square(grad(y, x[0]));
          });
}

TEST_CASE("ties and kinks") {
    using values = reals;
    CHECK(slopes([](expr x) { return abs(x); }, {-2, 0, 3}) == values{-1, 0, 1});
    CHECK(slopes([](expr x) { return sign(x); }, {-2, 0, 3}) == values{0, 0, 0});
    CHECK(slopes([](expr x) { return floor(x); }, {-2, 0.5}) == values{0, 0});
    CHECK(slopes([](expr x) { return relu(x); }, {-2, 0, 3}) == values{0, 0, 1});
    CHECK(slopes([](expr x) { return maximum(x, 0); }, {-2, 0, 3}) == values{0, 0.5, 1});
    CHECK(slopes([](expr x) { return minimum(x, 0); }, {-2, 0, 3}) == values{1, 0.5, 0});
    CHECK(slopes([](expr x) { return maximum(x, x); }, {-2, 0}) == values{1, 1});
    CHECK(slopes([](expr x) { return clip(x, -1, 1); }, {-2, -1, 0, 1, 2}) ==
          values{0, 1, 1, 1, 0});
    CHECK(slopes([](expr x) { return max(x); }, {1, 3, 3, 2}) == values{0, 0.5, 0.5, 0});
    CHECK(slopes([](expr x) { return min(x); }, {1, 1, 1, 2, 1}) ==
          values{0.25, 0.25, 0.25, 0, 0.25});
    CHECK(slopes([](expr x) { return leaky_relu(x, 0.25); }, {-2, 0, 3}) == values{0.25, 0.25, 1});
    CHECK(slopes([](expr x) { return power(x, 2.0); }, {-3, 0, 2}) == values{-6, 0, 4});
    CHECK(slopes([](expr x) { return power(x, 1); }, {-3, 0}) == values{1, 1});
    CHECK(slopes([](expr x) { return power(x, 0); }, {-3, 0}) == values{0, 0});
    CHECK(slopes([](expr x) { return power(x, full_like(x, 0) + 0 * x); }, {2})[0] == Approx(0));
    CHECK(slopes([](expr x) { return softplus(x); }, {-1000, 0, 1000}) == values{0, 0.5, 1});
    // A product: no division by the zeros in it.
    CHECK(slopes([](expr x) { return prod(x); }, {2, 3, 4}) == values{12, 8, 6});
    CHECK(slopes([](expr x) { return prod(x); }, {2, 0, 4}) == values{0, 8, 0});
    CHECK(slopes([](expr x) { return prod(x); }, {2, 0, 0}) == values{0, 0, 0});
    for (const reals& x :
         {reals{2, 3, 4}, reals{2, 0, 4}, reals{0, 0, 5}, reals{0, 0, 0}})  // at second order too
        check({of({3}, x)}, [](const expr_list& v) { return prod(v[0]); });
    check({of({2, 3}, {2, 0, 4, 0, 3, 0})}, [](const expr_list& v) { return prod(v[0], 1); });
}

TEST_CASE("grad by intermediate values, by lists, per row") {
    graph g;
    auto n = g.dim("N");
    expr x = g.input<double>("x", {n, 2}), h = sin(x), y = sum(h * h * h);
    evaluator e(g, {3}, {sampled({3, 2})});
    auto d = grad(y, {h, x});
    CHECK(e.number(sum(abs(d[0] - 3 * h * h))) == Approx(0).margin(1e-12));
    CHECK(e.number(sum(abs(d[1] - 3 * h * h * cos(x)))) == Approx(0).margin(1e-12));
    CHECK(grad(y, x).id == d[1].id);  // the same question has the same answer
    expr u = sum(x * x, 1);
    CHECK(e.number(sum(abs(grad(sum(u), x) - 2 * x))) == Approx(0).margin(1e-12));
    CHECK(e.number(sum(abs(grad(y, y) - 1))) == 0);
    CHECK(e.number(sum(abs(grad(mean(x), x) - 1.0 / 6))) == Approx(0).margin(1e-12));
    expr f = g.input<float>("f", {2});
    CHECK(grad(sum(cast<double>(f) * 2), f).element() == dtype::float32);
}

TEST_CASE("equal expressions are one variable, identity makes another") {
    graph g;
    expr x = g.input<double>("x", {2});
    evaluator e(g, {}, {of({2}, {2, 3})});
    expr a = x * x, b = x * x;
    CHECK(a.id == b.id);
    CHECK(e.value(grad(sum(a * b), a)).elements() == reals{8, 18});
    CHECK(e.value(grad(sum(a * b), x * x)).elements() == reals{8, 18});
    expr c = identity(a), d = identity(a);
    CHECK(c.id != d.id);
    CHECK(e.value(grad(sum(a * c), c)).elements() == reals{4, 9});
    CHECK(e.value(grad(sum(a * c), a)).elements() == reals{8, 18});  // through the identity too
    CHECK(e.value(grad(sum(c * d), x)).elements() == reals{32, 108});
}

TEST_CASE("where no path leads") {
    graph g;
    expr x = g.input<double>("x", {3}), z = g.input<double>("other", {3}),
         i = g.input<int>("i", {3});
    evaluator e(g, {}, {of({3}, {1, 2, 3}), of({3}, {4, 5, 6}), tensor(dtype::int32, {3})});
    using etch_test::contains;
    CHECK_THAT(sentence_of([&] { grad(sum(x), z); }),
               contains("grad: no path leads to input other: ask for etch::allow_disconnected to "
                        "get zeros (derivative.cpp:"));
    CHECK(e.value(grad(sum(x), z, allow_disconnected)).elements() == reals{0, 0, 0});
    auto cut = [&](expr y) {
        return sentence_of([&] { grad(sum(cast<double>(y)), x); }) != "no mistake";
    };
    CHECK(cut(x < 2));
    CHECK(cut(cast<int>(x)));
    CHECK(cut(argmax(x)));
    CHECK(cut(stop_gradient(x)));
    CHECK(!cut(floor(x)));
    CHECK(!cut(sign(x)));
    CHECK(e.value(grad(sum(stop_gradient(x) * x), x)).elements() == reals{1, 2, 3});
    CHECK(e.value(grad(sum(where(x < 2, x, z)), x)).elements() == reals{1, 0, 0});
    CHECK(e.value(jvp({sum(z)}, {x}, {ones_like(x)})[0]).elements() == reals{0});
    CHECK(e.value(vjp({z}, {x}, {z})[0]).elements() == reals{0, 0, 0});
    CHECK_THAT(sentence_of([&] { grad(x, x); }),
               contains("grad: takes a floating scalar, not float64 {3}: write grad(sum(y), x)"));
    CHECK_THAT(sentence_of([&] { grad(sum(x), i); }),
               contains("dtype int32: only floating tensors have one"));
    CHECK_THAT(sentence_of([&] { jvp({x}, {x}, {sum(x)}); }),
               contains("jvp: the tangent of float64 {3} has float64 {}"));
    CHECK_THAT(sentence_of([&] { vjp({x}, {x}, {}); }),
               contains("vjp: 1 results and 0 cotangents"));
}

TEST_CASE("jvp and vjp of several results by several variables") {
    graph g;
    expr a = g.input<double>("a", {2}), b = g.input<double>("b", {2, 2});
    expr y = matmul(b, sin(a)), z = sum(a * a) * b;
    evaluator e(g, {}, {of({2}, {0.3, -0.7}), of({2, 2}, {1, 2, 3, 4})});
    expr_list ys{y, z}, xs{a, b}, vs{weights(a, 1), weights(b, 2)},
        us{weights(y, 3), weights(z, 4)};
    auto forward = jvp(ys, xs, vs);
    CHECK(forward.size() == 2);
    CHECK(e.number(total(us, forward)) == about(e.number(total(vjp(ys, xs, us), vs))));
    // jvp of gradients: the Hessian times a vector.
    expr loss = sum(y * y) + sum(z);
    auto blocks = hessian(loss, {a, b});
    auto direct = hessian_vector_product(loss, xs, vs), again = Rop(grad(loss, {a, b}), xs, vs);
    for (std::size_t i = 0; i < 2; ++i) {
        expr by_blocks = zeros_like(xs[i]);
        for (std::size_t j = 0; j < 2; ++j) {
            expr block = blocks[i][j], v = vs[j];
            REQUIRE(block.rank() == xs[i].rank() + v.rank());
            expr rows_of_block = reshape(block, {xs[i].rank() == 1 ? 2 : 4, -1});
            expr product = matmul(rows_of_block, reshape(v, {-1}));
            by_blocks = by_blocks + (xs[i].rank() == 1 ? product : reshape(product, {2, 2}));
        }
        CHECK(e.number(sum(abs(by_blocks - direct[i]))) == Approx(0).margin(1e-10));
        CHECK(e.number(sum(abs(again[i] - direct[i]))) == Approx(0).margin(1e-12));
    }
    // A quadratic form's Hessian is A + A'.
    expr quadratic = dot(a, matmul(b, a));
    CHECK(e.value(hessian(quadratic, a)).elements() == reals{2, 5, 5, 8});
    CHECK(e.value(jacobian(matmul(b, a), a)).elements() == reals{1, 2, 3, 4});
    CHECK(shape_text(g, jacobian(z, a).of()).view() == "{2, 2, 2}");
}

TEST_CASE("substitute") {
    graph g;
    expr x = g.input<double>("x", {3}), w = g.input<double>("w", {3});
    const std::vector<tensor> data{of({3}, {0.5, -1, 2}), of({3}, {1, 0.3, -0.4})};
    expr loss = sum(square(tanh(x * w) - 0.3));
    expr adapted = w - 0.1 * grad(loss, w);
    expr after = substitute(loss, {{w, adapted}});
    evaluator e(g, {}, data);
    e.replace(w, e.value(adapted));
    double moved = e.number(loss);
    CHECK(evaluator(g, {}, data).number(after) == Approx(moved));
    // Learning to learn: the derivative through the step.
    compare(g, data, after, grad(after, {x, w}));
    CHECK(substitute(loss, {{after, loss}}).id == loss.id);  // nothing to replace
    CHECK(substitute(x, {{x, w}}).id == w.id);
    // Two at once, not one after the other.
    expr difference_of_both = substitute(x - w, {{x, w}, {w, x}});
    CHECK(evaluator(g, {}, data).value(difference_of_both).elements() ==
          evaluator(g, {}, data).value(w - x).elements());
    CHECK_THAT(
        sentence_of([&] {
            substitute(loss, {{w, sum(w)}});
        }),
        etch_test::contains("substitute: float64 {3} is replaced by float64 {} (derivative.cpp:"));
    // Draws stay the draws that they are.
    expr u = uniform(g, {3}, 0, 1, dtype::float64), noisy = x + u;
    evaluator with_key(g, {}, data, {tensor(dtype::int64, {2}, reals{1, 2})});
    expr left = substitute(noisy, {{x, w}}) - w;
    CHECK(with_key.number(sum(abs(left - u))) == Approx(0).margin(1e-12));
}

TEST_CASE("scan is its unrolled loop, derivatives included") {
    auto step = [](expr x, expr c, expr k) { return tanh(matmul(x, k) + 0.5 * c * c); };
    std::vector<tensor> data{sampled({4, 2}), sampled({3}, {-1, 1}), sampled({2, 3})};
    auto looped = [&](const expr_list& x) {
        auto r =
            scan([&](expr slice_of_x, expr c) { return step(slice_of_x, c, x[2]); }, x[0], x[1]);
        return concatenate({r.all, expand_dims(r.last * r.last, 0)}, 0);
    };
    auto unrolled = [&](const expr_list& x) {
        expr c = x[1];
        expr_list all_steps;
        for (int t = 0; t < 4; ++t) {
            c = step(slice(x[0], {t}), c, x[2]);
            all_steps.push_back(expand_dims(c, 0));
        }
        all_steps.push_back(expand_dims(c * c, 0));
        return concatenate(all_steps, 0);
    };
    check(data, looped);
    graph g;
    expr_list xs{g.input<double>("x", {4, 2}), g.input<double>("c", {3}),
                 g.input<double>("k", {2, 3})};
    evaluator e(g, {}, data);
    auto no_difference = [&](expr a, expr b) {
        return e.number(sum(abs(a - b))) == Approx(0).margin(1e-10);
    };
    expr a = looped(xs), b = unrolled(xs);
    CHECK(no_difference(a, b));
    auto da = grad(sum(a * weights(a, 1)), xs), db = grad(sum(b * weights(b, 1)), xs);
    auto second = [&](const expr_list& d) {
        expr_list factors;
        for (expr x : d) factors.push_back(weights(x, 2));
        return grad(total(d, factors), xs);
    };
    auto dda = second(da), ddb = second(db);
    for (std::size_t i = 0; i < 3; ++i) {
        CHECK(no_difference(da[i], db[i]));
        CHECK(no_difference(dda[i], ddb[i]));
    }
    // Only the last value used; a sequence that is not differentiated; a captured scalar.
    check({sampled({3, 2}), sampled({})}, [](const expr_list& x) {
        return scan([&](expr s, expr c) { return c * sin(x[1]) + s * c; }, x[0],
                    ones_like(slice(x[0], {0})))
            .last;
    });
    // What the loop captures may be replaced.
    expr k = 2 * xs[2];
    CHECK(no_difference(substitute(a, {{xs[2], k}}), substitute(b, {{xs[2], k}})));
}

TEST_CASE("a scan in a scan") {
    check({sampled({2, 3}), sampled({})}, [](const expr_list& x) {
        return scan(
                   [&](expr row, expr c) {
                       return c + scan([&](expr s, expr d) { return tanh(s * d + c * x[1]); }, row,
                                       sin(c))
                                      .last;
                   },
                   x[0], x[1])
            .all;
    });
}

TEST_CASE("random programs have the derivatives that differences have") {
    reference::program_options options;
    options.gradients = options.updates = options.stop_gradients = false;
    int compared = 0, rough = 0;
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
        INFO("seed " << seed);
        graph g;
        auto p = reference::random_program(g, seed, options);
        expr loss = scalar(g, dtype::float64, 0);
        for (const auto& o : g.outputs)
            if (is_floating(g.type_of(o.value).element))
                loss = loss + sum(tanh(cast<double>(expr{&g, o.value})));
        expr_list xs, vs;
        auto take = [&](expr x) {
            if (is_floating(x.element())) xs.push_back(x);
        };
        for (const auto& i : g.inputs) take({&g, i.value});
        for (const auto& w : g.parameters) take({&g, w.value});
        for (expr x : xs) vs.push_back(weights(x, 1));
        auto d = grad(loss, xs, allow_disconnected);
        expr along = sum(cast<double>(d[0] * vs[0]));
        for (std::size_t i = 1; i < xs.size(); ++i) along = along + sum(cast<double>(d[i] * vs[i]));
        // Off the grid on which the data lie: ties that the data made by chance would be kinks.
        auto at = [&](double h) {
            evaluator plain(g, p.dims, p.inputs, p.parameters), moved = plain;
            std::uint64_t state = 0;
            for (auto* tensors : {&moved.inputs, &moved.parameters})
                for (tensor& t : *tensors)
                    for (double& x : t.real) x += 1e-4 * static_cast<double>(1 + ++state % 17) / 18;
            for (std::size_t i = 0; i < xs.size(); ++i) {
                tensor v = plain.value(vs[i]);
                auto move = [&](const auto& records, std::vector<tensor>& tensors) {
                    for (std::size_t k = 0; k < records.size(); ++k)
                        if (records[k].value == xs[i].id)
                            for (std::size_t j = 0; j < v.count(); ++j)
                                tensors[k].real[j] += h * v.real[j];
                };
                move(g.inputs, moved.inputs);
                move(g.parameters, moved.parameters);
            }
            return moved;
        };
        auto compare_along = [&](expr y, expr slope) {
            auto f = [&](double h) { return at(h).number(y); };
            double coarse = difference(f, 1e-5), fine = difference(f, 2e-6),
                   exact = at(0).number(slope);
            if (!(std::fabs(coarse - fine) <= 1e-5 + 1e-5 * std::fabs(fine))) {
                ++rough;  // a kink is near, or the function is too steep for differences
                return;
            }
            ++compared;
            CHECK(exact == Approx(fine).epsilon(1e-4).margin(1e-4));
        };
        compare_along(loss, along);
        compare_along(along, jvp({along}, xs, vs)[0]);
    }
    CHECK(compared > 500);
    CHECK(rough < 60);
}
