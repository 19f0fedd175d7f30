# SPDX-License-Identifier: MIT
"""What is timed: cases, their tasks, and the goals that are set for some of them. This is the only
place that lists them. A task is a function, by the name under which programs know it, and its arguments as text (see
bench/worker.hpp); a program that does not know a function is left out of its tasks."""
import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Goal:
    """At least `ratio` times as fast as the fastest of `peers`; without peers, `limit` is the most that may be used."""
    text: str
    ratio: float = 0
    peers: tuple = ()
    limit: float = 0
    unit: str = ""  # of the limit: "s" or "MB"
    threads: tuple = (1, 2)
    of: tuple = ("etch",)  # whose best time counts


@dataclass(frozen=True)
class Task:
    name: str
    function: str
    arguments: tuple
    goals: tuple = ()
    examples: int = 0  # of one call, where that says more than a time
    flops: float = 0  # of one call, for matrix products

    @property
    def line(self):
        return " ".join((self.function, *self.arguments))


@dataclass(frozen=True)
class Case:
    name: str
    title: str
    tasks: list = field(default_factory=list)
    program: str = ""  # the source in the folders of the C++ programs
    start_up: bool = False  # from exec to the end of the first call, in processes of their own


FRAMEWORKS = ("PyTorch", "PyTorch, fused optimizer", "torch.compile", "JAX", "PyTensor", "PyTensor, C linker")
TORCH, JAX, PYTENSOR = FRAMEWORKS[:3], FRAMEWORKS[3:4], FRAMEWORKS[4:]
LOOPS = ("loop -O3", "loop -O3 -ffast-math")
ALL = ("*",)


def array(shape, stream, low, high, dtype="f32"):
    return f"{dtype}:{'x'.join(map(str, shape))}:{stream}:{low!r}:{high!r}"


def labels(shape, stream, below):
    return array(shape, stream, 0, below, "i32")


def elementwise():
    for function, arguments in (("affine", "xz"), ("tanh", "x"), ("gelu", "x"), ("wave", "xz"), ("adam", "xz")):
        for power in (10, 14, 20, 24):
            goals = [Goal(">= 1.0 of Eigen", 1.0, ("Eigen",))]
            if power == 24 and function == "affine":
                goals.append(Goal(">= 0.95 of the loop with streaming stores", 0.95, ("loop, streaming stores",)))
            if function == "adam":
                goals = [Goal(">= 1.0 of the best peer", 1.0, ALL)] if power == 24 else []
            streams = {"x": array([1 << power], 1, -2, 2), "z": array([1 << power], 2, -2, 2)}
            yield Task(f"{function}_2^{power}", function, tuple(streams[a] for a in arguments), tuple(goals))


def reductions():
    # xtensor's sum of the squares of 2^20 numbers is wrong by more than 1e-4.
    for function, powers in (("sum", (14, 22)), ("mean_square", (14, 18))):
        for power in powers:
            yield Task(f"{function}_2^{power}", function, (array([1 << power], 1, 0, 1),))
    for function in ("row_sums", "column_sums", "column_variance", "row_argmax"):
        yield Task(f"{function}_4096x1024", function, (array([4096, 1024], 1, 0, 1),))


def rows():
    large = {
        "softmax": Goal(">= 1.0 of the frameworks", 1.0, FRAMEWORKS, threads=(2,)),
        "layer_norm": Goal(">= 1.2 of the frameworks", 1.2, FRAMEWORKS, threads=(2,)),
        "cross_entropy": Goal(">= 1.5 of the frameworks", 1.5, FRAMEWORKS, threads=(2,))}
    small = Goal("within 1.5 of the hand loop", 1 / 1.5, LOOPS)
    for function in large:
        for height, width in ((32, 10), (4096, 1024)):
            arguments = [array([height, width], 1, -4, 4)]
            if function == "layer_norm":
                arguments += [array([width], 2, 0, 1), array([width], 3, -1, 1)]
            elif function == "cross_entropy":
                arguments.append(labels([height], 4, width))
            yield Task(f"{function}_{height}x{width}", function, tuple(arguments),
                       (small if height == 32 else large[function],))


def movement():
    row = [array([1024], stream, -1, 1) for stream in (2, 3)]
    yield Task("transposed_sum_2048x2048", "transposed_sum",
               (array([2048, 2048], 1, -1, 1), array([2048, 2048], 2, -1, 1)))
    yield Task("outer_4096x1024", "outer", (array([4096], 1, -1, 1), *row))
    yield Task("standardize_4096x1024", "standardize", (array([4096, 1024], 1, -1, 1), *row))
    yield Task("heads_32x128x8x64", "heads", (array([32, 128, 8, 64], 1, -1, 1), array([8, 64], 2, -1, 1)))


def black_scholes():
    for power in (14, 20, 22):
        n = [1 << power]
        yield Task(f"black_scholes_2^{power}", "black_scholes",
                   (array(n, 1, 5, 30), array(n, 2, 1, 100), array(n, 3, 0.25, 10)))


