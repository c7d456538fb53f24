"""ReLU and dropout in one step, with cheap random bits.

One draw of 64 bits decides eight units, which makes dropout a small part of a training step; the probability is
rounded to a multiple of 1/256."""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd.function import once_differentiable

BYTE_VALUES = 256


class ReluDropout(torch.autograd.Function):
    """max(x, 0), zeroed with probability p and scaled by 1 / (1 - p); only the result is kept for the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, dropped: int) -> torch.Tensor:
        """Drop the units whose byte is below `dropped`, of 256."""
        words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64, device=x.device).random_(-(2**63), None)
        kept = words.view(torch.uint8)[: x.numel()].view(x.shape) >= dropped
        scale = BYTE_VALUES / (BYTE_VALUES - dropped)
        y = x.clamp(min=0).mul_(kept).mul_(scale)
        ctx.save_for_backward(y)
        ctx.scale = scale
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        """A unit passes its gradient on where its output is positive, which is where it was active and kept."""
        (y,) = ctx.saved_tensors
        return torch.ops.aten.threshold_backward(grad, y, 0).mul_(ctx.scale), None


def relu_dropout(x: torch.Tensor, probability: float) -> torch.Tensor:
    """ReLU, then dropout with a probability rounded to 1/256; 0 is ReLU alone."""
    dropped = round(probability * BYTE_VALUES)
    return ReluDropout.apply(x, dropped) if dropped else torch.relu(x)
