"""The plots of a report as SVG text that follows the page's colours and asks for nothing from outside.

Owns how a plot looks. Text stays text; black becomes the page's current colour; ids and dates that change are left out."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from cgs.base.units import with_prefix
from cgs.hw.costs import COMPONENTS
from cgs.hw.show import COMPONENT_COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

    from cgs.report.results import Material

INK = "#010203"
"""Stands for the page's text colour and is replaced by `currentColor`."""
COLOURS = ("#3b82c4", "#d9762b", "#2f9e6e", "#b5579d", "#8a7a3c", "#6a6fc9", "#c94f4f")
"""One a system; told apart by most colour-blind eyes, legible on white and on black."""
COMPONENT_NAMES = {name: name.replace("_", " ").replace("mac", "MAC") for name in COMPONENTS} | {
    "index_bias_memory": "index and bias memory",
}
WIDTH, HEIGHT = 5.2, 3.4
"""Inches; a phone shows 5.2 inches of 72 points without shrinking the letters below reading size."""


@contextmanager
def axes(name: str, height: float = HEIGHT, columns: int = 1) -> Iterator[tuple[Sequence[Axes], list[str]]]:
    """Axes to draw in, and a list that holds the SVG text after the block."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    ink: dict[Any, Any] = dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "grid.color"), INK)
    style: dict[Any, Any] = {"svg.hashsalt": name, "svg.fonttype": "none", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    style |= {"grid.alpha": 0.18, "grid.linewidth": 0.6, "axes.grid": True, "axes.axisbelow": True, "legend.frameon": False, "legend.fontsize": 8}
    out: list[str] = []
    with matplotlib.rc_context({**ink, **style}):
        figure, grid = pyplot.subplots(1, columns, figsize=(WIDTH, height), squeeze=False, layout="constrained")
        try:
            yield grid[0], out
            out.append(_svg(figure, name))
        finally:
            pyplot.close(figure)


def _svg(figure: Any, name: str) -> str:
    stream = io.StringIO()
    figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.S)
    text = re.sub(r' id="(?!m|p|h|C)\w+"', "", text)  # markers, clip paths, hatches and collections are referred to
    text = re.sub(r'(<svg[^>]*?) width="[\d.]+pt" height="[\d.]+pt"|(<svg[^>]*?) height="[\d.]+pt"([^>]*?) width="[\d.]+pt"', _without_size, text, count=1)
    text = re.sub(r"(<svg )", rf'\1role="img" aria-label="{name}" ', text, count=1)
    text = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font: \1 var(--plot-font)", text)
    return text.replace(INK, "currentColor")


def _without_size(match: re.Match[str]) -> str:
    return match.group(1) or f"{match.group(2)}{match.group(3)}"


def colours(material: Material) -> dict[str, str]:
    """A colour for each system, the same in every plot."""
    systems = dict.fromkeys(row["system"] for row in material.results["rows"] if row["method"] != "gmm")
    return {"gmm": "#7d7d7d"} | dict(zip(systems, itertools.cycle(COLOURS), strict=False))


def intervals_plot(material: Material, task: str, measures: Sequence[str]) -> str:
    """Every row's value with its interval; open marks are float engines, filled ones packed."""
    rows, colour = material.rows(task), colours(material)
    percent = 1.0 if task == "kws" else 100.0
    with axes(f"{task}-intervals", 1.0 + 0.24 * len(rows), len(measures)) as (grid, out):
        for axis, measure in zip(grid, measures, strict=True):
            for place, row in enumerate(rows):
                if row[measure] is None:
                    continue
                value, ends = percent * row[measure], [percent * end for end in row[f"{measure}_ci"] or (row[measure], row[measure])]
                error = [[max(value - ends[0], 0)], [max(ends[1] - value, 0)]]
                filled = colour[row["system"]] if row["engine"] == "packed" else "none"
                axis.errorbar(value, place, xerr=error, fmt="o", ms=5, color=colour[row["system"]], mfc=filled, capsize=2)
            labels = [_short(row) for row in rows] if axis is grid[0] else [""] * len(rows)
            axis.set_yticks(range(len(rows)), labels)
            axis.set_ylim(len(rows) - 0.4, -0.6)
            axis.set_xlabel("AUC" if measure == "auc" else f"{material.measure_name(measure)}, %")
    return out[0]


def _short(row: dict[str, Any]) -> str:
    return "GMM" if row["method"] == "gmm" else f"{row['system']} {row['engine']} {row['seed']}"


def size_plot(material: Material, task: str) -> str:
    """File size against accuracy, size on a logarithmic axis."""
    measure, colour = ("auc", colours(material)) if task == "kws" else ("wer", colours(material))
    rows = [row for row in material.rows(task) if row["file_bytes"] and row[measure] is not None]
    percent = 1 if task == "kws" else 100
    with axes(f"{task}-size") as (grid, out):
        named: set[str] = set()
        for row in rows:
            label = f"{row['system']} {row['engine']}"
            filled = colour[row["system"]] if row["engine"] == "packed" else "none"
            place = row["file_bytes"] / 1000, percent * row[measure]
            grid[0].plot(*place, "o", ms=7, color=colour[row["system"]], mfc=filled, label="" if label in named else label)
            named.add(label)
        grid[0].set_xscale("log")
        plain_logarithm(grid[0].xaxis)
        grid[0].set_xlabel("file size, kB")
        grid[0].set_ylabel("AUC" if task == "kws" else f"{material.measure_name(measure)}, %")
        grid[0].margins(0.12)
        grid[0].legend()
    return out[0]


