"""What a recogniser's output on one split comes to: the result entry and its per-utterance files.

Files beside result.json, for an engine, a split and, after the first, a vocabulary:
    <engine>.<split>[.<vocabulary>].jsonl      a line an utterance: id, speaker, ref, hyp, n_words, substitutions,
                                               insertions, deletions, complete
    <engine>.<split>[.<vocabulary>].align.txt  rates of each speaker, then each utterance's alignment
    <engine>.<split>[.<vocabulary>].confusions.txt  errors by how often they happen"""

from __future__ import annotations

import json
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cgs.base.files import read_lines, write_text, writing
from cgs.base.options import Recipe
from cgs.score.align_text import show_alignment, show_speakers
from cgs.score.characters import score_characters
from cgs.score.confusions import MOST, confusions, show_confusions
from cgs.score.unknown import score_unknown
from cgs.score.wer import ErrorCounts, align_words, count_pairs, error_columns, rate_interval, sentence_error_rate, spoken, total


@dataclass(frozen=True)
class Recognised:
    """One utterance, as spoken and as recognised.

    Args:
        id, speaker: names.
        ref, hyp: words; the silence word does not count.
        complete: False where the search ended before a final state.
    """

    id: str
    speaker: str
    ref: tuple[str, ...]
    hyp: tuple[str, ...]
    complete: bool = True


@dataclass(frozen=True)
class IntervalOptions:
    """How intervals are drawn.

    Args:
        level: confidence level.
        n_resamplings: bootstrap test sets.
        seed: of the draws.
    """

    level: float
    n_resamplings: int
    seed: int

    @classmethod
    def of(cls, recipe: Recipe) -> IntervalOptions:
        """As a recipe asks for."""
        return cls(recipe.report.confidence, recipe.report.bootstrap, recipe.recipe.seed)


def score_recognition(utterances: Sequence[Recognised], options: IntervalOptions, known: Set[str] | None = None) -> dict[str, Any]:
    """Error rates of a split with their intervals.

    Args:
        utterances: of the split.
        options: of the intervals.
        known: words of the training text, where those outside it are to be counted.
    Returns: wer, wer_ci, ser, ser_ci, cer, cer_ci (fractions; null where undefined), ci_unit, n_words, n_characters, n_utterances, n_partial,
        the three kinds of errors, the most frequent ones in `confusions`, and what `cgs.score.unknown` counts.
    """
    pairs = [align_words(spoken(u.ref), spoken(u.hyp)) for u in utterances]
    counts = [count_pairs(p) for p in pairs]
    speakers = [u.speaker for u in utterances]
    errors, n_words, wrong = error_columns(counts)
    settings = (speakers, options.level, options.n_resamplings, options.seed)
    of_words = rate_interval(errors, n_words, *settings)
    of_sentences = rate_interval(wrong, np.ones(len(wrong)), *settings)
    summed = total(counts)
    return {
        "wer": summed.wer,
        "wer_ci": of_words.ends() if of_words else None,
        "ser": sentence_error_rate(counts),
        "ser_ci": of_sentences.ends() if of_sentences else None,
        "ci_unit": of_words.unit if of_words else None,
        "n_words": summed.n_words,
        "n_utterances": len(utterances),
        "n_partial": sum(not u.complete for u in utterances),
        "substitutions": summed.substitutions,
        "insertions": summed.insertions,
        "deletions": summed.deletions,
        "confusions": confusions(pairs)[:MOST],
        **score_characters([(u.ref, u.hyp) for u in utterances], *settings),
        **(score_unknown(pairs, known) if known is not None else {}),
    }


def write_recognition(directory: Path, stem: str, utterances: Sequence[Recognised]) -> None:
    """Write `<stem>.jsonl`, `<stem>.align.txt` and `<stem>.confusions.txt`."""
    pairs = [align_words(spoken(u.ref), spoken(u.hyp)) for u in utterances]
    counts = [count_pairs(p) for p in pairs]
    with writing(directory / f"{stem}.jsonl") as stream:
        for utterance, errors in zip(utterances, counts, strict=True):
            stream.write(json.dumps(_line(utterance, errors), ensure_ascii=False) + "\n")
    write_text(directory / f"{stem}.confusions.txt", show_confusions(confusions(pairs)))
    with writing(directory / f"{stem}.align.txt") as stream:
        stream.write(show_speakers(counts, [u.speaker for u in utterances]) + "\n")
        for utterance, aligned in zip(utterances, pairs, strict=True):
            note = "" if utterance.complete else "[partial: no path reached the end]"
            stream.write("\n" + show_alignment(utterance.id, utterance.speaker, aligned, note) + "\n")


def read_error_columns(path: Path) -> tuple[list[str], list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Read a .jsonl back for paired intervals.

    Returns: utterance ids, speakers, and (errors, reference words, 1 where the sentence is wrong), each (N,) float64.
    """
    rows = [json.loads(line) for line in read_lines(path)]
    counts = [ErrorCounts(row["n_words"], row["substitutions"], row["insertions"], row["deletions"]) for row in rows]
    return [row["id"] for row in rows], [row["speaker"] for row in rows], *error_columns(counts)


def _line(utterance: Recognised, errors: ErrorCounts) -> dict[str, Any]:
    return {
        "id": utterance.id,
        "speaker": utterance.speaker,
        "ref": " ".join(spoken(utterance.ref)),
        "hyp": " ".join(spoken(utterance.hyp)),
        "n_words": errors.n_words,
        "substitutions": errors.substitutions,
        "insertions": errors.insertions,
        "deletions": errors.deletions,
        "complete": utterance.complete,
    }
