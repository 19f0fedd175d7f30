# SPDX-License-Identifier: MIT
"""Results as JSON and Markdown: a page for each case, and one with a line for each task."""
import json
import os
import platform
from pathlib import Path

from . import programs
from .cases import ALL, CASES
from .peers import BASELINE, PEERS

OURS = tuple(p.name for p in PEERS if p.program.startswith("etch"))


def machine(clock):
    model = platform.processor()
    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.exists() else []:
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return {"processor": model, "cores": len(os.sched_getaffinity(0)), "compiler": programs.compiler(), "clock": clock}


def write(path, text):
    """Whole or not at all."""
    fresh = path.with_suffix(path.suffix + ".new")
    fresh.write_text(text)
    fresh.replace(path)


def human(seconds):
    for unit, size in (("s", 1), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "| --- " * len(head) + "|"]
    return "\n".join(lines + ["| " + " | ".join(r) + " |" for r in rows])


def fastest(times, names, key="median_s"):
    """The name of the fastest of these; None where none was measured."""
    return min((n for n in names if n in times), key=lambda n: times[n][key], default=None)


def peers_of(times):
    return [n for n in times if n not in OURS]


class CaseResults:
    """What is known of a case, in a file that is written after each task. Results of earlier runs stay where machine,
    compilers, flags and versions were the same; otherwise a new file begins."""

    def __init__(self, case, folder, machine_, about, skipped, settings):
        self.case, self.path = case, folder / f"{case.name}.json"
        self.data = {"case": case.name, "machine": machine_, "programs": about, "skipped": skipped, "settings": settings,
                     "results": []}
        try:
            old = json.loads(self.path.read_text())
            same = all(old[k] == self.data[k] for k in ("machine", "programs"))
        except (OSError, ValueError, KeyError):
            same = False
        names = [t.name for t in case.tasks]
        if same:
            self.data["results"] = [r for r in old["results"] if r["task"] in names]

    def add(self, task, threads, found):
        results = [r for r in self.data["results"] if (r["task"], r["threads"]) != (task.name, threads)]
        results.append({"task": task.name, "threads": threads, **found})
        order = [t.name for t in self.case.tasks]
        self.data["results"] = sorted(results, key=lambda r: (r["threads"], order.index(r["task"])))
        write(self.path, json.dumps(self.data, indent=1) + "\n")
        write(self.path.with_suffix(".md"), case_page(self.case, self.data))


def more_columns(case, task):
    """[(head, function of a program's result)] beyond times."""
    if case.start_up:
        return [("memory", lambda r: f"{r['memory_mb']:.0f} MB"), ("first start of all", lambda r: human(r["cold_s"]))]
    if task.flops:
        return [("GFLOP/s", lambda r: f"{task.flops / r['median_s'] * 1e-9:.1f}")]
    if task.examples:
        return [("examples/s", lambda r: f"{task.examples / r['median_s']:,.0f}")]
    return []


def task_text(case, task, result):
    if "disagreement" in result:
        return "Not timed, the results differ: " + result["disagreement"]
    times = result["peers"]
    if not times:
        return "Nothing was measured."
    best = fastest(times, peers_of(times))
    more = more_columns(case, task)
    ratio = lambda r, name: f"{r['median_s'] / times[name]['median_s']:.2f}" if name in times else ""
    rows = [[name, human(r["median_s"]), human(r["minimum_s"]), ratio(r, best), ratio(r, BASELINE), *(f(r) for _, f in more)]
            for name, r in sorted(times.items(), key=lambda item: item[1]["median_s"])]
    text = table(["", "median", "minimum", "/ best peer", "/ etch", *(head for head, _ in more)], rows)
    for name, why in result.get("left_out", {}).items():
        text += f"\n\nwithout {name}: {why}"
    return text


