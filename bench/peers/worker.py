# SPDX-License-Identifier: MIT
# What bench/worker.hpp is, for the peers in Python: the same data, the same commands.
import os
import sys
import time

import numpy

NOW = time.process_time if os.environ.get("BENCH_CLOCK") == "cpu" else time.perf_counter


def uniform(count, stream):
    """Numbers of a stream, uniform in [0, 1)."""
    h = numpy.arange(count, dtype=numpy.uint32) * numpy.uint32(2654435761)
    h += numpy.uint32(stream * 2246822519 % 2**32)
    h = (h ^ (h >> numpy.uint32(15))) * numpy.uint32(2246822519)
    h = (h ^ (h >> numpy.uint32(13))) * numpy.uint32(3266489917)
    h ^= h >> numpy.uint32(16)
    return (h >> numpy.uint32(8)).astype(numpy.float32) * numpy.float32(2**-24)


def numbers(shape, stream, low, high):
    low, high = numpy.float32(low), numpy.float32(high)
    return (low + (high - low) * uniform(int(numpy.prod(shape)), stream)).reshape(shape)


def labels(count, stream, below):
    return (uniform(count, stream) * numpy.float32(below)).astype(numpy.int32)


def glorot(rows, columns, stream):
    limit = (6 / (rows + columns)) ** 0.5
    return numbers((rows, columns), stream, -limit, limit)


def first_weights():
    return glorot(784, 256, 1), glorot(256, 10, 2)


def batches(size):
    return [(numbers((size, 784), 10 + i, 0, 1), labels(size, 20 + i, 10)) for i in range(4)]


def rows(height, width):
    """x, gain, offset, label of the case `rows`."""
    return (numbers((height, width), 1, -4, 4), numbers(width, 2, 0, 1), numbers(width, 3, -1, 1),
            labels(height, 4, width))


def sample_elements(x):
    x = numpy.asarray(x).ravel()
    step = max(1, x.size // 16)
    return [float(e) for e in x[::step]] + [float(x[-1])]


class Digits:
    """Steps over the batches; `make(batches)` gives a function of a batch whose result is the loss, with fresh weights."""

    def __init__(self, size, convert, make):
        self.data = [convert(*batch) for batch in batches(size)]
        self.make = make
        self.reset()

    def reset(self):
        self.step, self.next = self.make(), 0

    def run(self):
        self.next += 1
        return float(self.step(*self.data[(self.next - 1) % 4]))

    def check(self):
        return [self.run() for _ in range(5)]


class Rows:
    """A function without state whose first result is an array, and whose second, if there is one, is a number."""

    def __init__(self, run):
        self.run = run

    def reset(self):
        pass

    def check(self):
        results = self.run()
        if not isinstance(results, tuple):
            return sample_elements(results)
        return sample_elements(results[0]) + [float(results[1])]


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


def serve(make):
    """make(name) gives a task, or None where there is no such case."""
    tasks, out = {}, sys.stdout
    sys.stdout = sys.stderr  # nobody else may answer
    for line in sys.stdin:
        command, name, *rest = line.split()
        try:
            if name not in tasks:
                tasks.clear()
                tasks[name] = make(name)
            task = tasks[name]
            if task is None:
                answer = "unknown"
            else:
                if command == "check":
                    task.reset()
                    values = task.check()
                elif command == "time":
                    values = samples_of(task, float(rest[0]))
                else:
                    task.run()
                    values = []
                answer = " ".join("%.9g" % v for v in values)
        except Exception as e:
            answer = "failed: " + " ".join(str(e).split())[:200]
        print(answer, file=out, flush=True)
