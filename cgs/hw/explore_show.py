"""Explored designs for people: a table of the front with the suggestion and its reasons, and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cgs.base.units import square_millimetres, with_prefix
from cgs.hw.explore import Point
from cgs.hw.show import columns, save

HEADINGS = ("", "node", "MACs", "word", "bank", "supply", "power", "90 % interval", "area", "latency", "clock, needed", "possible")


def table(told: dict[str, Any]) -> str:
    """Lines of text: how many points keep up, some of the front, the suggestion (marked *) and why."""
    best, front = told["suggested"], told["front"]
    rows = [HEADINGS, *(_row(at, "*" if _same(at, best) else "") for at in front if "power_interval_w" in at)]
    low, high = (square_millimetres(end) for end in best["area_interval_m2"])
    lines = [
        f"{told['n_real_time']} of {told['n_points']} points keep up with {told['frames_per_s']:g} frames/s at {told['temperature_k']:g} K; "
        f"{told['n_allowed']} within the limits",
        f"{len(front)} on the front of power, area and latency" + (f", {len(rows) - 1} of them:" if len(rows) <= len(front) else ":"),
        *columns(rows),
        "",
        f"suggested, least power: {told['suggested_name']}; {square_millimetres(best['area_m2'])} ({low} to {high})",
        *(f"  {reason}" for reason in told["reasons"]),
    ]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _same(at: dict[str, Any], best: dict[str, Any]) -> bool:
    return all(at[key] == value for key, value in best.items())


def _row(at: dict[str, Any], mark: str) -> tuple[str, ...]:
    low, high = (with_prefix(end, "W") for end in at["power_interval_w"])
    chosen = (at["node"], str(at["n_macs"]), str(at["word_bits"]), str(at["bank_bytes"]), f"{at['supply_v']:g} V")
    costs = (with_prefix(at["power_w"], "W"), f"{low} to {high}", square_millimetres(at["area_m2"]), with_prefix(at["latency_s"], "s"))
    return mark, *chosen, *costs, with_prefix(at["clock_hz"], "Hz"), with_prefix(at["max_clock_hz"], "Hz")


def plot(points: Sequence[Point], front: Sequence[Point], best: Point, path: Path) -> None:
    """Draw power against area and against latency, with the front and the suggestion marked.

    Args:
        points: those to show.
        front, best: of them.
        path: a PNG.
    Raises: DiskError: no space or no permission.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, grid = pyplot.subplots(1, 2, figsize=(10.4, 4.2), layout="constrained")
    for axes, label, value in zip(grid, ("area, mm2", "latency, ms"), (lambda at: 1e6 * at.area_m2, lambda at: 1e3 * at.latency_s), strict=True):
        for some, style, name in ((points, ".", "within the limits"), (front, "o", "front of power, area and latency"), ([best], "*", "suggested")):
            colour, size = {".": ("#b8b8b8", 3), "o": ("#3b82c4", 4), "*": ("#d9762b", 14)}[style]
            axes.plot([value(at) for at in some], [1e6 * at.power_w for at in some], style, color=colour, markersize=size, label=name)
        axes.set(yscale="log", xlabel=label, ylabel="power, uW")
    grid[1].set(xscale="log")
    grid[0].legend(fontsize=7)
    save(figure, path)
