# SPDX-License-Identifier: MIT
"""What bench/gpu/run finds on a machine: the GPU, headers, libraries, Pythons; and how it compiles, without CMake."""
import concurrent.futures
import ctypes
import functools
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
THIRD_PARTY = HERE / "third_party"
FAKE = os.environ.get("ETCH_GPU_BENCH_FAKE", "0") not in ("", "0")
COMPILER = os.environ.get("CXX", "g++")
LIMITS = ["-fconstexpr-ops-limit=2000000000", "-fconstexpr-loop-limit=100000000", "-fconstexpr-depth=4096"]
if "clang" in COMPILER:
    LIMITS = ["-fconstexpr-steps=2000000000", "-fconstexpr-depth=4096", "-fbracket-depth=1024"]
CUDA_HEADERS = ("cuda.h", "nvrtc.h", "cublasLt.h")


class Missing(Exception):
    """A sentence on what is missing and what helps."""


# ---- the GPU ------------------------------------------------------------------------------------------------------

ATTRIBUTES = {"processors": 16, "memory_clock_khz": 36, "memory_bus_bits": 37, "l2_bytes": 38, "major": 75, "minor": 76}


def gpu():
    """The first GPU as the driver describes it. Throws Missing where there is none."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        raise Missing("there is no driver for CUDA here (libcuda.so.1)")
    count, version, size = ctypes.c_int(), ctypes.c_int(), ctypes.c_size_t()
    if (code := driver.cuInit(0)) != 0:
        raise Missing(f"the CUDA driver does not start: cuInit answers {code}")
    driver.cuDeviceGetCount(ctypes.byref(count))
    if count.value == 0:
        raise Missing("the CUDA driver has no device")
    text = ctypes.create_string_buffer(200)
    driver.cuDeviceGetName(text, len(text) - 1, 0)
    driver.cuDriverGetVersion(ctypes.byref(version))
    driver.cuDeviceTotalMem_v2(ctypes.byref(size), 0)
    found = {"name": text.value.decode(), "memory_bytes": size.value, "driver_cuda": version.value / 1000}
    for name, number in ATTRIBUTES.items():
        value = ctypes.c_int()
        if driver.cuDeviceGetAttribute(ctypes.byref(value), number, 0) == 0:
            found[name] = value.value
    try:
        said = subprocess.run(["nvidia-smi", "--query-gpu=driver_version,clocks.sm,clocks.max.sm", "--format=csv,noheader"],
                              capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return found  # it only adds what is nice to know
    if said.returncode == 0 and said.stdout.strip():
        found["nvidia_smi"] = said.stdout.strip().splitlines()[0]
    return found


# ---- headers and libraries ----------------------------------------------------------------------------------------

def pythons():
    """Interpreters that may have peers, the most likely first."""
    named = [os.environ.get("ETCH_PEERS_PYTHON"), sys.executable, shutil.which("python3"),
             str(ROOT / "bench" / ".venv" / "bin" / "python")]
    every = []
    for p in named:
        if p and os.path.exists(p) and p not in every:
            every.append(p)
    return every


@functools.cache
def wheel_folders(below):
    """nvidia/*/include or lib of the Pythons' packages: a toolkit in pieces."""
    found = []
    for python in pythons():
        said = subprocess.run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
                              capture_output=True, text=True)
        for folder in sorted(glob.glob(os.path.join(said.stdout.strip() or "?", "nvidia", "*", below))):
            if folder not in found:
                found.append(folder)
    return found


def toolkits():
    roots = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda", "/usr/lib/cuda"]
    nvcc = shutil.which("nvcc")
    if nvcc:
        roots.append(str(Path(os.path.realpath(nvcc)).parent.parent))
    roots += sorted(glob.glob("/usr/local/cuda-*"), reverse=True)
    return [r for r in dict.fromkeys(roots) if r and os.path.isdir(r)]


def include_folders():
    """For the compiler. Throws Missing with what helps."""
    eigen = [f for f in (str(THIRD_PARTY / "eigen3"), "/usr/include/eigen3", "/usr/local/include/eigen3")
             if os.path.exists(f + "/Eigen/Core")]
    if not eigen:
        raise Missing("Eigen's headers are missing: install Eigen, or run `bench/gpu/run --fill-third-party` where it is "
                      "installed and bring the folder bench/gpu/third_party along (git ignores it)")
    cuda = [f for f in ["/usr/include", "/usr/local/include", *(r + "/include" for r in toolkits()),
                        *wheel_folders("include"), str(THIRD_PARTY / "cuda")]
            if any(os.path.exists(f"{f}/{h}") for h in CUDA_HEADERS)]
    for h in CUDA_HEADERS:
        if not any(os.path.exists(f"{f}/{h}") for f in cuda):
            raise Missing(f"{h} is missing: install the CUDA toolkit or its Python wheels, or run `bench/gpu/run "
                          "--fill-third-party` where it is installed and bring bench/gpu/third_party along")
    # As -isystem, the system's own folders would change the order of its headers.
    return [eigen[0]] + [f for f in cuda if f not in ("/usr/include", "/usr/local/include")]


def catch_folder():
    """Of Catch2, version 2 with its one header: "" where the compiler finds it by itself, None where there is none."""
    if (THIRD_PARTY / "catch2" / "catch.hpp").exists():
        return str(THIRD_PARTY)
    return "" if any(os.path.exists(f + "/catch2/catch.hpp") for f in ("/usr/include", "/usr/local/include")) else None


def environment(more=()):
    """With CUDA's libraries, wherever they are, behind what the loader knows."""
    folders = [os.environ.get("LD_LIBRARY_PATH")] + wheel_folders("lib")
    return dict(os.environ, LD_LIBRARY_PATH=":".join(f for f in folders if f), **dict(more))


def fill_third_party():
    """Copies the headers of this machine to the folder that travels."""
    eigen = next((f for f in ("/usr/include/eigen3", "/usr/local/include/eigen3") if os.path.exists(f + "/Eigen")), None)
    if not eigen:
        raise Missing("Eigen is not installed here either (/usr/include/eigen3)")
    shutil.copytree(eigen + "/Eigen", THIRD_PARTY / "eigen3" / "Eigen", dirs_exist_ok=True)
    (THIRD_PARTY / ".clang-format").write_text("DisableFormat: true\nSortIncludes: Never\n")
    for folder in ("/usr/include/catch2", "/usr/local/include/catch2"):
        if os.path.exists(folder + "/catch.hpp"):
            shutil.copytree(folder, THIRD_PARTY / "catch2", dirs_exist_ok=True)
    for root in (f for r in toolkits() for f in [r + "/include"] if os.path.exists(f + "/cublasLt.h")):
        text = "".join(f"#include <{h}>\n" for h in CUDA_HEADERS)
        said = subprocess.run([COMPILER, "-x", "c++", "-M", "-I", root, "-"], input=text, capture_output=True, text=True)
        for name in re.findall(r"\S+", said.stdout.replace("\\\n", " ")):
            if name.startswith(root + "/"):
                to = THIRD_PARTY / "cuda" / os.path.relpath(name, root)
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(name, to)
        break
    return sum(p.stat().st_size for p in THIRD_PARTY.rglob("*") if p.is_file())


# ---- compiling ----------------------------------------------------------------------------------------------------

class Builder:
    """Compiles programs side by side. Each is one command, the object files that it needs come first."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        version = subprocess.run([COMPILER, "-dumpversion"], capture_output=True, text=True).stdout.strip()
        if "clang" not in COMPILER and int((version or "0").split(".")[0]) < 12:
            raise Missing(f"{COMPILER} is version {version or 'unknown'}; etch needs g++ 12 or newer (CXX names another)")
        self.version = f"{COMPILER} {version}"
        folders = include_folders()
        self.flags = ["-std=c++20", "-march=native", *LIMITS,
                      *(f"-I{ROOT / f}" for f in ("include", "jit", "tests")), *(f"-isystem{f}" for f in folders)]
        self.catch = catch_folder()
        if self.catch:
            self.flags.append(f"-isystem{self.catch}")
        if FAKE:
            self.flags.append("-DETCH_GPU_BENCH_FAKE")
        self.pool = concurrent.futures.ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0)))
        self.objects, self.running = {}, []
        self.newest = max(f.stat().st_mtime for folder in ("include", "jit", "tests", "bench")
                          for f in (ROOT / folder).rglob("*.[hc]pp"))

    def compile(self, name, source, level, link):
        """Returns {"name", "ok", "seconds", "log", "path"}."""
        begin, path = time.time(), self.folder / name
        command = [COMPILER, *self.flags, level, str(ROOT / source), "-o", str(path)]
        command += ["-c"] if link is None else [str(self.objects[o].result()["path"]) for o in link] + ["-pthread", "-ldl"]
        said, same = self.folder / (name + ".command"), "\n".join(command)
        if path.exists() and said.exists() and said.read_text() == same and path.stat().st_mtime > self.newest:
            return {"name": name, "ok": True, "seconds": 0, "log": "", "path": path}
        path.unlink(missing_ok=True)
        said.write_text(same)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   start_new_session=True)
        self.running.append(process)
        log, _ = process.communicate()
        return {"name": name, "ok": process.returncode == 0, "seconds": round(time.time() - begin, 1),
                "log": log[-4000:] if process.returncode else "", "path": path}

    def object(self, name, source):
        self.objects[name] = self.pool.submit(self.compile, name + ".o", source, "-O1", None)

    def program(self, name, source, level="-O1", objects=()):
        return self.pool.submit(self.compile, name, source, level, list(objects))

    def stop(self):
        self.pool.shutdown(wait=False, cancel_futures=True)
        for process in self.running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # the compiler itself too, not only what started it
