"""Standard cells as a liberty file describes them: area, pins, and what a change of a net costs.

Owns the reading of the format (Synopsys Liberty, the part that areas and energies need) and the choice of one slope of inputs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cgs.base.errors import ConfigError, FormatError

STATEMENT = re.compile(
    r"(?P<group>\w+)\s*\((?P<name>[^(){};]*)\)\s*\{"  # cell (NAND2) {
    r"|(?P<list>\w+)\s*\((?P<values>[^()]*)\)\s*;?"  # values ("1, 2", "3, 4");
    r'|(?P<key>\w+)\s*:\s*(?P<value>"[^"]*"|[^;\n{}"]*)\s*;?'  # area : 1.5;
    r"|(?P<end>\})|;"
)
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*|\\[ \t]*\n", re.DOTALL)
CAPACITANCES = {"ff": 1e-15, "pf": 1e-12}
GATE_PINS = {"clock_gate_clock_pin": "clk_i", "clock_gate_enable_pin": "enable_i", "clock_gate_out_pin": "clk_o"}
SLOPE = 1 / 3
"""Where on a table's axis of input slopes its energy is read: the axes reach from edges steeper than any to the longest that is allowed."""


@dataclass
class Group:
    """One group of a liberty file: its name, attributes, and the groups in it."""

    kind: str
    name: str
    values: dict[str, str] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=list)

    def of(self, kind: str) -> Iterator[Group]:
        """The groups of a kind in this one."""
        return (group for group in self.groups if group.kind == kind)


@dataclass(frozen=True)
class Pin:
    """A pin of a cell.

    Args:
        capacitance: of an input, F.
        loads: (K,) capacitances, F, at which `energies` hold; one of zero where they do not depend on the load.
        energies: (K,) what the cell itself takes when the pin changes, J, mean of both edges and of all conditions.
        is_output, is_clock: what it is.
    """

    capacitance: float
    loads: np.ndarray
    energies: np.ndarray
    is_output: bool
    is_clock: bool

    def energy(self, load: float) -> float:
        """Energy, J, of one change inside the cell with a load in F; beyond the table the nearest end holds."""
        return float(np.interp(load, self.loads, self.energies))


@dataclass(frozen=True)
class Cell:
    """A cell: its area in the library's unit, its leakage in W, its pins, and those of a clock gate by what `cgs_clock_gate` calls them."""

    area: float
    leakage: float
    pins: dict[str, Pin]
    gate_pins: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Library:
    """A library: its cells, and the supply in V at which it was measured."""

    path: Path
    supply: float
    cells: dict[str, Cell]

    def clock_gate(self) -> Cell | None:
        """The smallest cell that gates a clock as `cgs_clock_gate` does, or none."""
        found = [cell for cell in self.cells.values() if len(cell.gate_pins) == len(GATE_PINS)]
        return min(found, key=lambda cell: cell.area, default=None)

    def nand2_area(self) -> float:
        """Area of the smallest two-input NAND, by its name. Raises: ConfigError: no such cell with an area."""
        found = [cell.area for name, cell in self.cells.items() if re.search(r"nand_?2", name, re.IGNORECASE) and cell.area > 0]
        if not found:
            raise ConfigError(f"{self.path}: no NAND2 with an area", "give a liberty file of standard cells")
        return min(found)


