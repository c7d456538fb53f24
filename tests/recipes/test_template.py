"""recipes/TEMPLATE: copied as docs/new-corpus.md says, it runs; its commented options are the defaults; it is no recipe itself."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

import local
from cgs.base.recipe import load_recipe, recipe_names
from cgs.cli.recipe import main
from cgs.data.audio import write_wav
from cgs.data.datadir import read_data_dir

ROOT = Path(__file__).resolve().parents[2]
RATE = 16000
PITCHES = {"a": 500.0, "b": 1200.0, "c": 2500.0}
WORDS = ("abc", "cab", "bca")


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A CGS_HOME in which the page's commands were run."""
    home = tmp_path / "home"
    (home / "recipes").mkdir(parents=True)
    (home / "local").mkdir()
    (home / "recipes" / "TEMPLATE").symlink_to(ROOT / "recipes" / "TEMPLATE")
    page = (ROOT / "docs" / "new-corpus.md").read_text(encoding="utf-8")
    (commands,) = re.findall(r"^## 1\. Copy the template\n\n```\n(.*?)^```", page, re.M | re.S)
    subprocess.run(["bash", "-euc", commands], cwd=home, check=True)
    monkeypatch.setenv("CGS_HOME", str(home))
    monkeypatch.setattr(local, "__path__", list(local.__path__))
    return home


def made_corpus(root: Path) -> Path:
    """Words of three letters, each letter a tone, in a little noise."""
    generator = np.random.default_rng(0)
    for split, n_speakers in (("train", 4), ("dev", 1), ("test", 1)):
        lines = []
        for speaker in range(n_speakers):
            for number in range(8):
                words = [WORDS[n] for n in generator.integers(0, len(WORDS), 3)]
                pause = np.zeros(RATE // 5)
                times = np.arange(RATE // 8) / RATE
                sound = np.concatenate([pause, *(part for w in words for part in (*(0.3 * np.sin(2 * np.pi * PITCHES[c] * times) for c in w), pause))])
                place = f"{split}{speaker}/{number}.wav"
                write_wav(root / split / place, sound + generator.normal(0, 0.005, len(sound)), RATE)
                lines.append(f"{place} {' '.join(words)}\n")
        (root / split / "transcripts.txt").write_text("".join(lines))
    return root


def test_copy_runs_to_the_alignments(mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus, exp = made_corpus(tmp_path / "corpus"), tmp_path / "exp"
    small = {"align.mono_iterations": 10, "align.mono_gaussians": 40, "align.tri_iterations": 5, "align.n_leaves": 25, "align.tri_gaussians": 40}
    changes = [word for key, value in small.items() for word in ("--set", f"{key}={json.dumps(value)}")]
    words = ["--recipe", "mine", "--corpus", str(corpus), "--exp", str(exp), "--nj", "1", "--stop-stage", "4", *changes]
    assert main(words) == 0, capsys.readouterr().err
    said = {u.id: len(u.words) for u in read_data_dir(exp / "1-data" / "train").values()}
    lines = [line.split() for line in (exp / "4-align" / "train.ctm").read_text().splitlines()]
    assert len(said) == 32 and len(lines) == sum(said.values()) and {word for *_, word in lines} == set(WORDS)
    first = [float(start) for name, _, start, _, _ in lines if name == "train0-0"]
    assert np.abs(np.array(first) - (0.2 + 0.575 * np.arange(3))).max() < 0.06, "a word begins where it was planted"
    (corpus / "dev" / "transcripts.txt").unlink()
    assert main(words) == 3
    assert "not laid out as mine: dev/transcripts.txt is missing" in capsys.readouterr().err


def test_commented_options_are_the_defaults(mine: Path) -> None:
    path = mine / "recipes" / "mine" / "recipe.toml"
    before, text = load_recipe("mine"), path.read_text(encoding="utf-8")
    shown = re.findall(r"^#(\w+) = ", text, re.M)
    path.write_text(re.sub(r"^#(?=\w+ = )", "", text, flags=re.M), encoding="utf-8")
    assert len(shown) > 20 and load_recipe("mine") == before


def test_template_is_no_recipe(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "TEMPLATE" not in recipe_names() and "mine" in recipe_names()
    assert main(["--recipe", "TEMPLATE", "--dry-run"]) == 2
    assert "recipe.name = 'NAME'" in capsys.readouterr().err
    assert not any("NAME" in path.read_text(encoding="utf-8") for path in (*mine.glob("recipes/mine/*"), mine / "local" / "mine.py"))
