"""Features of many recordings: one piece of a split in one job, pieces joined into archives, CMVN statistics beside them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cgs.base.errors import DataError
from cgs.base.files import write_text
from cgs.base.log import progress
from cgs.base.options import FeatsOptions
from cgs.data.audio import read_audio
from cgs.data.corpus import Utterance
from cgs.feats import cmvn, rate
from cgs.feats.archive import archive_keys, iterate_archive, merge_archives, read_archive, write_archive
from cgs.feats.compute import KINDS, Kind, compute
from cgs.feats.corrupt import Corruption, corrupted

MIN_PIECE, MAX_PIECE = 50, 500
"""Utterances of a piece: fewer are not worth a process, more would fill the memory."""

Statistics = dict[Kind, dict[str, np.ndarray]]


@dataclass(frozen=True)
class Piece:
    """Some utterances of a split, for one job.

    Args:
        split, index: which split, and which of its pieces.
        utterances: sorted by id.
        options, sample_rate, resample: how to read and analyse them.
        directory: the pieces' archives go here, <kind>.<split>.<index>.{ark,scp}, then <kind>.cmvn_<split>.<index>.{ark,scp}.
        corruption: of copies in noise or rooms; None for all others.
    """

    split: str
    index: int
    utterances: tuple[Utterance, ...]
    options: FeatsOptions
    sample_rate: int
    resample: bool
    directory: Path
    corruption: Corruption | None = None

    def stem(self, kind: Kind, what: str = "") -> str:
        """File name of this piece's archive of features, or of "cmvn_" statistics, less its suffix."""
        return f"{kind}.{what}{self.split}.{self.index:05d}"


def piece_size(n_utterances: int, n_jobs: int) -> int:
    """Utterances in each piece of a split; what is computed does not depend on it."""
    return min(MAX_PIECE, max(MIN_PIECE, math.ceil(n_utterances / n_jobs)))


def extract_piece(piece: Piece) -> Statistics:
    """Write the features of a piece and return the CMVN statistics of each utterance; read them where a killed run had finished the piece.

    Raises: DataError: a recording that cannot be read, or is shorter than half a frame shift.
    """
    finished = _finished(piece)
    if finished:
        return finished
    features: dict[Kind, list[tuple[str, np.ndarray]]] = {kind: [] for kind in KINDS}
    statistics: Statistics = {kind: {} for kind in KINDS}
    for utterance in progress(piece.utterances, f"features of {piece.split}"):
        samples = _sound(utterance, piece)
        for kind in KINDS:
            matrix = compute(kind, samples, piece.options, piece.sample_rate)
            if not len(matrix):
                raise DataError(f"{utterance.wav}: utterance {utterance.id}: {len(samples)} samples are too short for a frame", "remove the utterance")
            features[kind].append((utterance.id, matrix))
            statistics[kind][utterance.id] = cmvn.statistics(matrix)
    for kind in KINDS:
        write_archive(piece.directory, piece.stem(kind), features[kind])
    for kind in KINDS:
        write_archive(piece.directory, piece.stem(kind, "cmvn_"), statistics[kind].items())
    return statistics


def _finished(piece: Piece) -> Statistics:
    """Statistics that a killed run wrote, after the features, of this very piece; empty where it did not: with another --nj pieces differ."""
    paths = {kind: piece.directory / f"{piece.stem(kind, 'cmvn_')}.scp" for kind in KINDS}
    names = [utterance.id for utterance in piece.utterances]
    if all(path.exists() and archive_keys(path) == names for path in paths.values()):
        return {kind: read_archive(path) for kind, path in paths.items()}
    return {}


def _sound(utterance: Utterance, piece: Piece) -> np.ndarray:
    """What an utterance of a piece sounds like: the recording, or the copy it names."""
    samples = read_audio(utterance.wav, piece.sample_rate, utterance.start, utterance.end, piece.resample)
    samples = samples if utterance.speed == 1 else _at_speed(samples, utterance.speed)
    return samples if piece.corruption is None else corrupted(samples, utterance.id, piece.corruption, piece.sample_rate)


