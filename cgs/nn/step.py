"""One step of training: precision of its products, its loss and gradients, the optimiser and its learning rate."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch.nn import functional as F

from cgs.base.errors import TrainError
from cgs.base.options import TrainOptions
from cgs.nn.data import NO_LABEL, ExampleSet, Minibatch
from cgs.nn.dropout import share_of_minibatch
from cgs.nn.network import Network
from cgs.nn.parallel import Group
from cgs.sparse.layer import BlockSparseLinear
from cgs.sparse.lowrank import LowRankLinear
from cgs.sparse.masked import MaskedLinear

STEPS_A_LOOK = 50
"""Losses are looked at after so many steps, because a GPU has to finish all its work first."""


@contextlib.contextmanager
def matmul_precision(matmul: str) -> Iterator[None]:
    """Matrix products with bfloat16 factors and float32 sums inside the block: 3 to 4 times faster where the processor multiplies them, else no change."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium" if matmul == "bfloat16" else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def autocast(matmul: str, device: torch.device) -> torch.autocast:
    """For one forward pass: what lies between the products in bfloat16 too, weights and sums in float32.

    Args:
        matmul: "autocast", or "bfloat16" on a GPU, where this is the way to its matrix units; otherwise nothing changes.
        device: of the network.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=matmul == "autocast" or (matmul == "bfloat16" and device.type != "cpu"))


def make_optimiser(network: torch.nn.Module, options: TrainOptions) -> torch.optim.AdamW:
    """AdamW whose decay spares biases, each sparse matrix a group of its own; one fused kernel, several times faster on a CPU than the loop over tensors."""
    sparse = [weight for weight, _ in sparse_weights(network)]
    weights = [p for name, p in network.named_parameters() if not name.endswith("bias") and all(p is not own for own in sparse)]
    biases = [p for name, p in network.named_parameters() if name.endswith("bias")]
    groups: list[dict[str, Any]] = [{"params": [weight], "weight_decay": options.weight_decay} for weight in sparse]
    groups += [{"params": weights, "weight_decay": options.weight_decay}, {"params": biases, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=options.learning_rate, fused=True)


def sparse_weights(network: torch.nn.Module) -> list[tuple[torch.Tensor, float]]:
    """Weights whose outputs have fewer inputs than a whole matrix would give them, or may have one day, and the share that they have.

    Of a matrix some of whose weights exist it is its density; of the second of two factors, their rank of all inputs: the first has them all.
    """
    told: list[tuple[torch.Tensor, float]] = []
    for layer in network.modules():
        if isinstance(layer, BlockSparseLinear | MaskedLinear):
            told.append((layer.weight, layer.n_weights_kept / (layer.in_features * layer.out_features)))
        elif isinstance(layer, LowRankLinear):
            told.append((layer.second.weight, layer.rank / layer.in_features))
    return told


def set_rates(optimiser: torch.optim.Optimizer, network: torch.nn.Module, options: TrainOptions, epochs_done: float) -> None:
    """Give every group of `make_optimiser` its learning rate after a (fractional) number of epochs.

    A sparse matrix learns faster by (1 / density)^`sparse_rate`: with 1, an output changes as much in a step as if all its inputs
    were there. Source: Dey and others 2024 (arXiv 2405.15743), after Yang and others 2022 (arXiv 2203.03466). Differs: densities as they are at
    the step, for masks that are chosen in training; the second of two factors counts as a matrix of so few inputs.
    """
    rate = cosine_rate(options, epochs_done)
    scales = [share**-options.sparse_rate for _, share in sparse_weights(network)]
    for settings, scale in zip(optimiser.param_groups, [*scales, 1.0, 1.0], strict=True):
        settings["lr"] = rate * scale


def cosine_rate(options: TrainOptions, epochs_done: float) -> float:
    """Learning rate after a (fractional) number of epochs: half a cosine from the first rate to the last."""
    lowest = min(options.min_learning_rate, options.learning_rate)
    return lowest + (options.learning_rate - lowest) * (1 + math.cos(math.pi * min(1.0, epochs_done / options.epochs))) / 2


class Objective(Protocol):
    """What is to become small: a loss of a minibatch's logits."""

    def __call__(self, outputs: torch.Tensor, batch: Minibatch, reduction: str = "mean") -> torch.Tensor: ...


