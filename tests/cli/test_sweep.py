"""./run.sh --sweep on an experiment of tones: points share networks, a killed sweep goes on, what cannot be is a row."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cgs.cli.main import main as cgs
from cgs.cli.recipe import main
from cgs.cli.train import main as train
from cgs.stages import acoustic, decode, keyword, pack
from cgs.stages import sweep as sweep_stage

from .conftest import RECIPE  # isort: skip

ROOT = Path(__file__).resolve().parents[2]
SPARSE = {"task": "asr", "method": "cgs", "hidden": [32, 32], "density": 0.5, "block": 4, "dense_output": True, "bits": 5}
SWEEP = """
title = "tones, swept"
[[points]]
base = "sparse"
density = [0.25, 0.5]
bits = [3, 5]
[[points]]
base = "sparse"
block = 32
"""
POSSIBLE = ("sparse-density0.25@bits3", "sparse-density0.25", "sparse@bits3", "sparse")
NETWORKS = {"words", "sparse", "sparse-density0.25"}
TIMES = ("seconds", "command")


@pytest.fixture
def planted(tones: Path, tmp_path: Path) -> Path:
    """A folder with a recipe, a sweep and the experiment of tones before stage 5."""
    tree: dict[str, Any] = RECIPE | {"recipe": RECIPE["recipe"] | {"name": "yesno"}, "systems": {"words": RECIPE["systems"]["words"], "sparse": SPARSE}}
    lines = [f"{group}.{key} = {json.dumps(value)}\n" for group, table in tree.items() if group != "systems" for key, value in table.items()]
    lines += [f"systems.{name}.{key} = {json.dumps(value)}\n" for name, table in tree["systems"].items() for key, value in table.items()]
    (tmp_path / "recipe.toml").write_text("".join(lines))
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps" / "some.toml").write_text(SWEEP)
    for stage in ("1-data", "2-lang", "3-feats", "4-align", "10-report"):
        shutil.copytree(tones / stage, tmp_path / "exp" / stage)
    return tmp_path


def words(folder: Path, *more: str) -> list[str]:
    return ["--recipe", str(folder / "recipe.toml"), "--exp", str(folder / "exp"), "--sweep", "some", "--stage", "5", "--nj", "2", *more]


@pytest.fixture
def sweep(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs the sweep of a folder with all jobs in this process, and returns what it told."""

    def run_jobs(function, items, names, n_jobs, log_dir, done=None):
        told = [function(pickle.loads(pickle.dumps(item))) for item in items]
        for result in told if done else []:
            done(result)
        return told

    def run(folder: Path, *more: str) -> str:
        assert main(words(folder, *more)) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    for stage in (acoustic, keyword, pack, decode, sweep_stage):
        monkeypatch.setattr(stage, "run_jobs", run_jobs)
    return run


def results(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "exp" / "10-sweeps" / "some" / "results.json").read_text())


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_times(part) for key, part in value.items() if not any(word in key for word in TIMES)}
    return [without_times(part) for part in value] if isinstance(value, list) else value


def models(exp: Path) -> dict[str, bytes]:
    return {str(path.relative_to(exp)): path.read_bytes() for name in ("*.safetensors", "*.cgs") for path in exp.glob(f"[57]-*/*/*/{name}")}


def test_points_share_networks_and_have_a_row_each(planted: Path, sweep: Callable[..., str]) -> None:
    told, exp = sweep(planted), planted / "exp"
    assert "not possible: block 32 at density 0.5 for a 32 x" in told and "0 of 5 points are up to date" in told
    assert told.count(" points left, about ") == 5 and "0 of 5 points left, about 0.0s" in told
    assert {path.name for path in (exp / "5-acoustic").iterdir()} == NETWORKS and told.count("epoch 1 of ") == 3, "bits alone train nothing"
    rows = {row["system"]: row for row in results(planted)["rows"]}
    assert {name: row["status"] for name, row in rows.items()} == dict.fromkeys(POSSIBLE, "done") | {"sparse-block32": "not possible"}
    packed = {name: json.loads((exp / "7-pack" / name / "seed1" / "pack.json").read_text())["bits"] for name in POSSIBLE}
    assert packed == {name: 3 if name.endswith("@bits3") else 5 for name in POSSIBLE}
    assert rows["sparse@bits3"]["float_value"] == rows["sparse"]["float_value"] and rows["sparse@bits3"]["file_bytes"] < rows["sparse"]["file_bytes"]
    assert all(rows[name]["difference"]["baseline"] == "words" and rows[name]["power_w"] > 0 for name in POSSIBLE)

    assert cgs(["export", str(exp), "--system", "sparse@bits3", "--out", str(planted / "model")]) == 0, "a point becomes a model like any system"
    assert (planted / "model/network/model.cgs").read_bytes() == (exp / "7-pack/sparse@bits3/seed1/model.cgs").read_bytes()

    told = sweep(planted)
    assert "5 of 5 points are up to date" in told and "10-sweeps/some: up to date" in told
    (planted / "sweeps" / "some.toml").write_text(SWEEP.replace("[3, 5]", "[3, 4, 5]"))
    told = sweep(planted)
    assert "5 of 7 points are up to date" in told and "epoch 1 of " not in told and len(results(planted)["rows"]) == 7
    assert main([word for word in words(planted) if word not in ("--sweep", "some")] + ["--stop-stage", "7", "--dry-run"]) == 0


