"""Stages 0 and 1 on a planted corpus: what they make, and that bad input ends in one clear error and changes nothing."""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

import cgs.stages.corpus as stage0
import cgs.stages.data as stage1
from cgs.base.errors import CgsError, ConfigError, CorpusError, DataError, ProblemsError
from cgs.base.experiment import Experiment
from cgs.base.files import read_json
from cgs.data.corpus import SILENCE_WORD, Corpus
from cgs.data.datadir import read_data_dir, validate_data_dir

RATE = 8000
Make = Callable[..., Experiment]


def run(exp: Experiment) -> None:
    stage0.run(exp)
    stage1.run(exp)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file() and ".partial" not in str(path)}


def test_makes_valid_directories(experiment: Make) -> None:
    exp = experiment()
    run(exp)
    for split in ("train", "dev", "test"):
        validate_data_dir(exp.root / "1-data" / split, RATE)
        assert len(read_data_dir(exp.root / "1-data" / split)) == 3
    assert (exp.root / "1-data" / "lexicon.txt").read_text() == "<sil> SIL\nNO N OW\nYES Y EH S\n"
    assert (exp.root / "1-data" / "keywords.txt").read_text() == "YES\n"
    told = read_json(exp.root / "1-data" / "data.json")
    assert told["splits"]["train"] == {"utterances": 3, "speakers": 2, "seconds": 0.9, "words": 6}
    assert read_json(exp.root / "0-corpus" / "corpus.json")["root"] == str(exp.corpus)
    assert stage0.units(exp)[0].why_stale() == "" and stage1.units(exp)[0].why_stale() == ""


def test_remembers_the_corpus(experiment: Make) -> None:
    exp = experiment()
    run(exp)
    later = replace(exp, corpus=None)
    assert stage0.units(later)[0].why_stale() == ""
    run(later)


def test_a_changed_corpus_is_noticed(experiment: Make) -> None:
    exp = experiment()
    run(exp)
    assert exp.corpus
    (exp.corpus / "train-s0train-0.wav").rename(exp.corpus / "train-s0train-9.wav")
    assert "option digest" in stage0.units(exp)[0].why_stale()
    run(exp)
    assert "s0train-9" in read_data_dir(exp.root / "1-data" / "train")


def test_content_digest_forgets_the_place(experiment: Make, tmp_path: Path) -> None:
    exp = experiment()
    run(exp)
    assert exp.corpus
    moved = exp.corpus.rename(tmp_path / "elsewhere")
    other = replace(exp, root=tmp_path / "other", corpus=moved)
    run(other)
    digests = [read_json(e.root / "1-data" / "data.json")["digest"] for e in (exp, other)]
    assert digests[0] == digests[1]
    samples, _ = sf.read(moved / "dev-s0dev-0.wav")
    sf.write(moved / "dev-s0dev-0.wav", samples[::-1], RATE)
    run(replace(exp, root=tmp_path / "third", corpus=moved))
    assert read_json(tmp_path / "third" / "1-data" / "data.json")["digest"] != digests[0]


def spoil_recording(change: Callable[[Path], object]) -> Callable[[Experiment, types.ModuleType], None]:
    def spoil(exp: Experiment, script: types.ModuleType) -> None:
        assert exp.corpus
        path = exp.corpus / "train-s1train-1.wav"

        def corpus(found: Corpus) -> Corpus:
            change(path)
            return found

        script.change = corpus  # type: ignore[attr-defined]

    return spoil


def spoil_utterance(**fields: object) -> Callable[[Experiment, types.ModuleType], None]:
    def spoil(exp: Experiment, script: types.ModuleType) -> None:
        def corpus(found: Corpus) -> Corpus:
            first, *rest = found.splits["train"]
            return replace(found, splits=found.splits | {"train": [replace(first, **fields), *rest]})  # type: ignore[arg-type]

        script.change = corpus  # type: ignore[attr-defined]

    return spoil


