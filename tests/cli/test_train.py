"""What torchrun starts: two processes train the networks of an experiment, and run.sh takes them for its own."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cgs.base.experiment import Experiment
from cgs.base.files import read_json, write_text
from cgs.base.recipe import load_recipe
from cgs.cli.train import main
from cgs.nn.network import load_network
from cgs.stages import acoustic, keyword

ROOT = Path(__file__).resolve().parents[2]
RECIPE = """
recipe = { name = "yesno", title = "planted" }
corpus = { licence = "none", attribution = "none" }
nn = { epochs = 2, minibatch = 32, dropout = 0.1, matmul = "float32", held_out_fraction = 0.2, left_context = 1, right_context = 1 }
systems.small = { task = "asr", method = "cgs", density = 0.5, block = 4, hidden = [16, 16], dense_output = true }
"""


@pytest.fixture
def planted(tmp_path: Path) -> Experiment:
    """An experiment that has done stages 1 to 4."""
    write_text(tmp_path / "recipe.toml", RECIPE)
    exp = Experiment(tmp_path / "exp", load_recipe(str(tmp_path / "recipe.toml")))
    spec = importlib.util.spec_from_file_location("planted", ROOT / "tests" / "quant" / "test_pack_stage.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.plant(exp.root, exp)
    return exp


def torchrun(exp: Experiment, *arguments: str) -> subprocess.CompletedProcess[str]:
    started = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "cgs.cli.train"]
    recipe = ["--recipe", str(exp.root.parent / "recipe.toml"), "--exp", str(exp.root)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "GLOO_SOCKET_IFNAME": "lo"}
    return subprocess.run([sys.executable, *started, *recipe, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=300)


def test_torchrun_trains_what_run_sh_takes_up(planted: Experiment, tmp_path: Path) -> None:
    done = torchrun(planted, "--set", "nn.tensorboard=true")
    assert done.returncode == 0, done.stderr
    assert "stage 5 acoustic: acoustic networks, 2 processes" in done.stdout and done.stdout.count("epoch 2 of 2") == 1
    assert acoustic.waiting(planted) == [] == keyword.waiting(planted)
    unit = planted.root / "5-acoustic" / "small" / "seed1"
    assert sorted(path.name for path in unit.iterdir()) == ["model.json", "model.safetensors", "stamp.json", "training.jsonl"]
    assert len(list(planted.curves_dir(5, "small", 1).iterdir())) == 1
    (tmp_path / "one").mkdir()
    acoustic.train(planted, "small", 1, tmp_path / "one")
    histories = [[json.loads(line) for line in (folder / "training.jsonl").read_text().splitlines()] for folder in (unit, tmp_path / "one")]
    assert [entry["train_loss"] for entry in histories[0]] == pytest.approx([entry["train_loss"] for entry in histories[1]], rel=1e-5)
    two, one = (load_network(folder)[0] for folder in (unit, tmp_path / "one"))
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(two.parameters(), one.parameters(), strict=True))
    assert read_json(unit / "model.json")["seed"] == 1


def test_an_error_is_told_and_ends_all(planted: Experiment) -> None:
    done = torchrun(planted, "--set", "nn.mel_warp=0.1", "--set", "nn.minibatch=8", "--set", "nn.learning_rate=1e30")
    assert done.returncode != 0
    assert any(line.startswith("error: epoch 1, step") and "lower learning_rate" in line for line in done.stderr.splitlines()), done.stderr
    assert acoustic.waiting(planted) == [("small", 1)]


def test_without_torchrun_it_says_who_starts_it(planted: Experiment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert main(["--recipe", str(planted.root.parent / "recipe.toml"), "--exp", str(planted.root)]) == 2
    assert "this command is started by torchrun (see docs/training.md" in capsys.readouterr().err
