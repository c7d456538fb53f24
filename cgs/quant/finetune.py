"""From a trained network to the best packed model that fine-tuning finds, judged on held-out frames."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from cgs.base.errors import ShapeError
from cgs.base.log import LOG
from cgs.base.options import PackOptions, TrainOptions, each
from cgs.nn.data import ExampleSet
from cgs.nn.layers import Network
from cgs.nn.train import Examples, evaluate, train
from cgs.quant.build import choose_formats, quantise, sample_activations
from cgs.quant.engine import IntegerEngine, nonzero_share
from cgs.quant.mixed import Lowering, lower_bits
from cgs.quant.mixed_blocks import BlockBits, lower_blocks
from cgs.quant.model import PackedModel
from cgs.quant.qat import FakeQuantised

AnyOptions = TypeVar("AnyOptions", bound=TrainOptions)
CALIBRATION_FRAMES = 4096
"""Training frames, evenly spread, from which activation formats are chosen."""
CHECKED_FRAMES = 512
"""Held-out frames on which the packed model is compared with the network it was made from."""
FLOAT, ROUNDED, TUNED, TUNED_NEW_FORMATS = "float", "post_training", "fine_tuned", "fine_tuned_new_formats"


@dataclass
class Packing:
    """The chosen model and how it was found.

    Args:
        model: the packed model.
        network: the network that it holds in integers, parameters in float.
        chosen: which candidate it is: "post_training" (rounded, not fine-tuned), "fine_tuned", or
            "fine_tuned_new_formats" (fine-tuned, then formats chosen again).
        held_out: {candidate or "float": {"loss", "accuracy"}} on the held-out frames.
        seconds: of the search for bits and the fine-tuning.
        lowered: the steps by which `PackOptions.mixed_bits` was reached layer by layer; none where it is 0.
        block_bits: how it was reached block by block; None where it was not wanted so, or the system's bits were few enough.
    """

    model: PackedModel
    network: FakeQuantised
    chosen: str
    held_out: dict[str, dict[str, float]]
    seconds: float
    lowered: list[Lowering]
    block_bits: BlockBits | None


def tuning_options(training: AnyOptions, options: PackOptions, left: int, right: int) -> AnyOptions:
    """The training options of a network turned into those of its fine-tuning: few epochs, a low rate that falls to almost nothing.

    Args:
        training: what the network was trained with.
        options: epochs and learning rate of the fine-tuning.
        left, right: the network's context, frames.
    """
    epochs = max(options.epochs, 1)
    rates = {"learning_rate": options.learning_rate, "min_learning_rate": options.learning_rate / 100}
    return training.model_copy(update={"epochs": epochs, "patience": epochs, "average": 0, "left_context": left, "right_context": right, **rates})


def pack_network(
    network: Network,
    examples: Examples,
    bits: int | list[int],
    options: PackOptions,
    tuning: TrainOptions,
    seed: int,
    directory: Path,
    device: str = "cpu",
    curves_folder: Path | None = None,
) -> Packing:
    """Choose bits where they are to be mixed, choose formats, fine-tune in them, choose formats again, and keep what has the lowest held-out loss.

    Args:
        network: trained, in float.
        examples: the frames it was trained on.
        bits: of a weight; of all layers, or of each.
        options: mean bits to come down to, bits of activations and biases, levels of weights, epochs of fine-tuning.
        tuning: from `tuning_options`.
        seed: of the order of the frames, dropout and augmentation.
        directory: where the fine-tuning keeps its history and checkpoint.
        device: torch device of the fine-tuning.
        curves_folder: see `train`.
    Raises: ShapeError: an accumulator may overflow; said before the fine-tuning starts. TrainError: the fine-tuning diverged.
    """
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    frames, start = calibration_frames(examples.training), time.monotonic()
    activations, widths = sample_activations(network, frames), each(bits, network.n_layers)
    lowered, blocks, low = [], None, None
    if options.mixed_bits and options.mixed_by == "block" and len(network.products()) == len(network.layers):  # factors have no blocks, cells no such estimate
        if blocks := lower_blocks(network, activations, examples, widths, options):
            widths, low = blocks.bits, blocks.low
    elif options.mixed_bits:
        lowered = lower_bits(network, activations, examples, widths, options)
        widths = lowered[-1].bits if lowered else widths
    formats = choose_formats(network, activations, widths, options, low)
    quantise(network, formats, {})
    candidates = {ROUNDED: FakeQuantised(network, formats)}
    if options.epochs:
        tuned = FakeQuantised(network, formats)
        train(tuned, examples, tuning, seed, directory, device, curves_folder)
        candidates[TUNED] = tuned
        again = choose_formats(tuned, sample_activations(tuned, frames), widths, options, low)
        if again != formats:
            candidates[TUNED_NEW_FORMATS] = FakeQuantised(tuned, again)
    return _best(network, candidates, examples, time.monotonic() - start, lowered, blocks)


def _best(
    network: Network, candidates: dict[str, FakeQuantised], examples: Examples, seconds: float, lowered: list[Lowering], blocks: BlockBits | None
) -> Packing:
    held_out, models = {FLOAT: _score(network, examples)}, {}
    for name, candidate in candidates.items():
        held_out[name] = _score(candidate.eval(), examples)
        try:
            models[name] = quantise(candidate, candidate.formats, {})
        except ShapeError as error:
            LOG.info("  %s left out: %s", name, error.message)
    chosen = min(models, key=lambda name: held_out[name]["loss"])
    for name, score in held_out.items():
        LOG.info("  %s: held-out loss %.4f, accuracy %.4f%s", name, score["loss"], score["accuracy"], " (chosen)" if name == chosen else "")
    return Packing(models[chosen], candidates[chosen], chosen, held_out, seconds, lowered, blocks)


def calibration_frames(frames: ExampleSet) -> torch.Tensor:
    """Training frames as the network takes them, evenly spread over the set."""
    return frames.batch(frames.spread(CALIBRATION_FRAMES)).inputs


def engine_difference(model: PackedModel, network: FakeQuantised, examples: Examples) -> float:
    """Largest difference between logits of the integer engine and of the network it holds, on held-out frames; 0 is expected.

    Args:
        model: as read back from its file.
        network: from `Packing`.
        examples: for the frames, evenly spread over the held-out ones.
    """
    inputs = _checked(examples)
    with torch.inference_mode():
        expected = network.eval()(inputs).flatten(0, -2).numpy()
    engine = IntegerEngine(model)
    found = engine.logits(inputs.numpy()) if inputs.ndim == 2 else np.concatenate([engine.logits(rows) for rows in inputs.numpy()])
    return float(np.abs(found - expected).max())


def held_out_nonzero(model: PackedModel, examples: Examples) -> float:
    """Share of the products of held-out frames that are not zero; see `nonzero_share`."""
    inputs = _checked(examples).numpy()
    return nonzero_share(model, inputs) if inputs.ndim == 2 else float(np.mean([nonzero_share(model, rows) for rows in inputs]))


def _checked(examples: Examples) -> torch.Tensor:
    """Inputs of frames evenly spread over the held-out ones: (T, D), or (N, T, D) where layers read several frames."""
    return examples.held_out.batch(examples.held_out.spread(CHECKED_FRAMES)).inputs


def _score(network: Network, examples: Examples) -> dict[str, float]:
    loss, accuracy = evaluate(network, examples.held_out, examples.objective)
    return {"loss": loss, "accuracy": accuracy}
