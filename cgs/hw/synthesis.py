"""Gates of an engine's core, its memories left out, by Yosys: cells, their area, and how many NAND2 gates that is.

Owns the prices of gates where no library is named. `make synth` of a directory that `write_rtl` wrote does the work."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cgs.base.errors import ConfigError
from cgs.hw.simulate import make

GENERIC = {
    "$_NOT_": 0.67, "$_NAND_": 1.0, "$_NOR_": 1.0, "$_AND_": 1.33, "$_OR_": 1.33, "$_ANDNOT_": 1.33, "$_ORNOT_": 1.33, "$_XOR_": 2.0, "$_XNOR_": 2.0,
    "$_MUX_": 2.33, "$_NMUX_": 2.33, "$_AOI3_": 1.33, "$_OAI3_": 1.33, "$_AOI4_": 1.67, "$_OAI4_": 1.67,
    "$_DFF_P_": 5.67, "$_DFF_PN0_": 6.67, "$_DFF_PN1_": 6.67, "$_DFFE_PP_": 8.0, "cgs_clock_gate": 4.33,
}  # fmt: skip
"""NAND2 equivalents of Yosys's gates: rounded ratios common to standard-cell libraries (a flip-flop with an enable is one with a multiplexer)."""
CELL = re.compile(r"^ +(\S+) +(\d+)$", re.MULTILINE)
AREA = re.compile(r"^ +Chip area for module .*: ([0-9.]+)$", re.MULTILINE)


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


def synthesise(directory: Path, liberty: Path | None = None) -> Gates:
    """Synthesise the core of a directory that `write_rtl` wrote; nothing is done where it is up to date.

    Args:
        directory: the netlist goes to build/generic there, or to build/ and the library's name.
        liberty: a standard-cell library; without it, Yosys's own gates.
    Raises: ToolError: a tool is missing, or synthesis failed. ConfigError: the library is missing, or cannot price gates.
    """
    unit = nand2_area(liberty) if liberty else 1.0
    make(directory, ["synth", f"LIBERTY={liberty.resolve() if liberty else ''}"], ("yosys", "make"))
    out = directory / "build" / (liberty.stem if liberty else "generic")
    return count_gates((out / "cells.txt").read_text(encoding="utf-8"), unit, out / "netlist.v", liberty)


def count_gates(statistics: str, unit: float, netlist: Path, liberty: Path | None) -> Gates:
    """What Yosys's `stat` says of a netlist.

    Args:
        statistics: its text.
        unit: area of a NAND2.
        netlist: of which it tells.
        liberty: the library, or none.
    Raises: ConfigError: a gate without a price.
    """
    cells = {name: int(number) for name, number in CELL.findall(statistics.partition("Number of cells:")[2])}
    area = AREA.search(statistics)
    priced = {name: number for name, number in cells.items() if not liberty or name not in _areas(liberty)}
    unknown = sorted(set(priced) - set(GENERIC))
    if unknown or (liberty and not area):
        raise ConfigError(f"{netlist}: no area of {', '.join(unknown) or 'the netlist'}", "give a library with flip-flops that have an asynchronous reset")
    total = float(area.group(1)) if area and liberty else 0.0
    return Gates(cells, total, total / unit + sum(GENERIC[name] * number for name, number in priced.items()), netlist)


def nand2_area(liberty: Path) -> float:
    """Area of the smallest two-input NAND of a library, by its name.

    Raises: ConfigError: no such file, or no such cell with an area.
    """
    if not liberty.is_file():
        raise ConfigError(f"{liberty}: no such library", "give a liberty file (.lib)")
    found = [area for name, area in _areas(liberty).items() if re.search(r"nand_?2", name, re.IGNORECASE) and area > 0]
    if not found:
        raise ConfigError(f"{liberty}: no NAND2 with an area", "give a liberty file of standard cells")
    return min(found)


def _areas(liberty: Path) -> dict[str, float]:
    text = liberty.read_text(encoding="utf-8", errors="replace")
    pattern = r'\bcell\s*\(\s*"?([^\s")]+)"?\s*\)\s*\{(?:(?!\bcell\s*\().)*?\barea\s*:\s*([0-9.eE+-]+)'
    return {name: float(area) for name, area in re.findall(pattern, text, re.DOTALL)}
