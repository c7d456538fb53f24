"""From a system's options and labelled features to a trained network of any kind on disk; what both training stages call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cgs.base.errors import ConfigError, TrainError
from cgs.base.log import LOG
from cgs.base.options import SystemOptions, TrainOptions
from cgs.nn.checkpoint import Progress, load_weights, save_weights
from cgs.nn.chunks import make_chunks
from cgs.nn.data import ExampleSet, make_frames
from cgs.nn.feedforward import NetworkSpec
from cgs.nn.layers import Spec
from cgs.nn.lstm import LstmSpec
from cgs.nn.network import Network, build_network, load_network, save_network
from cgs.nn.tdnn import TdnnSpec
from cgs.nn.train import Examples, train
from cgs.sparse.mask import check_density

INPUT_OFFSETS = (-2, -1, 0, 1, 2)
"""Frames that an LSTM's first layer sees where its system does not say: enough inputs for a choice of blocks."""


SEQUEL = "sequence"
"""Folder of the second training's history, and its key in model.json."""
FIRST_WEIGHTS = "first.safetensors"
"""The network after its first training, while the second one runs."""


@dataclass(frozen=True)
class Sequel:
    """A second training of a network, with other examples and another objective.

    Args:
        examples: makes them, when the first training is over.
        options: of the training.
    """

    examples: Callable[[], Examples]
    options: TrainOptions


@dataclass(frozen=True)
class View:
    """What a network sees of an utterance.

    Args:
        left, right: context, frames.
        chunk_frames: frames of a training chunk; 0 for single frames, spliced.
    """

    left: int
    right: int
    chunk_frames: int = 0


def network_spec(system: SystemOptions, options: TrainOptions, n_features: int, n_out: int, seed: int) -> Spec:
    """The network of a system for features of `n_features` dimensions and `n_out` classes."""
    shared: dict[str, Any] = {
        "hidden": tuple(system.hidden),
        "n_out": n_out,
        "method": system.method,
        **{name: tuple(value) if isinstance(value := getattr(system, name), list) else value for name in ("density", "block", "block_in", "coarse")},
        "coarse_density": system.coarse_density,
        "balanced": system.balanced,
        "dense_input": system.dense_input,
        "dense_output": system.dense_output,
        "dropout": options.dropout if system.dropout is None else system.dropout,
        "seed": seed,
    }
    offsets = tuple(tuple(frames) for frames in system.offsets)

    def of_width(hidden: tuple[int, ...]) -> Spec:
        if system.model == "tdnn":
            return TdnnSpec(n_in=n_features, offsets=offsets, **shared | {"hidden": hidden})
        return NetworkSpec(n_in=n_features * (options.left_context + 1 + options.right_context), **shared | {"hidden": hidden})

    if system.method == "small":
        shared |= {"method": "dense", "density": 1.0, "block": 1}
        return narrowed(of_width, system.hidden, float(system.density))  # type: ignore[arg-type]
    if system.model == "lstm":
        seen = offsets[0] if offsets else INPUT_OFFSETS
        return LstmSpec(n_in=n_features, offsets=seen, label_delay=system.label_delay, warmup=options.warmup_frames, **shared)
    return of_width(tuple(system.hidden))


def narrowed(of_width: Callable[[tuple[int, ...]], Spec], hidden: list[int], density: float) -> Spec:
    """The widest network, hidden layers in proportion, that has at most `density` of the weights.

    Args:
        of_width: makes a network of given widths.
        hidden: widths of the whole network.
        density: share of its weights.
    Raises: ConfigError: layers of one unit are too many weights, or no widths come near the density.
    """

    def n_weights(spec: Spec) -> int:
        return sum(n_out * n_in for n_out, n_in in spec.shapes())

    def scaled(share: float) -> tuple[int, ...]:
        return tuple(max(1, int(width * share)) for width in hidden)

    allowed, widest = density * n_weights(of_width(tuple(hidden))), max(hidden)
    fitting = [n for n in range(1, widest + 1) if n_weights(of_width(scaled(n / widest))) <= allowed]
    if not fitting:
        raise ConfigError(f"density {density:g}: no network so small has hidden layers", "choose a higher density")
    narrow = of_width(scaled(fitting[-1] / widest))
    check_density(density, n_weights(narrow) * density / allowed, f"a narrow network, hidden layers of {', '.join(map(str, narrow.hidden))}")
    return narrow


