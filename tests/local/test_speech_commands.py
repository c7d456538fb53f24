"""Speech Commands: lists, silence, and where it comes from."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from cgs.base.errors import CorpusError
from cgs.base.recipe import load_recipe, variant_names
from cgs.data.audio import read_audio, write_wav
from cgs.data.corpus import SILENCE_WORD
from local import speech_commands as sc

RATE = sc.SAMPLE_RATE
OPTIONS = sc.Options(keywords=["ONE"], silence_fraction=0.5)


def planted(root: Path) -> Path:
    """Two words by three speakers, one for each split; the lists name .wav but the recordings are .flac."""
    import soundfile as sf

    noise = np.random.default_rng(0)
    for word in ("one", "up"):
        (root / word).mkdir(parents=True)
        for speaker in ("aaaa", "bbbb", "cccc"):
            for number in range(2):
                samples = noise.standard_normal(RATE) * 0.001
                samples[4000:12000] += 0.3 * np.sin(np.arange(8000))
                sf.write(root / word / f"{speaker}_nohash_{number}.flac", samples, RATE)
    for name, speaker in (("validation_list.txt", "bbbb"), ("testing_list.txt", "cccc")):
        (root / name).write_text("".join(f"{word}/{speaker}_nohash_{number}.wav\n" for word in ("one", "up") for number in range(2)))
    return root


def test_splits_follow_the_lists(tmp_path: Path) -> None:
    root = planted(tmp_path / "sc")
    sc.check_layout(root, OPTIONS)
    corpus = sc.prepare(root, tmp_path / "audio", OPTIONS, 1)
    for split, speaker in (("train", "aaaa"), ("dev", "bbbb"), ("test", "cccc")):
        words = [u.words[0] for u in corpus.splits[split]]
        assert sorted(words) == [SILENCE_WORD] * 2 + ["ONE"] * 2 + ["UP"] * 2
        assert {u.speaker for u in corpus.splits[split]} == {speaker}
    assert corpus.splits["train"][0].id == "aaaa-one-0"
    assert corpus.keywords == ("ONE",)
    assert corpus.lm_text == [("ONE",), ("ONE",), ("UP",), ("UP",)]
    assert {"ONE", "UP", "SHEILA"} <= {word for word, _ in corpus.lexicon} and len({word for word, _ in corpus.lexicon}) == 35


def test_fewer_recordings_of_each_word(tmp_path: Path) -> None:
    corpus = sc.prepare(planted(tmp_path / "sc"), tmp_path / "audio", sc.Options(keywords=["ONE"], silence_fraction=0, max_per_word=1), 1)
    assert {split: len(us) for split, us in corpus.splits.items()} == {"train": 2, "dev": 4, "test": 4}


def test_made_silence_has_level_and_colour_of_the_quiet_stretch(tmp_path: Path) -> None:
    t = np.arange(RATE)
    low = np.random.default_rng(1).standard_normal(RATE)
    low = np.convolve(low, np.ones(16) / 16, mode="same") * 0.01
    write_wav(tmp_path / "a.wav", np.where((t > 3000) & (t < 13000), 0.4 * np.sin(t), low), RATE)
    noise = sc.background_like(tmp_path / "a.wav", 5)
    assert noise.shape == (RATE,)
    assert 0.5 < np.sqrt(np.mean(noise**2)) / np.sqrt(np.mean(low**2)) < 1.5
    power = np.abs(np.fft.rfft(noise)) ** 2
    assert power[:500].sum() > 5 * power[4000:].sum()
    assert np.array_equal(noise, sc.background_like(tmp_path / "a.wav", 5))


def test_background_noise_is_split_by_the_second(tmp_path: Path) -> None:
    root = planted(tmp_path / "sc")
    for number in range(2):
        samples = np.repeat((np.arange(20) + 20 * number + 1) / 64, RATE)
        write_wav(root / "_background_noise_" / f"{number}.wav", samples, RATE)
    cells = sc.noise_cells(root / "_background_noise_", random.Random(0))
    assert {split: sorted(second for _, second in found) for split, found in cells.items()} == {
        "train": sorted([*range(16), *range(16)]), "dev": [16, 16, 17, 17], "test": [18, 18, 19, 19],
    }  # fmt: skip
    sc.check_layout(root, OPTIONS)
    corpus = sc.prepare(root, tmp_path / "audio", OPTIONS, 1)
    silence = [u for u in corpus.splits["test"] if u.words == (SILENCE_WORD,)]
    assert {u.speaker for u in silence} == {"noisetest"}
    assert all(corpus.sources[u.id][0].split()[-1] in ("18", "19") for u in silence)
    samples = read_audio(silence[0].wav, RATE)
    assert samples.shape == (RATE,) and np.ptp(samples) == 0


def test_noise_folder(tmp_path: Path) -> None:
    root = planted(tmp_path / "sc")
    for number in range(10):
        write_wav(tmp_path / "noise" / "deep" / f"{number}.wav", np.full(2 * RATE, 0.1), RATE)
    options = sc.Options(keywords=["ONE"], noise_dir=str(tmp_path / "noise"))
    assert sc.prepare(root, tmp_path / "audio", options, 1).notes["silence"].startswith("seconds of the recordings in noise")
    with pytest.raises(CorpusError, match=r"local\.noise_dir: .*nowhere: no such directory"):
        sc.check_layout(root, sc.Options(keywords=["ONE"], noise_dir=str(tmp_path / "nowhere")))
    (tmp_path / "noise" / "deep" / "9.wav").unlink()
    with pytest.raises(CorpusError, match="not enough noise for test"):
        sc.noise_cells(tmp_path / "noise", random.Random(0))


def test_thirty_five_words(tmp_path: Path) -> None:
    """A tree with the official archive's names: every word is a keyword, none is other speech, and a lacking word is told."""
    recipe = load_recipe("speech_commands", "thirty_five_words")
    options, words = sc.Options(**recipe.local), [word.lower() for word in sorted({word for word, _ in sc._lexicon()})]
    root = tmp_path / "speech_commands_v0.02"
    lists: dict[str, list[str]] = {"validation_list.txt": [], "testing_list.txt": []}
    samples = np.random.default_rng(0).standard_normal(800) * 0.1
    for word in words:
        for speaker, name in (("004ae714", ""), ("0a2b400e", "validation_list.txt"), ("0132a06d", "testing_list.txt")):
            write_wav(root / word / f"{speaker}_nohash_0.wav", samples, RATE)
            if name:
                lists[name].append(f"{word}/{speaker}_nohash_0.wav\n")
    for name, lines in lists.items():
        (root / name).write_text("".join(lines))
    write_wav(root / "_background_noise_" / "running_tap.wav", np.tile(samples, 20 * 30), RATE)
    for name in ("README.md", "LICENSE", "_background_noise_/README.md"):
        (root / name).write_text("as in the archive\n")
    sc.check_layout(root, options)
    corpus = sc.prepare(root, tmp_path / "audio", options, 1)
    assert len(corpus.keywords) == 35 and set(corpus.keywords) == {word.upper() for word in words}
    for utterances in corpus.splits.values():
        assert sorted(u.words[0] for u in utterances) == sorted(corpus.keywords)
    shutil.rmtree(root / "sheila")
    with pytest.raises(CorpusError, match="no folder for the keyword SHEILA"):
        sc.check_layout(root, options)


def test_layout(tmp_path: Path) -> None:
    root = planted(tmp_path / "sc")
    with pytest.raises(CorpusError, match=r"no folder for the keyword ZERO; no folder for the keyword TWO"):
        sc.check_layout(root, sc.Options())
    (root / "one" / "aaaa.flac").write_bytes(b"")
    (root / "one" / "cccc_nohash_1.flac").unlink()
    told = r"one/aaaa\.flac: not \{speaker\}_nohash_\{number\}; 1 recordings of testing_list\.txt are missing, the first is one/cccc"
    with pytest.raises(CorpusError, match=told):
        sc.check_layout(root, OPTIONS)
    (root / "testing_list.txt").unlink()
    (root / "hello").mkdir()
    with pytest.raises(CorpusError, match=r"testing_list\.txt is missing; folder hello is not a word of the corpus"):
        sc.check_layout(root, OPTIONS)


def test_real_corpus(corpora: Path) -> None:
    for variant in ("", *variant_names("speech_commands")):
        load_recipe("speech_commands", variant)
    sc.check_layout(corpora / "speech_commands", sc.Options())
