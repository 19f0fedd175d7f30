# SPDX-License-Identifier: MIT
"""The benchmarks of bench/gpu/run: programs that answer lines, what they compute compared, and their times."""
import json
import os
import select
import subprocess
import tempfile
import time

import cases
import machine
import report
from machine import FAKE

SECONDS = 0.005 if FAKE else 0.15  # of timing, for a case and a program
ENGINES = ("torch", "jax", "torch.compile")
# Who is timed on which tier of cases, in turn, and the share of the time left that this may take.
STAGES = [("etch", 1, 1), ("torch", 1, 0.5), ("jax", 1, 0.5), ("torch.compile", 1, 0.4), ("etch", 2, 1), ("torch", 2, 0.6),
          ("jax", 2, 0.8), ("etch", 3, 1), ("torch", 3, 0.6), ("jax", 3, 0.8), ("torch.compile", 2, 0.6), ("torch.compile", 3, 1)]


class Engine:
    """A program that answers a line with a line of JSON."""

    def __init__(self, command, environment):
        self.command, self.environment, self.process = command, environment, None

    def start(self):
        self.complaints = tempfile.TemporaryFile()
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.complaints, env=self.environment)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.rest = b""

    def last_words(self):
        self.complaints.seek(0)
        return " ".join(self.complaints.read().decode(errors="replace").split())[-300:]

    def ask(self, line, seconds):
        """The answer, or {"error": a sentence}; a program that does not answer in time is started anew the next time."""
        if self.process is None:
            self.start()
        until = time.time() + seconds
        try:
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()
            while b"\n" not in self.rest:
                ready, _, _ = select.select([self.process.stdout], [], [], max(until - time.time(), 0))
                if not ready:
                    self.stop()
                    return {"error": f"it took longer than {seconds:.0f} s"}
                piece = os.read(self.process.stdout.fileno(), 1 << 16)
                if not piece:
                    raise BrokenPipeError
                self.rest += piece
        except BrokenPipeError:
            status = self.process.wait()
            self.process = None
            return {"error": f"the program ended with status {status}: {self.last_words()}"}
        answer, self.rest = self.rest.split(b"\n", 1)
        try:
            return json.loads(answer)
        except ValueError:
            self.stop()
            return {"error": f"it answered {answer.decode(errors='replace')[:200]}"}

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


def peer_engines(run):
    """The reference and the peers that can be imported, each with the first Python that has it."""
    device = "cpu" if FAKE else "cuda"
    environment = dict(os.environ, XLA_PYTHON_CLIENT_PREALLOCATE="false", TORCHINDUCTOR_CACHE_DIR=run.scratch + "/inductor")
    if FAKE:
        environment |= {"JAX_PLATFORMS": "cpu", "LD_LIBRARY_PATH": ":".join(
            [os.environ.get("LD_LIBRARY_PATH", ""), *(r + "/lib64" for r in machine.toolkits())]).strip(":")}
    engines = {}
    for name in ("numpy", *ENGINES):
        why = "no Python"
        for python in machine.pythons():
            engine = Engine([python, str(machine.HERE / "peers.py"), name, device], environment)
            about = engine.ask("about", min(60, max(run.left() / 4, 5)))
            if "error" not in about:
                engines[name] = engine
                run.data["versions"] |= {k: v for k, v in about.items() if k != "device"}
                break
            why = about["error"]
            engine.stop()
        else:
            run.data["not_run"].append(f"{name}: {why}")
    return engines


def differs(samples, wanted, tolerance):
    """A sentence where results are apart; empty where they agree."""
    for name, numbers in wanted.items():
        mine, largest = samples.get(name, []), max(map(abs, numbers))
        if len(mine) != len(numbers):
            return f"{name} has {len(mine)} elements of the {len(numbers)} that are compared"
        apart = max(abs(x - y) if x == x else float("inf") for x, y in zip(map(float, mine), numbers))
        if not apart <= tolerance * largest:
            return f"{name} is off by {apart:.3g} from NumPy, the largest is {largest:.3g}"
    return ""


