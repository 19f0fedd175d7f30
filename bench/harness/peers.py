# SPDX-License-Identifier: MIT
"""Who is timed. This is the only place that lists the peers: how each is started, what it needs, what is said of it."""
import os
import subprocess
import sys
from dataclasses import dataclass

from . import programs
from .places import BENCH, PYTHON


@dataclass(frozen=True)
class Peer:
    name: str
    program: str  # a folder of C++ programs, or a program of Python
    arguments: tuple = ()
    needs: tuple = ()  # modules of Python
    note: str = ""

    @property
    def python(self):
        return self.program.endswith(".py")

    def command(self, case):
        if self.python:
            return [str(PYTHON), str(BENCH / "peers" / self.program), *self.arguments]
        return [str(programs.path_of(self.program, case.program)), *self.arguments]


FRESH = "results are fresh arrays at each call"
REUSED = "results go into existing arrays"
PEERS = (
    Peer("etch", "etch", note="results are handed out and taken back: memory is used again once a result is dropped"),
    Peer("etch, CBLAS", "etch_blas", note="etch built with ETCH_BLAS"),
    Peer("loop -O3", "loop", note=REUSED),
    Peer("loop -O3 -ffast-math", "loop_fast", note=REUSED),
    Peer("loop, streaming stores", "streaming", note=REUSED),
    Peer("Eigen", "eigen", note=REUSED),
    Peer("xtensor", "xtensor", note=REUSED),
    Peer("CBLAS", "blas", note=REUSED),
    Peer("dlib", "dlib"),
    Peer("NumPy", "numpy_peer.py", needs=("numpy", "scipy"), note=FRESH),
    Peer("numexpr", "numexpr_peer.py", needs=("numexpr",), note=REUSED),
    Peer("PyTorch", "torch_peer.py", needs=("torch",), note="eager; " + FRESH),
    Peer("PyTorch, fused optimizer", "torch_peer.py", ("--fused",), ("torch",), "fused=True, for training alone"),
    Peer("torch.compile", "torch_peer.py", ("--compile",), ("torch",), "static shapes; the optimizer's step too; " + FRESH),
    Peer("JAX", "jax_peer.py", needs=("jax", "jaxlib"), note="jit; " + FRESH + ", the state of training is donated"),
    Peer("PyTensor", "pytensor_peer.py", needs=("pytensor", "numba"),
         note="its default mode, numba; results borrowed, inputs trusted"),
    Peer("PyTensor, C linker", "pytensor_peer.py", ("--cvm",), ("pytensor",), "cvm; results borrowed, inputs trusted"),
)
BASELINE = "etch"


def variables(threads, cache):
    """The environment of a program. `cache` is where compilers of Python keep what they made."""
    e = dict(os.environ, JAX_PLATFORMS="cpu", CUDA_VISIBLE_DEVICES="", ETCH_DEVICE="cpu", ETCH_THREADS=str(threads))
    for name in ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "NUMEXPR_MAX", "NUMBA"):
        e[name + "_NUM_THREADS" if name != "NUMEXPR_MAX" else "NUMEXPR_MAX_THREADS"] = str(threads)
    e["PYTENSOR_FLAGS"] = f"base_compiledir={cache}/pytensor"
    e["NUMBA_CACHE_DIR"] = f"{cache}/numba"
    e["TORCHINDUCTOR_CACHE_DIR"] = f"{cache}/inductor"
    e["JAX_COMPILATION_CACHE_DIR"] = f"{cache}/jax"
    e["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    e["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    # The wheel of torch is linked with libraries of a CUDA toolkit, though nothing here runs on a GPU.
    toolkit = os.path.join(os.environ.get("CUDA_HOME", "/usr/local/cuda"), "lib64")
    e["LD_LIBRARY_PATH"] = ":".join(p for p in (e.get("LD_LIBRARY_PATH"), toolkit) if p)
    return e


def import_error(modules):
    """Why these modules cannot be imported; empty where they can."""
    if not PYTHON.exists():
        return "no Python peers are installed: bench/run --install-peers"
    run = subprocess.run([str(PYTHON), "-c", "import " + ", ".join(modules)], env=variables(1, BENCH / ".venv" / "cache"),
                         capture_output=True, text=True)
    if run.returncode == 0:
        return ""
    return (run.stderr.strip().splitlines() or ["it ended without a word"])[-1]


def reasons_against(peers):
    """{name: why it cannot run} of these peers; those of C++ are known after `programs.configure`."""
    errors, reasons = {}, {}
    for p in peers:
        if not p.python:
            reason = programs.about(p.program).get("without", "")
        else:
            if p.needs not in errors:
                errors[p.needs] = import_error(p.needs)
            reason = errors[p.needs]
        if reason:
            reasons[p.name] = reason
    return reasons


def about(peers):
    """{name: {"built": flags, "note": ...}} for the tables."""
    versions = versions_of({m for p in peers for m in p.needs})
    told = {}
    for p in peers:
        if p.python:
            told[p.name] = {"built": "wheels: " + ", ".join(f"{m} {versions.get(m, '?')}" for m in p.needs), "note": p.note}
        else:
            a = programs.about(p.program)
            told[p.name] = {"built": a.get("flags", ""), "note": "; ".join(n for n in (a.get("note"), p.note) if n)}
    return told


def versions_of(modules):
    if not PYTHON.exists() or not modules:
        return {}
    text = ("import importlib.metadata as m, sys\nfor p in sys.argv[1:]:\n"
            "  try: print(p, m.version(p))\n  except m.PackageNotFoundError: pass")
    out = subprocess.run([str(PYTHON), "-c", text, *sorted(modules)], capture_output=True, text=True).stdout
    return dict(line.split() for line in out.splitlines())


# What torch needs to be imported without its dependencies' CUDA wheels: the toolkit's libraries serve.
PACKAGES = (
    ["numpy", "scipy", "numexpr", "jax", "jaxlib", "numba", "pytensor", "filelock", "typing_extensions", "sympy", "networkx",
     "jinja2", "fsspec", "mpmath", "setuptools", "packaging"],
    ["--no-deps", "torch"],
    ["--no-deps", "nvidia-cufile", "nvidia-cusparselt-cu13", "nvidia-nvshmem-cu13", "nvidia-nccl-cu13"],
)
SYSTEM_PACKAGES = ("libeigen3-dev", "libopenblas-dev", "libxtensor-dev", "libxsimd-dev", "libdlib-dev")


def install():
    """Peers in Python into bench/.venv; of the system's packages it says what is missing."""
    def run(*words):
        return subprocess.run([str(w) for w in words]).returncode == 0

    if not PYTHON.exists() and not run(sys.executable, "-m", "venv", BENCH / ".venv"):
        sys.exit("bench: python3 -m venv failed (Debian's python3-venv)")
    for packages in PACKAGES:
        if not run(PYTHON, "-m", "pip", "install", "-q", *packages):
            print(f"bench: could not install {' '.join(packages)}")
    modules = sorted({m for p in PEERS for m in p.needs})
    for m in modules:
        error = import_error((m,))
        print(f"  {m:10} " + (error or versions_of([m]).get(m, "")))
    print("Peers in C++ come from the system, on Debian: apt-get install --no-install-recommends " + " ".join(SYSTEM_PACKAGES))
