"""The grammar G: an n-gram model as an acceptor of word sequences."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import kaldifst

from cgs.base.errors import ConfigError, DataError
from cgs.data.corpus import SILENCE_WORD, UNKNOWN_WORD
from cgs.data.text import count_oov
from cgs.lang.arpa import Prediction, predict, write_arpa
from cgs.lang.graph import count_arcs
from cgs.lang.kneser_ney import train_ngram
from cgs.lang.lang import Lang, write_fst
from cgs.lang.ngram import Gram, Ngram
from cgs.lang.tables import BACKOFF, BEGIN, END

Vocabulary = Literal["train", "lexicon"]


def known_text(sentences: Iterable[Sequence[str]], lang: Lang) -> list[tuple[str, ...]]:
    """Text for training: words outside the lexicon become <unk>, the silence word goes."""
    return [tuple(word if word in lang.lexicon else UNKNOWN_WORD for word in sentence if word != SILENCE_WORD) for sentence in sentences]


def unknown_words(sentences: Iterable[Sequence[str]], lang: Lang) -> Counter[str]:
    """How often each word outside the lexicon occurs."""
    return count_oov((tuple(sentence) for sentence in sentences), lang.lexicon)


def vocabulary_words(text: Iterable[Sequence[str]], lang: Lang, vocabulary: Vocabulary) -> set[str]:
    """Words that the recogniser can say: those of the text, or of the whole lexicon too."""
    words = {word for sentence in text for word in sentence}
    if vocabulary == "lexicon":
        words |= lang.lexicon.keys() - {SILENCE_WORD, UNKNOWN_WORD}
    elif vocabulary != "train":
        raise ConfigError(f"vocabulary {vocabulary!r}", 'use "train" or "lexicon"')
    return words


def make_grammar(directory: Path, lang: Lang, sentences: Iterable[Sequence[str]], vocabulary: Vocabulary, order: int) -> tuple[Ngram, dict[str, int]]:
    """Train a model of one text and write its G; returns the model and what `write_grammar` does.

    Args:
        directory: where to.
        lang: the lexicon and the symbols that G shares with L.
        sentences: language-model text.
        vocabulary: "train" or "lexicon".
        order: of the n-grams.
    """
    text = known_text(sentences, lang)
    model = train_ngram(text, vocabulary_words(text, lang, vocabulary), order)
    return model, write_grammar(directory, lang, vocabulary, model)


def write_grammar(directory: Path, lang: Lang, vocabulary: str, model: Ngram) -> dict[str, int]:
    """Write G.<vocabulary>.arpa and G.<vocabulary>.fst; returns sizes of G: words, n-grams of each order, states, arcs."""
    write_arpa(directory / f"G.{vocabulary}.arpa", model)
    fst = grammar_fst(model, lang.words)
    write_fst(fst, directory / f"G.{vocabulary}.fst")
    return model_sizes(model) | {"states": fst.num_states, "arcs": count_arcs(fst)}


def model_sizes(model: Ngram) -> dict[str, int]:
    """Words that a model knows, less the marks of sentences, and its n-grams of each order."""
    return {"words": sum(1 for gram in model.log10 if len(gram) == 1 and gram[0] not in (BEGIN, END)), **model.sizes()}


def grammar_fst(model: Ngram, words: dict[str, int]) -> kaldifst.StdVectorFst:
    """G: a state for each context of the model, the start state for a sentence's.

    Args:
        model: every context of its n-grams is an n-gram too.
        words: symbol table.
    Returns: an acceptor of word sequences, but that back-off arcs read #0 and write nothing; sorted by input label.
    Raises: DataError: a word without a number.
    Source: Mohri, Pereira and Riley 2008, section 4; the same language and weights as Kaldi's arpa2fst.
    """
    unknown = [gram[0] for gram in model.log10 if len(gram) == 1 and gram[0] not in words]
    if unknown:
        raise DataError(f"language model: word {unknown[0]!r} is not in words.txt", "make both from the same lexicon")
    contexts = {gram[:-1] for gram in model.log10} | {context for context, weight in model.backoff.items() if weight} | {()}
    states = {context: state for state, context in enumerate(sorted(contexts))}
    fst = kaldifst.StdVectorFst()
    for _ in states:
        fst.add_state()

    def state_after(history: Gram) -> int:
        while history not in states:
            history = history[1:]
        return states[history]

    fst.start = state_after((BEGIN,))
    for gram in sorted(model.log10):
        source, cost = states[gram[:-1]], -math.log(10) * model.log10[gram]
        if gram[-1] == END:
            fst.set_final(source, cost)
        elif gram[-1] != BEGIN:
            fst.add_arc(source, kaldifst.StdArc(words[gram[-1]], words[gram[-1]], cost, state_after(gram)))
    for context, state in states.items():
        if context:
            weight = -math.log(10) * model.backoff.get(context, 0.0)
            fst.add_arc(state, kaldifst.StdArc(words[BACKOFF], 0, weight, state_after(context[1:])))
    kaldifst.arcsort(fst, sort_type="ilabel")
    return fst


def transcript_prediction(model: Ngram, transcripts: Iterable[Sequence[str]]) -> Prediction:
    """Perplexity and unknown words of transcripts; recordings without speech are left out."""
    return predict(model, [tuple(word for word in words if word != SILENCE_WORD) for words in transcripts if set(words) != {SILENCE_WORD}])
