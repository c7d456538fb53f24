"""Training examples for objectives over whole utterances: each example is an utterance, whatever kind of network sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

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
        spliced: for networks whose inputs come spliced: inputs (N * T, n_in) and labels (N * T,), padding included.
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
        return replace(batch, inputs=windows.flatten(0, 1), labels=batch.labels.flatten())


def make_utterances(features: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray], left: int, right: int, spliced: bool) -> UtteranceSet:
    """Lay out the utterances that have labels; arguments and errors as for `make_frames` and `UtteranceSet`."""
    return UtteranceSet(**vars(make_chunks(features, labels, left, right, 0)), spliced=spliced)
