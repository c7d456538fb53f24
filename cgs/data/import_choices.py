"""What --new chooses for a corpus: how dev and test are drawn, the sample rate, the keywords, and sizes that fit its hours."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, replace

from cgs.base.options import DataOptions
from cgs.data.corpus import SILENCE_WORD, Seconds, Utterance
from cgs.data.import_items import Item
from cgs.data.imports import Options, place_of, speaker_of
from cgs.data.survey import Survey

FEWEST_SPEAKERS = 5
"""With fewer, dev and test would be one voice each and train would lack most of them: utterances are drawn instead."""
SHARE = 0.1
NEAR_SHARE = (0.05, 0.2)
HIGHEST_RATE = 16000
MOST_KEYWORDS = 10
MOST_EMPTY = 0.02
"""Utterances without a transcript up to this share of a split are let pass; more is a question for the user."""

LDA_HOURS = 1.0
"""With less, LDA and MLLT are estimated from too few frames of each pdf."""
MANY_SPEAKERS = 10
ADAPTATION_SECONDS: Seconds = 30.0
"""Speech of a speaker that adaptation needs: 3,000 frames for the 40 x 41 numbers of a transform, half of them pauses."""


@dataclass(frozen=True)
class Size:
    """Options that follow from the hours of training speech.

    Args:
        hours: up to this many.
        model: last step of the alignment.
        leaves, mono, gaussians: of it.
        hidden: widths of the hidden layers.
        block: side of a block.
        masks: bands hidden in training.
    """

    hours: float
    model: str
    leaves: int
    mono: int
    gaussians: int
    hidden: tuple[int, ...]
    block: int
    masks: int = 0


SIZES = (
    Size(0.2, "mono", 100, 100, 500, (128, 128), 16),
    Size(1, "tri", 200, 400, 2000, (256, 256, 256), 16),
    Size(10, "tri", 1000, 1000, 9000, (512, 512, 512, 512), 32, 1),
    Size(float("inf"), "tri", 2500, 2000, 20000, (1024, 1024, 1024, 1024), 64, 1),
)


KEYWORD_SIZE = {"leaves": 300, "mono": 500, "gaussians": 3000}
"""At most, where the GMM only has to tell where a few words begin and end."""


def size_for(hours: float, keywords: bool) -> Size:
    """The sizes for so many hours of training speech, as docs/new-corpus.md has them."""
    size = next(size for size in SIZES if hours <= size.hours)
    return replace(size, **{name: min(most, getattr(size, name)) for name, most in KEYWORD_SIZE.items()}) if keywords else size


def ladder(found: Survey, hours: float, keywords: bool) -> tuple[str, str]:
    """The last step of the alignment, as in align.model, and why.

    Args:
        found: the corpus.
        hours: training speech.
        keywords: a keyword recipe, whose GMM only has to find a few words.
    Returns: "sat" where there are many voices and enough speech of each to adapt to, in dev and in the test splits too.
    """
    model = size_for(hours, keywords).model
    if keywords or model == "mono" or hours < LDA_HOURS:
        return model, "too little speech for triphones" if model == "mono" else ""
    n_speakers = len(found.speakers("train"))
    if not found.speakers_known or n_speakers < MANY_SPEAKERS:
        return "lda_mllt", "too few speakers, or unknown ones, to adapt to"
    each = {split: statistics.median(found.speaker_seconds(split).values()) for split, told in found.splits.items() if told}
    poorest = min(each, key=each.__getitem__)
    if each[poorest] < ADAPTATION_SECONDS:
        return "lda_mllt", f"half of the speakers of {poorest} say no more than {each[poorest]:.0f} s: too little to adapt to"
    return "sat", f"{n_speakers} speakers, {each['train']:.0f} s of each (median)"


def with_draw(items: Iterable[Item], options: Options) -> Options:
    """The options with a way to draw whatever of dev and test the corpus lacks.

    Speakers are drawn where all are known and there are enough. The limits are a tenth each; where these would catch far
    more or fewer names, they are put between the hashes of the names there are.
    """
    items = list(items)
    given = {item.split for item in items}
    shares = (0 if any(split.startswith("test") for split in given) else SHARE, 0 if "dev" in given else SHARE)
    pool = [item for item in items if item.split in ("", "train")]
    told = [speaker_of(item, options) for item in pool]
    by_speaker = all(told) and len(set(told)) >= FEWEST_SPEAKERS
    places = sorted({place_of(name) for name in (told if by_speaker else (item.name for item in pool))})
    test_below, dev_below = _limits(places, *shares)
    return options.model_copy(update={"split_by": "speaker" if by_speaker else "utterance", "test_below": test_below, "dev_below": dev_below})


def _limits(places: list[float], test_share: float, dev_share: float) -> tuple[float, float]:
    limits = (test_share, round(test_share + dev_share, 3))
    caught = [sum(place < limits[0] for place in places), sum(limits[0] <= place < limits[1] for place in places)]
    near = all(NEAR_SHARE[0] * len(places) <= n <= NEAR_SHARE[1] * len(places) for n, share in zip(caught, (test_share, dev_share), strict=True) if share)
    if near or len(places) < 3:
        return limits
    n_test, n_dev = (max(1, round(share * len(places))) if share else 0 for share in (test_share, dev_share))
    return _between(places, n_test), _between(places, n_test + n_dev)


def _between(places: list[float], count: int) -> float:
    """A limit below which `count` of the places lie."""
    return round((places[count - 1] + places[count]) / 2, 6) if count else 0.0


def data_options(found: Survey, has_lexicon: bool) -> DataOptions:
    """Sample rate and what may be missing: the commonest rate, 16 kHz at most; other rates are converted."""
    rates = found.rate_seconds()
    rate = min(max(rates, key=rates.__getitem__), HIGHEST_RATE) if rates else HIGHEST_RATE
    empty = set(found.empty)
    worst = max((sum(u.id in empty for u in told) / len(told) for told in found.splits.values() if told), default=0.0)
    words = found.words("train")
    oov = sum(count for word, count in words.items() if word in found.missing) / max(words.total(), 1) if has_lexicon else 0.0
    return DataOptions(
        sample_rate=rate,
        resample=any(other != rate for other in found.rates.values()),
        max_bad_fraction=_rounded_up(worst) if worst <= MOST_EMPTY else 0.0,
        max_oov_fraction=_rounded_up(oov) if oov <= MOST_EMPTY else 0.0,
    )


def _rounded_up(fraction: float) -> float:
    return round(fraction + 0.0005, 3) if fraction else 0.0


def keywords_for(train: Iterable[Utterance]) -> list[str]:
    """The words of class folders to spot: all, or the most frequent ones where there are many."""
    counts: dict[str, int] = {}
    for utterance in train:
        for word in utterance.words:
            counts[word] = counts.get(word, 0) + (word != SILENCE_WORD)
    ranked = sorted((word for word, count in counts.items() if count), key=lambda word: (-counts[word], word))
    return sorted(ranked[:MOST_KEYWORDS])