class Bench:
    def __init__(self, run, program, only):
        self.run = run
        self.engines = {"etch": Engine([str(program)], run.environment)} | peer_engines(run)
        self.verdicts, self.references, self.copies = {}, {}, {}
        memory = run.data["device"].get("memory_bytes", 1 << 34)
        self.cases = []
        for c in cases.all_cases(FAKE):
            if only in c.words:
                self.cases.append((c, {"words": c.words, "bytes": c.bytes, "flops": c.flops, "tier": c.tier, "engines": {}}))
        self.fits = lambda c: 2.5 * c.bytes < memory
        run.data["cases"] = [record for _, record in self.cases]

    def reference(self, case):
        if "numpy" not in self.engines:
            return None
        words = cases.check_words(case)
        if words not in self.references:
            said = self.engines["numpy"].ask(f"check {words}", 30)
            self.references[words] = said.get("samples")
        return self.references[words]

    def verdict(self, engine, case):
        """What is wrong with the results of a case's formulas on small sizes; empty where nothing is."""
        words = cases.check_words(case)
        if (engine, words) not in self.verdicts:
            wrong = self.compared(engine, case, words, self.reference(case))
            if not wrong and engine == "etch" and not FAKE:
                wrong = self.compared(engine, case, cases.check_words(case, larger=True), None)
            self.verdicts[engine, words] = wrong
        return self.verdicts[engine, words]

    def compared(self, engine, case, words, wanted):
        said = self.engines[engine].ask(f"check {words}", self.patience())
        if "error" in said:
            return said["error"]
        if engine == "etch" and not float(said["difference"]) <= cases.tolerance(case):
            return f"{words}: the device and the CPU back end are apart by {said['difference']} of the largest element"
        wrong = differs(said["samples"], wanted, cases.tolerance(case)) if wanted else ""
        return wrong and f"{words}: {wrong}"

    def patience(self):
        return max(5, min(60, self.run.left()))

    def time(self, engine, case, record):
        wrong = self.verdict(engine, case)
        said = {"error": wrong} if wrong else self.engines[engine].ask(f"time {SECONDS} {case.words}", self.patience())
        record["engines"][engine] = said
        if engine == "etch" and report.limited_by_memory(record):
            if case.bytes not in self.copies:
                self.copies[case.bytes] = self.engines["etch"].ask(f"copy {SECONDS} {case.bytes}", self.patience())
            record["engines"]["copy"] = self.copies[case.bytes]
        self.run.say(f"{engine}, {case.words}: " + (f"error: {said['error']}" if "error" in said else
                     report.human(said["call_s"]) + (f", {report.human(said['device_s'])} on the device"
                                                     if "device_s" in said else "")))
        self.run.write()

    def stages(self):
        run, reached = self.run, set()
        for engine, tier, share in STAGES:
            if engine not in self.engines:
                continue
            until = time.time() + share * max(run.left(), 0)
            for case, record in self.cases:
                if case.tier == tier and self.fits(case) and time.time() < until:
                    self.time(engine, case, record)
                    reached.add((engine, case.words))
            if engine == "etch" and tier == 1:
                self.profile()
        for engine in ("etch", *(e for e in ENGINES if e in self.engines)):
            missed = [c.words for c, _ in self.cases if (engine, c.words) not in reached]
            if missed:
                run.data["not_run"].append(f"{engine}: {len(missed)} cases: " + ", ".join(missed[:400]))

    def profile(self):
        """The program of the case that is farthest from the rate of a copy."""
        found = report.farthest_from_copy(self.run.data["cases"], 0 if FAKE else 1 << 26)
        if not found:
            return
        said = self.engines["etch"].ask(f"describe {found['words']}", 30)
        self.run.data["profile"] = {"case": found["words"], "copy / etch": report.of_copy(found),
                                    "kernels": found["engines"]["etch"]["kernels"],
                                    "describe": said.get("text", said.get("error"))}
        self.run.write()

    def stop(self):
        for e in self.engines.values():
            e.stop()
