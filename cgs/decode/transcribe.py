"""Recordings on disk to what was said in them, one after the other or several processes at a time."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cgs.base.errors import CgsError, DataError
from cgs.data.audio import audio_info, read_audio
from cgs.data.corpus import Seconds
from cgs.data.layout import AUDIO_SUFFIXES
from cgs.decode.model_dir import Listening, Model
from cgs.decode.transcript import Utterance


@dataclass(frozen=True)
class Request:
    """One recording to transcribe.

    Args:
        recording: WAV, FLAC, SPHERE or Ogg.
        model: a model directory.
        choice: see `Listening`.
        resample: convert a recording of another rate instead of refusing it.
    """

    recording: Path
    model: Path
    choice: Listening
    resample: bool


@dataclass(frozen=True)
class Answer:
    """What became of a recording.

    Args:
        recording: which.
        seconds: its length.
        utterances: what was heard.
        error: why nothing was heard; "" where all went well.
        exit_code: of that error.
    """

    recording: Path
    seconds: Seconds = 0.0
    utterances: tuple[Utterance, ...] = ()
    error: str = ""
    exit_code: int = 0


loaded = functools.lru_cache(maxsize=1)(Model)
"""A process reads a model once."""


def answer(request: Request) -> Answer:
    """Transcribe one recording; an error of the recording is part of the answer, so that the others go on."""
    path = request.recording
    try:
        model = loaded(request.model)
        rate, seconds = audio_info(path)
        if rate != model.sample_rate and not request.resample:
            raise DataError(f"{path}: sample rate {rate} Hz, the model takes {model.sample_rate} Hz", "give --resample, or convert the recording")
        samples = read_audio(path, model.sample_rate, resample=request.resample)
        try:
            utterances = model.transcribe(samples, request.choice)
        except DataError as error:
            raise DataError(f"{path}: {error.message}", error.remedy) from error
        return Answer(path, seconds, tuple(utterances))
    except CgsError as error:
        return Answer(path, error=str(error), exit_code=error.exit_code)


def recordings(places: Iterable[Path]) -> Iterator[Path]:
    """Files as they are, and every recording in a folder or below, sorted. Raises: DataError: a folder without recordings."""
    for place in places:
        if not place.is_dir():
            yield place
            continue
        found = sorted(path for path in place.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file())
        if not found:
            raise DataError(f"{place}: no recording in it or below", f"give files, or a folder with {' '.join(AUDIO_SUFFIXES)}")
        yield from found
