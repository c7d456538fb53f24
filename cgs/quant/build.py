"""From a float network to a packed model: formats from its weights and from sample frames, then integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from cgs.base.errors import DataError, ShapeError
from cgs.base.options import PackOptions, each
from cgs.base.units import block_size
from cgs.nn.layers import Matrix, Network, Product, feature_major, spliced
from cgs.nn.lstm import run_cells
from cgs.nn.lstm_loop import RealCells
from cgs.quant.cells import GATE
from cgs.quant.formats import ACCUMULATOR_BITS, MAX_SHIFT, FixedPoint, choose_format, choose_pair, fitting_format
from cgs.quant.model import PackedLayer, PackedModel
from cgs.sparse.layer import BlockSparseLinear

SAMPLE_VALUES = 1 << 20
"""Values of a layer that its format is chosen from, at most."""
MIN_POWER = 1e-6
"""Least mean square of a layer's values, so that one that is silent can be compared with."""


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
        recurrent: of the weights of h, in a layer of cells.
    """

    weight: FixedPoint
    bias: FixedPoint
    input: FixedPoint
    output: FixedPoint | None
    low: LowBlocks | None = None
    recurrent: FixedPoint | None = None

    @property
    def accumulator_fraction_bits(self) -> int:
        """Fraction bits of products and sums."""
        return self.weight.fraction_bits + self.input.fraction_bits


def sample_activations(network: Network, inputs: torch.Tensor) -> list[np.ndarray]:
    """What every matrix of the float network is multiplied by.

    Args:
        network: float network.
        inputs: a sample of training frames as the network takes them: (T, D) spliced, or (N, T, D) with context.
    Returns: what comes from below, for each of `Network.products()`: a flat float32 array of at most `SAMPLE_VALUES` values.
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
            if product.recurrent is not None:
                x = run_cells(x.transpose(1, 2).contiguous(), product.recurrent, RealCells()).transpose(1, 2)
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
    widths, low = each(bits, network.n_layers), low or [None] * network.n_layers
    products, inputs = network.products(), activation_formats(network, activations, options)
    parts = zip(products, inputs, recurrent_powers(products, activations), strict=True)
    weights = [weight_format(product, widths[product.layer], options, given, low[product.layer], power) for product, given, power in parts]
    formats = fitted_formats(network, weights, inputs, options)
    return [replace(form, low=low[product.layer]) for form, product in zip(formats, products, strict=True)]


def recurrent_powers(products: list[Product], activations: list[np.ndarray]) -> list[float]:
    """Mean square of h against that of what comes from below, for every product; 1 where there is no h."""
    powers = [max(float(np.square(values, dtype=np.float64).mean()), MIN_POWER) for values in activations]
    return [1.0 if product.recurrent is None else after / before for product, before, after in zip(products, powers, [*powers[1:], 1.0], strict=True)]


def weight_format(
    product: Product, bits: int, options: PackOptions, given: FixedPoint, low: LowBlocks | None = None, recurrent_power: float = 1.0
) -> FixedPoint:
    """The format of least squared error of a matrix's weights, each rounded to as many bits as its block has.

    In a layer of cells it is the format of W, which that of U follows from: the errors of both, times the mean squares of what they are multiplied by, are
    then least together, so those of the gates' sums. With few bits this is better than to count all weights alike.

    Args:
        product: whose matrix it is.
        bits: of a weight.
        options: levels of weights, bits of activations.
        given: format of what comes from below.
        low: blocks whose weights have fewer bits; not of a layer of cells.
        recurrent_power: from `recurrent_powers`.
    """
    symmetric, matrix, weights = options.levels == "symmetric", product.matrix, real_weights(product.matrix)
    if product.recurrent is not None:
        finer = given.fraction_bits - output_of_cells(options).fraction_bits
        return choose_pair(weights, real_weights(product.recurrent), bits, finer, GATE.fraction_bits - given.fraction_bits, symmetric, recurrent_power)
    if low is None or not isinstance(matrix, BlockSparseLinear):
        return choose_format(weights, bits, symmetric=symmetric)
    is_low = np.broadcast_to(low.blocks[:, :, None, None], matrix.weight.shape)[matrix.mask.real_weights]
    return choose_format(weights[~is_low], bits, symmetric=symmetric, low=weights[is_low], low_bits=low.bits)


def output_of_cells(options: PackOptions) -> FixedPoint:
    """The format of h, which lies between -1 and 1."""
    return FixedPoint(options.activation_bits, options.activation_bits - 1)


def activation_formats(network: Network, activations: list[np.ndarray], options: PackOptions) -> list[FixedPoint]:
    """The format of least squared error of what every matrix is multiplied by; signed unless it comes out of a ReLU."""
    formats = [choose_format(activations[0], options.activation_bits)]
    for product, values in zip(network.products(), activations[1:], strict=False):
        formats.append(output_of_cells(options) if product.recurrent is not None else choose_format(values, options.activation_bits, not product.relu))
    return formats


