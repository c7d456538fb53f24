"""How fast somebody speaks, and what it changes: the frames of a long phone tell little more than those of a short one.

A decoder adds up the log-likelihoods of frames as if each were new evidence. Who drawls gives it more frames for the same
words, so acoustics drown the language model and words are inserted; who hurries gives it fewer, and words are lost.
Weights that fall with a speaker's mean phone length even this out. Source: our own measurements, docs/acoustic-models.md."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from cgs.base.errors import DataError, FormatError
from cgs.base.files import read_lines
from cgs.gmm.segments import phone_segments
from cgs.gmm.transitions import TransitionTable
from cgs.lang.tables import NOISE_PHONE, SILENCE_PHONE


def phone_lengths(transition_ids: Sequence[int], table: TransitionTable, silence_phones: Collection[int]) -> list[int]:
    """Frames of each phone of a path, silence and noise left out."""
    segments = phone_segments(np.asarray(transition_ids, dtype=np.int64), table)
    return [segment.end - segment.start for segment in segments if segment.label not in silence_phones]


def usual_phone_length(ctm: Path, speakers: Mapping[str, str], frame_shift: float, rates: Mapping[str, float]) -> float:
    """The phone length of a typical speaker: the geometric mean, over speakers, of each one's mean.

    Args:
        ctm: phones of aligned utterances.
        speakers: {utterance: speaker}.
        frame_shift: s, of a frame as computed.
        rates: {utterance: rate}, 1 where one is absent; see `cgs.feats.rate`.
    Returns: frames.
    Raises: FormatError: a line of another form. DataError: no phone, or an unknown utterance.
    """
    frames: dict[str, list[float]] = {}
    for number, line in enumerate(read_lines(ctm), start=1):
        fields = line.split()
        if len(fields) < 5:
            raise FormatError(f"{ctm}:{number}: not a line of phones but {line!r}", "run stage 4 again")
        if fields[4].partition("_")[0] in (SILENCE_PHONE, NOISE_PHONE):
            continue
        if fields[0] not in speakers:
            raise DataError(f"{ctm}:{number}: utterance {fields[0]!r} has no speaker", "run stages 3 and 4 again")
        frames.setdefault(speakers[fields[0]], []).append(float(fields[3]) / frame_shift * rates.get(fields[0], 1.0))
    if not frames:
        raise DataError(f"{ctm}: holds no phone", "run stage 4 again")
    return float(np.exp(np.mean([np.log(np.mean(lengths)) for lengths in frames.values()])))


def rate_weights(lengths: Mapping[str, float], usual: float, exponent: float) -> dict[str, float]:
    """Weight of each speaker's log-likelihoods.

    Args:
        lengths: {speaker: mean frames a phone}.
        usual: frames a phone of a typical speaker, whose weight is 1.
        exponent: 0 weights all alike; 1 gives every phone the same evidence, however long.
    """
    return {speaker: (usual / length) ** exponent for speaker, length in lengths.items()}
