"""The directory that stage 2 makes, read back: symbols, phones, topology and L."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import kaldi_hmm_gmm as khg
import kaldifst

from cgs.base.errors import DiskError, FormatError
from cgs.base.files import read_lines, write_text
from cgs.data.corpus import SILENCE_WORD, UNKNOWN_WORD
from cgs.data.lexicon import SILENCE_PHONE, Pronunciations, read_lexicon, write_lexicon
from cgs.lang.lexicon_fst import lexicon_fst
from cgs.lang.tables import (
    BACKOFF,
    EPSILON,
    NOISE_PHONE,
    add_disambiguation,
    complete_lexicon,
    mark_positions,
    phone_sets,
    phone_symbols,
    read_symbols,
    word_symbols,
    write_symbols,
)
from cgs.lang.topology import topology_text


@dataclass(frozen=True)
class Lang:
    """What a recogniser knows of words and phones, less its grammar.

    Args:
        directory: where it lies.
        words, phones: symbol tables, with <eps> and disambiguation symbols.
        lexicon: pronunciations of each word with the phones of `phones`, silence word and unknown word included.
        phone_sets: numbers of phones that differ only in their place in the word, one list for each phone; a tree gives each list one root.
    """

    directory: Path
    words: dict[str, int]
    phones: dict[str, int]
    lexicon: Pronunciations
    phone_sets: list[list[int]]

    @cached_property
    def word_names(self) -> dict[int, str]:
        """Words by number."""
        return {number: word for word, number in self.words.items()}

    @cached_property
    def phone_names(self) -> dict[int, str]:
        """Phones by number."""
        return {number: phone for phone, number in self.phones.items()}

    @property
    def silence_phone(self) -> int:
        """Number of the phone of optional silence."""
        return self.phones[SILENCE_PHONE]

    @property
    def silence_word(self) -> int:
        """Number of the word of recordings without speech."""
        return self.words[SILENCE_WORD]

    @property
    def unknown_word(self) -> int:
        """Number of the word for everything outside the lexicon."""
        return self.words[UNKNOWN_WORD]

    @property
    def silence_phones(self) -> list[int]:
        """Numbers of the context-independent phones: silence and spoken noise."""
        return [self.phones[SILENCE_PHONE], self.phones[NOISE_PHONE]]

    @cached_property
    def speech_phones(self) -> list[int]:
        """Numbers of all other phones, sorted."""
        return sorted(number for number in self.real_phones if number not in self.silence_phones)

    @cached_property
    def real_phones(self) -> list[int]:
        """Numbers of all phones with an HMM, sorted."""
        return sorted(number for phone, number in self.phones.items() if phone != EPSILON and not phone.startswith("#"))

    @cached_property
    def disambiguation_phones(self) -> list[int]:
        """Numbers of #0, #1, ..., sorted."""
        return sorted(number for phone, number in self.phones.items() if phone.startswith("#"))

    def word_ids(self, words: Iterable[str]) -> list[int]:
        """Numbers of a transcript's words; those outside the lexicon become the unknown word."""
        return [self.words[word] if word in self.lexicon else self.unknown_word for word in words]

    def topology(self) -> khg.HmmTopology:
        """HMM topology of every phone; a new object, which its user keeps alive."""
        topology = khg.HmmTopology()
        topology.read(topology_text(self.speech_phones, self.silence_phones))
        return topology

    def lexicon_fst(self) -> kaldifst.StdVectorFst:
        """L for training graphs, without disambiguation symbols; a new object."""
        return read_fst(self.directory / "L.fst")

    def lexicon_disambig_fst(self) -> kaldifst.StdVectorFst:
        """L for decoding graphs; a new object."""
        return read_fst(self.directory / "L_disambig.fst")


def read_fst(path: Path) -> kaldifst.StdVectorFst:
    """Read an OpenFst vector FST. Raises: FormatError: missing, truncated or of another kind."""
    if not path.is_file():
        raise FormatError(f"{path}: no such file", "run the stage that makes it")
    try:
        fst = kaldifst.StdVectorFst.read(str(path))
    except RuntimeError as error:
        raise FormatError(f"{path}: not a whole FST ({error})", "run the stage that makes it again") from error
    if fst is None:
        raise FormatError(f"{path}: not a whole FST", "run the stage that makes it again")
    return fst


def write_fst(fst: kaldifst.StdVectorFst, path: Path) -> None:
    """Write an FST. Raises: DiskError: it could not be written as a whole."""
    if not fst.write(str(path)):
        path.unlink(missing_ok=True)
        raise DiskError(f"{path}: could not be written as a whole", "free some space, or choose another place with --exp")


def make_lang(directory: Path, spoken: Pronunciations, silence_probability: float, position_dependent: bool = False) -> None:
    """Write words.txt, phones.txt, sets.txt, lexicon.txt, lexicon_disambig.txt, topo, L.fst and L_disambig.fst.

    Args:
        directory: where to.
        spoken: pronunciations of the corpus; the silence word and the unknown word are added.
        silence_probability: of silence at a word boundary.
        position_dependent: tell phones apart by their place in the word.
    """
    plain = complete_lexicon(spoken)
    lexicon = mark_positions(plain) if position_dependent else plain
    disambiguated, n_used = add_disambiguation(lexicon)
    write_symbols(directory / "words.txt", word_symbols(lexicon))
    write_symbols(directory / "phones.txt", phone_symbols(lexicon, n_used + 1))
    write_lexicon(directory / "lexicon.txt", lexicon)
    write_lexicon(directory / "lexicon_disambig.txt", disambiguated)
    words, phones = read_symbols(directory / "words.txt"), read_symbols(directory / "phones.txt")
    write_fst(lexicon_fst(lexicon, words, phones, silence_probability), directory / "L.fst")
    write_fst(lexicon_fst(disambiguated, words, phones, silence_probability, f"#{n_used + 1}"), directory / "L_disambig.fst")
    sets = phone_sets(plain, lexicon)
    write_text(directory / "sets.txt", "".join(f"{' '.join(phones_of)}\n" for phones_of in sets))
    lang = Lang(directory, words, phones, lexicon, [[phones[phone] for phone in phones_of] for phones_of in sets])
    write_text(directory / "topo", topology_text(lang.speech_phones, lang.silence_phones))


def load_lang(directory: Path) -> Lang:
    """Read what `make_lang` wrote. Raises: FormatError, DataError: missing or damaged."""
    words, phones = read_symbols(directory / "words.txt"), read_symbols(directory / "phones.txt")
    required = {"words.txt": (words, (EPSILON, SILENCE_WORD, UNKNOWN_WORD, BACKOFF)), "phones.txt": (phones, (EPSILON, SILENCE_PHONE, NOISE_PHONE))}
    for name, (table, needed) in required.items():
        missing = [symbol for symbol in needed if symbol not in table]
        if missing:
            raise FormatError(f"{directory / name}: lacks {', '.join(missing)}", "run stage 2 again")
    lexicon = read_lexicon(directory / "lexicon.txt")
    sets = [line.split() for line in read_lines(directory / "sets.txt")]
    unknown = sorted({phone for phones_of in sets for phone in phones_of} - phones.keys())
    if unknown:
        raise FormatError(f"{directory / 'sets.txt'}: {unknown[0]!r} is not in phones.txt", "run stage 2 again")
    return Lang(directory, words, phones, lexicon, [[phones[phone] for phone in phones_of] for phones_of in sets])