def plain_logarithm(axis: Axis) -> None:
    """Plain numbers at 1, 2 and 5 of each decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _legend_below(axes: Axes, columns: int) -> None:
    handles, labels = axes.get_legend_handles_labels()
    cast("Figure", axes.get_figure()).legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=7.5)


def roc_plot(material: Material) -> str:
    """ROC curves of every keyword system, false alarms on a logarithmic axis; dashed is float, solid is packed."""
    colour = colours(material)
    with axes("roc") as (grid, out):
        lowest, named = 1.0, set()
        for (system, engine, _), (false_alarms, detections) in sorted(material.roc.items()):
            label = f"{system} {engine}"
            style = "-" if engine == "packed" else "--"
            grid[0].step(false_alarms, detections, style, where="post", color=colour[system], lw=1.3, alpha=0.85, label="" if label in named else label)
            lowest = min([lowest, *(rate for rate in false_alarms if rate > 0)])
            named.add(label)
        grid[0].set_xscale("log")
        grid[0].set_xlim(max(lowest / 2, 1e-5), 1)
        grid[0].set_xlabel("false-alarm rate")
        grid[0].set_ylabel("detection rate")
        grid[0].legend(loc="lower right")
    return out[0]


def training_plot(material: Material, task: str) -> str:
    """Loss of every epoch; solid is held out, dotted is training."""
    from matplotlib.ticker import MaxNLocator

    colour, named = colours(material), set()
    systems = {row["system"] for row in material.rows(task)}
    with axes(f"{task}-training") as (grid, out):
        for (system, _), lines in material.training.items():
            if system not in systems:
                continue
            epochs = [line["epoch"] for line in lines]
            for key, style, what in (("held_out_loss", "-", "held out"), ("train_loss", ":", "training")):
                label = f"{system}, {what}"
                values = [float("nan") if line.get(key) is None else line[key] for line in lines]
                grid[0].plot(epochs, values, style, color=colour[system], lw=1.3, alpha=0.85, label="" if label in named else label)
                named.add(label)
        grid[0].set_xlabel("epoch")
        grid[0].set_ylabel("cross-entropy, nats a frame")
        grid[0].xaxis.set_major_locator(MaxNLocator(integer=True))
        grid[0].legend()
    return out[0]


def power_plot(material: Material) -> str:
    """Power by component at the reference supply, first seed of each system, at each node."""
    firsts = _first_seeds(material)
    nodes = list(next(iter(firsts.values()))["reference"])
    bars = [(f"{system}, {node}", hardware["reference"][node]) for system, hardware in firsts.items() for node in nodes]
    with axes("power", 1.4 + 0.3 * len(bars)) as (grid, out):
        left = [0.0] * len(bars)
        for component, shade in zip(COMPONENTS, COMPONENT_COLOURS, strict=True):
            values = [1e6 * at["components_w"][component] for _, at in bars]
            grid[0].barh(range(len(bars)), values, left=left, color=shade, label=COMPONENT_NAMES[component], height=0.65)
            left = [a + b for a, b in zip(left, values, strict=True)]
        for place, (_, at) in enumerate(bars):
            text = f"{with_prefix(at['power_w'], 'W')}{'' if at['real_time'] else ' (too slow)'}"
            grid[0].text(left[place] + 0.015 * max(left), place, text, va="center", fontsize=8)
        grid[0].set_yticks(range(len(bars)), [name for name, _ in bars])
        grid[0].invert_yaxis()
        grid[0].set_xlim(0, 1.35 * max(left))
        grid[0].set_xlabel("power, uW")
        _legend_below(grid[0], 3)
    return out[0]


def supply_plot(material: Material) -> str:
    """Power against supply; filled marks meet real time, open ones are too slow."""
    colour = colours(material)
    with axes("supply") as (grid, out):
        for system, hardware in _first_seeds(material).items():
            for (node, entries), style in zip(hardware["nodes"].items(), ("-", "--"), strict=False):
                volts, watts = [e["supply_v"] for e in entries], [1e6 * e["power_w"] for e in entries]
                grid[0].plot(volts, watts, style, color=colour[system], lw=1.2, label=f"{system}, {node}")
                for v, w, e in zip(volts, watts, entries, strict=True):
                    grid[0].plot(v, w, "o", ms=5, color=colour[system], mfc=colour[system] if e["real_time"] else "none")
        grid[0].set_yscale("log")
        grid[0].set_xlabel("supply, V")
        grid[0].set_ylabel("power, uW")
        plain_logarithm(grid[0].yaxis)
        _legend_below(grid[0], 2)
    return out[0]


def _first_seeds(material: Material) -> dict[str, dict[str, Any]]:
    firsts: dict[str, dict[str, Any]] = {}
    for (system, _), hardware in material.hardware.items():
        firsts.setdefault(system, hardware)
    return firsts


def mask_picture(n_rows: int, n_columns: int, kept: list[list[int]], label: str) -> str:
    """A layer's kept blocks, block row by block row, as hand-made SVG: one run of neighbours is one stroke."""
    strokes = []
    for row, columns in enumerate(kept):
        for _, run in itertools.groupby(enumerate(columns), key=lambda pair: pair[1] - pair[0]):
            run_columns = [column for _, column in run]
            width = len(run_columns)
            strokes.append(f"M{run_columns[0]} {row}h{width}v1h-{width}z")
    frame = f'<rect width="{n_columns}" height="{n_rows}" class="dropped"/>'
    size = f'viewBox="0 0 {n_columns} {n_rows}" style="aspect-ratio:{n_columns}/{n_rows}"'
    return f'<svg {size} class="mask" role="img" aria-label="{label}" shape-rendering="crispEdges">{frame}<path d="{"".join(strokes)}" class="kept"/></svg>'
