"""A network's scores of an utterance, for decoding."""

from __future__ import annotations

import numpy as np
import torch

from cgs.feats.splice import splice
from cgs.nn.network import FeedForward

FRAMES_A_CALL = 512
"""Enough frames for full speed, few enough to keep every activation in cache."""


def logits(network: FeedForward, features: np.ndarray, left: int, right: int) -> np.ndarray:
    """Score every frame.

    Args:
        network: in evaluation mode.
        features: (T, D) normalised, not spliced.
        left, right: context of the network, frames.
    Returns: (T, P) float32 logits.
    Raises: ShapeError: features of another dimension than the network was trained on.
    """
    spliced = splice(features.astype(np.float32, copy=False), left, right)
    device = next(network.parameters()).device
    with torch.inference_mode():
        parts = [network(torch.from_numpy(spliced[start : start + FRAMES_A_CALL]).to(device)).cpu() for start in range(0, len(spliced), FRAMES_A_CALL)]
    return torch.cat(parts).numpy() if parts else np.zeros((0, network.spec.n_out), dtype=np.float32)


def log_posteriors(network: FeedForward, features: np.ndarray, left: int, right: int) -> np.ndarray:
    """(T, P) float32 natural logarithms of the posteriors; see `logits`."""
    return torch.log_softmax(torch.from_numpy(logits(network, features, left, right)), dim=1).numpy()
