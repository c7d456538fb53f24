"""Files written whole or not at all, and digests of what they hold."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from cgs.base.errors import ConfigError, DataError, DiskError

CHUNK_BYTES = 1 << 20
ASIDE_SUFFIX = ".tmp"
"""Of a file that is being written; what a killed run left with it is rubbish."""


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full disk or a refused write under `path` into a `DiskError`."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise DiskError(f"{path}: no space left", "free some space and run the same command again") from error
        ours = error.filename is None or Path(error.filename).is_relative_to(path.parent)
        if ours and error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            raise DiskError(f"{path}: cannot write here ({error.strerror})", "choose another place with --exp or --out") from error
        raise


@contextlib.contextmanager
def writing(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open `path` aside and rename it into place when the block ends without an error.

    Args:
        path: the file to make; its directory is made too.
        mode: "w" (UTF-8 text, Unix line ends) or "wb".
    Raises: DiskError: no space or no permission; an earlier file stays as it was.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}{ASIDE_SUFFIX}")
    text: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(aside, mode, **text) as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(aside, path)
        finally:
            aside.unlink(missing_ok=True)


@contextlib.contextmanager
def new_directory(out: Path) -> Iterator[Path]:
    """Make a directory aside, for the block to fill, and rename it into place when that ends without an error.

    Raises: ConfigError: `out` is there already. DiskError: no space or no permission.
    """
    if out.exists():
        raise ConfigError(f"{out}: is there already", "remove it, or choose another --out")
    aside = out.with_name(f".{out.name}.{os.getpid()}{ASIDE_SUFFIX}")
    try:
        with disk_errors(out):
            aside.mkdir(parents=True)
            yield aside
            aside.rename(out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text whole or not at all."""
    with writing(path) as stream:
        stream.write(text)


def write_json(path: Path, value: Any) -> None:
    """Write JSON with sorted keys, so that equal values give equal files."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file of ours. Raises: DataError: missing or not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file", "run the stage that makes it") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not valid JSON ({error})", "remove it and run its stage again") from error


def read_lines(path: Path) -> list[str]:
    """Lines of a UTF-8 file without their ends. Raises: DataError naming the line that is not UTF-8."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file", "check the path") from error
    lines = raw.split(b"\n")
    if lines and not lines[-1]:
        lines.pop()
    decoded = []
    for number, line in enumerate(lines, start=1):
        try:
            decoded.append(line.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise DataError(f"{path}:{number}: not UTF-8 (byte {line[error.start]:#04x})", "convert the file, e.g. with iconv") from error
    return decoded


def digest_of(value: Any) -> str:
    """SHA-256 of a JSON-like value, the same on every machine."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False, default=str).encode()).hexdigest()


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """Checksum of a file's bytes, SHA-256 or another that hashlib knows."""
    with open(path, "rb") as stream:
        digest = hashlib.new(algorithm)
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
