"""From a float network to a packed model: formats from its weights and from sample frames, then integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from cgs.base.errors import DataError
from cgs.base.options import PackOptions, each
from cgs.nn.layers import Matrix, Network, Product, feature_major, spliced
from cgs.quant.formats import ACCUMULATOR_BITS, MAX_SHIFT, FixedPoint, choose_format, fitting_format
from cgs.quant.model import PackedLayer, PackedModel
from cgs.sparse.layer import BlockSparseLinear

SAMPLE_VALUES = 1 << 20
"""Values of a layer that its format is chosen from, at most."""


@dataclass(frozen=True, eq=False)
class LowBlocks:
    """Blocks of a layer whose weights have fewer bits than the others: their integers are the layer's without the lowest bits, which are zero.

    Args:
        bits: of a weight in them.
        blocks: (R, K) bool, which.
    """

    bits: int
    blocks: np.ndarray


@dataclass(frozen=True)
class LayerFormats:
    """Formats of one packed layer, which is one of `Network.products()`.

    Args:
        weight, bias, input: of the integers the layer reads.
        output: of a hidden layer's outputs, the next layer's input: unsigned after a ReLU, signed without one; None in the last layer.
        low: blocks whose weights have fewer bits; None: none.
    """

    weight: FixedPoint
    bias: FixedPoint
    input: FixedPoint
    output: FixedPoint | None
    low: LowBlocks | None = None

    @property
    def accumulator_fraction_bits(self) -> int:
        """Fraction bits of products and sums."""
        return self.weight.fraction_bits + self.input.fraction_bits


def sample_activations(network: Network, inputs: torch.Tensor) -> list[np.ndarray]:
    """What every matrix of the float network is multiplied by.

    Args:
        network: float network, feed-forward or time-delay.
        inputs: a sample of training frames as the network takes them: (T, D) spliced, or (N, T, D) with context.
    Returns: one flat float32 array for each of `Network.products()`, at most `SAMPLE_VALUES` values of it.
    Raises: DataError: no frames.
    """
    if not len(inputs):
        raise DataError("no training frames to choose fixed-point formats from", "check the alignments of the training data")
    x = by_frame(inputs)
    samples = [_sample(x)]
    with torch.no_grad():
        for product in network.products()[:-1]:
            x = spliced(x, product.offsets)
            x = feature_major(product.matrix, x.flatten(1)).unflatten(1, x.shape[1:])
            x = torch.relu(x) if product.relu else x
            samples.append(_sample(x))
    return samples


def by_frame(inputs: torch.Tensor) -> torch.Tensor:
    """Inputs (T, D) or (N, T, D) of a network as (D, N, T), contiguous."""
    return (inputs.t()[:, None] if inputs.ndim == 2 else inputs.permute(2, 0, 1)).contiguous()


def _sample(x: torch.Tensor) -> np.ndarray:
    flat = x.cpu().numpy().ravel()
    return flat[:: -(-flat.size // SAMPLE_VALUES)]


def choose_formats(
    network: Network, activations: list[np.ndarray], bits: int | list[int], options: PackOptions, low: Sequence[LowBlocks | None] | None = None
) -> list[LayerFormats]:
    """Formats of every packed layer: least squared error for weights and activations, no saturation for biases.

    Args:
        network: float network, as trained or as fine-tuned.
        activations: from `sample_activations`.
        bits: of a weight, 2 to 8; of all the network's layers, or of each: factors of a layer have the same.
        options: bits of activations and biases, levels of weights.
        low: blocks of each layer whose weights have fewer bits.
    """
    widths, low = each(bits, len(network.layers)), low or [None] * len(network.layers)
    products = network.products()
    weights = [weight_format(product.matrix, widths[product.layer], options, low[product.layer]) for product in products]
    formats = fitted_formats(network, weights, activation_formats(network, activations, options), options)
    return [replace(form, low=low[product.layer]) for form, product in zip(formats, products, strict=True)]


def weight_format(matrix: Matrix, bits: int, options: PackOptions, low: LowBlocks | None = None) -> FixedPoint:
    """The format of least squared error of a matrix's weights, each rounded to as many bits as its block has."""
    symmetric, weights = options.levels == "symmetric", real_weights(matrix)
    if low is None or not isinstance(matrix, BlockSparseLinear):
        return choose_format(weights, bits, symmetric=symmetric)
    is_low = np.broadcast_to(low.blocks[:, :, None, None], matrix.weight.shape)[matrix.mask.real_weights]
    return choose_format(weights[~is_low], bits, symmetric=symmetric, low=weights[is_low], low_bits=low.bits)


