"""The pronunciation lexicon: one line a pronunciation, "word phone phone", UTF-8."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from cgs.base.errors import DataError, ProblemsError
from cgs.base.files import read_lines, writing
from cgs.data.corpus import SILENCE_WORD

SILENCE_PHONE = "SIL"

Pronunciations = dict[str, list[tuple[str, ...]]]


def read_lexicon(path: Path) -> Pronunciations:
    """Read a lexicon.

    Returns: the pronunciations of each word, in the order of the file.
    Raises: ProblemsError: a line without phones, or a pronunciation twice. DataError: missing, empty or not UTF-8.
    """
    lexicon: Pronunciations = {}
    problems = []
    for number, line in enumerate(read_lines(path), start=1):
        word, *phones = line.split() or [""]
        if not phones:
            problems.append(f"{path}:{number}: {line!r}: no phones (write: word phone phone)")
        elif tuple(phones) in lexicon.get(word, []):
            problems.append(f"{path}:{number}: {line!r}: pronunciation listed twice (remove one)")
        else:
            lexicon.setdefault(word, []).append(tuple(phones))
    if problems:
        raise ProblemsError(str(path), problems, DataError.exit_code)
    if not lexicon:
        raise DataError(f"{path}: holds no pronunciation", "check the lexicon of the corpus")
    return lexicon


def write_lexicon(path: Path, lexicon: Mapping[str, Iterable[tuple[str, ...]]]) -> None:
    """Write a lexicon sorted by word, a line for each pronunciation."""
    with writing(path) as stream:
        for word in sorted(lexicon):
            for phones in lexicon[word]:
                stream.write(f"{word} {' '.join(phones)}\n")


def with_silence(pairs: Iterable[tuple[str, tuple[str, ...]]]) -> Pronunciations:
    """Pronunciations of each word, each once, and the silence word said as the silence phone.

    Raises: DataError: the silence word is among the pairs, or a word has no phones.
    """
    lexicon: Pronunciations = {SILENCE_WORD: [(SILENCE_PHONE,)]}
    for word, phones in pairs:
        if word == SILENCE_WORD or not phones:
            what = "is added by the recipe itself" if word == SILENCE_WORD else "has no phones"
            raise DataError(f"lexicon: word {word!r} {what}", "remove it from the data script's lexicon")
        if phones not in lexicon.setdefault(word, []):
            lexicon[word].append(phones)
    return lexicon