BAD = [
    (spoil_recording(lambda path: path.unlink()), r"utterance s1train-1: .*train-s1train-1\.wav: no such recording \(check the corpus"),
    (spoil_recording(lambda path: path.write_bytes(path.read_bytes()[:-99])), r"utterance s1train-1: .*: truncated \(4745 bytes, the header promises 4844\)"),
    (spoil_recording(lambda path: path.write_bytes(b"")), r"the file is empty \(0 bytes\)"),
    (spoil_recording(lambda path: sf.write(path, np.ones(100), 16000)), r"sample rate 16000 Hz, the recipe says 8000 Hz \(set data\.resample = true"),
    (spoil_recording(lambda path: sf.write(path, np.full(4000, np.nan), RATE, subtype="FLOAT")), r"sample 0 is not a finite number"),
    (spoil_recording(lambda path: sf.write(path, np.ones(0), RATE)), r"train: 1 of 3 utterances cannot be used \(1 no samples; the first is s1train-1\)"),
    (spoil_recording(lambda path: sf.write(path, np.ones(99), RATE)), r"1 shorter than 0\.1 s.*data\.max_bad_fraction"),
    (spoil_recording(lambda path: sf.write(path, np.zeros(2400), RATE)), r"1 nothing but zeros; the first is s1train-1\), 0\.10% allowed \(mend or remove"),
    (spoil_utterance(words=()), r"train: 1 of 3 utterances cannot be used \(1 empty transcript; the first is s0train-0\), 0\.10% allowed \(mend or remove"),
    (spoil_utterance(id="s1train-1", speaker="s1train"), r"train: utterance s1train-1: duplicate, listed 2 times \(keep one\)"),
    (spoil_utterance(words=("YES", "PERHAPS")), r"16\.67% of the words of the training transcripts are missing, 0\.00% allowed: PERHAPS \(1\)"),
    (spoil_utterance(speaker="x"), r"utterance s0train-0: does not begin with its speaker x \(rename it, e\.g\. x-s0train-0\)"),
    (spoil_utterance(words=("YES  NO",)), r"lexicon: .*YES  NO \(1\)"),
    (spoil_utterance(start=0.2, end=0.9), r"part 0\.2 s to 0\.9 s is not inside"),
]


@pytest.mark.parametrize(("spoil", "message"), BAD)
def test_bad_data_is_refused_and_earlier_results_stay(experiment: Make, script: types.ModuleType, spoil: Callable[..., None], message: str) -> None:
    exp = experiment()
    run(exp)
    before = snapshot(exp.root)
    spoil(exp, script)
    with pytest.raises((DataError, ProblemsError), match=message) as told:
        stage1.run(experiment(max_bad_fraction=0.001))
    assert isinstance(told.value, CgsError) and told.value.exit_code == DataError.exit_code
    assert snapshot(exp.root) == before


def test_some_bad_utterances_may_be_dropped(experiment: Make, script: types.ModuleType) -> None:
    exp = experiment(max_bad_fraction=0.4)
    stage0.run(exp)
    spoil_utterance(words=())(exp, script)
    stage1.run(exp)
    told = read_json(exp.root / "1-data" / "data.json")
    assert told["dropped"] == {"train": {"empty transcript": 1}, "dev": {}, "test": {}}
    assert list(read_data_dir(exp.root / "1-data" / "train")) == ["s0train-2", "s1train-1"]


def test_zeros_may_be_silence_but_no_words(experiment: Make, script: types.ModuleType) -> None:
    """A recording of zeros whose transcript is the silence word stays; one with words goes, and is counted."""
    exp = experiment(max_bad_fraction=0.4)
    stage0.run(exp)

    def corpus(found: Corpus) -> Corpus:
        for utterance in found.splits["train"][:2]:
            sf.write(utterance.wav, np.zeros(2400), RATE)
        first, *rest = found.splits["train"]
        return replace(found, splits=found.splits | {"train": [replace(first, words=(SILENCE_WORD,)), *rest]})

    script.change = corpus  # type: ignore[attr-defined]
    stage1.run(exp)
    assert read_json(exp.root / "1-data" / "data.json")["dropped"]["train"] == {"nothing but zeros": 1}
    assert list(read_data_dir(exp.root / "1-data" / "train")) == ["s0train-0", "s1train-1"]


def test_unknown_words_below_the_limit_are_listed(experiment: Make, script: types.ModuleType) -> None:
    exp = experiment(max_oov_fraction=0.2)
    stage0.run(exp)
    spoil_utterance(words=("YES", "PERHAPS"))(exp, script)
    stage1.run(exp)
    assert read_json(exp.root / "1-data" / "data.json")["oov"]["train"]["words"] == {"PERHAPS": 1}


def leaked(found: Corpus, **fields: object) -> Corpus:
    extra = replace(found.splits["train"][0], **fields)  # type: ignore[arg-type]
    return replace(found, splits=found.splits | {"test": [*found.splits["test"], extra]})


