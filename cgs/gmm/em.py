"""Expectation maximisation of aligned frames: sums over frames, new Gaussians from them, and splitting.

A frame belongs to the one pdf its alignment names (Viterbi training); its share of that pdf's Gaussians is soft."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cgs.gmm.gaussians import DiagonalGmms, expanded, from_moments

MIN_VARIANCE = 1e-3
MIN_OCCUPANCY = 10.0
"""A Gaussian with fewer frames is removed, or left as it was where it is its pdf's only one."""
MIN_WEIGHT = 1e-5
SPLIT_POWER = 0.25
"""Gaussians are shared among pdfs by frame count to this power."""
MIN_SPLIT_COUNT = 20.0
PERTURBATION = 0.01
"""A split moves the two halves apart by this many standard deviations, times a normal draw."""
ROWS = 4096


@dataclass
class EmSums:
    """What one pass over some frames adds up.

    Args:
        occupancy: (G,) float64, frames of each Gaussian.
        moments: (G, 2 D) float64, sums of values and of squares.
        log_likelihood: sum over frames.
        n_frames: aligned frames.
    """

    occupancy: np.ndarray
    moments: np.ndarray
    log_likelihood: float
    n_frames: int


def accumulate(gmms: DiagonalGmms, features: np.ndarray, pdfs: np.ndarray, summed: np.ndarray | None = None) -> EmSums:
    """Sums of the frames, each under the pdf it is aligned with.

    Args:
        gmms: the current model.
        features: (T, D) float32, of any number of utterances.
        pdfs: (T,) integers; frames with a negative one are left out.
        summed: (T, D) features to take the moments of, where they are not those that the Gaussians share frames by.
    """
    gmms.check(features)
    sums = EmSums(np.zeros(gmms.n_gaussians), np.zeros((gmms.n_gaussians, 2 * gmms.dim)), 0.0, int((pdfs >= 0).sum()))
    for part in shared_frames(gmms, features, pdfs):
        sums.log_likelihood += float(part.log_likelihoods.sum(dtype=np.float64))
        sums.occupancy[part.gaussians] += part.shares.sum(axis=0, dtype=np.float64)
        sums.moments[part.gaussians] += part.shares.T @ (part.frames if summed is None else expanded(summed[part.rows]))[:, :-1]
    return sums


@dataclass(frozen=True)
class SharedFrames:
    """Some frames of one pdf, and how its Gaussians share them.

    Args:
        rows: (n,) which frames.
        gaussians: the pdf's.
        frames: (n, 2 D + 1), `expanded`.
        shares: (n, Gaussians of the pdf), rows sum to one.
        log_likelihoods: (n, 1).
    """

    rows: np.ndarray
    gaussians: slice
    frames: np.ndarray
    shares: np.ndarray
    log_likelihoods: np.ndarray


def shared_frames(gmms: DiagonalGmms, features: np.ndarray, pdfs: np.ndarray, at_a_time: int = ROWS) -> Iterator[SharedFrames]:
    """Go through aligned frames, pdf by pdf.

    Args:
        gmms: by whose likelihoods frames are shared.
        features: (T, D) float32.
        pdfs: (T,) integers; frames with a negative one are left out.
        at_a_time: frames of a part, at most.
    """
    order = np.argsort(pdfs, kind="stable")
    bounds = np.searchsorted(pdfs[order], np.arange(gmms.n_pdfs + 1))
    projection = gmms.projection()
    for pdf in np.flatnonzero(np.diff(bounds)):
        gaussians = slice(gmms.offsets[pdf], gmms.offsets[pdf + 1])
        for first in range(bounds[pdf], bounds[pdf + 1], at_a_time):
            rows = order[first : min(first + at_a_time, bounds[pdf + 1])]
            frames = expanded(features[rows])
            scores = frames @ projection[:, gaussians]
            top = scores.max(axis=1, keepdims=True)
            shares = np.exp(scores - top)
            total = shares.sum(axis=1, keepdims=True)
            shares /= total
            yield SharedFrames(rows, gaussians, frames, shares, np.log(total) + top)


def add(parts: Sequence[EmSums]) -> EmSums:
    """Add sums in the given order, which fixes the result to the bit."""
    total = EmSums(parts[0].occupancy.copy(), parts[0].moments.copy(), parts[0].log_likelihood, parts[0].n_frames)
    for part in parts[1:]:
        total.occupancy += part.occupancy
        total.moments += part.moments
        total.log_likelihood += part.log_likelihood
        total.n_frames += part.n_frames
    return total


