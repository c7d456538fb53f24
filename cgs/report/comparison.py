"""Is a compressed system worse than the dense float one? Paired differences over the same utterances, for each seed and pooled.

Owns who is compared with whom: every packed system, and every sparse float one, with the first dense float system of its task
and of the same seed; in a sweep, with its headline too."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cgs.base.errors import DataError
from cgs.base.experiment import Experiment, system_unit
from cgs.base.files import read_json, read_lines
from cgs.base.recipe import did_you_mean
from cgs.score.recognition import IntervalOptions

MEASURES = {"asr": ("wer", "ser"), "kws": ("auc",)}
LOWER_IS_BETTER = ("wer", "ser")
ALL_SEEDS = "all"


def compare(exp: Experiment, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every comparison of an experiment.

    Args:
        exp: the experiment, whose per-utterance results are read.
        rows: its rows, which say what there is.
    Returns: dicts of task, condition, measure, system, engine, baseline, seed (a number or "all"), difference (system less
        baseline, a fraction), interval [low, high], verdict ("not distinguishable", "worse", "better").
    Raises: DataError: two systems were scored on different utterances.
    """
    told = []
    for task, measures in MEASURES.items():
        baseline = exp.recipe.baseline(task)
        if baseline is None:
            continue
        for system, engine, condition, seeds in _candidates(rows, task, baseline):
            pairs = [_pair(exp.root, (system, engine, seed), (baseline, "float", _partner(exp, baseline, seed)), condition) for seed in seeds]
            groups: list[tuple[int | str, list]] = [(seed, [pair]) for seed, pair in zip(seeds, pairs, strict=True)]
            if len(seeds) > 1:
                groups.append((ALL_SEEDS, pairs))
            about = {"task": task, "condition": condition, "system": system, "engine": engine, "baseline": baseline}
            told += [about | {"measure": m, "seed": seed} | _difference(IntervalOptions.of(exp.recipe), m, group) for m in measures for seed, group in groups]
    return told


def between(
    root: Path, measure: str, ours: tuple[str, str], theirs: tuple[str, str], seeds: Sequence[int], condition: str, intervals: IntervalOptions
) -> dict[str, Any]:
    """One comparison of two systems, paired by utterance and by seed, and pooled over seeds.

    Args:
        root: the experiment's directory, whose per-utterance results are read.
        measure: "wer", "ser" or "auc".
        ours, theirs: system and engine ("float", "packed").
        seeds: at least one, of networks that both have.
        condition: of the test.
        intervals: how they are drawn.
    Returns: baseline (their system), difference (ours less theirs), interval and verdict.
    Raises: DataError: not scored, or on different utterances.
    """
    pairs = [_pair(root, (*ours, seed), (*theirs, seed), condition) for seed in seeds]
    return {"baseline": theirs[0]} | _difference(intervals, measure, pairs)


def scored_seeds(root: Path, ours: tuple[str, str], theirs: tuple[str, str], condition: str) -> tuple[str, list[int]]:
    """Task of two systems (see `between`) and the seeds that both are scored for. Raises: DataError: a system that is not there, or none in common."""
    found: list[dict[int, Path]] = []
    for system, engine in (ours, theirs):
        folders = {int(path.name.removeprefix("seed")): path for path in (root / "8-decode" / system).glob("seed*")}
        found.append({seed: path for seed, path in folders.items() if utterances_path(root, system, engine, seed, condition).exists()})
        if not found[-1]:
            known = sorted(path.name for path in (root / "8-decode").glob("*") if list(path.glob("seed*")))
            remedy = did_you_mean(system, known) if system not in known else ""
            raise DataError(f"{root}: nothing of {system}, {engine}, condition {condition}", remedy or f"decoded: {', '.join(known) or 'none'}")
    seeds = sorted(found[0].keys() & found[1].keys())
    tasks = {str(read_json(path / "result.json")["task"]) for side in found for path in side.values()}
    if not seeds or len(tasks) > 1:
        told = "no seed in common" if not seeds else "one spots keywords, the other one words"
        raise DataError(f"{root}: {ours[0]} and {theirs[0]}: {told}", "compare systems of one task, with a seed that both have")
    return tasks.pop(), seeds


