"""Kaldi archives: an ark of binary matrices or int32 vectors, and the scp that says where each one begins.

Written here byte for byte as Kaldi does and read through kaldiio, so that Kaldi reads ours and we read Kaldi's."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import kaldiio
import numpy as np

from cgs.base.errors import DataError, FormatError
from cgs.base.files import read_lines, writing

REMEDY = "remove it and run its stage again"
INT32_ELEMENT = np.dtype([("size", "i1"), ("value", "<i4")])
"""Kaldi writes a size byte before every element; kaldiio reads them one by one, which takes seconds for an hour of speech."""


def write_archive(directory: Path, stem: str, items: Iterable[tuple[str, np.ndarray]], final_dir: Path | None = None) -> int:
    """Write `stem`.ark and `stem`.scp.

    Args:
        directory: where to write.
        stem: file name less its suffix.
        items: (key, array): a (T, D) matrix (float32 or float64) or an int32 vector (T,).
        final_dir: where the directory will lie in the end, for the paths in the scp; None for where it is.
    Returns: how many arrays were written.
    Raises: DataError: a key with blanks. FormatError: an array of another kind, NaN or infinity.
    """
    ark_path = directory / f"{stem}.ark"
    shown = (final_dir or directory) / ark_path.name
    lines = []
    with writing(ark_path, "wb") as ark:
        for key, array in items:
            _check_item(ark_path, key, array)
            ark.write(f"{key} ".encode())
            lines.append(f"{key} {shown}:{ark.tell()}\n")
            ark.write(_encoded(array))
    with writing(directory / f"{stem}.scp") as scp:
        scp.writelines(lines)
    return len(lines)


def merge_archives(parts: list[Path], directory: Path, stem: str, final_dir: Path | None = None) -> int:
    """Join archives one after another into one; the bytes are those of one archive written in one go.

    Args:
        parts: scp files, each with its ark beside it.
        directory, stem, final_dir: as in `write_archive`.
    Returns: how many arrays the whole holds.
    """
    ark_path = directory / f"{stem}.ark"
    shown = (final_dir or directory) / ark_path.name
    lines = []
    with writing(ark_path, "wb") as ark:
        for part in parts:
            start = ark.tell()
            lines += [f"{key} {shown}:{start + offset}\n" for key, _, offset in _entries(part)]
            with open(part.with_suffix(".ark"), "rb") as stream:
                shutil.copyfileobj(stream, ark)
    with writing(directory / f"{stem}.scp") as scp:
        scp.writelines(lines)
    return len(lines)


def iterate_archive(scp: Path, check_finite: bool = True) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (key, array) in the order of the scp.

    Args:
        scp: the index; an ark is looked for beside it first, then where the index says.
        check_finite: refuse NaN and infinity.
    Raises: FormatError: missing, truncated or altered ark; NaN or infinity. DataError: no such scp.
    """
    streams: dict[str, IO[bytes]] = {}
    try:
        for key, ark, offset in _entries(scp):
            if ark not in streams:
                streams[ark] = _open_ark(scp, ark)
            array = _read_array(streams[ark], offset, key)
            if check_finite and array.dtype.kind == "f" and not np.isfinite(array).all():
                raise FormatError(f"{streams[ark].name}: {key}: holds NaN or infinity", REMEDY)
            yield key, array
    finally:
        for stream in streams.values():
            stream.close()


def read_archive(scp: Path) -> dict[str, np.ndarray]:
    """All arrays of an archive by key; see `iterate_archive`."""
    return dict(iterate_archive(scp))


def archive_keys(scp: Path) -> list[str]:
    """Keys of an archive, in the order of its scp, without reading the ark."""
    return [key for key, _, _ in _entries(scp)]


def _entries(scp: Path) -> Iterator[tuple[str, str, int]]:
    seen = set()
    for number, line in enumerate(read_lines(scp), start=1):
        key, _, place = line.partition(" ")
        ark, colon, offset = place.strip().rpartition(":")
        if not key or not colon or not offset.isdigit():
            raise FormatError(f"{scp}:{number}: not 'key ark:offset' but {line!r}", REMEDY)
        if key in seen:
            raise FormatError(f"{scp}:{number}: {key} twice", REMEDY)
        seen.add(key)
        yield key, ark, int(offset)


def _open_ark(scp: Path, ark: str) -> IO[bytes]:
    for path in (scp.parent / Path(ark).name, Path(ark)):
        if path.is_file():
            return open(path, "rb")
    raise FormatError(f"{scp}: its archive {ark} is missing", "run the stage that makes it again")


def _read_array(stream: IO[bytes], offset: int, key: str) -> np.ndarray:
    try:
        stream.seek(offset - len(key.encode()) - 1)
        if stream.read(len(key.encode()) + 1) != f"{key} ".encode():
            raise ValueError("the index points elsewhere")
        if stream.read(2) != b"\0B":
            raise ValueError("not a binary Kaldi matrix or vector")
        if stream.read(1) == b"\4":
            return _read_int32_vector(stream)
        stream.seek(offset)
        array = kaldiio.matio.read_kaldi(stream)
    except (ValueError, AssertionError, EOFError, OSError, struct.error, IndexError, TypeError) as error:
        raise FormatError(f"{stream.name}: {key}: truncated or altered archive ({error})", REMEDY) from error
    if not isinstance(array, np.ndarray):
        raise FormatError(f"{stream.name}: {key}: neither a matrix nor a vector", REMEDY)
    return array


def _read_int32_vector(stream: IO[bytes]) -> np.ndarray:
    (count,) = struct.unpack("<i", stream.read(4))
    body = np.frombuffer(stream.read(5 * count), dtype=INT32_ELEMENT)
    if len(body) != count or np.any(body["size"] != 4):
        raise ValueError(f"{len(body)} of {count} elements")
    return body["value"].astype(np.int32)


def _check_item(ark: Path, key: str, array: np.ndarray) -> None:
    if not key or key.split() != [key]:
        raise DataError(f"{ark}: key {key!r} is empty or holds blanks", "rename the utterance")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise FormatError(f"{ark}: {key}: NaN or infinity would be written", "check the recording, or report a bug")


def _encoded(array: np.ndarray) -> bytes:
    if array.dtype == np.int32 and array.ndim == 1:
        body = np.empty(len(array), dtype=INT32_ELEMENT)
        body["size"], body["value"] = 4, array
        return b"\0B\4" + struct.pack("<i", len(array)) + body.tobytes()
    if array.dtype in (np.float32, np.float64) and array.ndim == 2:
        kind = "F" if array.dtype == np.float32 else "D"
        header = f"\0B{kind}M ".encode() + b"\4" + struct.pack("<i", array.shape[0]) + b"\4" + struct.pack("<i", array.shape[1])
        return header + np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    raise FormatError(f"an archive holds float matrices and int32 vectors, not {array.dtype} of shape {array.shape}", "convert it first")
