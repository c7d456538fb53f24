"""Whether a corpus may be used: its recordings, its splits and its lexicon, checked before anything is written.

Utterances that are empty, silent or too short are dropped, counted and limited; every other problem ends the run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from cgs.base.errors import DataError
from cgs.base.files import digest_of, file_digest
from cgs.base.log import LOG, progress
from cgs.base.options import DataOptions
from cgs.data.audio import is_silent
from cgs.data.corpus import SILENCE_WORD, Corpus, Seconds, Utterance
from cgs.data.lexicon import Pronunciations
from cgs.data.text import count_oov, listed, oov_fraction
from cgs.data.validate import Problems, check_recording

MIN_SECONDS: Seconds = 0.1
"""Shorter recordings hold fewer frames than the states of one short word."""
REQUIRED_SPLITS = ("train", "dev", "test")


@dataclass
class Screened:
    """What may be used of a corpus.

    Args:
        splits: the utterances kept.
        durations: s, by utterance.
        dropped: how many utterances of each split were dropped, by reason.
        digest: of transcripts, lexicon, text and the recordings' bytes; the same wherever the corpus lies.
    """

    splits: dict[str, list[Utterance]]
    durations: dict[str, Seconds] = field(default_factory=dict)
    dropped: dict[str, Counter[str]] = field(default_factory=dict)
    digest: str = ""


def screen(corpus: Corpus, options: DataOptions) -> Screened:
    """Check every utterance of a corpus and drop those that are empty, silent or too short.

    Raises: ProblemsError: missing, truncated or NaN recordings, another rate, duplicate ids, splits that overlap.
        DataError: a split is missing or empty, or more were dropped than data.max_bad_fraction allows.
    """
    missing = [name for name in REQUIRED_SPLITS if not corpus.splits.get(name)]
    if missing:
        raise DataError(f"no utterances in split {', '.join(missing)}", "check the corpus and the [local] options of the recipe")
    problems = Problems("corpus")
    _check_names(corpus.splits, problems)
    _check_overlap(corpus, problems)
    screened = Screened({})
    recordings: dict[Path, tuple[Seconds, str]] = {}
    for name, utterances in corpus.splits.items():
        kept, dropped = [], Counter[str]()
        for utterance in progress(utterances, f"checking {name}"):
            reason = _screen_one(utterance, options, recordings, screened, problems)
            if reason:
                dropped[reason] += 1
                LOG.info("  dropped: utterance %s: %s", utterance.id, reason)
            else:
                kept.append(utterance)
        screened.splits[name], screened.dropped[name] = kept, dropped
    problems.raise_if_any()
    _check_dropped(corpus, screened, options.max_bad_fraction)
    screened.digest = _content_digest(corpus, screened, recordings)
    return screened


def check_words(corpus: Corpus, lexicon: Pronunciations, max_oov_fraction: float) -> dict[str, dict[str, object]]:
    """Compare transcripts, text and keywords with the lexicon.

    Args:
        corpus: as the data script made it.
        lexicon: with the silence word.
        max_oov_fraction: running words of the training text outside the lexicon, at most.
    Returns: for each split and for "lm", {"fraction", "words": {word: count}} of the words outside the lexicon.
    Raises: DataError: too many, or a keyword that the lexicon or the training transcripts lack.
    """
    texts = {name: [u.words for u in utterances] for name, utterances in corpus.splits.items()} | {"lm": list(corpus.lm_text)}
    found = {name: count_oov(sentences, lexicon) for name, sentences in texts.items()}
    for name in ("train", "lm"):
        fraction = oov_fraction(texts[name], lexicon)
        if fraction > max_oov_fraction:
            what = "training transcripts" if name == "train" else "language-model text"
            raise DataError(
                f"lexicon: {fraction:.2%} of the words of the {what} are missing, {max_oov_fraction:.2%} allowed: {listed(found[name])}",
                "add their pronunciations, or raise data.max_oov_fraction",
            )
    said = {word for words in texts["train"] for word in words}
    for keyword in corpus.keywords:
        if keyword not in lexicon or keyword not in said:
            raise DataError(f"keyword {keyword!r} is not in the {'lexicon' if keyword not in lexicon else 'training transcripts'}", "correct the keywords")
    return {name: {"fraction": oov_fraction(texts[name], lexicon), "words": dict(sorted(found[name].items()))} for name in texts}


def _screen_one(
    utterance: Utterance, options: DataOptions, recordings: dict[Path, tuple[Seconds, str]], screened: Screened, problems: Problems
) -> str:
    """Reason to drop an utterance, or ""; notes its length and its problems."""
    if not utterance.words:
        return "empty transcript"
    try:
        if utterance.wav not in recordings:
            seconds = check_recording(utterance.wav, f"utterance {utterance.id}", options.sample_rate, options.resample)
            recordings[utterance.wav] = seconds, file_digest(utterance.wav)
    except DataError as error:
        problems.found.append(str(error))
        return ""
    seconds = recordings[utterance.wav][0]
    start, end = utterance.start or 0.0, seconds if utterance.end is None else utterance.end
    if not 0 <= start <= end <= seconds + 1e-6:
        problems.add(f"utterance {utterance.id}", f"part {start} s to {end} s is not inside {utterance.wav} ({seconds:.3f} s)", "mend the times")
        return ""
    screened.durations[utterance.id] = end - start
    if not seconds:
        return "no samples"
    if end - start < MIN_SECONDS:
        return f"shorter than {MIN_SECONDS} s"
    return "nothing but zeros" if says_something(utterance) and is_silent(utterance.wav, start, end) else ""


def says_something(utterance: Utterance) -> bool:
    """True where the transcript holds more than the silence word: a recording of silence may be all zeros, speech may not."""
    return any(word != SILENCE_WORD for word in utterance.words)


def _check_names(splits: dict[str, list[Utterance]], problems: Problems) -> None:
    for name, utterances in splits.items():
        counts = Counter(u.id for u in utterances)
        for utterance in sorted(key for key, count in counts.items() if count > 1):
            problems.add(f"{name}: utterance {utterance}", f"duplicate, listed {counts[utterance]} times", "keep one")


def _check_overlap(corpus: Corpus, problems: Problems) -> None:
    """No utterance and no sound in both what is trained on and what is tested on."""
    _check_sounds(corpus, problems)
    speakers = {name: {u.speaker for u in utterances} for name, utterances in corpus.splits.items()}
    for name in corpus.unseen_speakers:
        for other in ("train", "dev"):
            both = speakers[name] & speakers[other] if name not in ("train", other) else set()
            for speaker in sorted(both):
                problems.add(f"speaker {speaker}", f"in {other} and in {name}, whose speakers should be unseen", "correct the split")


def _check_sounds(corpus: Corpus, problems: Problems) -> None:
    kind = {"train": "train", "dev": "dev"}
    seen: dict[str, tuple[str, str]] = {}
    spans: dict[Path, list[tuple[Seconds, Seconds, str, str]]] = {}
    for name, utterances in corpus.splits.items():
        for utterance in utterances:
            group = kind.get(name, "test")
            for source in (f"utterance id {utterance.id}", *(f"recording {source}" for source in corpus.sources.get(utterance.id, ()))):
                if seen.setdefault(source, (group, utterance.id))[0] != group:
                    problems.add(f"utterance {utterance.id} of {name}", f"{source} is in {seen[source][0]} too ({seen[source][1]})", "correct the split")
            end = float("inf") if utterance.end is None else utterance.end
            spans.setdefault(utterance.wav, []).append((utterance.start or 0.0, end, group, utterance.id))
    for wav, listed_spans in spans.items():
        listed_spans.sort()
        for (_, end, group, name), (start, _, other, other_name) in zip(listed_spans, listed_spans[1:], strict=False):
            if start < end and group != other:
                problems.add(f"recording {wav}", f"in {group} ({name}) and in {other} ({other_name})", "correct the split")


def _check_dropped(corpus: Corpus, screened: Screened, limit: float) -> None:
    for name, counts in screened.dropped.items():
        fraction = counts.total() / len(corpus.splits[name])
        if fraction > limit:
            first = next(u.id for u in corpus.splits[name] if u not in screened.splits[name])
            reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
            raise DataError(
                f"{name}: {counts.total()} of {len(corpus.splits[name])} utterances cannot be used ({reasons}; the first is {first}), {limit:.2%} allowed",
                "mend or remove them, or raise data.max_bad_fraction",
            )
        if not screened.splits[name]:
            raise DataError(f"{name}: every utterance was dropped", "check the corpus")


def _content_digest(corpus: Corpus, screened: Screened, recordings: dict[Path, tuple[Seconds, str]]) -> str:
    def told(utterance: Utterance) -> list[object]:
        return [utterance.id, utterance.speaker, utterance.words, utterance.start, utterance.end, utterance.gender, recordings[utterance.wav][1]]

    splits = {name: [told(u) for u in sorted(utterances, key=lambda u: u.id)] for name, utterances in screened.splits.items()}
    return digest_of([splits, sorted(corpus.lexicon), corpus.lm_text, corpus.keywords, SILENCE_WORD])
