"""Words in pieces: which pieces there are, how a piece is written, and how pieces become words again.

The pieces are chosen by sentencepiece, which sees single words and is told to leave every character as it is. A unit of the language
model is a piece with the phones it says: "▁HAM/HH.AE.M" begins a word, "+ER/ER" goes on with one; anything else is a whole word."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from cgs.base.errors import ConfigError, DataError, FormatError
from cgs.base.files import writing

BEGINS, GOES_ON = "\u2581", "+"
SAID_AS, BETWEEN_PHONES = "/", "."
MODEL_FILE = "pieces.model"
SUBWORD = "subword"
"""The vocabulary whose words may be spelled in pieces."""


def unit_name(piece: str, begins: bool, phones: Iterable[str]) -> str:
    """How a piece said with some phones is written: unit_name("ER", False, ("ER",)) is "+ER/ER"."""
    return f"{BEGINS if begins else GOES_ON}{piece}{SAID_AS}{BETWEEN_PHONES.join(phones)}"


def is_piece(unit: str) -> bool:
    """True for a unit that is not a whole word."""
    return unit.startswith((BEGINS, GOES_ON))


def goes_on(unit: str) -> bool:
    """True for a piece that does not begin a word."""
    return unit.startswith(GOES_ON)


def language_dir(lang_dir: Path, vocabulary: str) -> Path:
    """Where words, phones, L and G of a vocabulary lie: 2-lang, or 2-lang/subword."""
    return lang_dir / SUBWORD if vocabulary == SUBWORD else lang_dir


def has_pieces(lang_dir: Path) -> bool:
    """True where the words of a language directory may be spelled in pieces."""
    return (lang_dir / MODEL_FILE).is_file()


def join(units: Iterable[str]) -> tuple[str, ...]:
    """The words that units spell: join(("THE", "▁HAM/HH.AE.M", "+ER/ER")) is ("THE", "HAMER")."""
    words: list[str] = []
    for unit in units:
        text = unit[1 : unit.rindex(SAID_AS)] if is_piece(unit) else unit
        if goes_on(unit) and words:
            words[-1] += text
        else:
            words.append(text)
    return tuple(words)


def check_words(words: Iterable[str], phones: Iterable[str]) -> None:
    """Raises: DataError: a word looks like a piece, or a phone holds the sign that parts letters from phones."""
    remedy = 'rename it, or take "subword" out of lang.vocabularies'
    for word in words:
        if is_piece(word) or BEGINS in word:
            raise DataError(f"word {word!r} looks like a piece of a word, which {BEGINS!r} or {GOES_ON!r} begins", remedy)
    for phone in phones:
        if SAID_AS in phone:
            raise DataError(f"phone {phone!r} holds {SAID_AS!r}, which parts a piece from its phones", remedy)


@dataclass(frozen=True)
class PieceModel:
    """A sentencepiece model of single words.

    Args:
        proto: the model as sentencepiece writes it.
    """

    proto: bytes = field(repr=False)

    @cached_property
    def _processor(self) -> Any:
        import sentencepiece

        return sentencepiece.SentencePieceProcessor(model_proto=self.proto)

    @property
    def pieces(self) -> list[str]:
        """Every piece, in the model's order."""
        return [self._processor.id_to_piece(index) for index in range(self._processor.get_piece_size()) if not self._processor.is_unknown(index)]

    def split(self, word: str) -> list[str]:
        """The pieces of a word; put together they are the word again, whatever its letters."""
        return list(self._processor.encode(word, out_type=str))

    def write(self, path: Path) -> None:
        """Write the file that sentencepiece reads."""
        with writing(path, "wb") as stream:
            stream.write(self.proto)

    @classmethod
    def read(cls, path: Path) -> PieceModel:
        """Read a file of `write`. Raises: FormatError: missing, or no such model."""
        try:
            model = cls(path.read_bytes())
            n_pieces = len(model.pieces)
        except (OSError, RuntimeError) as error:
            raise FormatError(f"{path}: not a sentencepiece model ({error})", "run stage 2 again") from error
        if not n_pieces:
            raise FormatError(f"{path}: a sentencepiece model without pieces", "run stage 2 again")
        return model


def train_pieces(words: Iterable[str], n_pieces: int) -> PieceModel:
    """Choose pieces.

    Args:
        words: each counts once, so that pieces fit rare words as well as frequent ones.
        n_pieces: how many, all single letters among them; fewer where the words do not have so many.
    Raises: ConfigError: no more pieces than letters. DataError: no words.
    Source: Kudo 2018 (unigram model).
    """
    import sentencepiece

    distinct = sorted(set(words))
    if not distinct:
        raise DataError("no words to choose pieces from", "check lm.txt and the lexicon")
    n_letters = len({letter for word in distinct for letter in word})
    if n_pieces <= n_letters:
        raise ConfigError(f"lang.subword_pieces is {n_pieces}, but the words have {n_letters} letters", f"use {n_letters + 1} or more")
    proto = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(distinct), model_writer=proto, vocab_size=n_pieces, model_type="unigram", hard_vocab_limit=False,
        normalization_rule_name="identity", add_dummy_prefix=False, remove_extra_whitespaces=False, split_by_unicode_script=False,
        split_by_number=False, character_coverage=1.0, bos_id=-1, eos_id=-1, num_threads=1, minloglevel=2,
    )  # fmt: skip
    return PieceModel(proto.getvalue())