def case_page(case, data):
    m = data["machine"]
    page = [f"# {case.name}", "", case.title + ".", "",
            f"{m['processor']}, {m['cores']} cores, {m['compiler']}"
            + (", processor time" if m["clock"] == "cpu" else "") + ". Columns and rules: docs/benchmarks.md.", ""]
    rows = [[name, a["built"], a["note"]] for name, a in data["programs"].items()]
    page += [table(["program", "built with", ""], rows), ""]
    for name, why in data["skipped"].items():
        page += [f"Without {name}: {why}", ""]
    tasks = {t.name: t for t in case.tasks}
    for r in data["results"]:
        threads = f"{r['threads']} thread{'s' if r['threads'] > 1 else ''}"
        page += [f"## {r['task']}, {threads}", "", task_text(case, tasks[r["task"]], r), ""]
    return "\n".join(page)


def judged(goal, times):
    """(word, figure) of a goal: reached, by minima only, not reached, not measured."""
    ours = fastest(times, goal.of)
    if ours is None:
        return "not measured", ""
    if goal.limit:
        value = times[ours]["memory_mb"] if goal.unit == "MB" else times[ours]["median_s"]
        least = value if goal.unit == "MB" else times[ours]["minimum_s"]
        told = f"{value:.0f} MB" if goal.unit == "MB" else human(value)
        return ("reached" if value <= goal.limit else "by the minimum only" if least <= goal.limit else "not reached"), told
    names = peers_of(times) if goal.peers == ALL else goal.peers
    ratios = []
    for key in ("median_s", "minimum_s"):
        peer = fastest(times, names, key)
        if peer is None:
            return "not measured", ""
        ratios.append(times[peer][key] / times[fastest(times, goal.of, key)][key])
    word = "reached" if ratios[0] >= goal.ratio else "by minima only" if ratios[1] >= goal.ratio else "not reached"
    return word, f"{ratios[0]:.2f}"


def summary_lines(case, data, counts):
    tasks = {t.name: t for t in case.tasks}
    for r in data["results"]:
        task = tasks.get(r["task"])
        if task is None:
            continue
        head = [case.name, task.name, str(r["threads"])]
        if "disagreement" in r:
            yield head + ["the results differ"] + [""] * 6
            continue
        times = r["peers"]
        best, ours = fastest(times, peers_of(times)), times.get(BASELINE)
        cells = [human(ours["median_s"]) if ours else "not measured"]
        if best and ours:
            by_minima = fastest(times, peers_of(times), "minimum_s")
            cells += [best, human(times[best]["median_s"]), f"{times[best]['median_s'] / ours['median_s']:.2f}",
                      f"{times[by_minima]['minimum_s'] / ours['minimum_s']:.2f}"]
        else:
            cells += [""] * 4
        goals = [(g, *judged(g, times)) for g in task.goals if r["threads"] in g.threads]
        for _, word, _ in goals:
            counts[word] = counts.get(word, 0) + 1
        yield head + cells + ["; ".join(g.text for g, _, _ in goals),
                              "; ".join(word + (f" ({figure})" if figure else "") for _, word, figure in goals)]


def write_summary(folder):
    """From the files of all cases in the folder."""
    rows, counts, machines = [], {}, []
    for case in CASES.values():
        try:
            data = json.loads((folder / f"{case.name}.json").read_text())
            told = "{processor}, {cores} cores, {compiler}".format(**data["machine"])
            rows += summary_lines(case, data, counts)
        except (OSError, ValueError, KeyError):  # not there, or written by another version
            continue
        if told not in machines:
            machines.append(told)
    text = ["# Summary", "", "One line a task, medians of one run in which programs took turns; ratios above 1 say that etch is "
            "faster. Programs, flags and all times are on the page of each case, columns and rules in docs/benchmarks.md.", "",
            "; ".join(machines) + ".", "",
            "Goals: " + (", ".join(f"{n} {word}" for word, n in counts.items()) or "none measured") + ".", "",
            table(["case", "task", "threads", "etch", "best peer", "its time", "peer / etch", "by minima", "goal", "reached"],
                  rows), ""]
    write(folder / "summary.md", "\n".join(text))
    return counts
