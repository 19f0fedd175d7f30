# SPDX-License-Identifier: MIT
# PyTorch: `torch_peer.py [--compile] [--fused]`. Threads are those of OMP_NUM_THREADS.
import os
import sys

import torch
import torch.nn.functional as F

import worker

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
compiled, fused = "--compile" in sys.argv, "--fused" in sys.argv


def net():
    model = torch.nn.Sequential(torch.nn.Linear(784, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10))
    with torch.no_grad():
        for layer, weight in zip((model[0], model[2]), worker.first_weights()):
            layer.weight.copy_(torch.from_numpy(weight.T.copy()))
            layer.bias.zero_()
    return model


def digits(name):
    optimizer, size = name.split("_")

    def make():
        model = net()
        if optimizer == "sgd":
            update = torch.optim.SGD(model.parameters(), lr=0.01, fused=fused)
        else:
            update = torch.optim.Adam(model.parameters(), lr=1e-3, fused=fused)

        def forward(image, label):
            return F.cross_entropy(model(image), label)

        if compiled:
            forward = torch.compile(forward)

        def step(image, label):
            update.zero_grad(set_to_none=True)
            loss = forward(image, label)
            loss.backward()
            update.step()
            return loss.detach()

        return step

    return worker.Digits(int(size), lambda x, y: (torch.from_numpy(x), torch.from_numpy(y).long()), make)


def rows(name):
    function, size = name.rsplit("_", 1)
    height, width = map(int, size.split("x"))
    x, gain, offset, label = map(torch.from_numpy, worker.rows(height, width))
    label = label.long()
    if function == "softmax":
        def f(x):
            return torch.softmax(x, -1)
    elif function == "layer_norm":
        def f(x):
            return F.layer_norm(x, (width,), gain, offset, 1e-5)
    else:
        def loss_of(x):
            return F.cross_entropy(x, label)

        if compiled:
            loss_of = torch.compile(loss_of)

        def run():
            leaf = x.detach().requires_grad_()
            loss = loss_of(leaf)
            gradient, = torch.autograd.grad(loss, leaf)
            return gradient, loss.detach()

        return worker.Rows(run)
    if compiled:
        f = torch.compile(f)
    return worker.Rows(lambda: f(x))


def elementwise(name):
    formula, size = name.rsplit("_", 1)
    n = 1 << int(size.removeprefix("2^"))
    x, z = (torch.from_numpy(worker.numbers(n, stream, -2, 2)) for stream in (1, 2))
    formulas = {
        "affine": lambda: 1.5 * x - 0.5 * z + 0.25,
        "tanh": lambda: torch.tanh(1.5 * x - 0.5),
        "gelu": lambda: F.gelu(x, approximate="tanh"),
        "wave": lambda: torch.sqrt(x * x + z * z) * torch.exp(-x * x) + z,
    }
    if formula not in formulas:
        return None
    f = formulas[formula]
    return worker.Rows(torch.compile(f) if compiled else f)


def make(name):
    if name.startswith(("sgd", "adam")) and "^" not in name:
        return digits(name)
    return elementwise(name) if "^" in name else rows(name)


worker.serve(make)
