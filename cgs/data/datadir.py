"""Kaldi data directories: writing and reading them.

A directory holds wav.scp, text, utt2spk, spk2utt and utt2dur, segments where an utterance is a part of a recording,
and spk2gender where every speaker's is known. `cgs.data.validate` holds what makes one valid."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from cgs.base.errors import DataError
from cgs.base.files import read_lines, writing
from cgs.data.corpus import Seconds, Utterance
from cgs.data.validate import pipe_error, validate_data_dir

__all__ = ["read_data_dir", "read_durations", "validate_data_dir", "write_data_dir"]


def write_data_dir(path: Path, utterances: Iterable[Utterance], durations: Mapping[str, Seconds]) -> None:
    """Write a data directory, sorted by bytes as Kaldi sorts.

    Args:
        path: the directory.
        utterances: in any order.
        durations: s, by utterance.
    """
    ordered = sorted(utterances, key=lambda utterance: utterance.id)
    speakers: dict[str, list[Utterance]] = {}
    for utterance in ordered:
        speakers.setdefault(utterance.speaker, []).append(utterance)
    _write_table(path / "text", {u.id: " ".join(u.words) for u in ordered})
    _write_table(path / "utt2spk", {u.id: u.speaker for u in ordered})
    _write_table(path / "utt2dur", {u.id: f"{durations[u.id]:.6f}" for u in ordered})
    _write_table(path / "spk2utt", {speaker: " ".join(u.id for u in told) for speaker, told in speakers.items()})
    if any(u.start is not None or u.end is not None for u in ordered):
        names = _recording_names(ordered)
        _write_table(path / "wav.scp", {name: os.path.abspath(wav) for wav, name in names.items()})
        _write_table(path / "segments", {u.id: _segment(names[u.wav], u, durations[u.id]) for u in ordered})
    else:
        _write_table(path / "wav.scp", {u.id: os.path.abspath(u.wav) for u in ordered})
    genders = {speaker: told[0].gender for speaker, told in speakers.items()}
    if genders and all(genders.values()):
        _write_table(path / "spk2gender", genders)


def read_data_dir(path: Path) -> dict[str, Utterance]:
    """Read a data directory that `validate_data_dir` accepts.

    Returns: the utterances by id, sorted.
    Raises: DataError: a file or an entry is missing, or wav.scp holds a command.
    """
    text, speakers, recordings = (_table(path / name) for name in ("text", "utt2spk", "wav.scp"))
    segments = _table(path / "segments") if (path / "segments").exists() else {}
    genders = _table(path / "spk2gender") if (path / "spk2gender").exists() else {}
    utterances = {}
    for name in sorted(text):
        recording, start, end = _parsed_segment(path, name, segments[name]) if name in segments else (name, None, None)
        if name not in speakers or recording not in recordings:
            raise DataError(f"{path}: utterance {name}: missing in {'utt2spk' if name not in speakers else 'wav.scp'}", "run stage 1 again")
        if recordings[recording].endswith("|"):
            raise pipe_error(path / "wav.scp", recording)
        speaker = speakers[name]
        utterances[name] = Utterance(name, speaker, Path(recordings[recording]), tuple(text[name].split()), start, end, genders.get(speaker, ""))
    return utterances


def read_durations(path: Path) -> dict[str, Seconds]:
    """Length of each utterance of a data directory, s. Raises: DataError: no utt2dur."""
    return {name: float(value) for name, value in _table(path / "utt2dur").items()}


def _recording_names(utterances: list[Utterance]) -> dict[Path, str]:
    """A name for each recording: its file's, or speaker-and-file where two files share one."""
    wavs = {u.wav: u for u in utterances}
    stems = Counter(wav.stem for wav in wavs)
    names = {wav: wav.stem if stems[wav.stem] == 1 else f"{u.speaker}-{wav.stem}" for wav, u in wavs.items()}
    if len(set(names.values())) < len(names) or any(" " in name for name in names.values()):
        names = {wav: f"recording-{index:06d}" for index, wav in enumerate(sorted(wavs))}
    return names


def _segment(recording: str, utterance: Utterance, duration: Seconds) -> str:
    start = utterance.start or 0.0
    return f"{recording} {start:.6f} {start + duration if utterance.end is None else utterance.end:.6f}"


def _parsed_segment(path: Path, name: str, value: str) -> tuple[str, Seconds, Seconds]:
    try:
        recording, start, end = value.split()
        return recording, float(start), float(end)
    except ValueError as error:
        raise DataError(f"{path / 'segments'}: utterance {name}: {value!r} is not: recording start end", "run stage 1 again") from error


def _write_table(path: Path, table: Mapping[str, str]) -> None:
    with writing(path) as stream:
        stream.writelines(f"{key} {table[key]}\n" for key in sorted(table))


def _table(path: Path) -> dict[str, str]:
    split = (line.partition(" ") for line in read_lines(path))
    return {key: value for key, _, value in split}
