"""Stage 7 on an experiment of planted features and alignments: from networks to packed files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cgs.base.errors import CgsError
from cgs.base.experiment import Experiment
from cgs.base.files import read_json, write_json, write_text
from cgs.base.options import Recipe
from cgs.decode.scores import NetworkScores
from cgs.feats.archive import write_archive
from cgs.feats.cmvn import statistics
from cgs.nn.distil import Distillation
from cgs.nn.network import Network
from cgs.quant.engine import IntegerEngine
from cgs.quant.packed import read_packed
from cgs.stages import acoustic, hardware, keyword, pack

N_PDFS, N_UTTERANCES = 4, 12


def recipe(systems: dict | None = None, **changes) -> Recipe:
    training = {"epochs": 4, "minibatch": 32, "learning_rate": 1e-2, "dropout": 0.0, "held_out_fraction": 0.2, "left_context": 1, "right_context": 1}
    training |= {"chunk_frames": 15, "minibatch_chunks": 2, "warmup_frames": 5}
    shape = {"method": "cgs", "density": 0.5, "hidden": [16, 16], "dense_output": True, "bits": 5}
    return Recipe(
        recipe={"name": "planted", "title": "planted"},
        corpus={"licence": "none", "attribution": "none"},
        nn=training,
        kws=training | {"frame_stride": 2},
        systems={"asr_cgs": {"task": "asr", "block": 4, **shape}, "kws_cgs": {"task": "kws", "block": 4, **shape}} | (systems or {}),
        pack={"epochs": 1, **changes},
    )


def plant(root: Path, exp: Experiment) -> None:
    """Units 1 to 4 with the files that networks learn from."""
    random = np.random.default_rng(0)
    names = [f"s{i % 4}-u{i:02d}" for i in range(N_UTTERANCES)]
    with exp.unit("1-data", {}, [], []).writing() as out:
        write_text(out / "keywords.txt", "go\nstop\n")
    with exp.unit("2-lang", {}, [], []).writing() as out:
        write_text(out / "words.txt", "<eps> 0\ngo 1\nhere 2\nstop 3\n")
    labels = {name: random.integers(0, N_PDFS, 10).repeat(6).astype(np.int32) for name in names}
    unit = exp.unit("3-feats", {}, [], [])
    with unit.writing() as out:
        write_text(out / "utt2spk_train", "".join(f"{name} {name[:2]}\n" for name in sorted(names)))
        write_json(out / "feats.json", {"splits": {"train": {}}})
        for kind in ("fbank", "mfcc"):
            place = random.normal(size=(N_PDFS, 8))
            features = {n: (place[v] + 0.5 * random.normal(size=(len(v), 8))).astype(np.float32) for n, v in sorted(labels.items())}
            write_archive(out / kind, "train", features.items(), unit.path / kind)
            by_speaker = {s: sum(statistics(features[n]) for n in names if n[:2] == s) for s in ("s0", "s1", "s2", "s3")}
            write_archive(out / kind, "cmvn_train", by_speaker.items(), unit.path / kind)
            write_archive(out / kind, "cmvn_global", [("global", sum(by_speaker.values()))], unit.path / kind)
    unit = exp.unit("4-align", {}, [], [])
    with unit.writing() as out:
        for what in ("pdf", "word"):
            write_archive(out, f"{what}_train", sorted(labels.items()), unit.path)
        write_json(out / "align.json", {"n_pdfs": N_PDFS})


@pytest.fixture
def exp(tmp_path, monkeypatch) -> Experiment:
    for stage in (acoustic, keyword, pack):
        monkeypatch.setattr(stage, "run_jobs", lambda function, items, *_: [function(item) for item in items])
    exp = Experiment(tmp_path / "exp", recipe())
    plant(exp.root, exp)
    return exp


def test_every_network_becomes_a_packed_file_that_says_what_it_is(exp):
    acoustic.run(exp)
    keyword.run(exp)
    pack.run(exp)
    for name, task, n_out in (("asr_cgs", "asr", N_PDFS), ("kws_cgs", "kws", 4)):
        unit = exp.root / "7-pack" / name / "seed1"
        facts, model = read_json(unit / "pack.json"), read_packed(unit / "model.cgs")
        assert (facts["task"], facts["system"], facts["bits"], facts["activation_bits"]) == (task, name, 5, 8)
        assert facts["file_bytes"] == (unit / "model.cgs").stat().st_size
        assert facts["reduction_vs_float32"] == 1 - facts["file_bytes"] / (4 * facts["n_weights_dense"])
        assert facts["engine_difference"] == 0.0
        assert facts["held_out"][facts["chosen"]]["accuracy"] > 0.5
        assert IntegerEngine(model).logits(np.zeros((3, 24), dtype=np.float32)).shape == (3, n_out)
        assert model.meta["features"] == {"kind": "fbank" if task == "asr" else "mfcc", "cmvn": "speaker" if task == "asr" else "global", "left": 1, "right": 1}
        assert model.meta["classes"] == (None if task == "asr" else ["<silence>", "<other>", "go", "stop"])
    assert all(unit.up_to_date() for unit in pack.units(exp))


def test_a_changed_option_makes_the_right_units_stale(exp):
    acoustic.run(exp)
    keyword.run(exp)
    pack.run(exp)
    changed = Experiment(exp.root, recipe(activation_bits=9))
    assert [unit.why_stale() for unit in pack.units(changed)] == ["option pack.activation_bits 8 -> 9"] * 2
    assert not any(unit.why_stale() for unit in acoustic.units(changed) + keyword.units(changed))


def test_bits_by_layer_mixed_bits_and_storage_are_told(exp):
    listed = {"kws_cgs": {"task": "kws", "method": "cgs", "density": 0.5, "block": 4, "hidden": [16, 16], "dense_output": True, "bits": [6, 3, 8]}}
    wanted = Experiment(exp.root, recipe(listed, storage="smallest", mixed_bits=4.5, epochs=0))
    acoustic.run(wanted)
    keyword.run(wanted)
    pack.run(wanted)
    for name, before in (("asr_cgs", [5, 5, 5]), ("kws_cgs", [6, 3, 8])):
        unit = exp.root / "7-pack" / name / "seed1"
        facts, model = read_json(unit / "pack.json"), read_packed(unit / "model.cgs")
        widths = [layer.bits for layer in model.layers]
        assert facts["bits_by_layer"] == widths and (facts["mixed_bits"]["target"], facts["mixed_bits"]["by"]) == (4.5, "layer")
        steps = facts["mixed_bits"]["steps"]
        assert sum(before) - sum(widths) == len(steps) and (not steps or steps[-1]["bits"] == widths)
        assert sum(layer.bits * layer.n_weights for layer in model.layers) <= 4.5 * facts["n_weights_kept"]
        assert facts["bits"] == round(sum(layer.bits * layer.n_weights for layer in model.layers) / facts["n_weights_kept"], 2)
        assert facts["file_bytes"] == (unit / "model.cgs").stat().st_size and facts["engine_difference"] == 0.0
        assert [form["index"] for form in facts["forms"]] == ["plain", "plain", None]
    assert not any(unit.why_stale() for unit in pack.units(wanted))


def test_a_system_may_be_tuned_for_longer_than_the_others(exp):
    shape = {"task": "asr", "method": "cgs", "density": 0.5, "block": 4, "dense_output": True, "hidden": [16, 16], "bits": 3}
    wanted = Experiment(exp.root, recipe({"short": shape, "longer": shape | {"tuning_epochs": 3, "tuning_rate": 1e-3}}))
    for stage in (acoustic, keyword, pack):
        stage.run(wanted)
    histories = [(exp.root / "7-pack" / name / "seed1" / "training.jsonl").read_text().splitlines() for name in ("short", "longer")]
    assert [len(history) for history in histories] == [wanted.recipe.pack.epochs, 3]
    assert read_json(exp.root / "7-pack" / "longer" / "seed1" / "stamp.json")["options"]["pack.learning_rate"] == 1e-3
    trained = [read_json(exp.root / "5-acoustic" / name / "seed1" / "model.json")["weights_sha256"] for name in ("short", "longer")]
    assert trained[0] == trained[1], "training knows nothing of it"


@pytest.mark.parametrize("storage", ["plain", "smallest"])
def test_bits_by_block_are_told(exp, storage):
    wanted = Experiment(exp.root, recipe(storage=storage, mixed_bits=3.5, mixed_by="block"))
    acoustic.run(wanted)
    keyword.run(wanted)
    pack.run(wanted)
    for name in ("asr_cgs", "kws_cgs"):
        unit = exp.root / "7-pack" / name / "seed1"
        facts, model = read_json(unit / "pack.json"), read_packed(unit / "model.cgs")
        told = facts["mixed_bits"]
        assert (told["target"], told["by"]) == (3.5, "block") and 3.5 - 64 * 3 / facts["n_weights_kept"] < told["mean_bits"] <= 3.5
        assert [layer["bits"] for layer in told["layers"]] == facts["bits_by_layer"] == [layer.bits for layer in model.layers]
        assert all((layer["low_bits"] is None) == (layer["low_share"] == 0) for layer in told["layers"])
        assert np.isfinite([told["predicted"], told["found"]]).all() and told["predicted"] >= 0
        assert facts["bits"] <= 5 and facts["file_bytes"] == (unit / "model.cgs").stat().st_size and facts["engine_difference"] == 0.0
        if storage == "plain":
            assert {form["weights"] for form in facts["forms"]} <= {"plain", "two_precisions"}
        assert facts["bytes_by_form"]["weights"]["two_precisions"] < facts["bytes_by_form"]["weights"]["plain"]


def test_packing_before_training_says_what_is_missing(exp):
    with pytest.raises(CgsError, match=r"7-pack/asr_cgs/seed1: needs 5-acoustic/asr_cgs/seed1, not made yet"):
        pack.run(exp)


def test_networks_of_sequences_are_packed(exp):
    shape = {"method": "cgs", "density": 0.5, "block": 4, "dense_output": True, "hidden": [16, 16]}
    kinds = {
        "tdnn": {"task": "asr", "model": "tdnn", "offsets": [[-1, 0, 1], [-2, 0]], "bits": 5, **shape},
        "lstm": {"task": "asr", "model": "lstm", "label_delay": 1, "bits": 5, **shape},
        "kws_lstm": {"task": "kws", "model": "lstm", "label_delay": 1, "offsets": [[0]], "bits": [6, 5, 4], **shape, "dropout": 0.2},
        "kws_tdnn": {"task": "kws", "model": "tdnn", "offsets": [[-1, 0, 1], [-2, 0]], "bits": 5, **shape},
    }
    wider = Experiment(exp.root, recipe(kinds))
    for stage in (acoustic, keyword, pack, hardware):
        stage.run(wider)
    context = {"tdnn": (3, 1), "kws_tdnn": (3, 1), "lstm": (7, 3), "kws_lstm": (5, 1)}
    for name in context:
        unit, network = exp.root / "7-pack" / name / "seed1", exp.root / ("6-keyword" if "kws" in name else "5-acoustic") / name / "seed1"
        facts, model, trained = read_json(unit / "pack.json"), read_packed(unit / "model.cgs"), read_json(network / "model.json")
        assert facts["engine_difference"] == 0.0 and facts["held_out"][facts["chosen"]]["accuracy"] > 0.4
        assert facts["held_out"][facts["chosen"]]["accuracy"] > facts["held_out"]["float"]["accuracy"] - 0.05
        assert model.context == context[name] == (model.meta["features"]["left"], model.meta["features"]["right"]) and 0 < model.meta["nonzero"] <= 1
        assert facts["n_weights_kept"] == trained["n_weights_kept"] == sum(layer.n_weights for layer in model.layers)
        assert facts["n_weights_dense"] == trained["n_weights"] + (4 if "lstm" in name else 1) * (16 + 16) + 4
        assert facts["reduction_vs_float32"] == 1 - (unit / "model.cgs").stat().st_size / (4 * facts["n_weights_dense"])
        packed, real = (NetworkScores(engine, network, unit) for engine in ("packed", "float"))
        frames = np.random.default_rng(0).normal(size=(17, 8)).astype(np.float32)
        assert packed.logits(frames).shape == (17, 4) and packed.logits(frames[:1]).shape == (1, 4)
        assert np.abs(packed.logits(frames) - real.logits(frames)).mean() < 0.3 * real.logits(frames).std()
    assert read_json(exp.root / "7-pack" / "kws_lstm" / "seed1" / "pack.json")["bits_by_layer"] == [6, 5, 4]
    for name in context:
        facts = read_json(exp.root / "7-pack" / name / "seed1" / "pack.json")
        assert read_json(exp.root / "9-hardware" / name / "seed1" / "hardware.json")["counts"]["macs"] == facts["n_weights_kept"]


@pytest.mark.parametrize("by", ["layer", "block"])
def test_an_lstm_is_mixed_by_layers_whatever_was_asked_for(exp, by):
    shape = {"task": "asr", "model": "lstm", "method": "cgs", "density": 0.5, "block": 4, "dense_output": True, "hidden": [16, 16], "bits": 6}
    wanted = Experiment(exp.root, recipe({"lstm": shape}, mixed_bits=5.0, mixed_by=by, epochs=0, levels="symmetric", storage="smallest"))
    for stage in (acoustic, keyword, pack):
        stage.run(wanted)
    facts = read_json(exp.root / "7-pack" / "lstm" / "seed1" / "pack.json")
    told, widths = facts["mixed_bits"], [layer.bits for layer in read_packed(exp.root / "7-pack" / "lstm" / "seed1" / "model.cgs").layers]
    assert told["by"] == "layer" and told["steps"][-1]["bits"] == widths == facts["bits_by_layer"] and told["steps"][-1]["mean_bits"] <= 5.0
    assert facts["engine_difference"] == 0.0 and facts["bits"] == round(told["steps"][-1]["mean_bits"], 2)


def test_a_network_of_factors_is_trained_packed_and_costed(exp):
    shape = {"method": "lowrank", "density": 0.63, "hidden": [16, 16], "bits": [6, 5, 4]}
    kinds = {
        "factors": {"task": "asr", **shape},
        "kws_factors": {"task": "kws", **shape, "dense_output": True},
        "tdnn": {"task": "asr", "model": "tdnn", "offsets": [[-1, 0, 1], [-2, 0]], **shape},
    }
    wanted = Experiment(exp.root, recipe(kinds))
    for stage in (acoustic, keyword, pack, hardware):
        stage.run(wanted)
    for name, ranks, offsets in (("factors", (6, 5, 2), [(0,)] * 6), ("kws_factors", (6, 5), [(0,)] * 5), ("tdnn", (6, 6, 2), None)):
        unit, network = exp.root / "7-pack" / name / "seed1", exp.root / ("6-keyword" if "kws" in name else "5-acoustic") / name / "seed1"
        facts, model, trained = read_json(unit / "pack.json"), read_packed(unit / "model.cgs"), read_json(network / "model.json")
        assert facts["engine_difference"] == 0.0 and facts["held_out"][facts["chosen"]]["accuracy"] > 0.4
        assert tuple(layer.n_out for layer in model.layers if layer.output_signed) == ranks
        assert facts["bits_by_layer"] == [6, 6, 5, 5, 4, 4][: len(model.layers)] and (offsets is None or [layer.offsets for layer in model.layers] == offsets)
        assert facts["n_weights_kept"] == trained["n_weights_kept"] == sum(layer.n_weights for layer in model.layers)
        assert facts["n_weights_dense"] == trained["n_weights"] + 16 + 16 + N_PDFS
        assert facts["reduction_vs_float32"] == 1 - (unit / "model.cgs").stat().st_size / (4 * facts["n_weights_dense"])
        assert read_json(exp.root / "9-hardware" / name / "seed1" / "hardware.json")["counts"]["macs"] == facts["n_weights_kept"]
        assert NetworkScores("packed", network, unit).logits(np.zeros((7, 8), dtype=np.float32)).shape == (7, 4)


def test_a_network_of_factors_has_no_blocks_to_mix_and_says_that_it_was_mixed_by_layers(exp):
    shape = {"task": "asr", "method": "lowrank", "density": 0.63, "hidden": [16, 16], "bits": 6}
    wanted = Experiment(exp.root, recipe({"factors": shape}, mixed_bits=5.0, mixed_by="block", epochs=0))
    for stage in (acoustic, keyword, pack):
        stage.run(wanted)
    told = read_json(exp.root / "7-pack" / "factors" / "seed1" / "pack.json")["mixed_bits"]
    assert told["by"] == "layer" and told["steps"] and told["steps"][-1]["mean_bits"] <= 5.0
    assert read_json(exp.root / "7-pack" / "asr_cgs" / "seed1" / "pack.json")["bits"] == 5, "few enough as it was"


def test_fine_tuning_learns_from_the_teacher_too(exp, monkeypatch):
    shape = {"task": "kws", "method": "cgs", "density": 0.5, "block": 4, "dense_output": True, "hidden": [16, 16], "bits": 3}
    wanted = Experiment(exp.root, recipe({"pupil": shape | {"teacher": "kws_cgs", "teacher_weight": 0.7}}))
    acoustic.run(wanted)
    keyword.run(wanted)
    asked, of = [], Distillation.of
    monkeypatch.setattr(Distillation, "of", lambda directory, *facts: asked.append((directory, *facts)) or of(directory, *facts))
    pack.run(wanted)
    assert asked == [(exp.root / "6-keyword" / "kws_cgs" / "seed1", 0.7, 4, exp.recipe.kws.matmul)]
    assert "6-keyword/kws_cgs/seed1" in read_json(exp.root / "7-pack" / "pupil" / "seed1" / "stamp.json")["inputs"]


def test_a_network_pruned_after_training_begins_with_the_trained_one_and_is_packed(exp, monkeypatch):
    begun = []
    begin_with = Network.begin_with
    monkeypatch.setattr(Network, "begin_with", lambda self, trained: begun.append((self.spec.method, trained.mask_checksums)) or begin_with(self, trained))
    shared = {"hidden": [16, 16], "dense_output": True, "bits": 5}
    systems = {}
    for task in ("asr", "kws"):
        systems[f"{task}_dense"] = {"task": task, "method": "dense", **shared}
        systems[f"{task}_after"] = {"task": task, "method": "block_magnitude", "density": 0.5, "block": 4, "start_from": f"{task}_dense", **shared}
    wanted = Experiment(exp.root, recipe(systems))
    for stage in (acoustic, keyword, pack):
        stage.run(wanted)
    assert begun == [("block_magnitude", [None] * 3)] * 2
    for task, folder in (("asr", "5-acoustic"), ("kws", "6-keyword")):
        facts = read_json(exp.root / "7-pack" / f"{task}_after" / "seed1" / "pack.json")
        assert facts["engine_difference"] == 0.0 and facts["held_out"][facts["chosen"]]["accuracy"] > 0.5
        assert f"{folder}/{task}_dense/seed1" in read_json(exp.root / folder / f"{task}_after" / "seed1" / "stamp.json")["inputs"]
