"""The energy of an engine's core over real frames: its netlist is simulated, each net's changes are counted and priced.

Owns what a run is and what it leaves behind, `switching.json`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from cgs.base.files import read_json, write_json
from cgs.hw.activity import parts_of, read_toggles
from cgs.hw.design import Design, count_model
from cgs.hw.liberty import Library
from cgs.hw.logic import work_of
from cgs.hw.simulate import make
from cgs.quant.engine import nonzero_share
from cgs.quant.model import PackedModel

SWITCHING = "switching.json"


def measure(directory: Path, model: PackedModel, design: Design, spliced: np.ndarray, library: Library) -> dict[str, Any]:
    """Synthesise the core of a directory that `write_rtl` and `write_images` wrote, simulate its gates, and price what they did.

    Args:
        directory: that directory; the result is written there too.
        model, design, spliced: what was written.
        library: whose cells to use.
    Returns: library, supply_v, frames, core, work (of a frame), parts {name: gates, flip-flops, energy of a frame in J}.
    Raises: ToolError: a tool is missing, or the netlist does not do what the integer engine does.
    """
    make(directory, ["toggles", f"LIBERTY={library.path.resolve()}"], ("verilator", "yosys", "make", "g++"))
    build, counts = directory / "build" / library.path.stem, count_model(model, design.engine)
    changes = read_toggles(build / "toggles.dat", counts.cycles, len(spliced))
    parts = parts_of(read_json(build / "netlist.json"), library, changes)
    told = {
        "library": library.path.stem,
        "supply_v": library.supply,
        "frames": len(spliced),
        "core": asdict(design.core),
        "work": asdict(work_of(counts, nonzero_share(model, spliced))),
        "parts": {name: asdict(part) for name, part in parts.items()},
    }
    write_json(directory / SWITCHING, told)
    return told
