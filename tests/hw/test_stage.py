"""Stage 9 on a packed file: it writes what `estimate` says, stops when up to date, and leaves earlier results at an altered file."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cgs.base.errors import FormatError
from cgs.base.experiment import Experiment
from cgs.base.options import Recipe
from cgs.hw.estimate import ROW_KEYS, estimate
from cgs.quant.packed import PackedLayer, PackedModel, write_packed
from cgs.stages import hardware


def make_experiment(root: Path, n_macs: int = 1) -> tuple[Experiment, PackedModel]:
    tables: dict[str, Any] = {
        "recipe": {"name": "made", "title": "made"},
        "corpus": {"licence": "none", "attribution": "nobody"},
        "systems": {"dense": {"task": "kws", "method": "dense", "hidden": [8]}},
        "hardware": {"n_macs": n_macs, "supply_v": [0.3, 0.6], "reference_supply_v": 0.3},
    }
    exp = Experiment(root, Recipe(**tables))
    formats = (6, 5, 16, 5, 8, True, 4, 32, 9, False)
    model = PackedModel((PackedLayer(403, 500, 0, None, np.ones((500, 403), dtype=np.int8), np.zeros(500, dtype=np.int64), *formats),), {})
    with exp.unit("7-pack/dense/seed1", {"n_macs": n_macs}, [], []).writing() as out:
        write_packed(out / "model.cgs", model)
    return exp, model


def test_writes_the_estimate_and_warns_of_a_slow_supply(tmp_path, caplog):
    exp, model = make_experiment(tmp_path)
    with caplog.at_level(logging.WARNING):
        hardware.run(exp)
    assert "set hardware.n_macs to about" in caplog.text
    told = json.loads((tmp_path / "9-hardware/dense/seed1/hardware.json").read_text())
    assert told == json.loads(json.dumps(estimate(model, exp.recipe.hardware)))
    assert sorted(told["summary"]["40nm"]) == sorted(ROW_KEYS)
    assert told["counts"]["macs"] == 403 * 500


def test_is_up_to_date_until_an_option_changes(tmp_path):
    exp, _ = make_experiment(tmp_path)
    hardware.run(exp)
    assert hardware.units(exp)[0].why_stale() == ""
    assert "hardware.n_macs 1 -> 2" in hardware.units(make_experiment(tmp_path, 2)[0])[0].why_stale()


def test_an_altered_file_is_an_error_and_earlier_results_stay(tmp_path):
    exp, _ = make_experiment(tmp_path)
    hardware.run(exp)
    before = (tmp_path / "9-hardware/dense/seed1/hardware.json").read_bytes()
    exp, _ = make_experiment(tmp_path, n_macs=2)
    path = tmp_path / "7-pack/dense/seed1/model.cgs"
    data = bytearray(path.read_bytes())
    data[-40] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(FormatError, match="altered"):
        hardware.run(exp)
    assert (tmp_path / "9-hardware/dense/seed1/hardware.json").read_bytes() == before


def test_utterances_of_a_network_that_remembers_are_simulated_one_by_one(monkeypatch):
    """Of any other they are joined; of either no more frames than were asked for."""
    utterances = {"a": np.ones((5, 2), np.float32), "b": np.zeros((4, 2), np.float32), "c": np.ones((9, 2), np.float32)}
    monkeypatch.setattr("cgs.stages.decode_material.split_of", lambda *_: utterances)
    features = {"kind": "mfcc", "cmvn": "none", "left": 2, "right": 1}
    exp = SimpleNamespace(recipe=SimpleNamespace(hardware=SimpleNamespace(simulate_frames=11)))
    remembering = SimpleNamespace(meta={"features": features}, context=(2, 1), remembers=True)
    assert [piece.shape for piece in hardware._frames(exp, remembering)] == [(5 + 3, 2), (4 + 3, 2), (2 + 3, 2)]
    feed_forward = SimpleNamespace(meta={"features": features}, context=(0, 0), remembers=False)
    assert [piece.shape for piece in hardware._frames(exp, feed_forward)] == [(11, 8)]
