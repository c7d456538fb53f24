"""Which blocks need fewer bits than others: those that coarser rounding costs least, by squared gradients of training frames.

A low block keeps its layer's scale and has zeros for its lowest bits. A dense layer is one block, with a scale of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from cgs.base.log import LOG
from cgs.base.options import PackOptions
from cgs.nn.data import Minibatch
from cgs.nn.layers import Matrix, Network, feature_major, spliced
from cgs.nn.step import Objective
from cgs.nn.train import Examples
from cgs.quant.build import LayerFormats, LowBlocks, by_frame, choose_formats, rounded_weights, weight_format
from cgs.quant.formats import FEWEST_BITS
from cgs.quant.mixed import SENSITIVITY_FRAMES
from cgs.quant.model import block_weights
from cgs.quant.qat import FakeQuantised
from cgs.sparse.layer import BlockSparseLinear

HALVINGS = 60
"""Steps of the search for a price."""


@dataclass(frozen=True)
class BlockBits:
    """Bits of every block, and what they were thought to cost.

    Args:
        bits: of an integer of each layer: what the layer had, fewer in a dense layer that was lowered.
        low: the blocks of each layer that have fewer.
        mean_bits: of all weights.
        predicted: loss that rounding so adds to rounding with full bits, by the estimate.
        found: the same, measured on the frames of the estimate.
    """

    bits: list[int]
    low: list[LowBlocks | None]
    mean_bits: float
    predicted: float
    found: float

    def told(self) -> dict[str, Any]:
        """What pack.json says of it: of each layer its bits, those of its low blocks (null where it has none) and their share of its blocks."""
        parts = zip(self.bits, self.low, strict=True)
        layers = [{"bits": bits, "low_bits": low and low.bits, "low_share": float(low.blocks.mean()) if low else 0.0} for bits, low in parts]
        return {"mean_bits": self.mean_bits, "predicted": self.predicted, "found": self.found, "layers": layers}


def lower_blocks(network: Network, activations: list[np.ndarray], examples: Examples, bits: list[int], options: PackOptions) -> BlockBits | None:
    """Give blocks fewer bits until a weight has as few on average as `options.mixed_bits` says.

    Args:
        network: float network, without factors or cells.
        activations: from `cgs.quant.build.sample_activations`.
        examples: for the training frames.
        bits: of a weight of each layer, to begin with.
        options: the target, bits of activations and biases, levels of weights.
    Returns: None where the mean is low enough already. The mean stays above the target only where every block has 2 bits.
    Source: two precisions of weights in one coarse-grain sparse network are an idea of Arunachalam's thesis (Arizona State University 2016); costs by
        second derivatives follow Dong and others 2019 (HAWQ, arXiv 1905.03696). Differs: the diagonal of the empirical Fisher matrix, weight by
        weight, in place of a layer's largest eigenvalue of the Hessian; blocks in place of layers.
    """
    batch = examples.training.batch(examples.training.spread(SENSITIVITY_FRAMES))
    n_weights = [_block_sizes(layer) for layer in _matrices(network)]
    n_all = sum(int(sizes.sum()) for sizes in n_weights)
    n_bits = sum(width * int(sizes.sum()) for width, sizes in zip(bits, n_weights, strict=True))
    to_save = math.ceil(n_bits - options.mixed_bits * n_all - 1e-6)
    if to_save <= 0:
        return None
    full, squared = choose_formats(network, activations, bits, options), squared_gradients(network, batch, examples.objective)
    widths, lowered = choose_blocks(_costs(network, full, squared, options), n_weights, bits, to_save)
    lower, low = _as_blocks(network, bits, widths, lowered)
    saved = sum((width - narrow) * int(sizes[is_low].sum()) for width, narrow, is_low, sizes in zip(bits, widths, lowered, n_weights, strict=True))
    mixed, mean_bits = choose_formats(network, activations, lower, options, low), (n_bits - saved) / n_all
    predicted = _added_loss(network, mixed, squared) - _added_loss(network, full, squared)
    found = _loss(network, mixed, batch, examples.objective) - _loss(network, full, batch, examples.objective)
    told = f"loss of training frames {found:+.4f} when rounded, {predicted:+.4f} predicted"
    LOG.info("  %d of %d blocks lowered, %.2f bits on average: %s", sum(map(np.count_nonzero, lowered)), sum(map(len, lowered)), mean_bits, told)
    return BlockBits(lower, low, mean_bits, predicted, found)


def _as_blocks(network: Network, bits: list[int], widths: list[int], lowered: list[np.ndarray]) -> tuple[list[int], list[LowBlocks | None]]:
    """The bits of each layer, fewer where it is dense and lowered, and the low blocks of the others."""
    lower, low = list(bits), list[LowBlocks | None]([None] * len(bits))
    for number, (layer, width, is_low) in enumerate(zip(_matrices(network), widths, lowered, strict=True)):
        if is_low.any() and isinstance(layer, BlockSparseLinear):
            low[number] = LowBlocks(width, is_low.reshape(layer.mask.kept.shape))
        elif is_low.any():
            lower[number] = width
    return lower, low


def squared_gradients(network: Network, batch: Minibatch, objective: Objective) -> list[torch.Tensor]:
    """Squared gradients of every layer's weights, each frame's by itself, on average over the labelled frames: the diagonal of the empirical Fisher matrix.

    Where layers read several frames, each frame of a layer counts by itself.

    Args:
        network: float network, in evaluation.
        batch: frames.
        objective: what the gradients are of.
    Returns: of the shape of each layer's weights, zero where padded.
    """
    x, read, given = by_frame(batch.inputs), [], []
    for product in network.products():
        x = spliced(x, product.offsets)
        read.append(x.detach().flatten(1))
        given.append(feature_major(product.matrix, x.flatten(1)))
        x = given[-1].unflatten(1, x.shape[1:])
        x = torch.relu(x) if product.relu else x
    logits = x[:, 0].t() if batch.inputs.ndim == 2 else x.permute(1, 2, 0)
    gradients = torch.autograd.grad(objective(logits.contiguous(), batch, "sum") / batch.n_frames, given)
    squares: list[torch.Tensor] = []
    for layer, x, gradient in zip(_matrices(network), read, gradients, strict=True):
        # a frame's gradient is an outer product, so the sum of its squares is that of squares, and the layer's own backward pass adds it up
        summed = feature_major(layer, x.square())
        squares += torch.autograd.grad(summed, layer.weight, gradient.square() * batch.n_frames)
    return squares


def choose_blocks(costs: list[dict[int, np.ndarray]], n_weights: list[np.ndarray], bits: list[int], to_save: int) -> tuple[list[int], list[np.ndarray]]:
    """Which blocks to lower, and the bits of low blocks in each layer.

    A price of a bit says which of a layer's low precisions is worth most, and which blocks are worth lowering to it. The least price at which enough bits are
    saved gives every layer its low precision; then blocks are lowered in order of their cost for each bit until enough are saved, and those that
    turn out not to be needed are left, the dearest first.

    Args:
        costs: for each layer {bits of a low block: (n blocks,) loss added, at least 0}.
        n_weights: for each layer (n blocks,) weights.
        bits: of each layer.
        to_save: bits of all weights together.
    Returns: for each layer the bits of its low blocks, and (n blocks,) bool, which they are; all blocks where `to_save` is out of reach.
    """
    dearest = max((float((cost / sizes).max()) for by_bits, sizes in zip(costs, n_weights, strict=True) for cost in by_bits.values()), default=0.0)
    low, high = 0.0, dearest * max(bits)  # dearer than any bit is, so that everything is lowered to 2 bits
    for _ in range(HALVINGS):
        price = (low + high) / 2
        low, high = (low, price) if _at_price(costs, n_weights, bits, price)[1] >= to_save else (price, high)
    widths, _ = _at_price(costs, n_weights, bits, high)
    saved = np.concatenate([(width - low) * sizes for width, low, sizes in zip(bits, widths, n_weights, strict=True)])
    cost = np.concatenate([by_bits.get(low, np.zeros(len(sizes))) for by_bits, low, sizes in zip(costs, widths, n_weights, strict=True)])
    lowered = _cheapest(cost, saved, to_save)
    return widths, np.split(lowered, np.cumsum([len(sizes) for sizes in n_weights])[:-1])


def _at_price(costs: list[dict[int, np.ndarray]], n_weights: list[np.ndarray], bits: list[int], price: float) -> tuple[list[int], int]:
    """The low precision of each layer that is worth most at a price of a bit, the fewest bits of equals, and the bits saved by all blocks worth it."""
    widths, saved = [], 0
    for by_bits, sizes, width in zip(costs, n_weights, bits, strict=True):
        gains = {low: cost - price * sizes * (width - low) for low, cost in by_bits.items()}
        best = min(gains, key=lambda low: (np.minimum(gains[low], 0).sum(), low), default=width)
        widths.append(best)
        saved += (width - best) * int(sizes[gains[best] <= 0].sum()) if gains else 0
    return widths, saved


def _cheapest(cost: np.ndarray, saved: np.ndarray, to_save: int) -> np.ndarray:
    """(n,) bool: what to take, the cheapest for each bit first, to save so many bits, and no more of it than that needs."""
    order = np.flatnonzero(saved)[np.argsort(cost[saved > 0] / saved[saved > 0], kind="stable")]
    order = order[: np.searchsorted(np.cumsum(saved[order]), to_save) + 1]
    taken = np.zeros(len(cost), dtype=bool)
    taken[order] = True
    spare = saved[order].sum() - to_save
    for block in order[::-1]:
        if saved[block] <= spare:
            taken[block], spare = False, spare - saved[block]
    return taken


def _matrices(network: Network) -> list[Matrix]:
    """The network's layers, none of which is a pair of factors."""
    return [product.matrix for product in network.products()]


