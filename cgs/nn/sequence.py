"""Lattice-free maximum mutual information: what was said against everything that could have been said.

Owns the objective, a loss like the cross-entropy of frames; the sum over everything is `cgs.nn.denominator`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from cgs.data.textgrid import read_ctm
from cgs.gmm.model import AcousticGmm
from cgs.lang.lang import load_lang
from cgs.nn.chunks import ChunkMinibatch
from cgs.nn.data import NO_LABEL, Minibatch
from cgs.nn.denominator import Denominator, denominator_graph


@dataclass(frozen=True)
class MutualInformation:
    """The negative log posterior of the aligned path, a frame, with some cross-entropy to keep it from overfitting.

    The path's own probability in the graph, which no weight changes, is left out, so the loss may be below 0.

    Args:
        graph: the denominator.
        log_prior: (P,) float32, taken off log posteriors as in decoding.
        scale: weight of the log-likelihoods.
        cross_entropy: weight of the cross-entropy.
    Source: Povey and others 2016; F-smoothing by cross-entropy: Su, Li, Yu and Seide 2013. Differs: the numerator is the alignment itself.
    """

    graph: Denominator
    log_prior: torch.Tensor
    scale: float
    cross_entropy: float

    def __call__(self, outputs: torch.Tensor, batch: Minibatch, reduction: str = "mean") -> torch.Tensor:
        """Loss of logits over a minibatch of whole utterances (`UtteranceSet`).

        Args:
            outputs: (*labels.shape, P).
            batch: with the utterances' lengths.
            reduction: "mean" a frame, or "sum".
        """
        if not isinstance(batch, ChunkMinibatch):
            raise TypeError("a loss over whole utterances needs examples of whole utterances")
        log_posteriors, labels = torch.log_softmax(outputs.float(), dim=-1), batch.labels.clamp(min=0)
        spoken = batch.labels != NO_LABEL
        scores = self.scale * (log_posteriors - self.log_prior)
        possible = self.graph.log_sum(scores.view(len(batch.lengths), -1, scores.shape[-1]), batch.lengths).sum()
        of_labels = log_posteriors.gather(-1, labels[..., None]).squeeze(-1)
        said = torch.where(spoken, of_labels - self.log_prior[labels], 0.0).sum()
        loss = possible / self.scale - said - self.cross_entropy * torch.where(spoken, of_labels, 0.0).sum()
        return loss / spoken.sum() if reduction == "mean" else loss


def mutual_information(align: Path, lang_dir: Path, phones: Path, log_prior: torch.Tensor, scale: float, cross_entropy: float) -> MutualInformation:
    """The objective of an experiment.

    Args:
        align, lang_dir: what stages 4 and 2 made.
        phones: CTM of aligned phones, whose trigrams the denominator knows.
        log_prior, scale, cross_entropy: see `MutualInformation`.
    """
    numbers = load_lang(lang_dir).phones
    strings = [[numbers[phone.label] for phone in utterance] for utterance in read_ctm(phones).values()]
    return MutualInformation(denominator_graph(AcousticGmm.load(align), strings), log_prior.float(), scale, cross_entropy)
