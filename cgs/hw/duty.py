"""What the engine does between frames, and the supply at which a frame costs least.

Owns the ways to spend the time that is left of a frame: not to have any (the slowest clock that keeps up), to wait with the clock gated, to run as
fast as the supply allows and to sleep; and, as the textbook's minimum-energy point has it, to begin the next frame at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq, minimize_scalar

from cgs.base.errors import ConfigError
from cgs.hw.costs import frame_energy, leakage, max_clock
from cgs.hw.counts import Counts
from cgs.hw.supply import ROOM_TEMPERATURE_K, SUPPLY_RANGE_V
from cgs.hw.technology import Technology, Value

MODES = ("slow", "idle", "sleep", "flat_out")
TEXTBOOK_RANGE_V = (0.2, 1.2)
"""Wide enough for the minimum of frames without a pause, which lies below what memories and real time allow."""
N_SUPPLIES = 101
"""Points of the search before it is refined."""


@dataclass(frozen=True)
class Minimum:
    """The supply at which a frame costs least.

    Args:
        supply_v: that supply, V.
        energy_j: of a frame there, J.
        limit: what keeps it from going lower: "" for a true minimum, "clock" where the engine would be too slow, "supply" at an end of the range.
    """

    supply_v: float
    energy_j: float
    limit: str


def duty_cycle(counts: Counts, tech: Technology, supply_v: Value, frames_per_s: float) -> Value:
    """Share of the time in which an engine at its highest clock works; above 1 it is too slow for real time."""
    return counts.cycles * frames_per_s / max_clock(counts, supply_v, tech)


def frame_energies(counts: Counts, tech: Technology, supply_v: Value, frames_per_s: float, temperature_k: float = ROOM_TEMPERATURE_K) -> dict[str, Value]:
    """Energy of a frame, J, leakage until the next frame included, in each of MODES.

    slow: the clock that is needed and no more. idle: the highest clock, gated but for its root when the frame is done. sleep: the highest clock,
    then logic cut off and memories kept at a lower voltage, and a price for waking up. A supply that is too slow for these is taken as always at
    work. flat_out: frames without a pause at the highest clock, so only the leakage of the time of work counts; here too slow is no matter.
    """
    moved = {name: energy * supply_v**2 for name, energy in frame_energy(counts, tech).items()}
    leaks, dynamic = leakage(counts, tech, supply_v, temperature_k), sum(moved.values())
    busy = np.minimum(duty_cycle(counts, tech, supply_v, frames_per_s), 1.0)
    idle_cycles = max_clock(counts, supply_v, tech) * (1 - busy) / frames_per_s
    asleep = np.minimum(tech["sleep_memory"], 1.0) * leaks["memory_leakage"] + np.minimum(tech["sleep_logic"], 1.0) * leaks["logic_leakage"]
    awake = leaks["memory_leakage"] + leaks["logic_leakage"]
    root = tech["idle_clock"] * moved["clock"] / counts.cycles
    return {
        "slow": dynamic + awake / frames_per_s,
        "idle": dynamic + awake / frames_per_s + root * idle_cycles,
        "sleep": dynamic * (1 + tech["wake_cycles"] / counts.cycles) + (awake * busy + asleep * (1 - busy)) / frames_per_s,
        "flat_out": dynamic + awake * counts.cycles / max_clock(counts, supply_v, tech),
    }


def minimum_energy(
    counts: Counts,
    tech: Technology,
    frames_per_s: float,
    mode: str = "slow",
    supplies_v: tuple[float, float] = SUPPLY_RANGE_V,
    temperature_k: float = ROOM_TEMPERATURE_K,
) -> Minimum:
    """The supply at which a frame costs least; it is fast enough for real time, but in the mode flat_out, which knows no time.

    Args:
        counts, tech: the network, and one number a figure.
        frames_per_s: real-time rate.
        mode: one of MODES.
        supplies_v: lowest and highest supply.
        temperature_k: of the chip, K.
    Raises: ConfigError: no supply of the range is fast enough.
    """
    low, high = supplies_v

    def slack(supply_v: float) -> float:
        return 1 - float(duty_cycle(counts, tech, supply_v, frames_per_s))

    def energy(supply_v: float) -> float:
        return float(frame_energies(counts, tech, supply_v, frames_per_s, temperature_k)[mode])

    free = mode == "flat_out"
    if not free and slack(high) < 0:
        needed, possible = counts.cycles * frames_per_s / 1e6, float(max_clock(counts, high, tech)) / 1e6
        raise ConfigError(f"{needed:.1f} MHz needed for real time, {possible:.1f} MHz possible at {high:g} V", "give the engine more MACs or fewer frames")
    slowest = low if free or slack(low) >= 0 else float(brentq(slack, low, high))
    grid = np.linspace(slowest, high, N_SUPPLIES)
    best = int(np.argmin([energy(supply_v) for supply_v in grid]))
    if best in (0, N_SUPPLIES - 1):
        return Minimum(float(grid[best]), energy(grid[best]), "clock" if best == 0 and slowest > low else "supply")
    found = minimize_scalar(energy, bounds=(grid[best - 1], grid[best + 1]), method="bounded", options={"xatol": 1e-5})
    return Minimum(float(found.x), float(found.fun), "")
