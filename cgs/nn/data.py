"""Training frames: all utterances in one array, spliced when a minibatch is drawn.

Owns what the training loop asks of any set of examples (`ExampleSet`), the choice of held-out utterances and the
layout that makes a spliced frame one contiguous piece of memory: each utterance is padded with its repeated edge
frames, so the window of frame t is rows t to t + left + right."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol, Self

import numpy as np
import torch

from cgs.base.errors import DataError, TrainError
from cgs.base.options import TrainOptions

NO_LABEL = -1
"""Label of a frame that is in view of its neighbours but never trained on."""
EVALUATION_FRAMES = 1024
"""Frames a call when the held-out loss is measured."""


@dataclass
class Minibatch:
    """What a network sees in one step, and what it should say.

    Args:
        inputs: what the network's `forward` takes; logits come back as (*labels.shape, P).
        labels: int64; NO_LABEL where nothing is asked for.
    """

    inputs: torch.Tensor
    labels: torch.Tensor

    @property
    def n_frames(self) -> torch.Tensor:
        """Frames with a label: a number on the labels' device, so that nothing waits for it."""
        return (self.labels != NO_LABEL).sum()


class ExampleSet(Protocol):
    """Labelled frames of some utterances, however they are laid out as minibatches; the length is their number.

    Attributes:
        features: (rows, D) float32, every utterance with its edges repeated.
        utterance_ends: (N,) int64, the row after each utterance's last one.
    """

    features: torch.Tensor
    utterance_ends: torch.Tensor

    def __len__(self) -> int: ...

    def to(self, device: str) -> Self:
        """The same examples on another device."""

    def of_epoch(self, epoch: int, features: torch.Tensor) -> Self:
        """The examples that take part in an epoch, seen in these features, e.g. augmented ones."""

    def shuffled(self, options: TrainOptions, generator: torch.Generator) -> list[torch.Tensor]:
        """The positions of the examples of each minibatch, every example once."""

    def in_order(self) -> list[torch.Tensor]:
        """The same for evaluation, nothing drawn."""

    def spread(self, n_frames: int) -> torch.Tensor:
        """Positions of examples with about so many frames, evenly spread over the set."""

    def batch(self, examples: torch.Tensor, whole: torch.Tensor | None = None) -> Minibatch:
        """The minibatch of some positions, or a process's share of one, laid out as it would be in the whole."""


@dataclass
class FrameSet:
    """Labelled frames of some utterances.

    Args:
        features: (rows, D) float32, every utterance with its edges repeated.
        utterance_ends: (N,) int64, the row after each utterance's last one.
        starts: (n,) int64, first row of the window of each labelled frame.
        labels: (n,) int64.
        turns: (n,) int64, the epoch, modulo `stride`, in which a thinned frame takes part; -1 for all epochs.
        width: frames in a window.
        stride: thinned frames take part in one of this many epochs.
    """

    features: torch.Tensor
    utterance_ends: torch.Tensor
    starts: torch.Tensor
    labels: torch.Tensor
    turns: torch.Tensor
    width: int
    stride: int = 1

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def n_in(self) -> int:
        """Inputs of a network that sees the windows."""
        return self.width * self.features.shape[1]

    def of_epoch(self, epoch: int, features: torch.Tensor) -> FrameSet:
        """Frames that take part in an epoch, ascending; see `ExampleSet`."""
        chosen = torch.nonzero((self.turns < 0) | (self.turns == epoch % self.stride)).flatten()
        return replace(self, features=features, starts=self.starts[chosen], labels=self.labels[chosen], turns=self.turns[chosen])

    def shuffled(self, options: TrainOptions, generator: torch.Generator) -> list[torch.Tensor]:
        """Frames of each minibatch, in random order; see `ExampleSet`."""
        order = torch.randperm(len(self), generator=generator).to(self.labels.device)
        return list(order.split(options.minibatch))

    def in_order(self) -> list[torch.Tensor]:
        """All frames, some at a time; see `ExampleSet`."""
        return list(torch.arange(len(self), device=self.labels.device).split(EVALUATION_FRAMES))

    def spread(self, n_frames: int) -> torch.Tensor:
        """Frames evenly spread over the set; see `ExampleSet`."""
        return torch.from_numpy(np.unique(np.linspace(0, len(self) - 1, min(n_frames, len(self))).round().astype(np.int64)))

    def batch(self, examples: torch.Tensor, whole: torch.Tensor | None = None) -> Minibatch:
        """Spliced inputs (n, width * D) and labels (n,) of some frames."""
        n_rows, dimension = self.features.shape
        windows = self.features.as_strided((n_rows - self.width + 1, self.width * dimension), (dimension, 1))
        return Minibatch(windows.index_select(0, self.starts[examples]), self.labels[examples])

    def to(self, device: str) -> FrameSet:
        """The same frames on another device."""
        moved: dict[str, Any] = {field.name: value.to(device) for field in fields(self) if isinstance(value := getattr(self, field.name), torch.Tensor)}
        return replace(self, **moved)


