"""Runs a recogniser or a detector over a split and times it.

A real-time factor is processor seconds on one core for each second of audio: features (measured on a sample of
utterances), network and search; reading files is left out."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from cgs.base.errors import DataError
from cgs.base.log import progress
from cgs.base.options import FeatsOptions
from cgs.data.audio import read_audio
from cgs.data.corpus import Utterance
from cgs.data.datadir import read_data_dir, read_durations
from cgs.decode.keyword import isolated_class, utterance_confidence
from cgs.decode.recogniser import Recogniser
from cgs.decode.scores import Scores
from cgs.decode.search import Hypothesis
from cgs.feats.archive import iterate_archive
from cgs.feats.compute import compute
from cgs.feats.load import Normaliser
from cgs.feats.rate import read_rates
from cgs.nn.labels import FIRST_KEYWORD_CLASS, OTHER_CLASS, SILENCE_CLASS
from cgs.score.detection import Detected
from cgs.score.recognition import Recognised
from cgs.score.wer import ErrorCounts, count_errors, spoken, total

Adapt = Callable[[str, np.ndarray], np.ndarray]
"""(utterance id, normalised features (T, C)) to what the model sees (T, D)."""
Weights = TypeVar("Weights")
SAMPLE_UTTERANCES = 20
"""Utterances on which the time of feature extraction is measured."""


@dataclass(frozen=True)
class Split:
    """A split to evaluate: transcripts and normalised features.

    Args:
        name: e.g. "test".
        utterances: by id, sorted.
        seconds: audio of each utterance, s.
        feats_dir: what stage 3 made.
        kind, cmvn: of the features.
        adapt: what else an utterance's features go through, after normalisation.
        weights: {speaker: factor of the log-likelihoods}, 1 where a speaker is absent; see `cgs.decode.rate`.
        rates: {utterance: frames for each one computed}, 1 where one is absent; see `cgs.feats.rate`.
    """

    name: str
    utterances: dict[str, Utterance]
    seconds: dict[str, float]
    feats_dir: Path
    kind: Any
    cmvn: Any
    adapt: Adapt | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    rates: Mapping[str, float] = field(default_factory=dict)

    def items(self) -> Iterator[tuple[Utterance, np.ndarray]]:
        """Yield (utterance, (T, D) float32 features), read one at a time. Raises: DataError: an utterance without features."""
        normalise = Normaliser(self.feats_dir, self.kind, self.name, self.cmvn)
        waiting = set(self.utterances)
        for name, matrix in iterate_archive(self.feats_dir / self.kind / f"{self.name}.scp"):
            if name in waiting:
                waiting.remove(name)
                normal = normalise(name, matrix)
                yield self.utterances[name], self.adapt(name, normal) if self.adapt else normal
        if waiting:
            raise DataError(f"{self.name}: {len(waiting)} utterances without features, e.g. {min(waiting)}", "run stage 3 again")

    def likelihoods(self, scores: Scores, utterance: Utterance, features: np.ndarray) -> np.ndarray:
        """(T, P) log-likelihoods of (T, D) features, weighted as the speaker's are."""
        weight = self.weights.get(utterance.speaker, 1.0)
        return scores(features) if weight == 1 else scores(features) * np.float32(weight)

    @property
    def total_seconds(self) -> float:
        """Audio of the split, s."""
        return sum(self.seconds[name] for name in self.utterances)

    def sampled(self, n_utterances: int) -> Split:
        """The split with every so-manieth utterance only, so that all speakers have a share; 0 or too many means all."""
        names = list(self.utterances)
        if not 0 < n_utterances < len(names):
            return self
        chosen = [names[index] for index in np.linspace(0, len(names) - 1, n_utterances).round().astype(int)]
        return replace(self, utterances={name: self.utterances[name] for name in chosen})

    def of_speakers(self, speakers: Collection[str]) -> Split:
        """The split with some speakers only."""
        return replace(self, utterances={name: utterance for name, utterance in self.utterances.items() if utterance.speaker in speakers})


def read_split(data_dir: Path, feats_dir: Path, name: str, kind: Any, cmvn: Any, adapt: Adapt | None = None) -> Split:
    """Read the transcripts of a split; its features are read when they are asked for."""
    return Split(name, read_data_dir(data_dir / name), read_durations(data_dir / name), feats_dir, kind, cmvn, adapt, rates=read_rates(feats_dir, name))


