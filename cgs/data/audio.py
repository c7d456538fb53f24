"""Recordings: what a file says of itself, whether it is whole, and its samples.

Owns the only calls of libsndfile and of torchaudio's resampler. WAV, FLAC, NIST SPHERE and Ogg (Vorbis, Opus) are
read alike. libsndfile shortens a truncated WAV, SPHERE or Ogg file without a word, so the headers are checked here."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

from cgs.base.errors import DataError
from cgs.base.files import writing
from cgs.data.corpus import Seconds

PCM_SCALE = 32768
STREAMED_BYTES = 0x7FFFF000
"""A WAV header from a pipe states at least this many bytes: it does not know the length."""
INEXACT = ("OGG", "MP3")
"""Formats in which a sample sought is not quite the sample found, or the first after it cannot be decoded: read from the begin."""
SILENCE_BLOCK = 4096
"""Samples read at a time in search of one that is not 0, after rounding to 16 bits: Opus makes tiny numbers of zeros."""
FLOAT_SUBTYPES = ("FLOAT", "DOUBLE")
OGG_PAGE_BYTES = 65307
OGG_LAST_PAGE = 0x04


def audio_info(path: Path, check_samples: bool = False) -> tuple[int, Seconds]:
    """Sample rate (Hz) and length (s) of a recording, from its header.

    Args:
        path: the recording.
        check_samples: also refuse NaN in floating-point samples, and a FLAC file that cannot be decoded to its end.
    Raises: DataError: missing, not audio, not mono, or truncated.
    """
    info = _checked_info(path)
    if check_samples and info.subtype in FLOAT_SUBTYPES:
        read_audio(path, info.samplerate)
    elif check_samples and info.format == "FLAC" and info.frames:
        _samples(path, info.frames - 1, info.frames)
    return info.samplerate, info.frames / info.samplerate


def read_audio(path: Path, sample_rate: int, start: Seconds | None = None, end: Seconds | None = None, resample: bool = False) -> np.ndarray:
    """Read a recording or a part of it.

    Args:
        path: WAV, FLAC, SPHERE or Ogg.
        sample_rate: Hz, what the recipe asks for.
        start, end: the part wanted, s; None for the recording's own begin and end.
        resample: convert a recording of another rate instead of refusing it.
    Returns: (n_samples,) float32 in [-1, 1].
    Raises: DataError: missing, not audio, not mono, truncated, of another rate, NaN or infinite, or shorter than `end`.
    """
    info = _checked_info(path)
    rate, n_samples = info.samplerate, info.frames
    if rate != sample_rate and not resample:
        raise wrong_rate(path, rate, sample_rate)
    first = 0 if start is None else round(start * rate)
    last = n_samples if end is None else round(end * rate)
    if not 0 <= first <= last <= n_samples:
        raise DataError(f"{path}: part {start} s to {end} s is not inside the recording of {n_samples / rate:.3f} s", "mend the segments")
    samples = _samples(path, first, last)
    if not np.isfinite(samples).all():
        raise DataError(f"{path}: sample {int(np.flatnonzero(~np.isfinite(samples))[0])} is not a finite number", "convert the recording again")
    return resampled(samples, rate, sample_rate) if rate != sample_rate else samples


def is_silent(path: Path, start: Seconds | None = None, end: Seconds | None = None) -> bool:
    """True where no sample of a recording or of a part is a 16-bit step away from 0; stops at the first that is, so sound costs one block.

    Args:
        path: a recording that `audio_info` accepts.
        start, end: the part, s; None for the recording's own begin and end.
    Raises: DataError: it cannot be decoded.
    """
    try:
        with sf.SoundFile(str(path)) as sound:
            first, last = round((start or 0.0) * sound.samplerate), sound.frames if end is None else min(round(end * sound.samplerate), sound.frames)
            sound.seek(first)
            place = first
            while place < last and len(block := sound.read(min(last - place, SILENCE_BLOCK), dtype="float32")):
                if not _rounds_to_zero(block):
                    return False
                place += len(block)
            sought = first > 0 and sound.format in INEXACT
    except sf.LibsndfileError as error:
        raise DataError(f"{path}: cannot be decoded ({error.error_string.strip()})", "the file is damaged or truncated: copy it again") from error
    return not sought or _rounds_to_zero(_samples(path, first, last))


def _rounds_to_zero(samples: np.ndarray) -> bool:
    return bool(np.abs(samples).max(initial=0.0) < 0.5 / PCM_SCALE)


def resampled(samples: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """Convert (n_samples,) float32 from `rate` to `new_rate`, Hz. Source: torchaudio's windowed-sinc resampler."""
    import torch
    import torchaudio.functional

    return torchaudio.functional.resample(torch.from_numpy(samples), rate, new_rate).numpy()


