"""A sweep's results: a row a point, means over seeds, and what no other point beats in error and cost at once."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cgs.base.experiment import Experiment, network_of, system_unit
from cgs.base.files import read_json
from cgs.base.sweep import Sweep
from cgs.base.units import file_size, percent, with_prefix
from cgs.report.comparison import ALL_SEEDS, MEASURES, between, compare
from cgs.report.results import RATES, about
from cgs.report.rows import MAIN, collect_rows
from cgs.report.tables import number
from cgs.score.recognition import IntervalOptions

COSTS = ("file_bytes", "power_w")
"""What error is weighed against: bytes of the packed file, W at the reference supply."""
NO_DIFFERENCE: dict[str, Any] = {"difference": None, "ser_difference": None}


def pareto_front(pairs: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the pairs (cost, error) that no other one beats: none is as good in both and better in one.

    Returns: by rising cost; of equal pairs all or none.
    """
    front: list[int] = []
    for index in sorted(range(len(pairs)), key=lambda i: pairs[i]):
        if not front or pairs[index][1] < pairs[front[-1]][1] or pairs[index] == pairs[front[-1]]:
            front.append(index)
    return front


def point_row(exp: Experiment, name: str, seed: int) -> dict[str, Any]:
    """What a finished point came to in the main condition: the packed model.

    Returns: system, seed, task, engine, measure ("wer" or "auc"), value with its interval, float_value of the trained network, ser (of recognition),
        file_bytes, fraction_of_float32 (of the file of the dense float network of that shape), power_w and the powers by node,
        n_weights_kept, train_seconds.
    Raises: DataError: a stage has not been run.
    """
    rows = collect_rows(replace(exp, chosen=frozenset({(name, seed)})))
    engines = {row["engine"]: row for row in rows if row["condition"] == MAIN and row["system"] == name}
    shown = engines["packed"]
    measure = MEASURES[shown["task"]][0]
    chips = {node: chip["power_w"] for node, chip in shown["hardware"].items()}
    return {
        "system": name,
        "seed": seed,
        "task": shown["task"],
        "engine": shown["engine"],
        "measure": measure,
        "value": shown[measure],
        "interval": shown[f"{measure}_ci"],
        "float_value": engines["float"][measure],
        **{second: shown[second] for second in MEASURES[shown["task"]][1:]},
        "file_bytes": shown["file_bytes"],
        "fraction_of_float32": 1 - shown["reduction_vs_float32"],
        "power_w": chips.get(exp.recipe.hardware.nodes[0]),
        "power_by_node_w": chips,
        "n_weights_kept": shown["n_weights_kept"],
        "train_seconds": shown["train_seconds"],
    }


def in_short(row: Mapping[str, Any], rate: str = "WER") -> str:
    """A point's row in a few words: "WER 1.20 %, 20.1 kB, 14.1 uW"."""
    score = f"{rate} {percent(row['value'])} %" if row["measure"] == "wer" else f"AUC {number(row['value'])}"
    return ", ".join([score, file_size(row["file_bytes"]), *([with_prefix(row["power_w"], "W")] if row["power_w"] else [])])


def error_of(measure: str, value: float) -> float:
    """A fraction that is better where it is lower: the error rate itself, or 1 - AUC."""
    return 1 - value if measure == "auc" else value


def gather(exp: Experiment, sweep: Sweep, impossible: Mapping[str, str], failed: Mapping[tuple[str, int], str]) -> dict[str, Any]:
    """The document of a sweep's results.json.

    Args:
        exp: the experiment with the sweep's systems; the chosen points are finished.
        sweep: what was asked for.
        impossible: reasons by system.
        failed: reasons by (system, seed).
    Returns: facts of the run, axes, `rows` (one a point: status "done", "not possible", "failed" or "not made", reason, options, what
        `point_row` says, difference and ser_difference from the dense float network of the same seed, of which fraction_of_float32 and kept, the share of
        its weights that exist, are too), `summary` (one a system: means over seeds, whether on a front, difference from the headline), `baselines` by task.
    Raises: DataError: a file is missing or damaged.
    """
    differences, finished, axes = _differences(exp), exp.chosen or frozenset(), sweep.axes()
    dense = {task: _dense_sizes(exp, task) for task in MEASURES}
    rows = []
    for point in sweep.points:
        for seed in point.seeds:
            options = point.options | {axis: point.value(axis) for axis in axes}
            row: dict[str, Any] = {"system": point.name, "network": network_of(point.name), "seed": seed, "options": options, "reason": ""}
            if point.name in impossible:
                row |= {"status": "not possible", "reason": impossible[point.name]}
            elif (point.name, seed) in finished:
                row |= {"status": "done", "kept": None} | differences.get((point.name, seed), NO_DIFFERENCE) | point_row(exp, point.name, seed)
                if row["file_bytes"] and (sizes := dense[row["task"]]):
                    row |= {"fraction_of_float32": row["file_bytes"] / sizes[0], "kept": row["n_weights_kept"] / sizes[1]}
            else:
                row |= {"status": "failed" if (point.name, seed) in failed else "not made", "reason": failed.get((point.name, seed), "")}
            rows.append(row)
    tasks = {row["task"] for row in rows if row["status"] == "done"}
    facts: dict[str, Any] = {"sweep": sweep.name, "sweep_title": sweep.title, "axes": axes, "node": exp.recipe.hardware.nodes[0]}
    facts |= {"rate": RATES[exp.recipe.report.unit], "baselines": {task: found for task in sorted(tasks) if (found := _baseline(exp, task))}}
    return about(exp) | facts | {"rows": rows, "summary": _against_headline(exp, sweep, _summary(rows, differences))}


