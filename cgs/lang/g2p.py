"""Pronunciations guessed from spelling (G2P), by a model learnt from a lexicon.

Owns the joint-sequence model: an n-gram of units, each a letter with the phones it says, and the search for the best phones of a word."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import kaldialign

from cgs.base.errors import DataError
from cgs.base.files import writing
from cgs.data.lexicon import Pronunciations
from cgs.data.text import Sentence, count_oov, listed
from cgs.lang.kneser_ney import train_ngram
from cgs.lang.letter_phones import Alignments, Phones, align_lexicon, phones_of_unit
from cgs.lang.ngram import Gram
from cgs.lang.tables import BEGIN, END

ORDER = 8
"""Length of the n-grams of units; lengths from 4 on differ little."""
MOST_WORDS = 150_000
"""Words learnt from; of a larger lexicon an even sample. So many take a minute and 1.5 GB."""
BEAM = 40
"""Partial guesses kept after each letter."""


@dataclass(frozen=True)
class Guess:
    """A guessed pronunciation.

    Args:
        phones: at least one.
        share: its part of the probability of all pronunciations found for the word, 0 to 1; near 1 where the model is sure.
    """

    phones: Phones
    share: float


class SpellingModel:
    """Guesses how words are said.

    Args:
        alignments: of the lexicon to learn from.
        order: of the n-grams.
    Source: Bisani and Ney 2008 (joint-sequence models). Differs: a unit holds exactly one letter and is learnt once, by the aligner, before the n-gram,
        whose smoothing is modified Kneser-Ney.
    """

    def __init__(self, alignments: Alignments, order: int = ORDER) -> None:
        sentences = [word.units() for word in alignments.words]
        model = train_ngram(sentences, {unit for units in sentences for unit in units}, order)
        self.order, self._backoff = model.order, model.backoff
        self._after: defaultdict[tuple[Gram, str], list[tuple[str, float]]] = defaultdict(list)
        for gram, value in model.log10.items():
            self._after[gram[:-1], gram[-1] if gram[-1] in (BEGIN, END) else gram[-1][0]].append((gram[-1], value))
        self._letters = {letter for context, letter in self._after if not context}
        self._ways = lru_cache(maxsize=20_000)(self._ways_on)

    def guess(self, word: str, n_best: int = 1) -> list[Guess]:
        """The most likely pronunciations of a word, best first; none where it has a letter that the lexicon lacks."""
        letters = unicodedata.normalize("NFC", word)
        if not letters or not self._letters.issuperset(letters):
            return []
        beam: dict[tuple[Gram, Phones], float] = {((BEGIN,), ()): 1.0}
        for letter in (*letters, END):
            following: defaultdict[tuple[Gram, Phones], float] = defaultdict(float)
            for (context, said), probability in beam.items():
                for unit, value in self._ways(context, letter):
                    phones = said if letter == END else (*said, *phones_of_unit(unit))
                    following[(*context, unit)[-max(self.order - 1, 1) :], phones] += probability * 10**value
            kept = sorted(following.items(), key=lambda item: (-item[1], item[0]))[:BEAM]
            beam = {state: probability / kept[0][1] for state, probability in kept}
        sums: defaultdict[Phones, float] = defaultdict(float)
        for (_, phones), probability in beam.items():
            sums[phones] += probability
        total = sum(sums.values())
        ranked = sorted(((phones, value / total) for phones, value in sums.items() if phones), key=lambda item: (-item[1], item[0]))
        return [Guess(phones, share) for phones, share in ranked[:n_best]]

    def _ways_on(self, context: Gram, letter: str) -> list[tuple[str, float]]:
        """Units of a letter (or the end) after a context, with log10 of their probability."""
        found: dict[str, float] = {}
        weight = 0.0
        while True:
            for unit, value in self._after.get((context, letter), ()):
                found.setdefault(unit, weight + value)
            if not context:
                return list(found.items())
            weight += self._backoff.get(context, 0.0)
            context = context[1:]


def learn_spelling(lexicon: Pronunciations) -> tuple[SpellingModel, Alignments]:
    """Align a lexicon, or an even sample of a large one, and learn from it. Raises: DataError: nothing to align."""
    words = sorted(lexicon)
    step = max(len(words) / MOST_WORDS, 1.0)
    sample = [words[int(index * step)] for index in range(int(len(words) / step))]
    alignments = align_lexicon({unicodedata.normalize("NFC", word): lexicon[word] for word in sample})
    return SpellingModel(alignments), alignments


def complete(lexicon: Pronunciations, sentences: Sequence[Sentence], max_oov_fraction: float) -> tuple[dict[str, Guess], dict[str, Any]]:
    """Guess the words of a text that a lexicon lacks.

    Args:
        lexicon: to learn from, and to add to.
        sentences: the text.
        max_oov_fraction: running words that may stay without a pronunciation, having letters that the lexicon lacks.
    Returns: the best guess of each missing word, sorted by word; and facts for the report.
    Raises: DataError: too many words cannot be guessed.
    """
    missing = count_oov(sentences, lexicon)
    if not missing:
        return {}, {"n_guessed": 0, "n_running_guessed": 0, "n_left": 0}
    model, alignments = learn_spelling(lexicon)
    found = {word: model.guess(word)[:1] for word in sorted(missing)}
    guesses = {word: guess for word, told in found.items() for guess in told}
    left = Counter({word: count for word, count in missing.items() if word not in guesses})
    fraction = left.total() / max(sum(map(len, sentences)), 1)
    if fraction > max_oov_fraction:
        raise DataError(
            f"lexicon: {fraction:.2%} of the training words have letters that it lacks, so that they cannot be guessed, {max_oov_fraction:.2%} allowed: "
            f"{listed(left)}",
            "add their pronunciations, or raise data.max_oov_fraction",
        )
    facts = {"n_guessed": len(guesses), "n_running_guessed": missing.total() - left.total(), "n_left": len(left)}
    return guesses, facts | {"n_learnt_from": len(alignments.words), "n_not_aligned": len(alignments.left_out)}


def write_guesses(path: Path, guesses: dict[str, Guess]) -> None:
    """Write a line "word<TAB>phones<TAB>share" for each guess."""
    with writing(path) as stream:
        stream.writelines(f"{word}\t{' '.join(guess.phones)}\t{guess.share:.3f}\n" for word, guess in guesses.items())


def guess_errors(model: SpellingModel, truth: Pronunciations) -> tuple[float, float]:
    """Phone and word error rate of the best guesses, fractions, against the pronunciation of each word that is closest."""
    phone_errors = n_phones = wrong = 0
    for word, ways in truth.items():
        guesses = model.guess(word)
        distances = [(_distance(way, guesses[0].phones if guesses else ()), len(way)) for way in ways]
        errors, length = min(distances)
        phone_errors, n_phones, wrong = phone_errors + errors, n_phones + length, wrong + (errors > 0)
    return phone_errors / n_phones, wrong / len(truth)


def _distance(one: Sequence[str], other: Sequence[str]) -> int:
    return int(kaldialign.edit_distance(list(one), list(other))["total"])
