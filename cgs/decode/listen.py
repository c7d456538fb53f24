"""A stream of samples to words while they are spoken: features, normalisation, scores and search, all in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cgs.data.corpus import Seconds
from cgs.decode.model_dir import Listening, Model
from cgs.decode.transcript import Utterance


@dataclass(frozen=True)
class Event:
    """Something to tell.

    Args:
        at: how much of the stream had come, s.
        partial: words of the utterance that is going on; they may still change.
        final: an utterance that has ended; None for a partial result.
    """

    at: Seconds
    partial: tuple[str, ...] = ()
    final: Utterance | None = None

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        at = {"at": round(self.at, 3)}
        return at | ({"partial": " ".join(self.partial)} if self.final is None else {"final": self.final.as_dict()})


class Ear:
    """Listens to one stream. Its memory grows with the longest utterance, not with the stream.

    Args:
        model: what it knows.
        choice: where utterances end, and what counts as a keyword.
    """

    def __init__(self, model: Model, choice: Listening) -> None:
        self._rate, self._n_samples = model.sample_rate, 0
        self._told: tuple[str, ...] = ()
        self._extractor, self._normaliser, self._scorer = model.extractor(), model.normaliser(), model.scorer()
        self._listener = model.listener(choice)

    @property
    def seconds(self) -> Seconds:
        """How much of the stream has come."""
        return self._n_samples / self._rate

    def accept(self, samples: np.ndarray) -> Iterator[Event]:
        """Take samples (n,) float32 in [-1, 1]; yields utterances that have ended, then what is new of the one that goes on."""
        self._n_samples += len(samples)
        yield from self._features(self._extractor.accept(samples))
        partial = self._listener.partial
        if partial != self._told:
            self._told = partial
            yield Event(self.seconds, partial)

    def finish(self) -> Iterator[Event]:
        """The stream is over; yields what had not ended."""
        if not self._n_samples:
            return
        yield from self._features(self._extractor.finish())
        for utterance in [*self._listener.accept(self._scorer.finish()), *self._listener.finish()]:
            yield Event(self.seconds, final=utterance)

    def _features(self, features: np.ndarray) -> Iterator[Event]:
        if len(features):
            for utterance in self._listener.accept(self._scorer.accept(self._normaliser.accept(features))):
                self._told = ()
                yield Event(self.seconds, final=utterance)
