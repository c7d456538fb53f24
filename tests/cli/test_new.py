"""run.sh --new: each shape becomes a recipe that runs, defects are told, and nothing is half-written or overwritten."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shlex
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import local
from cgs.base.recipe import load_recipe, local_module, local_options
from cgs.cli.recipe import SHAPES as OFFERED
from cgs.cli.recipe import main
from cgs.data.datadir import read_data_dir
from cgs.data.imports import SHAPES

ROOT = Path(__file__).resolve().parents[2]


def _made() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("made_corpora", ROOT / "tests" / "data" / "made_corpora.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


made = _made()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A CGS_HOME of the test's own."""
    monkeypatch.setenv("CGS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(local, "__path__", list(local.__path__))
    return tmp_path / "home"


def test_every_shape_is_offered() -> None:
    assert tuple(SHAPES) == OFFERED


def test_shape_can_be_forced(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = made.common_voice(tmp_path / "corpus")
    assert main(["--new", "forced", "--from", str(root), "--shape", "manifest"]) == 0
    told = capsys.readouterr().out
    assert "with a path and a text column: dev.tsv, test.tsv, train.tsv (looks like common_voice too: --shape forces one)" in told
    assert load_recipe("forced").local["shape"] == "manifest"


def written(home: Path) -> list[str]:
    return sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.is_file() and path.suffix != ".pyc")


@pytest.mark.parametrize("shape", SHAPES)
def test_recipe_runs(shape: str, tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, name = getattr(made, shape)(tmp_path / "corpus"), f"new_{shape}"
    assert main(["--new", name, "--from", str(root)]) == 0, capsys.readouterr()
    told = capsys.readouterr().out
    assert f"shape: {shape}," in told and f"next: ./run.sh --recipe {name} --corpus {root} --stop-stage 1" in told
    assert written(home) == [f"local/{name}.py", f"recipes/{name}/README.md", f"recipes/{name}/recipe.toml"]
    exp = tmp_path / "exp"
    assert main(["--recipe", name, "--corpus", str(root), "--exp", str(exp), "--stop-stage", "2", "--nj", "1"]) == 0, capsys.readouterr().err
    counts = {split: len(read_data_dir(exp / "1-data" / split)) for split in ("train", "dev", "test")}
    if shape in ("manifest", "folders"):
        assert sum(counts.values()) == (24 if shape == "manifest" else 32) and min(counts.values()) > 0
    else:
        assert counts == {"train": 6, "dev": 6, "test": 6}
    words = {line.split()[0] for line in (exp / "2-lang" / "words.txt").read_text(encoding="utf-8").splitlines()}
    assert words >= ({"yes", "no", "כן"} if shape == "folders" else {"שלום", "नमस्ते", "世", "où", "l'été"})


def test_script_is_short_and_the_options_say_why(tmp_path: Path, home: Path) -> None:
    assert main(["--new", "short_one", "--from", str(made.folders(tmp_path / "corpus"))]) == 0
    script = (home / "local" / "short_one.py").read_text(encoding="utf-8")
    tree = ast.parse(script)
    assert len(script.splitlines()) < 40 and ast.get_docstring(tree)
    assert all(ast.get_docstring(node) for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef))
    recipe = load_recipe("short_one")
    assert local_module(recipe).__name__ == "local.short_one"
    assert local_options(recipe).keywords == ["no", "yes", "כן"]  # type: ignore[attr-defined]
    assert {system.task for system in recipe.systems.values()} == {"kws"}
    toml = (home / "recipes" / "short_one" / "recipe.toml").read_text(encoding="utf-8")
    assert re.search(r"^ngram_order = 1 +# every sentence is one word$", toml, re.M)
    assert not re.search(r"\S#|[^ ] # ", toml), "comments stand two spaces off"


def test_unknown_speakers(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = made.manifest(tmp_path / "corpus")
    page = (root / "data.csv").read_text(encoding="utf-8").replace("speaker id", "who knows")
    (root / "data.csv").write_text(page, encoding="utf-8")
    assert main(["--new", "unknown_ones", "--from", str(root)]) == 0
    assert "no speakers are known: each utterance counts as one" in capsys.readouterr().out
    toml = (home / "recipes" / "unknown_ones" / "recipe.toml").read_text(encoding="utf-8")
    assert re.search(r'^split_by = "utterance" +# too few speakers, or unknown ones', toml, re.M)
    assert re.search(r"^unseen_speakers = false +# nobody knows who speaks$", toml, re.M)


def test_known_speakers_of_training_are_told(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The leakage of an official split: results flatter, and the recipe says so instead of refusing its own corpus."""
    root = made.kaldi(tmp_path / "corpus")
    path = root / "test" / "utt2spk"
    path.write_text(path.read_text().replace(" tests1", " trains1"))
    assert main(["--new", "leaking", "--from", str(root)]) == 0
    assert "1 speakers are in training and in dev or test" in capsys.readouterr().out
    words = ["--recipe", "leaking", "--corpus", str(root), "--exp", str(tmp_path / "exp"), "--stop-stage", "1"]
    assert main(words) == 0, capsys.readouterr().err
    assert main([*words, "--set", "local.unseen_speakers=true"]) == 4
    assert "speaker trains1: in train and in test, whose speakers should be unseen" in capsys.readouterr().err


def test_page_of_the_recipe(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = made.manifest(tmp_path / "corpus")
    assert main(["--new", "paged", "--from", str(root / "data.csv")]) == 0
    page = (home / "recipes" / "paged" / "README.md").read_text(encoding="utf-8")
    commands = [line.split("#")[0].strip() for line in page.splitlines() if line.startswith("./run.sh")]
    for command in commands:
        arguments = [str(root) if word == "DIR" else word for word in shlex.split(command)[1:]]
        assert main([*arguments, "--exp", str(tmp_path / "exp"), "--dry-run"]) == 0, capsys.readouterr().err
    assert len(commands) == 2 and "| train | 18 | 6 | 7.2s |" in page
    assert local_options(load_recipe("paged")).manifest == "data.csv"  # type: ignore[attr-defined]


def test_list_shows_it_and_a_killed_one_not(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--new", "listed_one", "--from", str(made.manifest(tmp_path / "corpus"))]) == 0
    half = home / "recipes" / ".other.1.tmp"
    half.mkdir()
    (half / "recipe.toml").write_bytes((home / "recipes" / "listed_one" / "recipe.toml").read_bytes())
    capsys.readouterr()
    assert main(["--list"]) == 0
    told = capsys.readouterr().out
    assert "listed_one " in told and ".other" not in told and "template" not in told.lower()


@pytest.mark.parametrize("name", ["My", "1st", "a-b", "a/b", "../x", "", "class", "fsdd", "mini_rm_voices", "TEMPLATE"])
def test_bad_or_taken_name(name: str, tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--new", name, "--from", str(made.manifest(tmp_path / "corpus"))]) == 2
    assert capsys.readouterr().err.startswith(f"error: --new {name}: ")
    assert not home.exists()


def test_never_overwrites(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = made.manifest(tmp_path / "corpus")
    assert main(["--new", "kept", "--from", str(root)]) == 0
    (home / "recipes" / "kept" / "recipe.toml").write_text("mine")
    assert main(["--new", "kept", "--from", str(root)]) == 2
    assert "recipes/kept exists (choose another name, or remove it)" in capsys.readouterr().err
    assert (home / "recipes" / "kept" / "recipe.toml").read_text() == "mine"


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_never_half_written(error: Any, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(os, "rename", fail)
    assert main(["--new", "half", "--from", str(made.manifest(tmp_path / "corpus"))]) == (130 if error is KeyboardInterrupt else 8)
    assert written(home) == []


def test_dry_run_writes_nothing(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--new", "looked_at", "--from", str(made.manifest(tmp_path / "corpus")), "--dry-run"]) == 0
    assert "nothing written" in capsys.readouterr().out and not home.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--new", "x"], 2, "error: --from is missing (write ./run.sh --new NAME --from DIR)"),
        (["--from", "."], 2, "error: --new is missing"),
        (["--new", "x", "--from", "/nowhere"], 2, "error: --from /nowhere: no such file or directory"),
        (["--new", "x", "--from", "EMPTY"], 3, "none of the shapes that are read: Common Voice"),
        (["--new", "x", "--from", "EMPTY", "--shape", "kaldi"], 3, "not Kaldi data directories"),
        (["--new", "x", "--from", "EMPTY", "--lexicon", "/nowhere"], 2, "error: --lexicon /nowhere: no such file"),
    ],
)
def test_bad_options(arguments: list[str], code: int, told: str, tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "EMPTY").mkdir()
    assert main([str(tmp_path / "EMPTY") if word == "EMPTY" else word for word in arguments]) == code
    assert told in capsys.readouterr().err
    assert not home.exists()


def test_bad_tables_write_nothing(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every line that is no path is told at once."""
    root = made.kaldi(tmp_path / "corpus")
    for split in ("train", "dev"):
        path = root / split / "wav.scp"
        first, *others = path.read_text().splitlines()
        path.write_text("\n".join([f"{first} cat |", *others, ""]))
    assert main(["--new", "piped", "--from", str(root)]) == 4
    told = capsys.readouterr().err
    for split in ("train", "dev"):
        assert f"  - {root}/{split}/wav.scp:1: recording {split}s0-u0: a command (pipe) instead of a path" in told
    assert not home.exists()


def test_defects_are_told_and_left_to_the_user(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing file is a problem with code 4 until it is mended or left out; an odd rate and empty text become options with their reasons."""
    root = made.manifest(tmp_path / "corpus", n_speakers=40)
    (root / "wav" / "s3-u1.wav").unlink()
    made.sound(root / "wav" / "s4-u1.wav", 1, rate=11025)
    text = (root / "data.csv").read_text(encoding="utf-8")
    (root / "data.csv").write_text(re.sub(r"(s5-u1\.wav,)[^,]*", r"\1...", text), encoding="utf-8")
    made.write_wav(root / "wav" / "s6-u1.wav", np.zeros(4000), made.RATE)
    with open(root / "data.csv", "a", encoding="utf-8") as stream:
        stream.write(f"{made.sound(root / 'wav' / 'late.wav', 999)},<laughs> 12 times,s5,f\n")
    assert main(["--new", "mended", "--from", str(root)]) == 4
    told = capsys.readouterr().out
    assert "1 transcripts hold brackets, e.g. <laughs>, read as words" in told and "1 transcripts hold digits" in told
    assert "problem: utterance s3-wav_s3-u1: " in told and "no such recording" in told
    assert "to decide 1: mend the problems above, or name the utterances in local.leave_out" in told
    toml = (home / "recipes" / "mended" / "recipe.toml").read_text(encoding="utf-8")
    assert re.search(r"^sample_rate = 8000 +# the commonest of 8000, 11025 Hz", toml, re.M) and "resample = true" in toml
    assert re.search(r"^max_bad_fraction = 0\.0\d+ +# 2 utterances without a transcript, silent, or too short, are dropped$", toml, re.M)
    words = ["--recipe", "mended", "--corpus", str(root), "--exp", str(tmp_path / "exp"), "--stop-stage", "1"]
    assert main(words) == 4
    assert main([*words, "--set", 'local.leave_out=["s3-wav_s3-u1"]']) == 0, capsys.readouterr().err


def test_many_manifests(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = made.manifest(tmp_path / "corpus")
    (root / "other.csv").write_text("path,text\n")
    assert main(["--new", "chosen", "--from", str(root)]) == 3
    assert "several manifests, none named by its split: data.csv, other.csv (give one of them with --from)" in capsys.readouterr().err
    assert main(["--new", "chosen", "--from", str(root / "data.csv")]) == 0


def test_place_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("CGS_HOME", "/proc/nowhere")
    assert main(["--new", "placed", "--from", str(made.manifest(tmp_path / "corpus"))]) == 8
    assert capsys.readouterr().err.startswith("error: /proc/nowhere")


def test_lexicon(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Missing words are counted; a mended copy makes stage 1 stale."""
    root = made.manifest(tmp_path / "corpus")
    for path in (root / "data.csv",):
        text = path.read_text(encoding="utf-8")
        for foreign in made.SENTENCES:
            text = text.replace(foreign, "Yes or no")
        path.write_text(text, encoding="utf-8")
    lexicon = tmp_path / "mine.dict"
    lexicon.write_text("YES  Y EH1 S\nNO  N OW1\n")
    assert main(["--new", "spoken", "--from", str(root), "--lexicon", str(lexicon)]) == 0
    told = capsys.readouterr().out
    assert "lexicon: 5 phones; 1 of 3 words missing: or (24)" in told and "1 words are missing from" in told
    words = ["--recipe", "spoken", "--corpus", str(root), "--exp", str(tmp_path / "exp"), "--stop-stage", "1"]
    assert main(words) == 4
    assert "33.33% of the words of the training transcripts are missing" in capsys.readouterr().err
    copy = home / "recipes" / "spoken" / "lexicon.txt"
    copy.write_text(copy.read_text() + "OR  AO1 R\n")
    assert main(words) == 0, capsys.readouterr().err
    copy.write_text(copy.read_text() + "MAYBE  M EY1 B IY0\n")
    capsys.readouterr()
    assert main([*words, "--dry-run"]) == 0
    assert "1-data: would be made (option local.lexicon_digest" in capsys.readouterr().out


def test_walk_through(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command of the walk-through in docs/new-corpus.md, in order, on a corpus of ours."""
    page = (ROOT / "docs" / "new-corpus.md").read_text(encoding="utf-8")
    (section,) = re.findall(r"^## From a folder to a recipe\n(.*?)^## ", page, re.M | re.S)
    commands = [line.split("#")[0].strip() for line in section.splitlines() if line.startswith("./run.sh")]
    places = {"NAME": "walked", "DIR": str(made.manifest(tmp_path / "corpus"))}
    for command in commands:
        arguments = [places.get(word, word) for word in shlex.split(command)[1:]]
        if "--recipe" in arguments:
            arguments += ["--exp", str(tmp_path / "exp"), "--nj", "1"] + ([] if "--stop-stage" in arguments else ["--dry-run"])
        assert main(arguments) == 0, (command, capsys.readouterr())
    assert len(commands) >= 4 and (tmp_path / "exp" / "1-data" / "stamp.json").is_file()
