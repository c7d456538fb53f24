"""The plot of a sweep: error against what a model costs, and the front of what is not beaten."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from cgs.report.plots import COLOURS, axes, plain_logarithm
from cgs.report.sweep import error_of

SCALE = {"file_bytes": (1e-3, "packed file, kB"), "power_w": (1e6, "power, uW")}
LABELLED_AXES = 4
"""Axes that fit into the labels of a front."""
LABEL_WIDTH, LABEL_HEIGHT = 0.1, 0.05
"""Fractions of a plot that a label takes."""


def shown_value(value: Any) -> str:
    """An option as tables and labels show it: 0.25, 512x512."""
    return "x".join(map(shown_value, value)) if isinstance(value, list) else f"{value:g}" if isinstance(value, float) else str(value)


def cost_plot(results: Mapping[str, Any], task: str, cost: str) -> str:
    """Error of a task's systems against a cost, logarithmic; a colour for each value of the first axis.

    Args:
        results: document of `cgs.report.sweep.gather`.
        task: "asr" or "kws".
        cost: "file_bytes" or "power_w".
    """
    entries = [entry for entry in results["summary"] if entry["task"] == task and entry[cost] is not None]
    first, *rest = results["axes"] or ["method"]
    values = list(dict.fromkeys(shown_value(entry["options"][first]) for entry in entries))
    colour = dict(zip(values, itertools.cycle(COLOURS), strict=False))
    scale, label = SCALE[cost]
    with axes(f"{task}-{cost}") as (grid, out):
        front = sorted((entry for entry in entries if entry["on_front"][cost]), key=lambda entry: entry[cost])
        grid[0].plot([scale * entry[cost] for entry in front], [_percent(entry, "mean") for entry in front], "-", color="#7d7d7d", lw=1)
        for value, entry in ((shown_value(entry["options"][first]), entry) for entry in entries):
            middle, ends = _percent(entry, "mean"), sorted(_percent(entry, end) for end in ("min", "max"))
            error, fill = [[max(middle - ends[0], 0)], [max(ends[1] - middle, 0)]], colour[value] if entry["on_front"][cost] else "none"
            grid[0].errorbar(scale * entry[cost], middle, yerr=error, fmt="o", ms=5, color=colour[value], mfc=fill, elinewidth=0.8)
        for value in values:
            grid[0].plot([], [], "o", color=colour[value], label=f"{first} {value}")
        if baseline := results["baselines"].get(task):
            error_rate = 100 * error_of("auc" if task == "kws" else "wer", baseline["float_value"])
            grid[0].axhline(error_rate, ls="--", lw=0.9, color="#7d7d7d", label=f"{baseline['system']}, 32-bit floats")
        grid[0].set_xscale("log")
        plain_logarithm(grid[0].xaxis)
        grid[0].set_xlabel(label)
        grid[0].set_ylabel("1 - AUC, %" if task == "kws" else f"{results['rate']}, %")
        grid[0].margins(0.12)
        places = [(scale * entry[cost], _percent(entry, "mean")) for entry in front]
        within = (grid[0].transScale + grid[0].transLimits).transform(np.reshape(places, (-1, 2)))
        for index in _apart(within):
            told = " ".join(shown_value(front[index]["options"][axis]) for axis in rest[:LABELLED_AXES])
            grid[0].annotate(told, places[index], xytext=(3, -9), textcoords="offset points", fontsize=6.5)
        grid[0].legend()
    return out[0]


def _apart(places: np.ndarray) -> list[int]:
    """Indices of places (n, 2), as fractions of a plot, whose labels do not cover each other; the first of those that would."""
    kept: list[int] = []
    for index, (x, y) in enumerate(places):
        if all(abs(x - places[other][0]) > LABEL_WIDTH or abs(y - places[other][1]) > LABEL_HEIGHT for other in kept):
            kept.append(index)
    return kept


def _percent(entry: Mapping[str, Any], which: str) -> float:
    return 100 * error_of(entry["measure"], entry["value"][which])
