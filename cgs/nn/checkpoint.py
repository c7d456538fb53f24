"""Where a training run stands, in one file: weights, those of the best and the last epochs, and moments; the rest as JSON among them.

Random numbers need no state: those of an epoch follow from the seed and the epoch's number."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from cgs.base.errors import FormatError
from cgs.base.files import writing
from cgs.base.log import LOG
from cgs.nn.average import State
from cgs.nn.parallel import group

CHECKPOINT_FILE = "checkpoint.safetensors"
STATE = "state"
"""Name of the tensor that holds the JSON, a character a byte."""


@dataclass
class Progress:
    """How far training has come.

    Args:
        run: digest of what is being trained; a checkpoint of another run is not taken up.
        epoch: epochs done.
        best_epoch: the epoch (from 0) of the lowest held-out loss; -1 before the first.
        best_loss: that loss.
        unsettled: epochs after which masks still changed: they cannot be the best one, and nothing is waited for.
        averaged: epochs whose mean the final weights are; 0 where they are those of the best epoch.
        history: one entry for each epoch, the lines of training.jsonl.
    """

    run: str
    epoch: int = 0
    best_epoch: int = -1
    best_loss: float = float("inf")
    unsettled: int = 0
    averaged: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def waited(self) -> int:
        """Epochs without a better held-out loss."""
        return self.epoch - 1 - max(self.best_epoch, self.unsettled - 1)

    @property
    def seconds(self) -> float:
        """Time of all epochs, including those before a resume."""
        return sum(entry["seconds"] for entry in self.history)


@dataclass
class Kept:
    """Weights of earlier epochs that the final ones may be made of.

    Args:
        best: of the lowest held-out loss.
        recent: of the last epochs, as many as are to be averaged, the oldest first.
    """

    best: State = field(default_factory=dict)
    recent: list[State] = field(default_factory=list)


def save_checkpoint(path: Path, progress: Progress, network: nn.Module, kept: Kept, optimiser: torch.optim.Optimizer) -> None:
    """Write everything the next epoch depends on, whole or not at all."""
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()} | {f"best.{name}": tensor for name, tensor in kept.best.items()}
    for index, state in enumerate(kept.recent):
        tensors |= {f"recent{index}.{name}": tensor.clone() for name, tensor in state.items()}  # the best epoch may be a recent one
    for name, parameter in network.named_parameters():
        tensors |= {f"optimiser.{name}.{key}": value for key, value in optimiser.state[parameter].items()}
    tensors[STATE] = _bytes_of(asdict(progress))
    blob = safetensors.torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    with writing(path, "wb") as stream:
        stream.write(blob)


def load_checkpoint(path: Path, run: str, network: nn.Module, optimiser: torch.optim.Optimizer) -> tuple[Progress, Kept]:
    """Take up a run where its last whole epoch ended; the first process of a group reads the file for all.

    Returns: its progress and its weights of earlier epochs; a fresh start where there is no checkpoint or it is another run's.
    Raises: FormatError: a checkpoint that cannot be read.
    """
    blob = group().from_first(path.read_bytes() if path.exists() else b"")
    if not blob:
        return Progress(run), Kept()
    try:
        tensors = safetensors.torch.load(blob)
        progress = Progress(**json.loads(bytes(tensors[STATE].tolist())))
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise FormatError(f"{path}: not a checkpoint ({error})", "remove it to train from the start") from error
    if progress.run != run:
        LOG.info("  checkpoint of another run ignored: %s", path)
        return Progress(run), Kept()
    network.load_state_dict(_part(tensors, "network."))
    for name, parameter in network.named_parameters():
        moments = _part(tensors, f"optimiser.{name}.")
        optimiser.state[parameter] = {key: value if key == "step" and not parameter.is_cuda else value.to(parameter.device) for key, value in moments.items()}
    n_recent = len({name.partition(".")[0] for name in tensors if name.startswith("recent")})
    return progress, Kept(_part(tensors, "best."), [_part(tensors, f"recent{index}.") for index in range(n_recent)])


def save_weights(path: Path, network: nn.Module, told: dict[str, Any]) -> None:
    """Write what one training of several came to, whole or not at all.

    Args:
        path: where to.
        network: at the end of that training.
        told: facts beside it, for `load_weights`.
    """
    if not group().first:
        return
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    with writing(path, "wb") as stream:
        stream.write(safetensors.torch.save(tensors | {STATE: _bytes_of(told)}))


def load_weights(path: Path, network: nn.Module) -> dict[str, Any] | None:
    """Read what `save_weights` wrote, in every process of a group; returns its facts, or None where there is no such file.

    Raises: FormatError: not such a file.
    """
    blob = group().from_first(path.read_bytes() if path.exists() else b"")
    if not blob:
        return None
    try:
        tensors = safetensors.torch.load(blob)
        told: dict[str, Any] = json.loads(bytes(tensors.pop(STATE).tolist()))
        network.load_state_dict(tensors)
    except (SafetensorError, KeyError, RuntimeError, ValueError) as error:
        raise FormatError(f"{path}: not the weights of this network ({error})", "remove it to train from the start") from error
    return told


def _bytes_of(facts: dict[str, Any]) -> torch.Tensor:
    return torch.tensor(list(json.dumps(facts).encode()), dtype=torch.uint8)


def _part(tensors: State, prefix: str) -> State:
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
