"""The pronunciation transducer L: phones in, words out, optional silence between words."""

from __future__ import annotations

import math

import kaldifst

from cgs.base.errors import ConfigError
from cgs.data.lexicon import SILENCE_PHONE, Pronunciations
from cgs.lang.tables import BACKOFF

START, LOOP, SILENCE = 0, 1, 2


def lexicon_fst(
    lexicon: Pronunciations, words: dict[str, int], phones: dict[str, int], silence_probability: float, silence_disambiguation: str = ""
) -> kaldifst.StdVectorFst:
    """L: any sequence of words, silence before each and after the last with a probability.

    Args:
        lexicon: pronunciations, all equally likely; with disambiguation symbols for decoding.
        words, phones: symbol tables.
        silence_probability: of silence at each word boundary, between 0 and 1.
        silence_disambiguation: phone symbol said after optional silence, and with it loops that pass G's back-off symbol; "" for training.
    Returns: an FST sorted by output label.
    """
    if not 0 < silence_probability < 1:
        raise ConfigError(f"lang.silence_probability is {silence_probability}", "use a value between 0 and 1")
    silent, spoken = -math.log(silence_probability), -math.log(1 - silence_probability)
    fst = kaldifst.StdVectorFst()
    for _ in (START, LOOP, SILENCE):
        fst.add_state()
    fst.start = START
    fst.set_final(LOOP, 0.0)

    def arc(source: int, phone: int, word: int, cost: float, target: int) -> None:
        fst.add_arc(source, kaldifst.StdArc(phone, word, cost, target))

    arc(START, 0, 0, spoken, LOOP)
    arc(START, 0, 0, silent, SILENCE)
    if silence_disambiguation:
        said = fst.add_state()
        arc(SILENCE, phones[SILENCE_PHONE], 0, 0.0, said)
        arc(said, phones[silence_disambiguation], 0, 0.0, LOOP)
    else:
        arc(SILENCE, phones[SILENCE_PHONE], 0, 0.0, LOOP)
    for word, pronunciations in lexicon.items():
        for pronunciation in pronunciations:
            state, label = LOOP, words[word]
            for phone in pronunciation[:-1]:
                following = fst.add_state()
                arc(state, phones[phone], label, 0.0, following)
                state, label = following, 0
            arc(state, phones[pronunciation[-1]], label, spoken, LOOP)
            arc(state, phones[pronunciation[-1]], label, silent, SILENCE)
    if silence_disambiguation:
        kaldifst.add_self_loops(fst, [phones[BACKOFF]], [words[BACKOFF]])
    kaldifst.arcsort(fst, sort_type="olabel")
    return fst
