# SPDX-License-Identifier: MIT
# numexpr: its text is made from the formulas by calling them with names; results go into existing arrays.
import types

import numexpr
import numpy

import worker
from formulas import FORMULAS, density_by_hand

numexpr.set_num_threads(worker.THREADS)


class Text:
    """An expression as text."""

    def __init__(self, text):
        self.text = text

    @staticmethod
    def of(x):
        return x.text if isinstance(x, Text) else repr(float(x))

    def joined(sign, turned=False):
        def operator(self, other):
            a, b = (self, other) if not turned else (other, self)
            return Text(f"({Text.of(a)} {sign} {Text.of(b)})")
        return operator

    __add__, __radd__ = joined("+"), joined("+", True)
    __sub__, __rsub__ = joined("-"), joined("-", True)
    __mul__, __rmul__ = joined("*"), joined("*", True)
    __truediv__, __rtruediv__ = joined("/"), joined("/", True)

    def __neg__(self):
        return Text(f"(-{self.text})")


def function_of(name):
    return lambda x: Text(f"{name}({x.text})")


m = types.SimpleNamespace(**{name: function_of(name) for name in ("exp", "log", "sqrt", "tanh")},
                          square=lambda x: x * x)


def texts_of(f, count):
    results = f(m, *(Text(name) for name in "abc"[:count]))
    return [Text.of(r) for r in (results if isinstance(results, tuple) else [results])]


def evaluate(text, values, out=None):
    return numexpr.evaluate(text, values, {}, out=out, truediv=True)


def of_formula(f):
    def make(arguments):
        texts = texts_of(f, len(arguments))
        values = dict(zip("abc", arguments))
        outs = [evaluate(text, values) for text in texts]

        def run():
            for text, out in zip(texts, outs):
                evaluate(text, values, out)
            return tuple(outs)

        return worker.Pure(run)

    return make


def reduction(text):
    return lambda arguments: worker.Pure(lambda: evaluate(text, {"a": arguments[0]}))


def mean_square(arguments):
    return worker.Pure(lambda: evaluate("sum(a * a)", {"a": arguments[0]}) / arguments[0].size)


def adam(arguments):
    def make(p):
        held = {"p": p, "m": numpy.zeros_like(p), "v": numpy.zeros_like(p)}
        steps = 0

        def step(gradient):
            nonlocal steps
            steps += 1
            values = held | {"g": gradient, "size": numpy.float32(1e-3 / (1 - 0.9**steps)),
                             "spread": numpy.float32((1 - 0.999**steps) ** -0.5)}
            evaluate("0.9 * m + 0.1 * g", values, held["m"])
            evaluate("0.999 * v + 0.001 * g * g", values, held["v"])
            return evaluate("p - size * m / (sqrt(v) * spread + 1e-8)", values, held["p"])

        return step

    return worker.Update(arguments, lambda x: x, make)


def outer(arguments):
    a, b, c = arguments
    return of_formula(lambda m, a, b, c: a * b + c)([a[:, None], b[None, :], c[None, :]])


def transposed_sum(arguments):
    x, z = arguments
    return of_formula(lambda m, x, z: x + z)([x.T, z])


def heads(arguments):
    x, bias = arguments
    return of_formula(lambda m, x, b: x * 0.125 + b)([x.transpose(0, 2, 1, 3), bias[:, None, :]])


def kernel_matrix(arguments):
    x, y = arguments
    values = {f"x{i}": x[:, i][:, None] for i in range(3)} | {f"y{i}": y[:, i][None, :] for i in range(3)}
    text = "exp(-((x0 - y0) * (x0 - y0) + (x1 - y1) * (x1 - y1) + (x2 - y2) * (x2 - y2)))"
    k = evaluate(text, values)

    def run():
        evaluate(text, values, k)
        return k, evaluate("sum(k, 1)", {"k": k})

    return worker.Pure(run)


worker.serve({name: of_formula(FORMULAS[name]) for name in (
    "affine", "tanh", "gelu", "wave", "standardize", "density")} | {
    "density_derivatives": of_formula(density_by_hand), "adam": adam, "sum": reduction("sum(a)"),
    "mean_square": mean_square, "row_sums": reduction("sum(a, 1)"), "column_sums": reduction("sum(a, 0)"),
    "outer": outer, "transposed_sum": transposed_sum, "heads": heads, "kernel_matrix": kernel_matrix})