def read_liberty(path: Path) -> Library:
    """Read a library.

    Raises: ConfigError: no such file. FormatError: not a liberty file, or a number that is none.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: no such library", "give a liberty file (.lib)")
    library = parse(path.read_text(encoding="utf-8", errors="replace"), path)
    try:
        scale, unit = library.values.get("capacitive_load_unit", "1,pf").replace('"', "").split(",")
        capacitance = float(scale) * CAPACITANCES[unit.strip().lower()]
        watt = _power(library.values.get("leakage_power_unit", "1nW"))
        templates = {group.name: group for kind in ("power_lut_template", "lu_table_template") for group in library.of(kind)}
        cells = {group.name: _cell(group, capacitance, watt, templates) for group in library.of("cell")}
        return Library(path, float(library.values.get("nom_voltage", "1")), cells)
    except (ValueError, KeyError, IndexError) as error:
        raise FormatError(f"{path}: not a liberty file that can be used: {error}", "give a liberty file of standard cells") from error


def parse(text: str, path: Path) -> Group:
    """The group `library` of a file's text. Raises: FormatError: braces that do not match, or another group first."""
    stack = [Group("file", str(path))]
    for match in STATEMENT.finditer(COMMENT.sub(" ", text)):
        if kind := match["group"]:
            group = Group(kind, match["name"].strip().strip('"'))
            stack[-1].groups.append(group)
            stack.append(group)
        elif match["end"]:
            stack.pop()
        elif match["list"]:
            stack[-1].values[match["list"]] = match["values"]
        elif match["key"]:
            stack[-1].values[match["key"]] = match["value"].strip().strip('"')
        if not stack:
            break
    if len(stack) != 1 or [group.kind for group in stack[0].groups] != ["library"]:
        raise FormatError(f"{path}: not one library in matching braces", "give a whole liberty file")
    return stack[0].groups[0]


def _cell(cell: Group, capacitance: float, watt: float, templates: dict[str, Group]) -> Cell:
    pins: dict[str, Pin] = {}
    gate_pins: dict[str, str] = {}
    for holder in (cell, *cell.of("bundle"), *cell.of("bus")):
        for pin in holder.of("pin"):
            pins |= {name.strip().strip('"'): _pin(pin, capacitance, templates) for name in pin.name.split(",")}
            if cell.values.get("clock_gating_integrated_cell") == "latch_posedge":
                gate_pins |= {ours: pin.name for attribute, ours in GATE_PINS.items() if pin.values.get(attribute) == "true"}
    return Cell(float(cell.values.get("area", "0")), float(cell.values.get("cell_leakage_power", "0")) * watt, pins, gate_pins)


def _pin(pin: Group, capacitance: float, templates: dict[str, Group]) -> Pin:
    """A pin with the mean of its tables; those of one pin have one axis of loads. A joule of the format is a capacitance unit times V^2."""
    tables = [_table(edge, templates) for power in pin.of("internal_power") for edge in power.groups if edge.kind in ("rise_power", "fall_power", "power")]
    loads, energies = np.zeros(1), np.zeros(1)
    if tables:
        loads = max((axis for axis, _ in tables), key=len)
        energies = np.mean([np.interp(loads, axis, values) for axis, values in tables], axis=0)
    is_output = pin.values.get("direction", "input") in ("output", "inout")
    is_clock = "true" in (pin.values.get("clock"), pin.values.get("clock_gate_clock_pin"))
    own = 0.0 if is_output else float(pin.values.get("capacitance", "0"))
    return Pin(own * capacitance, loads * capacitance, energies * capacitance, is_output, is_clock)


def _table(edge: Group, templates: dict[str, Group]) -> tuple[np.ndarray, np.ndarray]:
    """Loads and energies of a table in the library's units, at one slope of the input."""
    template = templates.get(edge.name, Group("", ""))
    axes = {}
    for number in ("1", "2"):
        what, index = template.values.get(f"variable_{number}"), edge.values.get(f"index_{number}", template.values.get(f"index_{number}"))
        if what and index:
            axes[what] = _numbers(index)
    values = _numbers(edge.values["values"]).reshape([len(axis) for axis in axes.values()] or [1])
    for position, what in reversed(list(enumerate(axes))):
        if "transition" in what:
            values = np.take(values, round((values.shape[position] - 1) * SLOPE), axis=position)
    loads = next((axis for what, axis in axes.items() if "capacitance" in what), np.zeros(1))
    return loads, np.atleast_1d(values)


def _numbers(text: str) -> np.ndarray:
    return np.array([float(number) for number in re.split(r"[\s,]+", text.replace('"', " ").strip())])


def _power(text: str) -> float:
    """Watts of a unit such as 1nW."""
    scale, prefix = re.fullmatch(r"([0-9.]+)([munp]?)W", text.strip().strip('"'), re.IGNORECASE).groups()  # type: ignore[union-attr]
    return float(scale) * {"": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12}[prefix.lower()]
