"""Learning from another network: its posteriors beside the labels."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.nn import functional as F

from cgs.base.errors import ConfigError
from cgs.nn.data import NO_LABEL, Minibatch
from cgs.nn.network import Network, load_network
from cgs.nn.step import autocast, frame_loss


class Distillation:
    """(1 - weight) of the cross-entropy with the labels, and weight of that with a teacher's posteriors for the same frames.

    Args:
        teacher: a trained network with the same inputs and outputs.
        weight: from 0 to 1.
        matmul: of `TrainOptions`: the teacher multiplies as its pupil does while that learns; held-out losses are computed in float32.
    Source: Hinton, Vinyals and Dean 2015 (arXiv 1503.02531), at temperature 1, as in Li, Zhao, Huang and Gong, Interspeech 2014.
    """

    def __init__(self, teacher: Network, weight: float, matmul: str = "float32") -> None:
        self.teacher, self.weight, self.matmul = teacher.eval().requires_grad_(False), weight, matmul

    @classmethod
    def of(cls, directory: Path, weight: float, n_out: int, matmul: str) -> Distillation:
        """Read the teacher. Raises: ConfigError: it has other outputs."""
        teacher, _ = load_network(directory)
        if teacher.spec.n_out != n_out:
            raise ConfigError(f"teacher {directory}: {teacher.spec.n_out} outputs where its pupil has {n_out}", "train both on the same labels")
        return cls(teacher, weight, matmul)

    def __call__(self, outputs: torch.Tensor, batch: Minibatch, reduction: str = "mean") -> torch.Tensor:
        """The loss of a minibatch's logits (*labels.shape, P)."""
        with torch.no_grad(), autocast(self.matmul if outputs.requires_grad else "float32", batch.inputs.device):
            wanted = torch.softmax(self.teacher.to(batch.inputs.device)(batch.inputs).flatten(0, -2).float(), dim=1)
        named = batch.labels.flatten() != NO_LABEL
        losses = F.cross_entropy(outputs.flatten(0, -2).float()[named], wanted[named], reduction=reduction)
        return (1 - self.weight) * frame_loss(outputs, batch, reduction) + self.weight * losses
