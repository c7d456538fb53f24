"""The directory 2-lang/subword: a language whose unknown words are spelled in pieces.

It holds what `cgs.lang.lang.load_lang` reads, over the phones and words of 2-lang, and a G, so that a decoding graph is made of it as of any
other; besides pieces.model, which splits words, and spelling.arpa, the model of spellings."""

from __future__ import annotations

import math
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from cgs.data.corpus import SILENCE_WORD
from cgs.data.lexicon import Pronunciations, write_lexicon
from cgs.data.text import Sentence
from cgs.lang.arpa import read_arpa, write_arpa
from cgs.lang.graph import count_arcs
from cgs.lang.lang import Lang, write_fst
from cgs.lang.letter_phones import align_lexicon
from cgs.lang.pieces import MODEL_FILE, SUBWORD, check_words, language_dir, train_pieces
from cgs.lang.subword import learn_spellings, open_grammar, piece_lexicon, subword_fst, train_spelling
from cgs.lang.tables import add_disambiguation, write_symbols


def make_open_vocabulary(
    lang: Lang, plain: Pronunciations, sentences: Sequence[Sentence], n_pieces: int, order: int, silence_probability: float, position_dependent: bool = False
) -> dict[str, int]:
    """Make the directory beside the closed vocabulary's files, of which G.train.arpa is read.

    Args:
        lang: 2-lang, read back.
        plain: its pronunciations, phones without marks of their places.
        sentences: language-model text; pieces are learnt from its words alone.
        n_pieces: of the sentencepiece model.
        order: of the model of spellings.
        silence_probability, position_dependent: as `make_lang` was given them.
    Returns: sizes: words, pieces, units, n-grams of each order, states and arcs of G.
    """
    out = language_dir(lang.directory, SUBWORD)
    out.mkdir(exist_ok=True)
    counts = Counter(word for words in sentences for word in words)
    learnt = {word: plain[word] for word in sorted(counts) if word in plain and word != SILENCE_WORD}
    check_words(lang.lexicon, {phone for ways in learnt.values() for way in ways for phone in way})
    model = train_pieces(learnt, n_pieces)
    spellings = learn_spellings(align_lexicon(learnt).words, model)
    spelling = train_spelling(spellings, order)
    model.write(out / MODEL_FILE)
    write_arpa(out / "spelling.arpa", spelling)
    words = [*sorted(lang.words, key=lang.words.__getitem__), *spellings.phones]
    pieces = piece_lexicon(spellings.phones, lang.phones, position_dependent)
    _write_language(out, lang, words, pieces, silence_probability)
    rate = sum(count == 1 for count in counts.values()) / counts.total()
    numbers = {word: number for number, word in enumerate(words)}
    fst = open_grammar(read_arpa(lang.directory / "G.train.arpa"), spelling, numbers, -math.log(max(rate, 1 / counts.total())))
    write_fst(fst, out / f"G.{SUBWORD}.fst")
    sizes = {"words": len(counts), "pieces": len(model.pieces), "units": len(spellings.phones)}
    sizes |= {f"{k}-grams of units": sum(len(gram) == k for gram in spelling.log10) for k in range(1, spelling.order + 1)}
    return sizes | {"states": fst.num_states, "arcs": count_arcs(fst)}


def _write_language(out: Path, lang: Lang, words: Sequence[str], pieces: Pronunciations, silence_probability: float) -> None:
    """words.txt, phones.txt, sets.txt, lexicon.txt and L_disambig.fst."""
    marked, n_used = add_disambiguation(lang.lexicon | pieces)
    phones = [lang.phone_names[number] for number in sorted(lang.phone_names) if number not in lang.disambiguation_phones]
    phones += [f"#{number}" for number in range(n_used + 2)]
    write_symbols(out / "words.txt", words)
    write_symbols(out / "phones.txt", phones)
    shutil.copyfile(lang.directory / "sets.txt", out / "sets.txt")
    write_lexicon(out / "lexicon.txt", lang.lexicon | {unit: list(dict.fromkeys(ways)) for unit, ways in pieces.items()})
    numbers = {word: number for number, word in enumerate(words)}
    whole, parts = {word: marked[word] for word in lang.lexicon}, {unit: marked[unit] for unit in pieces}
    fst = subword_fst(whole, parts, numbers, {phone: number for number, phone in enumerate(phones)}, silence_probability, f"#{n_used + 1}")
    write_fst(fst, out / "L_disambig.fst")
