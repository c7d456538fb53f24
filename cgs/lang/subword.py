"""Words outside the vocabulary, spelled in pieces: what the pieces are and how they follow each other, in L and in G.

Owns the units, pieces with the phones that their letters say; the language model of spellings; the transducer L whose pieces make whole
words only, with one state at a word boundary and one inside a word; and the place in G where a spelled word may stand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import kaldifst

from cgs.data.lexicon import Pronunciations
from cgs.lang.grammar import grammar_fst
from cgs.lang.kneser_ney import train_ngram
from cgs.lang.letter_phones import AlignedWord, Phones
from cgs.lang.lexicon_fst import LOOP, SILENCE, lexicon_fst
from cgs.lang.ngram import Ngram
from cgs.lang.pieces import PieceModel, goes_on, unit_name
from cgs.lang.tables import BACKOFF, BEGIN

PLACES = ("_I", "_B", "_E", "_S")
"""Marks of `cgs.lang.tables.mark_positions`, in the order in which one stands in for another."""


@dataclass(frozen=True)
class Spellings:
    """How words are spelled in pieces.

    Args:
        phones: of each unit that may be said, by name; at least one phone each.
        words: units of each pronunciation that was learnt from.
    """

    phones: dict[str, Phones]
    words: list[tuple[str, ...]]


def spell(word: AlignedWord, model: PieceModel) -> list[tuple[str, Phones]]:
    """The pieces of a word and what they say in it; a silent one joins the piece before it, or the one after where it is the first."""
    told: list[tuple[str, Phones]] = []
    start, silent = 0, ""
    for piece in model.split(word.word):
        runs = word.runs[start : start + len(piece)]
        start += len(piece)
        said = tuple(phone for run in runs for phone in run)
        if said:
            told.append((silent + piece, said))
            silent = ""
        elif told:
            told[-1] = (told[-1][0] + piece, told[-1][1])
        else:
            silent += piece
    return told


def learn_spellings(aligned: Sequence[AlignedWord], model: PieceModel) -> Spellings:
    """Units from the words of a lexicon.

    Args:
        aligned: pronunciations taken apart.
        model: of the pieces.
    Returns: the units that spell those words, and every letter with every run of phones it takes, at the beginning of words and further on,
        so that any word of those letters can be spelled.
    """
    phones: dict[str, Phones] = {}
    words = []
    for word in aligned:
        units = [(unit_name(piece, not place, said), said) for place, (piece, said) in enumerate(spell(word, model))]
        letters = {unit_name(letter, begins, run): run for letter, run in zip(word.word, word.runs, strict=True) if run for begins in (True, False)}
        words.append(tuple(name for name, _ in units))
        phones |= dict(units) | letters
    return Spellings(dict(sorted(phones.items())), words)


def train_spelling(spellings: Spellings, order: int) -> Ngram:
    """The n-gram model of spellings; each pronunciation counts once, whatever its frequency, since unknown words are rare ones."""
    return train_ngram(spellings.words, spellings.phones, order)


def placed(phones: Phones, begins: bool, ends: bool, known: Mapping[str, int]) -> Phones:
    """The phones of a piece with the marks of their places in the word.

    Args:
        phones: without marks.
        begins, ends: whether the piece begins and ends its word.
        known: phones that have an HMM; one that no word has in that place is replaced by itself in another.
    """
    last = len(phones) - 1

    def variant(index: int) -> str:
        first, final = begins and not index, ends and index == last
        place = "_S" if first and final else "_B" if first else "_E" if final else "_I"
        return next((phones[index] + mark for mark in (place, *PLACES) if phones[index] + mark in known), phones[index])

    return tuple(variant(index) for index in range(len(phones)))


def piece_lexicon(units: Mapping[str, Phones], known: Mapping[str, int], position_dependent: bool) -> Pronunciations:
    """Two pronunciations of every unit, alike unless phones are marked by their place: where its word goes on, and where its word ends."""

    def ways(unit: str, phones: Phones) -> list[Phones]:
        return [placed(phones, not goes_on(unit), ends, known) if position_dependent else phones for ends in (False, True)]

    return {unit: ways(unit, phones) for unit, phones in units.items()}


def subword_fst(
    lexicon: Pronunciations, pieces: Pronunciations, words: dict[str, int], phones: dict[str, int], silence_probability: float, silence_disambiguation: str
) -> kaldifst.StdVectorFst:
    """L of words and of pieces that make words, for decoding.

    Args:
        lexicon: whole words, with disambiguation symbols.
        pieces: as `piece_lexicon` gives them, with disambiguation symbols.
        words: numbers of words and pieces.
        phones, silence_probability, silence_disambiguation: as for `lexicon_fst`.
    Returns: an FST sorted by output label; there is silence between words only.
    Source: Smit, Virpioja and Kurimo 2017 (transducers of subword lexicons). Differs: whole words stand beside the pieces.
    """
    fst = lexicon_fst(lexicon, words, phones, silence_probability, silence_disambiguation)
    inside = fst.add_state()
    silent, spoken = -math.log(silence_probability), -math.log(1 - silence_probability)
    for unit, (going_on, ending) in pieces.items():
        for said, following in ((going_on, ((0.0, inside),)), (ending, ((spoken, LOOP), (silent, SILENCE)))):
            state, label = (inside if goes_on(unit) else LOOP), words[unit]
            for phone in said[:-1]:
                after = fst.add_state()
                fst.add_arc(state, kaldifst.StdArc(phones[phone], label, 0.0, after))
                state, label = after, 0
            for cost, target in following:
                fst.add_arc(state, kaldifst.StdArc(phones[said[-1]], label, cost, target))
    fst.add_arc(inside, kaldifst.StdArc(phones[BACKOFF], words[BACKOFF], 0.0, inside))
    kaldifst.arcsort(fst, sort_type="olabel")
    return fst


def open_grammar(known: Ngram, spelling: Ngram, words: dict[str, int], cost: float) -> kaldifst.StdVectorFst:
    """G of a closed vocabulary, and at its back-off state any spelled word.

    Args:
        known: model of whole words.
        spelling: model of pieces.
        words: numbers of both.
        cost: of a spelled word beside the cost of backing off to it and that of its spelling, natural logarithm.
    Returns: an acceptor as `grammar_fst` makes it; after a spelled word nothing is remembered.
    Source: Bazzi and Glass 2000 (a model of unknown words inside one of words); Bisani and Ney 2005 (units of letters and phones).
    """
    fst, inner = grammar_fst(known, words), grammar_fst(spelling, words)
    backoff = words[BACKOFF]
    top = next(state for state in kaldifst.StateIterator(fst) if _target(fst, state, backoff) is None)
    shift = fst.num_states
    beginnings = {words[gram[0]]: gram[0] for gram in spelling.log10 if len(gram) == 1 and gram[0] in words and gram[0] != BEGIN and not goes_on(gram[0])}
    for _ in kaldifst.StateIterator(inner):
        fst.add_state()
    for state in kaldifst.StateIterator(inner):
        for arc in kaldifst.ArcIterator(inner, state):
            if arc.ilabel not in beginnings:
                fst.add_arc(state + shift, kaldifst.StdArc(arc.ilabel, arc.olabel, arc.weight.value, arc.nextstate + shift))
        if math.isfinite(inner.final(state).value):
            fst.add_arc(state + shift, kaldifst.StdArc(backoff, 0, inner.final(state).value, top))
    for label, unit in beginnings.items():
        after = _follow(inner, label, backoff)
        if after is not None:
            fst.add_arc(top, kaldifst.StdArc(label, label, cost - math.log(10) * spelling.log10_of(unit, (BEGIN,)), after + shift))
    kaldifst.arcsort(fst, sort_type="ilabel")
    return fst


def _target(fst: kaldifst.StdVectorFst, state: int, label: int) -> int | None:
    return next((arc.nextstate for arc in kaldifst.ArcIterator(fst, state) if arc.ilabel == label), None)


def _follow(fst: kaldifst.StdVectorFst, label: int, backoff: int) -> int | None:
    """The state after a label from the start, backing off where needed."""
    state: int | None = fst.start
    while state is not None:
        if (after := _target(fst, state, label)) is not None:
            return after
        state = _target(fst, state, backoff)
    return None
