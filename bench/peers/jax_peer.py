# SPDX-License-Identifier: MIT
# JAX: one jitted function a task, the state of training donated. Threads are the processors that the process may use.
import types

import jax
import jax.numpy as jnp

import worker
from formulas import FORMULAS, density

jax.config.update("jax_enable_x64", True)  # for float64; the other tasks' arrays are float32 all the same

m = types.SimpleNamespace(**{name: getattr(jnp, name) for name in (
    "exp", "log", "sqrt", "square", "tanh", "sum", "mean", "max", "argmax", "transpose")}, erf=jax.scipy.special.erf)


def of_formula(f):
    jitted = jax.jit(lambda *arguments: f(m, *arguments))

    def make(arguments):
        arguments = [jnp.asarray(a) for a in arguments]
        return worker.Pure(lambda: jax.block_until_ready(jitted(*arguments)))

    return make


def cross_entropy(logits, label):
    log_probability = jax.nn.log_softmax(logits)
    return -jnp.mean(jnp.take_along_axis(log_probability, label[:, None], 1))


def loss_and_gradient(m, x, label):
    loss, gradient = jax.value_and_grad(cross_entropy)(x, label)
    return gradient, loss


def density_derivatives(m, s, t, p):
    def total(s, t, p):
        rho = density(m, s, t, p)
        return jnp.sum(rho), rho

    (_, rho), by = jax.value_and_grad(total, (0, 1, 2), has_aux=True)(s, t, jnp.broadcast_to(p, s.shape))
    return rho, *by


def digits_loss(p, image, label):
    (w1, b1), (w2, b2) = p
    return cross_entropy(jax.nn.relu(image @ w1 + b1) @ w2 + b2, label)


def tiny_loss(p, x, y):
    (w1, b1), (w2, b2), (w3, b3) = p
    h = jnp.tanh(jnp.tanh(x @ w1 + b1) @ w2 + b2)
    return jnp.mean((h @ w3 + b3 - y) ** 2)


def sgd(p, gradient):
    return jax.tree.map(lambda p, g: p - worker.RATE["sgd"] * g, p, gradient)


def adam(state, gradient):
    p, m, v, t = state
    t = t + 1
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, gradient)
    v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, gradient)
    size, spread = worker.RATE["adam"] / (1 - 0.9**t), 1 / jnp.sqrt(1 - 0.999**t)
    p = jax.tree.map(lambda p, m, v: p - size * m / (jnp.sqrt(v) * spread + 1e-8), p, m, v)
    return p, m, v, t


def adam_state(p):
    return p, jax.tree.map(jnp.zeros_like, p), jax.tree.map(jnp.zeros_like, p), jnp.zeros((), jnp.float32)


def training(loss_of, optimizer, with_state=lambda p: p, parameters_of=lambda state: state):
    def one(state, x, y):
        loss, gradient = jax.value_and_grad(loss_of)(parameters_of(state), x, y)
        return optimizer(state, gradient), loss

    jitted = jax.jit(one, donate_argnums=0)

    def make(weights):
        state = with_state([(jnp.array(w), jnp.zeros(w.shape[1], jnp.float32)) for w in weights])

        def step(x, y):
            nonlocal state
            state, loss = jitted(state, x, y)
            return loss

        return step

    return lambda arguments: worker.Training(arguments, jnp.asarray, make)


def update(arguments):
    jitted = jax.jit(adam, donate_argnums=0)

    def make(p):
        state = adam_state(jnp.array(p))

        def step(gradient):
            nonlocal state
            state = jax.block_until_ready(jitted(state, gradient))
            return state[0]

        return step

    return worker.Update(arguments, jnp.asarray, make)


special = {
    "softmax": lambda m, x: jax.nn.softmax(x), "cross_entropy": loss_and_gradient,
    "gelu": lambda m, x: jax.nn.gelu(x, approximate=True), "density_derivatives": density_derivatives,
    "gemm": lambda m, a, b: a @ b, "gemm_ta": lambda m, a, b: a.T @ b, "gemm_tb": lambda m, a, b: a @ b.T}
worker.serve({name: of_formula(f) for name, f in (FORMULAS | special).items()} | {
    "adam": update, "digits_sgd": training(digits_loss, sgd), "tiny_sgd": training(tiny_loss, sgd),
    "digits_adam": training(digits_loss, adam, adam_state, lambda state: state[0])})
