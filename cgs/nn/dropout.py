"""ReLU and dropout in one step, with cheap random bits.

One draw of 64 bits decides eight units, which makes dropout a small part of a training step; the probability is
rounded to a multiple of 1/256. Processes that share a minibatch draw the bits of all of it and use those of their
own examples, so that every unit meets the same fate however many processes there are."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch.autograd.function import once_differentiable

BYTE_VALUES = 256
_SHARES: list[tuple[int, int, int]] = []
"""(first example, examples, examples of the whole minibatch) of the share being computed; empty where a process computes whole minibatches."""


@contextlib.contextmanager
def share_of_minibatch(first: int, n_examples: int, n_all: int) -> Iterator[None]:
    """Inside the block the networks see a part of a minibatch only.

    Args:
        first: position of its first example in the minibatch.
        n_examples: how many it has.
        n_all: how many the whole minibatch has.
    """
    _SHARES.append((first, n_examples, n_all))
    try:
        yield
    finally:
        _SHARES.pop()


class ReluDropout(torch.autograd.Function):
    """max(x, 0), zeroed with probability p and scaled by 1 / (1 - p); only the result is kept for the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, dropped: int, axis: int) -> torch.Tensor:
        """Drop the units whose byte is below `dropped`, of 256; the minibatch's examples lie along `axis`."""
        kept = _random_bytes(x, axis).to(x.dtype).ge_(dropped)
        scale = BYTE_VALUES / (BYTE_VALUES - dropped)
        y = x.clamp(min=0).mul_(kept).mul_(scale)
        ctx.save_for_backward(y)
        ctx.scale = scale
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        """A unit passes its gradient on where its output is positive, which is where it was active and kept."""
        (y,) = ctx.saved_tensors
        return torch.ops.aten.threshold_backward(grad, y, 0).mul_(ctx.scale), None, None


def _random_bytes(x: torch.Tensor, axis: int) -> torch.Tensor:
    """One random byte for each element of `x`, whose values every dtype of a network holds exactly."""
    first, n_examples, n_all = _SHARES[-1] if _SHARES else (0, 1, 1)
    rows = x.shape[axis] // n_examples
    shape = [*x.shape]
    shape[axis] = rows * n_all
    n_bytes = math.prod(shape)
    words = torch.empty((n_bytes + 7) // 8, dtype=torch.int64, device=x.device).random_(-(2**63), None)
    return words.view(torch.uint8)[:n_bytes].view(shape).narrow(axis, first * rows, x.shape[axis])


def dropout(x: torch.Tensor, probability: float, axis: int = 0) -> torch.Tensor:
    """Dropout alone, of values of either sign; see `relu_dropout`."""
    dropped = round(probability * BYTE_VALUES)
    return x * _random_bytes(x, axis).to(x.dtype).ge_(dropped).mul_(BYTE_VALUES / (BYTE_VALUES - dropped)) if dropped else x


def relu_dropout(x: torch.Tensor, probability: float, axis: int = 0) -> torch.Tensor:
    """ReLU, then dropout with a probability rounded to 1/256; 0 is ReLU alone.

    Args:
        x: outputs of a layer.
        probability: of a unit to be dropped.
        axis: of `x`, along which the examples of the minibatch lie, each as one or several rows.
    """
    dropped = round(probability * BYTE_VALUES)
    return ReluDropout.apply(x, dropped, axis) if dropped else torch.relu(x)
