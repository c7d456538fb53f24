"""ARPA files, and how well a model predicts a text."""

from __future__ import annotations

import gzip
import math
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cgs.base.errors import FormatError
from cgs.base.files import writing
from cgs.lang.ngram import ZERO, Gram, Ngram, by_length
from cgs.lang.tables import BEGIN, END

REMEDY = "write the ARPA file again"
HEADER, SECTION = re.compile(r"ngram\s+(\d+)\s*=\s*(\d+)"), re.compile(r"\\(\d+)-grams:")
GZIP_MAGIC = b"\x1f\x8b"
HIGHEST = 1e-3
"""log10 of a probability may pass 0 by this much, by rounding."""


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
    grams_by_length = by_length(model.log10, model.order)
    with writing(path) as stream:
        stream.write("\\data\\\n")
        stream.writelines(f"ngram {length}={len(grams)}\n" for length, grams in enumerate(grams_by_length, start=1))
        for length, grams in enumerate(grams_by_length, start=1):
            stream.write(f"\n\\{length}-grams:\n")
            for gram in sorted(grams):
                weight = f"\t{model.backoff[gram]:.6f}" if gram in model.backoff else ""
                stream.write(f"{model.log10[gram]:.6f}\t{' '.join(gram)}{weight}\n")
        stream.write("\n\\end\\\n")


def read_arpa(path: Path) -> Ngram:
    """Read an ARPA file as it is; see `arpa_grams` for what is accepted and raised."""
    log10: dict[Gram, float] = {}
    backoff: dict[Gram, float] = {}
    names: dict[str, str] = {}
    for number, words, value, weight in arpa_grams(path):
        gram = tuple(names.setdefault(word, word) for word in words)
        if gram in log10:
            raise FormatError(f"{path}:{number}: {' '.join(gram)!r} is listed twice", REMEDY)
        log10[gram] = value
        if weight is not None:
            backoff[gram] = weight
    return Ngram(max(map(len, log10)), log10, backoff)


def arpa_grams(path: Path) -> Iterator[tuple[int, list[str], float, float | None]]:
    """Yield the n-grams of an ARPA file in its order: line, words, log10 of the probability, log10 of the back-off weight or None.

    Plain or gzip; tabs or spaces; Unix or DOS line ends; any text before \\data\\; "-inf" for no probability, which comes back as -99.
    Raises: FormatError naming file and line: anything else, e.g. a bad number, wrong counts, no end mark, bytes that are not UTF-8.
    """
    declared: dict[int, int] = {}
    found: Counter[int] = Counter()
    length, ended = 0, False
    for number, line in _data_lines(path):
        if not line.startswith("\\") and length:
            found[length] += 1
            yield (number, *_read_gram(path, number, line, length))
        elif match := HEADER.fullmatch(line):
            declared[int(match[1])] = int(match[2])
        elif (match := SECTION.fullmatch(line)) and int(match[1]) in declared:
            length = int(match[1])
        elif line == "\\end\\":
            ended = True
            break
        else:
            raise FormatError(f"{path}:{number}: neither a count, an n-gram nor the head of a declared section: {line!r}", REMEDY)
    if not declared:
        raise FormatError(f"{path}: not an ARPA file: no counts after \\data\\", "give text (for KenLM's and IRSTLM's binary files: convert them)")
    if ended and not declared.get(1):
        raise FormatError(f"{path}: lists no words", REMEDY)
    if not ended or any(found[k] != n for k, n in declared.items()):
        told = {k: found[k] for k in declared}
        raise FormatError(f"{path}: {'wrong n-gram counts' if ended else 'truncated'}: found {told}, declared {declared}", REMEDY)


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


def _data_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines after the data mark that are not blank, without spaces at their ends, and their numbers."""
    if not path.is_file():
        raise FormatError(f"{path}: no such file", "check the path")
    begun, number = False, 0
    with open(path, "rb") as raw:
        zipped = raw.read(2) == GZIP_MAGIC
    try:
        with gzip.open(path) if zipped else open(path, "rb") as stream:
            for number, raw_line in enumerate(stream, start=1):
                line = raw_line.decode("utf-8").strip(" \t\r\n") if begun or raw_line.startswith(b"\\data\\") else ""
                if begun and line:
                    yield number, line
                begun = begun or bool(line)
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}:{number}: not UTF-8", "convert the file, e.g. with iconv") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FormatError(f"{path}: damaged after line {number} ({error})", "fetch the file again") from error


def _read_gram(path: Path, number: int, line: str, length: int) -> tuple[list[str], float, float | None]:
    fields = line.split()
    if not length < len(fields) < length + 3:
        fields = line.replace("\t", " ").split(" ")
    try:
        if not length < len(fields) < length + 3:
            raise ValueError(line)
        value, weight = float(fields[0]), float(fields[-1]) if len(fields) == length + 2 else None
        if not value <= HIGHEST or (weight is not None and not weight < math.inf):
            raise ValueError(line)
    except ValueError as error:
        raise FormatError(f"{path}:{number}: not an n-gram of length {length}: {line!r}", REMEDY) from error
    return fields[1 : length + 1], max(min(value, 0.0), ZERO), None if weight is None else max(weight, ZERO)
