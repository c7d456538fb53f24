"""The Gaussians of all pdfs in flat arrays: log-likelihoods, and their twin in the library that aligns.

Owns the arithmetic of a diagonal Gaussian; training is in `em`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from cgs.base.errors import ShapeError

ROWS = 1024
"""Frames whose likelihoods are computed at a time, so that the intermediate matrix stays small."""


@dataclass(frozen=True)
class DiagonalGmms:
    """Mixtures of diagonal Gaussians, those of pdf p in rows offsets[p] to offsets[p + 1].

    Args:
        weights: (G,) float32, sum to one within a pdf.
        means_invvars: (G, D) float32, mean / variance, as Kaldi stores it.
        inv_vars: (G, D) float32, 1 / variance.
        offsets: (P + 1,) int64.
    """

    weights: np.ndarray
    means_invvars: np.ndarray
    inv_vars: np.ndarray
    offsets: np.ndarray

    @property
    def n_pdfs(self) -> int:
        """P."""
        return len(self.offsets) - 1

    @property
    def n_gaussians(self) -> int:
        """G."""
        return len(self.weights)

    @property
    def dim(self) -> int:
        """D."""
        return self.inv_vars.shape[1]

    def means(self) -> np.ndarray:
        """(G, D) float64."""
        return self.means_invvars.astype(np.float64) / self.inv_vars

    def constants(self) -> np.ndarray:
        """(G,) float64: log weight plus all of the log density that does not depend on the frame."""
        inv_vars = self.inv_vars.astype(np.float64)
        squares = np.square(self.means_invvars.astype(np.float64)) / inv_vars
        return np.log(self.weights.astype(np.float64)) - 0.5 * (self.dim * math.log(2 * math.pi) - np.log(inv_vars).sum(axis=1) + squares.sum(axis=1))

    def projection(self) -> np.ndarray:
        """(2 D + 1, G) float32: the matrix that turns `expanded` frames into the log density of every weighted Gaussian."""
        columns = [self.means_invvars, -0.5 * self.inv_vars, self.constants()[:, None].astype(np.float32)]
        return np.ascontiguousarray(np.concatenate(columns, axis=1).T)

    def log_likelihoods(self, features: np.ndarray) -> np.ndarray:
        """Log-likelihood of every frame under every pdf.

        Args:
            features: (T, D).
        Returns: (T, P) float32.
        Raises: ShapeError: features of another dimension.
        """
        self.check(features)
        projection = self.projection()
        starts = self.offsets[:-1]
        result = np.empty((len(features), self.n_pdfs), dtype=np.float32)
        for first in range(0, len(features), ROWS):
            scores = expanded(features[first : first + ROWS]) @ projection
            top = np.maximum.reduceat(scores, starts, axis=1)
            scores -= np.repeat(top, np.diff(self.offsets), axis=1)
            np.exp(scores, out=scores)
            result[first : first + ROWS] = np.log(np.add.reduceat(scores, starts, axis=1)) + top
        return result

    def check(self, features: np.ndarray) -> None:
        """Raises: ShapeError: features of another dimension than the Gaussians."""
        if features.ndim != 2 or features.shape[1] != self.dim:
            remedy = "use the features the model was trained on, with deltas"
            raise ShapeError(f"features of shape {features.shape} for Gaussians of {self.dim} dimensions", remedy)

    def to_library(self) -> Any:
        """The same Gaussians as kaldi_hmm_gmm.AmDiagGmm."""
        import kaldi_hmm_gmm as khg

        am = khg.AmDiagGmm()
        means = self.means().astype(np.float32)
        for start, end in zip(self.offsets[:-1], self.offsets[1:], strict=True):
            gmm = khg.DiagGmm(int(end - start), self.dim)
            gmm.set_weights(self.weights[start:end])
            gmm.set_invvars_and_means(self.inv_vars[start:end], means[start:end])
            gmm.compute_gconsts()
            am.add_pdf(gmm)
        return am


def expanded(features: np.ndarray) -> np.ndarray:
    """Frames (T, D) as (T, 2 D + 1) float32: values, squares and a one."""
    features = features.astype(np.float32, copy=False)
    return np.concatenate([features, features * features, np.ones((len(features), 1), dtype=np.float32)], axis=1)


def from_moments(weights: np.ndarray, means: np.ndarray, variances: np.ndarray, offsets: np.ndarray) -> DiagonalGmms:
    """Build mixtures from weights (G,), means and variances (G, D) and offsets (P + 1,)."""
    inv_vars = 1.0 / np.asarray(variances, dtype=np.float64)
    return DiagonalGmms(
        np.asarray(weights, dtype=np.float32), (means * inv_vars).astype(np.float32), inv_vars.astype(np.float32), np.asarray(offsets, dtype=np.int64)
    )
