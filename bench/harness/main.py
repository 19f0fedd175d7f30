# SPDX-License-Identifier: MIT
"""Times etch beside its peers: they take turns in one run, with the same threads, and first all must compute the same.

Results go to bench/results/CASE.json and CASE.md and to summary.md, after each task: what an interrupted run has measured
is kept, and so are tasks that a later run on the same machine, with the same flags and versions, does not measure again.
docs/benchmarks.md says what the columns mean."""
import argparse
import os
import sys
from pathlib import Path

from . import measure, peers as known, programs, report
from .cases import CASES
from .places import BENCH

EXAMPLES = """examples:
  bench/run                                         all cases, one and two threads
  bench/run --install-peers --list                  peers in Python into bench/.venv, then what there is
  bench/run rows digits --only 4096 --threads 2     some tasks of some cases
  bench/run elementwise --peers 'etch,Eigen,loop'   beside some peers
  bench/run --rounds 1 --seconds 0.02 --out /tmp/b  a quick look, without touching bench/results"""


def words(text):
    return [w.strip() for w in text.split(",") if w.strip()]


def arguments():
    cores = len(os.sched_getaffinity(0))
    p = argparse.ArgumentParser(prog="bench/run", description=__doc__, epilog=EXAMPLES,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("names", nargs="*", metavar="CASE", help="cases, all where none is named: " + ", ".join(CASES))
    p.add_argument("--cases", type=words, default=[], metavar="CASE,...", help="the same, as one word")
    p.add_argument("--only", default="", metavar="TEXT", help="tasks whose name has this text")
    p.add_argument("--peers", type=words, default=[], metavar="TEXT,...",
                   help="peers whose name has one of these texts; etch is always there")
    p.add_argument("--threads", type=lambda t: [int(n) for n in words(t)], default=[1] if cores == 1 else [1, 2], metavar="N,...")
    p.add_argument("--rounds", type=int, default=5, help="how often each program has its turn (5)")
    p.add_argument("--seconds", type=float, default=0.2, help="for a program and round (0.2)")
    p.add_argument("--limit", type=float, default=300, help="seconds after which a program that does not answer is ended (300)")
    p.add_argument("--out", type=Path, default=BENCH / "results", metavar="FOLDER")
    p.add_argument("--clock", choices=("wall", "cpu"), default="wall",
                   help="cpu: what a process computes, which other work on the machine disturbs less; one thread only")
    p.add_argument("--install-peers", action="store_true", help="the peers in Python, into bench/.venv (1.3 GB to fetch)")
    p.add_argument("--check", action="store_true", help="only that all programs compute the same; nothing is timed or written")
    p.add_argument("--list", action="store_true", help="tells cases, tasks and peers, and which peers are missing")
    given = p.parse_args()
    given.names += given.cases
    for name in given.names:
        if name not in CASES:
            p.error(f"no case {name}; there are {', '.join(CASES)}")
    if given.clock == "cpu" and given.threads != [1]:
        p.error("--clock cpu is for --threads 1: the time of all threads is counted together")
    if not given.threads or min(given.threads) < 1 or max(given.threads) > cores:
        p.error(f"--threads: from 1 to {cores} here")
    if given.rounds < 1 or given.seconds <= 0:
        p.error("--rounds and --seconds are above 0")
    return given


def has_tasks(case, only):
    return [t for t in case.tasks if only in t.name]


def tell(cases, chosen, skipped):
    for case in cases:
        print(f"{case.name}: {case.title}")
        print("    " + " ".join(t.name for t in case.tasks))
    print("\npeers:")
    for p in chosen:
        print(f"    {p.name:26} " + (f"missing: {skipped[p.name]}" if p.name in skipped else "present"))


def build_all(cases, peers, skipped):
    """Programs that do not compile are told and left out; without etch's own there is nothing to do."""
    broken = {}
    for case in cases:
        for p in peers:
            if p.python or p.name in skipped or not programs.exists(p.program, case.program):
                continue
            print(f"bench: building {p.program}/{case.program}", file=sys.stderr)
            try:
                programs.build(p.program, case.program)
            except programs.BuildError as e:
                if p.name == known.BASELINE:
                    sys.exit(f"{e}\nbench: etch's own program of the case {case.name} does not compile")
                print(f"{e}\nbench: without {p.name} in {case.name}", file=sys.stderr)
                broken[p.name, case.name] = "its program does not compile, see build/bench.log"
    return broken


def case_peers(case, peers, broken):
    return [p for p in peers if (p.name, case.name) not in broken
            and (p.python or programs.exists(p.program, case.program))]


def check_case(case, tasks, peers, workers):
    """As below, without times."""
    agreed = True
    for task in tasks:
        found = measure.time_task(case, task, peers, workers, 0, 0)
        agreed &= "disagreement" not in found
        print(f"{case.name}: {task.name}: " + found.get("disagreement", "agree: " + ", ".join(found.get("agreed", []))), flush=True)
        for name, why in found.get("left_out", {}).items():
            print(f"    without {name}: {why}", flush=True)
    return agreed


def run_case(case, tasks, results, peers, workers, given):
    """Whether all programs agreed."""
    for task in tasks:
        if case.start_up:
            found = measure.time_start(case, task, peers, workers, given.rounds)
        else:
            found = measure.time_task(case, task, peers, workers, given.rounds, given.seconds)
        results.add(task, workers.threads, found)
        report.write_summary(given.out)
        threads = f"{workers.threads} thread{'s' if workers.threads > 1 else ''}"
        print(f"## {case.name}: {task.name}, {threads}\n\n{report.task_text(case, task, found)}\n", flush=True)
        if "disagreement" in found:
            print(f"bench: {found['disagreement']}\nbench: the case {case.name} stops here", file=sys.stderr)
            return False
    return True


def main():
    given = arguments()
    os.environ["BENCH_CLOCK"] = given.clock
    if given.install_peers:
        known.install()
    cases = [CASES[n] for n in given.names] or list(CASES.values())
    cases = [c for c in cases if has_tasks(c, given.only)]
    chosen = [p for p in known.PEERS
              if p.name == known.BASELINE or not given.peers or any(t in p.name for t in given.peers)]
    try:
        programs.configure()
    except programs.BuildError as e:
        sys.exit(f"{e}\nbench: CMake does not configure the programs")
    skipped = known.reasons_against(chosen)
    if given.list:
        return tell(cases, chosen, skipped)
    for name, why in skipped.items():
        print(f"bench: without {name}: {why}", file=sys.stderr)
    present = [p for p in chosen if p.name not in skipped]
    broken = build_all(cases, present, skipped)
    if not given.check:
        given.out.mkdir(parents=True, exist_ok=True)
    machine, settings = report.machine(given.clock), {"rounds": given.rounds, "seconds": given.seconds}
    agreed = True
    try:
        for threads in given.threads:
            workers = measure.Workers(threads, BENCH / ".venv" / "cache", given.limit)
            try:
                for case in cases:
                    takers = case_peers(case, present, broken)
                    if given.check:
                        agreed &= case.start_up or check_case(case, has_tasks(case, given.only), takers, workers)
                        workers.end_programs()
                        continue
                    missing = skipped | {p: why for (p, c), why in broken.items() if c == case.name}
                    results = report.CaseResults(case, given.out, machine, known.about(takers), missing, settings)
                    agreed &= run_case(case, has_tasks(case, given.only), results, takers, workers, given)
                    workers.end_programs()
            finally:
                workers.end()
    except KeyboardInterrupt:
        print(f"\nbench: interrupted; what was measured is in {given.out}", file=sys.stderr)
        return 130
    if given.check:
        return 0 if agreed else 1
    counts = report.write_summary(given.out)
    print(f"bench: {given.out}/summary.md; goals: " + (", ".join(f"{n} {word}" for word, n in counts.items()) or "none"))
    return 0 if agreed else 1
