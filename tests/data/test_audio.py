"""Recordings: every format alike, and every way of being damaged noticed."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st

from cgs.base.errors import DataError
from cgs.data.audio import audio_info, is_silent, read_audio, write_wav

RATE = 16000
FORMATS = [
    ("WAV", "PCM_16", "wav"),
    ("WAV", "FLOAT", "wav"),
    ("FLAC", "PCM_16", "flac"),
    ("NIST", "PCM_16", "sph"),
    ("OGG", "VORBIS", "ogg"),
    ("OGG", "OPUS", "opus"),
]
LOSSLESS = ("wav", "flac", "sph")


def tone(seconds: float = 0.5) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def written(path: Path, kind: str, subtype: str) -> Path:
    sf.write(path, tone(), RATE, format=kind, subtype=subtype)
    return path


@pytest.mark.parametrize(("kind", "subtype", "suffix"), [*FORMATS, ("MP3", "MPEG_LAYER_III", "mp3")])
def test_silence_is_nothing_but_zeros(tmp_path: Path, kind: str, subtype: str, suffix: str) -> None:
    """Half a second of zeros, then a tone: the whole is not silent, its first part is; a file of zeros is."""
    path, zeros = tmp_path / f"a.{suffix}", tmp_path / f"zeros.{suffix}"
    sf.write(path, np.concatenate([np.zeros(RATE // 2), tone()]), RATE, format=kind, subtype=subtype)
    sf.write(zeros, np.zeros(RATE), RATE, format=kind, subtype=subtype)
    assert is_silent(zeros) and is_silent(zeros, 0.2, 0.9)
    assert not is_silent(path) and not is_silent(path, 0.7, 0.8) and is_silent(path, 0.0, 0.3)


def test_part_of_an_mp3_is_what_it_is_in_the_whole(tmp_path: Path) -> None:
    """A frame of MP3 leans on those before it: sought directly, its first samples cannot be decoded."""
    path = tmp_path / "a.mp3"
    sf.write(path, tone(2.0), RATE, format="MP3", subtype="MPEG_LAYER_III")
    whole = read_audio(path, RATE)
    np.testing.assert_array_equal(read_audio(path, RATE, 0.7, 0.8), whole[round(0.7 * RATE) : round(0.8 * RATE)])


def test_one_sample_is_no_silence(tmp_path: Path) -> None:
    samples = np.zeros(3 * RATE, dtype=np.int16)
    samples[-1] = 1
    sf.write(tmp_path / "a.wav", samples, RATE)
    assert not is_silent(tmp_path / "a.wav") and is_silent(tmp_path / "a.wav", None, 2.9)


@pytest.mark.parametrize(("kind", "subtype", "suffix"), FORMATS)
def test_every_format_reads_alike(tmp_path: Path, kind: str, subtype: str, suffix: str) -> None:
    path = written(tmp_path / f"a.{suffix}", kind, subtype)
    assert audio_info(path, check_samples=True) == (RATE, 0.5)
    whole = read_audio(path, RATE)
    assert whole.dtype == np.float32 and whole.shape == (8000,)
    assert np.abs(whole - tone()).max() < (1e-4 if suffix in LOSSLESS else 0.2)
    assert np.array_equal(read_audio(path, RATE, 0.1, 0.3), whole[1600:4800])


@pytest.mark.parametrize(("kind", "subtype", "suffix"), FORMATS)
@pytest.mark.parametrize("n_lost", [40, 2000])
def test_truncated_recording_is_noticed(tmp_path: Path, kind: str, subtype: str, suffix: str, n_lost: int) -> None:
    path = written(tmp_path / f"a.{suffix}", kind, subtype)
    path.write_bytes(path.read_bytes()[:-n_lost])
    with pytest.raises(DataError, match=r"a\.(wav|sph|ogg|opus): truncated .*copy|a\.flac: .*truncated: copy|not readable as audio"):
        audio_info(path, check_samples=True)


@pytest.mark.parametrize("size", [0, 1, 11, 20, 43])
def test_a_header_cut_short_is_an_error(tmp_path: Path, size: int) -> None:
    path = written(tmp_path / "a.wav", "WAV", "PCM_16")
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DataError, match=r"a\.wav: .*\("):
        audio_info(path)


def test_a_streamed_header_is_no_truncation(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_wav(path, tone(), RATE)
    head = bytearray(path.read_bytes())
    struct.pack_into("<I", head, 40, 0x7FFFFFFF)
    path.write_bytes(bytes(head))
    assert audio_info(path) == (RATE, 0.5)


def test_other_chunks_before_the_samples(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_wav(path, tone(), RATE)
    raw = path.read_bytes()
    chunk = b"LIST" + struct.pack("<I", 5) + b"INFO\0" + b"\0"
    path.write_bytes(raw[:36] + chunk + raw[36:])
    assert audio_info(path) == (RATE, 0.5)
    path.write_bytes((raw[:36] + chunk + raw[36:])[:-100])
    with pytest.raises(DataError, match="truncated"):
        audio_info(path)


def test_problems_name_file_value_and_remedy(tmp_path: Path) -> None:
    wav = tmp_path / "a.wav"
    with pytest.raises(DataError, match=r"a\.wav: no such recording \(check the corpus"):
        read_audio(wav, RATE)
    written(wav, "WAV", "PCM_16")
    with pytest.raises(DataError, match=r"a\.wav: sample rate 16000 Hz, the recipe says 8000 Hz \(set data\.resample = true"):
        read_audio(wav, 8000)
    with pytest.raises(DataError, match=r"part 0\.4 s to 0\.6 s is not inside the recording of 0\.500 s"):
        read_audio(wav, RATE, 0.4, 0.6)
    sf.write(wav, np.zeros((100, 2)), RATE)
    with pytest.raises(DataError, match="2 channels"):
        audio_info(wav)
    wav.write_bytes(b"this is no audio at all, it only has the name of one")
    with pytest.raises(DataError, match="not readable as audio"):
        audio_info(wav)


def test_nan_is_found_and_never_written(tmp_path: Path) -> None:
    samples = tone()
    samples[123] = np.nan
    path = tmp_path / "a.wav"
    sf.write(path, samples, RATE, subtype="FLOAT")
    assert audio_info(path)[1] == 0.5
    with pytest.raises(DataError, match="sample 123 is not a finite number"):
        audio_info(path, check_samples=True)
    with pytest.raises(DataError, match="NaN"):
        write_wav(tmp_path / "b.wav", samples, RATE)
    assert not (tmp_path / "b.wav").exists()


def test_resampling_keeps_the_tone(tmp_path: Path) -> None:
    pytest.importorskip("torchaudio")
    path = written(tmp_path / "a.wav", "WAV", "PCM_16")
    samples = read_audio(path, 8000, resample=True)
    expected = 0.3 * np.sin(2 * np.pi * 440 * np.arange(4000) / 8000)
    assert samples.shape == (4000,) and np.abs(samples - expected)[100:-100].max() < 0.01


@given(st.lists(st.integers(-32768, 32767), max_size=50))
def test_sixteen_bits_survive(tmp_path_factory: pytest.TempPathFactory, steps: list[int]) -> None:
    path = tmp_path_factory.mktemp("wav") / "a.wav"
    write_wav(path, np.array(steps) / 32768, RATE)
    assert np.array_equal(np.rint(read_audio(path, RATE) * 32768), steps)


def test_loud_samples_are_clipped(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", np.array([2.0, -2.0]), RATE)
    assert np.rint(read_audio(tmp_path / "a.wav", RATE) * 32768).tolist() == [32767, -32768]
