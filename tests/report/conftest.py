"""A made experiment: every file that the report reads, with planted numbers, made in a second."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cgs.base.experiment import Experiment, network_unit, system_unit
from cgs.base.files import write_json, write_text
from cgs.base.options import Recipe
from cgs.hw.estimate import estimate
from cgs.quant.packed import PackedLayer, PackedModel, write_packed
from cgs.quant.sizes import sizes
from cgs.score.detection import Detected, score_detection, write_detection
from cgs.score.recognition import IntervalOptions, Recognised, score_recognition, write_recognition
from cgs.sparse.mask import draw_mask

CGS = {"method": "cgs", "density": 0.25, "block": 4}
RECIPE: dict[str, Any] = {
    "recipe": {"name": "made", "title": "Made & <measured>"},
    "corpus": {"licence": "none", "attribution": "nobody"},
    "lang": {"vocabularies": ["train", "lexicon"]},
    "systems": {
        "dense": {"task": "asr", "method": "dense", "hidden": [32, 32], "bits": 6, "seeds": [1, 2]},
        "cgs": {"task": "asr", **CGS, "hidden": [32, 32], "bits": 6, "seeds": [1, 2]},
        "kws_dense": {"task": "kws", "method": "dense", "hidden": [32], "bits": 5},
        "kws_cgs": {"task": "kws", **CGS, "hidden": [32], "bits": 5, "dense_output": True},
    },
    "report": {"bootstrap": 50},
}
INTERVALS = IntervalOptions(0.95, 50, 0)
KEYWORDS = ["one", "two"]


def layer(n_in: int, n_out: int, block: int, bits: int, last: bool, generator: np.random.Generator) -> PackedLayer:
    kept, shape = None, (n_out, n_in)
    if block:
        kept = draw_mask(n_out, n_in, block, 0.25, 1).kept
        shape = (*kept.shape, block, block)
    high = 1 << (bits - 1)
    weights = generator.integers(-high, high, shape).astype(np.int8)
    formats = (16, 8, 8, False, 4, 32, 9, False) if last else (16, 8, 8, False, 4, 8, 4, True)
    made = PackedLayer(n_in, n_out, block, kept, weights, np.zeros(n_out, dtype=np.int64), bits, 5, *formats)
    weights[~made.real_weights()] = 0
    return made


def packed_model(exp: Experiment, system: str, seed: int) -> PackedModel:
    options, generator = exp.recipe.systems[system], np.random.default_rng(seed)
    widths = [44 if options.task == "asr" else 26, *options.hidden, 20 if options.task == "asr" else 4]
    last = len(widths) - 2
    block = options.block if options.method == "cgs" else 0
    made = []
    for index, (n_in, n_out) in enumerate(zip(widths, widths[1:], strict=False)):
        made.append(layer(n_in, n_out, 0 if index == last and options.dense_output else block, options.bits, index == last, generator))
    facts = {"system": system, "note": "x" * 8 * seed, "features": {"kind": "fbank", "left": 0, "right": 0}}
    return PackedModel(tuple(made), facts)


LATTICE = {"beam": 6.0, "search_scale": 0.1, "n_narrowed": 0, "density": 12.34, "oracle_wer": 0.0123, "best_path_wer": 0.4321}
GRAPH = {"vocabulary": "train", "n_states": 12345, "n_arcs": 23456, "n_bytes": 7_500_000, "seconds": 65.0, "peak_rss_bytes": 321_000_000}


def recognised(error_rate: float, error_seed: int) -> list[Recognised]:
    generator, errors, made = np.random.default_rng(0), np.random.default_rng(error_seed), []
    for index in range(120):
        ref = tuple(generator.choice(["alpha", "bravo", "charlie", "delta"], 5))
        hyp = tuple("wrong" if errors.random() < error_rate else word for word in ref)
        made.append(Recognised(f"s{index % 12:02d}-{index:03d}", f"s{index % 12:02d}", ref, hyp))
    return made


def detected(spread: float, seed: int) -> list[Detected]:
    generator, made = np.random.default_rng(7), []
    noise = np.random.default_rng(seed)
    for index in range(120):
        words = (KEYWORDS[index % 2],) if generator.random() < 0.5 else ("other",)
        confidence = np.array([0.7 if keyword in words else 0.3 for keyword in KEYWORDS]) + noise.normal(0, spread, 2)
        made.append(Detected(f"s{index % 12:02d}-{index:03d}", f"s{index % 12:02d}", words, confidence.clip(0, 1), None))
    return made


def decode(out: Path, task: str, error: float, seed: int, engines: tuple[str, ...]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for shift, engine in enumerate(engines):
        told[engine] = {}
        for condition in ("test", "test/lexicon") if task == "asr" else ("test", "test_isolated"):
            stem = f"{engine}.{condition.replace('/', '.')}"
            if task == "asr":
                utterances = recognised(error, 100 * seed + 10 * (engine == "packed"))
                write_recognition(out, stem, utterances)
                entry = score_recognition(utterances, INTERVALS)
                if condition == "test" and engine != "gmm":
                    entry["lattice"] = LATTICE | {"mbr_wer": entry["wer"]}
            else:
                detections = detected(error, seed + shift)
                write_detection(out, stem, detections, KEYWORDS)
                entry = score_detection(detections, KEYWORDS, 600.0, INTERVALS)
            told[engine][condition] = entry | {"rtf": 0.05}
    return told


def make_network(exp: Experiment, system: str, seed: int, error: float) -> None:
    options = exp.recipe.systems[system]
    model = packed_model(exp, system, seed)
    with exp.unit(network_unit(options.task, system, seed), {}, [], []).writing() as out:
        epochs = [{"epoch": n, "train_loss": 3 / n, "held_out_loss": 3.2 / n + 0.02 * n} for n in range(1, 7)]
        write_text(out / "training.jsonl", "".join(json.dumps(e) + "\n" for e in epochs))
        write_json(out / "model.json", {"train_seconds": 61.0, "features": {"kind": "fbank"}, "spec": {}})
        (out / "model.safetensors").write_bytes(bytes(4 * sizes(model)["n_weights_kept"]))
    with exp.unit(system_unit("7-pack", system, seed), {}, [], []).writing() as out:
        write_packed(out / "model.cgs", model)
        write_json(out / "pack.json", sizes(model))
    with exp.unit(system_unit("8-decode", system, seed), {}, [], []).writing() as out:
        write_json(out / "result.json", {"task": options.task, "engines": decode(out, options.task, error, seed, ("float", "packed"))})
    with exp.unit(system_unit("9-hardware", system, seed), {}, [], []).writing() as out:
        write_json(out / "hardware.json", estimate(model, exp.recipe.hardware))


def make_experiment(root: Path, systems: tuple[str, ...] = tuple(RECIPE["systems"])) -> Experiment:
    recipe = Recipe(**(RECIPE | {"systems": {name: RECIPE["systems"][name] for name in systems}}))
    exp = Experiment(root, recipe, command="./run.sh --recipe made --corpus /somewhere/private")
    with exp.unit("1-data", {}, [], []).writing() as out:
        splits = {name: {"utterances": 120, "speakers": 12, "seconds": 600.0} for name in ("train", "dev", "test")}
        write_json(out / "data.json", {"splits": splits, "digest": "d" * 64})
    with exp.unit("2-lang", {}, [], []).writing() as out:
        prediction = {"test": {"perplexity": 12.34, "oov_rate": 0.015}}
        write_json(out / "lang.json", {"vocabularies": {"train": {"order": 3, "prediction": prediction}}})
    if recipe.has_task("asr"):
        with exp.unit("8-decode/graph/train", {}, [], []).writing() as out:
            write_json(out / "graph.json", GRAPH)
        with exp.unit("8-decode/gmm", {}, [], []).writing() as out:
            write_json(out / "result.json", {"task": "asr", "engines": decode(out, "asr", 0.12, 3, ("gmm",))})
    for system, _, seed in exp.systems():
        make_network(exp, system, seed, {"dense": 0.05, "cgs": 0.2, "kws_dense": 0.1, "kws_cgs": 0.1}[system])
    return exp


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    """Two acoustic systems of two seeds, the sparse one clearly worse; two keyword systems alike; a GMM."""
    return make_experiment(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="session")
def make() -> Callable[..., Experiment]:
    """Makes such an experiment in a given folder, with some of its systems only."""
    return make_experiment
