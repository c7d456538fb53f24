"""An estimate for people: a table in plain text, and a picture of power against supply."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cgs.base.files import disk_errors
from cgs.base.units import file_size, square_millimetres, with_prefix
from cgs.hw.costs import COMPONENTS
from cgs.hw.duty import TEXTBOOK_RANGE_V
from cgs.hw.supply import SUPPLY_RANGE_V

HEADINGS = ("supply", "highest clock", "at work", "power", "90 % interval", "sleeping between", "energy a frame", "")
LIMITS = {"": "a true minimum", "clock": "limited by the clock that real time needs", "supply": "limited by the range of supplies"}
MODE_NAMES = {"slow": "slowest clock", "idle": "highest clock, then waiting", "sleep": "highest clock, then asleep", "flat_out": "frames without a pause"}
COMPONENT_COLOURS = ("#3b82c4", "#7fb2e0", "#2f9e6e", "#8fcdb0", "#d9762b", "#edb27f", "#8a7a3c", "#b5579d", "#d9a5cb")
DPI = 150


def table(told: dict[str, Any]) -> str:
    """The estimate as lines of text, one block a node."""
    memory = file_size(sum(part["n_bytes"] for part in told["memories"].values()))
    counts, engine = told["counts"], told["engine"]
    lines = [
        f"{counts['macs']} MACs and {counts['cycles']} cycles a frame on {engine['n_macs']} MACs, {told['frames_per_s']:g} frames/s: "
        f"{with_prefix(told['frequency_needed_hz'], 'Hz')}; memories {memory}; {told['temperature_k']:g} K"
    ]
    for node, entries in told["nodes"].items():
        low, high = (square_millimetres(end) for end in entries[0]["area_interval_m2"])
        lines += ["", f"{node}: {square_millimetres(entries[0]['area_m2'])} ({low} to {high})", *columns([HEADINGS, *(_row(at) for at in entries)])]
        lines += ["", *columns(_components(told["reference"][node])), *_minima(told["minimum"][node])]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _row(at: dict[str, Any]) -> tuple[str, ...]:
    low, high = (with_prefix(end, "W") for end in at["power_interval_w"])
    return (
        f"{at['supply_v']:g} V",
        with_prefix(at["max_clock_hz"], "Hz"),
        f"{100 * min(at['duty_cycle'], 1):.1f} %",
        with_prefix(at["power_w"], "W"),
        f"{low} to {high}",
        with_prefix(at["modes_w"]["sleep"], "W"),
        with_prefix(at["energy_per_frame_j"], "J"),
        "" if at["real_time"] else "too slow for real time",
    )


def _components(at: dict[str, Any]) -> Sequence[tuple[str, ...]]:
    parts = at["components_w"]
    return [(f"at {at['supply_v']:g} V", "power", "share")] + [
        (name.replace("_", " "), with_prefix(parts[name], "W"), f"{100 * parts[name] / at['power_w']:.1f} %") for name in COMPONENTS
    ]


def _minima(minima: dict[str, Any] | None) -> list[str]:
    if minima is None:
        return ["", "too slow for real time at every supply"]
    told = [(MODE_NAMES[mode], f"{at['supply_v']:.2f} V", with_prefix(at["energy_j"], "J"), LIMITS[at["limit"]]) for mode, at in minima.items()]
    return ["", "least energy a frame", *columns(told)]


def columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows of equally many cells as lines, the columns aligned."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]


def plot(told: dict[str, Any], curves: dict[str, dict[str, np.ndarray]], path: Path) -> None:
    """Draw power against supply, stacked by component, and the energy of a frame with its minimum, one column a node.

    Args:
        told: an estimate.
        curves: of each node (cgs.hw.model.curves).
        path: a PNG.
    Raises: DiskError: no space or no permission.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, grid = pyplot.subplots(2, len(curves), figsize=(5.2 * len(curves), 6.8), squeeze=False, layout="constrained")
    for column, (node, curve) in enumerate(curves.items()):
        inside = curve["supply_v"] >= SUPPLY_RANGE_V[0]
        above, stacks = grid[0, column], [1e6 * curve[name][inside] for name in COMPONENTS]
        above.stackplot(curve["supply_v"][inside], stacks, labels=[name.replace("_", " ") for name in COMPONENTS], colors=COMPONENT_COLOURS)
        above.set(title=node, xlabel="supply, V", ylabel="power in real time, uW", xlim=SUPPLY_RANGE_V)
        slow = curve["supply_v"][inside & ~curve["real_time"]]
        if len(slow):
            above.axvspan(SUPPLY_RANGE_V[0], slow[-1], facecolor="none", edgecolor="black", hatch="//", label="too slow for real time")
        _energy(grid[1, column], curve, (told["minimum"][node] or {}).get("flat_out"))
    grid[0, 0].legend(fontsize=7, loc="upper left")
    save(figure, path)


def save(figure: Any, path: Path) -> None:
    """Write a matplotlib figure as a PNG and close it. Raises: DiskError: no space or no permission."""
    from matplotlib import pyplot

    try:
        with disk_errors(path):
            figure.savefig(path, format="png", dpi=DPI)
    finally:
        pyplot.close(figure)


def _energy(axes: Any, curve: dict[str, np.ndarray], minimum: dict[str, Any] | None) -> None:
    supplies, real_time = curve["supply_v"], curve["real_time"]
    axes.plot(supplies, 1e9 * curve["flat_out"], color=COMPONENT_COLOURS[0], label="frames without a pause")
    axes.plot(supplies[real_time], 1e9 * curve["slow"][real_time], "--", color=COMPONENT_COLOURS[7], label="in real time, leakage until the next frame")
    if minimum:
        label = f"least: {minimum['supply_v']:.2f} V, {with_prefix(minimum['energy_j'], 'J')}"
        axes.plot([minimum["supply_v"]], [1e9 * minimum["energy_j"]], "o", color=COMPONENT_COLOURS[4], label=label)
    axes.axvspan(TEXTBOOK_RANGE_V[0], SUPPLY_RANGE_V[0], color="black", alpha=0.07, label="memories are not taken to work")
    axes.set(xlabel="supply, V", ylabel="energy of a frame, nJ", xlim=TEXTBOOK_RANGE_V, ylim=(0, None))
    axes.legend(fontsize=7)
