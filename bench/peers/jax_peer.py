# SPDX-License-Identifier: MIT
# JAX: one jitted function a case, the state of training donated. Threads are the processors that the process may use.
import jax
import jax.numpy as jnp

import worker


def cross_entropy(logits, label):
    log_probability = jax.nn.log_softmax(logits)
    return -jnp.mean(jnp.take_along_axis(log_probability, label[:, None], 1))


def loss_of(p, image, label):
    h = jax.nn.relu(image @ p["w1"] + p["b1"])
    return cross_entropy(h @ p["w2"] + p["b2"], label)


def sgd(state, image, label):
    p = state["p"]
    loss, gradient = jax.value_and_grad(loss_of)(p, image, label)
    return {"p": {k: p[k] - 0.01 * gradient[k] for k in p}}, loss


def adam(state, image, label):
    p, t = state["p"], state["t"] + 1
    loss, gradient = jax.value_and_grad(loss_of)(p, image, label)
    m = {k: 0.9 * state["m"][k] + 0.1 * gradient[k] for k in p}
    v = {k: 0.999 * state["v"][k] + 0.001 * gradient[k] ** 2 for k in p}
    size, spread = 1e-3 / (1 - 0.9**t), 1 / jnp.sqrt(1 - 0.999**t)
    p = {k: p[k] - size * m[k] / (jnp.sqrt(v[k]) * spread + 1e-8) for k in p}
    return {"p": p, "m": m, "v": v, "t": t}, loss


def digits(name):
    optimizer, size = name.split("_")
    step = jax.jit(sgd if optimizer == "sgd" else adam, donate_argnums=0)

    def make():
        w1, w2 = map(jnp.array, worker.first_weights())
        p = {"w1": w1, "b1": jnp.zeros(256), "w2": w2, "b2": jnp.zeros(10)}
        held = {"p": p}
        if optimizer == "adam":
            held = {"p": p, "m": jax.tree.map(jnp.zeros_like, p), "v": jax.tree.map(jnp.zeros_like, p),
                    "t": jnp.zeros(())}

        def run(image, label):
            nonlocal held
            held, loss = step(held, image, label)
            return loss

        return run

    return worker.Digits(int(size), lambda x, y: (jnp.array(x), jnp.array(y)), make)


def rows(name):
    function, size = name.rsplit("_", 1)
    height, width = map(int, size.split("x"))
    x, gain, offset, label = map(jnp.array, worker.rows(height, width))
    if function == "softmax":
        f = jax.jit(lambda x: jax.nn.softmax(x))
    elif function == "layer_norm":
        def normalized(x):
            d = x - x.mean(-1, keepdims=True)
            return d * jax.lax.rsqrt((d * d).mean(-1, keepdims=True) + 1e-5) * gain + offset
        f = jax.jit(normalized)
    else:
        both = jax.jit(jax.value_and_grad(lambda x: cross_entropy(x, label)))
        return worker.Rows(lambda: tuple(reversed(jax.block_until_ready(both(x)))))
    return worker.Rows(lambda: f(x).block_until_ready())


def elementwise(name):
    formula, size = name.rsplit("_", 1)
    n = 1 << int(size.removeprefix("2^"))
    x, z = (jnp.array(worker.numbers(n, stream, -2, 2)) for stream in (1, 2))
    formulas = {
        "affine": lambda x, z: 1.5 * x - 0.5 * z + 0.25,
        "tanh": lambda x, z: jnp.tanh(1.5 * x - 0.5),
        "gelu": lambda x, z: jax.nn.gelu(x, approximate=True),
        "wave": lambda x, z: jnp.sqrt(x * x + z * z) * jnp.exp(-x * x) + z,
    }
    if formula not in formulas:
        return None
    f = jax.jit(formulas[formula])
    return worker.Rows(lambda: f(x, z).block_until_ready())


def make(name):
    if "^" in name:
        return elementwise(name)
    return digits(name) if name.startswith(("sgd", "adam")) else rows(name)


worker.serve(make)
