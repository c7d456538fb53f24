"""What TensorBoard shows of a training: event files beside the logs, one folder for each network.

They hold times of day, so they lie outside the units, whose bytes follow from options and inputs."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from cgs.base.errors import ToolError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

CURVES = {
    "train_loss": "loss/train",
    "held_out_loss": "loss/held_out",
    "train_accuracy": "accuracy/train",
    "held_out_accuracy": "accuracy/held_out",
    "learning_rate": "learning_rate",
    "seconds": "seconds",
}
"""Name of each number of an epoch in TensorBoard."""


class Curves:
    """The curves of one training, a point each epoch; none at all where no folder is given."""

    def __init__(self, writer: SummaryWriter | None) -> None:
        self.writer = writer

    def add(self, epoch: int, entry: dict[str, Any], network: nn.Module) -> None:
        """Add one epoch.

        Args:
            epoch: counted from 1.
            entry: the line of training.jsonl.
            network: for the root mean square of each of its weight matrices and biases.
        """
        if self.writer is None:
            return
        for key, name in CURVES.items():
            self.writer.add_scalar(name, entry[key], epoch)
        for name, parameter in network.named_parameters():
            self.writer.add_scalar(f"rms/{name}", float(parameter.detach().square().mean().sqrt()), epoch)
        self.writer.flush()


@contextlib.contextmanager
def curves(folder: Path | None, epochs_done: int) -> Iterator[Curves]:
    """Curves that are written as they grow.

    Args:
        folder: of this network alone; None for no curves.
        epochs_done: a training that goes on keeps the points of these epochs and no later one; a new one starts with an empty folder.
    Raises: ToolError: TensorBoard is not installed.
    """
    if folder is None:
        yield Curves(None)
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ToolError(f"nn.tensorboard: {error}", "install the extra: pip install tensorboard, or leave the option out") from error
    if not epochs_done:
        shutil.rmtree(folder, ignore_errors=True)
    with SummaryWriter(str(folder), purge_step=epochs_done + 1) as writer:
        yield Curves(writer)
