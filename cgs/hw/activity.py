"""What the core of an engine takes by the switching of its nets: gates of a library, toggles of a simulation of real frames.

Owns the energy of a counted toggle. Memories, the wires of a placement and glitches are not in it: the simulation has no delays, so a net
changes at most once a clock edge."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgs.base.errors import FormatError
from cgs.hw.liberty import Cell, Library

CORE = "cgs_core_netlist"
CELL = "cell"
INSTANCES = {"gen_mac": "mac", "gen_cells": CELL, "u_control.gen_cells": CELL, "u_control": "control", "u_requantise": "output", "u_output": "output"}
"""Parts of a core by the instances that they are, that of cells where there are any; what lies between them selects operands and sums."""
BETWEEN = "operands"
CLOCK_GATE = "cgs_clock_gate"
TOGGLES = re.compile(rf"\x01page\x02v_toggle/{CORE}\x01o\x02([^\x01']*)\x01[^']*' (\d+)")
ESCAPED = re.compile(r"__0([0-9a-f]{2})")
"""How Verilator writes a character that a name of C++ cannot have."""


@dataclass
class Part:
    """A part of the core over one frame.

    Args:
        area: of its cells, in NAND2 equivalents.
        flops: flip-flops.
        data_j: what the changes of nets take, J, but for the clock.
        clock_j: what the clock takes at the pins of flip-flops, and in clock gates, J.
        leakage_w: of its cells, W.
    """

    area: float = 0.0
    flops: int = 0
    data_j: float = 0.0
    clock_j: float = 0.0
    leakage_w: float = 0.0


def parts_of(netlist: Mapping[str, Any], library: Library, changes: Mapping[str, float] | None = None) -> dict[str, Part]:
    """Gates and energy by part; the change of a net is charged to the cells at its ends.

    Args:
        netlist: what Yosys's `write_json` says of a core that was flattened after its gates were chosen.
        library: of whose cells the netlist is.
        changes: of each net in a frame, by name; nets of more than one bit bit by bit, as `word[3]`. None: nothing moves.
    Raises: FormatError: a net that was not counted, or a cell of another library.
    """
    core = netlist["modules"][CORE]
    parts: dict[str, Part] = defaultdict(Part)
    unit, ends, loads = library.nand2_area(), [], defaultdict[int, float](float)
    for instance, cell in core["cells"].items():
        kind, names = _kind(cell["type"], library)
        if kind is None:
            continue
        part = parts[next((part for part_of, part in INSTANCES.items() if instance.startswith(part_of)), BETWEEN)]
        part.area += kind.area / unit
        part.leakage_w += kind.leakage
        part.flops += not names and any(pin.is_clock for pin in kind.pins.values())
        for name, (bit, *_) in cell["connections"].items():
            if isinstance(bit, int):
                pin = kind.pins[names.get(name, name)]
                ends.append((part, pin, bit, pin.is_clock or (bool(names) and pin.is_output)))
                loads[bit] += pin.capacitance
    if changes is not None:
        counted = _by_bit(core, changes)
        for part, pin, bit, is_clock in ends:
            if bit not in counted:
                raise FormatError(f"net {bit} of the netlist: its changes were not counted", "simulate the same netlist")
            energy = counted[bit] * (pin.capacitance * library.supply**2 / 2 + pin.energy(loads[bit]))
            if is_clock:
                part.clock_j += energy
            else:
                part.data_j += energy
    return dict(parts)


def _kind(name: str, library: Library) -> tuple[Cell | None, dict[str, str]]:
    """A library's cell, and what it calls the pins of ours; a clock gate is the library's own, or none where it has no such cell."""
    if name != CLOCK_GATE:
        if name not in library.cells:
            raise FormatError(f"cell {name} of the netlist: not in {library.path}", "give the library that the netlist was made with")
        return library.cells[name], {}
    gate = library.clock_gate()
    return gate, gate.gate_pins if gate else {}


def read_toggles(path: Path, cycles: int, frames: int) -> dict[str, float]:
    """Changes of each net of the core in a frame, from what Verilator's coverage wrote.

    Args:
        path: its file.
        cycles: clock cycles of a frame; the clock changes twice in each, and is not counted between frames.
        frames: frames simulated.
    """
    found = TOGGLES.findall(path.read_text(encoding="latin-1"))
    names = {ESCAPED.sub(lambda code: chr(int(code[1], 16)), name): int(number) / frames for name, number in found}
    return names | {"clk_i": 2.0 * cycles}


def _by_bit(core: Mapping[str, Any], changes: Mapping[str, float]) -> dict[int, float]:
    """Changes of each bit of a netlist, by any of its names that was counted."""
    found: dict[int, float] = {}
    for name, net in core["netnames"].items():
        for position, bit in enumerate(net["bits"]):
            key = name if len(net["bits"]) == 1 else f"{name}[{position}]"
            if key in changes:
                found.setdefault(bit, changes[key])
    return found
