"""Models from outside: an ARPA file of anybody's making, cut down to the words that the recogniser can say.

A model so restricted says what the whole one says of the next word, given that it is a word the recogniser knows: every
probability is divided by the sum of those of the known words after the same context."""

from __future__ import annotations

import math
from collections.abc import Callable, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cgs.base.errors import ConfigError, DataError, FormatError
from cgs.data.corpus import UNKNOWN_WORD
from cgs.lang.arpa import arpa_grams
from cgs.lang.ngram import ZERO, Gram, Ngram, by_length, listed_mass
from cgs.lang.tables import BEGIN, END

Case = Literal["keep", "lower", "upper"]
MOST_SHOWN = 20
SPECIAL = {BEGIN, END, UNKNOWN_WORD}
CASES: dict[str, Callable[[str], str]] = {"keep": str, "lower": str.lower, "upper": str.upper}


@dataclass(frozen=True)
class External:
    """What was taken from a file.

    Args:
        model: over the known words only; its contexts sum to one.
        n_words: words in the file, less its special ones.
        missing: words that the recogniser could say, but that the file lacks or gives no probability.
        known_mass: probability that the whole model gives to the known words, without context.
        n_mended: contexts of longer n-grams that the file did not list, and that were added.
    """

    model: Ngram
    n_words: int
    missing: list[str]
    known_mass: float
    n_mended: int

    def facts(self) -> dict[str, Any]:
        """For JSON; the first of the missing words stand for all."""
        missing = {"n_missing": len(self.missing), "missing": self.missing[:MOST_SHOWN]}
        return {"n_words": self.n_words, "known_mass": self.known_mass, "n_mended": self.n_mended, **missing}


def read_external(path: Path, vocabulary: Set[str], case: Case = "keep") -> External:
    """Read an ARPA file for a recogniser of some words; n-grams with other words are never held in memory.

    Args:
        path: ARPA, plain or gzip.
        vocabulary: words that the recogniser can say; <unk> among them counts for nothing, and so does the file's.
        case: how to write the file's words, special ones aside.
    Raises: FormatError: not a whole ARPA file, or without an end of sentence. DataError: none of the words is in it, or two become one.
    """
    wanted = {*(vocabulary - {UNKNOWN_WORD}), BEGIN, END}
    log10: dict[Gram, float] = {}
    backoff: dict[Gram, float] = {}
    spelt, order = _Spelling(path, case), 1
    for number, words, value, weight in arpa_grams(path):
        gram = tuple(map(spelt, words))
        if gram in log10:
            raise FormatError(f"{path}:{number}: {' '.join(words)!r} is listed twice", "write the ARPA file again")
        order = max(order, len(gram))
        if wanted.issuperset(gram) and (len(gram) > 1 or value > ZERO or gram == (BEGIN,)):
            log10[gram] = value
            if weight:
                backoff[gram] = weight
    if (END,) not in log10:
        raise FormatError(f"{path}: has no {END}, so that no sentence can end", "train the model with marks of sentences")
    log10[BEGIN,] = ZERO
    missing = sorted(word for word in wanted if (word,) not in log10)
    if len(missing) == len(wanted) - 2:
        raise DataError(f"{path}: holds none of the {len(missing)} words of the recogniser, e.g. {missing[0]!r}", _remedy(spelt, set(missing)))
    model = Ngram(order, log10, backoff)
    n_mended = add_contexts(model)
    restricted, known_mass = conditioned(model)
    return External(restricted, len(spelt.forms.keys() - SPECIAL), missing, known_mass, n_mended)


def restrict(model: Ngram, vocabulary: Set[str]) -> Ngram:
    """A model of ours over some of its words, and what it says of them given that one of them comes next."""
    wanted = {*vocabulary, BEGIN, END}
    log10 = {gram: value for gram, value in model.log10.items() if wanted.issuperset(gram)}
    return conditioned(Ngram(model.order, log10, {gram: weight for gram, weight in model.backoff.items() if wanted.issuperset(gram)}))[0]


def add_contexts(model: Ngram) -> int:
    """List, in place, every context of an n-gram as an n-gram, with the probability that it has by backing off; returns how many were missing."""
    n_added = 0
    for length in range(model.order, 1, -1):
        for gram in [gram for gram in model.log10 if len(gram) == length and gram[:-1] not in model.log10]:
            if gram[:-1] not in model.log10:
                model.log10[gram[:-1]] = model.log10_of(gram[-2], gram[:-2])
                n_added += 1
    return n_added


def conditioned(model: Ngram) -> tuple[Ngram, float]:
    """Divide what follows each context by its sum.

    Args:
        model: a proper one or the part of one with some words only; its contexts are listed as n-grams.
    Returns: a model whose probabilities after any context sum to one, and the sum that they had without context.
    """
    mass: dict[Gram, float] = {(): sum(10**value for gram, value in model.log10.items() if len(gram) == 1 and gram != (BEGIN,))}

    def mass_after(context: Gram) -> float:
        weight = 0.0
        while context not in mass:
            weight += model.backoff.get(context, 0.0)
            context = context[1:]
        return 10**weight * mass[context]

    log10: dict[Gram, float] = {}
    log10 |= {gram: value - math.log10(mass[()]) if gram != (BEGIN,) else ZERO for gram, value in model.log10.items() if len(gram) == 1}
    backoff: dict[Gram, float] = {}
    for grams in by_length(model.log10, model.order)[1:]:
        found = {}
        for context, (listed, lower) in listed_mass(model, grams).items():
            found[context] = listed + 10 ** model.backoff.get(context, 0.0) * max(mass_after(context[1:]) - lower, 0.0)
            backoff[context] = max(model.backoff.get(context, 0.0) + math.log10(mass_after(context[1:]) / found[context]), ZERO)
        mass |= found
        log10 |= {gram: model.log10[gram] - math.log10(found[gram[:-1]]) for gram in grams}
    return Ngram(max(map(len, log10)), log10, backoff), mass[()]


class _Spelling:
    """Words of a file as the lexicon writes them; the same object for the same word. Raises: DataError: two words become one."""

    def __init__(self, path: Path, case: Case) -> None:
        if case not in CASES:
            raise ConfigError(f"lang.case is {case!r}", f"use one of {', '.join(CASES)}")
        self._path, self._change, self._known = path, CASES[case], {}  # type: ignore[var-annotated]
        self.forms: dict[str, str] = {}

    def __call__(self, word: str) -> str:
        if word not in self._known:
            form = word.lower() if word.lower() in SPECIAL else self._change(word)
            if self.forms.setdefault(form, word) != word and form not in SPECIAL:
                raise DataError(f"{self._path}: {self.forms[form]!r} and {word!r} both become {form!r} by lang.case", "train the model on text of one case")
            self._known[word] = form
        return self._known[word]


def _remedy(spelt: _Spelling, wanted: Set[str]) -> str:
    found = {case: len(wanted & set(map(change, spelt.forms))) for case, change in CASES.items()}
    best = max(found, key=lambda case: found[case])
    return f'with lang.case = "{best}" it would hold {found[best]} of them' if found[best] else "give the model of the corpus's language and spelling"
