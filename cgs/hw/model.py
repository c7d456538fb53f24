"""Power, area and clock of a counted network: an analytic first model of the time-multiplexed engine.

Owns the laws (energy with V^2, leakage, delay) and nothing of the counting. Outside the model: microphone, features,
search or posterior smoothing, input and output pads, voltage converters. Memories share the supply of the logic."""

from __future__ import annotations

import math
from typing import Any

from cgs.hw.counts import Counts, Engine, Memory, count, even_shape
from cgs.hw.technology import Technology

THERMAL_VOLTAGE = 0.02585
"""kT/q at 300 K, V."""
ACCUMULATOR_BITS = 24
KB = 1024.0
COMPONENTS = ("mac", "registers_control", "weight_memory", "activation_memory", "index_bias_memory", "memory_leakage", "logic_leakage")
PUBLISHED_POWER_W = {"keyword": 7e-6, "speech": 103e-6}
"""ICCAD16 at 40 nm, 0.6 V, as this project reads the abstract; another copy gives 36 and 552 uW."""
PUBLISHED_WIDTHS = {"keyword": (403, 512, 512, 12), "speech": (440, 1024, 1024, 1024, 1024, 1483)}
PUBLISHED_BITS = {"keyword": 5, "speech": 6}
PUBLISHED_ENGINE = Engine(n_macs=8)
"""Sizes, engine and frame rate of the published chips are not known; these are this project's assumption."""


def relative_delay(supply_v: float, tech: Technology) -> float:
    """Delay at a supply over delay at the node's nominal supply, continuous through the threshold.

    Source: Keller, Harris, Martin 2014 (transregional form): delay is V over ln^2(1 + exp((V - Vt) / (2 n kT/q))).
    """

    def delay(v: float) -> float:
        return v / math.log1p(math.exp((v - tech["threshold"]) / (2 * tech["slope"] * THERMAL_VOLTAGE))) ** 2

    return delay(supply_v) / delay(tech["nominal_supply"])


def max_clock(supply_v: float, tech: Technology) -> float:
    """Highest clock, Hz, at a supply in V."""
    return 1 / (tech["path_fo4"] * tech["fo4"] * relative_delay(supply_v, tech))


def mac_energy(weight_bits: int, activation_bits: int, tech: Technology) -> float:
    """Energy of one multiply-accumulate at 1 V, J: multiplier by the product of the widths, adder by the accumulator's."""
    multiply = tech["multiply_8b"] * weight_bits * activation_bits / 64
    add = tech["add_32b"] * ACCUMULATOR_BITS / 32
    return (multiply + add) * tech["energy_scale"] / tech.reference["mac_supply_v"] ** 2


def lane_energy(tech: Technology) -> float:
    """Energy of the registers and control of one lane in one cycle at 1 V, J: the measured engine less its MAC."""
    engine = tech["engine_cycle"] * tech["energy_scale"] / tech.reference["engine_supply_v"] ** 2
    return max(engine - mac_energy(6, 8, tech), 0.1 * engine)


def access_energy(memory: Memory, bank_bytes: float, area_m2: float, tech: Technology) -> float:
    """Energy of one read at 1 V, J: one bank, and the wires across the memory.

    Args:
        memory: its word and its size.
        bank_bytes: size of the largest bank.
        area_m2: area that the wires cross; the mean way is one side of it.
    """
    kilobytes = max(min(memory.n_bytes, bank_bytes) / KB, 4.0)
    ratio, span = (tech["sram_small_ratio"], 4.0) if kilobytes < 64 else (tech["sram_large_ratio"], 1024.0)
    by_size = ratio ** (math.log(kilobytes / 64) / math.log(span / 64))
    by_width = tech["sram_narrow_ratio"] + (1 - tech["sram_narrow_ratio"]) * (memory.word_bits - 8) / 56
    wires = memory.word_bits * math.sqrt(area_m2) * tech["wire_capacitance"] * tech["wire_activity"]
    return tech["sram_read"] / tech["sram_supply"] ** 2 * by_size * by_width + wires


def area(counts: Counts, tech: Technology) -> dict[str, float]:
    """Area in m2 of the logic and of each memory."""
    memories = {name: tech["sram_area"] * memory.n_bytes / (64 * KB) for name, memory in counts.memories.items()}
    gates = counts.engine.n_macs * tech["engine_gates"]
    return memories | {"logic": gates * tech["gate_area"] * tech["area_scale"] / tech["utilisation"]}