def fitted_formats(network: Network, weights: Sequence[FixedPoint], activations: Sequence[FixedPoint], options: PackOptions) -> list[LayerFormats]:
    """Formats of every packed layer out of those of its weights and of what it reads: biases that fit, outputs that a shift can reach."""
    inputs, formats = activations[0], []
    for product, weight, wanted in zip(network.products(), weights, [*activations[1:], None], strict=True):
        narrow, output, recurrent = weight.fraction_bits + inputs.fraction_bits, wanted, None
        bias = fitting_format(product.matrix.bias.detach().cpu().double().numpy(), options.bias_bits)
        bias = replace(bias, fraction_bits=min(bias.fraction_bits, narrow))
        if wanted and product.recurrent is not None:
            recurrent = replace(weight, fraction_bits=narrow - wanted.fraction_bits)
        elif wanted:
            output = replace(wanted, fraction_bits=int(np.clip(wanted.fraction_bits, narrow - MAX_SHIFT, narrow)))
        formats.append(LayerFormats(weight, bias, inputs, output, recurrent=recurrent))
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
        meta: description that the packed file keeps; see `PackedModel`. How many frames a network that remembers hears is added where it is not said.
    Raises: ShapeError: an accumulator may overflow; names the layer. Two matrices of a layer of cells whose blocks do not fit each other.
    """
    left, right = network.spec.context or (0, 0)
    heard = {"features": {"left": left, "right": right}} if network.spec.remembers else {}
    model = PackedModel(tuple(_quantise_layer(*part) for part in zip(network.products(), formats, strict=True)), heard | meta)
    model.check()
    return model


def _quantise_layer(product: Product, form: LayerFormats) -> PackedLayer:
    matrix = _Integers.of(product.matrix, form)
    if product.recurrent is not None and form.recurrent:
        matrix = _Integers.of(product.recurrent, replace(form, weight=form.recurrent)).beside(matrix)
    return PackedLayer(
        n_in=matrix.n_in,
        n_out=product.matrix.out_features,
        block=matrix.sides[0],
        kept=matrix.kept,
        weights=matrix.weights,
        bias=form.bias.integers(product.matrix.bias.detach().cpu().double().numpy()).astype(np.int32),
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
        block_in=matrix.sides[1],
        cells=product.recurrent is not None,
    )


@dataclass(frozen=True, eq=False)
class _Integers:
    """A matrix in integers: inputs, outputs and inputs of a block (0 where it is dense), kept block columns and weights as in `PackedLayer`."""

    n_in: int
    sides: tuple[int, int]
    kept: np.ndarray | None
    weights: np.ndarray

    @classmethod
    def of(cls, matrix: Matrix, form: LayerFormats) -> _Integers:
        """The matrix rounded."""
        weight, mask = matrix.weight.detach().cpu().double().numpy(), matrix.mask if isinstance(matrix, BlockSparseLinear) else None
        integers = weight_integers(np.where(mask.real_weights, weight, 0.0) if mask else weight, form).astype(np.int8)
        return cls(matrix.in_features, (mask.block, mask.block_in) if mask else (0, 0), mask.kept if mask else None, integers)

    def beside(self, other: _Integers) -> _Integers:
        """The matrix [self other]. Raises: ShapeError: blocks that do not fit each other."""
        sides = self.sides if self.kept is not None else other.sides
        if sides != (other.sides if other.kept is not None else sides) or (sides[1] and self.n_in % sides[1]):
            told = f"cannot pack a layer of {self.n_in} cells: blocks {block_size(*self.sides)} of U, {block_size(*other.sides)} of W"
            raise ShapeError(told, "give both matrices the same blocks, and the layer a number of cells that is a multiple of a block's inputs")
        left, right = self._in_blocks(sides), other._in_blocks(sides)
        kept = None
        if left.kept is not None and right.kept is not None:
            kept = np.concatenate([left.kept, right.kept + self.n_in // sides[1]], axis=1)
        return _Integers(self.n_in + other.n_in, sides, kept, np.concatenate([left.weights, right.weights], axis=1))

    def _in_blocks(self, sides: tuple[int, int]) -> _Integers:
        """A dense matrix as one that keeps all blocks of these sides; itself where it has blocks, or there are none."""
        if self.kept is not None or sides == (0, 0):
            return self
        (n_out, n_in), (block, block_in) = self.weights.shape, sides
        padded = np.pad(self.weights, ((0, -n_out % block), (0, -n_in % block_in)))
        blocks = padded.reshape(len(padded) // block, block, -1, block_in).transpose(0, 2, 1, 3)
        return _Integers(n_in, sides, np.tile(np.arange(blocks.shape[1], dtype=np.int32), (len(blocks), 1)), blocks)
