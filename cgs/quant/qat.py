"""Quantisation-aware fine-tuning: the float network computes with rounded weights and activations, and learns through them.

In evaluation its float32 logits equal those of the integer engine bit for bit, wherever the partial sums stay below
2^24 (8-bit activations with the networks of this project): rounded values are integers times powers of two, which
float32 multiplies and adds exactly."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from cgs.nn.dropout import relu_dropout
from cgs.nn.network import FeedForward
from cgs.quant.build import LayerFormats
from cgs.quant.formats import FixedPoint
from cgs.sparse.layer import BlockSparseLinear


class Rounding(torch.autograd.Function):
    """Round to a fixed-point format, saturate, and let gradients of values in range pass straight through.

    Source: the straight-through estimator of Bengio, Leonard and Courville 2013 (arXiv 1308.3432).
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, form: FixedPoint, half_up: bool) -> torch.Tensor:
        """Round.

        Args:
            x: any shape.
            form: its format.
            half_up: round halves up, as the engine's add-half-and-shift does; otherwise ties go to even, as for weights, biases and inputs.
        """
        scaled = x * 2.0**form.fraction_bits
        ctx.save_for_backward((scaled > form.low - (form.low < 0) * 0.5) & (scaled < form.high + 0.5))
        rounded = torch.floor(scaled.add_(0.5)) if half_up else torch.round(scaled)
        return rounded.clamp_(form.low, form.high).mul_(2.0**-form.fraction_bits)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        """The gradient where the value was in range (for an unsigned format: positive, as for a ReLU), zero elsewhere."""
        (in_range,) = ctx.saved_tensors
        return grad * in_range, None, None


def rounded(x: torch.Tensor, form: FixedPoint, half_up: bool = False) -> torch.Tensor:
    """`x` on the grid of a format; see `Rounding`."""
    return Rounding.apply(x, form, half_up)


class FakeQuantised(FeedForward):
    """A copy of a network that computes with its formats; its parameters stay float and keep their names.

    Args:
        network: a trained network.
        formats: one for each layer.
    """

    def __init__(self, network: FeedForward, formats: list[LayerFormats]) -> None:
        nn.Module.__init__(self)
        self.spec, self.masks = network.spec, network.masks
        self.layers = copy.deepcopy(network.layers)
        self.formats = formats
        self.train(network.training)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(T, n_in) features -> (T, n_out) logits of the quantised network."""
        dropout = self.spec.dropout if self.training else 0.0
        x = rounded(x.t().contiguous(), self.formats[0].input)
        for layer, form in zip(self.each_layer(), self.formats, strict=True):
            weight, bias = rounded(layer.weight, form.weight), rounded(layer.bias, form.bias)
            x = layer.feature_major(x, weight, bias) if isinstance(layer, BlockSparseLinear) else torch.addmm(bias[:, None], weight, x)
            if form.output:
                x = rounded(x, form.output, half_up=True)
                x = relu_dropout(x, dropout) if dropout else x
        return x.t()
