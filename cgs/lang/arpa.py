"""ARPA files, and how well a model predicts a text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

from cgs.base.errors import FormatError
from cgs.base.files import writing
from cgs.lang.ngram import Gram, Ngram
from cgs.lang.tables import BEGIN, END

REMEDY = "write the ARPA file again"


@dataclass(frozen=True)
class Prediction:
    """How a model predicts a text; perplexity counts known words and sentence ends, None where nothing is left to predict."""

    perplexity: float | None
    oov_rate: float
    n_sentences: int
    n_words: int
    n_oov: int

    def as_dict(self) -> dict[str, float | int | None]:
        """For JSON."""
        return asdict(self)


def write_arpa(path: Path, model: Ngram) -> None:
    """Write a model as an ARPA file, n-grams sorted, UTF-8."""
    by_order: list[list[Gram]] = [[] for _ in range(model.order)]
    for gram in model.log10:
        by_order[len(gram) - 1].append(gram)
    with writing(path) as stream:
        stream.write("\\data\\\n")
        stream.writelines(f"ngram {length}={len(grams)}\n" for length, grams in enumerate(by_order, start=1))
        for length, grams in enumerate(by_order, start=1):
            stream.write(f"\n\\{length}-grams:\n")
            for gram in sorted(grams):
                weight = f"\t{model.backoff[gram]:.6f}" if gram in model.backoff else ""
                stream.write(f"{model.log10[gram]:.6f}\t{' '.join(gram)}{weight}\n")
        stream.write("\n\\end\\\n")


def read_arpa(path: Path) -> Ngram:
    """Read an ARPA file. Raises: FormatError: a bad line, wrong counts, or no end mark."""
    log10: dict[Gram, float] = {}
    backoff: dict[Gram, float] = {}
    declared: dict[int, int] = {}
    length, ended = 0, False
    with open(path, encoding="utf-8") as stream:
        for number, line in _data_lines(stream):
            if match := re.fullmatch(r"ngram (\d+)=(\d+)", line):
                declared[int(match[1])] = int(match[2])
            elif match := re.fullmatch(r"\\(\d+)-grams:", line):
                length = int(match[1])
            elif line == "\\end\\":
                ended = True
                break
            else:
                _read_gram(path, number, line, length, log10, backoff)
    found = {k: sum(1 for gram in log10 if len(gram) == k) for k in declared}
    if not ended or found != declared:
        raise FormatError(f"{path}: {'wrong n-gram counts' if ended else 'truncated'}: found {found}, declared {declared}", REMEDY)
    return Ngram(max(declared), log10, backoff)


def predict(model: Ngram, sentences: Iterable[Sequence[str]]) -> Prediction:
    """Perplexity and unknown words of a text.

    Unknown words cost nothing and cut the context of the words after them, as SRILM's ppl does.
    """
    total, n_predicted, n_words, n_oov, n_sentences = 0.0, 0, 0, 0, 0
    for sentence in sentences:
        n_sentences += 1
        context: Gram = (BEGIN,)
        for word in (*sentence, END):
            n_words += word != END
            if (word,) not in model.log10:
                n_oov += 1
                context = ()
                continue
            total += model.log10_of(word, context)
            n_predicted += 1
            context = (*context, word)[-max(model.order - 1, 1) :]
    perplexity = 10 ** (-total / n_predicted) if n_predicted else None
    return Prediction(perplexity, n_oov / n_words if n_words else 0.0, n_sentences, n_words, n_oov)


def _data_lines(stream: TextIO) -> Iterable[tuple[int, str]]:
    begun = False
    for number, line in enumerate(stream, start=1):
        line = line.rstrip("\n")
        if line == "\\data\\":
            begun = True
        elif begun and line:
            yield number, line


def _read_gram(path: Path, number: int, line: str, length: int, log10: dict[Gram, float], backoff: dict[Gram, float]) -> None:
    fields = line.split()
    try:
        if length < 1 or len(fields) not in (length + 1, length + 2):
            raise ValueError(line)
        gram = tuple(fields[1 : length + 1])
        log10[gram] = float(fields[0])
        if len(fields) == length + 2:
            backoff[gram] = float(fields[-1])
    except ValueError as error:
        raise FormatError(f"{path}:{number}: not an n-gram of length {length}: {line!r}", REMEDY) from error
