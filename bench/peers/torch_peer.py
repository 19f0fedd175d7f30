# SPDX-License-Identifier: MIT
# PyTorch: `torch_peer.py [--compile] [--fused]`. Threads are those of OMP_NUM_THREADS.
import sys
import types

import torch
import torch.nn.functional as F

import worker
from formulas import FORMULAS, density

torch.set_num_threads(worker.THREADS)
compiled, fused = "--compile" in sys.argv, "--fused" in sys.argv

m = types.SimpleNamespace(**{name: getattr(torch, name) for name in (
    "exp", "log", "sqrt", "square", "tanh", "sum", "mean", "argmax", "erf")}, max=torch.amax, transpose=torch.permute)


def perhaps_compiled(f):
    return torch.compile(f, dynamic=False) if compiled else f


def tensors(arguments):
    """Labels are int64, as its cross entropy wants them."""
    found = [torch.from_numpy(a) for a in arguments]
    return [t.long() if t.dtype == torch.int32 else t for t in found]


def of_formula(f):
    def make(arguments):
        torch._dynamo.reset() if compiled else None
        arguments = tensors(arguments)
        run = perhaps_compiled(lambda *a: f(m, *a))
        return worker.Pure(lambda: run(*arguments))

    return make


def cross_entropy(arguments):
    x, label = tensors(arguments)
    loss_of = perhaps_compiled(lambda x: F.cross_entropy(x, label))

    def run():
        leaf = x.detach().requires_grad_()
        loss = loss_of(leaf)
        gradient, = torch.autograd.grad(loss, leaf)
        return gradient, loss.detach()

    return worker.Pure(run)


def density_derivatives(arguments):
    s, t, p = tensors(arguments)
    p = p.broadcast_to(s.shape).contiguous()  # derivatives are wanted at each point
    rho_of = perhaps_compiled(lambda s, t, p: density(m, s, t, p))
    ones = torch.ones_like(s)

    def run():
        leaves = [x.detach().requires_grad_() for x in (s, t, p)]
        rho = rho_of(*leaves)
        return rho.detach(), *torch.autograd.grad(rho, leaves, ones)

    return worker.Pure(run)


def net_of(weights, between):
    layers = []
    for w in weights:
        layer = torch.nn.Linear(*w.shape)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(w.T.copy()))
            layer.bias.zero_()
        layers += [layer, between()]
    return torch.nn.Sequential(*layers[:-1])


def optimizer_of(name, parameters):
    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[name]
    return kind(parameters, lr=worker.RATE[name], fused=fused)


def training(optimizer, between, loss_of):
    def make(weights):
        torch._dynamo.reset() if compiled else None
        model = net_of(weights, between)
        update = optimizer_of(optimizer, model.parameters())
        forward = perhaps_compiled(lambda x, y: loss_of(model(x), y))
        advance = perhaps_compiled(update.step) if not fused else update.step

        def step(x, y):
            update.zero_grad(set_to_none=True)
            loss = forward(x, y)
            loss.backward()
            advance()
            return loss.detach()

        return step

    return lambda arguments: worker.Training(arguments, lambda x: tensors([x])[0], make)


def adam(arguments):
    def make(p):
        torch._dynamo.reset() if compiled else None
        p = torch.from_numpy(p)
        p.grad = torch.from_numpy(arguments[0])
        update = optimizer_of("adam", [p])
        advance = perhaps_compiled(update.step)

        def step(_):
            advance()
            return p

        return step

    return worker.Update(arguments, torch.from_numpy, make)


special = {
    "gelu": lambda m, x: F.gelu(x, approximate="tanh"), "softmax": lambda m, x: torch.softmax(x, -1),
    "layer_norm": lambda m, x, gain, offset: F.layer_norm(x, gain.shape, gain, offset, 1e-5),
    "column_variance": lambda m, x: torch.var(x, 0, correction=0),
    "gemm": lambda m, a, b: a @ b, "gemm_ta": lambda m, a, b: a.T @ b, "gemm_tb": lambda m, a, b: a @ b.T}
trained = {
    "adam": adam, "digits_sgd": training("sgd", torch.nn.ReLU, F.cross_entropy),
    "digits_adam": training("adam", torch.nn.ReLU, F.cross_entropy),
    "tiny_sgd": training("sgd", torch.nn.Tanh, F.mse_loss)}
pure = {name: of_formula(f) for name, f in (FORMULAS | special).items()} | {
    "cross_entropy": cross_entropy, "density_derivatives": density_derivatives}
worker.serve(trained if fused else pure | trained)
