# SPDX-License-Identifier: MIT
"""The programs in C++: what there is, as bench/CMakeLists.txt says, and how they are built."""
import json
import os
import subprocess

from .places import BUILD, COMPILER, ROOT

LOG = ROOT / "build" / "bench.log"
_known = {}


class BuildError(Exception):
    pass


def _run(command, mode):
    LOG.parent.mkdir(exist_ok=True)
    with open(LOG, mode) as out:
        done = subprocess.run(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise BuildError("\n".join(LOG.read_text(errors="replace").splitlines()[-20:]) + f"\n(all of it: {LOG})")


def configure():
    _run(["cmake", "--preset", "release", "-B", str(BUILD), f"-DCMAKE_CXX_COMPILER={COMPILER}", "-DETCH_BUILD_TESTS=OFF",
          "-DETCH_BUILD_EXAMPLES=OFF", "-DETCH_BUILD_BENCH=ON"], "w")
    _known.update(json.loads((BUILD / "bench" / "peers.json").read_text()))


def about(peer):
    return _known.get(peer, {"without": "it is not built"})


def exists(peer, program):
    return program in about(peer).get("programs", [])


def path_of(peer, program):
    return BUILD / "bench" / peer / program


def build(peer, program):
    """Raises where it does not compile; one program at a time needs the least memory."""
    if not os.environ.get("BENCH_BUILT"):  # for machines where another command has built them
        _run(["cmake", "--build", str(BUILD), "--target", f"bench_{peer}_{program}"], "a")


def compiler():
    text = subprocess.run([COMPILER, "--version"], capture_output=True, text=True).stdout
    return text.splitlines()[0] if text else COMPILER
