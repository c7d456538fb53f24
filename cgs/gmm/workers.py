"""Processes that each keep some chunks of the corpus in memory for the whole training.

Chunks are cut alike for any number of processes and their results come back in chunk order, so no number depends on how many there are."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import traceback
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

from cgs.base import log
from cgs.base.errors import CgsError, ToolError
from cgs.base.jobs import ONE_THREAD, die_with_parent
from cgs.gmm.chunk import AlignedUtterance, Chunk

N_CHUNKS = 16


def cut(utterances: Sequence[AlignedUtterance], n_chunks: int = N_CHUNKS) -> list[list[AlignedUtterance]]:
    """Cut utterances, in order, into at most `n_chunks` parts of about equally many frames; none is empty."""
    total = sum(len(utterance.features) for utterance in utterances)
    parts: list[list[AlignedUtterance]] = [[] for _ in range(n_chunks)]
    done = 0
    for utterance in utterances:
        parts[min(n_chunks - 1, done * n_chunks // max(total, 1))].append(utterance)
        done += len(utterance.features)
    return [part for part in parts if part]


class Workers:
    """Chunks spread over processes; use as a context manager.

    Args:
        lang_dir: what stage 2 made.
        utterances: the whole corpus.
        n_jobs: processes.
        log_dir: where each process writes its log.
    """

    def __init__(self, lang_dir: Path, utterances: Sequence[AlignedUtterance], n_jobs: int, log_dir: Path) -> None:
        chunks = cut(utterances)
        os.environ.update(ONE_THREAD)
        context = multiprocessing.get_context("spawn")
        self.n_chunks = len(chunks)
        self.n_processes = max(1, min(n_jobs, len(chunks)))
        self.pipes: list[Connection] = []
        self.processes: list[Any] = []
        self.log_dir = log_dir
        for number in range(self.n_processes):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, log_dir / f"worker{number}.log"), daemon=True)
            process.start()
            theirs.close()
            self.pipes.append(ours)
            self.processes.append(process)
        for index, chunk in enumerate(chunks):
            self._send(index, ("load", lang_dir, chunk))
        for index in range(self.n_chunks):
            self._receive(index)

    def call(self, method: str, *args: Any) -> list[Any]:
        """Call a method of every chunk. Returns: the results in chunk order. Raises: what a chunk raised."""
        for number, pipe in enumerate(self.pipes):
            self._transmit(number, pipe, (method, *args))
        return [self._receive(index) for index in range(self.n_chunks)]

    def _send(self, index: int, message: tuple) -> None:
        number = index % self.n_processes
        self._transmit(number, self.pipes[number], message)

    def _transmit(self, number: int, pipe: Connection, message: tuple) -> None:
        try:
            pipe.send(message)
        except (BrokenPipeError, ConnectionError) as error:
            raise self._died(number) from error

    def _receive(self, index: int) -> Any:
        number = index % self.n_processes
        try:
            error, result = self.pipes[number].recv()
        except (EOFError, ConnectionError) as gone:
            raise self._died(number) from gone
        if error is not None:
            raise error
        return result

    def _died(self, number: int) -> ToolError:
        return ToolError(f"alignment process {number} died without a word, perhaps for want of memory; see {self.log_dir}", "try a smaller --nj")

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for pipe in self.pipes:
            pipe.close()
        for process in self.processes:
            process.kill()  # it holds nothing that was not received
            process.join()


def _serve(pipe: Connection, log_file: Path) -> None:
    """A worker's life: load chunks, then answer each call with one message a chunk, until the pipe closes."""
    die_with_parent()
    log.to_file(log_file)
    chunks: list[Chunk] = []
    while True:
        try:
            method, *args = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            if method == "load":
                chunks.append(Chunk(*args))
                pipe.send((None, None))
                continue
            for chunk in chunks:
                pipe.send((None, getattr(chunk, method)(*args)))
        except (BrokenPipeError, KeyboardInterrupt):
            return
        except Exception as error:
            log.LOG.error(traceback.format_exc())
            if not isinstance(error, CgsError):
                error = ToolError(f"alignment failed with {type(error).__name__}: {error}", f"this is a bug; the traceback is in {log_file}")
            with contextlib.suppress(BrokenPipeError):
                pipe.send((error, None))
            return
