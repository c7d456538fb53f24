"""cgs data: a corpus goes out as Lhotse manifests and comes back the same; alignments become one TextGrid an utterance."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

import local
from cgs.base.errors import ConfigError
from cgs.cli.main import parser
from cgs.cli.recipe import main as run
from cgs.data.corpus import Utterance
from cgs.data.datadir import write_data_dir

ROOT = Path(__file__).resolve().parents[2]


def _made() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("made_corpora", ROOT / "tests" / "data" / "made_corpora.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


made = _made()


def call(*words: object) -> int:
    args = parser().parse_args(["data", *(str(word) for word in words)])
    return args.run(args)


def data_files(exp: Path) -> dict[str, bytes]:
    return {str(path.relative_to(exp)): path.read_bytes() for path in sorted((exp / "1-data").glob("*/*"))}


@pytest.mark.parametrize("segments", [False, True])
def test_lhotse_there_and_back(segments: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The data directories of a corpus and of its exported manifests are equal, byte for byte."""
    monkeypatch.setenv("CGS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(local, "__path__", list(local.__path__))
    root = made.kaldi(tmp_path / "corpus", segments)
    for split in ("train", "dev", "test"):
        (root / split / "spk2gender").write_text(f"{split}s0 f\n{split}s1 m\n")
    for name, source in ((f"first_{segments}".lower(), root), (f"again_{segments}".lower(), tmp_path / "manifests")):
        assert run(["--new", name, "--from", str(source)]) == 0, capsys.readouterr()
        words = ["--recipe", name, "--corpus", str(source), "--exp", str(tmp_path / name), "--stop-stage", "1", "--nj", "1"]
        assert run(words) == 0, capsys.readouterr().err
        if source == root:
            assert call("lhotse", tmp_path / name, tmp_path / "manifests") == 0
    first, again = (data_files(tmp_path / f"{name}_{segments}".lower()) for name in ("first", "again"))
    assert first == again and len(first) == 3 * (7 if segments else 6)


def test_lhotse_fields(tmp_path: Path) -> None:
    wav = made.sound(tmp_path / "a.wav", 1, seconds=0.5)
    told = [Utterance("s-1", "s", wav, ("oui", "été"), 0.1, 0.3, "f"), Utterance("s-2", "s", wav, ("non",), 0.3, 0.5, "f")]
    write_data_dir(tmp_path / "exp" / "1-data" / "dev", told, {"s-1": 0.2, "s-2": 0.2})
    assert call("lhotse", tmp_path / "exp", tmp_path / "out", "--split", "dev") == 0
    recordings, supervisions = (
        [json.loads(line) for line in gzip.decompress((tmp_path / "out" / f"{kind}_dev.jsonl.gz").read_bytes()).decode().splitlines()]
        for kind in ("recordings", "supervisions")
    )
    assert recordings == [
        {"id": "dev-000000", "sources": [{"type": "file", "channels": [0], "source": str(wav)}], "sampling_rate": 8000, "num_samples": 4000,
         "duration": 0.5, "channel_ids": [0]}
    ]  # fmt: skip
    assert supervisions[0] == {
        "id": "s-1", "recording_id": "dev-000000", "start": 0.1, "duration": 0.2, "channel": 0, "text": "oui été", "speaker": "s", "gender": "F",
    }  # fmt: skip


@pytest.fixture
def aligned(tmp_path: Path) -> Path:
    """Two utterances of dev, one of them aligned."""
    told = [Utterance(f"s-{n}", "s", tmp_path / f"{n}.wav", ("go",)) for n in (1, 2)]
    write_data_dir(tmp_path / "exp" / "1-data" / "dev", told, {"s-1": 0.31, "s-2": 0.2})
    align = tmp_path / "exp" / "4-align"
    align.mkdir()
    (align / "dev.ctm").write_text("s-1 1 0.100 0.150 go\n")
    (align / "dev.phones.ctm").write_text("s-1 1 0.000 0.100 SIL\ns-1 1 0.100 0.050 G\ns-1 1 0.150 0.100 OW\ns-1 1 0.250 0.070 SIL\n")
    return tmp_path / "exp"


def test_text_grids(aligned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("textgrid", aligned, tmp_path / "out") == 0
    assert "dev: 1 TextGrids in " in (told := capsys.readouterr().out) and "1 utterances have no alignment" in told
    (path,) = (tmp_path / "out").rglob("*.TextGrid")
    text = path.read_text(encoding="utf-8")
    assert path == tmp_path / "out" / "dev" / "s-1.TextGrid" and "xmax = 0.31\n" in text
    assert 'name = "words"' in text and 'name = "phones"' in text and text.count('text = "SIL"') == 2 and text.count('text = ""') == 2


def test_what_is_not_there_is_told(aligned: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no split 'tset' to export; there are: dev \(name one of those, or run stage 4 first\)"):
        call("textgrid", aligned, tmp_path / "out", "--split", "tset")
    with pytest.raises(ConfigError, match=r"nothing to export for lhotse \(run stage 1 first\)"):
        call("lhotse", tmp_path, tmp_path / "out")


def test_alone(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "cgs", "data", "lhotse", str(tmp_path), str(tmp_path / "out")]
    done = subprocess.run(words, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr == f"error: {tmp_path}: nothing to export for lhotse (run stage 1 first)\n"
