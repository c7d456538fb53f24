"""Speaker-adapted features, for the GMM that was trained on them and for networks that ask for `nn.features = "fmllr"`.

Owns what lies between normalised MFCC and such a frame: LDA+MLLT of spliced frames, the speaker's fMLLR and, for
networks, one mean and variance of the whole training split. On disk: <dir>/fmllr_<split>.{ark,scp}, a (D, D + 1)
transform by speaker as Kaldi's trans.<n>, and <dir of stage 4>/cmvn_fmllr.{ark,scp}."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cgs.base.errors import DataError
from cgs.data.copies import NOISY_SPLIT, SPEED_SPLIT, original
from cgs.feats import cmvn
from cgs.feats.archive import read_archive, write_archive
from cgs.feats.load import load_features, read_utt2spk
from cgs.gmm.model import AcousticGmm
from cgs.gmm.transforms import apply

UNADAPTED_DIR = "unadapted"
"""Inside what stage 4 made: the model refitted to features that are not adapted."""


class AdaptedFeatures:
    """Turns normalised MFCC of one utterance into adapted features.

    Args:
        model: the speaker-adapted GMM.
        fmllr: {speaker: (D, D + 1)}; None leaves features as they are before adaptation.
        speakers: {utterance: speaker}.
        stats: (2, D + 1) CMVN statistics to normalise the result by; None does not.
    """

    def __init__(self, model: AcousticGmm, fmllr: Mapping[str, np.ndarray] | None, speakers: Mapping[str, str], stats: np.ndarray | None = None) -> None:
        self.model, self.fmllr, self.speakers, self.stats = model, fmllr, speakers, stats

    def __call__(self, utterance: str, cepstra: np.ndarray) -> np.ndarray:
        """(T, C) normalised MFCC -> (T, D) float32. Raises: DataError: a speaker without a transform."""
        features = self.model.features(cepstra)
        if self.fmllr is not None:
            speaker = self.speakers.get(utterance, "")
            if speaker not in self.fmllr:
                raise DataError(f"{utterance}: no fMLLR transform of its speaker {speaker!r}", "run stages 4 and 8 again")
            features = apply(self.fmllr[speaker], features)
        return features if self.stats is None else cmvn.apply(features, self.stats)


def write_fmllr(directory: Path, split: str, fmllr: Mapping[str, np.ndarray], final_dir: Path) -> None:
    """Write the transforms of a split's speakers, for `read_adapted`."""
    write_archive(directory, f"fmllr_{split}", [(speaker, fmllr[speaker].astype(np.float32)) for speaker in sorted(fmllr)], final_dir)


def read_adapted(align_dir: Path, feats_dir: Path, fmllr_dir: Path, split: str, normalised: bool) -> AdaptedFeatures:
    """Read what adapts a split.

    Args:
        align_dir, feats_dir: what stages 4 and 3 made.
        fmllr_dir: holds the split's transforms: stage 4's directory for the training split, `8-decode/adapt` for others.
        split: e.g. "test".
        normalised: as networks want them, or as the GMM does.
    """
    stats = read_archive(align_dir / "cmvn_fmllr.scp")["global"] if normalised else None
    return AdaptedFeatures(AcousticGmm.load(align_dir), read_archive(fmllr_dir / f"fmllr_{split}.scp"), read_utt2spk(feats_dir / f"utt2spk_{split}"), stats)


def training_features(align_dir: Path, feats_dir: Path, split: str) -> dict[str, np.ndarray]:
    """Adapted, normalised features of a split whose transforms stage 4 made, by utterance; copies in noise take those of the clean voice."""
    adapted = _read_noisy(align_dir, feats_dir) if split == NOISY_SPLIT else read_adapted(align_dir, feats_dir, align_dir, split, True)
    return {name: adapted(name, cepstra) for name, cepstra in load_features(feats_dir, "mfcc", split, "speaker").items()}


def _read_noisy(align_dir: Path, feats_dir: Path) -> AdaptedFeatures:
    """What adapts the copies in noise and rooms."""
    stats = read_archive(align_dir / "cmvn_fmllr.scp")["global"]
    made = [path for split in ("train", SPEED_SPLIT) if (path := align_dir / f"fmllr_{split}.scp").exists()]
    fmllr = {speaker: transform for path in made for speaker, transform in read_archive(path).items()}
    speakers = {utterance: original(speaker) for utterance, speaker in read_utt2spk(feats_dir / f"utt2spk_{NOISY_SPLIT}").items()}
    return AdaptedFeatures(AcousticGmm.load(align_dir), fmllr, speakers, stats)
