"""Which layers need fewer bits than others: found by lowering them one at a time and asking the held-out frames."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch

from cgs.base.log import LOG
from cgs.base.options import PackOptions
from cgs.nn.layers import Network
from cgs.nn.train import Examples
from cgs.quant.build import activation_formats, fitted_formats, real_weights, recurrent_powers, weight_format
from cgs.quant.formats import FEWEST_BITS, FixedPoint
from cgs.quant.qat import FakeQuantised

SENSITIVITY_FRAMES = 8192
"""Held-out frames, evenly spread, on which a layer's bits are judged."""


@dataclass(frozen=True)
class Lowering:
    """One step of the search.

    Args:
        layer: which layer lost a bit, the first being 1.
        bits: of a weight of each layer, after it.
        mean_bits: of all weights, after it.
        loss: held-out loss after it, rounded and not fine-tuned.
    """

    layer: int
    bits: list[int]
    mean_bits: float
    loss: float


def lower_bits(network: Network, activations: list[np.ndarray], examples: Examples, bits: list[int], options: PackOptions) -> list[Lowering]:
    """Take bits away, one layer and one bit at a time, until a weight has as few on average as `options.mixed_bits` says.

    Each step takes the bit that adds least held-out loss for each bit of the file that it saves, by rounding alone; of equals, the first layer's.

    Args:
        network: float network.
        activations: from `cgs.quant.build.sample_activations`.
        examples: for the held-out frames.
        bits: of a weight of each layer, to begin with.
        options: the target, bits of activations and biases, levels of weights.
    Returns: the steps; none where the mean is low enough already. They end early where every layer has 2 bits.
    Source: more than one precision in a coarse-grain sparse network is an idea of Kadetotad, Seo and others; the greedy search is ours.
    """
    products, n_weights = network.products(), [0] * network.n_layers
    for product in products:
        n_weights[product.layer] += sum(real_weights(matrix).size for matrix in product.matrices)
    powers = recurrent_powers(products, activations)
    inputs, batch = activation_formats(network, activations, options), examples.held_out.batch(examples.held_out.spread(SENSITIVITY_FRAMES))

    @functools.cache
    def form(product: int, width: int) -> FixedPoint:
        return weight_format(products[product], width, options, inputs[product], recurrent_power=powers[product])

    def loss(widths: list[int]) -> float:
        formats = fitted_formats(network, [form(number, widths[product.layer]) for number, product in enumerate(products)], inputs, options)
        with torch.inference_mode():
            return float(examples.objective(FakeQuantised(network, formats).eval()(batch.inputs).contiguous(), batch))

    def mean(widths: list[int]) -> float:
        return float(np.average(widths, weights=n_weights))

    steps, widths, now = [], list(bits), loss(bits)
    while mean(widths) > options.mixed_bits and max(widths) > FEWEST_BITS:
        lower = [layer for layer, width in enumerate(widths) if width > FEWEST_BITS]
        losses = {layer: loss([width - (other == layer) for other, width in enumerate(widths)]) for layer in lower}
        chosen = min(lower, key=lambda layer: (losses[layer] - now) / n_weights[layer])
        widths[chosen] -= 1
        now = losses[chosen]
        steps.append(Lowering(chosen + 1, list(widths), mean(widths), now))
        LOG.info("  layer %d lowered to %d bits, %.2f on average: held-out loss %.4f when rounded", chosen + 1, widths[chosen], mean(widths), now)
    return steps
