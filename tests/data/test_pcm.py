"""Samples from pipes: raw or WAV, in pieces of any size, and what is no sound."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st

from cgs.base.errors import DataError
from cgs.data.audio import read_audio, write_wav
from cgs.data.pcm import PcmReader

SAMPLES = np.random.default_rng(1).integers(-32768, 32767, 1000).astype("<i2")


def reading(data: bytes, steps: list[int] | None = None, rate: int = 8000, n_samples: int = 100) -> np.ndarray:
    """Read a stream that gives so many bytes at a time."""
    stream, sizes = io.BytesIO(data), iter(steps or [])
    reader = PcmReader(lambda n_bytes: stream.read(min(n_bytes, next(sizes, n_bytes))), rate, "pipe")
    pieces = list(reader.pieces(n_samples))
    assert max(map(len, pieces)) <= n_samples + 1 and reader.n_samples == sum(map(len, pieces))
    return np.concatenate(pieces)


@given(st.lists(st.integers(1, 99), max_size=60))
@settings(deadline=None, max_examples=50)
def test_bytes_in_any_pieces_are_the_samples_of_the_file(steps: list[int]) -> None:
    np.testing.assert_array_equal(reading(SAMPLES.tobytes(), steps), SAMPLES / np.float32(32768))
    header = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 0, b"WAVE", b"fmt ", 16, 1, 1, 8000, 16000, 2, 16)
    listed = header + struct.pack("<4sI3sx", b"LIST", 3, b"abc")
    for promised, after in ((2000, b"LIST...."), (0xFFFFFFFF, b""), (0, b""), (0x7FFFFFFF, b"")):
        data = listed + struct.pack("<4sI", b"data", promised) + SAMPLES.tobytes() + after
        np.testing.assert_array_equal(reading(data, steps), SAMPLES / np.float32(32768))


def test_a_wav_is_read_as_libsndfile_reads_it(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", SAMPLES / 32768, 8000)
    np.testing.assert_array_equal(reading((tmp_path / "a.wav").read_bytes()), read_audio(tmp_path / "a.wav", 8000))
    sf.write(tmp_path / "x.wav", SAMPLES, 8000, format="WAVEX", subtype="PCM_16")
    np.testing.assert_array_equal(reading((tmp_path / "x.wav").read_bytes()), SAMPLES / np.float32(32768))


def test_what_came_is_given_before_the_end_is_complained_of() -> None:
    for data, why in ((SAMPLES.tobytes() + b"\1", "odd number of bytes, half a sample"), (_wav() [:-500], r"truncated \(1500 of 2000 bytes")):
        stream, got = io.BytesIO(data), 0
        with pytest.raises(DataError, match=why):
            for piece in PcmReader(stream.read, 8000, "pipe").pieces(64):
                got += len(piece)
        assert got in (1000, 750)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "pipe: no sample came .check the microphone"),
        (b"x", "no sample came"),
        (b"fLaC" + bytes(100), "begins with b'fLaC', neither raw samples nor a WAV .use cgs transcribe"),
        (b"OggS" + bytes(100), "begins with b'OggS'"),
        (b"RIFF" + bytes(10), "header is cut short or unusual"),
        (b"RIFF" + bytes(80000), "header is cut short or unusual"),
    ],
)
def test_no_sound(data: bytes, why: str) -> None:
    with pytest.raises(DataError, match=why):
        reading(data)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"channels": 2}, "2 channels, one wanted"),
        ({"rate": 16000}, "sample rate 16000 Hz, the model takes 8000 Hz .record at that rate, e.g. arecord -r 8000"),
        ({"bits": 24}, "a WAV of 24-bit samples"),
        ({"kind": 3, "bits": 32}, "a WAV of 32-bit samples, coding 3"),
    ],
)
def test_other_wavs_are_refused(changes: dict[str, int], why: str) -> None:
    with pytest.raises(DataError, match=why):
        reading(_wav(**changes))


def _wav(kind: int = 1, channels: int = 1, rate: int = 8000, bits: int = 16) -> bytes:
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 2036, b"WAVE", b"fmt ", 16, kind, channels, rate, 2 * rate, 2, bits)
    return head + struct.pack("<4sI", b"data", 2000) + SAMPLES.tobytes()
