"""Results as rows: one for each network, seed, engine and test condition, and one for the GMM.

Owns the schema of a row in results.json. Numbers are fractions and SI units; null where a key does not apply."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cgs.base.experiment import Experiment, network_unit, system_unit
from cgs.base.files import read_json
from cgs.base.options import SystemOptions, each
from cgs.base.units import block_size

ROW_KEYS = (
    "system", "task", "method", "density", "block", "bits", "seed", "n_weights_kept", "weights_bytes", "file_bytes", "reduction_vs_float32",
    "reduction_vs_float64", "wer", "wer_ci", "ser", "ser_ci", "auc", "auc_ci", "rtf", "train_seconds", "hardware",
)  # fmt: skip
SCORE_KEYS = (
    "wer", "wer_ci", "ser", "ser_ci", "auc", "auc_ci", "rtf", "n_words", "n_utterances", "substitutions", "insertions", "deletions",
    "cer", "cer_ci", "n_characters", "confusions", "n_partial", "utterance_accuracy", "miss_rate_at_alarms_per_hour",
    "lattice", "n_unknown", "n_unknown_recognised", "n_unknown_hypothesised", "unknown_recall", "unknown_precision",
)  # fmt: skip
MAIN = "test"
"""The condition that claims are made about; others are named after their split, or split/vocabulary."""
FLOAT_BITS = 32
ENGINES = ("float", "packed")


def collect_rows(exp: Experiment) -> list[dict[str, Any]]:
    """Every row of an experiment: the GMM, then the systems in the recipe's order, by seed, condition and engine."""
    rows = list(_gmm_rows(exp))
    for system, _, seed in exp.systems():
        rows += _system_rows(exp, system, seed)
    return rows


def decoded(exp: Experiment, system: str, seed: int) -> dict[str, Any]:
    """result.json of stage 8 for one network. Raises: DataError: not decoded."""
    return read_json(exp.root / system_unit("8-decode", system, seed) / "result.json")


def conditions(engine: dict[str, Any]) -> list[str]:
    """Conditions of one engine, the main one first."""
    return sorted(engine, key=lambda name: (name != MAIN, name))


def _gmm_rows(exp: Experiment) -> Iterator[dict[str, Any]]:
    path = exp.root / "8-decode" / "gmm" / "result.json"
    if not path.exists():
        return
    for engine in read_json(path)["engines"].values():
        for condition in conditions(engine):
            base = {"system": "gmm", "task": "asr", "method": "gmm", "seed": exp.recipe.recipe.seed, "engine": "gmm", "condition": condition}
            yield _blank() | base | _scores(engine[condition])


def _system_rows(exp: Experiment, system: str, seed: int) -> Iterator[dict[str, Any]]:
    options = exp.recipe.systems[system]
    network = exp.root / network_unit(options.task, system, seed)
    pack = read_json(exp.root / system_unit("7-pack", system, seed) / "pack.json")
    shared = {
        "system": system,
        "task": options.task,
        "method": options.method,
        "density": options.density if isinstance(options.density, float) else pack["n_weights_kept"] / pack["n_weights_dense"],
        "block": _block(options),
        "seed": seed,
        "n_weights_kept": pack["n_weights_kept"],
        "train_seconds": read_json(network / "model.json").get("train_seconds"),
    }
    engines = decoded(exp, system, seed)["engines"]
    sizes = {"float": _float_sizes(network, pack), "packed": _packed_sizes(pack)}
    sizes["packed"]["hardware"] = _hardware(read_json(exp.root / system_unit("9-hardware", system, seed) / "hardware.json"))
    for condition in conditions(engines[ENGINES[0]]):
        for engine in ENGINES:
            if condition in engines.get(engine, {}):
                yield _blank() | shared | sizes[engine] | {"engine": engine, "condition": condition} | _scores(engines[engine][condition])


def _block(options: SystemOptions) -> Any:
    """The blocks of a system: the option itself where they are square, else outputs x inputs, "16x64", of all matrices or of each."""
    if options.block_in == 0:
        return options.block
    n = max(len(value) if isinstance(value, list) else 1 for value in (options.block, options.block_in))
    return ", ".join(block_size(*sides) for sides in zip(each(options.block, n), each(options.block_in, n), strict=True))


def _blank() -> dict[str, Any]:
    return dict.fromkeys(ROW_KEYS)


def _scores(entry: dict[str, Any]) -> dict[str, Any]:
    scores = {key: entry.get(key) for key in SCORE_KEYS if key in entry or key in ROW_KEYS}
    if "per_keyword" in entry:
        scores["per_keyword"] = {word: {key: value.get(key) for key in ("auc", "auc_ci", "n_positive")} for word, value in entry["per_keyword"].items()}
    return scores


def _float_sizes(network: Path, pack: dict[str, Any]) -> dict[str, Any]:
    """Sizes of the float network as it lies on disk, against the dense network of the same shape."""
    n_bytes = (network / "model.safetensors").stat().st_size
    dense = pack["n_weights_dense"]
    return {
        "bits": FLOAT_BITS,
        "weights_bytes": 4 * pack["n_weights_kept"],
        "file_bytes": n_bytes,
        "reduction_vs_float32": 1 - n_bytes / (4 * dense),
        "reduction_vs_float64": 1 - n_bytes / (8 * dense),
    }


def _packed_sizes(pack: dict[str, Any]) -> dict[str, Any]:
    return {key: pack[key] for key in ("bits", "weights_bytes", "file_bytes", "reduction_vs_float32", "reduction_vs_float64")}


def _hardware(hardware: dict[str, Any]) -> dict[str, Any]:
    return {node: row | {"real_time": hardware["reference"][node]["real_time"]} for node, row in hardware["summary"].items()}
