"""Gates of an engine's core, its memories left out, by Yosys: cells, their area, and how many NAND2 gates that is.

Owns the prices of gates where no library is named. `make synth` of a directory that `write_rtl` wrote does the work."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cgs.base.errors import ConfigError
from cgs.hw.liberty import Library
from cgs.hw.simulate import make

GENERIC = {
    "$_NOT_": 0.67, "$_NAND_": 1.0, "$_NOR_": 1.0, "$_AND_": 1.33, "$_OR_": 1.33, "$_ANDNOT_": 1.33, "$_ORNOT_": 1.33, "$_XOR_": 2.0, "$_XNOR_": 2.0,
    "$_MUX_": 2.33, "$_NMUX_": 2.33, "$_AOI3_": 1.33, "$_OAI3_": 1.33, "$_AOI4_": 1.67, "$_OAI4_": 1.67,
    "$_DFF_P_": 5.67, "$_DFF_PN0_": 6.67, "$_DFF_PN1_": 6.67, "$_DFFE_PP_": 8.0, "cgs_clock_gate": 4.33,
}  # fmt: skip
"""NAND2 equivalents of Yosys's gates: rounded ratios common to standard-cell libraries (a flip-flop with an enable is one with a multiplexer)."""
CELL = re.compile(r"^ +(\S+) +(\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Gates:
    """The core as gates.

    Args:
        cells: how many of each kind.
        area: of the cells in the library's unit, clock gates left out; 0 without a library.
        equivalents: NAND2 gates of the same area; a clock gate counts as `GENERIC` says in either case.
        netlist: the file, with the module `cgs_core_netlist`.
    """

    cells: dict[str, int]
    area: float
    equivalents: float
    netlist: Path


def synthesise(directory: Path, library: Library | None = None) -> Gates:
    """Synthesise the core of a directory that `write_rtl` wrote; nothing is done where it is up to date.

    Args:
        directory: the netlist goes to build/generic there, or to build/ and the library's name.
        library: standard cells; without them, Yosys's own gates.
    Raises: ToolError: a tool is missing, or synthesis failed. ConfigError: the library cannot price gates.
    """
    out = directory / "build" / (library.path.stem if library else "generic")
    make(directory, ["synth", f"LIBERTY={library.path.resolve() if library else ''}"], ("yosys", "make"))
    return count_gates((out / "cells.txt").read_text(encoding="utf-8"), out / "netlist.v", library)


def count_gates(statistics: str, netlist: Path, library: Library | None) -> Gates:
    """What Yosys's `stat` says of a netlist.

    Args:
        statistics: its text.
        netlist: of which it tells.
        library: of whose cells it is, or none.
    Raises: ConfigError: a gate without a price.
    """
    cells = {name: int(number) for name, number in CELL.findall(statistics.partition("Number of cells:")[2])}
    areas = {name: library.cells[name].area for name in cells if name in library.cells} if library else {}
    unknown = sorted(set(cells) - set(areas) - set(GENERIC))
    if unknown:
        raise ConfigError(f"{netlist}: no area of {', '.join(unknown)}", "give a library with flip-flops that have an asynchronous reset")
    area = sum(areas[name] * cells[name] for name in areas)
    generic = sum(GENERIC[name] * number for name, number in cells.items() if name not in areas)
    return Gates(cells, area, generic + (area / library.nand2_area() if library else 0.0), netlist)
