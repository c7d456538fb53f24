"""Adaptation to voices whose words are not known: decode, fit each speaker's fMLLR to what was recognised, decode again.

Owns the passes; the estimate is `cgs.gmm.transforms`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from cgs.base.files import writing
from cgs.data.corpus import Utterance
from cgs.decode.rate import phone_lengths, rate_weights
from cgs.decode.recogniser import Recogniser
from cgs.gmm import transforms
from cgs.gmm.chunk import UNALIGNED
from cgs.gmm.model import AcousticGmm
from cgs.gmm.transforms import RowSums

Utterances = Callable[[], Iterable[tuple[Utterance, np.ndarray]]]
N_PASSES = 2
"""Decodings whose words are taken for true: by the unadapted model, then by the adapted one."""


@dataclass(frozen=True)
class Adapted:
    """Transforms of some speakers.

    Args:
        fmllr: {speaker: (D, D + 1)}, the identity for one with too little speech.
        phone_length: {speaker: mean frames a phone}, of those in whose speech some was recognised.
        seconds: processor time spent, s.
    """

    fmllr: dict[str, np.ndarray]
    phone_length: dict[str, float]
    seconds: float

    def write(self, path: Path) -> None:
        """Write them as safetensors, whole or not at all."""
        with writing(path, "wb") as stream:
            stream.write(save(self.fmllr, {"told": json.dumps({"phone_length": self.phone_length, "seconds": self.seconds})}))

    @classmethod
    def read(cls, path: Path) -> Adapted:
        """Read what `write` wrote."""
        with safe_open(path, "np") as stored:
            return cls({name: stored.get_tensor(name) for name in stored.keys()}, **json.loads(stored.metadata()["told"]))  # noqa: SIM118


def estimate_fmllr(
    utterances: Utterances,
    model: AcousticGmm,
    unadapted: AcousticGmm,
    silence_phones: Sequence[int],
    recogniser: Recogniser,
    scale: float,
    usual_phone: float = 1.0,
    rate_exponent: float = 0.0,
) -> Adapted:
    """Transforms of all speakers of some utterances.

    Args:
        utterances: gives, each time it is called, every utterance with its features (T, D) before adaptation.
        model: speaker-adapted.
        unadapted: its Gaussians fitted to features that are not adapted.
        silence_phones: their frames say nothing about a voice or its rate.
        recogniser: searches with either model's scores.
        scale: weight of the log-likelihoods in that search.
        usual_phone, rate_exponent: see `cgs.decode.rate`; the rate that one decoding finds weights the next.
    Source: Kaldi's decode_fmllr. Differs: best paths in place of lattices.
    """
    start = time.process_time()
    dim = model.gmms.dim
    silent = model.pdfs_of(silence_phones)
    fmllr: dict[str, np.ndarray] = {}
    phone_length: dict[str, float] = {}
    for turn in range(N_PASSES):
        scoring = model if turn else unadapted
        weights = rate_weights(phone_length, usual_phone, rate_exponent)
        sums: dict[str, RowSums] = {}
        lengths: dict[str, list[int]] = {}
        for utterance, base in utterances():
            adapted = transforms.apply(fmllr[utterance.speaker], base) if turn else base
            found = recogniser.decode(scoring.log_likelihoods(adapted) * np.float32(scale * weights.get(utterance.speaker, 1.0)))
            pdfs = model.tid2pdf[np.array(found.transition_ids, dtype=np.int64)] if found.transition_ids else np.full(len(base), UNALIGNED)
            spoken = np.where(np.isin(pdfs, silent), UNALIGNED, pdfs)
            mine = sums.setdefault(utterance.speaker, RowSums(0.0, np.zeros((dim, dim + 1)), np.zeros((dim, dim + 1, dim + 1))))
            mine.add(transforms.fmllr_sums(model.gmms, base, adapted, spoken, scoring.gmms))
            lengths.setdefault(utterance.speaker, []).extend(phone_lengths(found.transition_ids, model.transitions, silence_phones))
        fmllr = {speaker: transforms.fmllr(total) for speaker, total in sums.items()}
        phone_length = {speaker: float(np.mean(frames)) for speaker, frames in lengths.items() if frames}
    return Adapted(fmllr, phone_length, time.process_time() - start)