def _block_sizes(layer: Matrix) -> np.ndarray:
    if isinstance(layer, BlockSparseLinear):
        return block_weights(layer.mask.n_in, layer.mask.n_out, layer.mask.block, layer.mask.block_in, layer.mask.kept).ravel()
    return np.array([layer.weight.numel()])


def _costs(network: Network, full: list[LayerFormats], squared: list[torch.Tensor], options: PackOptions) -> list[dict[int, np.ndarray]]:
    """For each layer {bits of a low block: (n blocks,) loss that rounding a block to them, with the scale that is best for them, adds by the estimate}."""
    costs = []
    for product, form, fisher in zip(network.products(), full, squared, strict=True):
        layer = product.matrix
        n_blocks, before = len(_block_sizes(layer)), _half_squares(layer, form, fisher)
        by_bits = {}
        for low in range(FEWEST_BITS, form.weight.bits):
            after = _half_squares(layer, replace(form, weight=weight_format(product, low, options, form.input)), fisher)
            by_bits[low] = np.maximum((after - before).reshape(n_blocks, -1).sum(axis=1), 0.0)
        costs.append(by_bits)
    return costs


def _half_squares(layer: Matrix, form: LayerFormats, fisher: torch.Tensor) -> np.ndarray:
    """Half the squared rounding errors, weighed by squared gradients; of the shape of the weights."""
    weight = layer.weight.detach().cpu().double().numpy()
    return 0.5 * fisher.double().numpy() * np.square(rounded_weights(weight, form) - weight)


def _added_loss(network: Network, formats: list[LayerFormats], squared: list[torch.Tensor]) -> float:
    return float(sum(_half_squares(*part).sum() for part in zip(_matrices(network), formats, squared, strict=True)))


def _loss(network: Network, formats: list[LayerFormats], batch: Minibatch, objective: Objective) -> float:
    with torch.inference_mode():
        return float(objective(FakeQuantised(network, formats).eval()(batch.inputs).contiguous(), batch))