def activation_formats(network: Network, activations: list[np.ndarray], options: PackOptions) -> list[FixedPoint]:
    """The format of least squared error of what every matrix is multiplied by; signed unless it comes out of a ReLU."""
    signed = [True, *(not product.relu for product in network.products()[:-1])]
    return [choose_format(values, options.activation_bits, either) for values, either in zip(activations, signed, strict=True)]


def fitted_formats(network: Network, weights: Sequence[FixedPoint], activations: Sequence[FixedPoint], options: PackOptions) -> list[LayerFormats]:
    """Formats of every packed layer out of those of its weights and of what it reads: biases that fit, outputs that a shift can reach."""
    inputs, formats = activations[0], []
    for product, weight, wanted in zip(network.products(), weights, [*activations[1:], None], strict=True):
        narrow = weight.fraction_bits + inputs.fraction_bits
        bias = fitting_format(product.matrix.bias.detach().cpu().double().numpy(), options.bias_bits)
        bias = replace(bias, fraction_bits=min(bias.fraction_bits, narrow))
        output = wanted and replace(wanted, fraction_bits=int(np.clip(wanted.fraction_bits, narrow - MAX_SHIFT, narrow)))
        formats.append(LayerFormats(weight, bias, inputs, output))
        inputs = output or inputs
    return formats


def real_weights(matrix: Matrix) -> np.ndarray:
    """The weights of a matrix that exist, flat float64; padding of edge blocks left out."""
    weight = matrix.weight.detach().cpu().double().numpy()
    return weight[matrix.mask.real_weights] if isinstance(matrix, BlockSparseLinear) else weight.ravel()


def weight_integers(weight: np.ndarray, form: LayerFormats) -> np.ndarray:
    """A layer's weights as integers of `form.weight`; those of low blocks are rounded and saturated to fewer bits, their lowest bits being zero."""
    integers = form.weight.integers(weight)
    if form.low is None:
        return integers
    coarse = form.weight.coarser(form.low.bits).integers(weight) << (form.weight.bits - form.low.bits)
    return np.where(form.low.blocks[:, :, None, None], coarse, integers)


def rounded_weights(weight: np.ndarray, form: LayerFormats) -> np.ndarray:
    """What a layer's weights are once they are integers, float64."""
    return form.weight.values(weight_integers(weight, form))


def quantise(network: Network, formats: list[LayerFormats], meta: dict[str, Any]) -> PackedModel:
    """Round a network to its formats.

    Args:
        network: float network.
        formats: from `choose_formats`.
        meta: description that the packed file keeps; see `PackedModel`.
    Raises: ShapeError: an accumulator may overflow; names the layer.
    """
    model = PackedModel(tuple(_quantise_layer(*part) for part in zip(network.products(), formats, strict=True)), meta)
    model.check()
    return model


def _quantise_layer(product: Product, form: LayerFormats) -> PackedLayer:
    layer = product.matrix
    mask = layer.mask if isinstance(layer, BlockSparseLinear) else None
    weight = layer.weight.detach().cpu().double().numpy()
    return PackedLayer(
        n_in=layer.in_features,
        n_out=layer.out_features,
        block=mask.block if mask else 0,
        kept=mask.kept if mask else None,
        weights=weight_integers(np.where(mask.real_weights, weight, 0.0) if mask else weight, form).astype(np.int8),
        bias=form.bias.integers(layer.bias.detach().cpu().double().numpy()).astype(np.int32),
        bits=form.weight.bits,
        weight_fraction_bits=form.weight.fraction_bits,
        bias_bits=form.bias.bits,
        bias_fraction_bits=form.bias.fraction_bits,
        input_bits=form.input.bits,
        input_signed=form.input.signed,
        input_fraction_bits=form.input.fraction_bits,
        output_bits=form.output.bits if form.output else ACCUMULATOR_BITS,
        output_fraction_bits=form.output.fraction_bits if form.output else form.accumulator_fraction_bits,
        relu=product.relu,
        output_signed=form.output is not None and form.output.signed,
        offsets=product.offsets,
        block_in=mask.block_in if mask else 0,
    )
