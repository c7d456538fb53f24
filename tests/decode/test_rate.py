"""How fast somebody speaks: phone lengths off a path and a CTM file, and weights that make phones of any length the same evidence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cgs.base.errors import DataError, FormatError
from cgs.data.corpus import Utterance
from cgs.decode.rate import phone_lengths, rate_weights, usual_phone_length
from cgs.gmm.transitions import TransitionTable
from cgs.score.evaluation import Split

SPEAKERS = {"a-1": "a", "a-2": "a", "b-1": "b"}


def one_state_phones() -> TransitionTable:
    """Phone p has one state: transition-id 2p - 1 leaves it and 2p stays."""
    phone = np.array([0, 1, 1, 2, 2, 3, 3], dtype=np.int32)
    stays = np.arange(7) % 2 == 0
    return TransitionTable(phone, phone, np.zeros_like(phone), np.zeros_like(phone), stays, ~stays)


def test_lengths_of_phones_leave_silence_out() -> None:
    silence_two_speech = [1, 2, 2, 3, 4, 5, 3, 4, 4, 4]
    assert phone_lengths(silence_two_speech, one_state_phones(), {1}) == [2, 1, 4]
    assert phone_lengths([], one_state_phones(), {1}) == []


def ctm(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "train.phones.ctm"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_the_usual_length_is_between_speakers_whatever_they_said(tmp_path: Path) -> None:
    """A speaks 0.2 s a phone, b 0.05 s: 0.1 s is usual, though a spoke more phones."""
    a = [f"a-1 1 0.00 {seconds} {phone}" for seconds, phone in ((0.1, "A_B"), (0.3, "O_E"), (9, "SIL"), (9, "SPN"))]
    path = ctm(tmp_path, *a, "a-2 1 0.00 0.2 A_S", "b-1 1 0.00 0.05 A_S", "b-1 1 0.05 5 SIL")
    assert usual_phone_length(path, SPEAKERS, 0.01, {}) == pytest.approx(10.0)


def test_lengths_are_counted_in_frames_as_they_are_spaced(tmp_path: Path) -> None:
    path = ctm(tmp_path, "a-1 1 0.00 0.2 A", "b-1 1 0.00 0.05 A")
    assert usual_phone_length(path, SPEAKERS, 0.01, {"a-1": 0.5, "b-1": 2.0}) == pytest.approx(10.0)


def test_odd_lines_are_told(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"train.phones.ctm:2: not a line of phones but 'a-1 1'"):
        usual_phone_length(ctm(tmp_path, "a-1 1 0 0.1 A", "a-1 1"), SPEAKERS, 0.01, {})
    with pytest.raises(DataError, match=r"train.phones.ctm:1: utterance 'c-1' has no speaker"):
        usual_phone_length(ctm(tmp_path, "c-1 1 0 0.1 A"), SPEAKERS, 0.01, {})
    with pytest.raises(DataError, match="holds no phone"):
        usual_phone_length(ctm(tmp_path, "a-1 1 0 0.1 SIL"), SPEAKERS, 0.01, {})


def test_with_exponent_one_a_phone_weighs_the_same_however_long() -> None:
    lengths = {"slow": 30.0, "usual": 10.0, "fast": 5.0}
    weights = rate_weights(lengths, 10.0, 1.0)
    assert {speaker: weights[speaker] * lengths[speaker] for speaker in lengths} == pytest.approx(dict.fromkeys(lengths, 10.0))
    assert set(rate_weights(lengths, 10.0, 0.0).values()) == {1.0}
    assert rate_weights(lengths, 10.0, 2.0)["fast"] == pytest.approx(4.0)


def test_weights_reach_the_likelihoods_of_their_speakers_only(tmp_path: Path) -> None:
    split = Split("test", {}, {}, tmp_path, "mfcc", "none", weights={"slow": 0.5})
    features = np.full((3, 2), -4.0, dtype=np.float32)
    told = {s: split.likelihoods(lambda f: f, Utterance("u", s, tmp_path, ()), features) for s in ("slow", "other")}
    assert (told["slow"] == -2.0).all() and told["slow"].dtype == np.float32 and told["other"] is features
