"""The grammar G: an n-gram model as an acceptor of word sequences."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Literal

import kaldilm

from cgs.base.errors import ConfigError, ToolError
from cgs.data.corpus import SILENCE_WORD, UNKNOWN_WORD
from cgs.data.text import count_oov
from cgs.lang.arpa import Prediction, predict, write_arpa
from cgs.lang.graph import count_arcs
from cgs.lang.lang import Lang, read_fst
from cgs.lang.ngram import Ngram, train_ngram
from cgs.lang.tables import BACKOFF

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
    """Train a model and write G.<vocabulary>.arpa and G.<vocabulary>.fst.

    Args:
        directory: where to.
        lang: the lexicon and the symbols that G shares with L.
        sentences: language-model text.
        vocabulary: "train" or "lexicon".
        order: of the n-grams.
    Returns: the model, and sizes of G: words, n-grams of each order, states, arcs.
    """
    text = known_text(sentences, lang)
    words = vocabulary_words(text, lang, vocabulary)
    model = train_ngram(text, words, order)
    arpa, fst_path = directory / f"G.{vocabulary}.arpa", directory / f"G.{vocabulary}.fst"
    write_arpa(arpa, model)
    arpa_to_fst(arpa, fst_path, lang)
    fst = read_fst(fst_path)
    sizes = {"words": len(words), **{f"{k}-grams": sum(1 for gram in model.log10 if len(gram) == k) for k in range(1, model.order + 1)}}
    return model, sizes | {"states": fst.num_states, "arcs": count_arcs(fst)}


def arpa_to_fst(arpa: Path, fst_path: Path, lang: Lang) -> None:
    """Turn an ARPA file into G: back-off arcs read #0, sentence ends are final states, arcs are sorted.

    Raises: ToolError: arpa2fst could not.
    """
    with captured_stderr() as said:
        try:
            kaldilm.arpa2fst(
                input_arpa=str(arpa),
                output_fst=str(fst_path),
                disambig_symbol=BACKOFF,
                read_symbol_table=str(lang.directory / "words.txt"),
                max_arpa_warnings=0,
            )
        except RuntimeError as error:
            said.seek(0)
            last = (said.read().decode(errors="replace").strip().splitlines() or [""])[-1]
            raise ToolError(f"{arpa}: arpa2fst failed: {error} {last}", "check the ARPA file") from error


@contextlib.contextmanager
def captured_stderr() -> Iterator[IO[bytes]]:
    """Send what native code of this process writes to standard error into a file; it reports every step there."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as said:
        kept = os.dup(2)
        try:
            os.dup2(said.fileno(), 2)
            yield said
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def transcript_prediction(model: Ngram, transcripts: Iterable[Sequence[str]]) -> Prediction:
    """Perplexity and unknown words of transcripts; recordings without speech are left out."""
    return predict(model, [tuple(word for word in words if word != SILENCE_WORD) for words in transcripts if set(words) != {SILENCE_WORD}])
