"""Fixed-point numbers: what an integer of so many bits means, how its scale is chosen, and how sums become narrow again.

Every scale is a power of two, so that a chip shifts and never multiplies to rescale. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cgs.base.errors import ConfigError

ACCUMULATOR_BITS = 32
FEWEST_BITS = 2
"""Of a weight."""
FRACTION_BITS = (-40, 60)
"""Fraction bits that a format may have; a packed file stores them in one signed byte."""
MAX_SHIFT = 31
"""Furthest shift of an accumulator."""
FINER_SCALES = 6
"""Scales tried beyond the coarsest that holds the largest value: each halves the range and doubles the resolution."""


@dataclass(frozen=True)
class FixedPoint:
    """A fixed-point format: the integer q stands for q * 2^-fraction_bits.

    Args:
        bits: width of the integer, sign included.
        fraction_bits: may be negative, and may exceed `bits`.
        signed: two's complement, or unsigned (outputs of a ReLU).
        symmetric: of signed ones, leave out the smallest integer, which has no positive counterpart; 2 bits are then ternary.
    """

    bits: int
    fraction_bits: int
    signed: bool = True
    symmetric: bool = False

    @property
    def low(self) -> int:
        """Smallest integer."""
        return self.symmetric - (1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """Largest integer."""
        return (1 << (self.bits - self.signed)) - 1

    @property
    def step(self) -> float:
        """Value of one unit in the last place."""
        return 2.0**-self.fraction_bits

    def coarser(self, bits: int) -> FixedPoint:
        """The format of so many bits, no more than these, whose integers are these without their lowest bits."""
        return replace(self, bits=bits, fraction_bits=self.fraction_bits - (self.bits - bits))

    def integers(self, values: np.ndarray) -> np.ndarray:
        """The nearest integers, ties to even, saturated.

        Args:
            values: float, any shape, finite.
        Returns: int32, or int64 where 32 bits do not hold the format.
        """
        scaled = np.clip(np.ldexp(np.asarray(values, dtype=np.float64), self.fraction_bits), self.low, self.high)
        return np.rint(scaled).astype(np.int32 if self.bits - self.signed < 32 else np.int64)

    def values(self, integers: np.ndarray) -> np.ndarray:
        """What the integers stand for, float64."""
        return np.ldexp(np.asarray(integers, dtype=np.float64), -self.fraction_bits)


def fitting_format(values: np.ndarray, bits: int, signed: bool = True, symmetric: bool = False) -> FixedPoint:
    """The finest format of `bits` bits in which no value saturates.

    Args:
        values: float, any shape.
        bits: width of the integer.
        signed, symmetric: see `FixedPoint`.
    """
    low, high = FRACTION_BITS
    peak = float(np.abs(values).max(initial=0.0))
    if peak == 0.0:
        return FixedPoint(bits, bits - signed, signed, symmetric)
    fraction_bits = int(np.clip(bits - signed - np.frexp(peak)[1], low, high))
    while fraction_bits > low and _saturates(values, FixedPoint(bits, fraction_bits, signed, symmetric)):
        fraction_bits -= 1
    while fraction_bits < high and not _saturates(values, FixedPoint(bits, fraction_bits + 1, signed, symmetric)):
        fraction_bits += 1
    return FixedPoint(bits, fraction_bits, signed, symmetric)


def _saturates(values: np.ndarray, form: FixedPoint) -> bool:
    scale = 2.0**form.fraction_bits
    return np.rint(values.max(initial=0.0) * scale) > form.high or np.rint(values.min(initial=0.0) * scale) < form.low


def choose_format(
    values: np.ndarray, bits: int, signed: bool = True, symmetric: bool = False, low: np.ndarray | None = None, low_bits: int = FEWEST_BITS
) -> FixedPoint:
    """The format of least squared error: the largest values may saturate where finer steps are worth it.

    Args:
        values: float, any shape; a sample is enough.
        bits: width of the integer.
        signed, symmetric: see `FixedPoint`.
        low: further values, which are rounded to the format's `coarser` one of `low_bits`.
        low_bits: of those, fewer than `bits`.
    Raises: ConfigError: a value that is not finite.
    """
    parts = [(np.asarray(part, dtype=np.float64).ravel(), width) for part, width in ((values, bits), (low, low_bits)) if part is not None]
    if not all(np.isfinite(part).all() for part, _ in parts):
        raise ConfigError("cannot choose a fixed-point format: a value is not finite", "train the network again with a lower learning rate")
    fitting = [fitting_format(part, width, signed, symmetric).fraction_bits + bits - width for part, width in parts if part.any()]
    coarsest = FixedPoint(bits, min(fitting, default=bits - signed), signed, symmetric)

    def squared_error(form: FixedPoint) -> float:
        return sum(_squared_error(part, form.coarser(width)) for part, width in parts)

    best, least = coarsest, squared_error(coarsest)
    for finer in range(1, FINER_SCALES + 1):
        form = replace(coarsest, fraction_bits=min(coarsest.fraction_bits + finer, FRACTION_BITS[1]))
        error = squared_error(form)
        if error < least:
            best, least = form, error
    return best


def choose_pair(
    values: np.ndarray, others: np.ndarray, bits: int, finer: int, least: int, symmetric: bool = False, weight: float = 1.0
) -> FixedPoint:
    """The format of `values` whose squared error together with that of `others` is least, where these have `finer` fraction bits more.

    Args:
        values, others: float, any shape.
        bits, symmetric: see `FixedPoint`.
        finer: fraction bits that `others` have more, or fewer if negative.
        least: fraction bits that `values` must have, whatever the error.
        weight: of the squared error of `others`, against that of `values`.
    Raises: ConfigError: a value that is not finite.
    """
    alone = [choose_format(part, bits, symmetric=symmetric).fraction_bits - more for part, more in ((values, 0), (others, finer))]
    low, high = max(least, FRACTION_BITS[0], FRACTION_BITS[0] - finer), min(FRACTION_BITS[1], FRACTION_BITS[1] - finer)
    tried = [FixedPoint(bits, int(np.clip(fractions, low, high)), symmetric=symmetric) for fractions in range(min(alone), max(alone) + 1)]

    def squared_error(form: FixedPoint) -> float:
        return _squared_error(values, form) + weight * _squared_error(others, replace(form, fraction_bits=form.fraction_bits + finer))

    return min(tried, key=squared_error)


def _squared_error(values: np.ndarray, form: FixedPoint) -> float:
    return float(np.square(form.values(form.integers(values)) - values).sum())


def requantise(accumulators: np.ndarray, shift: int, bits: int) -> np.ndarray:
    """Narrow non-negative activations out of accumulators: add half, shift right, saturate. This is also the ReLU.

    Args:
        accumulators: integer, any shape.
        shift: accumulator fraction bits less output fraction bits, 0 to 31.
        bits: width of the unsigned output.
    Returns: int64 in 0 .. 2^bits - 1.
    """
    half = (1 << shift) >> 1
    return np.clip((np.asarray(accumulators, dtype=np.int64) + half) >> shift, 0, (1 << bits) - 1)