def view_of(system: SystemOptions, options: TrainOptions) -> View:
    """What the networks of a system see."""
    context = network_spec(system, options, 1, 1, 0).context
    return View(*context, options.chunk_frames) if context else View(options.left_context, options.right_context)


def make_examples(
    features: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
    held_out: set[str],
    kind: str,
    options: TrainOptions,
    thinned: tuple[int, ...] = (),
    stride: int = 1,
    view: View | None = None,
) -> Examples:
    """Training and held-out frames.

    Args:
        features, labels: by utterance; see `make_frames`.
        held_out: utterances kept aside; others that are not aligned do not count.
        kind: "fbank" or "mfcc".
        options: context.
        thinned, stride: see `make_frames`; of the training frames only.
        view: what the network sees; the options' context where not given. Held-out utterances are never cut.
    Raises: TrainError: nothing left to train on or to hold out.
    """
    sides = ({u: v for u, v in labels.items() if u not in held_out}, {u: v for u, v in labels.items() if u in held_out})
    if not all(sides):
        raise TrainError(f"{len(sides[0])} utterances to train on and {len(sides[1])} held out", "use more aligned utterances or another held_out_fraction")
    view = view or View(options.left_context, options.right_context)
    if view.chunk_frames:
        training: ExampleSet = make_chunks(features, sides[0], view.left, view.right, view.chunk_frames, thinned, stride)
        aside: ExampleSet = make_chunks(features, sides[1], view.left, view.right, 0)
    else:
        training = make_frames(features, sides[0], view.left, view.right, thinned, stride)
        aside = make_frames(features, sides[1], view.left, view.right)
    LOG.info("  %d frames of %d utterances to train on, %d of %d held out", len(training), len(sides[0]), len(aside), len(sides[1]))
    return Examples(training, aside, kind)


def train_network(
    spec: Spec,
    examples: Examples,
    options: TrainOptions,
    meta: dict[str, Any],
    directory: Path,
    device: str = "cpu",
    curves_folder: Path | None = None,
    sequel: Sequel | None = None,
    start_from: Path | None = None,
) -> None:
    """Build, train and save one network; a killed run goes on where it was.

    Args:
        spec: its shape and seed.
        examples: frames.
        options: of the training.
        meta: what model.json says besides the network's own facts.
        directory: the unit's working directory.
        device: torch device.
        curves_folder: see `train`.
        sequel: a second training, or None.
        start_from: directory of a trained dense network of the same shape whose weights this one begins with.
    """
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        network = build_network(spec)
    except ConfigError as error:
        raise ConfigError(f"systems.{meta['system']}: {error.message}", error.remedy) from error
    if start_from:
        network.begin_with(load_network(start_from)[0])
    LOG.info("  %s: %d weights of %d exist", meta["system"], network.n_weights_kept, network.n_weights)
    told = [_first_training(network, examples, options, directory, device, curves_folder, sequel is not None)]
    if sequel:
        LOG.info("  %s: training on over whole utterances", meta["system"])
        folder = curves_folder.with_name(f"{curves_folder.name}.{SEQUEL}") if curves_folder else None
        told.append(_told(train(network, sequel.examples(), sequel.options, spec.seed, directory / SEQUEL, device, folder)))
        (directory / FIRST_WEIGHTS).unlink(missing_ok=True)
    network.settle()
    left, right = spec.context or (options.left_context, options.right_context)
    features = {"kind": examples.kind, **meta["features"], "left": left, "right": right}
    facts = {"method": spec.method, "seed": spec.seed, "features": features, **told[0]}
    if sequel:
        facts |= {"train_seconds": sum(part["train_seconds"] for part in told), SEQUEL: told[1]}
    save_network(directory, network, meta | facts)


def _first_training(
    network: Network, examples: Examples, options: TrainOptions, directory: Path, device: str, curves_folder: Path | None, keep: bool
) -> dict[str, Any]:
    """Train, or read what a run that was killed in the second training had kept of the first; returns what model.json says of it."""
    told = load_weights(directory / FIRST_WEIGHTS, network)
    if told is not None:
        LOG.info("  first training kept from the run before")
        return told
    told = _told(train(network, examples, options, network.spec.seed, directory, device, curves_folder))
    if keep:
        save_weights(directory / FIRST_WEIGHTS, network, told)
    return told


def _told(progress: Progress) -> dict[str, Any]:
    facts: dict[str, Any] = {"train_seconds": progress.seconds, "best_epoch": progress.best_epoch + 1}
    return facts | ({"averaged_epochs": progress.averaged} if progress.averaged else {})
