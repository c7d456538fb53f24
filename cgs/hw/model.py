"""Everything about one network at one supply: power, clock, area, and the interval of each."""

from __future__ import annotations

from typing import Any

import numpy as np

from cgs.hw.calibration import drawn
from cgs.hw.costs import area, critical_path, max_clock, power
from cgs.hw.counts import Counts
from cgs.hw.duty import N_SUPPLIES, TEXTBOOK_RANGE_V, frame_energies
from cgs.hw.supply import ROOM_TEMPERATURE_K
from cgs.hw.technology import Technology, Value

LEVEL = 0.9
"""Share of the draws inside an interval."""


def interval(draws: Value, level: float = LEVEL) -> list[float]:
    """The middle share `level` of the draws, as low and high."""
    outside = 50 * (1 - level)
    return [float(end) for end in np.percentile(draws, (outside, 100 - outside))]


def at_supply(
    counts: Counts, tech: Technology, supply_v: float, frames_per_s: float, temperature_k: float = ROOM_TEMPERATURE_K, with_intervals: bool = True
) -> dict[str, Any]:
    """Everything about one supply; `real_time` is false where the engine cannot keep up, and the power is then of the work, not of a chip.

    Args:
        counts: a frame.
        tech: the table of the node, one number a figure.
        supply_v: supply, V.
        frames_per_s: real-time rate, Hz.
        temperature_k: of the chip, K; it changes the leakage alone.
        with_intervals: also draw the table and give 90 % intervals, which takes some milliseconds.
    Returns: power_w and components_w for a clock as slow as real time allows; modes_w the power with waiting or sleeping between frames at the
        highest clock, duty_cycle the share of the time it then works. SI units.
    """
    parts = {name: float(value) for name, value in power(counts, tech, supply_v, frames_per_s, temperature_k).items()}
    path = {name: float(value) for name, value in critical_path(counts, supply_v, tech).items()}
    clock, limit = counts.cycles * frames_per_s, float(max_clock(counts, supply_v, tech))
    modes = frame_energies(counts, tech, supply_v, frames_per_s, temperature_k)
    total = sum(parts.values())
    told = {
        "supply_v": supply_v,
        "clock_hz": clock,
        "max_clock_hz": limit,
        "real_time": clock <= limit,
        "critical_path_s": path,
        "duty_cycle": clock / limit,
        "power_w": total,
        "components_w": parts,
        "modes_w": {name: float(energy) * frames_per_s for name, energy in modes.items()},
        "energy_per_frame_j": total / frames_per_s,
        "area_m2": float(sum(area(counts, tech).values())),
    }
    return told | (_intervals(counts, tech.node, supply_v, frames_per_s, temperature_k) if with_intervals else {})


def curves(counts: Counts, tech: Technology, frames_per_s: float, temperature_k: float = ROOM_TEMPERATURE_K) -> dict[str, np.ndarray]:
    """What changes with the supply, over the textbook's range: supply_v; power by component, W; real_time; energy of a frame in each of MODES, J."""
    supplies = np.linspace(*TEXTBOOK_RANGE_V, N_SUPPLIES)
    parts = power(counts, tech, supplies, frames_per_s, temperature_k)
    energies = frame_energies(counts, tech, supplies, frames_per_s, temperature_k)
    return {"supply_v": supplies, "real_time": max_clock(counts, supplies, tech) >= counts.cycles * frames_per_s, **parts, **energies}


def _intervals(counts: Counts, node: str, supply_v: float, frames_per_s: float, temperature_k: float) -> dict[str, list[float]]:
    draws = drawn(node)
    return {
        "power_interval_w": interval(sum(power(counts, draws, supply_v, frames_per_s, temperature_k).values())),
        "max_clock_interval_hz": interval(max_clock(counts, supply_v, draws)),
        "area_interval_m2": interval(sum(area(counts, draws).values())),
    }
