# SPDX-License-Identifier: MIT
"""The cases of bench/gpu/run in Python: `peers.py numpy|torch|torch.compile|jax cuda|cpu` reads commands, a line each, and
answers each with a line of JSON, {"error": sentence} where something went wrong.

  about                versions
  check CASE           elements of the results after three calls
  time SECONDS CASE    seconds of a call: of many in a row, between two events or until the last one is done

numpy is the reference, in float64, and times nothing. A peer's formulas are in a file of its own."""
import importlib
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "peers"))
import numpy  # noqa: E402
from worker import labels, numbers, sample_elements  # noqa: E402

from cases import MLP, optimizer_sizes  # noqa: E402

FRESH_ELEMENTS = 1 << 20  # of a parameter; larger ones repeat them, as in session.hpp
SAMPLES, MOST_CALLS = 5, 1000
MODULES = {"numpy": "reference", "torch": "torch_cases", "torch.compile": "torch_cases", "jax": "jax_cases"}


def parameters(words):
    """name: (shape, stream, low, high) of what a case reads, as in models.hpp. Integers have no low."""
    family, what, *rest = words.split()
    n = [int(r) for r in rest if r.isdigit()]
    if family == "elementwise":
        x = {"x": ((n[0],), 1, -2, 2)}
        if what == "adam":
            return x | {"dy": ((n[0],), 3, -1, 1)}
        return x | ({"z": ((n[0],), 2, -2, 2)} if what in ("affine", "wave") else {})
    if family == "reduction":
        return {"x": (tuple(n), 1, -2, 2)}
    if family == "row":
        all_of = {"x": (tuple(n), 1, -4, 4)}
        if what.startswith("layer_norm"):
            all_of |= {"gain": ((n[1],), 4, 0.5, 1.5), "offset": ((n[1],), 5, -1, 1)}
        if what.endswith("gradient"):
            all_of["dy"] = (tuple(n), 3, -1, 1)
        if what == "cross_entropy":
            all_of["label"] = ((n[0],), 6, None, n[1])
        return all_of
    if family == "optimizer":
        sizes = optimizer_sizes(*n)
        return ({f"p{i}": ((k,), 100 + i, -1, 1) for i, k in enumerate(sizes)}
                | {f"d{i}": ((k,), 1100 + i, -1, 1) for i, k in enumerate(sizes)})
    if family == "mlp":
        a, b, c = MLP
        first, second = (6 / (a + b)) ** 0.5, (6 / (b + c)) ** 0.5
        return {"image": ((n[0], a), 10, 0, 1), "label": ((n[0],), 6, None, c), "w1": ((a, b), 1, -first, first),
                "b1": ((b,), 0, 0, 0), "w2": ((b, c), 2, -second, second), "b2": ((c,), 0, 0, 0)}
    if family == "gemm":
        return {"x": ((n[0],) * 2, 1, -1, 1), "w": ((n[0],) * 2, 7, -0.1, 0.1), "b": ((n[0],), 8, -1, 1)}
    return {}


def first_elements(shape, stream, low, high):
    """The numbers that a parameter repeats, and how many it has in all."""
    size = int(numpy.prod(shape))
    few = min(size, FRESH_ELEMENTS)
    return (labels(few, stream, high) if low is None else numbers(few, stream, low, high)), size


def samples_of(results):
    return {name: sample_elements(numpy.atleast_1d(numpy.asarray(x))) for name, x in results.items()}


def seconds_of(peer, task, seconds):
    """The median of samples of the same length, each of many calls."""
    for _ in range(3):
        task.run()
    peer.wait(task)
    clock = getattr(peer, "between", None) or wall_clock(peer, task)
    once = max(clock(task.run, 1), 1e-7)
    calls = int(min(max(seconds / SAMPLES / once, 1), MOST_CALLS))
    return sorted(clock(task.run, calls) for _ in range(SAMPLES))[SAMPLES // 2]


def wall_clock(peer, task):
    def between(run, calls):
        begin = time.perf_counter()
        for _ in range(calls):
            run()
        peer.wait(task)
        return (time.perf_counter() - begin) / calls
    return between


def answer(peer, line):
    command, *words = line.split()
    if command == "about":
        return peer.about()
    if command == "check":
        task = peer.make(" ".join(words))
        for _ in range(3):
            task.run()
        return {"samples": samples_of(task.results())}
    begin = time.perf_counter()
    task = peer.make(" ".join(words[1:]))
    task.run()
    peer.wait(task)
    first = time.perf_counter() - begin
    return {"call_s": seconds_of(peer, task, float(words[0])), "first_s": first}


def main():
    engine, device = sys.argv[1:]
    out, sys.stdout = sys.stdout, sys.stderr  # nobody else may answer
    peer = None
    for line in sys.stdin:
        try:
            if peer is None:
                peer = importlib.import_module(MODULES[engine]).Peer(engine, device)
            said = answer(peer, line)
        except Exception as e:  # the next case may do better
            said = {"error": type(e).__name__ + ": " + " ".join(str(e).split())[:400]}
        if hasattr(peer, "clean"):
            peer.clean()
        print(json.dumps(said), file=out, flush=True)


if __name__ == "__main__":
    sys.modules["peers"] = sys.modules["__main__"]
    main()
