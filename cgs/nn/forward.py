"""A network's scores of an utterance, for decoding."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from cgs.feats.splice import splice, with_edges
from cgs.nn.layers import Network, Spec

FRAMES_A_CALL = 512
"""Enough frames for full speed, few enough to keep every activation in cache."""


def logits(network: Network, features: np.ndarray, left: int, right: int) -> np.ndarray:
    """Score every frame.

    Args:
        network: of any kind, in evaluation mode.
        features: (T, D) normalised, not spliced.
        left, right: context of the network, frames.
    Returns: (T, P) float32 logits.
    Raises: ShapeError: features of another dimension than the network was trained on.
    """
    device = next(network.parameters()).device
    with torch.inference_mode():
        parts = [network(x.to(device)).flatten(0, -2).cpu() for x in _inputs(network.spec, np.require(features, np.float32, "W"), left, right)]
    return torch.cat(parts).numpy() if parts else np.zeros((0, network.spec.n_out), dtype=np.float32)


def _inputs(spec: Spec, features: np.ndarray, left: int, right: int) -> Iterator[torch.Tensor]:
    """What the network reads for a call each; all of an utterance at once where it remembers."""
    step = len(features) if spec.remembers else FRAMES_A_CALL
    frames, more = (splice(features, left, right), 0) if spec.context is None else (with_edges(features, left, right)[None], left + right)
    for start in range(0, len(features), step or 1):
        yield torch.from_numpy(frames[..., start : start + step + more, :])


def log_posteriors(network: Network, features: np.ndarray, left: int, right: int) -> np.ndarray:
    """(T, P) float32 natural logarithms of the posteriors; see `logits`."""
    return torch.log_softmax(torch.from_numpy(logits(network, features, left, right)), dim=1).numpy()