def _at_speed(samples: np.ndarray, speed: float) -> np.ndarray:
    import torch

    from cgs.feats.torch_path import change_speed

    torch.set_num_threads(1)
    return change_speed(torch.from_numpy(np.asarray(samples, dtype=np.float32)), speed).numpy()


def correlation_times(pieces: list[Piece], statistics: list[Statistics]) -> dict[str, float | None]:
    """{speaker: correlation time in frames} of one split, None of too little speech; see `cgs.feats.rate`."""
    speakers = _speakers(pieces)
    totals = _by_speaker(speakers, statistics, "mfcc")
    sums = {speaker: rate.Correlation(stats[0, 0] / stats[0, -1], stats.shape[1] - 1) for speaker, stats in totals.items()}
    for piece in pieces:
        for utterance, cepstra in iterate_archive(piece.directory / f"{piece.stem('mfcc')}.scp"):
            sums[speakers[utterance]].add(cepstra)
    return {speaker: correlation.time() for speaker, correlation in sums.items()}


def _speakers(pieces: list[Piece]) -> dict[str, str]:
    return {utterance.id: utterance.speaker for piece in pieces for utterance in piece.utterances}


def _by_speaker(speakers: Mapping[str, str], statistics: list[Statistics], kind: Kind) -> dict[str, np.ndarray]:
    """Statistics of each speaker, by name."""
    parts: dict[str, list[np.ndarray]] = {}
    for part in statistics:
        for utterance, stats in part[kind].items():
            parts.setdefault(speakers[utterance], []).append(stats)
    return {speaker: cmvn.total(parts[speaker]) for speaker in sorted(parts)}


def join_pieces(
    pieces: list[Piece], statistics: list[Statistics], out: Path, final_dir: Path, rates: Mapping[str, float] | None = None
) -> dict[str, int]:
    """Make the archives of one split from its pieces, with the statistics of each speaker.

    Args:
        pieces: all pieces of the split, in order.
        statistics: what `extract_piece` returned for each.
        out, final_dir: where to write, and where that will lie in the end.
        rates: {speaker: frames for each one computed}, see `cgs.feats.rate`; None leaves them as they are.
    Returns: numbers of utterances, speakers and frames.
    """
    split, speakers = pieces[0].split, _speakers(pieces)
    write_text(out / f"utt2spk_{split}", "".join(f"{utterance} {speaker}\n" for utterance, speaker in speakers.items()))
    if rates is not None:
        rate.write_rates(out / f"rate_{split}", rates)
    n_frames = 0
    for kind in KINDS:
        parts = [piece.directory / f"{piece.stem(kind)}.scp" for piece in pieces]
        if rates is None:
            merge_archives(parts, out / kind, split, final_dir / kind)
        else:
            statistics = [{kind: {}}]
            write_archive(out / kind, split, _respaced(parts, speakers, rates, statistics[0][kind]), final_dir / kind)
        totals = _by_speaker(speakers, statistics, kind)
        write_archive(out / kind, f"cmvn_{split}", totals.items(), final_dir / kind)
        everything = cmvn.total(totals.values())
        n_frames = int(everything[0, -1])
        if split == "train":
            write_archive(out / kind, "cmvn_global", [("global", everything)], final_dir / kind)
    return {"utterances": len(speakers), "speakers": len(set(speakers.values())), "frames": n_frames}


def _respaced(
    parts: list[Path], speakers: Mapping[str, str], rates: Mapping[str, float], statistics: dict[str, np.ndarray]
) -> Iterator[tuple[str, np.ndarray]]:
    """Every utterance at its speaker's rate; fills in its CMVN statistics."""
    for part in parts:
        for utterance, matrix in iterate_archive(part):
            frames = rate.respaced(matrix, rates[speakers[utterance]])
            statistics[utterance] = cmvn.statistics(frames)
            yield utterance, frames
