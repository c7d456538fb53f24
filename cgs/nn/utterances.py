"""Training examples for objectives over whole utterances: each example is an utterance, whatever kind of network sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from cgs.base.options import TrainOptions
from cgs.nn.chunks import ChunkMinibatch, ChunkSet, make_chunks

MINIBATCH_FRAMES = 8192
"""Frames of a minibatch, padding included: what bounds the memory of a sum over paths. A longer utterance goes alone."""


@dataclass
class UtteranceSet(ChunkSet):
    """Whole utterances; see `ExampleSet`.

    Args:
        spliced: for networks whose inputs come spliced: inputs (n, n_in) and labels (n,) hold one utterance's frames after the other's.
    """

    spliced: bool = False

    def shuffled(self, options: TrainOptions, generator: torch.Generator) -> list[torch.Tensor]:
        """Utterances of each minibatch, of like length, in random order; see `ExampleSet`."""
        order = torch.randperm(len(self.starts), generator=generator).to(self.starts.device)
        parts = self._parts(order[self.lengths[order].argsort(stable=True)], MINIBATCH_FRAMES)
        return [parts[index] for index in torch.randperm(len(parts), generator=generator).tolist()]

    def batch(self, examples: torch.Tensor, whole: torch.Tensor | None = None) -> ChunkMinibatch:
        """Utterances with their context, and their labels."""
        batch = super().batch(examples, whole)
        if not self.spliced:
            return batch
        width = self.left + 1 + self.right
        windows = batch.inputs.unfold(1, width, 1).transpose(2, 3).flatten(2)
        real = torch.arange(windows.shape[1], device=windows.device) < batch.lengths[:, None]
        return ChunkMinibatch(windows[real], batch.labels[real], batch.utterances, batch.first_frames, batch.lengths)


def make_utterances(features: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray], left: int, right: int, spliced: bool) -> UtteranceSet:
    """Lay out the utterances that have labels; arguments and errors as for `make_frames` and `UtteranceSet`."""
    return UtteranceSet(**vars(make_chunks(features, labels, left, right, 0)), spliced=spliced)


def by_utterance(values: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """(n, P) values of one utterance's frames after the other's as (N, T, P), zeros after each; what is (N, T, P) stays."""
    return values if values.ndim == 3 else torch.nn.utils.rnn.pad_sequence(list(values.split(lengths.tolist())), batch_first=True)
