"""Energy, leakage, area and critical path of a counted network, component by component.

Owns the laws and nothing of the counting. Outside the model: microphone, features, search or posterior smoothing, input and output pads, voltage
converters, test logic. Memories share the supply of the logic. Every value may be a number or an array of one number a draw."""

from __future__ import annotations

import numpy as np

from cgs.hw import logic
from cgs.hw.counts import Counts, Engine, Memory
from cgs.hw.logic import core_of, work_of
from cgs.hw.sram import Macro, macro
from cgs.hw.supply import ROOM_TEMPERATURE_K, leakage_fade, leakage_warmth, relative_delay
from cgs.hw.technology import Technology, Value

DYNAMIC = ("mac", "control", "output", "clock", "weight_memory", "activation_memory", "index_bias_memory")
LEAKAGE = ("memory_leakage", "logic_leakage")
COMPONENTS = DYNAMIC + LEAKAGE
CELL_MEMORIES = ("gates", "cells", "state")
"""Of LSTM layers; they cost as part of the activation memory, which holds what changes with a frame."""


def core_energy(counts: Counts, tech: Technology) -> dict[str, Value]:
    """Dynamic energy of the core in a frame, J, at 1 V: products and their sums with the choice of their operands, sequence, results with the
    cells of LSTM layers, clock."""
    share = np.minimum(tech["nonzero"], 1.0) if counts.nonzero is None else counts.nonzero
    found = logic.energy(core_of(counts), work_of(counts, share))
    mac = tech["glitches"] * (found["mac"] + found["operands"])
    output = found["output"] + (tech["glitches"] * tech["cell_energy"] * counts.cells if counts.cells else 0.0)
    parts = {"mac": mac, "control": found["control"], "output": output, "clock": tech["clock_tree"] * found["clock"]}
    return {name: tech["logic_energy"] * tech["energy_scale"] * energy for name, energy in parts.items()}


def n_gates(counts: Counts, tech: Technology) -> Value:
    """Gate equivalents (NAND2) of the core."""
    return tech["logic_gates"] * (sum(logic.gates(core_of(counts)).values()) + (tech["cell_gates"] if counts.cells else 0.0))


def banks(name: str, memory: Memory, engine: Engine, node_nm: int) -> tuple[float, Macro]:
    """How many banks a memory has, the last of them in proportion to its words, and what a whole one costs; only weights are banked."""
    whole = min(memory.n_words, engine.bank_words(memory.word_bits)) if name == "weights" else memory.n_words
    return memory.n_words / whole, macro(node_nm, whole * memory.word_bits / 8, memory.word_bits)


def area(counts: Counts, tech: Technology) -> dict[str, Value]:
    """Area in m2 of the logic and of each memory that is not empty."""
    areas: dict[str, Value] = {}
    for name, memory in _filled(counts).items():
        n_banks, bank = banks(name, memory, counts.engine, tech.node_nm)
        areas[name] = tech["sram_area"] * n_banks * bank.area_m2
    return areas | {"logic": n_gates(counts, tech) * tech["gate_area"] * tech["area_scale"] / tech["utilisation"]}


def access_energy(name: str, memory: Memory, engine: Engine, area_m2: Value, tech: Technology) -> tuple[Value, Value]:
    """Energies of reading and of writing one word at 1 V, J: one bank, and the wires across the memory.

    Args:
        name, memory, engine: the memory and how it is banked.
        area_m2: area that the wires cross; the mean way is one side of it.
    """
    _, bank = banks(name, memory, engine, tech.node_nm)
    wires = memory.word_bits * np.sqrt(area_m2) * tech["wire_capacitance"] * tech["wire_activity"]
    scale = tech["sram_energy"] / tech["sram_supply"] ** 2
    return scale * bank.read_j + wires, scale * bank.write_j + wires


def frame_energy(counts: Counts, tech: Technology) -> dict[str, Value]:
    """Dynamic energy of one frame by component, J, at 1 V; it goes with V^2."""
    areas, engine = area(counts, tech), counts.engine
    memory: dict[str, Value] = dict.fromkeys(counts.memories, 0.0)
    for name, part in _filled(counts).items():
        read, write = access_energy(name, part, engine, areas[name], tech)
        memory[name] = part.reads * read + part.writes * write
    parts = {
        **core_energy(counts, tech),
        "weight_memory": memory["weights"],
        "activation_memory": memory["activations"] + sum(memory.get(name, 0.0) for name in CELL_MEMORIES),
        "index_bias_memory": memory["index"] + memory["bias"] + memory["table"],
    }
    return {name: tech["overhead"] * tech["model_error"] * energy for name, energy in parts.items()}


def leakage(counts: Counts, tech: Technology, supply_v: Value, temperature_k: float = ROOM_TEMPERATURE_K) -> dict[str, Value]:
    """Leakage power of the memories and of the logic, W; the logic's is taken as subthreshold alone."""
    warmth, memory = leakage_warmth(temperature_k, tech), 0.0
    for name, part in _filled(counts).items():
        n_banks, bank = banks(name, part, counts.engine, tech.node_nm)
        memory = memory + n_banks * (bank.leakage_w * warmth + tech["sram_gate"] * bank.gate_leakage_w)
    gates = tech["gate_leakage"] * n_gates(counts, tech) * warmth
    return {
        "memory_leakage": tech["sram_leakage"] * memory * leakage_fade(supply_v, tech["sram_supply"], tech),
        "logic_leakage": gates * leakage_fade(supply_v, tech["nominal_supply"], tech),
    }


def power(counts: Counts, tech: Technology, supply_v: Value, frames_per_s: float, temperature_k: float = ROOM_TEMPERATURE_K) -> dict[str, Value]:
    """Average power by component, W, while frames arrive in real time and the clock is as slow as that allows."""
    moved = {name: energy * supply_v**2 * frames_per_s for name, energy in frame_energy(counts, tech).items()}
    return moved | leakage(counts, tech, supply_v, temperature_k)


def critical_path(counts: Counts, supply_v: Value, tech: Technology) -> dict[str, Value]:
    """Delays, s, of the stages of the pipeline, the longest of which sets the clock: the arithmetic, and the read of the slowest bank."""
    accesses = [banks(name, part, counts.engine, tech.node_nm)[1].access_s for name, part in _filled(counts).items()]
    longer = tech["cell_path"] if counts.cells else 1.0
    return {
        "logic": longer * tech["path_fo4"] * tech["fo4"] * relative_delay(supply_v, tech["nominal_supply"], tech),
        "memory": tech["sram_access"] * max(accesses, default=0.0) * relative_delay(supply_v, tech["sram_supply"], tech),
    }


def max_clock(counts: Counts, supply_v: Value, tech: Technology) -> Value:
    """Highest clock, Hz, at a supply in V."""
    path = critical_path(counts, supply_v, tech)
    return 1 / np.maximum(path["logic"], path["memory"])


def _filled(counts: Counts) -> dict[str, Memory]:
    return {name: memory for name, memory in counts.memories.items() if memory.n_words}
