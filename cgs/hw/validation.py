"""What the model, calibrated on one chip, says of the others: each row predicted, with its interval, beside what was published.

Owns the rows and how they are predicted; how they are shown is in cgs.hw.validation_text."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cgs.hw import chips
from cgs.hw.calibration import N_DRAWS, SEED, drawn
from cgs.hw.chips import SPEECH_POWER_W, Chip
from cgs.hw.costs import area, power
from cgs.hw.model import interval
from cgs.hw.technology import Technology, Value, load_technology


@dataclass(frozen=True)
class Row:
    """One published figure and its prediction.

    Args:
        name: what it is.
        unit: of all values, as shown.
        published: as printed in the source.
        predicted: by the model with the values of its table.
        low, high: 90 % interval of the prediction.
        aim: factor within which the prediction should be; 0 where none was set.
        note: what the row rests on.
    """

    name: str
    unit: str
    published: float
    predicted: float
    low: float
    high: float
    aim: float
    note: str

    @property
    def hit(self) -> bool:
        """Whether the published value is in the interval."""
        return self.low <= self.published <= self.high

    @property
    def off(self) -> float:
        """Predicted over published."""
        return self.predicted / self.published

    @property
    def within_aim(self) -> bool:
        """Whether the prediction is within the aim."""
        return not self.aim or max(self.off, 1 / self.off) <= self.aim


@dataclass(frozen=True)
class _Case:
    """A chip with one number or one draw of everything unknown about it; all values are of one step of its network."""

    chip: Chip
    tech: Technology
    supply_v: Value
    factor: Value

    def power_w(self) -> Value:
        counts = self.chip.counts()
        return self.factor * sum(power(counts, self.tech, self.supply_v, self.chip.rate(counts)).values())

    def step_j(self) -> Value:
        return self.power_w() / self.chip.rate(self.chip.counts())

    def mac_j(self) -> Value:
        return self.step_j() / self.chip.counts().macs

    def operations_per_j(self, dense_per_kept: int = 1) -> Value:
        return 2 * dense_per_kept / self.mac_j()


def _cases(chip: Chip, spread: float = 0.0) -> tuple[_Case, _Case]:
    """The chip as the table's values have it, and with everything drawn.

    Args:
        chip: as assumed.
        spread: standard deviation of ln(predicted / true) for chips of its kind, beyond what the table and the calibration leave open.
    """

    def normal(name: str) -> np.ndarray:
        stream = int.from_bytes(hashlib.sha256(f"{chip.key} {name}".encode()).digest()[:4], "big")
        return np.random.default_rng([SEED, stream]).standard_normal(N_DRAWS)

    factor = chip.work.factors(normal("work")) * np.exp(spread * normal("kind"))
    supply_v = chip.supply.value * chip.supply.factors(normal("supply"))
    return _Case(chip, load_technology(chip.node), chip.supply.value, 1.0), _Case(chip, drawn(chip.node), supply_v, factor)


@dataclass(frozen=True)
class _Other:
    """A figure of a chip of another architecture than the calibrated one, and how it is computed."""

    paper: str
    chip: Chip
    what: str
    unit: str
    published: float
    aim: float
    value: Callable[[_Case], Value]


_OTHERS = (
    _Other("HCGS", chips.HCGS_2, "efficiency", "TOPS/W", 8.93, 1.5, lambda case: 1e-12 * case.operations_per_j(chips.DENSE_PER_KEPT)),
    _Other("HCGS", chips.HCGS_3, "efficiency", "TOPS/W", 7.22, 1.5, lambda case: 1e-12 * case.operations_per_j(chips.DENSE_PER_KEPT)),
    _Other("DeltaKWS", chips.DELTAKWS, "a decision without sparsity (3.4 x 36 nJ)", "nJ", 122.4, 2.0, lambda case: 1e9 * case.step_j()),
    _Other("Laika", chips.LAIKA, "power", "uW", 5.0, 2.0, lambda case: 1e6 * case.power_w()),
    _Other("Chipmunk", chips.CHIPMUNK, "efficiency", "TOPS/W", 3.08, 0.0, lambda case: 1e-12 * case.operations_per_j()),
)


def spread_without(paper: str) -> float:
    """Root mean square of ln(predicted / published) over the chips of the other papers, each paper counting once: what an interval adds for
    a chip of another architecture is learnt from the others, never from the chip itself."""
    errors: dict[str, list[float]] = {}
    for other in _OTHERS:
        if other.paper != paper:
            errors.setdefault(other.paper, []).append(math.log(float(other.value(_cases(other.chip)[0])) / other.published) ** 2)
    return math.sqrt(sum(sum(squares) / len(squares) for squares in errors.values()) / len(errors))


def _row(name: str, unit: str, published: float, pair: Sequence[Value], note: str, aim: float = 0.0) -> Row:
    nominal, draws = pair
    low, high = interval(draws)
    return Row(name, unit, published, float(nominal), low, high, aim, note)


def _speech_rows() -> list[Row]:
    speech, keyword = _cases(chips.SPEECH), _cases(chips.KEYWORD)
    power_uw = [1e6 * case.power_w() for case in speech]
    ratio = [above.mac_j() / below.mac_j() for above, below in zip(speech, keyword, strict=True)]
    return [
        _row("ICCAD16 speech, power", "uW", SPEECH_POWER_W * 1e6, power_uw, chips.SPEECH.note, 1.15),
        _row("ICCAD16 speech over keyword, energy per MAC", "1", 1.37, ratio, "follows from the row above and what was calibrated on", 1.15),
    ]


def _area_rows() -> list[Row]:
    told = []
    for chip, memory, what, published, note in (
        (chips.CHIPMUNK, "", "core area", 0.9, "as the row of its efficiency"),
        (chips.DELTAKWS, "weights", "area of its 24 kB of SRAM", 0.381, "a memory of its own making for 0.6 V (abstract); the model knows ordinary cells"),
    ):
        areas = [area(chip.counts(), tech) for tech in (load_technology(chip.node), drawn(chip.node))]
        pair = [1e6 * (at[memory] if memory else sum(at.values())) for at in areas]
        told.append(_row(f"{chip.key}, {what}", "mm2", published, pair, note))
    return told


def rows() -> list[Row]:
    """Every published figure that is predicted."""
    told = _speech_rows()
    for other in _OTHERS:
        pair = [other.value(case) for case in _cases(other.chip, spread_without(other.paper))]
        told.append(_row(f"{other.chip.key}, {other.what}", other.unit, other.published, pair, other.chip.note, other.aim))
    return told + _area_rows()
