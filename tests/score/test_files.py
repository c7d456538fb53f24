"""What a person and the report read: alignment text, per-utterance lines, result entries, chosen weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cgs.score.align_text import show_alignment, show_speakers
from cgs.score.detection import Detected, read_detection_columns, score_detection, utterance_accuracy, write_detection
from cgs.score.recognition import IntervalOptions, Recognised, read_error_columns, score_recognition, write_recognition
from cgs.score.tuning import choose_weights
from cgs.score.wer import align_words, count_errors

OPTIONS = IntervalOptions(0.95, 100, 0)


def test_alignment_reads_in_columns() -> None:
    pairs = align_words(["set", "course", "now", "for", "the", "isle"], ["set", "of", "course", "now", "the", "islet"])
    assert show_alignment("ann-1", "ann", pairs) == "\n".join(
        [
            "id: ann-1 (speaker ann)",
            "Scores: (#C #S #D #I) 4 1 1 1",
            "REF:  set ** course now FOR the ISLE",
            "HYP:  set OF course now *** the ISLET",
            "Eval:     I             D       S",
        ]
    )


def test_alignment_of_wide_and_empty_words() -> None:
    text = show_alignment("a", "s", [("左", "左"), (None, "ok")]).splitlines()
    assert text[2] == "REF:  左 **" and text[3] == "HYP:  左 OK" and text[4] == "Eval:    I"
    assert show_alignment("a", "s", [], "[partial]").splitlines()[2:] == ["REF:", "HYP:", "Eval:"]


def test_speaker_table_adds_up() -> None:
    table = show_speakers([count_errors(["a", "b"], ["a", "c"]), count_errors(["a", "b"], ["a", "b"])], ["zoe", "ann"]).splitlines()
    assert [line.split()[0] for line in table] == ["speaker", "ann", "zoe", "all"]
    assert table[-1].split() == ["all", "2", "4", "75.0", "25.0", "0.0", "0.0", "25.00", "50.00"]


def made_utterances() -> list[Recognised]:
    return [
        Recognised("ann-1", "ann", ("go", "left"), ("go", "left")),
        Recognised("ann-2", "ann", ("<sil>",), ("up",), complete=False),
        Recognised("bob-1", "bob", ("göhn", "up"), ("göhn",)),
    ]


def test_recognition_entry_and_files_agree(tmp_path: Path) -> None:
    entry = score_recognition(made_utterances(), OPTIONS)
    assert (entry["wer"], entry["ser"], entry["n_words"]) == (0.5, pytest.approx(2 / 3), 4)
    assert (entry["insertions"], entry["deletions"], entry["n_partial"], entry["ci_unit"]) == (1, 1, 1, "utterances")
    assert entry["wer_ci"][0] <= 0.5 <= entry["wer_ci"][1]
    write_recognition(tmp_path, "float.test", made_utterances())
    ids, speakers, errors, words, wrong = read_error_columns(tmp_path / "float.test.jsonl")
    assert (ids, speakers) == (["ann-1", "ann-2", "bob-1"], ["ann", "ann", "bob"])
    assert (errors.tolist(), words.tolist(), wrong.tolist()) == ([0, 1, 1], [2, 0, 2], [0, 1, 1])
    text = (tmp_path / "float.test.align.txt").read_text(encoding="utf-8")
    assert (entry["cer"], entry["n_characters"], entry["confusions"]) == (pytest.approx(5 / 14), 14, [(None, "up", 1), ("up", None, 1)])
    assert (tmp_path / "float.test.confusions.txt").read_text(encoding="utf-8").splitlines()[1:3] == ["insertions: 1, 1 different", "     1  up"]
    assert "id: ann-2 (speaker ann) [partial: no path reached the end]" in text and "REF:  göhn UP" in text


def test_detection_entry_and_files_agree(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    words = [("up",), ("down",), ("tree",), ()] * 10
    detected = [Detected(f"u{i:02d}", f"s{i}", w, 0.5 * generator.random(2) + 0.4 * np.array(["up" in w, "down" in w])) for i, w in enumerate(words)]
    entry = score_detection(detected, ["up", "down"], 3600.0, OPTIONS)
    assert entry["auc_ci"][0] <= entry["auc"] <= entry["auc_ci"][1] and entry["ci_unit"] == "speakers"
    assert entry["per_keyword"]["up"]["n_positive"] == 10
    assert entry["roc"]["detection_rate"][0] == 0 and entry["roc"]["detection_rate"][-1] == 1
    assert entry["miss_rate_at_alarms_per_hour"]["10"] <= entry["miss_rate_at_alarms_per_hour"]["1"]
    write_detection(tmp_path, "float.test", detected, ["up", "down"])
    ids, _, present, confidence = read_detection_columns(tmp_path / "float.test.jsonl")
    assert ids[1] == "u01" and present[:4].tolist() == [[1, 0], [0, 1], [0, 0], [0, 0]]
    assert (confidence == np.stack([d.confidence for d in detected])).all()


def test_isolated_accuracy_knows_other_words_and_silence() -> None:
    nothing = np.zeros(1)
    rows = [("up", "up"), ("tree", None), ("", ""), ("up", None), ("tree", "up"), ("", "up")]
    detected = [Detected(str(i), "s", (word,) if word else (), nothing, guess) for i, (word, guess) in enumerate(rows)]
    assert utterance_accuracy(detected, ["up"]) == 0.5
    assert utterance_accuracy([Detected("a", "s", ("up", "up"), nothing, "up")], ["up"]) is None


def test_weights_are_chosen_one_after_the_other() -> None:
    asked = []

    def rates(scales, penalties):
        asked.append((list(scales), list(penalties)))
        return {(s, p): abs(s - 0.1) + abs(p - 1) / 10 for s in scales for p in penalties}

    tuned = choose_weights([0.05, 0.1, 0.2], [0.0, 1.0, 2.0], rates)
    assert (tuned.acoustic_scale, tuned.insertion_penalty, tuned.at_edge) == (0.1, 1.0, False)
    assert asked == [([0.05, 0.1, 0.2], [0.0]), ([0.1], [1.0, 2.0])]
    assert tuned.tried["0.1 1"] == 0


def test_ties_take_the_first_and_edges_are_told() -> None:
    tuned = choose_weights([0.1, 0.05, 0.2], [0.0], lambda scales, penalties: {(s, 0.0): 0.3 for s in scales})
    assert (tuned.acoustic_scale, tuned.at_edge) == (0.1, False)
    tuned = choose_weights([0.05, 0.1, 0.2], [0.0], lambda scales, penalties: {(s, 0.0): s for s in scales})
    assert (tuned.acoustic_scale, tuned.at_edge) == (0.05, True)
    tuned = choose_weights([0.1], [0.5], lambda scales, penalties: pytest.fail("nothing to choose"))
    assert (tuned.acoustic_scale, tuned.insertion_penalty, tuned.tried) == (0.1, 0.5, {})
