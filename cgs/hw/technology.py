"""The table of figures behind every joule, watt and square metre: value, unit, source, kind and interval of each."""

from __future__ import annotations

import hashlib
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from cgs.base.errors import FormatError
from cgs.base.files import digest_of
from cgs.hw.logic import ENERGY, GATES
from cgs.hw.sram import GRID

TABLE = Path(__file__).with_name("technology.toml")
CALIBRATION = Path(__file__).with_name("calibration.toml")
KINDS = ("measured", "simulated", "scaled", "assumed", "calibrated")
NORMAL_95 = 1.6449
"""Standard deviations from the median to the 95 % point of a normal distribution."""
Value: TypeAlias = Any
"""A number, or an array of one number a draw; the laws of cgs.hw take both."""


@dataclass(frozen=True)
class Figure:
    """One figure of the table.

    Args:
        value: in `unit`, SI; the median of what it may be.
        source: where it comes from; begins with "assumption" or "own" where it is not published.
        kind: one of KINDS.
        low, high: the true value lies below low x value with 5 %, above high x value with 5 %.
    """

    value: float
    unit: str
    source: str
    kind: str
    low: float
    high: float
    note: str = ""

    def factors(self, normal: np.ndarray) -> np.ndarray:
        """Factors on the value for standard normal numbers: log-normal on either side of the median, with low and high at 5 and 95 %."""
        return np.exp(np.where(normal < 0, -math.log(self.low), math.log(self.high)) * normal / NORMAL_95)


@dataclass(frozen=True)
class Technology:
    """All figures for one node, as one number each or as one number a draw.

    Args:
        node: "40nm" or "65nm".
        figures: by name, those of the node and those that all nodes share.
        reference: what the shared logic figures hold at: logic_node in nm.
        values: by name, what the laws compute with.
    """

    node: str
    figures: Mapping[str, Figure]
    reference: Mapping[str, float]
    values: Mapping[str, Value]

    def __getitem__(self, name: str) -> Value:
        return self.values[name]

    @property
    def node_nm(self) -> int:
        """The node in nm."""
        return int(self.node.removesuffix("nm"))

    def with_values(self, **values: Value) -> Technology:
        """The same technology with some values replaced."""
        return replace(self, values={**self.values, **values})

    def drawn(self, n_draws: int, seed: int) -> Technology:
        """Draw every figure from its interval, independent of the others.

        A figure's draws depend on the seed and its name alone, so nodes share those of the figures that they share.

        Args:
            n_draws: numbers a figure.
            seed: of all draws.
        """
        values = {}
        for name, figure in self.figures.items():
            stream = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
            values[name] = figure.value * figure.factors(np.random.default_rng([seed, stream]).standard_normal(n_draws))
        return replace(self, values=values)


def load_technology(node: str, path: Path = TABLE, calibration: Path | None = CALIBRATION) -> Technology:
    """Read the table for one node.

    Args:
        node: a node of the table.
        path: the table.
        calibration: the constant that was calibrated with this table; None for an overhead of 1, which is what calibrating starts from.
    Raises: FormatError: no such node, a figure without value, unit, source, kind or interval, or a table changed since it was calibrated.
    """
    table = _read(path)
    if node not in table["nodes"]:
        raise FormatError(f"{path.name}: no node {node!r}", f"nodes: {', '.join(table['nodes'])}")
    figures = {name: _figure(name, entry, path) for name, entry in (table["figures"] | table["nodes"][node]).items()}
    figures["overhead"] = _overhead(calibration, path)
    return Technology(node, figures, table["reference"], {name: figure.value for name, figure in figures.items()})


def figures_digest(path: Path = TABLE) -> str:
    """SHA-256 of what a calibration rests on: the table's values and the runs that memories and logic are fitted to."""
    return digest_of([_read(path), *(runs.read_text(encoding="utf-8") for runs in (GRID, GATES, ENERGY))])


def table_digest(path: Path = TABLE) -> str:
    """Digest of all values, the calibrated one too, for stamps: a changed figure makes the estimates stale."""
    return digest_of([figures_digest(path), _read(CALIBRATION)])


def _read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _overhead(calibration: Path | None, path: Path) -> Figure:
    if calibration is None:
        return Figure(1.0, "1", "assumption: nothing calibrated", "assumed", 1.0, 1.0)
    found = _read(calibration)
    if found["figures_sha256"] != figures_digest(path):
        raise FormatError(f"{path.name}: changed since {calibration.name} was made", "calibrate again: python -m cgs.hw.calibration")
    return _figure("overhead", found["overhead"], calibration)


def _figure(name: str, entry: dict[str, Any], path: Path) -> Figure:
    missing = [key for key in ("value", "unit", "source", "kind", "low", "high") if entry.get(key, "") == ""]
    if missing or entry["kind"] not in KINDS or not 0 < entry["low"] <= 1 <= entry["high"]:
        what = f"no {missing}" if missing else str(entry)
        raise FormatError(f"{path.name}: figure {name}: {what}", f"give value, unit, source, kind ({', '.join(KINDS)}), low <= 1 <= high")
    return Figure(**entry)
