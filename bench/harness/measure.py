# SPDX-License-Identifier: MIT
"""Programs that answer, that they agree, and their times in turn."""
import ctypes
import os
import select
import signal
import statistics
import subprocess
import tempfile
import time

from . import peers as known

TOLERANCE = 1e-4  # of the largest number of a check


def processors(threads):
    """The last ones: the first serves the system's interrupts."""
    return sorted(os.sched_getaffinity(0))[-threads:]


def begin_program(cpus):
    """In the child: pinned, and ended with us even while it is stopped (Linux' PR_SET_PDEATHSIG)."""
    os.sched_setaffinity(0, cpus)
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Worker:
    """A program that answers a line with a line. Between its turns it is stopped: threads of OpenBLAS and OpenMP that wait
    for work keep processors busy for 0.1 s, and would be counted to the next program."""

    def __init__(self, peer, case, threads, cache):
        self.peer = peer
        cpus = processors(threads)
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            peer.command(case), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True,
            env=known.variables(threads, cache), preexec_fn=lambda: begin_program(cpus))

    def line(self, line, limit):
        """The answer, or a sentence that begins with "failed"."""
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return self.ended()
        if not select.select([self.process.stdout], [], [], limit)[0]:
            self.process.kill()
            return f"failed: no answer within {limit:.0f} s"
        answer = self.process.stdout.readline()
        if not answer:
            return self.ended()
        self.process.send_signal(signal.SIGSTOP)
        return answer.strip()

    def ended(self):
        self.process.wait()
        self.errors.seek(0)
        said = self.errors.read().strip().splitlines()
        return f"failed: the program ended with {self.process.returncode}" + (f": {said[-1]}" if said else "")

    def ask(self, line, limit):
        """Numbers, or a sentence."""
        answer = self.line(line, limit)
        if answer.startswith(("unknown", "failed")):
            return answer
        try:
            return [float(x) for x in answer.split()]
        except ValueError:
            return f"failed: it answered {answer[:200]!r}"

    def end(self):
        """Its peak memory in MB."""
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        if self.process.returncode is not None:
            return 0
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        return usage.ru_maxrss / 1024


class Workers:
    """The programs of one number of threads. Those of Python know many tasks and take seconds to start: they stay."""

    def __init__(self, threads, cache, limit):
        self.threads, self.cache, self.limit = threads, cache, limit
        self.running, self.functions = {}, {}

    def of(self, peer, case):
        key = peer.name if peer.python else (peer.name, case.program)
        w = self.running.get(key)
        if w is None or w.process.poll() is not None:
            w = self.running[key] = Worker(peer, case, self.threads, self.cache)
            self.functions[key] = set(w.line("functions", self.limit).split())
        return w, self.functions[key]

    def end_programs(self):
        """What belongs to one case."""
        for key in [k for k in self.running if isinstance(k, tuple)]:
            self.running.pop(key).end()

    def end(self):
        while self.running:
            self.running.popitem()[1].end()


def agrees(answer, wanted):
    if len(answer) != len(wanted):
        return False
    largest = max(map(abs, wanted))
    return all(abs(x - y) <= TOLERANCE * largest for x, y in zip(answer, wanted))  # false where one is nan


def summary_of(samples):
    return {"median_s": statistics.median(samples), "minimum_s": min(samples), "samples": len(samples)}


def disagreement(task, first, wanted, other, answer):
    """Both values, where they differ most."""
    if len(answer) != len(wanted):
        return f"{task.name}: {other} gives {len(answer)} numbers, {first} {len(wanted)}"
    at = max(range(len(wanted)), key=lambda i: abs(answer[i] - wanted[i]) if answer[i] == answer[i] else float("inf"))
    return (f"{task.name}: number {at} of {len(wanted)} is {answer[at]:.9g} in {other} and {wanted[at]:.9g} in {first}; "
            f"all of {other}: {' '.join('%.6g' % x for x in answer)}; all of {first}: {' '.join('%.6g' % x for x in wanted)}")


def time_task(case, task, peers, workers, rounds, seconds):
    """{"peers": {name: times}, "left_out": {name: why}}; where two disagree, {"disagreement": sentence} and no times.

    All are asked for their numbers first. Then each is timed in turn, in rounds."""
    ready, left_out, reference = [], {}, None
    for peer in peers:
        w, functions = workers.of(peer, case)
        if task.function not in functions:
            if w.process.poll() is not None:
                left_out[peer.name] = w.ended()
            continue
        answer = w.ask(f"check 0 {task.line}", workers.limit)
        if isinstance(answer, str):
            left_out[peer.name] = answer
            continue
        if reference is None:
            reference = (peer.name, answer)
        elif not agrees(answer, reference[1]):
            return {"disagreement": disagreement(task, *reference, peer.name, answer)}
        ready.append((peer, w))
    samples = {peer.name: [] for peer, _ in ready}
    for _ in range(rounds):
        for peer, w in list(ready):
            answer = w.ask(f"time {seconds} {task.line}", workers.limit)
            if isinstance(answer, str):
                left_out[peer.name] = answer
                ready.remove((peer, w))
                del samples[peer.name]
                continue
            samples[peer.name] += answer
    return {"peers": {name: summary_of(s) for name, s in samples.items() if s}, "left_out": left_out,
            "agreed": [peer.name for peer, _ in ready]}


def time_start(case, task, peers, workers, rounds):
    """From exec to the answer after the first step, and the largest resident set. The first start of a program has an empty
    folder for what its compiler keeps, and is told apart."""
    found, left_out = {}, {}
    caches = {p.name: tempfile.TemporaryDirectory(prefix="bench-cache-") for p in peers}
    for round_ in range(-1, rounds):
        for peer in peers:
            if peer.name in left_out:
                continue
            begin = time.perf_counter()
            w = Worker(peer, case, workers.threads, caches[peer.name].name)
            answer = w.ask(f"first 0 {task.line}", workers.limit)
            wall = time.perf_counter() - begin
            memory = w.end()
            if isinstance(answer, str):
                left_out[peer.name] = answer
            elif round_ < 0:
                found[peer.name] = {"cold_s": wall, "times": [], "memory": []}
            else:
                found[peer.name]["times"].append(wall)
                found[peer.name]["memory"].append(memory)
    for c in caches.values():
        c.cleanup()
    return {"peers": {name: summary_of(f["times"]) | {"cold_s": f["cold_s"], "memory_mb": round(statistics.median(f["memory"]), 1)}
                      for name, f in found.items() if f["times"]},
            "left_out": {name: why for name, why in left_out.items() if why != "unknown"}}
