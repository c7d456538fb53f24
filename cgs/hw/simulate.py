"""Verilator at work on a generated directory: the bench is built once, and run on as many images as there are."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cgs.base.errors import CgsError, ShapeError, ToolError
from cgs.hw.design import Design
from cgs.hw.generate import write_images, write_rtl
from cgs.quant.model import PackedModel

PASSED = re.compile(r"^PASS: (\d+) frames of (\d+) cycles, (\d+) results each$", re.MULTILINE)
REMEDY = "./run.sh --setup-hardware installs it, or give Verilator 5 and Yosys 0.23, or later, on the PATH"


@dataclass(frozen=True)
class Simulation:
    """What the bench found equal to the integer engine and to the counts.

    Args:
        frames: frames computed.
        cycles: of each.
        results: outputs of each.
    """

    frames: int
    cycles: int
    results: int


def build(directory: Path) -> None:
    """Build the bench of a directory that `write_rtl` wrote; nothing is done where it is up to date.

    Raises: ToolError: a tool is missing, or the build failed.
    """
    make(directory, ["build/simulate"], ("verilator", "make", "g++"))


def make(directory: Path, arguments: Sequence[str], tools: Sequence[str]) -> None:
    """Run make in a directory that `write_rtl` wrote.

    Args:
        directory: that directory; what a failed run printed is kept there in make.log.
        arguments: targets and variables.
        tools: programs that it needs.
    Raises: ToolError: a tool is missing, or make failed.
    """
    for tool in tools:
        if not shutil.which(tool):
            raise ToolError(f"{tool}: not found, and the RTL needs it", REMEDY)
    done = subprocess.run(["make", *arguments], cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode:
        log = directory / "make.log"
        log.write_text(done.stdout + done.stderr, encoding="utf-8")
        raise ToolError(f"{directory}: make {' '.join(arguments)} failed, see {log}", REMEDY)


def simulate(directory: Path, images: Path) -> Simulation:
    """Run the bench on a directory of images that `write_images` wrote.

    Raises: ToolError: as `build`. CgsError: a result, a cycle or an access differs; the message has the first lines of the bench.
    """
    build(directory)
    command = [str((directory / "build" / "simulate").resolve()), f"+images={images.resolve()}"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    passed = PASSED.search(done.stdout)
    if done.returncode or not passed:
        told = "; ".join((done.stdout + done.stderr).strip().splitlines()[:3])
        raise CgsError(f"{images}: the RTL does not do what the integer engine does: {told}", "please report it with the model")
    return Simulation(*map(int, passed.groups()))


def simulate_frames(model: PackedModel, design: Design, pieces: Iterable[np.ndarray]) -> Simulation:
    """Simulate a model's engine on frames that come in pieces, in a directory that is removed afterwards.

    Args:
        model: one that the engine was designed for.
        design: the engine.
        pieces: (T, n_in) float, normalised and spliced features.
    Raises: as `simulate` and `write_images`.
    """
    frames, done = 0, None
    with tempfile.TemporaryDirectory() as folder:
        write_rtl(design, Path(folder))
        for piece in pieces:
            write_images(model, design, piece, Path(folder) / "images")
            done = simulate(Path(folder), Path(folder) / "images")
            frames += done.frames
    if done is None:
        raise ShapeError("no frames to simulate", "give at least one")
    return Simulation(frames, done.cycles, done.results)