def write_wav(path: Path, samples: np.ndarray, sample_rate: int) -> None:
    """Write (n_samples,) floats in [-1, 1] as a 16-bit WAV; equal samples give equal bytes, louder ones are clipped.

    Raises: DataError: a sample is not a finite number. DiskError: no space.
    """
    if not np.isfinite(samples).all():
        raise DataError(f"{path}: a sample to write is NaN or infinite", "check what computed it")
    pcm = np.clip(np.rint(np.asarray(samples, dtype=np.float64) * PCM_SCALE), -PCM_SCALE, PCM_SCALE - 1).astype("<i2").tobytes()
    header = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(pcm), b"WAVE", b"fmt ", 16, 1, 1, sample_rate, 2 * sample_rate, 2, 16, b"data", len(pcm))
    with writing(path, "wb") as stream:
        stream.write(header + pcm)


def wrong_rate(path: Path, rate: int, wanted: int) -> DataError:
    """The error of a recording whose sample rate is not the recipe's."""
    return DataError(f"{path}: sample rate {rate} Hz, the recipe says {wanted} Hz", "set data.resample = true or correct data.sample_rate")


def _info(path: Path) -> Any:
    try:
        return sf.info(str(path))
    except sf.LibsndfileError as error:
        raise DataError(f"{path}: not readable as audio ({error.error_string.strip()})", "WAV, FLAC, SPHERE or Ogg; copy or convert the file again") from error


def _checked_info(path: Path) -> Any:
    if not path.is_file():
        raise DataError(f"{path}: no such recording", "check the corpus, or remove the utterance")
    if not path.stat().st_size:
        raise DataError(f"{path}: the file is empty (0 bytes)", "copy it again, or remove the utterance")
    _check_whole(path)
    info = _info(path)
    if info.channels != 1:
        raise DataError(f"{path}: {info.channels} channels, one wanted", "choose or mix the channels, e.g. with sox -c 1")
    return info


def _samples(path: Path, first: int, last: int) -> np.ndarray:
    try:
        with sf.SoundFile(str(path)) as sound:
            if sound.format in INEXACT:
                samples = sound.read(last, dtype="float32")[first:]
            else:
                sound.seek(first)
                samples = sound.read(last - first, dtype="float32")
    except sf.LibsndfileError as error:
        raise DataError(f"{path}: cannot be decoded ({error.error_string.strip()})", "the file is damaged or truncated: copy it again") from error
    if len(samples) != last - first:
        raise _truncated(path, f"{first + len(samples)} of {last} samples")
    return samples


def _check_whole(path: Path) -> None:
    """Compare what the header promises with what the file holds."""
    size = path.stat().st_size
    with open(path, "rb") as stream:
        magic = stream.read(4)
        stream.seek(0)
        if magic == b"RIFF":
            promised = _wav_end(stream.read(4096))
        elif magic == b"NIST":
            promised = _sphere_end(stream.read(1024))
        elif magic == b"OggS":
            stream.seek(max(0, size - 2 * OGG_PAGE_BYTES))
            promised = size if _ogg_ends(stream.read()) else size + 1
        else:
            return
    if promised > size:
        raise _truncated(path, f"{size} bytes, {'the last page is missing' if magic == b'OggS' else f'the header promises {promised}'}")


def _truncated(path: Path, what: str) -> DataError:
    return DataError(f"{path}: truncated ({what})", "copy the file again, or remove the utterance")


def _wav_end(head: bytes) -> int:
    """Offset at which the sample data of a WAV end, by its header; 0 where the header does not say."""
    at = 12
    while at + 8 <= len(head):
        name, n_bytes = struct.unpack_from("<4sI", head, at)
        if name == b"data":
            return at + 8 + n_bytes if n_bytes < STREAMED_BYTES else 0
        at += 8 + n_bytes + n_bytes % 2
    return 0 if at > len(head) and len(head) == 4096 else len(head) + 1


def _sphere_end(head: bytes) -> int:
    """Offset at which the samples of an uncompressed SPHERE file end, by its header; 0 where the header does not say."""
    lines = head.decode("latin-1").split("\n")
    fields = {parts[0]: parts[2].strip() for line in lines if len(parts := line.split(maxsplit=2)) == 3}
    try:
        header_bytes = int(lines[1])
        n_bytes = int(fields["sample_count"]) * int(fields.get("channel_count", 1)) * int(fields["sample_n_bytes"])
    except (IndexError, KeyError, ValueError):
        return 0
    return header_bytes + n_bytes if "," not in fields.get("sample_coding", "pcm") else 0


def _ogg_ends(tail: bytes) -> bool:
    """True where the last Ogg page is whole and marked as the last of its stream."""
    at = tail.rfind(b"OggS")
    if at < 0 or at + 27 > len(tail):
        return False
    n_segments = tail[at + 26]
    lengths = tail[at + 27 : at + 27 + n_segments]
    return len(lengths) == n_segments and at + 27 + n_segments + sum(lengths) <= len(tail) and bool(tail[at + 5] & OGG_LAST_PAGE)
