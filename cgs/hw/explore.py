"""Which engine, supply and node suit a packed model: many design points, the front of them, one suggestion and why.

Owns the search. Every point is costed with the laws of `cgs.hw.costs`, one number a figure; intervals are drawn for the few that are shown.
A frame is computed at the highest clock of the supply, and until the next the engine waits or sleeps, whichever costs less: so power and latency
of a point go together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from cgs.base.errors import ConfigError
from cgs.base.units import square_millimetres, with_prefix
from cgs.hw.calibration import drawn
from cgs.hw.costs import area, max_clock
from cgs.hw.counts import Counts, Engine, PackedLike
from cgs.hw.duty import frame_energies
from cgs.hw.estimate import count_packed
from cgs.hw.model import interval
from cgs.hw.supply import ROOM_TEMPERATURE_K
from cgs.hw.technology import Technology, Value, load_technology

AXES = ("n_macs", "word_bits", "bank_bytes", "node")
"""What is chosen beside the supply."""
OBJECTIVES = ("power", "area", "latency")
DEFAULT_ENGINE = Engine()
SMALLEST_CHANGE = 0.05
"""Differences below this, per cent, are not told."""


@dataclass(frozen=True)
class Space:
    """Values to combine: MACs, bits of a word, bytes of a bank, nodes, and supplies in V."""

    n_macs: Sequence[int]
    word_bits: Sequence[int]
    bank_bytes: Sequence[int]
    nodes: Sequence[str]
    supplies_v: Sequence[float]


@dataclass(frozen=True)
class Limits:
    """The largest area, m2, and latency of a frame, s, that are wanted."""

    max_area_m2: float = math.inf
    max_latency_s: float = math.inf


@dataclass(frozen=True)
class Point:
    """One design.

    Args:
        n_macs, word_bits, bank_bytes, node, supply_v: what was chosen.
        clock_hz: slowest clock that keeps real time.
        max_clock_hz: highest clock at this supply.
        power_w: average power at the highest clock, then waiting or asleep; of no chip where the clock is too slow.
        area_m2: area.
        latency_s: time from the last input of a frame to its result, at the highest clock.
    """

    n_macs: int
    word_bits: int
    bank_bytes: int
    node: str
    supply_v: float
    clock_hz: float
    max_clock_hz: float
    power_w: float
    area_m2: float
    latency_s: float

    @property
    def real_time(self) -> bool:
        """Whether it keeps up."""
        return self.clock_hz <= self.max_clock_hz

    def allowed(self, limits: Limits) -> bool:
        """Whether it keeps up within the limits."""
        return self.real_time and self.area_m2 <= limits.max_area_m2 and self.latency_s <= limits.max_latency_s

    @property
    def objectives(self) -> tuple[float, float, float]:
        """Of OBJECTIVES, the less the better."""
        return self.power_w, self.area_m2, self.latency_s

    @property
    def name(self) -> str:
        """The choice in words."""
        return f"{self.node}, {self.n_macs} MACs, {self.word_bits}-bit words, {self.bank_bytes}-byte banks, {self.supply_v:g} V"


def sweep(
    packed: PackedLike, space: Space, frames_per_s: float, temperature_k: float = ROOM_TEMPERATURE_K, engine: Engine = DEFAULT_ENGINE
) -> list[Point]:
    """Cost every combination.

    Args:
        packed: the model.
        space: the values to combine.
        frames_per_s: real-time rate, Hz.
        temperature_k: of the chip, K.
        engine: what the space leaves of its parameters.
    Raises: ConfigError, ShapeError: an engine or a model that cannot be counted.
    """
    supplies, techs, points = np.array(space.supplies_v), [load_technology(node) for node in space.nodes], []
    for n_macs, word_bits in product(space.n_macs, space.word_bits):
        counts = count_packed(packed, n_macs, replace(engine, word_bits=word_bits))
        for bank_bytes, tech in product(space.bank_bytes, techs):
            points += _points(_with_banks(counts, bank_bytes), tech, supplies, frames_per_s, temperature_k)
    return points


def _with_banks(counts: Counts, bank_bytes: int) -> Counts:
    """The same counts with other banks, which change what an access costs and not how many there are."""
    return replace(counts, engine=replace(counts.engine, bank_bytes=bank_bytes))


def _points(counts: Counts, tech: Technology, supplies_v: np.ndarray, frames_per_s: float, temperature_k: float) -> list[Point]:
    engine, clock = counts.engine, counts.cycles * frames_per_s
    covered, powers = float(sum(area(counts, tech).values())), _power(counts, tech, supplies_v, frames_per_s, temperature_k)
    choice = (engine.n_macs, engine.word_bits, engine.bank_bytes, tech.node)
    limits = max_clock(counts, supplies_v, tech)
    return [
        Point(*choice, supply_v, clock, limit, power_w, covered, counts.cycles / limit)
        for supply_v, limit, power_w in zip(supplies_v.tolist(), limits.tolist(), powers.tolist(), strict=True)
    ]


def _power(counts: Counts, tech: Technology, supply_v: Value, frames_per_s: float, temperature_k: float) -> Value:
    energies = frame_energies(counts, tech, supply_v, frames_per_s, temperature_k)
    return np.minimum(energies["idle"], energies["sleep"]) * frames_per_s


def intervals(
    packed: PackedLike, point: Point, frames_per_s: float, temperature_k: float = ROOM_TEMPERATURE_K, engine: Engine = DEFAULT_ENGINE
) -> dict[str, list[float]]:
    """90 % intervals of one point: power_interval_w, area_interval_m2; arguments as of `sweep`."""
    counts = count_packed(packed, point.n_macs, replace(engine, word_bits=point.word_bits, bank_bytes=point.bank_bytes))
    draws = drawn(point.node)
    power_w = _power(counts, draws, point.supply_v, frames_per_s, temperature_k)
    return {"power_interval_w": interval(power_w), "area_interval_m2": interval(sum(area(counts, draws).values()))}


def front(points: Sequence[Point]) -> list[Point]:
    """Points that no other beats, as small or smaller in power, area and latency at once; by power, and of equals the first."""
    ordered = sorted(points, key=lambda point: point.objectives)
    kept: list[Point] = []
    best = np.empty((len(ordered), 3))
    for point in ordered:  # a point can be beaten only by one before it
        if not np.any(np.all(best[: len(kept)] <= point.objectives, axis=1)):
            best[len(kept)] = point.objectives
            kept.append(point)
    return kept


def suggest(points: Sequence[Point], limits: Limits = Limits()) -> Point:
    """The point of least power that keeps up within the limits.

    Raises: ConfigError: there is none; the message says what comes nearest.
    """
    allowed = [point for point in points if point.allowed(limits)]
    if allowed:
        return min(allowed, key=lambda point: point.objectives)
    able = [point for point in points if point.real_time]
    if not able:
        at = min(points, key=lambda point: point.clock_hz / point.max_clock_hz)
        told = f"{with_prefix(at.clock_hz, 'Hz')} needed, {with_prefix(at.max_clock_hz, 'Hz')} possible with {at.name}"
        raise ConfigError(f"none of {len(points)} points keeps up; nearest: {told}", "give more MACs, a higher supply or fewer frames a second")
    least_area = square_millimetres(min(point.area_m2 for point in able))
    least_latency = with_prefix(min(point.latency_s for point in able), "s")
    told = f"none of the {len(able)} points that keep up is within the limits; least area {least_area}, least latency {least_latency}"
    raise ConfigError(told, "raise --max-area or --max-latency, or explore more designs")


def reasons(points: Sequence[Point], best: Point, limits: Limits = Limits()) -> list[str]:
    """Why this one: what keeps the supply from going lower, what the limits cost, and what a step along each axis would."""
    lines = [_supply(points, best, limits)]
    free = suggest(points)
    if free.power_w < best.power_w:
        lines.append(f"the limits cost power: without them {free.name} would do, {_difference(free, best)}")
    for axis in AXES:
        values = list(dict.fromkeys(getattr(point, axis) for point in points))
        if axis != "node":
            values.sort()
            at = values.index(getattr(best, axis))
            values = values[max(0, at - 1) : at + 2]
        lines += [_step(points, best, axis, value, limits) for value in values if value != getattr(best, axis)]
    return lines


def _supply(points: Sequence[Point], best: Point, limits: Limits) -> str:
    lower = [point for point in _with(points, best) if point.supply_v < best.supply_v]
    if not lower:
        return f"supply: {best.supply_v:g} V is the lowest that was given"
    below = max(lower, key=lambda point: point.supply_v)
    if not below.real_time:
        return (
            f"supply: limited by the clock; real time needs {with_prefix(below.clock_hz, 'Hz')}, "
            f"{with_prefix(below.max_clock_hz, 'Hz')} are possible at {below.supply_v:g} V, {with_prefix(best.max_clock_hz, 'Hz')} at {best.supply_v:g} V"
        )
    if below.latency_s > limits.max_latency_s:
        return f"supply: limited by the latency; a frame takes {with_prefix(below.latency_s, 's')} at {below.supply_v:g} V"
    return f"supply: a true minimum; at {below.supply_v:g} V {_difference(below, best)}"


def _step(points: Sequence[Point], best: Point, axis: str, value: int | str, limits: Limits) -> str:
    """What another value of one axis would cost at the supply that then suits it."""
    there = _with(points, best, **{axis: value})
    name = {"n_macs": f"{value} MACs", "word_bits": f"{value}-bit words", "bank_bytes": f"{value}-byte banks", "node": str(value)}[axis]
    able = [point for point in there if point.real_time]
    if there[0].clock_hz != best.clock_hz:
        name += f": {there[0].clock_hz / best.clock_hz:.2f}x the clock needed"
    if not able:
        fastest = max(there, key=lambda point: point.max_clock_hz)
        return f"{name}: too slow even at {fastest.supply_v:g} V, {with_prefix(fastest.max_clock_hz, 'Hz')} of {with_prefix(fastest.clock_hz, 'Hz')}"
    lowest = min(point.supply_v for point in able)
    if lowest != min(point.supply_v for point in there):
        name += f", not possible below {lowest:g} V"
    within = [point for point in able if point.allowed(limits)]
    if not within:
        least = (square_millimetres(min(point.area_m2 for point in able)), with_prefix(min(point.latency_s for point in able), "s"))
        return f"{name}: outside the limits, at least {least[0]} and {least[1]}"
    other = min(within, key=lambda point: point.objectives)
    return f"{name}: {_difference(other, best)} (at {other.supply_v:g} V)"


def _with(points: Sequence[Point], best: Point, **changed: int | str) -> list[Point]:
    wanted = [changed.get(axis, getattr(best, axis)) for axis in AXES]
    return [point for point in points if [getattr(point, axis) for axis in AXES] == wanted]


def _difference(other: Point, best: Point) -> str:
    changes = {name: 100 * (there / here - 1) for name, there, here in zip(OBJECTIVES, other.objectives, best.objectives, strict=True)}
    told = [f"{abs(change):.1f} % {'more' if change > 0 else 'less'} {name}" for name, change in changes.items() if abs(change) >= SMALLEST_CHANGE]
    return ", ".join(told) or f"the same to {SMALLEST_CHANGE:g} %"
