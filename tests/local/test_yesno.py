"""yesno: transcripts from names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cgs.base.errors import CorpusError
from cgs.base.recipe import load_recipe
from cgs.data.audio import write_wav
from local import yesno


def planted(root: Path, names: list[str]) -> Path:
    for name in names:
        write_wav(root / f"{name}.wav", np.ones(800) / 4, 8000)
    return root


def test_transcripts_and_split(tmp_path: Path) -> None:
    root = planted(tmp_path, ["0_1", "0_0", "1_0", "0_1_1"])
    options = yesno.Options(dev_every=2)
    yesno.check_layout(root, options)
    corpus = yesno.prepare(root, tmp_path / "audio", options, 0)
    assert {split: [(u.id, u.words) for u in us] for split, us in corpus.splits.items()} == {
        "train": [("global-0_0", ("NO", "NO"))],
        "dev": [("global-0_1_1", ("NO", "YES", "YES"))],
        "test": [("global-0_1", ("NO", "YES")), ("global-1_0", ("YES", "NO"))],
    }


def test_layout(tmp_path: Path) -> None:
    planted(tmp_path / "a", ["0_1", "hello"])
    with pytest.raises(CorpusError, match=r"hello\.wav: the name is not a transcript of 0 and 1; 2 recordings, too few for train, dev and test: 20 are needed"):
        yesno.check_layout(tmp_path / "a", yesno.Options())


def test_real_corpus(corpora: Path, tmp_path: Path) -> None:
    load_recipe("yesno")
    yesno.check_layout(corpora / "yesno", yesno.Options())
    corpus = yesno.prepare(corpora / "yesno", tmp_path, yesno.Options(), 0)
    assert {split: len(us) for split, us in corpus.splits.items()} == {"train": 27, "dev": 3, "test": 30}
