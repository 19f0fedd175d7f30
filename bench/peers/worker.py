# SPDX-License-Identifier: MIT
# What bench/worker.hpp is, for the peers in Python: the same commands, the same numbers as arguments.
import os
import sys
import time

import numpy

NOW = time.process_time if os.environ.get("BENCH_CLOCK") == "cpu" else time.perf_counter
THREADS = int(os.environ.get("OMP_NUM_THREADS", "1"))
RATE = {"sgd": 0.01, "adam": 1e-3}
# After more steps rounding decides: where a gradient is nearly zero, Adam takes its sign.
CHECKED_STEPS = 3


def uniform(count, stream):
    """Numbers of a stream, uniform in [0, 1)."""
    h = numpy.arange(count, dtype=numpy.uint32) * numpy.uint32(2654435761)
    h += numpy.uint32(stream * 2246822519 % 2**32)
    h = (h ^ (h >> numpy.uint32(15))) * numpy.uint32(2246822519)
    h = (h ^ (h >> numpy.uint32(13))) * numpy.uint32(3266489917)
    h ^= h >> numpy.uint32(16)
    return (h >> numpy.uint32(8)).astype(numpy.float32) * numpy.float32(2**-24)


def parse(text):
    """An argument from its description, as f32:32x784:1:-0.5:0.5."""
    dtype, extents, stream, low, high = text.split(":")
    shape = tuple(map(int, extents.split("x")))
    real = numpy.float64 if dtype == "f64" else numpy.float32
    low, high = real(low), real(high)
    x = low + (high - low) * uniform(int(numpy.prod(shape)), int(stream)).astype(real)
    return (x.astype(numpy.int32) if dtype == "i32" else x).reshape(shape)


def sampled(results):
    """The evenly spaced elements that stand for results."""
    values = []
    for r in results if isinstance(results, (tuple, list)) else [results]:
        x = numpy.asarray(r).ravel()
        step = max(1, x.size // 16)
        values += [float(e) for e in x[::step]] + [float(x[-1])]
    return values


class Pure:
    """A function without state: `run` gives an array or several."""

    def __init__(self, run):
        self.run = run

    def reset(self):
        pass

    def check(self):
        return sampled(self.run())


class Training:
    """Arguments are batches of two inputs and weights. `make(weights)` gives a step with fresh ones, a function of a batch
    whose result is the loss; `convert` makes an array the library's own."""

    def __init__(self, arguments, convert, make):
        self.batches = [(convert(x), convert(y)) for x, y in zip(*arguments[:2])]
        self.weights, self.make = arguments[2:], make
        self.reset()

    def reset(self):
        self.step, self.next = self.make([w.copy() for w in self.weights]), 0

    def run(self):
        self.next += 1
        return float(self.step(*self.batches[(self.next - 1) % len(self.batches)]))

    def check(self):
        return [self.run() for _ in range(CHECKED_STEPS)]


class Update:
    """Adam's update of one array: `make(p)` gives a step that is a function of the gradient and gives p."""

    def __init__(self, arguments, convert, make):
        self.gradient, self.first, self.make = convert(arguments[0]), arguments[1], make
        self.reset()

    def reset(self):
        self.step = self.make(self.first.copy())

    def run(self):
        return self.step(self.gradient)

    def check(self):
        for _ in range(2):
            self.run()
        return sampled(self.run())


def samples_of(task, seconds):
    run, now = task.run, NOW
    task.reset()
    for _ in range(3):
        run()
    begin = now()
    run()
    once = now() - begin
    calls = max(1, int(max(50e-6, seconds / 200) / once))
    samples, end = [], now() + seconds
    while len(samples) < 3 or now() < end:
        begin = now()
        for _ in range(calls):
            run()
        samples.append((now() - begin) / calls)
    return samples


def serve(functions):
    """`functions` are {name: function of the arguments, as arrays of numpy, that gives a task}."""
    made, current, out = None, None, sys.stdout
    sys.stdout = sys.stderr  # nobody else may answer
    for line in sys.stdin:
        if line.strip() == "functions":
            print(" ".join(functions), file=out, flush=True)
            continue
        command, seconds, *description = line.split()
        values = []
        try:
            if description[0] not in functions:
                print("unknown", file=out, flush=True)
                continue
            if description != current:
                made = current = None
                made = functions[description[0]]([parse(text) for text in description[1:]])
                current = description
            if command == "check":
                made.reset()
                values = made.check()
            elif command == "time":
                values = samples_of(made, float(seconds))
            else:
                made.run()
            answer = " ".join("%.9g" % v for v in values)
        except Exception as e:
            answer = f"failed: {type(e).__name__}: " + " ".join(str(e).split())[:300]
        print(answer, file=out, flush=True)
