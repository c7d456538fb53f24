"""A model directory: everything that a trained model needs to hear speech on any machine, and nothing else.

    model.json            what it is, how its features are made, weights of its search, who made its corpus, a checksum of every file
    network/              model.json (priors, context) and model.cgs (packed) or model.safetensors (float)
    cmvn_global.{ark,scp} statistics of the training split, a Kaldi archive
    lang/                 words.txt phones.txt sets.txt lexicon.txt (acoustic models, as the next two)
    transitions.safetensors   what each transition-id stands for
    HCLG.fst              decoding graph, OpenFst
    NOTICE                licences and attribution, for people

Owns the reading of it; `cgs.decode.export` writes it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cgs.base.errors import ConfigError, DataError, FormatError, ShapeError
from cgs.base.files import file_digest, read_json, writing
from cgs.base.options import FeatsOptions
from cgs.data.corpus import SILENCE_WORD, Seconds
from cgs.decode.graph import GRAPH_FILE
from cgs.decode.scores import NetworkScores
from cgs.decode.search import GraphSearch, with_insertion_penalty
from cgs.decode.stream import ContextScores, StreamSearch
from cgs.decode.timing import WordTimes
from cgs.decode.transcript import Utterance
from cgs.feats import cmvn
from cgs.feats.archive import read_archive
from cgs.feats.compute import Extractor
from cgs.gmm.transitions import TransitionTable
from cgs.lang.lang import load_lang, read_fst

KIND, VERSION = "cgs model", 1
MODEL_FILE, CMVN_STEM, TRANSITIONS_FILE = "model.json", "cmvn_global", "transitions.safetensors"
NETWORK_DIR, LANG_DIR = "network", "lang"
BLOCK_FRAMES = 500
"""A recording on disk goes through the network in pieces of 5 s, so that memory does not grow with its length."""


@dataclass(frozen=True)
class Listening:
    """What the user may choose.

    Args:
        pause: s of silence that end an utterance.
        longest: s, the longest utterance.
        threshold: least confidence of a keyword.
    Raises: ConfigError: limits that leave nothing to hear.
    """

    pause: Seconds = 0.8
    longest: Seconds = 20.0
    threshold: float = 0.5

    def __post_init__(self) -> None:
        if not 0.05 <= self.pause < 1e6:
            raise ConfigError(f"--pause {self.pause:g}: an utterance cannot end there", "give 0.05 s or more; a large value never ends one")
        if not 1 <= self.longest < 1e6:
            raise ConfigError(f"--longest {self.longest:g}: too short or too long for an utterance", "give 1 s or more, e.g. 20")
        if not 0 < self.threshold <= 1:
            raise ConfigError(f"--threshold {self.threshold:g}: no confidence", "give a value above 0 and at most 1")


class Listener(Protocol):
    """Scores in, in pieces of any size; utterances out. `StreamSearch` and `StreamSpotter` are two."""

    @property
    def partial(self) -> tuple[str, ...]: ...

    def accept(self, scores: np.ndarray) -> list[Utterance]: ...

    def finish(self) -> list[Utterance]: ...


class Model:
    """A model directory that has been checked file by file.

    Args:
        directory: what `cgs export` wrote.
    Raises: DataError: no such directory. FormatError: not a model directory, of another version, or a file missing or altered.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.facts = checked_facts(directory)
        self.is_acoustic = self.facts["task"] == "asr"
        self.sample_rate: int = self.facts["sample_rate"]
        self.cmvn: str = self.facts["features"]["cmvn"]
        self._feats = FeatsOptions(**self.facts["feats"])
        self._global = read_archive(directory / f"{CMVN_STEM}.scp")["global"]

    @property
    def frame_shift(self) -> Seconds:
        """s."""
        return self._feats.frame_shift

    @cached_property
    def _scores(self) -> NetworkScores:
        return NetworkScores(self.facts["engine"], self.directory / NETWORK_DIR, self.directory / NETWORK_DIR)

    @cached_property
    def _times(self) -> WordTimes:
        return WordTimes(load_lang(self.directory / LANG_DIR), read_transitions(self.directory / TRANSITIONS_FILE), self.frame_shift)

    @cached_property
    def _search(self) -> GraphSearch:
        weights, lang = self.facts["decode"], load_lang(self.directory / LANG_DIR)
        graph = read_fst(self.directory / GRAPH_FILE)
        if weights["insertion_penalty"]:
            graph = with_insertion_penalty(graph, lang.words, weights["insertion_penalty"], free=(SILENCE_WORD,))
        pdf = read_transitions(self.directory / TRANSITIONS_FILE).pdf
        return GraphSearch(graph, pdf, lang.words, weights["beam"], weights["max_active"])

    def load(self) -> None:
        """Hear a second of nothing: everything has been read then, fits together, and the first recording need not wait for it."""
        self.transcribe(np.zeros(self.sample_rate, dtype=np.float32), Listening())

    def scorer(self) -> ContextScores:
        """Normalised features in, scaled log-likelihoods or posteriors out."""
        features = self.facts["features"]
        return ContextScores(self._weighted if self.is_acoustic else self._scores.posteriors, features["left"], features["right"])

    def _weighted(self, features: np.ndarray) -> np.ndarray:
        return self._scores.log_likelihoods(features) * np.float32(self.facts["decode"]["acoustic_scale"])

    def listener(self, choice: Listening) -> Listener:
        """What turns scores into utterances."""
        if self.is_acoustic:
            return StreamSearch(self._search, self._times, round(choice.pause / self.frame_shift), round(choice.longest / self.frame_shift))
        from cgs.decode.spotting import StreamSpotter  # loads torch, which a packed recogniser does without

        kws = self.facts["kws"]
        return StreamSpotter(kws["keywords"], kws["smooth_frames"], kws["window_frames"], choice.threshold, self.frame_shift)

    def extractor(self) -> Extractor:
        """Samples in, features out."""
        return Extractor(self.facts["features"]["kind"], self._feats, self.sample_rate)

    def normaliser(self, recording: np.ndarray | None = None) -> cmvn.RunningCmvn | cmvn.FixedCmvn:
        """What normalises features as they come.

        Args:
            recording: (T, D), all of them, where they are known: a recording on disk counts as one speaker. In a stream they
                are not, and a model trained on whole speakers gets the mean and variance of the last seconds instead.
        """
        if self.cmvn == "global":
            return cmvn.FixedCmvn(self._global)
        if self.cmvn == "running" or recording is None:
            return cmvn.RunningCmvn(self._global)
        return cmvn.FixedCmvn(cmvn.smoothed(cmvn.statistics(recording), self._global))

    def transcribe(self, samples: np.ndarray, choice: Listening) -> list[Utterance]:
        """Everything said in a recording.

        Args:
            samples: (n,) float32 in [-1, 1], at the model's rate.
            choice: where utterances end, and what counts as a keyword.
        Raises: DataError: too short for a frame.
        """
        features = self._features(samples)
        normaliser, scorer, listener = self.normaliser(features), self.scorer(), self.listener(choice)
        heard: list[Utterance] = []
        for start in range(0, len(features), BLOCK_FRAMES):
            heard += listener.accept(scorer.accept(normaliser.accept(features[start : start + BLOCK_FRAMES])))
        return heard + listener.accept(scorer.finish()) + listener.finish()

    def normalised(self, samples: np.ndarray) -> np.ndarray:
        """Normalised features (T, D) float32 of a recording, as the network reads them; as `transcribe`."""
        features = self._features(samples)
        return self.normaliser(features).accept(features)

    def _features(self, samples: np.ndarray) -> np.ndarray:
        extractor = self.extractor()
        features = np.concatenate([extractor.accept(samples), extractor.finish()])
        if not len(features):
            raise DataError(f"{len(samples)} samples are too short for a frame of features", "leave the recording out")
        return features