def update(gmms: DiagonalGmms, sums: EmSums, min_occupancy: float = MIN_OCCUPANCY, remove: bool = True) -> DiagonalGmms:
    """Maximum-likelihood Gaussians for the sums; those with too few frames are removed, a pdf's last one never.

    Args:
        gmms: the model the sums were made with.
        sums: of a whole pass.
        min_occupancy: frames a Gaussian needs.
        remove: False leaves those with too few frames as they are, so that Gaussians keep their numbers.
    Source: Young et al., HTK book, ch. 8; the limits are Kaldi's.
    """
    dim, sizes = gmms.dim, np.diff(gmms.offsets)
    pdf_of = np.repeat(np.arange(gmms.n_pdfs), sizes)
    pdf_occupancy = np.add.reduceat(sums.occupancy, gmms.offsets[:-1])
    share = np.where(pdf_occupancy[pdf_of] > 0, sums.occupancy / np.maximum(pdf_occupancy[pdf_of], 1e-30), gmms.weights)
    enough = (sums.occupancy > min_occupancy) & (share > MIN_WEIGHT)
    strongest = _strongest(sums.occupancy, gmms.offsets)
    spared = ~np.logical_or.reduceat(enough, gmms.offsets[:-1])
    keep = enough.copy() if remove else np.ones_like(enough)
    keep[strongest[spared]] = True
    inv_vars = gmms.inv_vars.astype(np.float64)
    means, variances = gmms.means(), 1.0 / inv_vars
    means[enough] = sums.moments[enough, :dim] / sums.occupancy[enough, None]
    variances[enough] = np.maximum(sums.moments[enough, dim:] / sums.occupancy[enough, None] - np.square(means[enough]), MIN_VARIANCE)
    kept_per_pdf = np.add.reduceat(keep.astype(np.int64), gmms.offsets[:-1])
    offsets = np.concatenate([[0], np.cumsum(kept_per_pdf)])
    weights = np.maximum(share[keep], 0.0 if remove else MIN_WEIGHT)
    weights[np.repeat(kept_per_pdf, kept_per_pdf) == 1] = 1.0
    weights /= np.repeat(np.add.reduceat(weights, offsets[:-1]), kept_per_pdf)
    return from_moments(weights, means[keep], variances[keep], offsets)


def split_targets(occupancy: np.ndarray, n_gaussians: int, sizes: np.ndarray) -> np.ndarray:
    """How many Gaussians each pdf should have, so that they follow the pdfs' frame counts to the power `SPLIT_POWER`.

    Args:
        occupancy: (P,) frames of each pdf.
        n_gaussians: wanted in all.
        sizes: (P,) Gaussians each pdf has now; none loses any.
    Returns: (P,) integers.
    """
    targets = np.ones(len(occupancy), dtype=np.int64)
    power = np.power(occupancy, SPLIT_POWER)
    heap = [(-power[pdf], pdf) for pdf in range(len(occupancy))]
    heapq.heapify(heap)
    left = n_gaussians - len(occupancy)
    while left > 0 and heap:
        _, pdf = heapq.heappop(heap)
        if occupancy[pdf] / (targets[pdf] + 1) < MIN_SPLIT_COUNT:
            continue
        targets[pdf] += 1
        left -= 1
        heapq.heappush(heap, (-power[pdf] / targets[pdf], pdf))
    return np.maximum(targets, sizes)


def split(gmms: DiagonalGmms, occupancy: np.ndarray, n_gaussians: int, seed: int) -> DiagonalGmms:
    """Split the heaviest Gaussians until there are about `n_gaussians`.

    Args:
        gmms: the model.
        occupancy: (P,) frames of each pdf.
        n_gaussians: wanted in all; fewer where frames are few, never less than now.
        seed: of the perturbation.
    """
    sizes = np.diff(gmms.offsets)
    targets = split_targets(occupancy, n_gaussians, sizes)
    if not (targets > sizes).any():
        return gmms
    rng = np.random.default_rng(seed)
    means, variances = gmms.means(), 1.0 / gmms.inv_vars.astype(np.float64)
    parts = []
    for pdf in range(gmms.n_pdfs):
        rows = slice(gmms.offsets[pdf], gmms.offsets[pdf + 1])
        mixture = [(float(w), m, v) for w, m, v in zip(gmms.weights[rows], means[rows], variances[rows], strict=True)]
        while len(mixture) < targets[pdf]:
            heaviest = max(range(len(mixture)), key=lambda index: mixture[index][0])
            weight, mean, variance = mixture[heaviest]
            shift = PERTURBATION * rng.standard_normal(gmms.dim) * np.sqrt(variance)
            mixture[heaviest] = (weight / 2, mean - shift, variance)
            mixture.append((weight / 2, mean + shift, variance))
        parts.extend(mixture)
    weights, new_means, new_variances = (np.array(column) for column in zip(*parts, strict=True))
    return from_moments(weights, new_means, new_variances, np.concatenate([[0], np.cumsum(targets)]))


def pdf_occupancy(sums: EmSums, gmms: DiagonalGmms) -> np.ndarray:
    """(P,) frames of each pdf in a pass made with `gmms`."""
    return np.add.reduceat(sums.occupancy, gmms.offsets[:-1])


def single_gaussians(counts: np.ndarray, first: np.ndarray, second: np.ndarray, fallback: np.ndarray) -> DiagonalGmms:
    """One Gaussian a pdf from its frames' moments.

    Args:
        counts: (P,) frames.
        first, second: (P, D) sums of values and of squares.
        fallback: (2, D) mean and variance of pdfs with too few frames.
    """
    few = counts <= MIN_OCCUPANCY
    safe = np.maximum(counts, 1.0)[:, None]
    means = np.where(few[:, None], fallback[0], first / safe)
    variances = np.where(few[:, None], fallback[1], np.maximum(second / safe - np.square(first / safe), MIN_VARIANCE))
    return from_moments(np.ones(len(counts)), means, variances, np.arange(len(counts) + 1))


def _strongest(occupancy: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    return np.array([start + int(np.argmax(occupancy[start:end])) for start, end in zip(offsets[:-1], offsets[1:], strict=True)])
