"""Symbol tables of words and phones, and the disambiguation symbols that keep L determinizable.

Numbers follow Kaldi: <eps> is 0, real symbols come next, symbols that never reach a model come last."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cgs.base.errors import DataError, FormatError
from cgs.base.files import read_lines, write_text
from cgs.data.corpus import SILENCE_WORD, UNKNOWN_WORD
from cgs.data.lexicon import SILENCE_PHONE, Pronunciations

EPSILON = "<eps>"
BEGIN, END = "<s>", "</s>"
BACKOFF = "#0"
"""Marks the back-off arcs of G; also the first disambiguation phone."""
NOISE_PHONE = "SPN"
"""Stands for words outside the lexicon."""


def read_symbols(path: Path) -> dict[str, int]:
    """Read an OpenFst symbol table, {symbol: number}. Raises: FormatError: a bad line, or a symbol or number twice."""
    symbols: dict[str, int] = {}
    for number, line in enumerate(read_lines(path), start=1):
        fields = line.split()
        if len(fields) != 2 or not fields[1].isdigit():
            raise FormatError(f"{path}:{number}: not 'symbol number' but {line!r}", "run stage 2 again")
        if fields[0] in symbols:
            raise FormatError(f"{path}:{number}: symbol {fields[0]!r} twice", "run stage 2 again")
        symbols[fields[0]] = int(fields[1])
    if len(set(symbols.values())) != len(symbols):
        raise FormatError(f"{path}: two symbols share a number", "run stage 2 again")
    return symbols


def write_symbols(path: Path, symbols: Iterable[str]) -> None:
    """Write symbols numbered from 0."""
    write_text(path, "".join(f"{symbol} {number}\n" for number, symbol in enumerate(symbols)))


def complete_lexicon(lexicon: Pronunciations) -> Pronunciations:
    """The lexicon with the silence word, said as silence, and the unknown word, said as spoken noise, in front.

    Raises: DataError: a reserved word or phone, or a word without speech.
    """
    for word, pronunciations in lexicon.items():
        if word in (EPSILON, BEGIN, END) or word.startswith("#"):
            raise DataError(f"lexicon: word {word!r} is reserved", "rename it in the data script")
        for phone in (phone for pronunciation in pronunciations for phone in pronunciation):
            if phone == EPSILON or phone.startswith("#"):
                raise DataError(f"lexicon: {word}: phone {phone!r} is reserved", "rename it in the data script")
    spoken = {word: lexicon[word] for word in sorted(lexicon) if word not in (SILENCE_WORD, UNKNOWN_WORD)}
    if not spoken:
        raise DataError("lexicon: holds no word besides silence", "check the lexicon of the corpus")
    return {SILENCE_WORD: [(SILENCE_PHONE,)], UNKNOWN_WORD: [(NOISE_PHONE,)], **spoken}


def mark_positions(lexicon: Pronunciations) -> Pronunciations:
    """Tell phones apart by their place in the word: "AH" becomes "AH_B" (begin), "AH_E" (end), "AH_I" (inside) or "AH_S" (single); silence and noise stay."""

    def marked(pronunciation: tuple[str, ...]) -> tuple[str, ...]:
        last = len(pronunciation) - 1
        places = ["_S"] if last == 0 else ["_B"] + ["_I"] * (last - 1) + ["_E"]
        pairs = zip(pronunciation, places, strict=True)
        return tuple(phone if phone in (SILENCE_PHONE, NOISE_PHONE) else phone + place for phone, place in pairs)

    return {word: [marked(pronunciation) for pronunciation in pronunciations] for word, pronunciations in lexicon.items()}


def phone_sets(plain: Pronunciations, marked: Pronunciations) -> list[list[str]]:
    """Group the phones of `marked` by the phone of `plain` that each one came from; both lexicons list the same pronunciations."""
    sets: dict[str, set[str]] = {SILENCE_PHONE: {SILENCE_PHONE}, NOISE_PHONE: {NOISE_PHONE}}
    for word, pronunciations in plain.items():
        for before, after in zip(pronunciations, marked[word], strict=True):
            for phone, variant in zip(before, after, strict=True):
                sets.setdefault(phone, set()).add(variant)
    return [sorted(variants) for _, variants in sorted(sets.items())]


def phone_symbols(lexicon: Pronunciations, n_disambiguation: int) -> list[str]:
    """Phones in the order of their numbers: <eps>, silence, noise, the others sorted, #0 to #n."""
    phones = {phone for pronunciations in lexicon.values() for pronunciation in pronunciations for phone in pronunciation}
    speech = sorted(phones - {SILENCE_PHONE, NOISE_PHONE})
    return [EPSILON, SILENCE_PHONE, NOISE_PHONE, *speech, *(f"#{number}" for number in range(n_disambiguation + 1))]


def word_symbols(lexicon: Pronunciations) -> list[str]:
    """Words in the order of their numbers: <eps>, the lexicon's in its order, #0, <s>, </s>."""
    return [EPSILON, *lexicon, BACKOFF, BEGIN, END]


def add_disambiguation(lexicon: Pronunciations) -> tuple[Pronunciations, int]:
    """End pronunciations that several words share, or that begin another one, with #1, #2, ..., so that L can be determinized.

    Returns: the lexicon and the highest number used; one more is left for silence by the caller.
    Source: Mohri, Pereira and Riley 2008, section 5.2.
    """
    count: dict[tuple[str, ...], int] = {}
    prefixes: set[tuple[str, ...]] = set()
    for pronunciations in lexicon.values():
        for phones in pronunciations:
            count[phones] = count.get(phones, 0) + 1
            prefixes.update(phones[:length] for length in range(1, len(phones)))
    used: dict[tuple[str, ...], int] = {}
    marked: Pronunciations = {}
    for word, pronunciations in lexicon.items():
        marked[word] = []
        for phones in pronunciations:
            if count[phones] > 1 or phones in prefixes:
                used[phones] = used.get(phones, 0) + 1
                phones = (*phones, f"#{used[phones]}")
            marked[word].append(phones)
    return marked, max(used.values(), default=0)
