"""What the model, calibrated on one chip, says of the others: each row predicted, with its interval, beside what was published.

Owns the rows and how they are predicted; how they are shown is in cgs.hw.validation_text."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cgs.hw import chips
from cgs.hw.calibration import N_DRAWS, SEED, drawn
from cgs.hw.chips import SPEECH_POWER_W, Chip
from cgs.hw.costs import area, power
from cgs.hw.model import interval
from cgs.hw.technology import Figure, Technology, Value, load_technology


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
        counted: whether the chip is like enough to the engine to count in the share of hits.
        note: what the row rests on, or why it is set aside.
    """

    name: str
    unit: str
    published: float
    predicted: float
    low: float
    high: float
    aim: float
    counted: bool
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


def _cases(chip: Chip, ours: bool) -> tuple[_Case, _Case]:
    """The chip as the table's values have it, and with everything drawn."""

    def draws(figure: Figure, name: str) -> np.ndarray:
        stream = int.from_bytes(hashlib.sha256(f"{chip.key} {name}".encode()).digest()[:4], "big")
        return figure.value * figure.factors(np.random.default_rng([SEED, stream]).standard_normal(N_DRAWS))

    tech = drawn(chip.node)
    factor = draws(chip.work, "work") * (1.0 if ours else tech["other_chip_error"])
    return _Case(chip, load_technology(chip.node), chip.supply.value, 1.0), _Case(chip, tech, draws(chip.supply, "supply"), factor)


def _row(name: str, unit: str, published: float, pair: Sequence[Value], note: str, aim: float = 0.0, counted: bool = True) -> Row:
    nominal, draws = pair
    low, high = interval(draws)
    return Row(name, unit, published, float(nominal), low, high, aim, counted, note)


def _speech_rows() -> list[Row]:
    speech, keyword = _cases(chips.SPEECH, True), _cases(chips.KEYWORD, True)
    power_uw = [case.power_w() * 1e6 for case in speech]
    ratio = [above.mac_j() / below.mac_j() for above, below in zip(speech, keyword, strict=True)]
    return [
        _row("ICCAD16 speech, power", "uW", SPEECH_POWER_W * 1e6, power_uw, chips.SPEECH.note, 1.15),
        _row("ICCAD16 speech over keyword, energy per MAC", "1", 1.37, ratio, "follows from the row above and what was calibrated on", 1.15),
    ]


def _other_rows() -> list[Row]:
    told = []
    for chip, published in ((chips.HCGS_2, 8.93), (chips.HCGS_3, 7.22)):
        efficiency = [1e-12 * case.operations_per_j(chips.DENSE_PER_KEPT) for case in _cases(chip, False)]
        told.append(_row(f"{chip.key}, efficiency", "TOPS/W", published, efficiency, chip.note, 1.5))
    decision = [1e9 * case.step_j() for case in _cases(chips.DELTAKWS, False)]
    told.append(_row("DeltaKWS, a decision without sparsity (3.4 x 36 nJ)", "nJ", 122.4, decision, chips.DELTAKWS.note, 2.0))
    told.append(_row("Laika, power", "uW", 5.0, [1e6 * case.power_w() for case in _cases(chips.LAIKA, False)], chips.LAIKA.note, 2.0))
    return told


def _set_aside() -> list[Row]:
    """Rows of chips whose architecture is too far from the engine's: predicted all the same, but not counted."""
    why = "systolic, weights beside 96 units (82 kB: less than 1 kB each, below the range of the SRAM fit; assumed)"
    efficiency = [1e-12 * case.operations_per_j() for case in _cases(chips.CHIPMUNK, False)]
    told = [_row("Chipmunk, efficiency", "TOPS/W", 3.08, efficiency, why, counted=False)]
    for chip, memory, what, published, reason in (
        (chips.CHIPMUNK, "", "core area", 0.9, why),
        (chips.DELTAKWS, "weights", "area of its 24 kB of SRAM", 0.381, "a memory of its own making for 0.6 V (abstract), not of ordinary cells"),
    ):
        areas = [area(chip.counts(), tech) for tech in (load_technology(chip.node), drawn(chip.node))]
        pair = [1e6 * (at[memory] if memory else sum(at.values())) for at in areas]
        told.append(_row(f"{chip.key}, {what}", "mm2", published, pair, reason, counted=False))
    return told


def rows() -> list[Row]:
    """Every row that was predicted; `counted` is false for those of another architecture."""
    return _speech_rows() + _other_rows() + _set_aside()
