"""What a run says: one console for people, one log file for each job."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

T = TypeVar("T")
LOG = logging.getLogger("cgs")
CONSOLE = Console(stderr=True, highlight=False, soft_wrap=True)
FORMAT = "%(asctime)s %(levelname)s %(message)s"
PLAIN_SECONDS = 30.0
"""Without a terminal a progress line is printed this often."""


def to_console(level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Send the log to the terminal, standard output if not told otherwise; the driver calls this once."""
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    LOG.handlers[:] = [handler]
    LOG.setLevel(level)
    LOG.propagate = False


def to_file(path: Path, quiet: bool = False) -> None:
    """Send the log of this process to a file only; each job calls this once.

    Args:
        path: the file, which grows.
        quiet: warnings and errors only, for processes that help another one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, mode="a", encoding="utf-8")
    handler.setFormatter(logging.Formatter(FORMAT))
    LOG.handlers[:] = [handler]
    LOG.setLevel(logging.WARNING if quiet else logging.INFO)
    LOG.propagate = False


def file() -> Path | None:
    """The file that the log of this process goes to, None where it goes to the terminal."""
    return next((Path(handler.baseFilename) for handler in LOG.handlers if isinstance(handler, logging.FileHandler)), None)


def progress(items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """Yield the items and show how far it got and the time left.

    Args:
        items: anything to iterate over.
        what: a few words, e.g. "features train".
        total: how many there are, where `items` has no length.
    """
    if total is None and hasattr(items, "__len__"):
        total = len(items)  # type: ignore[arg-type]
    if CONSOLE.is_terminal and file() is None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        with Progress(*columns, console=CONSOLE, transient=True) as bar:
            yield from bar.track(items, total=total, description=what)
        return
    last = start = time.monotonic()
    for done, item in enumerate(items):
        now = time.monotonic()
        if now - last > PLAIN_SECONDS:
            left = f", {done / (now - start):.3g} a second, about {(now - start) / done * (total - done):.0f} s left" if total and done else ""
            LOG.info("%s: %d of %s%s", what, done, total or "?", left)
            last = now
        yield item