def _candidates(rows: list[dict[str, Any]], task: str, baseline: str) -> Iterator[tuple[str, str, str, list[int]]]:
    found: dict[tuple[str, str, str], list[int]] = {}
    for row in rows:
        if row["task"] == task and row["method"] != "gmm" and (row["system"], row["engine"]) != (baseline, "float"):
            found.setdefault((row["system"], row["engine"], row["condition"]), []).append(row["seed"])
    for (system, engine, condition), seeds in found.items():
        yield system, engine, condition, seeds


def _partner(exp: Experiment, baseline: str, seed: int) -> int:
    seeds = exp.recipe.systems[baseline].seeds
    return seed if seed in seeds else seeds[0]


def utterances_path(root: Path, system: str, engine: str, seed: int, condition: str) -> Path:
    """File of a network's per-utterance results in one condition."""
    return root / system_unit("8-decode", system, seed) / f"{engine}.{condition.replace('/', '.')}.jsonl"


def _pair(root: Path, system: tuple[str, str, int], baseline: tuple[str, str, int], condition: str) -> tuple[list[dict], list[dict]]:
    paths = [utterances_path(root, *who, condition) for who in (system, baseline)]
    ours, theirs = ({line["id"]: line for line in map(json.loads, read_lines(path))} for path in paths)
    if ours.keys() != theirs.keys():
        odd = sorted(ours.keys() ^ theirs.keys())[0]
        raise DataError(f"{paths[0]} and {paths[1]} hold different utterances, e.g. {odd}", "run stage 8 again for both")
    return [ours[key] for key in sorted(ours)], [theirs[key] for key in sorted(ours)]


def _difference(intervals: IntervalOptions, measure: str, pairs: list[tuple[list[dict], list[dict]]]) -> dict[str, Any]:
    """Paired difference, pooled where there are several seeds; an utterance is drawn with its results of all seeds."""
    from cgs.score import roc, wer

    speakers = [line["speaker"] for line in pairs[0][0]]
    options = (intervals.level, intervals.n_resamplings, intervals.seed)
    if measure == "auc":
        present, ours, theirs = (np.concatenate(columns, axis=1) for columns in zip(*map(_detections, pairs), strict=True))
        found = roc.paired_auc_difference(present, ours, theirs, speakers, *options)
    else:
        columns = [[_errors(line, measure) for line in side] for pair in pairs for side in pair]
        ours, theirs = np.array(columns[0::2]).sum(axis=0), np.array(columns[1::2]).sum(axis=0)
        found = wer.paired_difference(ours[:, 0], theirs[:, 0], ours[:, 1], speakers, *options)
    if found is None:
        return {"difference": None, "interval": None, "verdict": "no data"}
    difference, low, high = found
    return {"difference": difference, "interval": [low, high], "verdict": verdict(measure, low, high)}


def _errors(line: dict[str, Any], measure: str) -> tuple[float, float]:
    errors = line["substitutions"] + line["insertions"] + line["deletions"]
    return (float(errors > 0), 1.0) if measure == "ser" else (float(errors), float(line["n_words"]))


def _detections(pair: tuple[list[dict], list[dict]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    ours, theirs = pair
    return np.array([line["present"] for line in ours]), np.array([line["confidence"] for line in ours]), np.array([line["confidence"] for line in theirs])


def verdict(measure: str, low: float, high: float) -> str:
    """What a paired interval says of the system against its baseline."""
    if low <= 0 <= high:
        return "not distinguishable"
    return "worse" if (low > 0) == (measure in LOWER_IS_BETTER) else "better"


def sentence(comparison: dict[str, Any]) -> str:
    """A comparison in words: "worse by 0.42 [0.10, 0.75]", in points of a hundred."""
    if comparison["interval"] is None:
        return comparison["verdict"]
    difference, (low, high) = 100 * comparison["difference"], (100 * end for end in comparison["interval"])
    if comparison["verdict"] == "not distinguishable":
        return f"not distinguishable ({difference:+.2f} [{low:+.2f}, {high:+.2f}])"
    low, high = sorted((abs(low), abs(high)))
    return f"{comparison['verdict']} by {abs(difference):.2f} [{low:.2f}, {high:.2f}]"
