"""Quantisation-aware fine-tuning: the float network computes with rounded weights and activations, and learns through them.

In evaluation its float32 logits equal those of the integer engine bit for bit, wherever the partial sums stay below
2^24 (8-bit activations with the networks of this project): rounded values are integers times powers of two, which
float32 multiplies and adds exactly. Cells of an LSTM are rounded inside its time loop, frame by frame."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from cgs.nn.dropout import dropout, relu_dropout
from cgs.nn.layers import Matrix, Network, Product, spliced
from cgs.nn.lstm import run_cells
from cgs.quant.build import LayerFormats, by_frame
from cgs.quant.fake_cells import RoundedCells
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


class FakeQuantised(Network):
    """A copy of a network that computes with its formats; its parameters stay float and keep their names.

    Args:
        network: a trained network.
        formats: one for each of the network's products.
    """

    def __init__(self, network: Network, formats: list[LayerFormats]) -> None:
        nn.Module.__init__(self)
        self.spec, self.masks = network.spec, network.masks
        self.layers = copy.deepcopy(network.layers)
        self.formats = formats
        for number, form in enumerate(formats):
            low = None if form.low is None else torch.from_numpy(form.low.blocks[:, :, None, None])
            self.register_buffer(f"low{number}", low, persistent=False)  # moves with the network, and is no part of its state
        self.train(network.training)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Inputs as the float network takes them -> logits of the quantised network."""
        one_frame_each = x.ndim == 2
        x = rounded(by_frame(x), self.formats[0].input)
        for number, (product, form) in enumerate(zip(self.products(), self.formats, strict=True)):
            x = spliced(x if form.output else x[:, :, self.spec.n_unnamed :], product.offsets)
            frames, weight, bias = x.shape[1:], self.weights_of(number), rounded(product.matrix.bias, form.bias)
            x = _times(product.matrix, weight, bias, x.flatten(1)).unflatten(1, frames)
            if form.output:
                x = self._outputs(product, x, form, form.output)
        return x[:, 0].t() if one_frame_each else x.permute(1, 2, 0)

    def _outputs(self, product: Product, sums: torch.Tensor, form: LayerFormats, output: FixedPoint) -> torch.Tensor:
        """What a hidden layer gives, (D, N, T), out of its sums (n_out, N, T)."""
        probability = self.spec.dropout if self.training else 0.0
        if product.recurrent is not None and form.recurrent:
            weight = rounded(product.recurrent.weight, form.recurrent)
            h = run_cells(sums.transpose(1, 2).contiguous(), product.recurrent, RoundedCells(output, weight), weight)
            return dropout(h, probability, axis=2).transpose(1, 2)
        x = rounded(sums.flatten(1), output, half_up=True)
        return (relu_dropout(x, probability, axis=1) if probability and product.relu else x).unflatten(1, sums.shape[1:])

    def weights_of(self, number: int) -> torch.Tensor:
        """The weights that a product computes with, the first being 0: each on the grid of its block."""
        weight, form = self.products()[number].matrix.weight, self.formats[number]
        full = rounded(weight, form.weight)
        return full if form.low is None else torch.where(self.get_buffer(f"low{number}"), rounded(weight, form.weight.coarser(form.low.bits)), full)


def _times(matrix: Matrix, weight: torch.Tensor, bias: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """(n_in, T) -> (n_out, T) with other weights than the matrix has."""
    return matrix.feature_major(x, weight, bias) if isinstance(matrix, BlockSparseLinear) else torch.addmm(bias[:, None], weight, x)
