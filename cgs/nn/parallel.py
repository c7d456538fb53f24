"""Several processes that train one network together: their shares of a minibatch, sums over all of them, their start and end.

There is one group at a time: processes that `together` started on this machine, those that torchrun started on any
number of machines, or, most often, one process alone, for which every operation here does nothing."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import tempfile
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed.nn  # before any group is joined: its functions hold the group they are imported in, whose threads then outlive it (torch 2.11)
from torch import distributed, nn
from torch.multiprocessing import ProcessExitedException, ProcessRaisedException, get_context, spawn

from cgs.base import log
from cgs.base.errors import CgsError, ConfigError, ToolError
from cgs.base.jobs import die_with_parent

TOTALS = 3
"""Sums that travel with the gradients: loss, frames, correct frames."""


@dataclass(frozen=True)
class Group:
    """The processes that train one network, as one of them sees them.

    Args:
        rank: of this process; the first one, 0, alone writes files and speaks.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def share(self, examples: torch.Tensor) -> tuple[int, torch.Tensor]:
        """This process's part of a minibatch: the position of its first example, and its examples (none, where there are fewer than processes)."""
        first, end = (len(examples) * rank // self.size for rank in (self.rank, self.rank + 1))
        return first, examples[first:end]

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """The sum over all processes, in place and the same to the bit in each."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values

    def sum_gradients(self, network: nn.Module, totals: torch.Tensor, n_examples: int) -> torch.Tensor:
        """Give each process the gradients of the whole minibatch, in one exchange.

        Args:
            network: with gradients of its share's summed loss / `n_examples`; none where the share is empty.
            totals: (3,) float32 loss / `n_examples`, labelled frames and correct frames of the share.
            n_examples: of the whole minibatch; the gradients are scaled from a mean over examples to one over labelled frames.
        Returns: (3,) the mean loss a frame, frames and correct frames of the whole minibatch.
        """
        parameters = [p for p in network.parameters() if p.requires_grad]
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        bucket = self.sum(torch.cat([totals, *(gradient.flatten() for gradient in gradients)]))
        scale = n_examples / bucket[1]
        pieces = (bucket[TOTALS:] * scale).split([p.numel() for p in parameters])
        for parameter, piece in zip(parameters, pieces, strict=True):
            parameter.grad = piece.view_as(parameter)
        return torch.stack([bucket[0] * scale, bucket[1], bucket[2]])

    def follow_first(self, network: nn.Module) -> None:
        """Give every process the first one's weights and buffers."""
        if self.size > 1:
            for tensor in network.state_dict().values():
                distributed.broadcast(tensor, 0)

    def from_first(self, blob: bytes) -> bytes:
        """The first process's bytes, in every process."""
        if self.size == 1:
            return blob
        device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
        length = torch.tensor([len(blob)], device=device)
        distributed.broadcast(length, 0)
        values = torch.frombuffer(bytearray(blob or b"\0"), dtype=torch.uint8).to(device) if self.first else length.new_empty(int(length), dtype=torch.uint8)
        if int(length):
            distributed.broadcast(values, 0)
        return values[: int(length)].cpu().numpy().tobytes()


def group() -> Group:
    """The group that this process belongs to; alone where none was joined."""
    return Group(distributed.get_rank(), distributed.get_world_size()) if distributed.is_initialized() else Group()


@contextlib.contextmanager
def joined(device: str, rank: int, size: int, meeting: str) -> Iterator[Group]:
    """Belong to a group inside the block: through gloo on CPUs, through NCCL and a GPU for each process on GPUs.

    Args:
        device: "cpu" or "cuda".
        rank, size: see `Group`.
        meeting: where the processes find each other, "file://PATH", or "env://" for what torchrun says.
    Raises: ConfigError: more processes than GPUs.
    """
    if device != "cpu":
        place = int(os.environ.get("LOCAL_RANK", rank))
        if place >= torch.cuda.device_count():
            raise ConfigError(f"process {place + 1} of this machine has no GPU of its own: there are {torch.cuda.device_count()}", "start as many as GPUs")
        torch.cuda.set_device(place)
    distributed.init_process_group("gloo" if device == "cpu" else "nccl", init_method=meeting, rank=rank, world_size=size)
    try:
        yield group()
    finally:
        distributed.destroy_process_group()


@contextlib.contextmanager
def launched_by_torchrun(device: str) -> Iterator[Group]:
    """Belong to the group that torchrun started. Raises: ConfigError: it did not start this process."""
    missing = [name for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise ConfigError(f"{', '.join(missing)} not set: this command is started by torchrun", "see docs/training.md, or use ./run.sh for one process")
    with joined(device, int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), "env://") as members:
        yield members


def together(function: Callable[..., Any], arguments: tuple[Any, ...], n_processes: int, device: str) -> Any:
    """Run a function in new processes of this machine that form a group, and end all of them when one fails.

    Args:
        function: a module-level function.
        arguments: for all of them alike; tensors on the CPU are shared memory, seen by all and by the caller.
        n_processes: how many.
        device: "cpu" or "cuda".
    Returns: what the first process returned.
    Raises: CgsError: the first error of any process. ToolError: a process was killed, shared memory does not suffice, or a bug.
    """
    logging.getLogger("torch.multiprocessing.spawn").setLevel(logging.ERROR)  # its warnings would stand beside the one line of ours
    answers = get_context("spawn").SimpleQueue()
    found: list[Any] = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            processes = spawn(_member, (n_processes, function, arguments, device, f"file://{folder}/meeting", log.file(), answers), n_processes, join=False)
        except RuntimeError as error:
            raise ToolError(f"{n_processes} training processes cannot share the examples ({error})", "enlarge /dev/shm, e.g. docker run --shm-size") from error
        try:
            ended = False
            while not ended:
                ended = processes.join(timeout=0.2)
                while not answers.empty():
                    found.append(answers.get())
        except (ProcessRaisedException, ProcessExitedException) as error:
            while not answers.empty():
                found.append(answers.get())
            raise _cause([process.exitcode or 0 for process in processes.processes], found, error) from None
        finally:
            for process in processes.processes:
                process.kill()
    return found[0]


def _member(
    rank: int, size: int, function: Callable[..., Any], arguments: tuple[Any, ...], device: str, meeting: str, log_file: Path | None, answers: Any
) -> None:
    """One process of `together`: the first one answers, any of them may report an error."""
    die_with_parent()
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    if log_file:
        log.to_file(log_file, quiet=rank > 0)
    with _reported(rank, size, answers), joined(device, rank, size, meeting) as members, _reported(rank, size, answers):
        answer = function(*arguments)
        if members.first:
            answers.put(answer)


class _Reported(Exception):
    """An error that the caller of `together` knows of."""


@contextlib.contextmanager
def _reported(rank: int, size: int, answers: Any) -> Iterator[None]:
    """Tell the caller of an error before the group falls apart and the other processes complain of that."""
    try:
        yield
    except _Reported:
        raise
    except Exception as error:
        log.LOG.error("process %d of %d:\n%s", rank + 1, size, traceback.format_exc())
        known = isinstance(error, (CgsError, OSError))
        answers.put(error if known else ToolError(f"training process {rank + 1} of {size} failed with {type(error).__name__}: {error}", "see its log"))
        raise _Reported from error


def _cause(exit_codes: list[int], found: list[Any], error: Exception) -> Exception:
    """Why a group ended: a process that was killed comes first, because the others only complain that it is gone."""
    for rank, code in enumerate(exit_codes):
        if code < 0 and code != -signal.SIGTERM:
            name = signal.Signals(-code).name
            return ToolError(f"training process {rank + 1} of {len(exit_codes)} was killed ({name}), perhaps for want of memory", "try fewer processes")
    told = [answer for answer in found if isinstance(answer, Exception)]
    return told[0] if told else ToolError(f"a training process failed: {error}", "see its log")
