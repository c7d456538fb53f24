"""A study of binary weights: a sign each, times one scale for many, which the packed file has no form for.

Two's complement of one bit has no pair of opposite values, and a pair has no zero. What that leaves out is measured here."""

from __future__ import annotations

from pathlib import Path

import torch

from cgs.base.errors import ConfigError
from cgs.base.options import PackOptions, TrainOptions
from cgs.nn.layers import Network
from cgs.nn.train import Examples, evaluate, train
from cgs.quant.build import LayerFormats, choose_formats, sample_activations
from cgs.quant.finetune import calibration_frames
from cgs.quant.formats import FEWEST_BITS
from cgs.quant.qat import FakeQuantised
from cgs.sparse.layer import BlockSparseLinear

SHARED_BY = {"layer": 0, "block row": 1, "block": 2}
"""What has one scale, and how many of the first dimensions of the weights tell scales apart; in a dense layer, one or one for each output."""


class Binary(FakeQuantised):
    """A copy of a network whose weights are signs times the mean of their magnitudes; biases and activations keep their fixed-point formats.

    Args:
        network: a trained network.
        formats: one for each layer; those of weights are not used.
        shared_by: whose mean a scale is, one of `SHARED_BY`.
    Source: Rastegari and others 2016 (XNOR-Net, arXiv 1603.05279), where this scale is the one of least squared error. Differs: inputs are not binary, scales
        are of blocks in place of filters, and gradients pass straight through, those of large weights too.
    Raises: ConfigError: an LSTM network.
    """

    def __init__(self, network: Network, formats: list[LayerFormats], shared_by: str) -> None:
        if network.spec.remembers:
            raise ConfigError("binary weights of a network that remembers: there is no study of them", "give a feed-forward or time-delay network")
        super().__init__(network, formats)
        self.shared_by = shared_by

    def weights_of(self, number: int) -> torch.Tensor:
        """The binary weights of a layer; padding stays zero."""
        layer, dimensions = self.products()[number].matrix, SHARED_BY[self.shared_by]
        weight, real = layer.weight, torch.ones_like(layer.weight)
        if isinstance(layer, BlockSparseLinear):
            real = torch.from_numpy(layer.mask.real_weights).to(weight)
        over = tuple(range(min(dimensions, weight.ndim - 1), weight.ndim))
        scale = (weight.detach().abs() * real).sum(over, keepdim=True) / real.sum(over, keepdim=True)
        binary = torch.where(weight.detach() < 0, -scale, scale) * real
        return weight + (binary - weight).detach()


def binary_study(network: Network, examples: Examples, options: PackOptions, tuning: TrainOptions, seed: int, directory: Path) -> dict[str, list[float]]:
    """Held-out losses of binary weights.

    Args:
        network: float network.
        examples: its frames.
        options: bits of activations and biases; epochs of fine-tuning, if any.
        tuning: from `tuning_options`.
        seed: of the order of frames.
        directory: where fine-tuning keeps its history, in a folder for each of `SHARED_BY`.
    Returns: for each of `SHARED_BY` the loss of rounded weights, and of fine-tuned ones if there are epochs.
    """
    formats, found = choose_formats(network, sample_activations(network, calibration_frames(examples.training)), FEWEST_BITS, options), {}
    for shared_by in SHARED_BY:
        binary, folder = Binary(network, formats, shared_by), directory / shared_by.replace(" ", "_")
        found[shared_by] = [evaluate(binary, examples.held_out, examples.objective)[0]]
        if options.epochs:
            folder.mkdir(parents=True, exist_ok=True)
            train(binary, examples, tuning, seed, folder)
            found[shared_by].append(evaluate(binary, examples.held_out, examples.objective)[0])
    return found
