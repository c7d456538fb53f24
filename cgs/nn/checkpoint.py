"""Where a training run stands, in one file: weights, best weights and moments as tensors, the rest as JSON beside them.

Random numbers need no state: those of an epoch follow from the seed and the epoch's number."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from cgs.base.errors import FormatError
from cgs.base.files import writing
from cgs.base.log import LOG

CHECKPOINT_FILE = "checkpoint.safetensors"
STATE = "state"
"""Key of the JSON in the file's header."""


@dataclass
class Progress:
    """How far training has come.

    Args:
        run: digest of what is being trained; a checkpoint of another run is not taken up.
        epoch: epochs done.
        best_epoch: the epoch (from 0) of the lowest held-out loss; -1 before the first.
        best_loss: that loss.
        history: one entry for each epoch, the lines of training.jsonl.
    """

    run: str
    epoch: int = 0
    best_epoch: int = -1
    best_loss: float = float("inf")
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Time of all epochs, including those before a resume."""
        return sum(entry["seconds"] for entry in self.history)


def save_checkpoint(path: Path, progress: Progress, network: nn.Module, best: dict[str, torch.Tensor], optimiser: torch.optim.Optimizer) -> None:
    """Write everything the next epoch depends on, whole or not at all."""
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()} | {f"best.{name}": tensor for name, tensor in best.items()}
    for name, parameter in network.named_parameters():
        tensors |= {f"optimiser.{name}.{key}": value for key, value in optimiser.state[parameter].items()}
    blob = safetensors.torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, {STATE: json.dumps(asdict(progress))})
    with writing(path, "wb") as stream:
        stream.write(blob)


def load_checkpoint(path: Path, run: str, network: nn.Module, optimiser: torch.optim.Optimizer) -> tuple[Progress, dict[str, torch.Tensor]]:
    """Take up a run where its last whole epoch ended.

    Returns: its progress and its best weights; a fresh start where there is no checkpoint or it is another run's.
    Raises: FormatError: a checkpoint that cannot be read.
    """
    if not path.exists():
        return Progress(run), {}
    try:
        with safetensors.safe_open(path, "pt") as stream:
            progress = Progress(**json.loads(stream.metadata()[STATE]))
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118  (not a mapping)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise FormatError(f"{path}: not a checkpoint ({error})", "remove it to train from the start") from error
    if progress.run != run:
        LOG.info("  checkpoint of another run ignored: %s", path)
        return Progress(run), {}
    network.load_state_dict(_part(tensors, "network."))
    for name, parameter in network.named_parameters():
        moments = _part(tensors, f"optimiser.{name}.")
        optimiser.state[parameter] = {key: value if key == "step" and not parameter.is_cuda else value.to(parameter.device) for key, value in moments.items()}
    return progress, _part(tensors, "best.")


def _part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
