"""Areas under ROC curves against their definition, and intervals against plain resampling."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from cgs.base.errors import ShapeError
from cgs.score.resampling import draw_resampling
from cgs.score.roc import auc, auc_interval, miss_rate_at, paired_auc_difference, roc_curve, thinned

DETECTIONS = st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])), min_size=1, max_size=25)


def slow_auc(present: list[bool], confidence: list[float]) -> float | None:
    pairs = [(p > n) + (p == n) / 2 for p, a in zip(confidence, present, strict=True) if a for n, b in zip(confidence, present, strict=True) if not b]
    return sum(pairs) / len(pairs) if pairs else None


@given(DETECTIONS)
@settings(deadline=None)
def test_auc_is_the_share_of_ordered_pairs(detections: list[tuple[bool, float]]) -> None:
    present, confidence = (list(column) for column in zip(*detections, strict=True))
    assert auc(np.array(present), np.array(confidence)) == slow_auc(present, confidence)
    roc = roc_curve(np.array(present), np.array(confidence))
    if roc is not None:
        assert np.trapezoid(roc.detection_rate, roc.false_alarm_rate) == pytest.approx(slow_auc(present, confidence))
        assert (roc.false_alarm_rate[[0, -1]] == [0, 1]).all() and (roc.detection_rate[[0, -1]] == [0, 1]).all()


def made_detections(n: int, n_keywords: int, seed: int, shift: float) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    present = generator.random((n, n_keywords)) < 0.2
    return present, np.round(generator.random((n, n_keywords)) + shift * present, 2)


def test_auc_is_scipys() -> None:
    present, confidence = made_detections(300, 1, 0, 0.3)
    statistic = mannwhitneyu(confidence[present], confidence[~present]).statistic
    assert auc(present, confidence) == pytest.approx(statistic / (present.sum() * (~present).sum()), abs=1e-12)


def test_interval_is_that_of_test_sets_drawn_out_in_full() -> None:
    present, confidence = made_detections(40, 3, 1, 0.3)
    resampling = draw_resampling(["one"] * 40, 100, seed=4)
    areas = []
    for counts in resampling.counts:
        drawn = np.repeat(np.arange(40), counts)
        areas.append(slow_auc(list(present[drawn].ravel()), list(confidence[drawn].ravel())))
    low, high = np.quantile(np.array(areas), [0.05, 0.95])
    interval = auc_interval(present, confidence, ["one"] * 40, 0.9, 100, seed=4)
    assert interval is not None
    assert (interval.low, interval.high) == (pytest.approx(low, abs=1e-12), pytest.approx(high, abs=1e-12))


def test_paired_difference_finds_the_better_detector() -> None:
    present, confidence = made_detections(300, 2, 2, 0.3)
    worse = confidence + np.random.default_rng(9).normal(0, 0.3, confidence.shape)
    found = paired_auc_difference(present, confidence, worse, [f"s{i % 15}" for i in range(300)], 0.95, 300, seed=0)
    assert found is not None
    assert 0 < found[1] < found[0] < found[2]
    assert paired_auc_difference(present, confidence, confidence, ["one"] * 300, 0.95, 50, seed=0) == (0.0, 0.0, 0.0)


def test_undefined_without_positives_or_negatives() -> None:
    scores = np.array([0.1, 0.2])
    assert auc(np.array([True, True]), scores) is None
    assert roc_curve(np.array([False, False]), scores) is None
    assert auc_interval(np.array([False, False]), scores, ["a", "b"], 0.95, 10, 0) is None
    assert miss_rate_at(np.array([False, False]), scores, 1, 3600) is None


def test_bad_detections_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"present \(2,\) and confidence \(3,\)"):
        auc(np.zeros(2), np.zeros(3))
    with pytest.raises(ShapeError, match="1 confidences are not finite .*NaN"):
        auc(np.array([0, 1]), np.array([0.5, np.nan]))


def test_misses_at_a_rate_of_false_alarms() -> None:
    """Negatives 0.9, 0.5, 0.1 and positives 0.8, 0.6, 0.4 in half an hour: one alarm allowed at 2 an hour."""
    present = np.array([False, True, True, False, True, False])
    confidence = np.array([0.9, 0.8, 0.6, 0.5, 0.4, 0.1])
    assert miss_rate_at(present, confidence, 1, 1800) == pytest.approx(1.0)
    assert miss_rate_at(present, confidence, 2, 1800) == pytest.approx(1 / 3)
    assert miss_rate_at(present, confidence, 4, 1800) == pytest.approx(0.0)


def test_thinned_curve_keeps_ends_and_area() -> None:
    present, confidence = np.random.default_rng(0).random((2, 5000))
    roc = roc_curve(present < 0.1, confidence + (present < 0.1) * 0.5)
    assert roc is not None
    thin = thinned(roc, 200)
    assert len(thin.threshold) <= 200
    assert (thin.false_alarm_rate[0], thin.detection_rate[-1]) == (0, 1)
    areas = [np.trapezoid(curve.detection_rate, curve.false_alarm_rate) for curve in (roc, thin)]
    assert areas[0] == pytest.approx(areas[1], abs=0.005)


def test_a_large_set_takes_seconds() -> None:
    present, confidence = made_detections(3000, 10, 3, 0.2)
    start = time.process_time()
    auc_interval(present, confidence + np.random.default_rng(0).random(confidence.shape), ["one"] * 3000, 0.95, 200, seed=0)
    assert time.process_time() - start < 5
