"""Word errors against jiwer and kaldialign, and intervals against planted error rates."""

from __future__ import annotations

import jiwer
import kaldialign
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgs.base.errors import ShapeError
from cgs.score.resampling import draw_resampling
from cgs.score.wer import (
    ErrorCounts,
    align_words,
    by_speaker,
    count_errors,
    count_pairs,
    error_columns,
    paired_difference,
    rate_interval,
    sentence_error_rate,
    spoken,
    total,
)

WORDS = st.lists(st.sampled_from(["up", "down", "ä", "*", "<eps>", "left"]), max_size=8)


def edit_distance(ref: list[str], hyp: list[str]) -> int:
    """Levenshtein by its definition."""
    table = np.zeros((len(ref) + 1, len(hyp) + 1), dtype=int)
    table[:, 0], table[0] = range(len(ref) + 1), range(len(hyp) + 1)
    for i, r in enumerate(ref, start=1):
        for j, h in enumerate(hyp, start=1):
            table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + (r != h))
    return int(table[-1, -1])


@given(WORDS, WORDS)
@settings(deadline=None, max_examples=150)
def test_alignment_has_the_fewest_errors_and_keeps_every_word(ref: list[str], hyp: list[str]) -> None:
    pairs = align_words(ref, hyp)
    assert [r for r, _ in pairs if r is not None] == ref
    assert [h for _, h in pairs if h is not None] == hyp
    counts = count_pairs(pairs)
    assert counts.errors == edit_distance(ref, hyp)
    assert counts.insertions - counts.deletions == len(hyp) - len(ref)
    assert counts.hits == sum(r == h for r, h in pairs)


@given(st.lists(st.tuples(WORDS.filter(bool), WORDS), min_size=1, max_size=5))
@settings(deadline=None, max_examples=50)
def test_wer_is_jiwers(sentences: list[tuple[list[str], list[str]]]) -> None:
    theirs = jiwer.process_words([" ".join(r) for r, _ in sentences], [" ".join(h) for _, h in sentences])
    ours = total(count_errors(r, h) for r, h in sentences)
    assert ours.wer == pytest.approx(theirs.wer, abs=1e-12)
    assert ours.errors == theirs.substitutions + theirs.insertions + theirs.deletions


def test_planted_errors_are_told_apart() -> None:
    counts = count_errors(["set", "course", "for", "the", "island"], ["set", "a", "course", "the", "highland"])
    assert counts == ErrorCounts(n_words=5, substitutions=1, insertions=1, deletions=1)
    assert (counts.hits, counts.wer) == (3, 0.6)


def test_silence_counts_as_no_word() -> None:
    assert spoken(("<sil>", "go", "<sil>")) == ("go",)
    nothing = count_errors(spoken(("<sil>",)), spoken(()))
    assert nothing.wer is None and nothing.errors == 0
    assert sentence_error_rate([nothing, count_errors(["a"], ["b"])]) == 0.5
    assert sentence_error_rate([]) is None


def test_speakers_add_up_to_the_whole() -> None:
    counts = [count_errors(["a"], ["a"]), count_errors(["a"], ["b"]), count_errors(["a", "b"], [])]
    speakers = by_speaker(counts, ["x", "y", "x"])
    assert speakers["x"].deletions == 2 and speakers["y"].substitutions == 1
    assert total(speakers.values()) == total(counts)


def made_test_set(n_utterances: int, rate: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    n_words = generator.integers(3, 12, n_utterances)
    return generator.binomial(n_words, rate).astype(float), n_words.astype(float)


def test_interval_covers_a_planted_rate_as_often_as_it_says() -> None:
    covered = 0
    for trial in range(200):
        errors, n_words = made_test_set(60, 0.2, trial)
        interval = rate_interval(errors, n_words, ["one"] * 60, 0.9, 200, seed=trial)
        assert interval is not None
        covered += interval.low <= 0.2 <= interval.high
    assert 0.82 <= covered / 200 <= 0.96


def test_interval_is_kaldialigns() -> None:
    generator = np.random.default_rng(3)
    refs = [["w"] * int(n) for n in generator.integers(4, 12, 150)]
    hyps = [[w if generator.random() > 0.15 else "x" for w in ref] for ref in refs]
    theirs = kaldialign.bootstrap_wer_ci(refs, hyps, replications=2000)
    errors, n_words, _ = error_columns([count_errors(r, h) for r, h in zip(refs, hyps, strict=True)])
    ours = rate_interval(errors, n_words, ["one"] * 150, 0.95, 2000, seed=0)
    assert ours is not None and ours.unit == "utterances"
    assert ours.low == pytest.approx(theirs["ci95min"], abs=0.004)
    assert ours.high == pytest.approx(theirs["ci95max"], abs=0.004)


def test_many_speakers_are_drawn_as_wholes() -> None:
    """All errors are one speaker's, so drawing speakers gives the wider interval, and says so."""
    errors, n_words = np.zeros(120), np.full(120, 5.0)
    errors[:10] = 5
    by_utterance = rate_interval(errors, n_words, ["one"] * 120, 0.95, 500, seed=0)
    whole = rate_interval(errors, n_words, [f"s{i // 10}" for i in range(120)], 0.95, 500, seed=0)
    assert by_utterance is not None and whole is not None
    assert (by_utterance.unit, whole.unit) == ("utterances", "speakers")
    assert whole.high - whole.low > 1.5 * (by_utterance.high - by_utterance.low)


def test_resampled_totals_are_sums_over_the_drawn_utterances() -> None:
    speakers = [f"s{i % 11}" for i in range(40)]
    resampling = draw_resampling(speakers, 70, seed=5)
    values = np.random.default_rng(0).random((40, 2))
    drawn = resampling.counts[:, resampling.unit_of]
    assert drawn.shape == (70, 40)
    np.testing.assert_allclose(resampling.totals(values), drawn @ values)
    assert (resampling.counts.sum(axis=1) == 11).all()


def test_paired_difference_sees_what_single_intervals_hide() -> None:
    errors, n_words = made_test_set(200, 0.3, 1)
    better = errors.copy()
    better[np.flatnonzero(errors)[:25]] -= 1
    found = paired_difference(better, errors, n_words, ["one"] * 200, 0.95, 1000, seed=0)
    assert found is not None
    delta, low, high = found
    assert delta == pytest.approx(-25 / n_words.sum())
    assert low < delta < high < 0
    assert paired_difference(errors, errors, n_words, ["one"] * 200, 0.95, 100, seed=0) == (0.0, 0.0, 0.0)
    single = rate_interval(errors, n_words, ["one"] * 200, 0.95, 1000, seed=0)
    assert single is not None and single.low < better.sum() / n_words.sum()


def test_same_seed_same_interval() -> None:
    errors, n_words = made_test_set(50, 0.3, 1)
    first, again, other = (rate_interval(errors, n_words, ["one"] * 50, 0.95, 300, seed=seed) for seed in (1, 1, 2))
    assert first == again != other


def test_different_lengths_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"\[2, 3, 2\] utterances .*same utterances"):
        rate_interval(np.zeros(2), np.ones(3), ["a", "b"], 0.95, 10, 0)
    with pytest.raises(ShapeError, match="no utterance"):
        rate_interval(np.zeros(0), np.zeros(0), [], 0.95, 10, 0)
    assert rate_interval(np.zeros(2), np.zeros(2), ["a", "b"], 0.95, 10, 0) is None
