# SPDX-License-Identifier: MIT
# PyTensor: `pytensor_peer.py [--cvm]`, by its default mode (numba) or by its C linker. Results are borrowed, inputs trusted.
import sys
import types

import numpy
import pytensor
import pytensor.tensor as pt
from pytensor.tensor.special import log_softmax, softmax

import worker
from formulas import FORMULAS, density

MODE = "CVM" if "--cvm" in sys.argv else None  # its own rewrites for C: products by BLAS

m = types.SimpleNamespace(**{name: getattr(pt, name) for name in (
    "exp", "log", "sqrt", "square", "tanh", "sum", "mean", "max", "argmax", "transpose", "erf")})


def variables(arguments):
    return [pt.tensor(dtype=a.dtype, shape=a.shape) for a in arguments]


def compiled(inputs, outputs, updates=None):
    borrowed = [pytensor.Out(pt.as_tensor_variable(o), borrow=True) for o in outputs]
    f = pytensor.function(inputs, borrowed, updates=updates, mode=MODE)
    f.trust_input = True
    return f


def of_formula(f):
    def make(arguments):
        inputs = variables(arguments)
        results = f(m, *inputs)
        g = compiled(inputs, results if isinstance(results, tuple) else [results])
        return worker.Pure(lambda: g(*arguments))

    return make


def cross_entropy_of(logits, label):
    return -pt.mean(log_softmax(logits, axis=-1)[pt.arange(label.shape[0]), label])


def cross_entropy(m, x, label):
    loss = cross_entropy_of(x, label)
    return pytensor.grad(loss, x), loss


def density_derivatives(m, s, t, p):
    p = pt.broadcast_to(p, s.shape)
    rho = density(m, s, t, p)
    return rho, *pytensor.grad(pt.sum(rho), [s, t, p])


def sgd(p, gradient):
    return {p: p - numpy.float32(worker.RATE["sgd"]) * gradient}


def adam_scale():
    t = pytensor.shared(numpy.float32(0))
    steps = t + numpy.float32(1)
    one = numpy.float32(1)
    size = numpy.float32(worker.RATE["adam"]) / (one - numpy.float32(0.9) ** steps)
    return {t: steps}, size, one / pt.sqrt(one - numpy.float32(0.999) ** steps)


def adam(p, gradient, size, spread):
    m, v = (pytensor.shared(numpy.zeros_like(p.get_value())) for _ in range(2))
    c = numpy.float32
    m1, v1 = c(0.9) * m + c(0.1) * gradient, c(0.999) * v + c(0.001) * gradient * gradient
    return {m: m1, v: v1, p: p - size * m1 / (pt.sqrt(v1) * spread + c(1e-8))}


def updates_of(optimizer, parameters, gradients):
    if optimizer == "sgd":
        return dict(pair for p, g in zip(parameters, gradients) for pair in sgd(p, g).items())
    updates, size, spread = adam_scale()
    for p, g in zip(parameters, gradients):
        updates |= adam(p, g, size, spread)
    return updates


def training(optimizer, loss_of):
    def make_task(arguments):
        def make(weights):
            w = [pytensor.shared(x) for x in weights]
            b = [pytensor.shared(numpy.zeros(x.shape[1], x.dtype)) for x in weights]
            x, y = variables([arguments[0][0], arguments[1][0]])
            loss = loss_of(list(zip(w, b)), x, y)
            return compiled_step([x, y], loss, w + b)

        def compiled_step(inputs, loss, parameters):
            f = compiled(inputs, [loss], updates_of(optimizer, parameters, pytensor.grad(loss, parameters)))
            return lambda x, y: f(x, y)[0]

        return worker.Training(arguments, numpy.ascontiguousarray, make)

    return make_task


def digits_loss(layers, image, label):
    (w1, b1), (w2, b2) = layers
    return cross_entropy_of(pt.maximum(image @ w1 + b1, 0) @ w2 + b2, label)


def tiny_loss(layers, x, y):
    (w1, b1), (w2, b2), (w3, b3) = layers
    h = pt.tanh(pt.tanh(x @ w1 + b1) @ w2 + b2)
    return pt.mean((h @ w3 + b3 - y) ** 2)


def update(arguments):
    def make(first):
        gradient = variables(arguments[:1])
        p = pytensor.shared(first)
        f = compiled(gradient, [], updates_of("adam", [p], gradient))

        class Step:
            """What p is costs nothing where nobody asks for it."""

            def __array__(self, *_, **__):
                return p.get_value(borrow=True)

            def __call__(self, g):
                f(g)
                return self

        return Step()

    return worker.Update(arguments, lambda x: x, make)


special = {
    "softmax": lambda m, x: softmax(x, axis=-1), "cross_entropy": cross_entropy,
    "density_derivatives": density_derivatives,
    "gemm": lambda m, a, b: a @ b, "gemm_ta": lambda m, a, b: a.T @ b, "gemm_tb": lambda m, a, b: a @ b.T}
worker.serve({name: of_formula(f) for name, f in (FORMULAS | special).items()} | {
    "adam": update, "digits_sgd": training("sgd", digits_loss), "digits_adam": training("adam", digits_loss),
    "tiny_sgd": training("sgd", tiny_loss)})