def checked_facts(directory: Path) -> dict[str, Any]:
    """Read model.json and check every file against it; see `Model` for what is raised."""
    path, remedy = directory / MODEL_FILE, "export the model again with cgs export, or copy the whole folder again"
    if not directory.is_dir():
        raise DataError(f"{directory}: no such directory", "give a folder that cgs export wrote")
    if not path.is_file():
        raise FormatError(f"{directory}: not a model directory, it holds no {MODEL_FILE}", "give a folder that cgs export wrote")
    facts = read_json(path)
    if not isinstance(facts, dict) or facts.get("kind") != KIND:
        raise FormatError(f"{path}: not the description of an exported model", "give a folder that cgs export wrote, not a part of an experiment")
    if facts.get("version") != VERSION:
        raise FormatError(f"{path}: version {facts.get('version')}, this program reads {VERSION}", "export the model again, or use a matching program")
    for name, digest in facts["files"].items():
        file = directory / name
        if not file.is_file():
            raise FormatError(f"{file}: missing", remedy)
        if file_digest(file) != digest:
            raise FormatError(f"{file}: altered since it was exported (its checksum does not match)", remedy)
    return facts


def write_transitions(path: Path, table: TransitionTable) -> None:
    """Write the meaning of transition-ids as safetensors."""
    from safetensors.numpy import save

    with writing(path, "wb") as stream:
        stream.write(save({field.name: getattr(table, field.name) for field in fields(table)}))


def read_transitions(path: Path) -> TransitionTable:
    """Read what `write_transitions` wrote. Raises: FormatError: truncated, or columns missing or of unequal length."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        table = TransitionTable(**load_file(path))
    except (SafetensorError, TypeError, OSError) as error:
        raise FormatError(f"{path}: not a table of transition-ids ({error})", "export the model again") from error
    lengths = {len(getattr(table, field.name)) for field in fields(table)}
    if len(lengths) != 1:
        raise ShapeError(f"{path}: columns of {sorted(lengths)} transition-ids", "export the model again")
    return table
