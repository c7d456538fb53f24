"""Bootstrap resampling of a test set, the same draws for every measure and for every system compared.

Owns how often each utterance is drawn. Utterances of one speaker are not independent, so whole speakers are drawn
where there are enough of them; otherwise single utterances are, and the interval says so in `unit`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cgs.base.errors import ShapeError

MIN_SPEAKERS = 10
"""With fewer speakers their resampling has too few distinct outcomes to give an interval."""


@dataclass(frozen=True)
class Interval:
    """A bootstrap interval.

    Args:
        low, high: its ends, in the unit of the measure.
        unit: what was resampled, "speakers" or "utterances".
    """

    low: float
    high: float
    unit: str

    def ends(self) -> list[float]:
        """[low, high], as a result file holds it."""
        return [self.low, self.high]


@dataclass(frozen=True)
class Resampling:
    """Which utterances each resampled test set holds, and how often.

    Args:
        counts: (n_resamplings, n_units) how often each speaker or utterance was drawn.
        unit_of: (N,) the unit of each utterance, an index into the columns of `counts`.
        unit: "speakers" or "utterances".
    """

    counts: np.ndarray
    unit_of: np.ndarray
    unit: str

    def totals(self, values: np.ndarray) -> np.ndarray:
        """Totals of `values` over every resampled set.

        Args:
            values: (N, M) float, M values of each utterance.
        Returns: (n_resamplings, M) float64.
        """
        by_unit = np.zeros((self.counts.shape[1], values.shape[1]))
        np.add.at(by_unit, self.unit_of, values)
        return self.counts @ by_unit

    def interval(self, measures: np.ndarray, level: float) -> Interval | None:
        """Percentile interval of a measure's resampled values.

        Args:
            measures: (n_resamplings,) float; NaN where a resampled set does not define the measure.
            level: confidence level, e.g. 0.95.
        Returns: None where no resampled set defines it.
        """
        defined = measures[~np.isnan(measures)]
        if not defined.size:
            return None
        low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
        return Interval(float(low), float(high), self.unit)


def draw_resampling(speakers: Sequence[str], n_resamplings: int, seed: int) -> Resampling:
    """Draw the resampled test sets.

    Args:
        speakers: the speaker of each of the N utterances.
        n_resamplings: resampled sets.
        seed: of the draws; the same seed and speakers give the same sets, so that systems are compared on equal ones.
    Returns: speakers resampled where there are at least 10, otherwise utterances.
    Raises: ShapeError: no utterance at all.
    Source: Bisani and Ney, ICASSP 2004.
    Differs: whole speakers are drawn where they are many, because utterances of one speaker are not independent.
    """
    if not len(speakers):
        raise ShapeError("no utterance to draw an interval from", "score a split that has utterances")
    names, unit_of = np.unique(np.asarray(speakers), return_inverse=True)
    unit = "speakers" if len(names) >= MIN_SPEAKERS else "utterances"
    if unit == "utterances":
        unit_of = np.arange(len(speakers))
    n_units = int(unit_of.max()) + 1
    generator = np.random.default_rng(seed)
    counts = np.empty((n_resamplings, n_units), dtype=np.int32)
    for row in counts:
        row[:] = np.bincount(generator.integers(0, n_units, n_units), minlength=n_units)
    return Resampling(counts, unit_of, unit)