def sea_water():
    """The shapes and ranges of pyhpc-benchmarks (github.com/dionhaefner/pyhpc-benchmarks, equation_of_state); salinity,
    temperature, and a pressure of the last axis alone."""
    for function in ("density", "density_derivatives"):
        for size in (4096, 65536, 1048576, 4194304):
            edge = round(size ** (1 / 3), 9)
            shape = [math.ceil(2 * edge), math.ceil(2 * edge), math.ceil(0.25 * edge)]
            yield Task(f"{function}_{size}", function,
                       (array(shape, 1, 0.01, 10, "f64"), array(shape, 2, -12, 20, "f64"),
                        array(shape[2:], 3, 0, 1000, "f64")))


def kernel_matrix():
    for n in (256, 2048):
        yield Task(f"kernel_matrix_{n}x{n}", "kernel_matrix", (array([n, 3], 1, -1, 1), array([n, 3], 2, -1, 1)))


def glorot(rows, columns, stream):
    limit = math.sqrt(6 / (rows + columns))
    return array([rows, columns], stream, -limit, limit)


def digits_task(optimizer, batch, goals=()):
    return Task(f"{optimizer}_{batch}", f"digits_{optimizer}",
                (array([4, batch, 784], 10, 0, 1), labels([4, batch], 20, 10), glorot(784, 256, 1), glorot(256, 10, 2)),
                tuple(goals), examples=batch)


def digits():
    for optimizer, ratio in (("sgd", 1.15), ("adam", 1.3)):
        yield digits_task(optimizer, 32, [Goal(f">= {ratio} of the frameworks", ratio, FRAMEWORKS, threads=(2,))])
        yield digits_task(optimizer, 512, [
            Goal(">= 0.85 of the frameworks by own products", 0.85, FRAMEWORKS, threads=(2,)),
            Goal(">= 1.0 by the fastest products", 1.0, FRAMEWORKS, threads=(2,), of=("etch", "etch, CBLAS"))])


def tiny():
    yield Task("tiny_sgd_8", "tiny_sgd",
               (array([4, 8, 2], 10, -1, 1), array([4, 8, 1], 20, -1, 1), glorot(2, 64, 1), glorot(64, 64, 2),
                glorot(64, 1, 3)),
               (Goal(">= 20 times PyTorch eager", 20, ("PyTorch",)), Goal(">= 10 times JAX", 10, JAX),
                Goal(">= 5 times PyTensor", 5, PYTENSOR)), examples=8)


def gemm():
    for m, n, k, turned in ((32, 256, 784, ""), (784, 256, 32, "ta"), (32, 784, 256, "tb"), (512, 10, 256, ""),
                            (256, 10, 512, "ta"), (512, 256, 784, ""), (1, 256, 784, ""), (64, 64, 64, ""),
                            (512, 512, 512, ""), (1024, 1024, 1024, ""), (2048, 2048, 2048, "")):
        a, b = ([k, m] if turned == "ta" else [m, k]), ([n, k] if turned == "tb" else [k, n])
        yield Task(f"{m}x{n}x{k}{turned}", "gemm" + ("_" + turned if turned else ""),
                   (array(a, 1, -1, 1), array(b, 2, -1, 1)), flops=2.0 * m * n * k)


def start_up():
    for optimizer in ("sgd", "adam"):
        yield digits_task(optimizer, 32, [Goal("<= 8 ms", limit=8e-3, unit="s"), Goal("<= 20 MB", limit=20, unit="MB")])


def case(name, title, tasks, program=None, start_up=False):
    return Case(name, title, list(tasks), program or name, start_up)


CASES = {c.name: c for c in (
    case("elementwise", "Fused elementwise: a x + b z + c; tanh(a x + b); gelu; sqrt(x x + z z) exp(-x x) + z; Adam's update",
         elementwise()),
    case("reductions", "Sums of all and of an axis, variance, argmax", reductions()),
    case("rows", "Softmax, layer norm, cross entropy with its gradient", rows()),
    case("movement", "Transposes and broadcasts mixed with arithmetic", movement()),
    case("black_scholes", "Prices of calls and puts (Black, Scholes 1973)", black_scholes()),
    case("sea_water", "Density of sea water, 48 terms, float64, with and without its derivatives by all three inputs",
         sea_water()),
    case("kernel_matrix", "exp(-|x - y|^2) of all pairs of points in three dimensions, with the sums of its rows",
         kernel_matrix()),
    case("digits", "A training step of a net 784-256-10", digits()),
    case("tiny", "A training step of a net 2-64-64-1, batch 8: what a call costs", tiny()),
    case("gemm", "Products of float matrices m x n x k; ta, tb: stored transposed", gemm()),
    case("startup", "From the start of a process to the end of its first training step, and peak memory", start_up(),
         "digits", start_up=True),
)}
