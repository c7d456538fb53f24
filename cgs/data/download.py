"""Fetching an archive and unpacking it safely: resumed after a break, checked by size and checksum, no path outside."""

from __future__ import annotations

import http.client
import os
import shutil
import tarfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cgs.base.errors import CorpusError
from cgs.base.files import CHUNK_BYTES, file_digest
from cgs.base.log import LOG, progress
from cgs.base.options import Download
from cgs.base.units import file_size

TIMEOUT_S = 60.0
PARTIAL = 206
RANGE_REFUSED = 416


def fetch(download: Download, folder: Path) -> Path:
    """Fetch one archive into `folder`; what an earlier try has fetched is kept and gone on with.

    Returns: the archive, whose checksum is right.
    Raises: CorpusError: no network, no such file, or another size or checksum than the recipe states.
    """
    target = folder / download.url.rpartition("/")[2]
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.part")
        _receive(download.url, part)
        os.replace(part, target)
    problem = _wrong(download, target)
    if problem:
        target.unlink()
        raise CorpusError(f"{download.url}: {problem}; the file was removed", "run again; if it stays so, fetch the corpus yourself and give --corpus DIR")
    return target


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack a tar or zip archive into `folder`.

    Returns: the corpus's root: the single directory inside, or `folder`.
    Raises: CorpusError: not an archive, damaged, or with a member outside of `folder`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if zipfile.is_zipfile(archive):
            _unpack_zip(archive, folder)
        else:
            with tarfile.open(archive) as tar:
                tar.extractall(folder, filter="data")
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise CorpusError(f"{archive}: cannot be unpacked ({error})", "remove it and run again") from error
    inside = [path for path in folder.iterdir() if not path.name.startswith(".")]
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def _wrong(download: Download, path: Path) -> str:
    size = path.stat().st_size
    if download.n_bytes and size != download.n_bytes:
        return f"{size} bytes fetched, {download.n_bytes} expected"
    algorithm, name = ("sha256", "SHA-256") if download.sha256 else ("md5", "MD5")
    digest = file_digest(path, algorithm)
    return "" if digest == download.checksum else f"{name} {digest[:16]}... instead of {download.checksum[:16]}..."


def _receive(url: str, part: Path) -> None:
    done = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            if done and response.status != PARTIAL:
                done = 0
            length = int(response.headers.get("Content-Length") or 0)
            LOG.info("  fetching %s (%s)", url, file_size(done + length) if length else "size not stated")
            with open(part, "ab" if done else "wb") as stream:
                for chunk in progress(_chunks(response), part.stem, total=-(-length // CHUNK_BYTES) or None):
                    stream.write(chunk)
    except urllib.error.HTTPError as error:
        if error.code != RANGE_REFUSED:
            raise _no_fetch(url, f"HTTP {error.code} {error.reason}") from error
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise _no_fetch(url, str(getattr(error, "reason", "") or error)) from error


def _no_fetch(url: str, reason: str) -> CorpusError:
    return CorpusError(f"{url}: cannot be fetched ({reason})", "check the network and run again, or fetch the corpus elsewhere and give --corpus DIR")


def _chunks(response: Any) -> Iterator[bytes]:
    while chunk := response.read(CHUNK_BYTES):
        yield chunk


def _unpack_zip(archive: Path, folder: Path) -> None:
    base = folder.resolve()
    with zipfile.ZipFile(archive) as source:
        for member in source.infolist():
            target = (base / member.filename).resolve()
            if not target.is_relative_to(base):
                raise CorpusError(f"{archive}: member {member.filename!r} would be written outside of {folder}", "do not trust this archive")
            if member.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with source.open(member) as stream, open(target, "wb") as copy:
                shutil.copyfileobj(stream, copy)
