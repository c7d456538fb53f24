"""Everything a report is made from, read once: the document of results.json, and the curves and pictures beside it."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass, field
from typing import Any

from cgs.base.experiment import Experiment, network_unit, system_unit
from cgs.base.files import digest_of, read_json, read_lines
from cgs.base.options import SystemOptions
from cgs.gmm.checkpoints import PHASES
from cgs.quant.model import PackedModel
from cgs.report.comparison import compare
from cgs.report.provenance import commit, machine, shown_command
from cgs.report.rows import MAIN, collect_rows, decoded

LADDER_KEYS = ("wer", "wer_ci", "ser", "ser_ci", "substitutions", "insertions", "deletions")
RATES = {"word": "WER", "phone": "PER", "character": "CER"}
"""Name of the error rate for each report.unit."""


@dataclass
class Material:
    """What the tables and plots read.

    Args:
        results: the document of results.json.
        hardware: hardware.json by (system, seed).
        training: lines of training.jsonl by (system, seed).
        roc: (false-alarm rates, detection rates) by (system, engine, seed), main condition.
        masks: by system, for each layer (rows, columns, kept block columns of each row); None for a dense layer.
        models: by system, the packed model of its first seed.
        n_words: by system, words spoken in the test split, of networks that recognise words.
    """

    results: dict[str, Any]
    hardware: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    training: dict[tuple[str, int], list[dict[str, Any]]] = field(default_factory=dict)
    roc: dict[tuple[str, str, int], tuple[list[float], list[float]]] = field(default_factory=dict)
    masks: dict[str, list[tuple[int, int, list[list[int]]] | None]] = field(default_factory=dict)
    models: dict[str, PackedModel] = field(default_factory=dict)
    n_words: dict[str, int] = field(default_factory=dict)

    def measure_name(self, measure: str) -> str:
        """A measure as tables and plots call it: "wer" is WER, or PER or CER where words are phones or characters."""
        return RATES[self.results["unit"]] if measure == "wer" else measure.upper()

    def rows(self, task: str, main: bool = True) -> list[dict[str, Any]]:
        """Rows of a task, in the main condition or in the others."""
        return [row for row in self.results["rows"] if row["task"] == task and (row["condition"] == MAIN) == main]


def gather(exp: Experiment) -> Material:
    """Read a finished experiment. Raises: DataError: a file is missing or damaged."""
    rows = collect_rows(exp)
    data = read_json(exp.root / "1-data" / "data.json")
    lang = exp.root / "2-lang" / "lang.json"
    material = Material(
        about(exp)
        | {
            "data": {"splits": data["splits"], "dropped": data.get("dropped", {}), "notes": data.get("notes", {})},
            "lang": read_json(lang) if lang.exists() else {},
            "graphs": _graphs(exp),
            "ladder": _ladder(exp),
            "rows": rows,
            "summary": summarise(rows),
            "comparisons": compare(exp, rows),
        }
    )
    for system, system_options, seed in exp.systems():
        _add_network(material, exp, system, system_options, seed)
    return material


def about(exp: Experiment) -> dict[str, Any]:
    """What results were made from and with, for the head of a report."""
    options = exp.recipe
    return {
        "recipe": options.recipe.name,
        "title": options.recipe.title,
        "corpus": {"licence": options.corpus.licence, "attribution": options.corpus.attribution},
        "command": shown_command(exp.command),
        "commit": commit(),
        "config_digest": digest_of(options.model_dump()),
        "data_digest": read_json(exp.root / "1-data" / "data.json")["digest"],
        "machine": machine(),
        "reference_supply_v": options.hardware.reference_supply_v,
        "n_macs": options.hardware.n_macs,
        "confidence": options.report.confidence,
        "unit": options.report.unit,
    }


def _graphs(exp: Experiment) -> list[dict[str, Any]]:
    """graph.json of each vocabulary, where it says what making it took."""
    paths = (exp.root / "8-decode" / "graph" / vocabulary / "graph.json" for vocabulary in exp.recipe.lang.vocabularies)
    told = [read_json(path) for path in paths if path.exists()]
    return [graph for graph in told if "peak_rss_bytes" in graph]


def _ladder(exp: Experiment) -> list[dict[str, Any]]:
    """Step, size and scores of each GMM below the aligning one, in the order of training."""
    paths = {step: exp.root / "8-decode" / "ladder" / step / "result.json" for step in PHASES if exp.recipe.decode.ladder}
    told = {step: read_json(path) for step, path in paths.items() if path.exists()}
    return [{"step": step} | found["model"] | {key: found["engines"]["gmm"][MAIN][key] for key in LADDER_KEYS} for step, found in told.items()]


def _add_network(material: Material, exp: Experiment, system: str, options: SystemOptions, seed: int) -> None:
    training = exp.root / network_unit(options.task, system, seed) / "training.jsonl"
    material.training[system, seed] = [json.loads(line) for line in read_lines(training)] if training.exists() else []
    material.hardware[system, seed] = read_json(exp.root / system_unit("9-hardware", system, seed) / "hardware.json")
    for engine, entries in decoded(exp, system, seed)["engines"].items():
        curve = entries.get(MAIN, {}).get("roc")
        if curve:
            material.roc[system, engine, seed] = curve["false_alarm_rate"], curve["detection_rate"]
        material.n_words[system] = entries.get(MAIN, {}).get("n_words", 0)
    if system not in material.models:
        from cgs.quant.packed import read_packed

        material.models[system] = read_packed(exp.root / system_unit("7-pack", system, seed) / "model.cgs")
        layers = material.models[system].layers
        if any(x.kept is not None for x in layers):
            material.masks[system] = [None if x.kept is None else (x.n_block_rows, x.n_block_columns, x.kept.tolist()) for x in layers]


def summarise(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean, smallest and largest value over the seeds of each system, engine and condition."""
    groups: dict[tuple[str, str, str, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["system"], row["task"], row["engine"], row["condition"]), []).append(row)
    told = []
    for (system, task, engine, condition), group in groups.items():
        entry: dict[str, Any] = {"system": system, "task": task, "engine": engine, "condition": condition, "n_seeds": len(group)}
        for measure in ("wer", "ser", "auc", "file_bytes", "train_seconds"):
            values = [row[measure] for row in group if row[measure] is not None]
            entry[measure] = {"mean": statistics.fmean(values), "min": min(values), "max": max(values)} if values else None
        told.append(entry)
    return told
