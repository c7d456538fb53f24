"""Reads the features of a split as later stages want them: normalised, in memory, by utterance."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from cgs.base.errors import DataError
from cgs.base.files import read_lines
from cgs.feats import cmvn as cmvn_module
from cgs.feats.archive import iterate_archive, read_archive
from cgs.feats.compute import Kind

Cmvn = Literal["speaker", "global", "running", "none"]


def load_features(feats_dir: Path, kind: Kind, split: str, cmvn: Cmvn = "speaker") -> dict[str, np.ndarray]:
    """Features of every utterance of a split.

    Args:
        feats_dir: the directory that stage 3 made.
        kind: "mfcc" or "fbank".
        split: e.g. "train".
        cmvn: mean and variance normalisation over each speaker's frames, over the training split's, over an utterance's last frames, or none.
    Returns: {utterance id: (T, D) float32}, sorted by id.
    Raises: FormatError: a truncated archive, NaN or infinity. DataError: no such archive, or a speaker without statistics.
    """
    features = {}
    normalise = Normaliser(feats_dir, kind, split, cmvn)
    for utterance, matrix in iterate_archive(feats_dir / kind / f"{split}.scp"):
        features[utterance] = normalise(utterance, matrix)
    return features


class Normaliser:
    """Applies the CMVN of a split to one utterance at a time; see `load_features`."""

    def __init__(self, feats_dir: Path, kind: Kind, split: str, cmvn: Cmvn) -> None:
        self.cmvn, self.split = cmvn, split
        if cmvn == "none":
            return
        self.global_stats = global_cmvn(feats_dir, kind)
        if cmvn == "speaker":
            self.speakers = read_utt2spk(feats_dir / f"utt2spk_{split}")
            stats = read_archive(feats_dir / kind / f"cmvn_{split}.scp")
            self.stats = {speaker: cmvn_module.smoothed(value, self.global_stats) for speaker, value in stats.items()}

    def __call__(self, utterance: str, features: np.ndarray) -> np.ndarray:
        """Features (T, D) float32 of one utterance, normalised."""
        if self.cmvn == "none":
            return features
        if self.cmvn == "global":
            return cmvn_module.apply(features, self.global_stats)
        if self.cmvn == "running":
            return cmvn_module.running(features, self.global_stats)
        speaker = self.speakers.get(utterance, "")
        if speaker not in self.stats:
            raise DataError(f"{self.split}: {utterance}: no CMVN statistics of its speaker {speaker!r}", "run stage 3 again")
        return cmvn_module.apply(features, self.stats[speaker])


def global_cmvn(feats_dir: Path, kind: Kind) -> np.ndarray:
    """Statistics (2, D + 1) float64 of the training split."""
    return read_archive(feats_dir / kind / "cmvn_global.scp")["global"]


def read_utt2spk(path: Path) -> dict[str, str]:
    """Read lines "utterance speaker". Raises: DataError: a line of another form."""
    speakers = {}
    for number, line in enumerate(read_lines(path), start=1):
        fields = line.split()
        if len(fields) != 2:
            raise DataError(f"{path}:{number}: not 'utterance speaker' but {line!r}", "run the stage that makes it again")
        speakers[fields[0]] = fields[1]
    return speakers