LEAKS = [
    (lambda c: leaked(c, id="s0test-9", speaker="s0test"), r"recording .*train-s0train-0\.wav: in (test|train) \(.*\) and in (test|train)"),
    (lambda c: leaked(c, wav=c.splits["test"][0].wav), r"utterance id s0train-0 is in train too"),
    (lambda c: leaked(c, id="s0train-9", wav=c.splits["test"][0].wav), r"speaker s0train: in train and in test, whose speakers should be unseen"),
    (lambda c: replace(c, sources={"s0train-0": ("a.wav",), "s0test-0": ("a.wav",)}), r"recording a\.wav is in train too \(s0train-0\)"),
    (lambda c: replace(c, splits=c.splits | {"dev": []}), r"no utterances in split dev"),
    (lambda c: replace(c, keywords=("MAYBE",)), r"keyword 'MAYBE' is not in the lexicon"),
]


@pytest.mark.parametrize(("change", "message"), LEAKS)
def test_splits_may_not_overlap(experiment: Make, script: types.ModuleType, change: Callable[[Corpus], Corpus], message: str) -> None:
    exp = experiment()
    stage0.run(exp)
    script.change = change  # type: ignore[attr-defined]
    with pytest.raises((DataError, ProblemsError), match=message):
        stage1.run(exp)
    assert not (exp.root / "1-data").exists()


def test_parts_of_one_recording_may_be_in_two_splits(experiment: Make, script: types.ModuleType) -> None:
    def cut(found: Corpus) -> Corpus:
        wav = found.splits["train"][0].wav
        first, last = (replace(found.splits[s][0], wav=wav, start=a, end=b) for s, a, b in (("train", 0.0, 0.15), ("test", 0.15, 0.3)))
        return replace(found, splits=found.splits | {"train": [first, *found.splits["train"][1:]], "test": [last, *found.splits["test"][1:]]})

    exp = experiment()
    stage0.run(exp)
    script.change = cut  # type: ignore[attr-defined]
    stage1.run(exp)
    validate_data_dir(exp.root / "1-data" / "train", RATE)
    assert (exp.root / "1-data" / "test" / "segments").exists()


def test_a_corpus_in_another_layout(experiment: Make, tmp_path: Path) -> None:
    exp = experiment()
    run(exp)
    before = snapshot(exp.root)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match=r"empty: not laid out as planted: no recordings \(plant some\)"):
        stage0.run(replace(exp, corpus=tmp_path / "empty"))
    with pytest.raises(CorpusError, match="no such directory"):
        stage0.run(replace(exp, corpus=tmp_path / "nowhere"))
    assert snapshot(exp.root) == before


def test_no_corpus_at_all(experiment: Make) -> None:
    with pytest.raises(ConfigError, match=r"recipe planted needs a corpus: give --corpus DIR \(recipes/planted/README\.md says where"):
        stage0.run(experiment(corpus=None))


def test_made_corpus(experiment: Make, script: types.ModuleType) -> None:
    def synthesise(root: Path, options: object, seed: int, n_jobs: int, log_dir: Path) -> None:
        root.mkdir()
        for split in ("train", "dev", "test"):
            sf.write(root / f"{split}-a{split}-1.wav", np.sin(np.arange(4000) + seed), RATE)

    script.synthesise = synthesise  # type: ignore[attr-defined]
    exp = experiment(corpus=None)
    run(exp)
    assert read_data_dir(exp.root / "1-data" / "dev")["adev-1"].wav == exp.root / "0-corpus" / "raw" / "dev-adev-1.wav"


def test_made_recordings_are_named_by_their_final_place(experiment: Make, script: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    exp = experiment()
    stage0.run(exp)
    read = script.prepare

    def prepare(root: Path, audio_dir: Path, options: object, seed: int) -> Corpus:
        found = read(root, audio_dir, options, seed)
        audio_dir.mkdir()
        sf.write(audio_dir / "a.wav", np.ones(4000) / 2, RATE)
        first, *rest = found.splits["train"]
        return replace(found, splits=found.splits | {"train": [replace(first, wav=audio_dir / "a.wav"), *rest]})

    monkeypatch.setattr(script, "prepare", prepare)
    stage1.run(exp)
    wav = read_data_dir(exp.root / "1-data" / "train")["s0train-0"].wav
    assert wav == exp.root / "1-data" / "audio" / "a.wav" and wav.exists()
