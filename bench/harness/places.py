# SPDX-License-Identifier: MIT
"""Where things are."""
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / "bench"
COMPILER = os.environ.get("CXX", "g++")
# One folder a compiler: CMake forgets the build type when the compiler of a folder changes.
BUILD = ROOT / "build" / ("bench-" + Path(COMPILER).name)
PYTHON = BENCH / ".venv" / "bin" / "python"
