"""The one calibrated constant: how it is found, frozen and drawn.

`overhead` multiplies all dynamic energy: clock tree, wires of the engine, margins, and whatever the table gets wrong. It is set so that the keyword
chip of ICCAD16 takes the power that its abstract states; nothing else is calibrated on. Each draw of the table is calibrated again, so that what is
unknown in common with that chip cancels in a prediction."""

from __future__ import annotations

from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

import numpy as np

from cgs.base.errors import FormatError
from cgs.base.files import digest_of, write_text
from cgs.hw.chips import KEYWORD, KEYWORD_POWER_W, Chip
from cgs.hw.costs import DYNAMIC, power
from cgs.hw.technology import CALIBRATION, Technology, Value, figures_digest, load_technology

N_DRAWS, SEED = 1000, 20161107
"""Draws behind every interval, and their seed."""
SMALLEST_OVERHEAD = 0.05
"""Of a draw whose leakage alone would exceed the published power."""


def assumptions_digest() -> str:
    """SHA-256 of the chip that is calibrated on, as assumed, and of its published power."""
    return digest_of([asdict(KEYWORD), KEYWORD_POWER_W])


def calibrate(tech: Technology, power_w: Value = KEYWORD_POWER_W, chip: Chip = KEYWORD) -> Value:
    """Overhead with which a chip takes `power_w` in W; leakage is not scaled.

    Args:
        tech: the table of the chip's node, one number or one array a figure; its overhead does not matter.
        power_w: what the chip takes.
        chip: the one that is calibrated on.
    """
    counts = chip.counts()
    plain = tech.with_values(overhead=1.0, model_error=1.0)
    parts = power(counts, plain, chip.supply.value, chip.rate(counts))
    dynamic = sum(parts[name] for name in DYNAMIC)
    return np.maximum((power_w - sum(parts.values()) + dynamic) / dynamic, SMALLEST_OVERHEAD)


@lru_cache
def drawn(node: str, n_draws: int = N_DRAWS, seed: int = SEED) -> Technology:
    """Draws of a node's table, each with the overhead that calibration finds with the same draw of the calibrated chip's table."""
    base = load_technology(KEYWORD.node, calibration=None).drawn(n_draws, seed)
    return load_technology(node).drawn(n_draws, seed).with_values(overhead=calibrate(base, KEYWORD_POWER_W * base["calibration_error"]))


def check(path: Path = CALIBRATION) -> None:
    """Compare a frozen calibration with what the table, the assumptions and the counts give today. Raises: FormatError: it is another."""
    if path.read_text(encoding="utf-8") != text():
        raise FormatError(f"{path.name}: not what the table, the assumed chip and its counts give today", "calibrate again: python -m cgs.hw.calibration")


def text() -> str:
    """The file that freezes the calibration."""
    overhead = float(calibrate(load_technology(KEYWORD.node, calibration=None)))
    return f'''# Made by: python -m cgs.hw.calibration
# SHA-256 of technology.toml and of the runs behind memories and logic, and of the chip as cgs/hw/chips.py assumes it
figures_sha256 = "{figures_digest()}"
assumptions_sha256 = "{assumptions_digest()}"

[overhead]
value = {overhead:.6g}
unit = "1"
kind = "calibrated"
source = "ICCAD16 keyword chip, 7 uW at 40 nm, 0.6 V (abstract)"
low = 1.0
high = 1.0
note = "multiplies all dynamic energy; its interval comes from calibrating every draw again"
'''


if __name__ == "__main__":
    write_text(CALIBRATION, text())