def recognise(split: Split, scores: Scores, recogniser: Recogniser, scale: float) -> tuple[list[Recognised], dict[str, Hypothesis], dict[str, float]]:
    """Recognise every utterance.

    Args:
        split: the utterances.
        scores: to unscaled log-likelihoods (T, P).
        recogniser: the decoding graph.
        scale: weight of the log-likelihoods.
    Returns: what was recognised, the hypotheses by utterance, and {"network", "search"} processor seconds.
    """
    recognised, hypotheses = [], {}
    spent = {"network": 0.0, "search": 0.0}
    for utterance, features in progress(split.items(), f"decoding {split.name}", total=len(split.utterances)):
        start = time.process_time()
        likelihoods = split.likelihoods(scores, utterance, features)
        middle = time.process_time()
        found = recogniser.decode(likelihoods * np.float32(scale))
        spent["network"] += middle - start
        spent["search"] += time.process_time() - middle
        hypotheses[utterance.id] = found
        recognised.append(Recognised(utterance.id, utterance.speaker, spoken(utterance.words), spoken(found.words), found.complete))
    return recognised, hypotheses, spent


def error_rates(split: Split, scores: Scores, recogniser: Recogniser, scales: Sequence[float]) -> dict[float, float]:
    """Word error rate at each acoustic scale, every utterance's scores computed once. Raises: DataError: no word in the split."""
    counts: dict[float, list] = {scale: [] for scale in scales}
    for utterance, features in progress(split.items(), f"tuning on {split.name}", total=len(split.utterances)):
        likelihoods = split.likelihoods(scores, utterance, features)
        for scale in scales:
            found = recogniser.decode(likelihoods * np.float32(scale))
            counts[scale].append(count_errors(spoken(utterance.words), spoken(found.words)))
    return rates_of(split, counts)


def search_error_rates(
    split: Split, scores: Scores, recogniser: Callable[[float], Recogniser]
) -> Callable[[Sequence[float], Sequence[float]], dict[tuple[float, float], float]]:
    """A function that tells error rates at any weights, by a search for each.

    Args:
        split, scores: as for `recognise`.
        recogniser: insertion penalty -> a recogniser.
    Returns: (scales, penalties) -> {(scale, penalty): word error rate} for every pair.
    """

    def rates(scales: Sequence[float], penalties: Sequence[float]) -> dict[tuple[float, float], float]:
        found: dict[tuple[float, float], float] = {}
        for penalty in penalties:
            found |= {(scale, penalty): rate for scale, rate in error_rates(split, scores, recogniser(penalty), scales).items()}
        return found

    return rates


def rates_of(split: Split, counts: Mapping[Weights, Sequence[ErrorCounts]]) -> dict[Weights, float]:
    """{weights: word error rate} of {weights: errors of each utterance}. Raises: DataError: no word in the split."""
    rates = {weights: total(errors).wer for weights, errors in counts.items()}
    if None in rates.values():
        raise DataError(f"{split.name}: no word to choose decoding weights by", "give the split transcripts, or one acoustic scale")
    return {weights: rate for weights, rate in rates.items() if rate is not None}


def detect(
    split: Split, posteriors: Scores, keywords: Sequence[str], smooth_frames: int, window_frames: int
) -> tuple[list[Detected], dict[str, float]]:
    """Detect keywords in every utterance.

    Args:
        split: the utterances.
        posteriors: to probabilities (T, 2 + K).
        keywords: K words, in output order.
        smooth_frames, window_frames: w_smooth and w_max.
    Returns: what was detected, and {"network"} processor seconds, smoothing included.
    """
    detected, spent = [], 0.0
    guesses = {SILENCE_CLASS: "", OTHER_CLASS: None} | {FIRST_KEYWORD_CLASS + index: keyword for index, keyword in enumerate(keywords)}
    for utterance, features in progress(split.items(), f"detecting {split.name}", total=len(split.utterances)):
        start = time.process_time()
        confidence = utterance_confidence(posteriors(features), smooth_frames, window_frames)
        spent += time.process_time() - start
        guess = guesses[isolated_class(confidence)]
        detected.append(Detected(utterance.id, utterance.speaker, spoken(utterance.words), confidence[FIRST_KEYWORD_CLASS:], guess))
    return detected, {"network": spent}


def feature_rtf(split: Split, options: FeatsOptions, sample_rate: int, resample: bool) -> float:
    """Processor seconds of feature extraction for each second of audio, on the split's sample of 20 utterances."""
    spent = seconds = 0.0
    for utterance in split.sampled(SAMPLE_UTTERANCES).utterances.values():
        samples = read_audio(utterance.wav, sample_rate, utterance.start, utterance.end, resample)
        start = time.process_time()
        compute(split.kind, samples, options, sample_rate)
        spent += time.process_time() - start
        seconds += len(samples) / sample_rate
    return spent / seconds


def real_time_factors(spent: dict[str, float], seconds: float, features: float) -> dict[str, float]:
    """{"rtf", "rtf_features", "rtf_network", ...} of processor seconds spent on `seconds` of audio, both in s."""
    parts = {f"rtf_{part}": value / seconds for part, value in spent.items()} | {"rtf_features": features}
    return {"rtf": sum(parts.values())} | parts
