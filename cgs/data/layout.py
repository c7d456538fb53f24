"""What a raw corpus tree looks like: finding its root, telling what is wrong with it, and a cheap digest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from cgs.base.errors import CorpusError

AUDIO_SUFFIXES = (".wav", ".flac", ".sph", ".ogg", ".opus")
"""Recordings of a corpus, whatever libsndfile reads; upper case is accepted too."""
MOST_SHOWN = 5


def tree_digest(root: Path) -> str:
    """SHA-256 of the relative path and size of every file under `root`; no file is opened.

    Returns: "" where there is no such directory.
    """
    if not root.is_dir():
        return ""
    entries: list[str] = []
    waiting = [(str(root), "")]
    while waiting:
        folder, prefix = waiting.pop()
        with os.scandir(folder) as found:
            for entry in found:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((entry.path, f"{prefix}{entry.name}/"))
                else:
                    entries.append(f"{prefix}{entry.name} {entry.stat().st_size if entry.is_file() else -1}")
    return hashlib.sha256("\n".join(sorted(entries)).encode("utf-8", "surrogateescape")).hexdigest()


def is_audio(path: Path) -> bool:
    """True where the name looks like a recording's."""
    return path.suffix.lower() in AUDIO_SUFFIXES


def recordings(folder: Path) -> list[Path]:
    """Recordings directly inside a folder, sorted by name; none where it does not exist."""
    return sorted(path for path in folder.iterdir() if is_audio(path)) if folder.is_dir() else []


def find_recording(path: Path) -> Path:
    """The recording named, or the one beside it that differs only in its suffix, e.g. .opus for .wav.

    Returns: `path` itself where there is none, so that the error names it.
    """
    if path.exists():
        return path
    suffixes = [*AUDIO_SUFFIXES, *(suffix.upper() for suffix in AUDIO_SUFFIXES)]
    return next((other for other in (path.with_suffix(suffix) for suffix in suffixes) if other.exists()), path)


def check_root(root: Path, remedy: str) -> None:
    """Raises: CorpusError: `root` is not a directory that can be read."""
    if not root.is_dir():
        raise CorpusError(f"{root}: {'not a directory' if root.exists() else 'no such directory'}", remedy)
    if not os.access(root, os.R_OK | os.X_OK):
        raise CorpusError(f"{root}: cannot be read", "check its permissions")


def refuse(root: Path, corpus: str, problems: Iterable[str], remedy: str) -> None:
    """Raises: CorpusError: there are problems with the layout; one line lists the first few."""
    found = list(problems)
    if found:
        more = f"; and {len(found) - MOST_SHOWN} more" if len(found) > MOST_SHOWN else ""
        raise CorpusError(f"{root}: not laid out as {corpus}: {'; '.join(found[:MOST_SHOWN])}{more}", remedy)
