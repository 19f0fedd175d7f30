# SPDX-License-Identifier: MIT
"""The summary of a run of bench/gpu/run as a page of Markdown."""
PEERS = ("torch", "torch.compile", "jax")
WITH_OUTPUTS = ("row", "gemm")  # families whose calls copy results to the host, which those of peers do not


def human(seconds):
    for unit, size in (("s", 1), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def size_text(n):
    for unit, bits in (("GB", 30), ("MB", 20), ("KB", 10)):
        if n >= 1 << bits:
            return f"{n / (1 << bits):.3g} {unit}"
    return f"{n} B"


def time_of(case, engine):
    return case["engines"].get(engine, {}).get("call_s")


def best_peer(case):
    """(seconds, name), or None."""
    return min(((t, e) for e in PEERS if (t := time_of(case, e))), default=None)


def kernel_seconds(case):
    """Of etch's kernels and products, without the copies of new values to parameters."""
    etch = case["engines"].get("etch", {})
    return etch["device_s"] - etch["copies_s"] if "device_s" in etch else None


def of_copy(case):
    """How near etch's kernels come to a copy of as many bytes: 1 is as fast."""
    copy, kernels = case["engines"].get("copy", {}).get("device_s"), kernel_seconds(case)
    return copy / kernels if copy and kernels else None


def limited_by_memory(case):
    return case["flops"] == 0


def cell(case, engine):
    said = case["engines"].get(engine, {})
    return human(said["call_s"]) if "call_s" in said else "error" if "error" in said else ""


def case_line(case):
    etch = case["engines"].get("etch", {})
    device, copies = kernel_seconds(case), etch.get("copies_s")
    if limited_by_memory(case):
        rate = f"{case['bytes'] / device / 1e9:,.0f} GB/s" if device else ""
    else:
        rate = f"{case['flops'] / device / 1e12:.3g} TFLOP/s" if device else ""
    ratio, best, mine = of_copy(case), best_peer(case), etch.get("call_s")
    if mine and case["words"].split()[0] in WITH_OUTPUTS:
        mine = device
    against = f"{best[0] / mine:.2f} ({best[1]})" if best and mine else ""
    return [" ".join(case["words"].split()[1:]), size_text(case["bytes"]), cell(case, "etch"),
            human(device) if device else "", human(copies) if copies else "", str(etch.get("launches", "")), rate,
            f"{ratio:.2f}" if ratio and limited_by_memory(case) else "", *(cell(case, p) for p in PEERS), against]


def table(head, lines):
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *lines])


def farthest_from_copy(cases, smallest_bytes):
    """The case that memory limits and whose launches are farthest from a copy."""
    timed = [c for c in cases if limited_by_memory(c) and c["bytes"] >= smallest_bytes and of_copy(c)]
    return min(timed, key=of_copy, default=None)


def page(run):
    device = run["device"]
    lines = [f"# {device['name']}, {run['date']}", ""]
    if run["fake"]:
        lines += ["**A device that is not there: no number here means anything.**", ""]
    lines += [", ".join(f"{k} {v}" for k, v in run["versions"].items()), ""]
    lines += phases(run)
    families = dict.fromkeys(c["words"].split()[0] for c in run["cases"])
    head = ["case", "bytes", "etch, a call", "etch, kernels", "copies", "launches", "rate", "copy / etch",
            *PEERS, "best peer / etch"]
    for family in families:
        mine = [c for c in run["cases"] if c["words"].split()[0] == family and c["engines"]]
        if mine:
            lines += [f"## {family}", "", table(head, [case_line(c) for c in mine]), ""]
    wrong = [(c["words"], e, said["error"]) for c in run["cases"] for e, said in c["engines"].items() if "error" in said]
    if wrong:
        lines += ["## Errors", "", *(f"- {words}, {engine}: {text}" for words, engine, text in wrong), ""]
    if run.get("profile"):
        p = run["profile"]
        lines += [f"## Farthest from a copy: {p['case']} ({p['copy / etch']:.2f})", "",
                  *(f"- {name}: {count} launches, {human(s)}" for name, count, s in p["kernels"]), "",
                  "```", p["describe"].rstrip(), "```", ""]
    if run["not_run"]:
        lines += ["## Not run", "", *(f"- {text}" for text in run["not_run"]), ""]
    return "\n".join(lines)


def phases(run):
    lines = []
    if run["first_steps"]:
        head = ["first step in a fresh process", "wall", "make the function", "first call", "a call from host memory"]
        lines += [table(head, [[f["cache"] + " cache", human(f["wall_s"]), human(f["make_s"]), human(f["first_call_s"]),
                                human(f["call_from_host_s"])] if "error" not in f else [f["cache"], f["error"], "", "", ""]
                               for f in run["first_steps"]]), ""]
    for name in ("builds", "tests", "sanitizer"):
        done = run[name]
        if done:
            good = sum(1 for d in done if d["ok"])
            lines += [f"{name}: {good} of {len(done)} well" +
                      "".join(f"; **{d['name']}**: {d.get('summary') or 'failed'}" for d in done if not d["ok"]), ""]
    return lines
