"""fsdd: joined strings hold the right recordings, once each, and never cross a split or a speaker."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from cgs.base.errors import CorpusError
from cgs.base.recipe import load_recipe, local_options, variant_names
from cgs.data.audio import read_audio, write_wav
from local import fsdd

RATE = fsdd.SAMPLE_RATE
SMALL = fsdd.Options(dev_indices=[5], train_passes=2)


def planted(root: Path, speakers: tuple[str, ...] = ("ann", "bob"), n_each: int = 8, suffix: str = "wav") -> Path:
    """Each recording is a constant of its own, so that a string shows what it was made from."""
    for s, speaker in enumerate(speakers):
        for digit in range(10):
            for index in range(n_each):
                level = (1 + s + 2 * (digit + 10 * index)) * 64 / 32768
                write_wav(root / "recordings" / f"{digit}_{speaker}_{index}.{suffix}", np.full(1000, level), RATE)
    return root


def test_every_recording_once_in_each_pass(tmp_path: Path) -> None:
    root = planted(tmp_path / "fsdd")
    fsdd.check_layout(root, SMALL)
    corpus = fsdd.prepare(root, tmp_path / "audio", SMALL, seed=1)
    for split, indices, passes in (("train", (6, 7), 2), ("dev", (5,), 1), ("test", range(5), 1), ("test_isolated", range(5), 1)):
        used = Counter(name for utterance in corpus.splits[split] for name in corpus.sources[utterance.id])
        assert used == {f"{d}_{s}_{i}.wav": passes for d in range(10) for s in ("ann", "bob") for i in indices}
    for utterance in (u for split in corpus.splits.values() for u in split):
        sources = corpus.sources[utterance.id]
        assert utterance.words == tuple(fsdd.WORDS[int(name[0])] for name in sources)
        assert {name.split("_")[1] for name in sources} == {utterance.speaker}
        assert len(sources) == len(set(sources)) <= 7
    assert corpus.lm_text == [u.words for u in corpus.splits["train"]]


def test_strings_hold_the_recordings_unchanged(tmp_path: Path) -> None:
    root = planted(tmp_path / "fsdd", ("ann",))
    corpus = fsdd.prepare(root, tmp_path / "audio", SMALL, seed=1)
    string = max(corpus.splits["train"], key=lambda u: len(u.words))
    steps = np.rint(read_audio(string.wav, RATE) * 32768).astype(int)
    runs = [value for value, n in zip(*np.unique(steps, return_counts=True), strict=True) if n >= 900]
    parts = [np.rint(read_audio(root / "recordings" / name, RATE) * 32768)[0] for name in corpus.sources[string.id]]
    assert runs == sorted(parts)
    first = {value: int(np.flatnonzero(steps == value)[0]) for value in parts}
    starts = [first[value] for value in parts]
    assert starts == sorted(starts)
    assert 0.2 * RATE <= starts[0] <= 0.4 * RATE + 40
    gaps = np.diff(starts) - 1000
    assert gaps.min() >= 0.05 * RATE - 80 and gaps.max() <= 0.4 * RATE + 80


def test_gaps_are_as_quiet_as_the_edges() -> None:
    loud_middle = np.concatenate([np.full(400, 1e-3), np.full(800, 0.5), np.full(400, 1e-3)])
    joined = fsdd.joined([loud_middle, loud_middle], fsdd.Options(), "seed")
    assert 0.0008 < np.sqrt(np.mean(joined[:1600] ** 2)) < 0.0012
    silent = fsdd.joined([np.zeros(800)], fsdd.Options(), "seed")
    assert 0 < np.sqrt(np.mean(silent[:1600] ** 2)) < 2 / 32768


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    root = planted(tmp_path / "fsdd", ("ann",))
    made = [fsdd.prepare(root, tmp_path / name, SMALL, seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    files = [{p.relative_to(tmp_path / name): p.read_bytes() for p in (tmp_path / name).rglob("*.wav")} for name in "abc"]
    assert files[0] == files[1] != files[2]
    assert made[0].sources == made[1].sources != made[2].sources


def test_speakers_left_out(tmp_path: Path) -> None:
    root = planted(tmp_path / "fsdd")
    options = fsdd.Options(dev_indices=[5], test_speakers=["bob"])
    fsdd.check_layout(root, options)
    corpus = fsdd.prepare(root, tmp_path / "audio", options, seed=1)
    assert {split: {u.speaker for u in utterances} for split, utterances in corpus.splits.items()} == {
        "train": {"ann"}, "dev": {"ann"}, "test": {"bob"}, "test_isolated": {"bob"},
    }  # fmt: skip
    assert len(corpus.splits["test_isolated"]) == 80
    assert corpus.unseen_speakers == ("test", "test_isolated")


def test_layout(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no such directory"):
        fsdd.check_layout(tmp_path / "nowhere", SMALL)
    with pytest.raises(CorpusError, match=r"not laid out as fsdd: no recordings in"):
        fsdd.check_layout(tmp_path, SMALL)
    root = planted(tmp_path / "fsdd")
    (root / "recordings" / "7_ann_5.wav").unlink()
    (root / "recordings" / "3_bob_1.wav").rename(root / "recordings" / "three.wav")
    with pytest.raises(CorpusError, match=r"three\.wav: not \{digit\}_\{speaker\}_\{index\}; speaker ann has no dev recording of digit 7"):
        fsdd.check_layout(root, SMALL)
    (root / "recordings" / "three.wav").unlink()
    with pytest.raises(CorpusError, match=r"no speaker 'eve' \(there are: ann, bob\)"):
        fsdd.check_layout(root, fsdd.Options(dev_indices=[5], test_speakers=["eve"]))
    with pytest.raises(ValidationError, match="write \\[shortest, longest\\]"):
        fsdd.Options(gap_seconds=(0.4, 0.1))


def test_the_folder_of_recordings_will_do(tmp_path: Path) -> None:
    fsdd.check_layout(planted(tmp_path / "fsdd") / "recordings", SMALL)


def test_recipe_and_variants(corpora: Path) -> None:
    assert variant_names("fsdd") == ["leave_speakers_out", "paper_size", "tdnn_lstm"]
    for variant in ("", *variant_names("fsdd")):
        options = local_options(load_recipe("fsdd", variant))
        assert isinstance(options, fsdd.Options)
        fsdd.check_layout(corpora / "fsdd", options)
