"""Frames for a simulated engine that has no recording: random ones, and those at the corners of what an input can be."""

from __future__ import annotations

import numpy as np

from cgs.quant.model import PackedModel


def made_frames(model: PackedModel, n: int, seed: int = 0) -> np.ndarray:
    """Frames at a packed model's input.

    Args:
        model: its first layer's format says how large an input can be.
        n: frames; the first three are all zero, all largest and all lowest.
        seed: of the others, which are normally distributed or at either end, in turn.
    Returns: (n, n_in) float32.
    """
    random = np.random.default_rng(seed)
    form = model.layers[0].input_format
    low, high = form.low * 2.0**-form.fraction_bits, form.high * 2.0**-form.fraction_bits
    frames = random.normal(size=(n, model.n_in))
    frames[1::2] = np.where(frames[1::2] > 0, high, low)
    frames[:3] = np.array([0.0, high, low])[:n, None]
    return frames.astype(np.float32)
