"""A counted network in the shapes of Accelergy's files: what the engine consists of, what each part does in a frame, what an action costs.

Owns the components, their names and actions, and the documents made of them. Nothing is priced here: an action costs what `cgs.hw.costs` says of it.
Leakage is the action `leak`, once a cycle of the slowest clock that keeps up. The logic leaks and has its area as a whole, so it is a component
beside its parts, which only act. Source: Wu, Emer and Sze, ICCAD 2019; the files of Accelergy 0.4."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from cgs.hw.costs import area, banks, frame_energy, leakage
from cgs.hw.counts import Counts
from cgs.hw.supply import ROOM_TEMPERATURE_K
from cgs.hw.technology import Technology

VERSION = 0.4
"""Of Accelergy and its files."""
ENGINE = "engine"
"""The one node of the architecture; the names of components in tables begin with it."""
LEAK = "leak"
MEMORY = "_memory"
"""How the components of a frame's energy end that are memories."""
PER_SI = 1e12
"""pJ in a J, and um2 in a m2."""
DIGITS = 6
"""Of an energy or area in a table, as many as Accelergy writes."""


@dataclass(frozen=True)
class Component:
    """One component, and a frame of it.

    Args:
        name: without ENGINE.
        kind: class in Accelergy; memories and MACs have those that its estimators know.
        attributes: of that class.
        area_um2: area, um2.
        counts: how often it does each of its actions in a frame.
        energies_pj: of each action, pJ.
    """

    name: str
    kind: str
    attributes: dict[str, int]
    area_um2: float
    counts: dict[str, int]
    energies_pj: dict[str, float]

    @property
    def full_name(self) -> str:
        """As tables name it."""
        return f"{ENGINE}.{self.name}"

    @property
    def energy_pj(self) -> float:
        """Energy of a frame, pJ."""
        return sum(n * self.energies_pj[action] for action, n in self.counts.items())


@dataclass(frozen=True)
class System:
    """The engine: what holds for all of it (node, seconds of a cycle, V, K), and its components."""

    attributes: dict[str, Any]
    components: tuple[Component, ...]

    @property
    def energy_pj(self) -> float:
        """Energy of a frame, pJ."""
        return sum(component.energy_pj for component in self.components)

    @property
    def area_um2(self) -> float:
        """Area, um2."""
        return sum(component.area_um2 for component in self.components)


def system_of(counts: Counts, tech: Technology, supply_v: float, frames_per_s: float, temperature_k: float = ROOM_TEMPERATURE_K) -> System:
    """The engine at one supply, with the slowest clock that keeps up, at which a frame lasts as long as its cycles.

    Args:
        counts: a frame.
        tech: the table of the node, one number a figure.
        supply_v: supply, V.
        frames_per_s: real-time rate, Hz.
        temperature_k: of the chip, K.
    """
    cycle_s, areas = 1 / (counts.cycles * frames_per_s), area(counts, tech)
    leaks = {name: leakage(_alone(name, counts), tech, supply_v, temperature_k)["memory_leakage"] for name in counts.memories}
    memories = [_memory(name, counts, tech, supply_v, areas[name], cycle_s * leaks[name]) for name in leaks if name in areas]
    units = [_unit(name, counts, energy * supply_v**2) for name, energy in frame_energy(counts, tech).items() if not name.endswith(MEMORY)]
    leak_j = cycle_s * leakage(counts, tech, supply_v, temperature_k)["logic_leakage"]
    logic = Component("logic", "logic", {}, _rounded(areas["logic"]), {LEAK: counts.cycles}, {LEAK: _rounded(leak_j)})
    attributes = {"technology": tech.node, "global_cycle_seconds": cycle_s, "supply_v": supply_v, "temperature_k": temperature_k}
    return System(attributes, (*memories, *units, logic))


def documents(system: System) -> dict[str, dict[str, Any]]:
    """What Accelergy's files hold, by the one key that each has and is named after; energies in pJ, areas in um2, counts of one frame."""
    parts = system.components
    architecture = [{"name": part.name, "class": part.kind, "attributes": part.attributes, "required_actions": list(part.counts)} for part in parts]
    counts = [{"name": part.name, "action_counts": [{"name": name, "counts": n} for name, n in part.counts.items()]} for part in parts]
    energies = [{"name": part.full_name, "actions": [_action(*entry) for entry in part.energies_pj.items()]} for part in parts]
    bodies: dict[str, dict[str, Any]] = {
        "architecture": {"subtree": [{"name": ENGINE, "attributes": system.attributes, "local": architecture}]},
        "action_counts": {"subtree": [{"name": ENGINE, "local": counts}]},
        "ERT": {"tables": energies},
        "ART": {"tables": [{"name": part.full_name, "area": part.area_um2} for part in parts]},
        "energy_estimation": {"components": [{"name": part.full_name, "energy": part.energy_pj} for part in parts], "Total": system.energy_pj},
    }
    return {key: {"version": VERSION, **body} for key, body in bodies.items()}


def _action(name: str, energy_pj: float) -> dict[str, Any]:
    return {"name": name, "arguments": {}, "energy": energy_pj}


def _alone(name: str, counts: Counts) -> Counts:
    """An engine that has one of its memories only."""
    return replace(counts, memories={other: part if other == name else replace(part, n_words=0) for other, part in counts.memories.items()})


def _memory(name: str, counts: Counts, tech: Technology, supply_v: float, area_m2: float, leak_j: float) -> Component:
    memory = counts.memories[name]
    idle = {other: replace(unused, reads=0, writes=0) for other, unused in counts.memories.items()}
    energies = {}
    for action in ("read", "write"):  # what a frame of this one access would cost
        once = replace(counts, memories=idle | {name: replace(idle[name], **{f"{action}s": 1})})
        moved = sum(energy for part, energy in frame_energy(once, tech).items() if part.endswith(MEMORY))
        energies[action] = _rounded(moved * supply_v**2)
    energies[LEAK] = _rounded(leak_j)
    n_banks = math.ceil(banks(name, memory, counts.engine, tech.node_nm)[0])
    attributes = {"width": memory.word_bits, "depth": memory.n_words, "n_banks": n_banks, "n_rdwr_ports": 1, "n_rd_ports": 0, "n_wr_ports": 0}
    return Component(name, "SRAM", attributes, _rounded(area_m2), {"read": memory.reads, "write": memory.writes, LEAK: counts.cycles}, energies)


def _unit(name: str, counts: Counts, frame_j: float) -> Component:
    """A part of the logic, which acts in every cycle; the MACs, with every product of whatever width."""
    if name != "mac":
        return Component(name, name, {}, 0.0, {"cycle": counts.cycles}, {"cycle": _rounded(frame_j / counts.cycles)})
    attributes = {"multiplier_width": max(counts.engine.activation_bits, *counts.macs_by_bits), "adder_width": counts.acc_bits, "n_macs": counts.engine.n_macs}
    return Component(name, "intmac", attributes, 0.0, {"compute": counts.macs}, {"compute": _rounded(frame_j / counts.macs)})


def _rounded(value: float) -> float:
    """Of SI, in pJ or um2."""
    return float(f"{value * PER_SI:.{DIGITS}g}")
