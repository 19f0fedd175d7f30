# SPDX-License-Identifier: MIT
"""The cases of bench/gpu/run: their words (bench/gpu/models.hpp and peers.py read them), the bytes and floating-point
operations that they need, and how much each matters. Bytes count each tensor that is read or written once."""
from dataclasses import dataclass

MLP = (784, 256, 10)
FLOAT = 4


@dataclass(frozen=True)
class Case:
    words: str       # "elementwise gelu 1048576"
    bytes: int       # moved by one call, at least
    flops: int       # of products; 0 where memory is the limit
    tier: int        # 1: always, 2: if there is time, 3: if there is much
    peers: tuple = ("torch", "torch.compile", "jax")

    @property
    def family(self):
        return self.words.split()[0]

    @property
    def what(self):
        """Without the sizes: the name of one set of formulas."""
        return " ".join(self.words.split()[:2])


# Of one element of the formula: how many are read and written.
ELEMENTWISE = {"affine": 3, "tanh": 2, "gelu": 2, "wave": 3, "adam": 7}
ROW = {"softmax": 2, "softmax_gradient": 4, "layer_norm": 2, "layer_norm_gradient": 4, "cross_entropy": 2}
UPDATE = {"sgd": 3, "adam": 7}  # parameter, gradient, m and v


def elementwise(formula, n, tier):
    return Case(f"elementwise {formula} {n}", ELEMENTWISE[formula] * n * FLOAT, 0, tier)


def reduction(what, rows, columns, tier):
    written = {"all": 1, "rows": rows, "columns": columns}[what]
    return Case(f"reduction {what} {rows} {columns}", (rows * columns + written) * FLOAT, 0, tier)


def row(what, rows, columns, tier):
    more = {"layer_norm": 2 * columns, "layer_norm_gradient": 4 * columns, "cross_entropy": rows}.get(what, 0)
    return Case(f"row {what} {rows} {columns}", (ROW[what] * rows * columns + more) * FLOAT, 0, tier)


def optimizer_sizes(count, largest):
    return [max(1, largest >> (3 * (i % 5))) for i in range(count)]


def optimizer(how, count, largest, tier):
    n = sum(optimizer_sizes(count, largest))
    return Case(f"optimizer {how} {count} {largest}", UPDATE[how] * n * FLOAT, 0, tier)


def mlp(how, batch, tier):
    inputs, hidden, outputs = MLP
    parameters = inputs * hidden + hidden + hidden * outputs + outputs
    # The net's input twice (forward, and for the first weight's gradient), the hidden layer and its gradient written and
    # read, parameters, gradients and what the optimizer keeps once.
    elements = 2 * batch * inputs + 5 * batch * hidden + 4 * batch * outputs + (UPDATE[how] + 2) * parameters
    flops = 2 * batch * (2 * inputs * hidden + 3 * hidden * outputs)
    return Case(f"mlp {how} {batch}", elements * FLOAT, flops, tier)


def gemm(after, n, precision, tier):
    return Case(f"gemm {after} {n} {precision}", (3 * n * n + n) * FLOAT, 2 * n**3, tier)


def all_cases(fake=False):
    """In the order in which they run."""
    if fake:
        every = ([elementwise(f, 256, 1) for f in ELEMENTWISE] +
                 [reduction(w, 6, 40, 1) for w in ("all", "rows", "columns")] + [row(w, 6, 40, 1) for w in ROW] +
                 [optimizer("adam", 6, 64, 1), optimizer("sgd", 6, 64, 2), mlp("sgd", 4, 1), mlp("adam", 4, 2),
                  gemm("relu", 16, "float32", 1), gemm("gelu", 16, "tf32", 2), Case("call one", 8, 0, 1)])
        return sorted(every, key=lambda c: c.tier)
    elements = 1 << 24
    every = [Case("call one", 8, 0, 1)]
    every += [elementwise(f, 1 << p, 1 if p in (20, 28) else 2 if p in (10, 16, 24) else 3)
              for p in range(28, 8, -2) for f in ELEMENTWISE]
    every += [reduction(w, 1 << (28 - 10), 1 << 10, 1) for w in ("all", "rows", "columns")]
    every += [reduction(w, elements // c, c, 2 if c in (32, 65536) else 3)
              for c in (32, 256, 4096, 65536) for w in ("rows", "columns")]
    every += [reduction("all", 1 << (p - 5), 32, 2) for p in (16, 20, 24)]
    every += [row(w, elements // c, c, {1024: 1, 32: 2, 65536: 2}.get(c, 3))
              for c in (1024, 32, 65536, 4096, 256, 16384) for w in ROW]
    every += [optimizer(how, 200, 1 << 18, 1) for how in ("adam", "sgd")]
    every += [mlp(how, b, 1 if how == "adam" and b in (32, 512, 8192) else 2)
              for how in ("adam", "sgd") for b in (32, 128, 512, 2048, 8192)]
    every += [gemm(after, n, precision, 1 if (n, after) == (4096, "relu") else 2 if n in (1024, 4096) else 3)
              for n in (512, 1024, 2048, 4096, 8192) for precision in ("float32", "tf32") for after in ("relu", "gelu")]
    return sorted(every, key=lambda c: c.tier)


def check_words(case, larger=False):
    """The same formulas on a small size, on which results are compared; or on one that takes many blocks."""
    words = case.words.split()
    sizes = {"elementwise": ["1000", "300007"], "reduction": ["37 70", "1027 2050"], "row": ["9 70", "65 5000"],
             "optimizer": ["7 512", "200 8192"], "mlp": ["16", "512"], "gemm": ["48", "320"], "call": ["", ""]}[words[0]]
    return " ".join(words[:2] + [sizes[larger]] + (words[3:] if words[0] == "gemm" else [])).strip()


def tolerance(case):
    """Of the largest element of a result."""
    return 3e-3 if case.words.endswith("tf32") else 1e-4
