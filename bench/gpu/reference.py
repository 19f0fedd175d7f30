# SPDX-License-Identifier: MIT
"""What the cases of bench/gpu compute, in NumPy and float64, by the formulas of a text book."""
import numpy as np

from peers import first_elements, parameters


def value(spec):
    few, size = first_elements(*spec)
    kind = np.int64 if spec[2] is None else np.float64
    return np.resize(few, size).reshape(spec[0]).astype(kind)


def adam(p, d, m, v, t, rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8):
    m[:] = beta1 * m + (1 - beta1) * d
    v[:] = beta2 * v + (1 - beta2) * d * d
    p -= rate * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + epsilon)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


ELEMENTWISE = {
    "affine": lambda x, z: 1.5 * x - 0.5 * z + 0.25,
    "tanh": lambda x: np.tanh(1.5 * x - 0.5),
    "gelu": gelu,
    "wave": lambda x, z: np.sqrt(x * x + z * z) * np.exp(-x * x) + z,
}


class Task:
    def __init__(self, words):
        self.family, self.what = words.split()[:2]
        self.data = {name: value(spec) for name, spec in parameters(words).items()}
        self.slots, self.step, self.made = {}, 0, {}

    def run(self):
        self.step += 1
        self.made = getattr(self, self.family)(self.data) or self.made

    def results(self):
        return self.made

    def update(self, pairs):
        for name, d in pairs:
            p = self.data[name]
            if self.what == "sgd":
                p -= 0.01 * d
            else:
                m, v = self.slots.setdefault(name, (np.zeros_like(p), np.zeros_like(p)))
                adam(p, d, m, v, self.step)

    def call(self, _):
        return {"y": np.float64(self.step)}

    def elementwise(self, a):
        if self.what != "adam":
            return {"y": ELEMENTWISE[self.what](*a.values())}
        self.update([("x", a["dy"])])
        return {"x": a["x"]}

    def reduction(self, a):
        return {"y": a["x"].sum({"all": None, "rows": 1, "columns": 0}[self.what])}

    def row(self, a):
        x = a["x"]
        if self.what == "cross_entropy":
            p, at = softmax(x), (np.arange(len(x)), a["label"])
            dx = p.copy()
            dx[at] -= 1
            return {"loss": -np.log(p[at]).mean(), "dx": dx / len(x)}
        if self.what.startswith("softmax"):
            y = softmax(x)
            if "dy" not in a:
                return {"y": y}
            return {"y": y, "dx": y * (a["dy"] - (a["dy"] * y).sum(-1, keepdims=True))}
        centred = x - x.mean(-1, keepdims=True)
        scale = 1 / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
        n = centred * scale
        y = n * a["gain"] + a["offset"]
        if "dy" not in a:
            return {"y": y}
        d = a["dy"] * a["gain"]
        dx = scale * (d - d.mean(-1, keepdims=True) - n * (d * n).mean(-1, keepdims=True))
        return {"y": y, "dx": dx, "dgain": (a["dy"] * n).sum(0), "doffset": a["dy"].sum(0)}

    def optimizer(self, a):
        count = len(a) // 2
        self.update([(f"p{i}", a[f"d{i}"]) for i in range(count)])
        return {f"p{i}": a[f"p{i}"] for i in range(min(5, count))}

    def mlp(self, a):
        n = len(a["label"])
        before = a["image"] @ a["w1"] + a["b1"]
        h = np.maximum(before, 0)
        p, at = softmax(h @ a["w2"] + a["b2"]), (np.arange(n), a["label"])
        loss = -np.log(p[at]).mean()
        p[at] -= 1
        p /= n
        dh = (p @ a["w2"].T) * (before > 0)
        self.update([("w1", a["image"].T @ dh), ("b1", dh.sum(0)), ("w2", h.T @ p), ("b2", p.sum(0))])
        return {"loss": loss, "w2": a["w2"]}

    def gemm(self, a):
        y = a["x"] @ a["w"] + a["b"]
        return {"y": gelu(y) if self.what == "gelu" else np.maximum(y, 0)}


class Peer:
    def __init__(self, engine, device):
        self.make = Task

    def about(self):
        return {"numpy": np.__version__}

    def wait(self, task):
        pass
