"""Which letters of a word say which of its phones: alignments of a lexicon, learnt from the lexicon alone.

Every letter takes a run of phones: none (silent), one, or a few ("x" takes K S). Owns the units "letter phones" that such pairs
are written as, and their estimation by expectation-maximisation. A letter is a code point, so any script will do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cgs.base.errors import DataError
from cgs.data.corpus import SILENCE_WORD, UNKNOWN_WORD
from cgs.data.lexicon import Pronunciations

Phones = tuple[str, ...]
MIN_RUN, MAX_RUN = 2, 4
"""A letter takes up to 2 phones; more, up to 4, where many words have more than twice as many phones as letters, e.g. in Chinese."""
ALIGNABLE = 0.95
"""Share of the pronunciations that the longest run must do for, if MAX_RUN allows; the others (acronyms) are left out."""
LIKELY_RUN = {0: 0.1, 1: 0.8}
"""How often a letter takes that many phones, before anything is learnt; longer runs share the rest."""
ITERATIONS, TOLERANCE = 20, 1e-3


@dataclass(frozen=True)
class AlignedWord:
    """A pronunciation taken apart.

    Args:
        word: its letters.
        runs: the phones of each letter.
    """

    word: str
    runs: tuple[Phones, ...]

    def units(self) -> tuple[str, ...]:
        """The pairs as strings: "K K", "N N", "E " for a silent letter."""
        return tuple(f"{letter} {' '.join(run)}" for letter, run in zip(self.word, self.runs, strict=True))


@dataclass(frozen=True)
class Alignments:
    """Alignments of a lexicon.

    Args:
        words: one for each pronunciation that could be aligned, in the order of the lexicon.
        log_likelihood: natural logarithm a pronunciation, before each iteration and after the last; never falls.
        left_out: words of pronunciations with more phones than their letters may take.
    """

    words: list[AlignedWord]
    log_likelihood: list[float]
    left_out: list[str]


def phones_of_unit(unit: str) -> Phones:
    """The phones of a pair that `AlignedWord.units` wrote."""
    return tuple(unit[2:].split())


def align_lexicon(lexicon: Pronunciations) -> Alignments:
    """Align every pronunciation of a lexicon.

    Args:
        lexicon: pronunciations; the silence word and the unknown word are passed over.
    Returns: the most likely alignments under the probabilities that expectation-maximisation ends with.
    Raises: DataError: nothing to align.
    Source: Jiampojamarn, Kondrak and Sherif 2007 (many-to-many alignment). Differs: a run of phones belongs to one letter, so that any
        piece of a word has phones of its own; longer spellings of a phone ("th") are one letter with it and silent ones.
    """
    spoken = [(word, phones) for word, ways in lexicon.items() if word not in (SILENCE_WORD, UNKNOWN_WORD) for phones in ways]
    longest = _longest_run(spoken)
    pairs = [(word, phones) for word, phones in spoken if len(phones) <= longest * len(word)]
    if not pairs:
        raise DataError("lexicon: no pronunciation that its word's letters could stand for", "check the lexicon of the corpus")
    groups, runs = _groups(pairs, longest)
    n_others = max(longest - len(LIKELY_RUN) + 1, 1)
    likely = np.array([LIKELY_RUN.get(run, (1 - sum(LIKELY_RUN.values())) / n_others) for run in runs])
    probability = likely / likely.sum()
    history: list[float] = []
    for _ in range(ITERATIONS):
        found = [group.expect(probability) for group in groups]
        history.append(sum(total for total, _ in found) / len(pairs))
        if len(history) > 1 and history[-1] - history[-2] < TOLERANCE:
            break
        counts = np.sum([count for _, count in found], axis=0)
        probability = counts / counts.sum()
    lengths: dict[int, list[int]] = {index: best for group in groups for index, best in group.best(probability)}
    words = [AlignedWord(word, tuple(_cut(phones, lengths[index]))) for index, (word, phones) in enumerate(pairs)]
    return Alignments(words, history, [word for word, phones in spoken if len(phones) > longest * len(word)])


def _longest_run(spoken: Sequence[tuple[str, Phones]]) -> int:
    for longest in range(MIN_RUN, MAX_RUN):
        if sum(len(phones) <= longest * len(word) for word, phones in spoken) >= ALIGNABLE * len(spoken):
            return longest
    return MAX_RUN


def _cut(phones: Phones, lengths: Sequence[int]) -> Iterator[Phones]:
    start = 0
    for length in lengths:
        yield phones[start : start + length]
        start += length


@dataclass
class _Group:
    """Pronunciations of equally many letters, I, and phones, J.

    Args:
        members: N numbers of pronunciations.
        units: for each length of run r, (N, I, J + 1 - r) int: the unit of letter i with the r phones from j on.
    """

    members: np.ndarray
    units: list[np.ndarray]

    def expect(self, probability: np.ndarray) -> tuple[float, np.ndarray]:
        """Log-likelihood of the group, and how often each unit is expected, (units,); letters forwards, then backwards."""
        n, n_letters, width = self.units[0].shape
        after = [np.zeros((n, width)) for _ in range(n_letters + 1)]
        after[0][:, 0] = 1
        scale = np.ones((n_letters + 1, n, 1))
        for i in range(n_letters):
            for r, units in enumerate(self.units):
                after[i + 1][:, r:] += after[i][:, : width - r] * probability[units[:, i]]
            scale[i + 1] = after[i + 1].sum(axis=1, keepdims=True)
            after[i + 1] /= scale[i + 1]
        whole = after[-1][:, -1:]
        expected = np.zeros(len(probability))
        ahead = np.zeros((n, width))
        ahead[:, -1:] = 1 / whole
        for i in reversed(range(n_letters)):
            here = np.zeros((n, width))
            for r, units in enumerate(self.units):
                rest = probability[units[:, i]] * ahead[:, r:] / scale[i + 1]
                here[:, : width - r] += rest
                expected += np.bincount(units[:, i].ravel(), (after[i][:, : width - r] * rest).ravel(), len(expected))
            ahead = here
        return float(np.log(whole).sum() + np.log(scale).sum()), expected

    def best(self, probability: np.ndarray) -> Iterator[tuple[int, list[int]]]:
        """Yield (number of a pronunciation, length of each letter's run) of the most likely alignments."""
        n, n_letters, width = self.units[0].shape
        with np.errstate(divide="ignore"):
            log_probability = np.log(probability)
        score = np.full((n, width), -np.inf)
        score[:, 0] = 0
        chosen = np.zeros((n_letters, n, width), dtype=np.int64)
        for i in range(n_letters):
            ways = np.full((len(self.units), n, width), -np.inf)
            for r, units in enumerate(self.units):
                ways[r, :, r:] = score[:, : width - r] + log_probability[units[:, i]]
            chosen[i], score = ways.argmax(axis=0), ways.max(axis=0)
        for row, member in enumerate(self.members):
            j, lengths = width - 1, []
            for i in reversed(range(n_letters)):
                lengths.append(int(chosen[i, row, j]))
                j -= lengths[-1]
            yield int(member), lengths[::-1]


def _groups(pairs: Sequence[tuple[str, Phones]], longest: int) -> tuple[list[_Group], list[int]]:
    """Pronunciations by their sizes, and the length of the run of phones of each unit."""
    letters = {letter: n for n, letter in enumerate(sorted({letter for word, _ in pairs for letter in word}))}
    phones = {phone: n for n, phone in enumerate(sorted({phone for _, said in pairs for phone in said}))}
    by_size: dict[tuple[int, int], list[int]] = {}
    for index, (word, said) in enumerate(pairs):
        by_size.setdefault((len(word), len(said)), []).append(index)
    codes: list[list[np.ndarray]] = []
    for (_, n_phones), members in by_size.items():
        spelt = np.array([[letters[letter] for letter in pairs[index][0]] for index in members])
        heard = np.array([[phones[phone] for phone in pairs[index][1]] for index in members]).reshape(len(members), n_phones)
        code = spelt[:, :, None] + np.zeros((1, 1, n_phones + 1), dtype=np.int64)
        codes.append([code])
        for r in range(1, min(longest, n_phones) + 1):
            code = code[:, :, : n_phones + 1 - r] * len(phones) + heard[:, None, r - 1 :]
            codes[-1].append(code)
    longest = max(map(len, codes)) - 1
    known = [np.unique(np.concatenate([group[r].ravel() for group in codes if r < len(group)])) for r in range(longest + 1)]
    first = np.cumsum([0, *(len(found) for found in known)])
    groups = [
        _Group(np.array(members), [np.searchsorted(known[r], code) + first[r] for r, code in enumerate(group)])
        for members, group in zip(by_size.values(), codes, strict=True)
    ]
    return groups, [r for r, found in enumerate(known) for _ in found]
