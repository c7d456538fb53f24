"""The table of figures behind every joule, watt and square metre: value, unit, source, kind and interval of each."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cgs.base.errors import FormatError
from cgs.base.files import digest_of

TABLE = Path(__file__).with_name("technology.toml")
KINDS = ("measured", "simulated", "scaled", "assumed", "calibrated")


@dataclass(frozen=True)
class Figure:
    """One figure of the table.

    Args:
        value: in `unit`, SI.
        source: where it comes from; begins with "assumption" or "own" where it is not published.
        kind: one of KINDS.
        low, high: the true value lies between low x value and high x value.
    """

    value: float
    unit: str
    source: str
    kind: str
    low: float
    high: float
    note: str = ""


@dataclass(frozen=True)
class Technology:
    """All figures for one node.

    Args:
        node: "40nm" or "65nm".
        figures: by name, those of the node and those that all nodes share.
        reference: conditions at which the shared logic figures hold: logic_node in nm, mac_supply_v, engine_supply_v.
    """

    node: str
    figures: dict[str, Figure]
    reference: dict[str, float]

    def __getitem__(self, name: str) -> float:
        return self.figures[name].value

    def scaled(self, name: str, factor: float) -> Technology:
        """The same technology with one figure multiplied by `factor`."""
        figure = self.figures[name]
        return replace(self, figures=self.figures | {name: replace(figure, value=figure.value * factor)})


def load_technology(node: str, path: Path = TABLE) -> Technology:
    """Read the table for one node.

    Raises: FormatError: no such node, or a figure without value, unit, source, kind or interval.
    """
    table = _read(path)
    if node not in table["nodes"]:
        raise FormatError(f"{path.name}: no node {node!r}", f"nodes: {', '.join(table['nodes'])}")
    figures = {name: _figure(name, entry, path) for name, entry in (table["figures"] | table["nodes"][node]).items()}
    return Technology(node, figures, table["reference"])


def table_digest(path: Path = TABLE) -> str:
    """Digest of the table's values, for stamps: a changed figure makes the estimates stale."""
    return digest_of(_read(path))


def _read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _figure(name: str, entry: dict[str, Any], path: Path) -> Figure:
    missing = [key for key in ("value", "unit", "source", "kind", "low", "high") if entry.get(key, "") == ""]
    if missing or entry["kind"] not in KINDS or not 0 < entry["low"] <= 1 <= entry["high"]:
        what = f"no {missing}" if missing else str(entry)
        raise FormatError(f"{path.name}: figure {name}: {what}", f"give value, unit, source, kind ({', '.join(KINDS)}), low <= 1 <= high")
    return Figure(**entry)