def frame_loss(outputs: torch.Tensor, batch: Minibatch, reduction: str = "mean") -> torch.Tensor:
    """Cross-entropy of logits (*labels.shape, P) over the labelled frames of a minibatch."""
    return F.cross_entropy(outputs.flatten(0, -2).float(), batch.labels.flatten(), ignore_index=NO_LABEL, reduction=reduction)


def n_correct(outputs: torch.Tensor, batch: Minibatch) -> torch.Tensor:
    """Frames whose largest logit, the first of equal ones, is that of their label."""
    return (outputs.detach().max(dim=-1).indices == batch.labels).sum()


def gradients(network: Network, examples: ExampleSet, part: torch.Tensor, objective: Objective, matmul: str, members: Group) -> torch.Tensor:
    """Leave the gradients of a minibatch's mean loss in the network.

    Args:
        network: in training mode, without gradients.
        examples: from `ExampleSet.of_epoch`.
        part: the minibatch's positions, the same in all processes.
        objective: the loss.
        matmul: see `autocast`.
        members: processes that share the minibatch.
    Returns: (3,) float64 that mean, the labelled frames and the correct ones of the whole minibatch.
    """
    if members.size == 1:
        return _learn_from(network, examples.batch(part), objective, matmul)
    first, share = members.share(part)
    totals = torch.zeros(3, dtype=torch.float64, device=part.device)
    if len(share):
        with share_of_minibatch(first, len(share), len(part)):
            totals = _learn_from(network, examples.batch(share, part), objective, matmul, len(part))
    return members.sum_gradients(network, totals.float(), len(part)).double()


def _learn_from(network: Network, batch: Minibatch, objective: Objective, matmul: str, n_all: int = 0) -> torch.Tensor:
    """One forward and backward pass: of the mean loss, or of the sum divided by the number of examples of all shares."""
    with autocast(matmul, batch.inputs.device):
        outputs = network(batch.inputs).contiguous()
    loss = objective(outputs, batch, "sum") / n_all if n_all else objective(outputs, batch)
    loss.backward()
    return torch.stack([loss.detach().double(), batch.n_frames.double(), n_correct(outputs, batch).double()])


class Totals:
    """Sums over the steps of an epoch, looked at now and then.

    Args:
        epoch: from 0, for messages.
        learning_rate: likewise.
    Attributes:
        loss: summed over frames.
        correct: frames.
    """

    def __init__(self, epoch: int, learning_rate: float) -> None:
        self.epoch, self.learning_rate = epoch, learning_rate
        self.loss, self.correct, self.steps = 0.0, 0, 0
        self._waiting: list[torch.Tensor] = []

    def add(self, numbers: torch.Tensor) -> None:
        """Add one step's mean loss, frames and correct frames. Raises: TrainError: see `look`."""
        self._waiting.append(numbers)
        if len(self._waiting) == STEPS_A_LOOK:
            self.look()

    def look(self) -> None:
        """Sum up what was added. Raises: TrainError: a loss that is no number; names epoch and step."""
        for loss, frames, correct in torch.stack(self._waiting).tolist() if self._waiting else []:
            self.steps += 1
            if not math.isfinite(loss):
                remedy = f"lower learning_rate (now {self.learning_rate:g}) or look at the features"
                raise TrainError(f"epoch {self.epoch + 1}, step {self.steps}: loss is {loss}", remedy)
            self.loss += loss * frames
            self.correct += int(correct)
        self._waiting.clear()
