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
        value = _number(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is no number from {low:g} to {high:g}")
        return value

    return read


def share(text: str) -> float:
    """Read an option that lies between 0 and 1."""
    value = _number(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text}: give a number between 0 and 1, e.g. 0.95")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
