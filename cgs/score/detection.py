"""What a keyword detector's output on one split comes to: the result entry and its per-utterance file.

File beside result.json: <engine>.<split>.jsonl, a line an utterance: id, speaker, words, confidence (one a keyword),
present (1 where the keyword was spoken)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cgs.base.files import read_lines, writing
from cgs.score.recognition import IntervalOptions
from cgs.score.roc import auc, auc_interval, miss_rate_at, roc_curve, thinned
from cgs.score.wer import spoken

ALARMS_PER_HOUR = (0.5, 1.0, 5.0, 10.0)
"""Operating points of the miss rate."""


@dataclass(frozen=True)
class Detected:
    """One utterance and what was detected in it.

    Args:
        id, speaker: names.
        words: as spoken; the silence word does not count.
        confidence: (K,) one for each keyword.
        guess: the one word of an isolated recording, "" for silence, None where it was not classified or is another word.
    """

    id: str
    speaker: str
    words: tuple[str, ...]
    confidence: np.ndarray
    guess: str | None = None


def score_detection(utterances: Sequence[Detected], keywords: Sequence[str], seconds: float, options: IntervalOptions) -> dict[str, Any]:
    """Detection quality of a split with intervals.

    Args:
        utterances: of the split.
        keywords: K words, in output order.
        seconds: audio of the split, s.
        options: of the intervals.
    Returns: auc and auc_ci pooled over keywords, per_keyword, roc (at most 200 points), miss_rate at false alarms an hour, and
        utterance_accuracy where every recording holds at most one word (null otherwise).
    """
    present, confidence = _columns(utterances, keywords)
    settings = ([u.speaker for u in utterances], options.level, options.n_resamplings, options.seed)
    pooled, roc = auc_interval(present, confidence, *settings), roc_curve(present, confidence)
    per_keyword = {}
    for index, keyword in enumerate(keywords):
        interval = auc_interval(present[:, index], confidence[:, index], *settings)
        per_keyword[keyword] = {
            "auc": auc(present[:, index], confidence[:, index]),
            "auc_ci": interval.ends() if interval else None,
            "n_positive": int(present[:, index].sum()),
        }
    points = thinned(roc) if roc else None
    return {
        "auc": auc(present, confidence),
        "auc_ci": pooled.ends() if pooled else None,
        "ci_unit": pooled.unit if pooled else None,
        "per_keyword": per_keyword,
        "roc": {"false_alarm_rate": points.false_alarm_rate.tolist(), "detection_rate": points.detection_rate.tolist()} if points else None,
        "miss_rate_at_alarms_per_hour": {f"{rate:g}": miss_rate_at(present, confidence, rate, seconds) for rate in ALARMS_PER_HOUR},
        "utterance_accuracy": utterance_accuracy(utterances, keywords),
        "n_utterances": len(utterances),
        "n_positive": int(present.sum()),
    }


def utterance_accuracy(utterances: Sequence[Detected], keywords: Sequence[str]) -> float | None:
    """Share of isolated recordings put in the right class of keywords, other speech and silence.

    Returns: None where some recording holds several words.
    """
    if any(len(spoken(u.words)) > 1 for u in utterances):
        return None
    right = 0
    for utterance in utterances:
        word = spoken(utterance.words)[0] if spoken(utterance.words) else ""
        right += utterance.guess == (word if word in keywords or not word else None)
    return right / len(utterances)


def write_detection(directory: Path, stem: str, utterances: Sequence[Detected], keywords: Sequence[str]) -> None:
    """Write `<stem>.jsonl`."""
    with writing(directory / f"{stem}.jsonl") as stream:
        for u in utterances:
            row = {
                "id": u.id,
                "speaker": u.speaker,
                "words": " ".join(spoken(u.words)),
                "confidence": [float(c) for c in u.confidence],
                "present": [int(keyword in u.words) for keyword in keywords],
            }
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")


def read_detection_columns(path: Path) -> tuple[list[str], list[str], np.ndarray, np.ndarray]:
    """Read a .jsonl back for paired intervals: utterance ids, speakers, present (N, K) bool, confidence (N, K) float64."""
    rows = [json.loads(line) for line in read_lines(path)]
    present = np.array([row["present"] for row in rows], dtype=bool)
    return [row["id"] for row in rows], [row["speaker"] for row in rows], present, np.array([row["confidence"] for row in rows], dtype=np.float64)


def _columns(utterances: Sequence[Detected], keywords: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    present = np.array([[keyword in u.words for keyword in keywords] for u in utterances], dtype=bool)
    return present, np.stack([np.asarray(u.confidence, dtype=np.float64) for u in utterances])
