"""EM against a slow loop, planted mixtures, and the rules of splitting and removal."""

from __future__ import annotations

import numpy as np
import pytest

from cgs.gmm import em
from cgs.gmm.gaussians import DiagonalGmms, from_moments


def start(n_pdfs: int = 2, dim: int = 3) -> DiagonalGmms:
    """Two Gaussians a pdf, at drawn places."""
    rng = np.random.default_rng(5)
    return from_moments(np.full(2 * n_pdfs, 0.5), rng.normal(size=(2 * n_pdfs, dim)), np.ones((2 * n_pdfs, dim)), np.arange(n_pdfs + 1) * 2)


def frames(n_frames: int = 300, dim: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Frames, and the pdf of each; some have none."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_frames, dim)).astype(np.float32), rng.integers(-1, 2, n_frames)


def test_sums_equal_a_loop_over_frames():
    gmms, (features, pdfs) = start(), frames()
    sums = em.accumulate(gmms, features, pdfs)
    occupancy, moments, total = np.zeros(4), np.zeros((4, 6)), 0.0
    for frame, pdf in zip(features.astype(np.float64), pdfs, strict=True):
        if pdf < 0:
            continue
        rows = slice(2 * pdf, 2 * pdf + 2)
        density = 0.5 * np.exp(-0.5 * np.square(frame - gmms.means()[rows]).sum(axis=1)) / (2 * np.pi) ** 1.5
        occupancy[rows] += density / density.sum()
        moments[rows] += (density / density.sum())[:, None] * np.concatenate([frame, frame**2])
        total += np.log(density.sum())
    np.testing.assert_allclose(sums.occupancy, occupancy, rtol=1e-4)
    np.testing.assert_allclose(sums.moments, moments, rtol=1e-3, atol=1e-3)
    assert sums.log_likelihood == pytest.approx(total, rel=1e-5)
    assert sums.n_frames == np.count_nonzero(pdfs >= 0)


def test_likelihood_never_falls_and_planted_mixture_is_found():
    rng = np.random.default_rng(0)
    truth = np.array([[-3.0, 0.0], [3.0, 1.0]])
    features = (truth[rng.integers(0, 2, 4000)] + rng.normal(size=(4000, 2))).astype(np.float32)
    gmms = em.split(from_moments([1.0], features.mean(axis=0, keepdims=True), features.var(axis=0, keepdims=True), [0, 1]), np.array([4000.0]), 2, seed=1)
    told = []
    for _ in range(25):
        sums = em.accumulate(gmms, features, np.zeros(4000, dtype=np.int32))
        told.append(sums.log_likelihood)
        gmms = em.update(gmms, sums)
    assert np.diff(told).min() > -0.5
    assert told[-1] > told[0] + 1000
    np.testing.assert_allclose(gmms.means()[np.argsort(gmms.means()[:, 0])], truth, atol=0.15)


def test_rare_gaussian_is_removed_but_never_a_pdfs_last():
    gmms = start()
    sums = em.EmSums(np.array([100.0, 2.0, 1.0, 3.0]), np.ones((4, 6)) * 50, 0.0, 106)
    updated = em.update(gmms, sums)
    assert updated.offsets.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(updated.weights, [1, 1])
    np.testing.assert_allclose(updated.means()[1], gmms.means()[3], atol=1e-6)


def test_pdf_without_frames_keeps_its_strongest_gaussian():
    gmms = start()
    sums = em.EmSums(np.array([100.0, 100.0, 0.0, 0.0]), np.tile([0.0, 0, 0, 100, 100, 100], (4, 1)), 0.0, 200)
    updated = em.update(gmms, sums)
    assert updated.n_pdfs == 2
    assert np.isfinite(updated.constants()).all()


def test_variance_has_a_floor():
    sums = em.EmSums(np.full(4, 50.0), np.tile([50.0, 50, 50, 50, 50, 50], (4, 1)), 0.0, 200)
    np.testing.assert_allclose(1 / em.update(start(), sums).inv_vars, em.MIN_VARIANCE, rtol=1e-5)


def test_split_reaches_its_target_and_follows_the_frame_counts():
    gmms = from_moments(np.ones(3), np.zeros((3, 2)), np.ones((3, 2)), np.arange(4))
    grown = em.split(gmms, np.array([100000.0, 1000.0, 30.0]), 20, seed=0)
    sizes = np.diff(grown.offsets)
    assert sizes.sum() == 20
    assert sizes[0] > sizes[1] > sizes[2] == 1
    np.testing.assert_allclose(np.add.reduceat(grown.weights, grown.offsets[:-1]), 1, rtol=1e-6)
    again = em.split(gmms, np.array([100000.0, 1000.0, 30.0]), 20, seed=0)
    np.testing.assert_array_equal(grown.means_invvars, again.means_invvars)


def test_sums_of_parts_are_the_sums_of_the_whole():
    gmms, (features, pdfs) = start(), frames()
    whole = em.accumulate(gmms, features, pdfs)
    parts = em.add([em.accumulate(gmms, features[:100], pdfs[:100]), em.accumulate(gmms, features[100:], pdfs[100:])])
    np.testing.assert_allclose(parts.moments, whole.moments, rtol=1e-4, atol=1e-3)
    assert parts.n_frames == whole.n_frames
