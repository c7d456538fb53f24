"""From a finished experiment to a model directory, see `cgs.decode.model_dir`."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cgs.base.errors import ConfigError, DataError, FormatError
from cgs.base.experiment import network_of, network_unit, system_unit
from cgs.base.files import file_digest, new_directory, read_json, write_json, write_text
from cgs.base.recipe import did_you_mean
from cgs.base.unit import read_stamp
from cgs.decode.graph import GRAPH_FILE
from cgs.decode.model_dir import CMVN_STEM, KIND, LANG_DIR, MODEL_FILE, NETWORK_DIR, TRANSITIONS_FILE, VERSION, Model, write_transitions
from cgs.decode.scores import PACKED_FILE
from cgs.feats.archive import read_archive, write_archive
from cgs.gmm.model import AcousticGmm
from cgs.lang.pieces import SUBWORD
from cgs.nn.network import MODEL_FILE as NETWORK_FILE
from cgs.nn.network import WEIGHTS_FILE

LANG_FILES = ("words.txt", "phones.txt", "sets.txt", "lexicon.txt")
REPORT = "10-report"
COPIES = ("speeds", "noise")
"""Options of features that only copies of the training split have."""


@dataclass(frozen=True)
class Choice:
    """Which model of an experiment.

    Args:
        system: name of a [systems.NAME] table, or of a point of a sweep.
        seed: of the network; None for the lowest there is.
        vocabulary: of the decoding graph; "" for the recipe's first.
        engine: the packed integer model, or the float weights.
    """

    system: str
    seed: int | None = None
    vocabulary: str = ""
    engine: Literal["packed", "float"] = "packed"


def export(root: Path, choice: Choice, out: Path, made_by: Mapping[str, Any]) -> dict[str, Any]:
    """Write a model directory, whole or not at all.

    Args:
        root: an experiment's directory, its report made.
        choice: which of its models.
        out: the directory to make.
        made_by: commit and versions of the program, for model.json.
    Returns: what model.json says.
    Raises: ConfigError: no such system, seed or vocabulary; features that need more than one recording; `out` is there already.
        DataError: a stage has not been run. FormatError: a file was altered since its stage made it.
    """
    with new_directory(out) as aside:
        task, seed = _found(root, choice)
        facts = _write(root, choice, task, seed, aside) | {"made_by": dict(made_by)}
        write_text(aside / "NOTICE", _notice(facts))
        files = sorted(path for path in aside.rglob("*") if path.is_file())
        facts["files"] = {path.relative_to(aside).as_posix(): file_digest(path) for path in files}
        write_json(aside / MODEL_FILE, facts)
        Model(aside).load()
    return facts


def _found(root: Path, choice: Choice) -> tuple[str, int]:
    """Task and seed of the chosen system."""
    folders = {path.name: (task, path) for task, stage in (("asr", "5-acoustic"), ("kws", "6-keyword")) for path in sorted((root / stage).glob("[!.]*"))}
    if not folders:
        raise DataError(f"{root}: no trained network in it", "give the folder of an experiment, e.g. exp/mini_rm, after its last stage")
    network = network_of(choice.system)
    if network not in folders:
        remedy = did_you_mean(choice.system, list(folders)) or f"systems: {', '.join(folders)}"
        raise ConfigError(f"{root}: no system {choice.system!r}", remedy)
    task, folder = folders[network]
    seeds = sorted(int(path.name[4:]) for path in folder.glob("seed*") if path.name[4:].isdigit())
    if not seeds:
        raise DataError(f"{folder}: not trained yet", "run the recipe to its end")
    if choice.seed is not None and choice.seed not in seeds:
        raise ConfigError(f"{folder}: no seed {choice.seed}", f"seeds: {', '.join(map(str, seeds))}")
    return task, seeds[0] if choice.seed is None else choice.seed


def _write(root: Path, choice: Choice, task: str, seed: int, out: Path) -> dict[str, Any]:
    """Write everything but model.json and NOTICE; returns what model.json says of it."""
    network, decoded = network_unit(task, choice.system, seed), system_unit("8-decode", choice.system, seed)
    _copy(root, network, NETWORK_FILE, out / NETWORK_DIR)
    if choice.engine == "packed":
        _copy(root, system_unit("7-pack", choice.system, seed), PACKED_FILE, out / NETWORK_DIR)
    else:
        _copy(root, network, WEIGHTS_FILE, out / NETWORK_DIR)
    described, made = read_json(out / NETWORK_DIR / NETWORK_FILE), _options(root, "3-feats")
    features = described["features"]
    if features["kind"] == "fmllr":
        told = f"{choice.system}: its features are adapted to each speaker by two decodings of all that the speaker says, more than a file or a stream holds"
        raise ConfigError(told, "export a network trained with nn.features = \"fbank\"")
    if made.get("feats.rate", "none") != "none":
        told = f"{choice.system}: its frames are spaced by how fast each speaker speaks, which a file or a stream alone does not tell"
        raise ConfigError(told, 'export a network trained with feats.rate = "none"')
    write_archive(out, CMVN_STEM, read_archive(root / "3-feats" / features["kind"] / f"{CMVN_STEM}.scp").items(), Path("."))
    report = _options(root, REPORT)
    results = read_json(root / decoded / "result.json")
    facts = {
        "kind": KIND, "version": VERSION, "task": task, "engine": choice.engine, "system": choice.system, "seed": seed,
        "sample_rate": made["data.sample_rate"], "feats": _group(made, "feats"), "features": features,
        "recipe": {"name": report["recipe.name"], "title": report["recipe.title"]},
        "corpus": {"licence": report["corpus.licence"], "attribution": report["corpus.attribution"]},
        "trained": {key: read_json(root / REPORT / "results.json").get(key) for key in ("commit", "config_digest", "data_digest")},
    }  # fmt: skip
    if task == "kws":
        windows = {key: _options(root, decoded)[key] for key in ("smooth_frames", "window_frames")}
        return facts | {"kws": windows | {"keywords": described["classes"][2:]}, "measured": _measured(results, choice.engine, "test")}
    return facts | _write_search(root, choice, decoded, results, out)


def _write_search(root: Path, choice: Choice, decoded: str, results: dict[str, Any], out: Path) -> dict[str, Any]:
    """Graph, words, phones and transition-ids, and the weights of the search."""
    options = _options(root, decoded)
    known = options["vocabularies"]
    vocabulary = choice.vocabulary or known[0]
    if vocabulary == SUBWORD:
        raise ConfigError(f"{root}: the vocabulary {SUBWORD!r} spells words in pieces, which an exported model cannot join", "choose another with --vocabulary")
    if not (root / "8-decode" / "graph" / vocabulary / GRAPH_FILE).is_file():
        raise ConfigError(f"{root}: no decoding graph of vocabulary {vocabulary!r}", f"vocabularies: {', '.join(known)}")
    _copy(root, f"8-decode/graph/{vocabulary}", GRAPH_FILE, out)
    for name in LANG_FILES:
        _copy(root, "2-lang", name, out / LANG_DIR)
    write_transitions(out / TRANSITIONS_FILE, AcousticGmm.load(root / "4-align").transitions)
    weights = {key: results["tuned"][key] for key in ("acoustic_scale", "insertion_penalty")}
    search = weights | {key: options[f"decode.{key}"] for key in ("beam", "max_active")} | {"vocabulary": vocabulary}
    return {"decode": search, "measured": _measured(results, choice.engine, "test" if vocabulary == known[0] else f"test/{vocabulary}")}


def _measured(results: dict[str, Any], engine: str, condition: str) -> dict[str, Any]:
    """What stage 8 measured of this model: its main figure on the test split, with the interval."""
    entry = results["engines"][engine].get(condition, {})
    return {key: entry[key] for key in ("wer", "wer_ci", "auc", "auc_ci") if key in entry}


def _options(root: Path, unit: str) -> dict[str, Any]:
    """The options that a unit was made with, whatever the recipe says now. Raises: DataError: it has not been made."""
    options = read_stamp(root / unit).get("options")
    if not isinstance(options, dict):
        raise DataError(f"{root / unit}: not made yet", f"run the recipe to its end, from --stage {unit.partition('-')[0]}")
    return options


def _group(options: Mapping[str, Any], group: str) -> dict[str, Any]:
    mine = {key.removeprefix(f"{group}."): value for key, value in options.items() if key.startswith(f"{group}.")}
    return {key: value for key, value in mine.items() if key.partition(".")[0] not in COPIES}


def _copy(root: Path, unit: str, name: str, folder: Path) -> None:
    """Copy a file of a finished unit, checked against the unit's stamp."""
    source, stamp = root / unit / name, read_stamp(root / unit)
    if not stamp:
        raise DataError(f"{root / unit}: not made yet", f"run the recipe to its end, from --stage {unit.partition('-')[0]}")
    folder.mkdir(parents=True, exist_ok=True)
    if source.is_file():
        shutil.copyfile(source, folder / name)
    if not source.is_file() or file_digest(folder / name) != stamp["sha256"].get(name):
        raise FormatError(f"{source}: missing or altered since it was made", f"remove {root / unit} and run from --stage {unit.partition('-')[0]}")


def _notice(facts: dict[str, Any]) -> str:
    corpus, what = facts["corpus"], "speech recogniser" if facts["task"] == "asr" else "keyword spotter"
    return (
        f"{facts['system']}, seed {facts['seed']}: a {what} of the recipe {facts['recipe']['name']}.\n\n"
        f"Trained on: {facts['recipe']['title']}\nBy: {corpus['attribution']}\nLicence of that corpus: {corpus['licence']}\n"
        "Read it before you pass this model on: it may ask you to name its authors, or to share what you make of it alike.\n\n"
        "The method, coarse-grain sparsity, is listed by Arizona State University as licensable technology (case M16-181P).\n"
    )
