"""Real recorded speech from corpus to report; skipped with a reason where the corpora are not at hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


def rows(recipe: str, corpus: Path, exp: Path, *more: str) -> list[dict[str, Any]]:
    """Run a whole recipe and read the rows of the main test condition."""
    words = [sys.executable, "-m", "cgs.cli.recipe", "--recipe", recipe, "--corpus", str(corpus), "--exp", str(exp), "--nj", "2", *more]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    told = json.loads((exp / "10-report" / "results.json").read_text())["rows"]
    return [row for row in told if row["condition"] == "test"]


def test_yesno(corpora: Path, tmp_path: Path) -> None:
    """240 test words: one error is 0.42 %."""
    for row in rows("yesno", corpora / "yesno", tmp_path, "--set", "systems.dense.seeds=[1]", "--set", "systems.cgs.seeds=[1]"):
        assert row["wer"] <= 0.04, row["system"]


@pytest.mark.slow
def test_fsdd_strings_and_keywords(corpora: Path, tmp_path: Path) -> None:
    only_first = [word for name in ("dense", "cgs", "kws_dense", "kws_cgs") for word in ("--set", f"systems.{name}.seeds=[1]")]
    for row in rows("fsdd", corpora / "fsdd", tmp_path, *only_first):
        assert row["wer"] is None or row["wer"] <= 0.015, row["system"]
        assert row["auc"] is None or row["auc"] >= 0.99, row["system"]
        if row["method"] == "cgs" and row["bits"] < 32:
            assert row["reduction_vs_float32"] >= 0.95, row["system"]


@pytest.mark.slow
def test_speech_commands_keywords_and_their_rtl(corpora: Path, tmp_path: Path) -> None:
    more = ["--set", "systems.dense.seeds=[1]", "--set", "systems.cgs.seeds=[1]", "--set", "hardware.simulate_frames=5000"]
    for row in rows("speech_commands", corpora / "speech_commands", tmp_path, *more):
        assert row["auc"] >= 0.97, row["system"]
    for system in ("dense", "cgs"):
        simulated = json.loads((tmp_path / "9-hardware" / system / "seed1" / "simulation.json").read_text())
        assert simulated["simulated"] and simulated["frames"] == 5000


@pytest.mark.slow
def test_yesno_from_a_stream(corpora: Path, tmp_path: Path) -> None:
    """Every test recording in pieces of random sizes gives the words that stage 8 found in the whole."""
    from cgs.data.audio import read_audio
    from cgs.decode.export import Choice, export
    from cgs.decode.listen import Ear
    from cgs.decode.model_dir import Listening, Model

    rows("yesno", corpora / "yesno", tmp_path / "exp", "--set", "nn.cmvn=running", "--set", "systems.dense.seeds=[1]", "--set", "systems.cgs.seeds=[1]")
    export(tmp_path / "exp", Choice("cgs"), tmp_path / "model", {})
    model, rng, n_words = Model(tmp_path / "model"), np.random.default_rng(0), 0
    for line in (tmp_path / "exp" / "8-decode" / "cgs" / "seed1" / "packed.test.jsonl").read_text().splitlines():
        told = json.loads(line)
        samples = read_audio(corpora / "yesno" / f"{told['id'].rpartition('-')[2]}.wav", model.sample_rate)
        ear = Ear(model, Listening())
        events = [event for piece in np.split(samples, np.sort(rng.integers(0, len(samples), 50))) for event in ear.accept(piece)] + list(ear.finish())
        words = [word.word for event in events if event.final for word in event.final.words]
        assert " ".join(words) == told["hyp"], told["id"]
        n_words += len(words)
    assert n_words > 200
