"""speechocean762: its tables, its dev set and its lexicon."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cgs.base.errors import CorpusError, DataError
from cgs.base.recipe import load_recipe, variant_names
from cgs.data.audio import write_wav
from cgs.data.text import oov_fraction
from local import speechocean762 as so

OPTIONS = so.Options(dev_speakers=2)


def planted(root: Path) -> Path:
    """Six training speakers, half of them children, and two test speakers; one sentence each; .WAV in wav.scp."""
    for split, speakers in (("train", ["0001", "0002", "0003", "0004", "0005", "0006"]), ("test", ["0007", "0008"])):
        folder = root / split
        folder.mkdir(parents=True)
        names = {f"0{speaker}0011": speaker for speaker in speakers}
        for name, speaker in names.items():
            write_wav(root / "WAVE" / f"SPEAKER{speaker}" / f"{name}.wav", np.ones(4000) / 4, 16000)
        (folder / "text").write_text("".join(f"{name}\tWE CALL {speaker}\n" for name, speaker in names.items()))
        (folder / "wav.scp").write_text("".join(f"{name}\tWAVE/SPEAKER{speaker}/{name}.WAV\n" for name, speaker in names.items()))
        (folder / "utt2spk").write_text("".join(f"{name}\t{speaker}\n" for name, speaker in names.items()))
        (folder / "spk2gender").write_text("".join(f"{speaker}\tf\n" for speaker in speakers))
        (folder / "spk2age").write_text("".join(f"{speaker}\t{8 if int(speaker) % 2 else 30}\n" for speaker in speakers))
    (root / "resource").mkdir()
    (root / "resource" / "lexicon.txt").write_text("WE W IY1\nCALL K AO1 L\nCALL K AO0 L\nODD\nWRONG W 1 QX\n")
    return root


def test_split_and_language_model_text(tmp_path: Path) -> None:
    root = planted(tmp_path)
    so.check_layout(root, OPTIONS)
    corpus = so.prepare(root, tmp_path / "audio", OPTIONS, 3)
    speakers = {split: {u.speaker for u in us} for split, us in corpus.splits.items()}
    assert speakers["test"] == {"0007", "0008"}
    assert len(speakers["dev"]) == 2 and {int(name) % 2 for name in speakers["dev"]} == {0, 1}
    assert speakers["train"] == {f"000{n}" for n in range(1, 7)} - speakers["dev"]
    assert {words[2] for words in corpus.lm_text} == speakers["train"]
    both = so.prepare(root, tmp_path / "audio", so.Options(dev_speakers=2, lm_from_dev=True), 3)
    assert {words[2] for words in both.lm_text} == speakers["train"] | speakers["dev"]
    utterance = corpus.splits["test"][0]
    assert utterance.id == "0007-000070011" and utterance.gender == "f" and utterance.wav.suffix == ".wav" and utterance.wav.exists()


def test_lexicon_without_stress(tmp_path: Path) -> None:
    corpus = so.prepare(planted(tmp_path), tmp_path / "audio", so.Options(dev_speakers=2), 1)
    assert corpus.lexicon == [("WE", ("W", "IY")), ("CALL", ("K", "AO", "L"))]
    assert corpus.notes["lexicon"] == "2 pronunciations; 2 odd lines dropped, 1 merged that differ in stress only"


BREACHES: list[tuple[Callable[[Path], object], str]] = [
    (lambda root: (root / "train" / "text").unlink(), r"train/text is missing"),
    (lambda root: (root / "resource" / "lexicon.txt").unlink(), r"resource/lexicon\.txt is missing"),
    (lambda root: (root / "WAVE" / "SPEAKER0007" / "000070011.wav").unlink(), r"test: 1 of 2 recordings are missing, the first is WAVE/SPEAKER0007"),
    (lambda root: (root / "test" / "text").write_text("000070011\tWE CALL\n"), r"test: utterance 000080011 is not in all of text, wav\.scp and utt2spk"),
    (lambda root: (root / "train" / "spk2gender").write_text("0001\tf\n"), r"no more than 2 training speakers"),
]


@pytest.mark.parametrize(("spoil", "message"), BREACHES)
def test_layout(tmp_path: Path, spoil: Callable[[Path], object], message: str) -> None:
    root = planted(tmp_path / "so")
    spoil(root)
    with pytest.raises(CorpusError, match=message):
        so.check_layout(root, OPTIONS)


def test_text_that_is_not_utf8_or_has_an_utterance_twice(tmp_path: Path) -> None:
    root = planted(tmp_path / "so")
    good = (root / "test" / "text").read_bytes()
    (root / "test" / "text").write_bytes(good + b"000090011\tCAF\xc9\n")
    with pytest.raises(DataError, match=r"test/text:3: not UTF-8 \(byte 0xc9\)"):
        so.check_layout(root, OPTIONS)
    (root / "test" / "text").write_bytes(good + good)
    with pytest.raises(DataError, match=r"test/text:3: 000070011: duplicate, listed before"):
        so.check_layout(root, OPTIONS)


def test_real_corpus(corpora: Path, tmp_path: Path) -> None:
    for variant in ("", *variant_names("speechocean762")):
        load_recipe("speechocean762", variant)
    root = corpora / "speechocean762"
    so.check_layout(root, so.Options())
    corpus = so.prepare(root, tmp_path, so.Options(), 1)
    assert {split: len(us) for split, us in corpus.splits.items()} == {"train": 2340, "dev": 160, "test": 1240}
    test = [u.words for u in corpus.splits["test"]]
    known = {word for words in corpus.lm_text for word in words}
    assert 0.054 < oov_fraction(test, known) < 0.062
    assert oov_fraction(test, {word for word, _ in corpus.lexicon}) == 0
    whole = so.prepare(root, tmp_path, so.Options(lm_from_dev=True), 1).lm_text
    assert round(oov_fraction(test, {word for words in whole for word in words}), 3) == 0.054