def frame_energy(counts: Counts, tech: Technology) -> dict[str, float]:
    """Dynamic energy of one frame by component, J, at 1 V; it goes with V^2."""
    areas, engine = area(counts, tech), counts.engine
    memory = {}
    for name, part in counts.memories.items():
        accesses = part.reads + tech["sram_write_ratio"] * part.writes
        memory[name] = accesses * access_energy(part, engine.bank_bytes, areas[name], tech) if accesses else 0.0
    parts = {
        "mac": sum(n * mac_energy(bits, engine.activation_bits, tech) for bits, n in counts.macs_by_bits.items()),
        "registers_control": counts.cycles * engine.n_macs * lane_energy(tech),
        "weight_memory": memory["weights"],
        "activation_memory": memory["activations"],
        "index_bias_memory": memory["index"] + memory["bias"] + memory["table"],
    }
    return {name: tech["overhead"] * energy for name, energy in parts.items()}


def power(counts: Counts, tech: Technology, supply_v: float, frames_per_s: float) -> dict[str, float]:
    """Average power by component, W, while frames arrive in real time."""
    parts = {name: energy * supply_v**2 * frames_per_s for name, energy in frame_energy(counts, tech).items()}
    fade = math.exp(-tech["leakage_slope"] * (tech["nominal_supply"] - supply_v))
    n_bytes = sum(memory.n_bytes for memory in counts.memories.values())
    parts["memory_leakage"] = (tech["sram_leakage"] + tech["sram_gate_leakage"]) * n_bytes / (64 * KB) * fade
    parts["logic_leakage"] = tech["gate_leakage"] * tech["engine_gates"] * counts.engine.n_macs * fade
    return parts


def power_interval(counts: Counts, tech: Technology, supply_v: float, frames_per_s: float) -> tuple[float, float]:
    """Interval on the power, W: each figure moved to its low and high end alone, deviations added as independent ones."""
    nominal = math.log(sum(power(counts, tech, supply_v, frames_per_s).values()))
    down = up = 0.0
    for name, figure in tech.figures.items():
        ends = [math.log(sum(power(counts, tech.scaled(name, end), supply_v, frames_per_s).values())) - nominal for end in (figure.low, figure.high)]
        down += min(*ends, 0.0) ** 2
        up += max(*ends, 0.0) ** 2
    return math.exp(nominal - math.sqrt(down)), math.exp(nominal + math.sqrt(up))


def at_supply(counts: Counts, tech: Technology, supply_v: float, frames_per_s: float) -> dict[str, Any]:
    """Everything about one supply; `real_time` is false where the engine cannot keep up, and the power is then of the work, not of a chip."""
    parts = power(counts, tech, supply_v, frames_per_s)
    clock, limit = counts.cycles * frames_per_s, max_clock(supply_v, tech)
    total = sum(parts.values())
    return {
        "supply_v": supply_v,
        "clock_hz": clock,
        "max_clock_hz": limit,
        "real_time": clock <= limit,
        "power_w": total,
        "power_interval_w": list(power_interval(counts, tech, supply_v, frames_per_s)),
        "components_w": parts,
        "energy_per_frame_j": total / frames_per_s,
        "area_m2": sum(area(counts, tech).values()),
    }


def published_counts(chip: str, engine: Engine = PUBLISHED_ENGINE, density: float = 0.25, block: int = 64) -> Counts:
    """Counts of a published chip, "keyword" or "speech", as this project assumes it: exact density, no padding."""
    widths, bits = PUBLISHED_WIDTHS[chip], PUBLISHED_BITS[chip]
    shapes = [even_shape(n_in, n_out, density, block, bits) for n_in, n_out in zip(widths, widths[1:], strict=False)]
    return count(shapes, engine, new_inputs={"keyword": 13, "speech": 40}[chip])


def calibrated_overhead(tech: Technology, supply_v: float = 0.6, frames_per_s: float = 100.0) -> float:
    """Value of `overhead` with which the keyword chip takes exactly its published power; leakage is not scaled."""
    parts = power(published_counts("keyword"), tech, supply_v, frames_per_s)
    leakage = parts["memory_leakage"] + parts["logic_leakage"]
    return tech["overhead"] * (PUBLISHED_POWER_W["keyword"] - leakage) / (sum(parts.values()) - leakage)
