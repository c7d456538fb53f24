"""Stages 2, 8 and 10 with an open vocabulary on a planted experiment: a word that no text and no lexicon has comes back with its times; closed results stay."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest

from cgs.base.experiment import Experiment
from cgs.base.files import read_json, write_json, write_text
from cgs.data.audio import write_wav
from cgs.data.corpus import Utterance
from cgs.data.datadir import write_data_dir
from cgs.decode.recogniser import Recogniser
from cgs.lang.lang import load_lang
from cgs.score.unknown import score_unknown
from cgs.stages import decode, lang

from . import test_stage as base  # isort: skip

LEXICON = {"tan": ["T", "A", "N"], "nat": ["N", "A", "T"], "net": ["N", "E", "T"], "ten": ["T", "E", "N"], "at": ["A", "T"], "in": ["I", "N"], "it": ["I", "T"]}
UNKNOWN = {"eta": ["E", "T", "A"], "anna": ["A", "N", "N", "A"]}
GUESSED = {"ant": ["A", "N", "T"]}
PAUSE = {"|": ["SIL"]}
TEXT = ["tan net", "ten at it", "in it", "nat at ten", "net in", "ant it", "it in at tan", "ant net"]
SPOKEN = {"dev": ["tan net", "eta | it", "anna | at"], "test": ["it | eta", "net | anna", "ten", "anna | eta | tan"], "test_two": ["ant"]}
"""With pauses, which part words whose letters could be parted elsewhere."""


def make_data(exp: Experiment) -> None:
    root = exp.root
    with base.unit(root, "1-data").writing() as out:
        for split, sentences in SPOKEN.items():
            utterances = []
            for index, words in enumerate(sentences):
                wav, name = root / "audio" / f"{split}-{index}.wav", f"{split}-{index}"
                write_wav(wav, np.random.default_rng(index).standard_normal(base.RATE) * 0.1, base.RATE)
                utterances.append(Utterance(name, name, wav, tuple(words.replace("|", "").split())))
            write_data_dir(out / split, utterances, {u.id: 1.0 for u in utterances})
        write_text(out / "train" / "text", "train-0 ant it\n")
        write_text(out / "lexicon.txt", "".join(f"{word} {' '.join(phones)}\n" for word, phones in sorted(LEXICON.items())))
        write_text(out / "lm.txt", "".join(f"{line}\n" for line in TEXT))
        write_json(out / "data.json", {"splits": {"train": {}} | {split: {} for split in SPOKEN}})


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Experiment]:
    root = tmp_path_factory.mktemp("open")
    recipe = base.recipe(
        lang={"vocabularies": ["train", "subword"], "ngram_order": 2, "subword_pieces": 8, "subword_order": 2, "g2p": True},
        decode={"acoustic_scales": [1.0], "gmm_acoustic_scales": [1.0], "spelling_costs": [50.0, 0.0]},
        systems={"full": {"task": "asr", "method": "dense", "hidden": [8], "seeds": [1, 2]}},
    )
    exp = Experiment(root, recipe)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "LEXICON", LEXICON | UNKNOWN | GUESSED | PAUSE)
        patch.setattr(base, "SPOKEN", SPOKEN)
        patch.setattr(decode, "run_jobs", base.in_process)
        make_data(exp)
        lang.run(exp)
        lang_ = load_lang(root / "2-lang")
        gmm = base.make_gmm(root, lang_)
        base.make_features(root, lang_, gmm)
        for seed in (1, 2):
            base.make_network(root, "asr", "full", seed, np.eye(gmm.n_pdfs, dtype=np.float32), {"classes": None, "log_prior": [-3.0] * gmm.n_pdfs})
        decode.run(exp)
        yield exp


def test_a_word_missing_from_the_lexicon_is_guessed_and_marked(planted: Experiment) -> None:
    assert [line.split("\t")[:2] for line in (planted.root / "2-lang/guessed.txt").read_text().splitlines()] == [["ant", "A N T"]]
    assert load_lang(planted.root / "2-lang").lexicon["ant"] == [("A", "N", "T")]
    told = read_json(planted.root / "2-lang/lang.json")
    assert told["g2p"] == {"n_guessed": 1, "n_running_guessed": 3, "n_left": 0, "n_learnt_from": 7, "n_not_aligned": 0}
    assert told["n_unknown_lm_words"] == 0 and told["vocabularies"]["subword"]["size"]["words"] == 8


def test_unknown_words_come_back_spelled_and_joined(planted: Experiment) -> None:
    for name, engines in (("gmm", ["gmm"]), ("full/seed1", ["float", "packed"])):
        for engine in engines:
            entries = base.result(planted, name)["engines"][engine]
            assert sorted(entries) == ["test", "test/subword", "test_two", "test_two/subword"]
            opened, closed = entries["test/subword"], entries["test"]
            assert opened["wer"] == 0 and closed["wer"] >= 4 / 8
            assert (closed["n_unknown"], closed["n_unknown_recognised"], closed["n_unknown_hypothesised"]) == (4, 0, 0)
            assert (closed["unknown_recall"], closed["unknown_precision"]) == (0, None)
            assert (opened["n_unknown"], opened["unknown_recall"], opened["unknown_precision"]) == (4, 1, 1)
            assert entries["test_two/subword"]["wer"] == 0 and entries["test_two"]["n_unknown"] == 0
    folder = planted.root / "8-decode/full/seed1"
    lines = [json.loads(line) for line in (folder / "packed.test.subword.jsonl").read_text().splitlines()]
    assert [line["hyp"] for line in lines] == [line["ref"] for line in lines] == ["it eta", "net anna", "ten", "anna eta tan"]


def test_the_cost_of_spelling_is_chosen_on_dev_for_this_vocabulary_alone(planted: Experiment) -> None:
    tuned = base.result(planted, "full/seed1")["tuned"]
    assert tuned["spelling_cost"] == 0 and tuned["spelling_tried"]["0"] == 0 < tuned["spelling_tried"]["50"]
    assert tuned["vocabulary"] == "train" and tuned["insertion_penalty"] == 0
    assert "spelling_cost" not in base.result(planted, "full/seed2")["tuned"]
    assert sorted(base.result(planted, "full/seed2")["engines"]["float"]) == ["test", "test_two"]


def test_times_are_those_of_words(planted: Experiment) -> None:
    lines = [line.split() for line in (planted.root / "8-decode/full/seed1/float.test.subword.ctm").read_text().splitlines()]
    found = [(line[4], float(line[2]), float(line[3])) for line in lines if line[0] == "test-3"]
    state = 3 * base.STATE_FRAMES * 0.01
    assert [word for word, _, _ in found] == ["anna", "eta", "tan"]
    assert [length for _, _, length in found] == pytest.approx([4 * state, 3 * state, 3 * state], abs=0.011)
    assert [begin for _, begin, _ in found] == pytest.approx([5 * state / 3, 5 * state / 3 * 2 + 4 * state, 5 * state / 3 * 3 + 7 * state], abs=0.011)


def recogniser(exp: Experiment, penalty: float, cost: float) -> Recogniser:
    return Recogniser(exp.root / "2-lang/subword", exp.root / "4-align", exp.root / "8-decode/graph/subword", 13.0, 5000, penalty, 0.01, cost)


def test_each_word_pays_the_insertion_penalty_once_and_spelled_ones_their_cost(planted: Experiment) -> None:
    from cgs.gmm.model import AcousticGmm

    gmm, lang_ = AcousticGmm.load(planted.root / "4-align"), load_lang(planted.root / "2-lang")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "LEXICON", LEXICON | UNKNOWN | PAUSE)
        scores = (40 * base.frames_of("eta | tan", lang_, gmm)).astype(np.float32)
    plain, costly = recogniser(planted, 0.0, 0.0).decode(scores), recogniser(planted, 1.5, 4.0).decode(scores)
    assert plain.words == costly.words == ("eta", "tan")
    assert len(plain.units) > 2 and plain.units[-1] == "tan"
    assert costly.cost - plain.cost == pytest.approx(2 * 1.5 + 4.0, abs=1e-3)


def test_recordings_without_speech_have_no_words(planted: Experiment) -> None:
    from cgs.gmm.model import AcousticGmm

    gmm, lang_ = AcousticGmm.load(planted.root / "4-align"), load_lang(planted.root / "2-lang")
    silence = base.frames_of("", lang_, gmm)
    found = recogniser(planted, 0.0, 0.0).decode((40 * silence[: len(silence) // 2]).astype(np.float32))
    assert found.words == () and found.complete and recogniser(planted, 0.0, 0.0).ctm("silent", found) == []


def test_counts_of_unknown_words_by_hand() -> None:
    pairs = [[("a", "a"), ("x", "x"), ("y", "a"), (None, "z"), ("w", None)], [("x", "y"), ("a", "x")]]
    told = score_unknown(pairs, {"a"})
    assert told == {"n_unknown": 4, "n_unknown_recognised": 1, "n_unknown_hypothesised": 4, "unknown_recall": 1 / 4, "unknown_precision": 1 / 4}
    assert score_unknown([], set())["unknown_recall"] is None


def test_subword_stands_beside_the_words_of_the_text() -> None:
    with pytest.raises(ValueError, match='"subword", which adds spelled words to those of the text, but not "train"'):
        base.recipe(lang={"vocabularies": ["subword"]})
