# SPDX-License-Identifier: MIT
"""The cases of bench/gpu in PyTorch, eager or through torch.compile: the calls that its users would write."""
import torch
import torch.nn.functional as F

from cases import MLP
from peers import first_elements, parameters

ELEMENTWISE = {
    "affine": lambda x, z: 1.5 * x - 0.5 * z + 0.25,
    "tanh": lambda x: torch.tanh(1.5 * x - 0.5),
    "gelu": lambda x: F.gelu(x, approximate="tanh"),
    "wave": lambda x, z: torch.sqrt(x * x + z * z) * torch.exp(-x * x) + z,
}
REDUCTION = {"all": lambda x: x.sum(), "rows": lambda x: x.sum(1), "columns": lambda x: x.sum(0)}


class Task:
    def __init__(self, words, peer):
        self.family, self.what, *self.rest = words.split()
        self.peer = peer
        self.data = {name: peer.value(spec) for name, spec in parameters(words).items()}
        self.made = {}
        torch.set_float32_matmul_precision("high" if words.endswith("tf32") else "highest")
        self.run = getattr(self, self.family)(self.data)

    def results(self):
        return {name: t.detach().float().cpu().numpy() for name, t in self.made.items()}

    def compiled(self, f):
        return torch.compile(f, dynamic=False) if self.peer.compile else f

    def keep(self, f):
        def run():
            self.made["y"] = f()
        return run

    def optimizer_of(self, tensors):
        """One that is fused by hand, or, compiled, one that the compiler fuses."""
        how = {"fused": self.peer.cuda} if not self.peer.compile else {"foreach": True}
        if self.what == "sgd":
            made = torch.optim.SGD(tensors, lr=0.01, **how)
        else:
            if self.peer.compile and self.peer.cuda:
                how["capturable"] = True
            made = torch.optim.Adam(tensors, lr=1e-3, **how)
        return made, self.compiled(made.step)

    def call(self, _):
        y = torch.zeros(1, device=self.peer.device)
        self.made["y"] = y
        return self.compiled(lambda: y.add_(1))

    def elementwise(self, a):
        if self.what == "adam":
            return self.stepping([a["x"]], [a["dy"]], {"x": a["x"]})
        f = self.compiled(ELEMENTWISE[self.what])
        return self.keep(lambda: f(*a.values()))

    def stepping(self, tensors, gradients, results):
        for t, d in zip(tensors, gradients):
            t.requires_grad_()
            t.grad = d
        self.made = results
        self.held, step = self.optimizer_of(tensors)
        return step

    def optimizer(self, a):
        count = len(a) // 2
        p = [a[f"p{i}"] for i in range(count)]
        return self.stepping(p, [a[f"d{i}"] for i in range(count)], {f"p{i}": p[i] for i in range(min(5, count))})

    def reduction(self, a):
        f = self.compiled(REDUCTION[self.what])
        return self.keep(lambda: f(a["x"]))

    def row(self, a):
        names = ["x"]
        if self.what == "cross_entropy":
            label = a["label"]
            forward, result = lambda x: F.cross_entropy(x, label), "loss"
        elif self.what.startswith("softmax"):
            forward, result = lambda x: torch.softmax(x, -1), "y"
        else:
            names, result = ["x", "gain", "offset"], "y"
            forward = lambda x, gain, offset: F.layer_norm(x, gain.shape, gain, offset, 1e-5)  # noqa: E731
        forward = self.compiled(forward)
        inputs = [a[n] for n in names]
        if result == "y" and "dy" not in a:
            return self.keep(lambda: forward(*inputs))
        for t in inputs:
            t.requires_grad_()

        def run():
            y = forward(*inputs)
            gradients = torch.autograd.grad(y, inputs, a.get("dy"))
            self.made = {result: y, **{"d" + n: d for n, d in zip(names, gradients)}}
        return run

    def mlp(self, a):
        inputs, hidden, outputs = MLP
        device = self.peer.device
        net = torch.nn.Sequential(torch.nn.Linear(inputs, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, outputs))
        net = net.to(device)
        with torch.no_grad():
            for layer, w, b in ((net[0], "w1", "b1"), (net[2], "w2", "b2")):
                layer.weight.copy_(a[w].T)
                layer.bias.copy_(a[b])
        self.held, step = self.optimizer_of(net.parameters())
        loss_of = self.compiled(lambda image, label: F.cross_entropy(net(image), label))

        def run():
            self.held.zero_grad(set_to_none=True)
            loss = loss_of(a["image"], a["label"])
            loss.backward()
            step()
            self.made = {"loss": loss, "w2": net[2].weight.T}
        return run

    def gemm(self, a):
        after = (lambda y: F.gelu(y, approximate="tanh")) if self.what == "gelu" else F.relu
        f = self.compiled(lambda x, w, b: after(torch.addmm(b, x, w)))
        return self.keep(lambda: f(a["x"], a["w"], a["b"]))


class Peer:
    def __init__(self, engine, device):
        self.compile, self.device, self.cuda = engine == "torch.compile", device, device == "cuda"
        if self.cuda:
            self.begin, self.end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            self.between = self.between_events

    def about(self):
        name = torch.cuda.get_device_name() if self.cuda else "cpu"
        return {"torch": torch.__version__, "cuda": torch.version.cuda, "device": name}

    def make(self, words):
        if self.compile:
            torch.compiler.reset()
        return Task(words, self)

    def value(self, spec):
        few, size = first_elements(*spec)
        few = torch.from_numpy(few).to(self.device)
        if spec[2] is None:
            few = few.long()
        return few.repeat(-(-size // len(few)))[:size].reshape(spec[0]).contiguous()

    def wait(self, task):
        if self.cuda:
            torch.cuda.synchronize()

    def between_events(self, run, calls):
        self.begin.record()
        for _ in range(calls):
            run()
        self.end.record()
        self.end.synchronize()
        return self.begin.elapsed_time(self.end) / 1000 / calls

    def clean(self):
        if self.cuda:
            torch.cuda.empty_cache()
