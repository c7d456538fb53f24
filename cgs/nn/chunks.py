"""Training examples for networks of sequences: chunks of utterances with real context, one row of a minibatch each.

Utterances lie one after the other as in `cgs.nn.data`, each padded with its repeated edge frames, so that a chunk
with its context is a run of rows. A chunk shorter than the longest of its minibatch is filled up with the
utterance's last row, and nothing is asked of it there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import torch

from cgs.base.options import TrainOptions
from cgs.nn.data import NO_LABEL, FrameSet, Minibatch, make_frames

EVALUATION_FRAMES = 4096
"""Frames a call when the held-out loss is measured, padding included; a longer utterance goes alone."""


@dataclass
class ChunkMinibatch(Minibatch):
    """Chunks side by side: inputs (n, left + T + right, D), labels (n, T).

    Args:
        utterances: the id of each chunk's utterance.
        first_frames: (n,) the frame of its utterance at which each chunk's labels begin.
        lengths: (n,) frames of each chunk that are no padding.
    """

    utterances: list[str]
    first_frames: torch.Tensor
    lengths: torch.Tensor


@dataclass
class ChunkSet:
    """Chunks of some utterances; see `ExampleSet`.

    Args:
        features: (rows, D) float32, every utterance with its edges repeated.
        utterance_ends: (N,) int64, the row after each utterance's last one.
        names: ids of the utterances.
        labels: (rows,) int64, NO_LABEL where nothing is asked for.
        turns: (rows,) int64, the epoch, modulo `stride`, in which a thinned frame takes part; -1 for all epochs.
        utterances: (n,) int64, which utterance each chunk is of.
        starts: (n,) int64, the row of each chunk's first labelled frame.
        lengths: (n,) int64, frames.
        left, right: context, frames.
        stride: thinned frames take part in one of this many epochs.
    """

    features: torch.Tensor
    utterance_ends: torch.Tensor
    names: tuple[str, ...]
    labels: torch.Tensor
    turns: torch.Tensor
    utterances: torch.Tensor
    starts: torch.Tensor
    lengths: torch.Tensor
    left: int
    right: int
    stride: int = 1

    def __len__(self) -> int:
        return int((self.labels != NO_LABEL).sum())

    def of_epoch(self, epoch: int, features: torch.Tensor) -> Self:
        """The chunks in which something is asked for in an epoch; see `ExampleSet`."""
        asked = (self.turns < 0) | (self.turns == epoch % self.stride)
        return replace(self, features=features, labels=torch.where(asked, self.labels, NO_LABEL)).with_labels()

    def with_labels(self) -> Self:
        """Without the chunks in which nothing is asked for."""
        so_far = torch.nn.functional.pad((self.labels != NO_LABEL).cumsum(0), (1, 0))
        asked = so_far[self.starts + self.lengths] > so_far[self.starts]
        return replace(self, utterances=self.utterances[asked], starts=self.starts[asked], lengths=self.lengths[asked])

    def shuffled(self, options: TrainOptions, generator: torch.Generator) -> list[torch.Tensor]:
        """Chunks of each minibatch, of like length so that little is padding, in random order; see `ExampleSet`."""
        order = torch.randperm(len(self.starts), generator=generator).to(self.starts.device)
        parts = order[self.lengths[order].argsort(stable=True)].split(options.minibatch_chunks)
        return [parts[index] for index in torch.randperm(len(parts), generator=generator).tolist()]

    def in_order(self) -> list[torch.Tensor]:
        """All chunks, shorter ones first; see `ExampleSet`."""
        return self._parts(self.lengths.argsort(stable=True), EVALUATION_FRAMES)

    def _parts(self, order: torch.Tensor, most_frames: int) -> list[torch.Tensor]:
        """Chunks in order of rising length, as many at a time as `most_frames` allow, padding included."""
        parts, waiting = [], 0
        for place, length in enumerate(self.lengths[order].tolist()):
            if place > waiting and length * (place + 1 - waiting) > most_frames:
                parts.append(order[waiting:place])
                waiting = place
        return [*parts, order[waiting:]]

    def spread(self, n_frames: int) -> torch.Tensor:
        """Positions of chunks with about so many frames, evenly spread; see `ExampleSet`."""
        n = min(len(self.starts), max(1, round(n_frames * len(self.starts) / int(self.lengths.sum()))))
        return torch.from_numpy(np.unique(np.linspace(0, len(self.starts) - 1, n).round().astype(np.int64)))

    def batch(self, examples: torch.Tensor, whole: torch.Tensor | None = None) -> ChunkMinibatch:
        """Chunks with their context, and their labels; as long as the longest, of the whole minibatch where this is a share of one."""
        starts, lengths, ends = self.starts[examples], self.lengths[examples], self.utterance_ends[self.utterances[examples]]
        longest = lengths.max() if whole is None else self.lengths[whole].max()
        place = torch.arange(int(longest) + self.left + self.right, device=starts.device)
        rows = torch.minimum(starts[:, None] - self.left + place, ends[:, None] - 1)
        inside = place[: len(place) - self.left - self.right]
        labels = self.labels[torch.minimum(starts[:, None] + inside, ends[:, None] - 1)].masked_fill(inside >= lengths[:, None], NO_LABEL)
        which = self.utterances[examples]
        begins = torch.nn.functional.pad(self.utterance_ends, (1, 0))[which]
        return ChunkMinibatch(self.features[rows], labels, [self.names[index] for index in which.tolist()], starts - begins - self.left, lengths)

    def to(self, device: str) -> Self:
        """The same chunks on another device."""
        moved: dict[str, Any] = {field.name: value.to(device) for field in fields(self) if isinstance(value := getattr(self, field.name), torch.Tensor)}
        return replace(self, **moved)


def make_chunks(
    features: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
    left: int,
    right: int,
    chunk_frames: int,
    thinned: tuple[int, ...] = (),
    stride: int = 1,
) -> ChunkSet:
    """Cut the utterances that have labels into chunks.

    Args:
        features, labels, left, right, thinned, stride: see `make_frames`.
        chunk_frames: frames of a chunk, at most: an utterance is cut evenly. 0: whole utterances.
    Raises: as `make_frames`.
    """
    frames = make_frames(features, labels, left, right, thinned, stride)
    names = tuple(utterance for utterance in sorted(labels) if len(features[utterance]))
    utterances, starts, lengths, begin = [], [], [], 0
    for index, (utterance, end) in enumerate(zip(names, frames.utterance_ends.tolist(), strict=True)):
        n_frames = len(features[utterance])
        n_chunks = -(-n_frames // chunk_frames) if chunk_frames else 1
        edges = np.linspace(0, n_frames, n_chunks + 1).round().astype(np.int64)
        utterances += [index] * n_chunks
        starts.append(begin + left + edges[:-1])
        lengths.append(np.diff(edges))
        begin = end
    cut = (torch.tensor(utterances), torch.from_numpy(np.concatenate(starts)), torch.from_numpy(np.concatenate(lengths)))
    by_row = _by_row(frames, left)
    return ChunkSet(frames.features, frames.utterance_ends, names, *by_row, *cut, left, right, stride).with_labels()


def _by_row(frames: FrameSet, left: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Labels and turns of every row."""
    labels = torch.full((len(frames.features),), NO_LABEL)
    turns = torch.full_like(labels, -1)
    labels[frames.starts + left], turns[frames.starts + left] = frames.labels, frames.turns
    return labels, turns