def _against_headline(exp: Experiment, sweep: Sweep, summary: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The summary with what each system is worth against the headline of its task, on the seeds that both have; None where there is no such."""
    engines = {entry["system"]: entry["engine"] for entry in summary}
    for entry in summary:
        headline, entry["against_headline"] = sweep.headline(entry["task"]), None
        if headline and headline.name in engines and headline.name != entry["system"]:
            seeds = [seed for seed in headline.seeds if {(headline.name, seed), (entry["system"], seed)} <= (exp.chosen or set())]
            pair = [(system, engines[system]) for system in (entry["system"], headline.name)]
            entry["against_headline"] = between(exp.root, entry["measure"], pair[0], pair[1], seeds, MAIN, IntervalOptions.of(exp.recipe)) if seeds else None
    return summary


def _dense_sizes(exp: Experiment, task: str) -> tuple[int, int] | None:
    """Bytes of all parameters, in 32-bit floats, and weights of the dense network that points are compared with; None where none is finished."""
    packs = [system_unit("7-pack", system, seed) for system, seed in sorted(exp.chosen or ()) if system == exp.recipe.baseline(task)]
    told = read_json(exp.root / packs[0] / "pack.json") if packs else None
    return (4 * int(told["n_weights_dense"]), int(told["n_weights_kept"])) if told else None


def _differences(exp: Experiment) -> dict[tuple[str, int | str], dict[str, Any]]:
    """{(system, seed or "all"): difference and ser_difference} of what `point_row` shows, where the dense network of that seed is finished."""
    found = [row for row in collect_rows(exp) if row["condition"] == MAIN and row["method"] != "gmm"]
    rows = [row for row in found if (exp.recipe.baseline(row["task"]), row["seed"]) in (exp.chosen or ())]
    engines = {row["system"]: row["engine"] for row in rows}  # packed after float, where there is one
    told: dict[tuple[str, int | str], dict[str, Any]] = {}
    for c in compare(exp, rows):
        if c["engine"] == engines[c["system"]]:
            key = "ser_difference" if c["measure"] == "ser" else "difference"
            mine = told.setdefault((c["system"], c["seed"]), dict(NO_DIFFERENCE))
            mine[key] = {key: c[key] for key in ("baseline", "difference", "interval", "verdict")}
    return told


def _baseline(exp: Experiment, task: str) -> dict[str, Any] | None:
    """Mean over seeds of the dense float network that points are compared with."""
    name = exp.recipe.baseline(task)
    values = [point_row(exp, system, seed)["float_value"] for system, seed in sorted(exp.chosen or ()) if system == name]
    return {"system": name, "n_seeds": len(values), "float_value": statistics.fmean(values)} if values else None


def _summary(rows: Sequence[Mapping[str, Any]], differences: Mapping[tuple[str, int | str], dict[str, Any]]) -> list[dict[str, Any]]:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["status"] == "done" and row["value"] is not None:
            groups.setdefault(row["system"], []).append(row)
    told = []
    for system, group in groups.items():
        first, values = group[0], [row["value"] for row in group]
        entry = {key: first[key] for key in ("system", "network", "task", "engine", "measure", "options")}
        entry |= {"n_seeds": len(group), "value": {"mean": statistics.fmean(values), "min": min(values), "max": max(values)}}
        meant = [key for key in (*COSTS, "fraction_of_float32", "kept", "ser") if key in first]
        entry |= {key: None if first[key] is None else statistics.fmean(row[key] for row in group) for key in meant}
        entry |= differences.get((system, ALL_SEEDS if len(group) > 1 else first["seed"]), NO_DIFFERENCE)
        told.append(entry | {"on_front": {cost: False for cost in COSTS}})
    for task in {entry["task"] for entry in told}:
        for cost in COSTS:
            mine = [entry for entry in told if entry["task"] == task and entry[cost] is not None and math.isfinite(entry[cost])]
            for index in pareto_front([(entry[cost], error_of(entry["measure"], entry["value"]["mean"])) for entry in mine]):
                mine[index]["on_front"][cost] = True
    return told
