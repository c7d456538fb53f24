"""What a corpus holds and what is odd about it, told before the first run: sizes, rates, lengths, duplicates, leakage, words."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cgs.base.errors import DataError
from cgs.base.files import file_digest
from cgs.base.log import progress
from cgs.base.units import duration, percent
from cgs.data.corpus import SILENCE_WORD, Seconds, Utterance
from cgs.data.screening import MIN_SECONDS, REQUIRED_SPLITS, says_something
from cgs.data.text import count_oov, listed

MOST_NAMED = 5


@dataclass
class Survey:
    """What was found.

    Args:
        splits: the utterances.
        seconds: length of each utterance whose recording could be read, s.
        rates: sample rate of each recording that could be read, Hz.
        problems: what stage 1 will refuse, each with its place and remedy.
        empty: utterances without a transcript, of zeros only, or too short: stage 1 drops them up to a limit.
        same_audio: groups of utterances whose recordings are equal, byte for byte.
        missing: words outside the lexicon with their counts.
        n_phones: phones of the lexicon.
    """

    splits: dict[str, list[Utterance]]
    seconds: dict[str, Seconds] = field(default_factory=dict)
    rates: dict[Path, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    same_audio: list[list[str]] = field(default_factory=list)
    missing: Counter[str] = field(default_factory=Counter)
    n_phones: int = 0

    def split_seconds(self, split: str) -> Seconds:
        """Speech of a split, s."""
        return sum(self.seconds.get(utterance.id, 0.0) for utterance in self.splits.get(split, []))

    def speakers(self, split: str) -> set[str]:
        """Speakers of a split."""
        return {utterance.speaker for utterance in self.splits.get(split, [])}

    def speaker_seconds(self, split: str) -> dict[str, Seconds]:
        """Speech of each speaker of a split, s."""
        told: dict[str, Seconds] = defaultdict(float)
        for utterance in self.splits.get(split, []):
            told[utterance.speaker] += self.seconds.get(utterance.id, 0.0)
        return told

    @property
    def speakers_known(self) -> bool:
        """False where each utterance stands for a speaker of its own."""
        return any(utterance.speaker != utterance.id for utterance in everyone(self.splits))

    def words(self, split: str) -> Counter[str]:
        """Words of a split with their counts."""
        return Counter(word for utterance in self.splits.get(split, []) for word in utterance.words if word != SILENCE_WORD)

    def rate_seconds(self) -> dict[int, Seconds]:
        """Speech at each sample rate, s."""
        told: dict[int, Seconds] = defaultdict(float)
        for utterance in everyone(self.splits):
            if utterance.wav in self.rates:
                told[self.rates[utterance.wav]] += self.seconds.get(utterance.id, 0.0)
        return told

    def shared_speakers(self) -> dict[str, list[str]]:
        """For dev and each test split, the speakers that are in training too."""
        return {split: sorted(self.speakers(split) & self.speakers("train")) for split in self.splits if split != "train"}

    def shared_sentences(self) -> dict[str, int]:
        """For dev and each test split, how many utterances have the words of one in training."""
        known = {utterance.words for utterance in self.splits["train"]} - {()}
        return {split: sum(utterance.words in known for utterance in told) for split, told in self.splits.items() if split != "train"}


def survey(splits: dict[str, list[Utterance]], lexicon: Mapping[str, Iterable[tuple[str, ...]]]) -> Survey:
    """Look at every recording's header, and at the bytes of those of equal size.

    Args:
        splits: the utterances.
        lexicon: pronunciations of each word.
    """
    found = Survey(splits)
    found.problems += [f"no utterances in split {split} (name it in the corpus, or add recordings)" for split in REQUIRED_SPLITS if not splits.get(split)]
    _measure(found)
    for name, count in Counter(utterance.id for utterance in everyone(splits)).items():
        if count > 1:
            found.problems.append(f"utterance {name}: duplicate id, listed {count} times (keep one, or give each its own)")
    found.same_audio = same_audio(everyone(splits))
    places = {utterance.id: (split, utterance.wav) for split, told in splits.items() for utterance in told}
    for group in found.same_audio:
        names, wavs = (sorted({str(places[name][part]) for name in group}) for part in (0, 1))
        if len(names) > 1 and len(wavs) == 1:
            found.problems.append(f"utterance {group[0]}: the same recording is in {' and in '.join(names)} ({group[1]}) (correct the split)")
    found.missing = count_oov((utterance.words for utterance in everyone(splits)), lexicon.keys() | {SILENCE_WORD})
    found.n_phones = len({phone for told in lexicon.values() for phones in told for phone in phones})
    return found


def everyone(splits: Mapping[str, list[Utterance]]) -> list[Utterance]:
    """The utterances of all splits."""
    return [utterance for told in splits.values() for utterance in told]


def _measure(found: Survey) -> None:
    """Lengths, rates, and recordings that cannot be read."""
    from cgs.data.audio import audio_info, is_silent

    lengths: dict[Path, Seconds] = {}
    bad: set[Path] = set()
    for utterance in progress(everyone(found.splits), "reading headers"):
        if utterance.wav not in lengths and utterance.wav not in bad:
            try:
                found.rates[utterance.wav], lengths[utterance.wav] = audio_info(utterance.wav)
            except DataError as error:
                bad.add(utterance.wav)
                found.problems.append(f"utterance {utterance.id}: {error}")
        if utterance.wav in bad:
            continue
        length = lengths[utterance.wav]
        start, end = utterance.start or 0.0, length if utterance.end is None else utterance.end
        if not 0 <= start < end <= length + 1e-6:
            found.problems.append(f"utterance {utterance.id}: part {start} s to {end} s is not inside {utterance.wav} ({length:.3f} s) (mend the times)")
            continue
        found.seconds[utterance.id] = end - start
        try:
            if not utterance.words or end - start < MIN_SECONDS or (says_something(utterance) and is_silent(utterance.wav, start, end)):
                found.empty.append(utterance.id)
        except DataError as error:
            found.problems.append(f"utterance {utterance.id}: {error}")


def same_audio(utterances: Iterable[Utterance]) -> list[list[str]]:
    """Groups of utterances with the same sound: equal files, and the same part of them."""
    whole = [utterance for utterance in utterances if utterance.wav.is_file()]
    sizes = defaultdict(set)
    for utterance in whole:
        sizes[utterance.wav.stat().st_size].add(utterance.wav)
    suspects = [wav for wavs in sizes.values() if len(wavs) > 1 for wav in sorted(wavs)]
    digests = {wav: file_digest(wav) for wav in progress(suspects, "comparing recordings")}
    groups: dict[tuple[str, Seconds | None, Seconds | None], set[str]] = defaultdict(set)
    for utterance in whole:
        groups[digests.get(utterance.wav, str(utterance.wav)), utterance.start, utterance.end].add(utterance.id)
    return sorted(sorted(group) for group in groups.values() if len(group) > 1)


def report(found: Survey) -> list[str]:
    """The survey as lines for a person."""
    lines = [f"{'split':<12}{'utterances':>11}{'speech':>11}{'speakers':>10}{'words':>9}{'different':>11}"]
    for split, told in found.splits.items():
        words = found.words(split)
        lines.append(f"{split:<12}{len(told):>11}{duration(found.split_seconds(split)):>11}{len(found.speakers(split)):>10}{words.total():>9}{len(words):>11}")
    rates = Counter(found.rates.values())
    odd = [str(wav) for wav, rate in found.rates.items() if rates[rate] < max(rates.values())]
    told_rates = ", ".join(f"{rate} Hz ({count})" for rate, count in rates.most_common()) or "none"
    lines.append(f"sample rates: {told_rates}{f', the first odd one {odd[0]}' if odd else ''}")
    lengths = sorted(found.seconds.values())
    if lengths:
        lines.append(f"lengths: {lengths[0]:.2f} s at least, {statistics.median(lengths):.2f} s median, {lengths[-1]:.2f} s at most")
    lines.append(_named("without a transcript, silent, or too short", found.empty))
    lines.append(_named("same recording twice", [" = ".join(group[:3]) for group in found.same_audio]))
    for split, count in found.shared_sentences().items():
        sentences = f"{count} of {len(found.splits[split])} sentences in both ({percent(count / max(len(found.splits[split]), 1), 1)} %)"
        lines.append(f"{split} and train: {sentences}; {_named('speakers in both', found.shared_speakers()[split])}")
    n_words = len({word for split in found.splits for word in found.words(split)})
    missing = f": {listed(found.missing, MOST_NAMED)}" if found.missing else ""
    lines.append(f"lexicon: {found.n_phones} phones; {len(found.missing)} of {n_words} words missing{missing}")
    return lines


def _named(what: str, names: list[str]) -> str:
    shown = ", ".join(names[:MOST_NAMED]) + (f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")
    return f"{what}: {f'{len(names)} ({shown})' if names else 'none'}"
