"""Real recorded speech from corpus to report; skipped with a reason where the corpora are not at hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

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
    for row in rows("yesno", corpora / "yesno", tmp_path):
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
def test_speech_commands_keywords(corpora: Path, tmp_path: Path) -> None:
    only_first = ["--set", "systems.dense.seeds=[1]", "--set", "systems.cgs.seeds=[1]"]
    for row in rows("speech_commands", corpora / "speech_commands", tmp_path, *only_first):
        assert row["auc"] >= 0.97, row["system"]
