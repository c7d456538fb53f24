"""A study of what powers of two cost: weights rounded with free scales and with powers of two, one for a layer or one for each block.

Nothing that is packed depends on it: a packed model has one power of two for the weights of a layer."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch

from cgs.nn.layers import Matrix, Network
from cgs.nn.train import Examples, evaluate
from cgs.quant.formats import FINER_SCALES, FixedPoint

FREE_STEPS = 16
"""Free scales are tried this many an octave apart, which is within 0.01 % of the least squared error."""
KINDS = {"power of two, layer": (1, False), "free, layer": (FREE_STEPS, False), "power of two, block": (1, True), "free, block": (FREE_STEPS, True)}
"""Scales tried an octave, and whether each block (each output of a dense layer) has its own."""


def rounded_groups(groups: np.ndarray, bits: int, an_octave: int) -> np.ndarray:
    """Round each group of weights with the scale of least squared error.

    Args:
        groups: (N, n) float.
        bits: of a weight, 2 to 8.
        an_octave: scales tried from one power of two to the next; 1: powers of two alone.
    Returns: (N, n) float64, integers of so many bits times the scale of their group.
    """
    form, groups = FixedPoint(bits, 0), np.asarray(groups, dtype=np.float64)
    peaks = np.abs(groups).max(axis=1, keepdims=True)
    coarsest = np.ceil(np.log2(np.maximum(peaks, 2.0**-60) / (form.high + 0.5)) * an_octave)
    best, least = np.zeros_like(groups), np.full((len(groups), 1), np.inf)
    for finer in range(FINER_SCALES * an_octave + 1):
        step = 2.0 ** ((coarsest - finer) / an_octave)
        tried = np.clip(np.rint(groups / step), form.low, form.high) * step
        error = np.square(tried - groups).sum(axis=1, keepdims=True)
        best, least = np.where(error < least, tried, best), np.minimum(error, least)
    return best


def rounded_weights(layer: Matrix, bits: int, kind: str) -> torch.Tensor:
    """A matrix's weights rounded in one of `KINDS`."""
    an_octave, by_block = KINDS[kind]
    weight = layer.weight.detach().cpu().double().numpy()
    n_blocks = int(np.prod(weight.shape[:-2])) if weight.ndim > 2 else len(weight)
    rounded = rounded_groups(weight.reshape(n_blocks if by_block else 1, -1), bits, an_octave)
    return torch.from_numpy(rounded.reshape(weight.shape)).to(layer.weight)


def scale_study(network: Network, examples: Examples, bits: int) -> dict[str, dict[str, Any]]:
    """Squared error and held-out loss of rounded weights, activations and biases being left in float.

    Args:
        network: float network.
        examples: for the held-out frames.
        bits: of a weight.
    Returns: for each of `KINDS`: "noise", squared error of each matrix's weights as a fraction of their squares, and "loss" and "accuracy".
    """
    found: dict[str, dict[str, Any]] = {}
    for kind in KINDS:
        tried, noise = copy.deepcopy(network), []
        for layer in (matrix for product in tried.products() for matrix in product.matrices):
            rounded = rounded_weights(layer, bits, kind)
            noise.append(float((rounded - layer.weight.detach()).square().sum() / layer.weight.detach().square().sum()))
            layer.weight.data = rounded
        loss, accuracy = evaluate(tried, examples.held_out, examples.objective)
        found[kind] = {"noise": noise, "loss": loss, "accuracy": accuracy}
    return found
