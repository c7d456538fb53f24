"""The runs behind the closed forms of the core's gates and energy.

    python -m cgs.hw.characterise gates LIBRARY.lib [LIBRARY.lib ...] > cgs/hw/logic_gates.tsv
    python -m cgs.hw.characterise energy DIR [DIR ...] > cgs/hw/logic_energy.tsv

`gates` synthesises designs of random parameters: all of them with the first library, the first few with the others, to compare. `energy` collects
what `cgs hw rtl --out DIR --liberty LIBRARY.lib --switching` found. No library comes with the project."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np

from cgs.base.files import read_json
from cgs.hw.activity import Part, parts_of
from cgs.hw.counts import Engine
from cgs.hw.design import Design
from cgs.hw.generate import write_rtl
from cgs.hw.liberty import Library, read_liberty
from cgs.hw.logic import PARTS, Core, Work
from cgs.hw.switching import SWITCHING
from cgs.hw.synthesis import synthesise

N_DESIGNS, N_COMPARED, SEED = 40, 8, 20161107


def designs(n: int = N_DESIGNS) -> Iterator[Design]:
    """Random engines: 1 to 32 MACs, weights of 2 to 8 bits, values of 4 to 16, layers of 64 to 2,000 values."""
    random = np.random.default_rng(SEED)
    for _ in range(n):
        n_macs, size = int(2 ** random.integers(0, 6)), int(random.integers(7, 12))
        weight, value = int(random.integers(2, 9)), int(random.choice([4, 6, 8, 8, 12, 16]))
        acc = weight + value + int(random.integers(size - 4, size + 1))
        engine = Engine(n_macs, 64, activation_bits=value, bias_bits=16, weight_bits=weight)
        words = [int(2 ** random.integers(low, high)) for low, high in ((10, 17), (6, 11), (9, 13), (2, 4), (4, 8))]
        yield Design(engine, max(acc, 16), size, int(random.integers(2, 7)), words[0], words[1], words[2], words[3], words[4], words[4])


def gates(design: Design, library: Library) -> dict[str, Part]:
    """Gates of a design's core. Raises: ToolError: as `cgs.hw.synthesis.synthesise`."""
    with tempfile.TemporaryDirectory() as folder:
        write_rtl(design, Path(folder))
        return parts_of(read_json(synthesise(Path(folder), library).netlist.with_suffix(".json")), library)


def write_gates(paths: list[Path]) -> None:
    """Print the table of gates, row by row as they are made."""
    print("# Made by: python -m cgs.hw.characterise gates; NAND2 equivalents of each part of the core, and flip-flops")
    _row({"name": "name"} | {field.name: field.name for field in fields(Core)} | {part: part for part in (*PARTS, "flops")})
    for path in paths:
        library = read_liberty(path)
        for design in designs(N_DESIGNS if path == paths[0] else N_COMPARED):
            found = gates(design, library)
            flops = sum(part.flops for part in found.values())
            _row({"name": path.stem} | _cells(design.core) | {part: f"{found[part].area:.1f}" for part in PARTS} | {"flops": flops})


def write_energy(directories: list[Path]) -> None:
    """Print the table of energies."""
    print("# Made by: python -m cgs.hw.characterise energy; J of a frame at 1 V, glitches and wires left out")
    _row({"name": "name"} | {field.name: field.name for kind in (Core, Work) for field in fields(kind)} | {part: part for part in (*PARTS, "clock")})
    for directory in directories:
        told = read_json(directory / SWITCHING)
        parts, square = told["parts"], told["supply_v"] ** 2
        energies = {part: parts[part]["data_j"] / square for part in PARTS} | {"clock": sum(part["clock_j"] for part in parts.values()) / square}
        core, work = _cells(Core(**told["core"])), _cells(Work(**told["work"]))
        _row({"name": directory.name.split(".")[0]} | core | work | {part: f"{value:.5g}" for part, value in energies.items()})


def _cells(parameters: Core | Work) -> dict[str, str]:
    return {name: f"{value:.6g}" for name, value in asdict(parameters).items()}


def _row(cells: Mapping[str, object]) -> None:
    print("\t".join(map(str, cells.values())), flush=True)


if __name__ == "__main__":
    {"gates": write_gates, "energy": write_energy}[sys.argv[1]]([Path(path) for path in sys.argv[2:]])
