# SPDX-License-Identifier: MIT
"""The cases of bench/gpu in JAX: one jitted function each; what training changes is donated."""
import jax
import jax.numpy as jnp

from peers import first_elements, parameters

ELEMENTWISE = {
    "affine": lambda x, z: 1.5 * x - 0.5 * z + 0.25,
    "tanh": lambda x: jnp.tanh(1.5 * x - 0.5),
    "gelu": lambda x: jax.nn.gelu(x, approximate=True),
    "wave": lambda x, z: jnp.sqrt(x * x + z * z) * jnp.exp(-x * x) + z,
}
AXIS = {"all": None, "rows": 1, "columns": 0}


def cross_entropy(logits, label):
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), label[:, None], 1))


def layer_norm(x, gain, offset):
    d = x - x.mean(-1, keepdims=True)
    return d * jax.lax.rsqrt((d * d).mean(-1, keepdims=True) + 1e-5) * gain + offset


def updated(how, held, gradient):
    """The next state of an optimizer: {"p": parameters, and of Adam "m", "v", "t"}."""
    p, each = held["p"], jax.tree.map
    if how == "sgd":
        return {"p": each(lambda p, d: p - 0.01 * d, p, gradient)}
    t = held["t"] + 1
    m = each(lambda m, d: 0.9 * m + 0.1 * d, held["m"], gradient)
    v = each(lambda v, d: 0.999 * v + 0.001 * d * d, held["v"], gradient)
    size, spread = 1e-3 / (1 - 0.9**t), 1 / jnp.sqrt(1 - 0.999**t)
    p = each(lambda p, m, v: p - size * m / (jnp.sqrt(v) * spread + 1e-8), p, m, v)
    return {"p": p, "m": m, "v": v, "t": t}


def first_state(how, p):
    if how == "sgd":
        return {"p": p}
    return {"p": p, "m": jax.tree.map(jnp.zeros_like, p), "v": jax.tree.map(jnp.zeros_like, p), "t": jnp.zeros(())}


class Task:
    def __init__(self, words):
        self.family, self.what, *self.rest = words.split()
        self.made = {}
        jax.config.update("jax_default_matmul_precision", "tensorfloat32" if words.endswith("tf32") else "highest")
        self.run = getattr(self, self.family)({name: value(spec) for name, spec in parameters(words).items()})

    def results(self):
        return {name: jax.device_get(x) for name, x in self.made.items()}

    def of(self, f, *arguments):
        f = jax.jit(f)

        def run():
            self.made = f(*arguments)
        return run

    def call(self, _):
        f = jax.jit(lambda y: y + 1, donate_argnums=0)
        self.made = {"y": jnp.zeros(1)}

        def run():
            self.made = {"y": f(self.made["y"])}
        return run

    def stepping(self, p, gradients, results):
        step = jax.jit(lambda held, d: updated(self.what, held, d), donate_argnums=0)
        held = first_state(self.what, p)

        def run():
            nonlocal held
            held = step(held, gradients)
            self.made = {name: held["p"][name] for name in results}
        return run

    def elementwise(self, a):
        if self.what == "adam":
            return self.stepping({"x": a["x"]}, {"x": a["dy"]}, ["x"])
        return self.of(lambda *x: {"y": ELEMENTWISE[self.what](*x)}, *a.values())

    def optimizer(self, a):
        count = len(a) // 2
        p, d = ({f"p{i}": a[f"{c}{i}"] for i in range(count)} for c in "pd")
        return self.stepping(p, d, [f"p{i}" for i in range(min(5, count))])

    def reduction(self, a):
        return self.of(lambda x: {"y": x.sum(AXIS[self.what])}, a["x"])

    def row(self, a):
        if self.what == "cross_entropy":
            def both(x, label):
                loss, dx = jax.value_and_grad(cross_entropy)(x, label)
                return {"loss": loss, "dx": dx}
            return self.of(both, a["x"], a["label"])
        names = ["x"] if self.what.startswith("softmax") else ["x", "gain", "offset"]
        forward = jax.nn.softmax if names == ["x"] else layer_norm
        inputs = [a[n] for n in names]
        if "dy" not in a:
            return self.of(lambda *x: {"y": forward(*x)}, *inputs)

        def both(dy, *x):
            y, pull = jax.vjp(forward, *x)
            return {"y": y, **{"d" + n: d for n, d in zip(names, pull(dy))}}
        return self.of(both, a["dy"], *inputs)

    def mlp(self, a):
        def loss_of(p, image, label):
            h = jax.nn.relu(image @ p["w1"] + p["b1"])
            return cross_entropy(h @ p["w2"] + p["b2"], label)

        def step(held, image, label):
            loss, d = jax.value_and_grad(loss_of)(held["p"], image, label)
            return updated(self.what, held, d), loss
        step = jax.jit(step, donate_argnums=0)
        held = first_state(self.what, {n: a[n] for n in ("w1", "b1", "w2", "b2")})

        def run():
            nonlocal held
            held, loss = step(held, a["image"], a["label"])
            self.made = {"loss": loss, "w2": held["p"]["w2"]}
        return run

    def gemm(self, a):
        def f(x, w, b):
            y = x @ w + b
            return {"y": jax.nn.gelu(y, approximate=True) if self.what == "gelu" else jax.nn.relu(y)}
        return self.of(f, a["x"], a["w"], a["b"])


def value(spec):
    few, size = first_elements(*spec)
    return jnp.tile(jnp.asarray(few), -(-size // len(few)))[:size].reshape(spec[0])


class Peer:
    def __init__(self, engine, device):
        self.make = Task
        if device == "cuda" and jax.default_backend() != "gpu":
            raise RuntimeError(f"JAX has no GPU: its backend is {jax.default_backend()}")

    def about(self):
        return {"jax": jax.__version__, "device": str(jax.devices()[0])}

    def wait(self, task):
        jax.block_until_ready(task.made)
