"""Readers of options that are numbers in a range; argparse tells what they raise with the option's name."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable


def whole(low: int) -> Callable[[str], int]:
    """Reader of an option that is a whole number from `low`."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and low <= int(text) <= 1 << 30):
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {low}")
        return int(text)

    return read


def between(low: float, high: float) -> Callable[[str], float]:
    """Reader of an option that is a number from `low` to `high`."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is no number from {low:g} to {high:g}")
        return value

    return read


def share(text: str) -> float:
    """Read an option that lies between 0 and 1."""
    value = between(0.0, 1.0)(text)
    if value in (0.0, 1.0):
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and 1; give e.g. 0.95")
    return value
