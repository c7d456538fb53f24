"""Samples that arrive in bytes: raw 16-bit PCM or a WAV from a pipe, whose length nobody knows yet."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

import numpy as np

from cgs.base.errors import DataError
from cgs.data.audio import PCM_SCALE, STREAMED_BYTES

WAV_PCM, WAV_EXTENSIBLE = 1, 0xFFFE
MOST_HEADER_BYTES = 1 << 16
ENDLESS = 1 << 62
"""Bytes of a stream that does not say how many will come."""
OTHER_FORMATS = (b"fLaC", b"OggS", b"NIST", b"ID3\x03", b"ID3\x04")
"""Files that would be noise if they were taken for samples."""


class PcmReader:
    """Turns bytes into samples, in pieces as they come.

    Args:
        read: gives the next bytes, at most as many as asked for; none at the end. It may give fewer, and should not wait for more.
        sample_rate: Hz, of raw samples; a WAV must say the same.
        name: of the source, for errors.
    """

    def __init__(self, read: Callable[[int], bytes], sample_rate: int, name: str) -> None:
        self._read, self._rate, self._name = read, sample_rate, name
        self.n_samples = 0

    def pieces(self, n_samples: int) -> Iterator[np.ndarray]:
        """Yield (n,) float32 in [-1, 1], n at most `n_samples`.

        Raises: DataError: no sample at all, half a sample at the end, or a WAV that is truncated or not 16-bit mono at the right rate.
        """
        promised, held = self._begin()
        held = held[:promised]
        n_bytes = len(held)
        while True:
            whole = len(held) // 2 * 2
            if whole:
                self.n_samples += whole // 2
                yield np.frombuffer(held[:whole], dtype="<i2").astype(np.float32) / np.float32(PCM_SCALE)
            more = self._read(min(2 * n_samples, promised - n_bytes)) if n_bytes < promised else b""
            held = held[whole:] + more
            n_bytes += len(more)
            if not more:
                break
        self._check_end(promised, n_bytes)

    def _check_end(self, promised: int, n_bytes: int) -> None:
        if not self.n_samples:
            raise DataError(f"{self._name}: no sample came", "check the microphone or the program that feeds the pipe")
        if n_bytes % 2:
            raise DataError(f"{self._name}: an odd number of bytes, half a sample at the end", "send 16-bit samples: arecord -f S16_LE, sox -b 16")
        if promised != ENDLESS and n_bytes < promised:
            raise DataError(f"{self._name}: truncated ({n_bytes} of {promised} bytes of samples)", "copy the file again; what there was of it has been heard")

    def _begin(self) -> tuple[int, bytes]:
        """Bytes of sample data to expect, and those already read; the header of a WAV is taken off and checked."""
        held = self._at_least(b"", 4)
        if held[:4] in OTHER_FORMATS:
            raise DataError(f"{self._name}: begins with {held[:4]!r}, neither raw samples nor a WAV", "use cgs transcribe, which reads FLAC, Ogg and SPHERE")
        if held[:4] != b"RIFF":
            return ENDLESS, held
        at, said = 12, False
        while at < MOST_HEADER_BYTES:
            held = self._at_least(held, at + 8)
            if len(held) < at + 8:
                break
            name, n_bytes = struct.unpack_from("<4sI", held, at)
            if name == b"data" and said:
                return n_bytes if 0 < n_bytes < STREAMED_BYTES else ENDLESS, held[at + 8 :]
            held = self._at_least(held, at + 8 + n_bytes) if at + 8 + n_bytes < MOST_HEADER_BYTES else held
            if name == b"fmt " and len(held) >= at + 24:
                self._check_format(*struct.unpack_from("<HHIIHH", held, at + 8))
                said = True
            at += 8 + n_bytes + n_bytes % 2
        raise DataError(f"{self._name}: a WAV whose header is cut short or unusual", "send raw 16-bit samples, or convert the file")

    def _check_format(self, kind: int, channels: int, rate: int, _: int, __: int, bits: int) -> None:
        if kind not in (WAV_PCM, WAV_EXTENSIBLE) or bits != 16:
            raise DataError(f"{self._name}: a WAV of {bits}-bit samples, coding {kind}", "send 16-bit PCM: sox -b 16 -e signed")
        if channels != 1:
            raise DataError(f"{self._name}: {channels} channels, one wanted", "choose or mix the channels, e.g. with sox -c 1")
        if rate != self._rate:
            raise DataError(f"{self._name}: sample rate {rate} Hz, the model takes {self._rate} Hz", f"record at that rate, e.g. arecord -r {self._rate}")

    def _at_least(self, held: bytes, n_bytes: int) -> bytes:
        while len(held) < n_bytes and (more := self._read(n_bytes - len(held))):
            held += more
        return held
