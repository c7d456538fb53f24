"""The choice of decoding weights on dev data, one weight after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Tuned:
    """Weights of a search and how they were found.

    Args:
        acoustic_scale: weight of the log-likelihoods; its reciprocal is the language-model weight.
        insertion_penalty: cost a word.
        at_edge: the best scale is the smallest or the largest tried, so that a better one may lie beyond.
        tried: {"<scale> <penalty>": WER on dev}.
    """

    acoustic_scale: float
    insertion_penalty: float
    at_edge: bool
    tried: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """As a result file holds it."""
        return {"acoustic_scale": self.acoustic_scale, "insertion_penalty": self.insertion_penalty, "at_edge": self.at_edge, "tried": self.tried}


def choose_weights(
    scales: Sequence[float], penalties: Sequence[float], rates: Callable[[Sequence[float], Sequence[float]], dict[tuple[float, float], float]]
) -> Tuned:
    """Choose the acoustic scale at the first insertion penalty, then the penalty at that scale, by error rate.

    Args:
        scales, penalties: to try; of equally good ones the middle one is chosen, farthest from where it would get worse.
        rates: (scales, penalties) -> {(scale, penalty): error rate on dev} for every pair.
    """
    tried: dict[tuple[float, float], float] = {}
    if len(scales) * len(penalties) > 1:
        tried |= rates(scales, penalties[:1])
    scale = _middle_of_best(scales, {s: tried.get((s, penalties[0]), 0.0) for s in scales})
    if len(penalties) > 1:
        tried |= rates([scale], penalties[1:])
    penalty = _middle_of_best(penalties, {p: tried.get((scale, p), 0.0) for p in penalties})
    at_edge = len(scales) > 2 and scale in (min(scales), max(scales))
    return Tuned(scale, penalty, at_edge, {f"{s:g} {p:g}": rate for (s, p), rate in tried.items()})


def choose_value(values: Sequence[float], rate: Callable[[float], float]) -> tuple[float, dict[str, float]]:
    """Choose one weight by error rate.

    Args:
        values: to try; of equally good ones the middle one is chosen. A single one is taken untried.
        rate: of a value, on dev.
    Returns: the choice, and {"<value>": error rate on dev}.
    """
    tried = {value: rate(value) for value in values} if len(values) > 1 else dict.fromkeys(values, 0.0)
    return _middle_of_best(values, tried), {f"{value:g}": found for value, found in tried.items()} if len(values) > 1 else {}


def _middle_of_best(values: Sequence[float], rate: dict[float, float]) -> float:
    best = sorted(value for value in values if rate[value] == min(rate.values()))
    return best[(len(best) - 1) // 2]
