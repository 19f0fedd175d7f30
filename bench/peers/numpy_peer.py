# SPDX-License-Identifier: MIT
# NumPy, and SciPy for erf: formulas as one writes them, each operation a pass; state is updated in place.
import types

import numpy
import scipy.special

import worker
from formulas import FORMULAS, density_by_hand

m = types.SimpleNamespace(**{name: getattr(numpy, name) for name in (
    "exp", "log", "sqrt", "square", "tanh", "sum", "mean", "max", "argmax", "transpose")}, erf=scipy.special.erf)


def of_formula(f):
    return lambda arguments: worker.Pure(lambda: f(m, *arguments))


def cross_entropy(arguments):
    x, label = arguments
    rows = numpy.arange(len(x))

    def run():
        y = numpy.exp(x - x.max(1, keepdims=True))
        total = y.sum(1, keepdims=True)
        loss = numpy.mean(numpy.log(total[:, 0]) + x.max(1) - x[rows, label])
        y /= total * len(x)
        y[rows, label] -= numpy.float32(1 / len(x))
        return y, loss

    return worker.Pure(run)


class Adam:
    """In place, by two arrays for what lies between."""

    def __init__(self, p):
        self.p, self.m, self.v = p, numpy.zeros_like(p), numpy.zeros_like(p)
        self.a, self.b, self.t = numpy.empty_like(p), numpy.empty_like(p), 0

    def __call__(self, gradient):
        p, m, v, a, b = self.p, self.m, self.v, self.a, self.b
        self.t += 1
        size, spread = 1e-3 / (1 - 0.9**self.t), (1 - 0.999**self.t) ** -0.5
        m *= 0.9
        m += numpy.multiply(gradient, 0.1, out=a)
        v *= 0.999
        v += numpy.multiply(numpy.square(gradient, out=a), 0.001, out=a)
        numpy.sqrt(v, out=a)
        a *= spread
        a += 1e-8
        p -= numpy.divide(numpy.multiply(m, size, out=b), a, out=b)
        return p


class Sgd:
    def __init__(self, p):
        self.p = p

    def __call__(self, gradient):
        self.p -= worker.RATE["sgd"] * gradient
        return self.p


def parameters(weights, optimizer):
    return [optimizer(p) for w in weights for p in (w, numpy.zeros(w.shape[1], w.dtype))]


def digits(optimizer):
    def make(weights):
        w1, b1, w2, b2 = updates = parameters(weights, optimizer)

        def step(image, label):
            rows = numpy.arange(len(image))
            h = numpy.maximum(image @ w1.p + b1.p, 0)
            z = h @ w2.p + b2.p
            z -= z.max(1, keepdims=True)
            wanted = z[rows, label]
            numpy.exp(z, out=z)
            total = z.sum(1, keepdims=True)
            loss = numpy.mean(numpy.log(total[:, 0]) - wanted)
            z /= total * numpy.float32(len(image))
            z[rows, label] -= numpy.float32(1 / len(image))
            dh = z @ w2.p.T
            dh *= h > 0
            for update, gradient in zip(updates, (image.T @ dh, dh.sum(0), h.T @ z, z.sum(0))):
                update(gradient)
            return loss

        return step

    return lambda arguments: worker.Training(arguments, lambda x: x, make)


def tiny(arguments):
    def make(weights):
        w1, b1, w2, b2, w3, b3 = updates = parameters(weights, Sgd)

        def step(x, y):
            h1 = numpy.tanh(x @ w1.p + b1.p)
            h2 = numpy.tanh(h1 @ w2.p + b2.p)
            d = h2 @ w3.p + b3.p - y
            loss = numpy.mean(d * d)
            d *= numpy.float32(2 / len(x))
            d2 = (d @ w3.p.T) * (1 - h2 * h2)
            d1 = (d2 @ w2.p.T) * (1 - h1 * h1)
            for update, gradient in zip(updates, (x.T @ d1, d1.sum(0), h1.T @ d2, d2.sum(0), h2.T @ d, d.sum(0))):
                update(gradient)
            return loss

        return step

    return worker.Training(arguments, lambda x: x, make)


worker.serve({name: of_formula(f) for name, f in FORMULAS.items()} | {
    "density_derivatives": of_formula(density_by_hand),
    "cross_entropy": cross_entropy,
    "adam": lambda arguments: worker.Update(arguments, lambda x: x, Adam),
    "digits_sgd": digits(Sgd), "digits_adam": digits(Adam), "tiny_sgd": tiny,
    "gemm": lambda arguments: worker.Pure(lambda: arguments[0] @ arguments[1]),
    "gemm_ta": lambda arguments: worker.Pure(lambda: arguments[0].T @ arguments[1]),
    "gemm_tb": lambda arguments: worker.Pure(lambda: arguments[0] @ arguments[1].T)})