def make_frames(
    features: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray], left: int, right: int, thinned: tuple[int, ...] = (), stride: int = 1
) -> FrameSet:
    """Lay out the utterances that have labels.

    Args:
        features: {utterance: (T, D) float32}.
        labels: {utterance: (T,) integers}; NO_LABEL for frames that are not trained on. Utterances without are left out.
        left, right: context, frames.
        thinned: labels of which every `stride`-th frame takes part in an epoch, another one each time.
        stride: see `thinned`.
    Raises: DataError: an utterance whose labels and features differ in length, or without features. TrainError: no labelled frame.
    """
    pieces, starts, kept, turns, ends, row = [], [], [], [], [], 0
    for utterance in sorted(labels):
        matrix, target = _matching(utterance, features, labels)
        if not len(matrix):
            continue
        pieces.append(np.pad(matrix, ((left, right), (0, 0)), mode="edge"))
        wanted = np.flatnonzero(target != NO_LABEL)
        starts.append(row + wanted)
        kept.append(target[wanted])
        turns.append(np.where(np.isin(target[wanted], thinned), wanted % stride, -1))
        row += len(matrix) + left + right
        ends.append(row)
    if not sum(map(len, kept)):
        raise TrainError(f"no labelled frame in {len(labels)} utterances", "check that alignments were made for these features")
    arrays = [np.concatenate(part).astype(np.int64) for part in (starts, kept, turns)]
    all_rows = np.concatenate(pieces).astype(np.float32, copy=False)
    tensors = [torch.from_numpy(array) for array in arrays]
    return FrameSet(torch.from_numpy(all_rows), torch.tensor(ends), tensors[0], tensors[1], tensors[2], left + 1 + right, stride)


def held_out_utterances(speakers: Mapping[str, str], fraction: float) -> set[str]:
    """Utterances kept aside from training: whole speakers, or single utterances where a speaker would be too many.

    Args:
        speakers: {utterance: speaker}.
        fraction: share to keep aside, of the speakers; of the utterances where half a speaker is more than that share.
    Returns: the same utterances for the same names, on every machine.
    Raises: TrainError: fewer than two utterances.
    """
    if len(speakers) < 2:
        raise TrainError(f"{len(speakers)} utterance(s) to train on and to hold out from", "use at least two")
    names = sorted(set(speakers.values()), key=_scattered)
    by_speaker = fraction * len(names) >= 0.5 and len(names) > 1
    order = names if by_speaker else sorted(speakers, key=_scattered)
    chosen = set(order[: max(1, round(fraction * len(order)))])
    return {utterance for utterance, speaker in speakers.items() if (speaker if by_speaker else utterance) in chosen}


def _scattered(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _matching(utterance: str, features: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    if utterance not in features:
        raise DataError(f"{utterance}: aligned, but there are no features of it", "run stages 3 and 4 again")
    matrix, target = features[utterance], labels[utterance]
    if len(matrix) != len(target):
        raise DataError(f"{utterance}: {len(matrix)} frames of features, {len(target)} of labels", "make both with the same frame shift (stages 3 and 4)")
    return matrix, target