def test_a_point_of_low_rank_goes_through_every_stage_or_is_not_possible(planted: Path, sweep: Callable[..., str]) -> None:
    table = 'base = "sparse"\nmethod = "lowrank"\nblock = 1\n'
    (planted / "sweeps" / "some.toml").write_text(f"[[points]]\n{table}density = [0.01, [0.5, 0.25, 1.0]]\n")
    told = sweep(planted)
    assert "not possible: lowrank: density 0.01 of a 32 x " in told
    row, impossible = sorted(results(planted)["rows"], key=lambda row: row["status"])
    assert (row["status"], impossible["status"]) == ("done", "not possible") and row["power_w"] > 0 and row["difference"]["baseline"] == "words"
    name = row["system"]
    trained = json.loads((planted / f"exp/5-acoustic/{name}/seed1/model.json").read_text())
    facts = json.loads((planted / f"exp/7-pack/{name}/seed1/pack.json").read_text())
    widths = [trained["spec"]["n_in"], 32, 32, trained["spec"]["n_out"]]
    n_dense = sum((n_in + 1) * n_out for n_in, n_out in zip(widths, widths[1:], strict=False))
    assert row["n_weights_kept"] == trained["n_weights_kept"] < 0.6 * trained["n_weights"] and facts["n_weights_dense"] == n_dense
    compared = json.loads((planted / "exp/7-pack/words/seed1/pack.json").read_text())["n_weights_dense"]
    assert compared != n_dense and row["fraction_of_float32"] == pytest.approx(row["file_bytes"] / (4 * compared)), "of what points are compared with"
    assert cgs(["export", str(planted / "exp"), "--system", name, "--out", str(planted / "model")]) == 0


def test_a_killed_sweep_goes_on_and_ends_like_an_unbroken_one(planted: Path, sweep: Callable[..., str]) -> None:
    shutil.copytree(planted, planted / "unbroken", ignore=shutil.ignore_patterns("unbroken"))
    exp, start = planted / "exp", [sys.executable, "-m", "cgs.cli.recipe", *words(planted)]
    with subprocess.Popen(start, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not list(exp.glob("7-pack/*/.seed*.partial")):
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)  # its jobs die with it
    kept = models(exp)
    assert kept and not (exp / "10-sweeps").exists()
    told = sweep(planted)
    assert told.count("epoch 1 of ") == 3 - sum(name.endswith("model.safetensors") for name in kept)
    sweep(planted / "unbroken")
    assert models(exp) == models(planted / "unbroken/exp") and kept.items() <= models(exp).items()
    assert without_times(results(planted)) == without_times(results(planted / "unbroken"))


def test_dry_run_prints_the_points(planted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(planted, "--dry-run")) == 0
    told = capsys.readouterr().out
    assert "sweep some: 5 points of 3 networks" in told and "sparse@bits3 seed 1: would be made (from 5-acoustic on)" in told
    assert "sparse-block32: not possible: block 32" in told
    assert not (planted / "exp" / "5-acoustic").exists() and not (planted / "exp" / "10-sweeps").exists()


def test_points_learn_from_the_alignment_of_another_system(planted: Path, sweep: Callable[..., str]) -> None:
    (planted / "sweeps" / "some.toml").write_text('[[points]]\nbase = "sparse"\nlabels = ["gmm", "words"]\nteacher = ["", "words"]\n')
    told = sweep(planted)
    names = ["sparse", "sparse-teacherwords", "sparse-labelswords", "sparse-labelswords-teacherwords"]
    assert {row["system"]: row["status"] for row in results(planted)["rows"]} == dict.fromkeys(names, "done")
    assert told.count("epoch 1 of ") == 5 and told.count("5-acoustic/words/alignment: made") == 1


def test_a_point_that_fails_by_itself_is_a_row(planted: Path, sweep: Callable[..., str]) -> None:
    """With a learning rate beyond reason training diverges; the sweep ends well, says why, and tries again the next time."""
    (planted / "sweeps" / "some.toml").write_text('[[points]]\nbase = "sparse"\n')
    told = sweep(planted, "--set", "nn.learning_rate=1e30")
    assert "failed: " in told and [row["status"] for row in results(planted)["rows"]] == ["failed"]
    assert results(planted)["rows"][0]["reason"] in told


def test_bad_use_ends_in_one_line(planted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(planted, "--publish", "--stop-stage", "9")) == 2
    assert capsys.readouterr().err.startswith("error: --publish with --stop-stage 9")
    assert train(words(planted)) == 2
    assert capsys.readouterr().err.startswith("error: --sweep: networks of a sweep are trained one by one")
    (planted / "sweeps" / "some.toml").write_text('[[points]]\nbase = "spars"\nbits = []\n')
    assert main(words(planted)) == 2
    assert "points 1: base: no system 'spars' in the recipe (did you mean 'sparse'?)" in capsys.readouterr().err
